"""What is in the sdist and the wheel: all that a run reads, nothing that only the repository needs.

The patterns of pyproject.toml are read here in any case. hatchling, which builds the files, is asked for its own list
where it is installed: patterns that are right by their looks may not do what they say.
"""

from __future__ import annotations

import tomllib
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TARGETS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
READ = {  # by a run, beside the modules: how they are called in the wheel, and where they are in the repository
    "chgtools/py.typed": "chgtools/py.typed",
    "chgtools/atoms/potcar_labels.json": "chgtools/atoms/potcar_labels.json",
    "chgtools/models/weights_files/base.safetensors": "chgtools/models/weights_files/base.safetensors",
    "chgtools/models/weights_files/si.safetensors": "chgtools/models/weights_files/si.safetensors",
    "chgtools/potcar_densities/atomic_densities.h5": "potcar_densities/atomic_densities.h5",
    "chgtools/potcar_densities/ground_states.h5": "potcar_densities/ground_states.h5",
    "chgtools/potcar_densities/tight_binding.h5": "potcar_densities/tight_binding.h5",
}
READ |= {name.replace(".safe", ".without_prior.safe"): READ[name].replace(".safe", ".without_prior.safe") for name in READ
         if name.endswith(".safetensors")}  # fmt: skip
WITH_THE_SDIST = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "constraints.txt", "pyproject.toml"}
HIDDEN = {".gitignore"}  # hatchling takes it, so that a build from the sdist leaves out the same
MOST_BYTES = 13e6  # of the sdist, compressed as it is downloaded; benchmarks/data alone has 29e6


def modules() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / "chgtools").glob("**/*.py")}


def holds(patterns: list[str], path: str) -> bool:
    """Whether a path is one of the patterns, or below one that is a folder."""
    return any(path == pattern or path.startswith(f"{pattern}/") for pattern in patterns)


def built(target: str) -> dict[str, Path]:
    """Files that hatchling would put into a target: by their names there, where they are taken from."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the sdist and the wheel, is not installed")
    from hatchling.builders.sdist import SdistBuilder
    from hatchling.builders.wheel import WheelBuilder

    builder = {"sdist": SdistBuilder, "wheel": WheelBuilder}[target](str(ROOT))
    with builder.config.set_build_data({"artifacts": [], "force_include": {}}):
        return {file.distribution_path: Path(file.path) for file in builder.recurse_included_files()}


def test_the_sdist_is_a_list_of_what_goes_in_and_data_for_training_are_not_on_it():
    sdist = TARGETS["sdist"]
    assert set(sdist) == {"only-include"}, "a list of what is left out lets in what is added later"
    stores = [str(path.relative_to(ROOT)) for path in (ROOT / "benchmarks").glob("**/*.h5")]
    assert len(stores) > 20
    for path in [*stores, "docs/pictures/si-dcd.png", "tests/conftest.py", "examples/si/CHGCAR"]:
        assert not holds(sdist["only-include"], path), path
    assert all((ROOT / path).exists() for path in sdist["only-include"])


def test_the_sdist_holds_what_the_wheel_takes_from_outside_the_package():
    taken = TARGETS["wheel"]["force-include"]
    assert all((ROOT / path).is_file() for path in taken)
    assert all(holds(TARGETS["sdist"]["only-include"], path) for path in taken)
    assert {name: path for path, name in taken.items()}.items() <= READ.items()


def test_data_files_of_the_package_are_those_that_a_run_reads():
    """A file that is not a module and stands in chgtools/ is in every wheel."""
    inside = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "chgtools").glob("**/*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    }
    assert inside == {path for path in READ.values() if path.startswith("chgtools/")}


def test_hatchling_puts_the_package_into_the_sdist_and_no_store():
    files = built("sdist")
    assert not [name for name in files if name.startswith(("benchmarks", "docs", "examples", "tests"))]
    assert set(files) - HIDDEN <= modules() | set(READ.values()) | WITH_THE_SDIST
    assert modules() | set(READ.values()) <= set(files)
    assert sum(len(zlib.compress(path.read_bytes(), 6)) for path in files.values()) < MOST_BYTES


def test_hatchling_puts_what_a_run_reads_into_the_wheel_and_nothing_else():
    files = built("wheel")
    assert set(files) == modules() | set(READ)
    assert {name: str(files[name].relative_to(ROOT)) for name in READ} == READ
