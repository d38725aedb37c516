"""The text of a POTCAR: its data sets, and the settings and sections of each.

Sections are found by their titles, which are spelled as in chgtools.formats.potcar and potcar_paw; what lies between is
passed over.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ELL, MAX_PROJECTORS = 6, 20  # of a block; more is damage
LONGEST_TITLE = 120  # characters; VASP reads 40

_TITLE = re.compile(rb"^[ \t]*[A-Za-z][A-Za-z]", re.MULTILINE)
_ANYTHING = re.compile(rb"\S")
_SETTING = re.compile(rb"(?:^|;)[ \t]*([A-Z][A-Z0-9]*)[ \t]*=[ \t]*([^;\r\n]*)", re.MULTILINE)
_BARE_EXPONENT = re.compile(rb"(?<=\d)([+-]\d{3})(?![\d.])")
_TOUCHING = re.compile(rb"(?<=\d)([+-]\d*\.)")


def data_sets(text: bytes, path: str | Path) -> list[DataSet]:
    """The data sets of a file. Raises FormatError for what is no POTCAR, or is cut short."""
    sets: list[tuple[int, int]] = []
    start = 0
    while _ANYTHING.search(text, start):
        end = text.find(b"End of Dataset", start)
        if end < 0:
            if text.find(b"END of PSCTR", start) < 0:
                wanted = "wanted a data set behind the last" if sets else "is no POTCAR: wanted a data set"
                raise FormatError(
                    f"{wanted} with 'END of PSCTR-controll parameters', found none", path, line_of(text, start)
                )
            raise FormatError(
                f"data set {len(sets) + 1} is cut short: found no 'End of Dataset' at its end; copy the POTCAR again",
                path,
                line_of(text, len(text) - 1),
            )
        sets.append((start, end))
        newline = text.find(b"\n", end)
        start = len(text) if newline < 0 else newline + 1
    if not sets:
        raise FormatError("is empty; wanted a POTCAR", path)
    return [DataSet(text, first, last, path) for first, last in sets]


def line_of(text: bytes, position: int) -> int:
    """Number of the line that holds a byte, from 1."""
    return text.count(b"\n", 0, position) + 1


def numbers(text: bytes) -> NDArray[np.float64]:
    """Numbers as Fortran writes them: D exponents, bare three-digit exponents, a minus that touches the last number.

    Raises ValueError for anything else.
    """
    try:
        return np.array(text.split(), dtype="S").astype(float)
    except ValueError:
        apart = _TOUCHING.sub(rb" \1", _BARE_EXPONENT.sub(rb"E\1", text.upper().replace(b"D", b"E")))
        return np.array(apart.split(), dtype="S").astype(float)


class DataSet:
    """One data set: text[start:end] of a file.

    settings : KEY to the text of its value, as the header has it; title : TITEL, else the first line
    """

    def __init__(self, text: bytes, start: int, end: int, path: str | Path) -> None:
        self.text, self.start, self.end, self.path = text, start, end, path
        self.header_end = text.find(b"END of PSCTR", start, end)
        if self.header_end < 0:
            raise self.error("found no 'END of PSCTR-controll parameters'; wanted a complete POTCAR", start)
        header = text[start : self.header_end]
        self.settings: dict[str, str] = {}
        for key, value in _SETTING.findall(header):
            self.settings.setdefault(key.decode(), value.decode("latin-1").strip())
        first_line = header.lstrip().split(b"\n", 1)[0].decode("latin-1")
        self.title = " ".join(self.settings.get("TITEL", first_line)[:LONGEST_TITLE].split())

    def setting(self, key: str) -> float | None:
        """The number of a header key (further words are a comment), None where the key is not there."""
        words = self.settings.get(key, "").split()
        if not words:
            return None
        try:
            value = float(words[0])
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            where = self.text.find(key.encode(), self.start)
            raise self.error(f"{self.title}: found {key} = {words[0]!r}; wanted a number", where)
        return value

    def channels(self) -> tuple[int, ...]:
        """l of each projector, in order."""
        channels: list[int] = []
        place = self.find("Non local Part")
        while place is not None:
            head = self.text[place : self.text.find(b"\n", place)]
            try:
                ell, count = (int(word) for word in head.split()[:2])
            except ValueError:
                ell = count = -1
            if not (0 <= ell <= MAX_ELL and 0 < count <= MAX_PROJECTORS):
                raise self.error(
                    f"{self.title}: found {head.decode('latin-1').strip()!r} below 'Non local Part'; "
                    "wanted l, the number of projectors and a radius",
                    place,
                )
            channels += [ell] * count
            place = self.find("Non local Part", place)
        return tuple(channels)

    def occupancies(self, count: int) -> NDArray[np.float64] | None:
        """(count, count) numbers of "uccopancies in atom", None in a potential without PAW sets."""
        place = self.find("uccopancies in atom")
        if place is None or not count:
            return None
        return self.numbers(place, "uccopancies in atom", (count * count,)).reshape(count, count)

    def find(self, title: str, after: int | None = None) -> int | None:
        """Where the line below a section title starts, None where the data set has no such section."""
        name = title.encode()
        position = self.header_end if after is None else after
        while True:
            position = self.text.find(name, position, self.end)
            if position < 0:
                return None
            begin = self.text.rfind(b"\n", 0, position) + 1
            newline = self.text.find(b"\n", position, self.end)
            if newline < 0:
                return None
            if self.text[begin:newline].strip() == name:
                return newline + 1
            position = newline

    def numbers(self, place: int, title: str, counts: tuple[int, ...]) -> NDArray[np.float64]:
        """The numbers from ``place`` to the next title; their count is one of ``counts``.

        The charge density ends with a line ``42.06 T``: with the logical the larger count is the only one wanted.
        """
        stop = _TITLE.search(self.text, place, self.end)
        words = self.text[place : stop.start() if stop else self.end].rstrip()
        if words.endswith((b"T", b"F")):
            words, counts = words[:-1], counts[-1:]
        try:
            values = numbers(words)
        except ValueError as error:
            raise self.error(f"{self.title}: {title}: {error}; copy the POTCAR again", place) from None
        if len(values) not in counts:
            raise self.error(
                f"{self.title}: {title}: found {len(values)} numbers, wanted {' or '.join(map(str, counts))}; "
                "copy the POTCAR again",
                place,
            )
        if not np.isfinite(values).all():
            raise self.error(f"{self.title}: {title}: found NaN or infinity; wanted finite numbers", place)
        return values

    def error(self, message: str, position: int) -> FormatError:
        return FormatError(message, self.path, line_of(self.text, position))
