"""Docstrings of chgtools as Markdown, for the page on the Python API (an extension of griffe, named in mkdocs.yml).

Lines such as ``nelect : electrons of a charged cell; model : which weights`` become a list, roles such as
:func:`name` the name.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ITEM = re.compile(r"(?:^|; )(\w+(?:, \w+)*) : ")
_ROLE = re.compile(r":(?:func|class|mod|meth):`~?([^`]+)`")


class Docstrings(griffe.Extension):
    """Rewrites each docstring that griffe has read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring with its lines of names as a list, and roles as names."""
    lines: list[str] = []
    in_list = False
    for line in _ROLE.sub(r"`\1`", text).splitlines():
        if _ITEM.match(line):
            lines += [] if in_list else [""]
            starts = [*_ITEM.finditer(line)]
            ends = [*(each.start() for each in starts[1:]), len(line)]
            for start, end in zip(starts, ends, strict=True):
                names = ", ".join(f"`{name}`" for name in start[1].split(", "))
                lines.append(f"- {names} : {line[start.end() : end]}")
            in_list = True
            continue
        if in_list and line and not line.startswith(" "):
            lines.append("")
        in_list = in_list and (line.startswith(" ") or not line)
        lines.append(line)
    return "\n".join(lines)
