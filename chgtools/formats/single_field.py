"""What cube and XSF files share: one field as a list of numbers, one atom to a line, a comment that names the field.

Neither format can say what its numbers are. Our files say it in a comment::

    chgtools: CHGCAR, block total, electrons/bohr^3

Files of other programs are taken as densities in electrons/bohr³, which most programs write (Gaussian, Quantum
ESPRESSO's pp.x, CP2K); an AssumptionWarning says so.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, SettingsError
from chgtools.formats.chgcar_layout import block_names
from chgtools.formats.streams import LineReader
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import DENSITY_KINDS, KINDS, VolumetricData

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = 6
LEAD, WIDTH, DIGITS = 1, 18, 11  # 1X,E18.11: blanks between all numbers, and the 11 digits of a CHGCAR
BEYOND = 1e12  # no length or count is as large; what is, is damaged
SMALLEST = 1e-98  # Fortran drops the E of a three-digit exponent, which other programs then cannot read
_COMMENT = re.compile(r"chgtools:\s+(\w+),\s+block\s+([\w ]+),\s+([\w/^ ]+)")


@dataclass(frozen=True)
class Field:
    """kind : "CHGCAR", "LOCPOT", ...; block : "total", "magnetisation", ...; None when a file does not say."""

    kind: str
    block: str | None

    @property
    def to_file(self) -> float:
        """Factor from our unit (electrons/Å³, μ_B/Å³, eV, 1) to the file's (per bohr³ for densities)."""
        return BOHR_ANGSTROM**3 if self.kind in DENSITY_KINDS else 1.0

    @property
    def unit(self) -> str:
        if self.kind in DENSITY_KINDS:
            return "electrons/bohr^3" if self.block == "total" else "mu_B/bohr^3"
        return "eV" if self.kind == "LOCPOT" else "1"

    @property
    def comment(self) -> str:
        return f"chgtools: {self.kind}, block {self.block}, {self.unit}"


def chosen(data: VolumetricData, block: int) -> tuple[Field, NDArray[np.floating[Any]]]:
    """The block that is to be written, and what it is. Raises SettingsError for a block that is not there."""
    names = block_names(data.kind, len(data.blocks))
    if not 0 <= block < len(names):
        raise SettingsError(
            f"block {block + 1} is wanted, {data.source or 'the data'} has {len(names)}: {', '.join(names)}"
        )
    return Field(data.kind, names[block]), data.blocks[block]


def named_in(comments: Sequence[str], path: str | Path) -> Field:
    """What a file's comments say about its numbers, or the usual for a file of another program.

    Emits an AssumptionWarning when the file does not say, or says that it holds a block other than the first.
    """
    for comment in comments:
        match = _COMMENT.search(comment)
        if match and match[1] in KINDS:
            field = Field(match[1], " ".join(match[2].split()))
            if match[3].strip() != field.unit:
                raise FormatError(f"says its unit is {match[3].strip()}, wanted {field.unit} for a {field.kind}", path)
            if field.block not in ("total", "potential", "ELF"):
                warnings.warn(AssumptionWarning(f"{path} holds only the block {field.block}"), stacklevel=4)
            return field
    warnings.warn(AssumptionWarning(f"{path}: no unit is stated, taken as electrons/bohr^3"), stacklevel=4)
    return Field("CHGCAR", None)


