"""XDATCAR: the structures that a molecular dynamics or a relaxation went through.

::

    unknown system                     the head of a POSCAR: title, scale, lattice, species, counts
               1
         5.430000    0.000000    0.000000
         0.000000    5.430000    0.000000
         0.000000    0.000000    5.430000
       Si
         8
    Direct configuration=     1        then one position to a line, in 8 decimals
       0.00000000  0.00000000  0.00000000
       ...
    Direct configuration=     2        the cell of before; where it changes (ISIF = 3) the head comes again

Sources: VASP wiki, XDATCAR; pymatgen.io.vasp.outputs.Xdatcar for the repeated head.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chgtools.cell import Structure
from chgtools.formats import poscar
from chgtools.formats.streams import LineReader, reading

MARK = b"configuration="


def frames(path: str | Path) -> Iterator[Structure]:
    """The structures one by one. Raises FormatError where the file stops to make sense, after those before."""
    with LineReader(path) as reader:
        cell = poscar.parse(reader)
        yield _whole(reader, cell)
        while (line := _next_line(reader)) is not None:
            if MARK in line:
                reader.readline()
                yield _whole(reader, cell.with_changes(frac=poscar.parse_positions(reader, cell.n_atoms)))
            else:
                cell = poscar.parse(reader)
                yield _whole(reader, cell)


def count(path: str | Path) -> int:
    """How many structures a file has, the last perhaps cut short."""
    with reading(path) as file:
        return sum(MARK in line for line in file)


def _whole(reader: LineReader, structure: Structure) -> Structure:
    """The structure, unless the file ends in its last line: digits may be missing, and VASP ends every line."""
    if reader.lacks_newline and reader.peek() is None:
        raise reader.fail("the file ends within a position; it was cut short: take an earlier configuration")
    return structure


def _next_line(reader: LineReader) -> bytes | None:
    """The next line that is not blank, not consumed; None at the end of the file."""
    while (line := reader.peek()) is not None and not line.strip():
        reader.readline()
    return line
