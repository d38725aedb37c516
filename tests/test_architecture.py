"""The package stands as docs/explanation/architecture.md draws it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from architecture import DEEPEST, LONGEST_FUNCTION, ROOT, Module, circles, edges, floors, functions, modules, upward

KNOWN = modules()
PLACES = floors((ROOT / "docs" / "explanation" / "architecture.md").read_text())
LONGEST_MODULE = 360
MOST_LOOSE = 9


def made(**sources: str) -> dict[str, Module]:
    """Modules of invented text, by dotted name with two underscores for a dot."""
    named = {name.replace("__", "."): text for name, text in sources.items()}
    return {name: Module(name, Path(f"{name}.py"), text) for name, text in named.items()}


def test_every_room_has_a_floor_and_every_floor_its_rooms():
    assert {name.split(".")[0] for name in KNOWN} == set(PLACES)


def test_no_import_runs_up():
    assert upward(KNOWN, PLACES) == []


@pytest.mark.parametrize("by_room", [False, True])
def test_there_are_no_circles(by_room):
    assert circles(KNOWN, by_room=by_room) == []


def test_few_modules_are_loose_and_none_is_long():
    loose = [name for name, module in KNOWN.items() if module.path.parent == ROOT / "chgtools"]
    assert len(loose) <= MOST_LOOSE
    assert {name: module.lines for name, module in KNOWN.items() if module.lines > LONGEST_MODULE} == {}


def test_long_and_deep_functions_say_why():
    """A comment "# long: ..." or "# deep: ..." stands on the line above the function or above its decorators."""
    unexplained = []
    for name, lines, depth, above in functions(KNOWN):
        if lines > LONGEST_FUNCTION and "long:" not in above:
            unexplained.append(f"{name}: {lines} lines")
        if depth > DEEPEST and "deep:" not in above:
            unexplained.append(f"{name}: {depth} blocks in each other")
    assert unexplained == []


def test_torch_is_imported_by_training_and_for_a_gpu_alone():
    importing = {
        module.room if module.room == "training" else module.name
        for module in KNOWN.values()
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Import) and any(a.name.split(".")[0] == "torch" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch")
    }
    assert importing == {"training", "kernels.dense"}


def test_hdf5_is_opened_in_one_module():
    opening = [module.name for module in KNOWN.values() if "h5py.File(" in module.path.read_text()]
    assert opening == ["formats.hdf5"]


# The reading itself: that it sees what it should


def test_lazy_and_type_only_imports_are_seen():
    known = made(
        a="def f():\n    from chgtools.b import x",
        b="if TYPE_CHECKING:\n    from chgtools.c import y",
        c="import chgtools.a as other",
        d="from chgtools.rooms import e",
        rooms="",
        rooms__e="import_module('chgtools.a')",
    )
    assert [(here, there) for here, _, there in edges(known)] == [
        ("a", "b"), ("b", "c"), ("c", "a"), ("d", "rooms.e"), ("rooms.e", "a"),
    ]  # fmt: skip
    assert circles(known) == [["a", "b", "c"]]


def test_an_import_of_the_same_or_a_higher_floor_is_named():
    places = floors("```floors\na    text\nb, c   text, text\nd\n```\n")
    assert places == {"a": 0, "b": 1, "c": 1, "d": 2}
    known = made(a="from chgtools.d import x", b="from chgtools.c import x", c="", d="\nfrom chgtools import a")
    assert upward(known, places) == [
        "b.py:1: b imports c, which is no lower floor",
        "d.py:2: d imports a, which is no lower floor",
    ]


def test_lines_nesting_and_the_comment_above_are_counted():
    source = (
        "# long: a table\n@cache\ndef f():\n    for i in x:\n        if i:\n            pass\n"
        "        elif j:\n            with k:\n                pass\n"
    )
    assert functions(made(m=source)) == [("m:f", 7, 3, "# long: a table")]