def read_numbers(reader: LineReader, count: int, scale: float, what: str, grid_line: int) -> NDArray[np.float64]:
    """``count`` numbers, any count to a line, each multiplied by ``scale``; the reader stands before the first.

    what : such as "the 4 x 4 x 4 grid"; grid_line : where the file says so
    Raises FormatError for too few or too many numbers in the last line, and for words that are no numbers.
    """
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.parse import BAD, DONE, parse_free

    if count > reader.unread_size() // 2 + 1:
        raise reader.fail(
            f"{what} needs {count} numbers, the rest of the file has room for {reader.unread_size() // 2} at most; "
            "the file was cut short or this line is damaged: copy it again",
            grid_line,
        )
    values = np.empty(count)
    done = 0
    while True:
        text, stop = reader.buffer[reader.start :], reader.stop - reader.start
        used, done, lines, status = parse_free(text, stop, values, done, scale, POWERS, True)
        reader.consume(used, lines)
        if status == DONE:
            if not np.isfinite(values).all():
                raise reader.fail(f"{what} holds numbers beyond all bounds; copy the file again", grid_line)
            return values
        if status == BAD:
            line = (reader.peek() or b"").decode("ascii", "replace").strip()
            raise reader.fail(
                f"found {line[:40]!r} after {done} of the {count} numbers that {what} needs (line {grid_line}); "
                "the file was cut or damaged: copy it again",
                reader.line + 1,
            )
        if not reader.fill():
            raise reader.fail(
                f"the file ends after {done} of the {count} numbers that {what} needs (line {grid_line}); "
                "it was cut short: copy it again",
                reader.line + 1,
            )


def write_rows(file: IO[bytes], rows: NDArray[np.floating[Any]], scale: float, what: str) -> None:
    """Print (n_rows, n) numbers, six to a line, a new line for each row; every value multiplied by ``scale``.

    Raises ChgtoolsError for a value that is not finite.
    """
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.printing import format_e

    length = rows.shape[1]
    text = np.empty(length * (LEAD + WIDTH) + length // COLUMNS + 16, np.uint8)
    scaled = np.multiply(rows, scale, dtype=float, order="C")
    scaled[np.abs(scaled) < SMALLEST] = 0.0
    for row in scaled:
        used = format_e(row, 1.0, LEAD, WIDTH, DIGITS, COLUMNS, text, POWERS)
        if used < 0:
            raise ChgtoolsError(f"the block {what} holds values that are not finite; nothing was written")
        file.write(memoryview(text)[:used])


def read_line(reader: LineReader, wanted: str) -> str:
    """The next line as text. Raises FormatError at the end of the file."""
    line = reader.readline()
    if line is None:
        raise reader.fail(f"the file ends where {wanted} is wanted; copy it again", reader.line + 1)
    return line.decode("utf-8", "replace").strip()


def numbers_of(reader: LineReader, line: str, count: int, wanted: str, first: int = 0) -> list[float]:
    """``count`` words of the line just read, from word ``first`` on, as numbers.

    Raises FormatError unless they are there and not beyond all bounds.
    """
    try:
        values = [float(word.replace("D", "E").replace("d", "e")) for word in line.split()[first : first + count]]
    except ValueError:
        values = []
    if len(values) < count or not all(abs(value) < BEYOND for value in values):
        raise reader.fail(f"found {line[:60]!r} where {wanted} is wanted")
    return values


def integer_of(reader: LineReader, value: float, wanted: str) -> int:
    if value != int(value):
        raise reader.fail(f"found {value:g} where {wanted} is wanted")
    return int(value)


def element_of(reader: LineReader, word: str) -> str:
    """Element of a symbol or an atomic number; "" for 0 and X, which name none."""
    if word.lstrip("+-").isdigit():
        if not 0 <= int(word) <= len(SYMBOLS):
            raise reader.fail(f"found the atomic number {word}; wanted 1 to {len(SYMBOLS)}")
        return "" if int(word) == 0 else SYMBOLS[int(word) - 1]
    name = word.capitalize()
    if name not in SYMBOLS and name != "X":
        raise reader.fail(f"found {word!r} where an element or an atomic number is wanted")
    return "" if name == "X" else name


def structure_of(
    lattice: NDArray[np.float64], elements: list[str], positions: NDArray[np.float64], comment: str, path: str | Path
) -> Structure:
    """Structure of atoms at Cartesian positions (n_atoms, 3), Å; equal neighbours make one group."""
    groups = [(name, len(list(group))) for name, group in groupby(elements)]
    return Structure(
        lattice,
        tuple(name for name, _ in groups),
        tuple(count for _, count in groups),
        np.asarray(positions, dtype=float).reshape(-1, 3) @ np.linalg.inv(lattice),
        comment=comment,
        source=str(path),
    )
