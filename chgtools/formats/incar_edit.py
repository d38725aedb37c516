"""An INCAR with some tags set, and everything else of it as it was: comments, order, line ends, bytes.

The statement that counts, the first of its tag, gets the new value; a tag that is not there gets a line at the end. The
result is read again: had anything but these tags changed, nothing is returned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from chgtools.errors import FormatError
from chgtools.formats.incar import Incar, parse_incar

_COLUMN = 8


def with_tags(text: str, values: Mapping[str, str], comments: Mapping[str, str], path: str) -> str:
    """The text of an INCAR with these values.

    values : upper-case tag to the value it gets; comments : tag to a comment for a line that is added
    path : of the file, for messages
    Raises FormatError for a text that :func:`parse_incar` refuses, and for one in which a tag cannot be set without
    touching others.
    """
    for tag, value in values.items():
        before = parse_incar(text, path)
        if before.get(tag, "").split()[:1] == [value]:
            continue
        made = _replaced(text, tag, value, before.lines[tag]) if tag in before else _added(text, tag, value, comments)
        fitting = next((each for each in made if _sets_alone(before, parse_incar(each, path), tag, value)), None)
        if fitting is None:
            raise FormatError(
                f"{tag} cannot be set in this file without touching more; set {tag} = {value} by hand",
                path,
                before.lines.get(tag),
            )
        text = fitting
    return text


def _sets_alone(before: Incar, after: Incar, tag: str, value: str) -> bool:
    """Whether the tag has the value, every other tag what it had, and VASP passes over no more than before."""
    others = [{name: each for name, each in incar.items() if name != tag} for incar in (before, after)]
    as_many = len(before.ignored) == len(after.ignored)
    return others[0] == others[1] and as_many and after.get(tag, "").split()[:1] == [value]


def _replaced(text: str, tag: str, value: str, line: int) -> Iterator[str]:
    """The value of a statement of a tag in a line, counted from 1, replaced; what stands behind it stays.

    One text for each place that looks like the statement: the first ones may lie within quotes.
    """
    lines = text.split("\n")
    own = lines[line - 1]
    for match in re.finditer(rf"(?:^|;)\s*{re.escape(tag)}\s*=[^\S\n]*([^\s;#!{{}}\"]*)", own, re.IGNORECASE):
        changed = own[: match.start(1)] + value + own[match.end(1) :]
        yield "\n".join([*lines[: line - 1], changed, *lines[line:]])


def _added(text: str, tag: str, value: str, comments: Mapping[str, str]) -> Iterator[str]:
    """The text with a line at its end; or, where the last statement goes on, at its beginning."""
    end = "\r\n" if "\r\n" in text else "\n"
    comment = f"  ! {comments[tag]}" if tag in comments else ""
    line = f"{tag:{_COLUMN}s}= {value}{comment}{end}"
    yield text + (end if text and not text.endswith("\n") else "") + line
    yield line + text
