"""The documentation is true: its code runs, its reference is the help, its links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tomllib
from pathlib import Path

import click
import pytest
import run_docs

from chgtools.cli import COMMANDS, main

ROOT = run_docs.ROOT
PAGES = run_docs.pages()
BESIDE = [ROOT / "CONTRIBUTING.md", *(ROOT / name / "README.md" for name in ("benchmarks", "benchmarks/data"))]
_spec = importlib.util.spec_from_file_location("update_reference", ROOT / "docs" / "update_reference.py")
update_reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(update_reference)


def _name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def environment(tmp_path):
    """The checkout's chgtools as a command and as a package, installed or not."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "chgtools").write_text(
        f'#!/bin/sh\nexec {sys.executable} -c \'from chgtools.cli import main; main(prog_name="chgtools")\' "$@"\n'
    )
    (commands / "chgtools").chmod(0o755)
    return {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("page", [page for page in PAGES if run_docs.blocks(page)], ids=_name)
def test_code_of_a_page_runs(page, tmp_path, environment):
    (tmp_path / "work").mkdir()
    run_docs.run(page, tmp_path / "work", environment)


def test_a_page_with_a_bad_block_fails(tmp_path, monkeypatch, environment):
    monkeypatch.setattr(run_docs, "ROOT", tmp_path)
    (tmp_path / "examples").mkdir()
    page = tmp_path / "page.md"
    page.write_text(
        "text\n\n```bash\n# not run: needs VASP\nfalse\n```\n\n```sh\nfalse\n```\n\n```bash\ntrue\nfalse\n```\n"
    )
    (tmp_path / "work").mkdir()
    with pytest.raises(AssertionError, match=r"page.md:13: exit code 1"):
        run_docs.run(page, tmp_path / "work", environment)


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_page_holds_the_present_help(name):
    page = (update_reference.FOLDER / f"{name}.md").read_text()
    assert update_reference.updated(page, name) == page, "run: python docs/update_reference.py"


def test_reference_page_holds_the_present_tags_of_an_incar():
    page = update_reference.INCAR.read_text()
    wanted = update_reference.between_marks(page, "incar.md", update_reference.tags_of_incar())
    assert wanted == page, "run: python docs/update_reference.py"


def _options(command, path):
    yield path, [option for parameter in command.params for option in parameter.opts if option.startswith("-")]
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from _options(command.get_command(click.Context(command), name), f"{path} {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name):
    page = (update_reference.FOLDER / f"{name}.md").read_text()
    for path, options in _options(main.get_command(click.Context(main), name), f"chgtools {name}"):
        assert f"Usage: {path} " in page
        for option in options:
            assert re.search(rf"^  .*{re.escape(option)}\b", page, re.MULTILINE), f"{path} {option}"


def test_every_command_is_linked_in_the_reference():
    index = (ROOT / "docs" / "reference" / "README.md").read_text()
    for name in COMMANDS:
        assert f"(commands/{name}.md)" in index


@pytest.mark.parametrize("page", [*PAGES, *BESIDE, ROOT / "CHANGELOG.md"], ids=_name)
def test_links_to_files_of_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [*PAGES, *BESIDE, ROOT / "potcar_densities" / "README.md"], ids=_name)
def test_files_of_the_package_that_are_named_exist(page):
    for path in re.findall(r"`((?:chgtools|tests|docs|examples|benchmarks)/[\w./]+\.\w+)`", page.read_text()):
        assert (ROOT / path).exists() or "NAME" in path, path


def test_the_readme_and_the_ci_run_the_same_tests():
    readme, steps = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for command in (".venv/bin/pip install -c constraints.txt '.[test]'", ".venv/bin/python -m pytest"):
        assert command in readme
        assert command.replace("install -c", "install -q -c") in steps or command in steps


def test_examples_are_what_their_script_writes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import make_examples

    make_examples.main(tmp_path)
    for folder in ("si", "perovskite", "slab"):
        ours, again = ((base / folder / "POSCAR").read_text().splitlines() for base in (ROOT / "examples", tmp_path))
        assert ours[0] == again[0]
        assert ours[5:8] == again[5:8]
        for line, other in zip(ours[8:], again[8:], strict=True):
            assert [float(x) for x in line.split()] == pytest.approx([float(x) for x in other.split()], abs=1e-12)


def test_examples_are_the_cells_they_say():
    from chgtools.formats.structures import as_structure

    counts = {
        folder: as_structure(ROOT / "examples" / folder / "POSCAR").counts for folder in ("si", "perovskite", "slab")
    }
    assert counts == {"si": (2,), "perovskite": (8, 8, 24), "slab": (48, 48, 1, 3)}


def test_no_path_of_one_machine_is_in_the_documentation():
    for page in [*PAGES, *BESIDE, ROOT / "CHANGELOG.md", Path(ROOT / "constraints.txt")]:
        assert not re.search(r"(?<![\w.])/(?:home|root|work|opt|tmp)/", page.read_text()), page


def test_the_page_on_installing_names_each_extra():
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    page = (ROOT / "docs/how-to/install.md").read_text()
    assert sorted(re.findall(r"`'\.\[(\w+)\]'`", page)) == sorted(extras)
