"""What the reader and the writer of CHGCAR share: names, fields, and the text of a file that is not numbers."""

from __future__ import annotations

from dataclasses import dataclass

from chgtools.cell import Structure
from chgtools.formats.grid_block import BlockLayout

RECORD = b"augmentation occupancies"
IMAGINARY = b" (imaginary part)"
RECORD_FIELDS = ((15, 7), (18, 11))  # 5E15.7 of VASP; 5(1X,E17.11) of pymatgen
MOMENT_FIELDS = ((20, 12),)  # 5E20.12
Fields = tuple[tuple[int, int], ...]
_BLOCK_NAMES = {
    1: ("total",),
    2: ("total", "magnetisation"),
    4: ("total", "magnetisation x", "magnetisation y", "magnetisation z"),
}


@dataclass(frozen=True)
class Layout:
    """The text of a file that is not numbers; holds for the structure and grid it was read with."""

    structure: Structure
    shape: tuple[int, int, int]
    header: bytes
    grid_line: bytes
    blocks: tuple[BlockLayout, ...]
    newline: bytes
    trailing: bytes


def block_names(kind: str, count: int) -> tuple[str, ...]:
    """What the blocks of a file are, for messages and tables."""
    if kind == "LOCPOT":
        names = {1: ("potential",), 2: ("spin up", "spin down"), 4: ("potential", "field x", "field y", "field z")}
        return names[count]
    if kind == "ELFCAR":
        return {1: ("ELF",), 2: ("spin up", "spin down")}.get(count, _BLOCK_NAMES[4])
    return _BLOCK_NAMES[count]
