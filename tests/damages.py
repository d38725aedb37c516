"""Damages of a CHGCAR by name, with what `check` and a Fortran reader must make of each; and the files to damage."""

from __future__ import annotations

from pathlib import Path

from synthetic_chgcar import charge

from chgtools.formats import chgcar
from chgtools.volumetric import VolumetricData


def as_vasp_knows(data: VolumetricData) -> tuple:
    """Ions, blocks, grid and record lengths, as POSCAR, INCAR and POTCAR tell them."""
    lengths = data.augmentation[0].lengths if data.augmentation else None
    return data.structure.n_atoms, len(data.blocks), data.shape, lengths


def lines_of(text: bytes) -> list[bytes]:
    return text.split(b"\n")


def index_of(lines: list[bytes], start: bytes, which: int = 0) -> int:
    return [i for i, line in enumerate(lines) if line.startswith(start)][which]


GRID = b"    4    3    3"
RECORD = b"augmentation occupancies"
IMAGINARY = b"augmentation occupancies (imaginary"


def edit(at, change):
    """A damage: ``change(line)`` gives the lines to put in the place of line ``at(lines)``."""

    def damage(text: bytes) -> bytes:
        lines = lines_of(text)
        place = at(lines)
        lines[place : place + 1] = change(lines[place])
        return b"\n".join(lines)

    return damage


def grid(offset, which=0):
    return lambda lines: index_of(lines, GRID, which) + offset


def record(offset, which=0, start=RECORD):
    return lambda lines: index_of(lines, start, which) + offset


def delete(line):
    return []


def cut(share):
    return lambda text: text[: int(len(text) * share)]


def replaced(old, new):
    return lambda line: [line.replace(old, new, 1)]


def whole(line_of_new):
    return lambda line: [line_of_new]


