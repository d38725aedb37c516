"""POSCAR and CONTCAR, and the same lines at the head of CHGCAR and its family.

::

    Fe3O4                            comment
       1.0                           scale; negative: the cell's volume in Å³; three numbers: factors for x, y, z
         8.4   0.0   0.0             lattice vectors, to be multiplied by the scale
         0.0   8.4   0.0
         0.0   0.0   8.4
       Fe   O                        species; absent in VASP 4; Fe_pv or Fe_pv/hash gives the POTCAR's label
         24    32                    atoms of each; behind 20 groups VASP goes on in a new line, here and above
    Selective dynamics               optional
    Direct                           or Cartesian (first letter C, c, K or k)
      0.125 0.125 0.125              positions

Sources: VASP wiki, POSCAR; header variants seen in files of VASP 4.6 to 6.4 (see docs/reference/files.md).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.formats.streams import LineReader, writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Fortran reals; a sign may touch the number before it
_REAL = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[EeDd][+-]?\d+)?")
# VASP prints 20(3X,A2) and 20I6: CONTCAR of VASP in pymatgen's reader of POSCARs, pymatgen pull request 502
GROUPS_PER_LINE = 20
BEYOND = 1e12  # Å or Å³; what is as large is damaged
_NAME = re.compile(r"([A-Z][a-z]?)(.*)", re.DOTALL)
_ELEMENT = re.compile(r"([A-Z][a-z]?)(?:[_./\d].*)?")


def read(path: str | Path) -> Structure:
    """Structure of a POSCAR or CONTCAR; what follows the positions (velocities) is not read.

    Raises FormatError with file, line, what was found and what was wanted.
    """
    with LineReader(path) as reader:
        return parse(reader)


def _line(reader: LineReader, wanted: str) -> bytes:
    line = reader.readline()
    if line is None:
        raise reader.fail(f"the file ends where {wanted} is wanted; copy it again or write it anew", reader.line + 1)
    return line


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _reals(reader: LineReader, line: bytes, count: int, what: str) -> list[float]:
    """``count`` numbers at the head of a line; text behind them is left alone."""
    head = re.split(rb"[!#]", line)[0]
    values: list[float] = []
    position = 0
    while len(values) < count:
        while position < len(head) and head[position : position + 1] in (b" ", b"\t", b"\r", b","):
            position += 1
        number = _REAL.match(head, position)
        if not number:
            break
        values.append(float(number.group().replace(b"D", b"E").replace(b"d", b"e")))
        position = number.end()
    rest = head[position : position + 1]
    if len(values) < count or (rest and not rest.isspace() and rest not in b",+-"):
        raise reader.fail(f"found {_shown(line)} where {what} is wanted")
    if not all(abs(value) < BEYOND for value in values):
        raise reader.fail(f"found a number beyond all bounds in {_shown(line)} where {what} is wanted")
    return values


def _split_name(reader: LineReader, name: str) -> tuple[str, str]:
    """(element, label) of a species name; the label is "" unless the name says which POTCAR it means."""
    before_hash, slash, digest = name.partition("/")
    match = _NAME.fullmatch(before_hash)
    if not match:
        raise reader.fail(f"found the species name {name!r}; wanted an element or a POTCAR label such as Fe or Fe_pv")
    element, rest = match.groups()
    return element, before_hash if rest or (slash and digest) else ""


def _is_name(token: bytes) -> bool:
    """Whether a word is an element, or one with a label's ending, and no other word such as Cartesian."""
    match = _ELEMENT.fullmatch(token.decode("ascii", "replace"))
    return match is not None and match[1] in SYMBOLS


def _is_count(token: bytes) -> bool:
    # VASP's own lines are 120 digits at most; int() refuses thousands with an error of its own
    return token.isdigit() and len(token) <= 400


def _words(line: bytes) -> list[bytes]:
    """The words of a line before a comment."""
    return re.split(rb"[!#]", line)[0].split()


