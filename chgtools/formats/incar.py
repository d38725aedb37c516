"""INCAR: VASP's tags.

    SYSTEM = a title          ! a comment           TAG = value; several statements by semicolons
    ENCUT = 400.0 eV          # words behind a number are a comment, as VASP takes them
    magmom = 2*1.0 \\          tags in any case; a backslash at the end of a line continues it
             -1.0
    SYSTEM = "text; with # and
    several lines"            quotes keep everything inside them (VASP 6)
    KERNEL { TAG = value }    the same as KERNEL/TAG = value (VASP 6)

The first statement of a tag counts. Lines without "=" are headings and mean nothing, tags that VASP does not know are
passed over; what was probably meant otherwise is told (``Incar.ignored``). A " that is never closed is a character as
any other, as it is to VASP 5, which knows no quotes; what VASP 6 makes of it is not documented.
Source: the VASP wiki's page INCAR, and the files of real runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

from chgtools.errors import FormatError, SettingsError
from chgtools.formats.incar_tags import is_known, nearest
from chgtools.formats.streams import OLD_LINE_ENDS, has_old_line_ends, read_bytes

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_REPEATED = re.compile(r"(\d{1,18})\*(.+)", re.ASCII)
_GROUP = re.compile(r"\s*[A-Za-z_]\w*\s*=?\s*", re.ASCII)
_TAG = re.compile(r"[A-Za-z_][\w/]*", re.ASCII)
_MAX_REPEAT = 10_000_000
# Names VASP knew a tag by before; a real VASP 4 run with ENMAX in its INCAR took it for ENCUT
_OLD_NAMES = {"ENCUT": "ENMAX"}
_STRAY = 'a " is never closed, and is taken as VASP 5 takes it; VASP 6 may lose what follows: remove it'
GIVEN = "incar"  # how messages name tags that are in no file, after the argument that they come by
_OTHER_INPUT = "WANNIER90_WIN"  # whose text in quotes has tags of its own
_VALUE = re.compile(rf"({_NUMBER.pattern})|\.[TF]\w*\.?|\d+\*\S+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Ignored:
    """A statement that VASP passes over, or may.

    place : FILE:LINE; found : what it is, and why; meant : the tag that was probably meant, "" where none is
    """

    place: str
    found: str
    meant: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.found}"


@dataclass(frozen=True)
class Incar(Mapping[str, str]):
    """The tags of an INCAR, upper-case, with their values as text; typed by number, integer, logical and numbers.

    tags : tag to text, without comments and quotes
    lines : tag to its line in the file; {} of tags that are in no file
    ignored : statements that VASP passes over, or may: a tag given again or not known, a malformed statement, a quote
    path : the file, for messages; "incar" of tags that are in none
    """

    tags: Mapping[str, str]
    lines: Mapping[str, int]
    ignored: tuple[Ignored, ...] = ()
    path: str = "INCAR"

    def __getitem__(self, tag: str) -> str:
        return self.tags[tag.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tags)

    def __len__(self) -> int:
        return len(self.tags)

    def place(self, tag: str) -> str:
        """FILE:LINE of a tag that is set; the name alone of tags that are in no file."""
        return f"{self.path}:{self.lines[tag.upper()]}" if self.lines else self.path

    def text(self, tag: str) -> str | None:
        """The value as text, None where the tag is not set (or set to nothing)."""
        tag = tag.upper()
        value = self.tags.get(tag)
        if value is None and tag in _OLD_NAMES:
            value = self.tags.get(_OLD_NAMES[tag])
        return value or None

    def number(self, tag: str) -> float | None:
        """The value as a float; words behind the number are a comment. Raises FormatError when it is no number."""
        text = self.text(tag)
        if text is None:
            return None
        value = _float(text.split()[0])
        if value is None:
            raise self._error(tag, text, "a number")
        return value

    def integer(self, tag: str) -> int | None:
        """The value as an int; words behind it are a comment. Raises FormatError when it is no whole number."""
        text = self.text(tag)
        if text is None:
            return None
        if not _INTEGER.fullmatch(text.split()[0]):
            raise self._error(tag, text, "a whole number")
        return int(text.split()[0])

    def logical(self, tag: str) -> bool | None:
        """The value as Fortran reads a logical: .TRUE., T, .F., false. Raises FormatError for anything else."""
        text = self.text(tag)
        if text is None:
            return None
        first = text.lstrip(".")[:1].upper()
        if first not in ("T", "F"):
            raise self._error(tag, text, ".TRUE. or .FALSE.")
        return first == "T"

    def numbers(self, tag: str) -> list[float] | None:
        """The values as floats, 3*1.0 written out, up to the first word that is no number (a comment).

        Raises FormatError when the first word is none.
        """
        text = self.text(tag)
        if text is None:
            return None
        values: list[float] = []
        for word in text.split():
            repeated = _REPEATED.fullmatch(word)
            times, item = (int(repeated[1]), repeated[2]) if repeated else (1, word)
            value = _float(item)
            if value is None or times > _MAX_REPEAT:
                if repeated or not values:
                    raise self._error(tag, word, "numbers such as 1.0 or 3*1.0")
                break
            values += [value] * times
        return values

    def _error(self, tag: str, found: str, wanted: str) -> FormatError:
        tag = tag.upper()
        name = tag if tag in self.tags else _OLD_NAMES[tag]
        found = found if len(found) <= 60 else found[:57] + "..."
        return FormatError(f"found {name} = {found!r}; wanted {wanted}", self.path, self.lines.get(name))


def _float(word: str) -> float | None:
    """The number, None for a word that is none, or one beyond all bounds."""
    value = float(word.lower().replace("d", "e")) if _NUMBER.fullmatch(word) else math.inf
    return value if math.isfinite(value) else None


def read_incar(path: str | Path) -> Incar:
    """Read an INCAR, plain or compressed.

    Raises FormatError for a file that is none, with the line where it ends to make sense.
    """
    text = read_bytes(path).decode("utf-8", errors="replace")
    if "\0" in text:
        raise FormatError("holds zero bytes and is no text; wanted an INCAR", path)
    return parse_incar(text, path)


def incar_of(tags: Mapping[str, Any]) -> Incar:
    """The tags of a dict, or of pymatgen's Incar, read as the lines of an INCAR would be.

    tags : {"ENCUT": 520, "ISPIN": 2, "MAGMOM": [5, -5], "LSORBIT": True}, in any case; text is taken as it would stand
        in the file ("2*5.0"); None leaves a tag out, as in pymatgen's user_incar_settings
    Raises SettingsError for a value that no INCAR can hold and for a tag given twice, else as :func:`read_incar`.
    """
    if isinstance(tags, Incar):
        return tags
    statements: dict[str, str] = {}
    for name, value in tags.items():
        tag = str(name).strip().upper()
        if tag in statements:
            raise SettingsError(f"{GIVEN}: {tag} is given twice, in upper and lower case; give it once")
        if value is not None:
            statements[tag] = " ".join(_words(tag, value))
    parsed = parse_incar("\n".join(f"{tag} = {text}" for tag, text in statements.items()), GIVEN)
    for tag in statements.keys() - parsed.keys():
        raise SettingsError(f"{GIVEN}: found {tag!r}; wanted a tag by its name, such as ENCUT")
    for tag in parsed.keys() - statements.keys():
        raise SettingsError(f"{GIVEN}: the value of another tag sets {tag} as well; give {tag} by its own name")
    ignored = tuple(replace(each, place=GIVEN) for each in parsed.ignored)
    return replace(parsed, lines=MappingProxyType({}), ignored=ignored)


def _words(tag: str, value: Any) -> Iterator[str]:
    """A value of Python as the words of a statement; lists within lists, such as vectors, in their order."""
    value = getattr(value, "global_moment", value)  # pymatgen's Magmom: along the lattice's axes
    value = value.tolist() if hasattr(value, "tolist") else value  # NumPy's
    if isinstance(value, bool):
        yield ".TRUE." if value else ".FALSE."
    elif isinstance(value, (str, Real)):
        yield str(value)
    elif isinstance(value, Iterable) and not isinstance(value, Mapping):
        for item in value:
            yield from _words(tag, item)
    else:
        raise SettingsError(
            f"{GIVEN}: found {tag} = {value!r}, a {type(value).__name__}; wanted a number, text, True or False, or a "
            "list of these"
        )


def parse_incar(text: str, path: str | Path = "INCAR") -> Incar:
    """The tags in the text of an INCAR; ``path`` is for messages. Raises FormatError as :func:`read_incar`."""
    tags: dict[str, str] = {}
    lines: dict[str, int] = {}
    ignored: list[Ignored] = []
    for line, statement in _statements(text, path, ignored):
        place, words = f"{path}:{line}", " ".join(statement.split())
        name, equals, value = statement.partition("=")
        tag = name.strip().upper()
        if not equals:
            meant = _tag_without_equals(statement)
            if meant:
                ignored.append(Ignored(place, f"{words!r} has no =, VASP passes it over", meant))
        elif not _TAG.fullmatch(tag):
            first = tag.split()[0] if tag and is_known(tag.split()[0]) else ""
            ignored.append(Ignored(place, f"{words!r} sets no tag, VASP passes it over", first))
        elif tag in tags:
            ignored.append(Ignored(place, f"{tag} again; VASP takes the first, in line {lines[tag]}"))
        else:
            tags[tag], lines[tag] = _unquoted(value), line
            ignored += _of_a_tag(place, tag, value)
    return Incar(MappingProxyType(tags), MappingProxyType(lines), tuple(ignored), str(path))


def _tag_without_equals(statement: str) -> str:
    """The tag of a line such as "ENCUT 400", "" for a heading."""
    first, *values = statement.split()
    alone = first.isupper() and len(values) == 1
    return first.upper() if is_known(first) and values and (alone or _VALUE.fullmatch(values[0])) else ""


def _of_a_tag(place: str, tag: str, value: str) -> Iterator[Ignored]:
    """What is to be said of a statement of the right form: a tag that is not known, tags within quotes."""
    if not is_known(tag):
        near = nearest(tag)
        mend = f"; is {near} meant?" if near else ""
        yield Ignored(place, f"VASP knows no tag {tag} and passes it over{mend}", near)
    if "\n" in value and tag != _OTHER_INPUT:
        names = re.findall(r"^\s*([A-Za-z_]\w*)\s*=", value, re.MULTILINE)
        lost = [name.upper() for name in names if is_known(name)]
        if lost:
            found = f"{', '.join(lost)} lies within the quotes of {tag}: a text to VASP 6, a tag to VASP 5"
            yield Ignored(place, found, lost[0])


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] == '"' else value


def _statements(text: str, path: str | Path, ignored: list[Ignored]) -> Iterator[tuple[int, str]]:
    """(line, "TAG = value") of each statement, headings too; braces written out as GROUP/TAG."""
    groups: list[tuple[str, int]] = []
    start, statement = 1, ""
    for line, mark in _marks(text, path, ignored):
        if not statement.strip():
            start = line
        # Braces in a value (a title such as Al{111}) are text; after a bare tag they open a group
        literal = (mark == "{" and not _GROUP.fullmatch(statement)) or (mark == "}" and "{" in statement)
        if literal or mark not in (";", "{", "}"):
            statement += mark
            continue
        if mark == "{":
            groups.append((statement.strip().rstrip("=").strip(), start))
        elif statement.strip():
            yield start, "/".join([name for name, _ in groups] + [statement.strip()])
        if mark == "}":
            if not groups:
                raise FormatError("found a } that closes nothing; remove it or open its { before", path, line)
            groups.pop()
        statement = ""
    if groups:
        raise FormatError(f"{groups[-1][0]} {{ is never closed; add its }}", path, groups[-1][1])


def _marks(text: str, path: str | Path, ignored: list[Ignored]) -> Iterator[tuple[int, str]]:
    """(line, piece) of the text without comments and continuations; pieces ; { } alone, an end of line as ;"""
    quoted_since = 0
    continued = False
    if has_old_line_ends(text.encode()):
        raise FormatError(OLD_LINE_ENDS, path)
    lines = text.replace("\r\n", "\n").split("\n")
    last_quote = max((number for number, line in enumerate(lines, 1) if '"' in line), default=0)
    for number, line in enumerate(lines, 1):
        rest, continued = line.strip() if not quoted_since else line, False
        while rest:
            if quoted_since:
                inside, quote, rest = rest.partition('"')
                yield number, inside + quote
                quoted_since = 0 if quote else quoted_since
                continue
            match = re.search(r'[#!;{}"]|\\\s*$', rest)
            if match is None:
                yield number, rest
                break
            yield number, rest[: match.start()]
            mark, rest = match[0][0], rest[match.end() :]
            if mark in "#!":
                # A comment may end in a backslash: the statement ends all the same
                break
            if mark == "\\":
                continued = True
            elif mark == '"':
                quoted_since = number if number < last_quote or '"' in rest else 0
                ignored += [] if quoted_since else [Ignored(f"{path}:{number}", _STRAY)]
                yield number, mark
            else:
                yield number, mark
        if quoted_since:
            yield number, "\n"
        elif continued:
            yield number, " "
        else:
            yield number, ";"
    if continued:
        yield number, ";"
