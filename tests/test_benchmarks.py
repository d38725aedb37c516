"""The scripts of benchmarks/ fit the package, each other, and what is written about them; none is run here."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import run_docs

ROOT = run_docs.ROOT
FOLDER = ROOT / "benchmarks"
ROOMS = ("atoms", "files", "gpaw", "learned", "speed", "structures")
SCRIPTS = sorted(FOLDER.glob("**/*.py"))
TOOLS = frozenset(
    "density fixed_density gpaw_fixed_density run_gpaw run_qe structures".split()
)  # programs of --tools, which a run is told of
LEFT_TO_THE_USER = frozenset({"chgnet", "gpaw", "phonopy"})  # not among the dependencies; the scripts say so
PAGES = [*run_docs.pages(), *(ROOT / name for name in ("benchmarks/README.md", "benchmarks/data/README.md")),
         ROOT / "CONTRIBUTING.md", ROOT / "potcar_densities" / "README.md"]  # fmt: skip
COMMAND = re.compile(r"\bpython (benchmarks/[\w./-]*)")


def named(path):
    return str(path.relative_to(ROOT))


def is_run(script):
    """Whether it is a program: others are imported alone."""
    return 'if __name__ == "__main__":\n' in script.read_text()


def imports(source):
    """(line, module, name) of all imports, lazy and type-only ones too; the name of ``import a`` is None."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, node.module, alias.name) for alias in node.names)


def defined(source):
    """Names that a module has at its top."""
    found = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return found


def resolves(module, name):
    """Whether ``from module import name`` would work: what is imported is a module of chgtools, never a script."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("chgtools"):
            return False
        raise
    if name is None or hasattr(found, name):
        return True
    return hasattr(found, "__path__") and find_spec(f"{module}.{name}") is not None


def installed(name):
    """Whether Python finds a module elsewhere than in benchmarks/, which other tests put on its path."""
    spec = find_spec(name)
    places = [spec.origin] if spec and spec.origin else list(spec.submodule_search_locations or ()) if spec else []
    return any(place in ("built-in", "frozen") or not Path(place).is_relative_to(FOLDER) for place in places)


def faults(path, source):
    """Imports of a script that would fail, as sentences."""
    own = path.parent
    reach = {script.stem: script for script in FOLDER.glob("*.py") if "parents[1]" in source}
    reach |= {script.stem: script for script in own.glob("*.py")}
    for line, module, name in imports(source):
        head = module.split(".")[0]
        where = f"{named(path)}:{line}: {module}" + (f".{name}" if name else "")
        if head == "chgtools":
            if not resolves(module, name):
                yield f"{where} is not in the package"
        elif head in TOOLS:
            continue
        elif head in reach:
            if name is not None and name not in defined(reach[head].read_text()):
                yield f"{where} is not in {named(reach[head])}"
        elif head not in sys.stdlib_module_names and head not in LEFT_TO_THE_USER and not installed(head):
            yield f"{where} is neither installed nor a script beside it"


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_script_compiles_and_its_imports_lead_somewhere(script):
    source = script.read_text()
    compile(source, script, "exec")
    assert list(faults(script, source)) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from chgtools.fourier.grids import fft_grid", []),
        ("from chgtools.fourier.grids import fft_gird", ["chgtools.fourier.grids.fft_gird is not in the package"]),
        ("from chgtools.grid import fft_grid", ["chgtools.grid.fft_grid is not in the package"]),
        ("def f():\n    import chgtools.nowhere", ["chgtools.nowhere is not in the package"]),
        ("from chgtools.formats import chgcar", []),
        ("from common import distance_to_nuclei", ["common.distance_to_nuclei is neither installed nor a script"]),
        ("PARENT = __file__.parents[1]\nfrom common import distance_to_nuclei", []),
        ("PARENT = __file__.parents[1]\nfrom common import distances", ["is not in benchmarks/common.py"]),
        ("from gpaw_paw import write_runs", ["gpaw_paw.write_runs is neither installed nor a script beside it"]),
        ("from dcd_corpus import main", []),
        ("from dcd_corpus import DATA", ["dcd_corpus.DATA is not in benchmarks/files/dcd_corpus.py"]),
    ],
)
def test_a_bad_import_is_found(line, found):
    sentences = list(faults(FOLDER / "files" / "invented.py", line))
    assert len(sentences) == len(found)
    assert all(part in sentence for part, sentence in zip(found, sentences, strict=True))


def test_every_script_stands_in_a_room_and_no_name_is_used_twice():
    assert {script.parent.name for script in SCRIPTS} - {"benchmarks"} == set(ROOMS)
    assert [script.name for script in SCRIPTS if script.parent == FOLDER] == ["common.py"]
    assert {name: n for name, n in Counter(script.name for script in SCRIPTS).items() if n > 1} == {}


@pytest.mark.parametrize("script", SCRIPTS, ids=named)
def test_a_script_says_what_it_is_for_and_its_command_is_its_own(script):
    said = ast.get_docstring(ast.parse(script.read_text()))
    assert said
    assert set(COMMAND.findall(said)) <= {named(script)}
    if is_run(script):
        assert named(script) in COMMAND.findall(said), "its docstring has no command"


def rows():
    """Cells of the table of benchmarks/README.md, and the room that a row stands under."""
    room = None
    for line in (FOLDER / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]] if line.startswith("| ") else []
        if cells and cells[0].startswith("**"):
            room = cells[0].strip("*")
        elif cells and cells[0].startswith("`"):
            yield room, cells[0].strip("`"), cells


def test_the_readme_names_every_script_under_its_room_and_no_other():
    listed = [FOLDER / ("" if room == "here" else room) / name for room, name, _ in rows()]
    assert sorted(listed) == SCRIPTS


def test_the_readme_has_a_question_for_each_and_its_own_command():
    for _, name, (_, question, _, command) in rows():
        assert question.endswith(("?", ")")), name
        for path in COMMAND.findall(command):
            assert Path(path).name == name
        if is_run(next(FOLDER.glob(f"**/{name}"))):
            assert COMMAND.search(command), f"{name} has no command"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_of_the_documentation_name_scripts_that_are_there(page):
    text = page.read_text()
    assert [path for path in COMMAND.findall(text) if not (ROOT / path).is_file()] == []
    assert [
        p
        for p in re.findall(r"\bbenchmarks/[\w/]+\.(?:py|yaml)\b", text)
        if not (ROOT / p).is_file() and "NAME" not in p
    ] == []


def test_commands_are_found():
    assert sum(len(COMMAND.findall(page.read_text())) for page in (ROOT / "docs" / "benchmarks").glob("*.md")) >= 30
    assert COMMAND.findall("`OMP_NUM_THREADS=1 python benchmarks/gone.py --large`") == ["benchmarks/gone.py"]


@pytest.mark.parametrize("settings", sorted((FOLDER / "training").glob("*.yaml")), ids=named)
def test_settings_name_data_of_the_repository_that_are_there(settings):
    import yaml

    for name in yaml.safe_load(settings.read_text())["data"]:
        if name.startswith("../data/"):
            assert (settings.parent / name).is_file(), name


@pytest.mark.parametrize("script", [s for s in SCRIPTS if s.parent.name in ROOMS], ids=named)
def test_no_script_reckons_with_a_folder_that_it_does_not_stand_in(script):
    """``parents[1]`` of a script is benchmarks/; the checkout and the shared data are asked of ``common`` (startup.py
    must not import it: it measures imports)."""
    found = set(re.findall(r"parents\[(\d)\]", script.read_text()))
    assert found <= ({"2"} if script.name == "startup.py" else {"1"})
