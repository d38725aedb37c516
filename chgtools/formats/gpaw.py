"""GPAW's .gpw: recognised, and refused with a sentence, since it does not hold the density.

A .gpw is a ULM file of ASE with the tag GPAW. Its density/density is the pseudo density with the smooth cores on the
coarse grid, in electrons/Å³, without compensation charges: 8.69 electrons where silicon has 8. What is missing are the
atomic density matrices, which it has, times the multipole moments of GPAW's setups, which it has not. So GPAW must
write the sum; examples/gpaw_cube.py does. Sources: ase.io.ulm; Density.write of GPAW 22.8, and files made with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from chgtools.errors import FormatError
from chgtools.formats.streams import reading

_HEAD = b"- of UlmGPAW"


def holds_one(path: str | Path) -> bool:
    """Whether a file is a .gpw, by its first bytes. Raises FormatError for one that is not there."""
    with reading(path) as file:
        return file.read(len(_HEAD)) == _HEAD


def read(path: str | Path) -> NoReturn:
    """Raises FormatError, which says what to run in GPAW."""
    raise FormatError(
        "is a restart file of GPAW: it holds the pseudo density without its compensation charges, which take GPAW's "
        "setups; write a cube of their sum by examples/gpaw_cube.py of chgtools' repository, which needs GPAW, and "
        "give that",
        path,
    )