# name: (blocks, damage, code `check` must find). The Fortran reader must reject each of these files.
REJECTED = {
    "stars in the density": (1, edit(grid(2), lambda x: [b" " + b"*" * 17 + x[18:]]), "damaged-number"),
    "NaN in the density": (1, edit(grid(2), lambda x: [b"               NaN" + x[18:]]), "not-finite"),
    "a letter in a number": (1, edit(grid(2), lambda x: [x[:8] + b"x" + x[9:]]), "damaged-number"),
    "touching numbers": (1, edit(grid(2), lambda x: [x[:17] + b"1-" + x[19:]]), "damaged-number"),
    "a sign that touches the number before": (1, edit(grid(1), lambda x: [x[:36] + b"+0" + x[38:]]), "damaged-number"),
    "two points in a number": (1, edit(grid(2), lambda x: [x[:8] + b"." + x[9:]]), "damaged-number"),
    "a line of the density missing": (1, edit(grid(2), delete), "short-block"),
    "one number missing": (1, edit(grid(2), lambda x: [x[:72]]), "short-block"),
    "a line of the density twice": (1, edit(grid(2), lambda x: [x, x]), "surplus-numbers"),
    "cut in the density": (1, cut(0.25), "short-block"),
    "cut in a record": (1, cut(0.9), "record-values"),
    "no grid line": (1, edit(grid(0), delete), "grid-line"),
    "a grid line of two numbers": (1, edit(grid(0), whole(b"    4    3")), "grid-line"),
    "a grid line with a letter": (1, edit(grid(0), whole(b"    4    x    3")), "grid-line"),
    "a position missing": (1, edit(lambda x: 9, delete), "header"),
    "a word in a position": (1, edit(lambda x: 9, whole(b"  0.1 zwei 0.3")), "header"),
    "touching positions": (1, edit(lambda x: 9, lambda x: [b" " + x.replace(b"  0", b"-0")]), "header-number"),
    "a blank lost in the lattice": (1, edit(lambda x: 3, lambda x: [x.replace(b"000    3.6", b"0003.6")]), "header-number"),
    "a lattice vector missing": (1, edit(lambda x: 3, delete), "header"),
    "no header of a record": (1, edit(record(0, 1), delete), "record-missing"),
    "a record missing": (1, lambda text: without_record(text, 2), "record-missing"),
    "the last record missing": (1, lambda text: without_record(text, 3), "record-missing"),
    "records exchanged": (1, lambda text: exchanged(text), "record-order"),
    "a header one blank too long": (1, edit(record(0, 1), replaced(b"cies ", b"cies  ")), "record-header"),
    "a header one blank in": (1, edit(record(0, 1), lambda x: [b" " + x]), "record-header"),
    "the length one blank too far": (1, edit(record(0, 0), lambda x: [x[:28] + b" " + x[28:]]), "record-header"),
    "a header without a length": (1, edit(record(0, 1), lambda x: [x[:28]]), "record-header"),
    "a wrong index": (1, edit(record(0, 1), replaced(b"   2", b"   7")), "record-order"),
    "a wrong length, too long": (1, edit(record(0, 1), replaced(b"  33", b"  34")), "record-values"),
    "a wrong length, too short": (1, edit(record(0, 1), replaced(b"  33", b"  32")), "record-length"),
    "a blank line before the first record": (1, edit(record(0, 0), lambda x: [b"", x]), "blank-line"),
    "a blank line before a later record": (1, edit(record(0, 1), lambda x: [b" ", x]), "blank-line"),
    "two blank lines before a record": (1, edit(record(0, 1), lambda x: [b"", b"", x]), "blank-line"),
    "a line of a record missing": (1, edit(record(2, 0), delete), "record-values"),
    "a line of a record twice": (1, edit(record(2, 0), lambda x: [x, x]), "record-values"),
    "stars in a record": (1, edit(record(2, 0), lambda x: [b"*" * 15 + x[15:]]), "record-values"),
    "NaN in a record": (1, edit(record(2, 0), lambda x: [b"            NaN" + x[15:]]), "record-values"),
    "text between records": (1, edit(record(0, 1), lambda x: [b"# edited", x]), "record-missing"),
    "no moments": (2, edit(grid(-1, 1), delete), "moments-missing"),
    "too few moments": (2, edit(grid(-1, 1), lambda x: [x[:40]]), "moments-count"),
    "moments of three components on lines": (2, edit(grid(-1, 1), lambda x: [x, x, x]), "moments-count"),
    "stars for a moment": (2, edit(grid(-1, 1), lambda x: [x[:40] + b"*" * 20]), "text-between"),
    "text before the moments": (2, edit(grid(-1, 1), lambda x: [b"# edited", x]), "text-between"),
    "another grid in block 2": (2, edit(grid(0, 1), whole(b"    4    3    4")), "grid-between"),
    "no grid line of block 2": (2, edit(grid(0, 1), delete), "grid-between"),
    "cut in block 2": (2, cut(0.7), "short-block"),
    "cut behind the moments": (2, lambda text: text[: text.rindex(GRID)], "block-count"),
    "a short second block": (2, edit(grid(2, 1), delete), "short-block"),
    "a blank line before a record of block 2": (2, edit(record(0, 4), lambda x: [b"", x]), "blank-line"),
    "no imaginary records in block 1": (4, lambda text: without_imaginary(text, 0), "imaginary-missing"),
    "no imaginary records in block 4": (4, lambda text: without_imaginary(text, 3), "imaginary-missing"),
    "an imaginary header one blank too long": (
        4, edit(record(0, 1, IMAGINARY), replaced(b"part)", b"part) ")), "record-header",
    ),
    "an imaginary record missing": (4, lambda text: without_record(text, 2, IMAGINARY), "record-missing"),
    "no moments of block 3": (4, edit(grid(-1, 2), delete), "moments-missing"),
    "three blocks of four": (4, lambda text: text[: text.rindex(b"  0.1000000")], "block-count"),
    "one block of four": (4, lambda text: text[: text.index(b"  0.100000000000E+01")], "block-count"),
}  # fmt: skip

