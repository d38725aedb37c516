"""The structure of the package as numbers: ``python tests/architecture.py [FOLDER]``.

Reads imports and definitions as text (ast), lazy and type-only imports too, and holds them to the floors that
docs/explanation/architecture.md draws. FOLDER is a checkout, by default this one.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FUNCTION = 60
DEEPEST = 3
_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


@dataclass(frozen=True)
class Module:
    """name : dotted, below the package; imports : (line, dotted name below the package) of each import"""

    name: str
    path: Path
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def text(self) -> list[str]:
        return self.source.splitlines()

    @property
    def lines(self) -> int:
        return len(self.text)

    @property
    def room(self) -> str:
        return self.name.split(".")[0]

    @property
    def imports(self) -> list[tuple[int, str]]:
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "chgtools":
                module = (node.module or "").removeprefix("chgtools").removeprefix(".")
                found += [(node.lineno, f"{module}.{alias.name}".strip(".")) for alias in node.names]
            elif isinstance(node, ast.Import):
                found += [
                    (node.lineno, alias.name.removeprefix("chgtools."))
                    for alias in node.names
                    if alias.name.startswith("chgtools.")
                ]
            elif (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module"
            ):
                words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found += [(node.lineno, w.removeprefix("chgtools.")) for w in words if w.startswith("chgtools.")]
        return found


def modules(root: Path = ROOT) -> dict[str, Module]:
    """Dotted name below the package to module; a room's own file has the room's name."""
    package = root / "chgtools"
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(package).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts = parts[:-1] or ["__init__"]
        name = ".".join(parts)
        found[name] = Module(name, path, path.read_text())
    return found


def home(imported: str, known: dict[str, Module]) -> str | None:
    """The module that an imported name stands in: of "formats.chgcar.read" it is "formats.chgcar"."""
    parts = imported.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in known:
            return ".".join(parts[:end])
    return None


def edges(known: dict[str, Module]) -> list[tuple[str, int, str]]:
    """(module, line, module that it imports)."""
    found = []
    for module in known.values():
        for line, name in module.imports:
            target = home(name, known)
            if target is not None and target != module.name:
                found.append((module.name, line, target))
    return found


def floors(text: str) -> dict[str, int]:
    """Room or loose module to its floor, 0 at the top, as the picture in architecture.md has them.

    The picture is the first fenced block ``floors``: one floor to a line, its rooms with commas between them before two blanks and what is in them.
    """
    block = re.search(r"^```floors\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if block is None:
        return {}
    places: dict[str, int] = {}
    for number, line in enumerate(block[1].splitlines()):
        for room in re.split(r"\s{2,}", line.strip())[0].split(", "):
            places[room] = number
    return places


def upward(known: dict[str, Module], places: dict[str, int]) -> list[str]:
    """Imports from a room of the same or a higher floor, as sentences."""
    found = []
    for module, line, target in edges(known):
        here, there = module.split(".")[0], target.split(".")[0]
        if here != there and places[there] <= places[here]:
            found.append(f"{known[module].path.name}:{line}: {module} imports {target}, which is no lower floor")
    return found


def circles(known: dict[str, Module], by_room: bool = False) -> list[list[str]]:
    """Circles of modules, or of rooms, by strongly connected components (R. Tarjan 1972)."""
    graph: dict[str, set[str]] = {}
    for module, _, target in edges(known):
        here, there = (n.split(".")[0] if by_room else n for n in (module, target))
        if not by_room and there in here.split(".")[:-1]:
            continue
        if here != there:
            graph.setdefault(here, set()).add(there)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def functions(known: dict[str, Module]) -> list[tuple[str, int, int, str]]:
    """(module:name, lines, nesting, the comment above it) of every function; lines count from the ``def`` on."""
    found = []
    for module in known.values():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                end = node.end_lineno or node.lineno
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                above = [line.strip() for line in reversed(module.text[: first - 1])]
                comment = "\n".join(reversed(list(takewhile(lambda line: line.startswith("#"), above))))
                found.append((f"{module.name}:{node.name}", end - node.lineno + 1, nesting(node), comment))
    return found


def nesting(function: ast.AST) -> int:
    """Blocks within blocks; elif is no deeper than its if, and functions inside are counted by themselves."""

    def depth(node: ast.AST, chain: bool = False) -> int:
        deepest = 0
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                    continue
                elif_ = (
                    isinstance(node, ast.If)
                    and name == "orelse"
                    and isinstance(child, ast.If)
                    and len(node.orelse) == 1
                )
                own = 1 if isinstance(child, _BLOCKS) and not elif_ else 0
                deepest = max(deepest, own + depth(child))
        return deepest

    return depth(function)


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    known = modules(root)
    loose = [name for name, module in known.items() if module.path.parent == root / "chgtools"]
    picture = root / "docs" / "explanation" / "architecture.md"
    places = floors(picture.read_text()) if picture.is_file() else {}
    all_functions = functions(known)
    long = [f for f in all_functions if f[1] > LONGEST_FUNCTION]
    deep = [f for f in all_functions if f[2] > DEEPEST]
    longest = max(known.values(), key=lambda m: m.lines)
    print(f"modules at the top        {len(loose)}")
    if places:
        print(f"imports that run up       {len(upward(known, places))}")
    else:
        print("imports that run up       (no floors drawn)")
    print(f"circles of modules        {len(circles(known))}  {circles(known) or ''}")
    print(f"circles of rooms          {len(circles(known, by_room=True))}  {circles(known, by_room=True) or ''}")
    print(
        f"functions over {LONGEST_FUNCTION} lines   {len(long)} of {len(all_functions)}  {', '.join(f'{f[0]} {f[1]}' for f in long)}"
    )
    print(f"nested deeper than {DEEPEST}      {len(deep)}  {', '.join(f'{f[0]} {f[2]}' for f in deep)}")
    print(f"longest module            {longest.lines}  {longest.name}")
    print(f"modules                   {len(known)}, {sum(m.lines for m in known.values())} lines")


if __name__ == "__main__":
    main()
