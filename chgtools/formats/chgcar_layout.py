"""What reader, writer and `chgtools check` share of the CHGCAR: its names, its fields, the text that is no numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.formats.streams import LineReader

RECORD = b"augmentation occupancies"
IMAGINARY = b" (imaginary part)"
Shape = tuple[int, int, int]
_BLOCK_NAMES = {
    1: ("total",),
    2: ("total", "magnetisation"),
    4: ("total", "magnetisation x", "magnetisation y", "magnetisation z"),
}

_E_FIELD = rb"(?: [ 0-]\.\d{11}(?:E[+-]\d\d|[+-]\d{3}))"
_E_LINE = re.compile(_E_FIELD + rb"{1,5}\s*")
_G_PLAIN_WORD = re.compile(rb"(?=[+\d-])[+-]?(\d*)\.(\d*)")
_G_BLANKS = 3  # behind a number without exponent: VASP prints four, and a wider number may take one of them
_G_FIELD = re.compile(rb" {1,7}-?\d*\.\d*(?: {4}|E[+-]\d\d|[+-]\d{3})")


@dataclass(frozen=True)
class Form:
    """Fixed fields: width and decimals of each, numbers to a line; decimals are significant digits in G format."""

    width: int
    decimals: int
    columns: int = 5

    def holds(self, line: bytes) -> bool:
        """Whether a line is made of such fields, however many; blanks at its end count nothing."""
        text = line.rstrip()
        if self.width == 12:
            return is_g_line(text)
        fields = [text[i : i + self.width] for i in range(0, len(text), self.width)]
        return bool(fields) and all(self._is_field(field) for field in fields)

    def whole(self, line: bytes, most: int) -> int:
        """How many fields, at most ``most``, a line begins with; each must be there to its last character."""
        fields = [line[i * self.width : (i + 1) * self.width] for i in range(most)]
        return next((i for i, field in enumerate(fields) if not self._is_field(field)), most)

    def holds_whole_numbers(self, line: bytes) -> bool:
        """Whether a line whose numbers left their columns lost nothing: all show all digits, and none came too early.

        A line that is too short may have lost a sign. In G format blanks stand behind a number without exponent, or
        it may have lost one; a power of ten may have one digit more (10.0000 for 10.000: old compilers round 9.99999
        so).
        """
        text = line.rstrip()
        words = re.findall(rb"(\S+)(\s*)", text + b" " * _G_BLANKS)
        if not words:
            return False
        plain = self.width == 12 and _is_plain_g(words[-1][0])
        return len(text) >= len(words) * self.width - 4 * plain and all(
            self._number.fullmatch(word) or (self.width == 12 and len(blanks) >= _G_BLANKS and _is_plain_g(word))
            for word, blanks in words
        )

    @property
    def _number(self) -> re.Pattern[bytes]:
        """A number with all its digits, or more, and an exponent; before the point stands at least a zero or a sign."""
        return re.compile(rb"(?:[+-]|[+-]?\d)\.\d{%d,}(?:[EeDd][+-]\d\d|[+-]\d{3})" % self.decimals)

    def _is_field(self, field: bytes) -> bool:
        if self.width == 12:
            return _G_FIELD.fullmatch(field) is not None and len(field) == 12
        number = rb" *[+-]?\d?\.\d{%d}(?:[EeDd][+-]\d\d|[+-]\d{3})" % self.decimals
        return len(field) == self.width and re.fullmatch(number, field) is not None


def _is_plain_g(word: bytes) -> bool:
    """Whether a number without exponent has the five digits of G format; a zero before the point counts or not."""
    match = _G_PLAIN_WORD.fullmatch(word)
    if not match:
        return False
    before, behind = match.groups()
    digits = (before + behind).lstrip(b"0")
    return len(before + behind) == 5 or (before == b"0" and len(behind) == 5) or digits == b"100000"


RECORD_FORMS = (Form(15, 7), Form(18, 11))  # 5E15.7 of VASP; 5(1X,E17.11) of pymatgen
MOMENT_FORMS = (Form(20, 12),)  # 5E20.12


@dataclass(frozen=True)
class BlockLayout:
    """How the numbers of a block were printed.

    number_format : "E" (1X,E17.11), "G" (1X,G11.5) or "free"
    columns : numbers to a line
    tail : what stands between the last number and the next section
    """

    number_format: str
    columns: int
    tail: bytes

    @property
    def width(self) -> int:
        return 12 if self.number_format == "G" else 18


@dataclass(frozen=True)
class Layout:
    """The text of a file that is not numbers; holds for the structure and grid it was read with."""

    structure: Structure
    shape: Shape
    header: bytes
    grid_line: bytes
    blocks: tuple[BlockLayout, ...]
    newline: bytes
    trailing: bytes


def vasp_layout(kind: str, n_points: int) -> BlockLayout:
    """The layout VASP uses for a kind of file; a last line that is not full ends in two blanks."""
    if kind in ("CHG", "PARCHG", "ELFCAR"):
        return BlockLayout("G", 10, b"\n" if n_points % 10 == 0 else b"  \n")
    return BlockLayout("E", 5, b"\n" if n_points % 5 == 0 else b"  \n")


def block_names(kind: str, count: int) -> tuple[str, ...]:
    """What the blocks of a file are, for messages and tables."""
    if kind == "LOCPOT":
        names = {1: ("potential",), 2: ("spin up", "spin down"), 4: ("potential", "field x", "field y", "field z")}
        return names[count]
    if kind == "ELFCAR":
        return {1: ("ELF",), 2: ("spin up", "spin down")}.get(count, _BLOCK_NAMES[4])
    return _BLOCK_NAMES[count]


def block_form(reader: LineReader) -> Form | None:
    """The fields of VASP that a block's first two lines show (two, so that one may be damaged), None for a list."""
    first, second = (*reader.peek_lines(2), b"", b"")[:2]
    for width, decimals, full, is_line in ((18, 11, 5, _E_LINE.fullmatch), (12, 5, 10, is_g_line)):
        counts = [-(-len(line.rstrip()) // width) if is_line(line) else 0 for line in (first, second)]
        if any(counts):
            return Form(width, decimals, max(counts) if counts[0] else full)
    return None


def is_g_line(line: bytes) -> bool:
    """Whether a line is up to ten fields of 1X,G11.5; blanks at its end may be missing."""
    text = line.rstrip()
    count = -(-len(text) // 12)
    padded = text.ljust(count * 12)
    return 0 < count <= 10 and all(_G_FIELD.fullmatch(padded, i * 12, i * 12 + 12) for i in range(count))


def form_of(line: bytes, known: tuple[Form, ...]) -> Form | None:
    """Which of the known fields a line of up to five numbers with exponents is made of, or None."""
    text = line.rstrip()
    return next((form for form in known if len(text) <= 5 * form.width and form.holds(text)), None)


def first_form(lines: list[bytes], known: tuple[Form, ...]) -> Form | None:
    """The known fields that the first of the lines to show any is made of, or None."""
    return next((form for form in (form_of(line, known) for line in lines) if form), None)


def is_grid_line(line: bytes, shape: Shape) -> bool:
    """Whether a line is the grid line of a grid, however it is spaced."""
    return line.split() == [str(n).encode() for n in shape]


LONGEST_NUMBERS = 80  # of two integers with their blanks; int() refuses thousands of digits with an error of its own


MOST_NUMBERS = 100_000  # of a record; VASP's I4 holds 9999


def record_numbers(tail: bytes) -> tuple[int | None, int | None]:
    """(ion, length) from what follows "augmentation occupancies": 2I4, which may touch or overflow to stars."""
    if len(tail) > LONGEST_NUMBERS:
        return None, None
    for pieces in ([tail[-8:-4], tail[-4:]] if len(tail) == 8 else [], tail.split()):
        if len(pieces) == 2 and pieces[1].strip().isdigit() and int(pieces[1]) <= MOST_NUMBERS:
            if pieces[0].strip().isdigit():
                return int(pieces[0]), int(pieces[1])
            if set(pieces[0].strip()) == set(b"*"):
                return None, int(pieces[1])
    return None, None