# The Fortran reader takes these too, and so does VASP: `check` must find nothing but notes. name: (blocks, edit, note)
HARMLESS = {
    "three-digit exponents": (1, edit(grid(2), lambda x: [b" 0.12345678901-100" + x[18:]]), None),
    "lines joined": (1, lambda text: joined(text), "layout"),
    "lines of a record joined": (1, lambda text: joined(text, RECORD), "layout"),
    "zeros that fill the last line": (1, edit(grid(8), lambda x: [x.rstrip() + b" 0.00000000000E+00" * 4]), "padding"),
    "blank line in the density": (1, edit(grid(2), lambda x: [b"", x]), "stray-blank-line"),
    "blank line in a record": (1, edit(record(2), lambda x: [b"", x]), "stray-blank-line"),
    "a second blank line before the grid": (1, edit(grid(0), lambda x: [b"", x]), "stray-blank-line"),
    "no blank line before the grid": (1, edit(grid(-1), delete), "separator"),
    "text at the end": (1, lambda text: text + b"written by me\n", "trailing-text"),
    "blank lines at the end": (1, lambda text: text + b"\n\n", "trailing-text"),
    "no newline at the end": (1, lambda text: text[:-1], "final-newline"),
    "carriage returns": (2, lambda text: text.replace(b"\n", b"\r\n"), "crlf"),
    "more digits in the records": (1, lambda text: more_digits(text), None),
    "moments as they come": (2, edit(grid(-1, 1), whole(b" 1 -1.0\n 0.5")), "layout"),
    "a blank line before the moments": (2, edit(grid(-1, 1), lambda x: [b"", x]), "stray-blank-line"),
    "a blank line behind the moments": (2, edit(grid(0, 1), lambda x: [b"", x]), "stray-blank-line"),
    "a header one blank short, which falls in the same columns": (1, edit(record(0, 1), replaced(b"cies ", b"cies")), None),
    "a grid line as it comes": (1, edit(grid(0), whole(b" 4 3  3")), None),
}  # fmt: skip

# Both readers take numbers, but other ones than were written, and `check` says so. name: (damage, code)
MISREAD = {
    "a number too many on the last line": (edit(grid(8), lambda x: [x.rstrip() + b" 0.10000000000E+01"]), "surplus-numbers"),
    "a number that lost its exponent": (edit(grid(2), lambda x: [x[:14] + b"    " + x[18:]]), "number-field"),
    "a number that lost a digit": (edit(grid(2), lambda x: [x[:3] + x[4:]]), "number-field"),
    "a surplus number in the middle": (
        edit(grid(2), lambda x: [x.rstrip() + b" 0.10000000000E+01"]), "surplus-numbers",
    ),
}  # fmt: skip


def bounds(lines: list[bytes], ion: int, start: bytes = RECORD) -> tuple[int, int]:
    """First line of an ion's record in the first block, and the line behind it."""
    first = index_of(lines, start, ion - 1)
    last = first + 1
    while last < len(lines) and lines[last].startswith((b"  0.", b" -0.")) and len(lines[last]) != 60:
        last += 1
    return first, last


def without_record(text: bytes, ion: int, start: bytes = RECORD) -> bytes:
    lines = lines_of(text)
    first, last = bounds(lines, ion, start)
    return b"\n".join(lines[:first] + lines[last:])


def exchanged(text: bytes) -> bytes:
    lines = lines_of(text)
    first, middle = bounds(lines, 1)
    _, last = bounds(lines, 2)
    return b"\n".join(lines[:first] + lines[middle:last] + lines[first:middle] + lines[last:])


def without_imaginary(text: bytes, block: int) -> bytes:
    lines = lines_of(text)
    first = index_of(lines, IMAGINARY, 3 * block)
    _, last = bounds(lines, 3 * block + 3, IMAGINARY)
    return b"\n".join(lines[:first] + lines[last:])


def joined(text: bytes, start: bytes = GRID) -> bytes:
    lines = lines_of(text)
    place = index_of(lines, start) + 2
    return b"\n".join([*lines[:place], lines[place] + lines[place + 1], *lines[place + 2 :]])


def more_digits(text: bytes) -> bytes:
    """Records in pymatgen's fields."""
    lines = lines_of(text)
    for ion in (1, 2, 3):
        first, last = bounds(lines, ion)
        for place in range(first + 1, last):
            lines[place] = b"".join(b" %17s" % f"{float(word):.11E}".encode() for word in lines[place].split())
    return b"\n".join(lines)


class Originals(dict):
    """blocks to (text, what VASP knows) of undamaged files; short to print when a test fails."""

    def __repr__(self) -> str:
        return "Originals()"


def make_originals(folder: Path) -> Originals:
    """Files of 1, 2 and 4 blocks; the fixture ``originals`` of conftest.py."""
    made = Originals()
    for blocks in (1, 2, 4):
        data = charge("CHGCAR", (4, 3, 3), blocks)
        chgcar.write(data, folder / f"CHGCAR{blocks}")
        made[blocks] = ((folder / f"CHGCAR{blocks}").read_bytes(), as_vasp_knows(data))
    return made


def damaged(originals, blocks, damage, folder: Path) -> tuple[Path, tuple]:
    text, known = originals[blocks]
    changed = damage(text)
    assert changed != text, "this damage does nothing"
    (folder / "CHGCAR").write_bytes(changed)
    return folder / "CHGCAR", known