def _species(reader: LineReader) -> tuple[list[str], list[str], list[int]]:
    """(elements, labels, counts) from the lines of names and counts, which VASP wraps behind every 20 groups.

    Without a line of names (VASP 4) elements and labels are "".
    """
    line = _line(reader, "the species or their counts")
    names: list[tuple[str, str]] = []
    widths: list[int] = []  # names in each line, and so counts in the line of counts that belongs to it
    while (tokens := _words(line)) and not _is_count(tokens[0]):
        if widths and not all(_is_name(token) for token in tokens):
            raise reader.fail(f"found {_shown(line)} where the number of atoms of each species is wanted")
        names += [_split_name(reader, token.decode("ascii", "replace")) for token in tokens]
        widths.append(len(tokens))
        line = _line(reader, "the number of atoms of each species")
    counts = _counts(reader, line, widths[0] if widths else 0)
    while len(counts) < len(names) if names else len(counts) % GROUPS_PER_LINE == 0:
        tokens = _words(reader.peek() or b"")
        if not tokens or not _is_count(tokens[0]):
            break
        left = len(names) - len(counts)
        counts += _counts(reader, _line(reader, "the number of atoms"), min(left, GROUPS_PER_LINE) if names else 0)
    if names and len(counts) != len(names):
        raise reader.fail(f"found {len(counts)} atom counts for {len(names)} species; wanted one for each")
    if min(counts) < 0 or not 0 < sum(counts) <= 10_000_000:
        raise reader.fail(f"found the atom counts {counts}; wanted positive numbers")
    names = names or [("", "")] * len(counts)
    return [element for element, _ in names], [label for _, label in names], counts


def _counts(reader: LineReader, line: bytes, expected: int) -> list[int]:
    """Counts of one line; where the fields touch (I4 or I6 filled up) they are cut by the equal widths of ``expected``.

    expected : counts that the line is to have, 0 where that is not known
    """
    tokens = _words(line)
    text = line.rstrip()
    if expected and len(tokens) < expected and len(text) % expected == 0:
        width = len(text) // expected
        cut = [text[i * width : (i + 1) * width].strip() for i in range(expected)]
        tokens = cut if all(_is_count(token) for token in cut) else tokens
    if not tokens or not all(_is_count(token) for token in tokens):
        raise reader.fail(f"found {_shown(line)} where the number of atoms of each species is wanted")
    return [int(token) for token in tokens]


def parse(reader: LineReader) -> Structure:
    """Structure from the lines up to the last position; leaves the reader behind that line."""
    comment = _line(reader, "a title").decode("utf-8", "replace").rstrip()
    line = _line(reader, "the scale factor")
    tokens = _words(line)
    scale = _reals(reader, line, 3 if len(tokens) >= 3 else 1, "the scale factor (one number, or three)")
    rows = np.array([_reals(reader, _line(reader, "a lattice vector"), 3, "a lattice vector") for _ in range(3)])
    determinant = abs(float(np.linalg.det(rows)))
    if determinant < 1e-12:
        raise reader.fail("the three lattice vectors lie in one plane, so that the cell has no volume", 3)
    if len(scale) == 3:
        if min(scale) <= 0:
            raise reader.fail(f"found the scale factors {scale}; three factors must be positive", 2)
        factor = np.array(scale)
    elif scale[0] == 0:
        raise reader.fail("found the scale factor 0; wanted a length factor, or minus the cell's volume", 2)
    else:
        factor = np.full(3, scale[0] if scale[0] > 0 else (-scale[0] / determinant) ** (1 / 3))
    lattice = rows * factor
    if abs(float(np.linalg.det(lattice))) < 1e-12:
        raise reader.fail(f"the scale factor {scale[0]:g} leaves the cell no volume", 2)

    species, labels, counts = _species(reader)

    line = _line(reader, "Direct or Cartesian")
    if line.strip()[:1] in (b"S", b"s"):
        line = _line(reader, "Direct or Cartesian")
    cartesian = line.strip()[:1] in (b"C", b"c", b"K", b"k")
    if _REAL.match(line.strip()):
        raise reader.fail(f"found {_shown(line)} where Direct or Cartesian is wanted")
    positions = parse_positions(reader, sum(counts))
    if cartesian:
        positions = (positions * factor) @ np.linalg.inv(lattice)
    return Structure(lattice, tuple(species), tuple(counts), positions, tuple(labels), comment, source=str(reader.path))


def parse_positions(reader: LineReader, n_atoms: int) -> NDArray[np.float64]:
    """(n_atoms, 3) numbers of as many lines, as they stand there."""
    what = f"a position (three numbers) of {n_atoms} atoms"
    return np.array([_reals(reader, _line(reader, what), 3, what) for _ in range(n_atoms)])


def write(structure: Structure, path: str | Path) -> None:
    """Write a POSCAR with 16 decimals; species lines hold elements, or labels where the structure has them."""
    names = [label or name for name, label in zip(structure.species, structure.labels, strict=True)]
    lines = [structure.comment or structure.formula, "1.0"]
    lines += [" " + " ".join(f"{x:21.16f}" for x in row) for row in structure.lattice]
    if any(names):
        lines.append(" ".join(names))
    lines += [" ".join(str(count) for count in structure.counts), "Direct"]
    lines += [" " + " ".join(f"{x:19.16f}" for x in row) for row in structure.frac]
    with writing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
