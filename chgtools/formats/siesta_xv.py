"""SystemLabel.XV of SIESTA: the atoms that its files of densities lack.

Text: three lines of a lattice vector and its velocity, bohr; the number of atoms; for each atom its species, atomic
number, position in bohr and velocity. Sources: the SIESTA manual and sisl's reader.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError
from chgtools.formats import archives
from chgtools.formats.single_field import structure_of
from chgtools.formats.streams import is_there, read_bytes
from chgtools.units import BOHR_ANGSTROM

SUFFIX = ".XV"
_MEND = "copy it again or rerun SIESTA"
_SAME_CELL = 1e-4  # of a vector's length; the .XV has nine decimals, and may be of a later step


def atoms_of(path: str | Path, cell: NDArray[np.float64], label: str | None) -> Structure:
    """The atoms of a density, in the cell that its file has.

    cell : (3, 3) Å, rows; label : the SystemLabel, None where the density's name does not tell it: then the one .XV of
    the folder counts. Raises FormatError where there is none, or several, and for one of another cell.
    """
    place = _beside(path) if label is None else _folder_of(path) / f"{label}{SUFFIX}"
    if not is_there(place):
        raise FormatError(f"has no {place.name} beside it, which has its atoms", path)
    structure = read_xv(place)
    if not np.allclose(cell, structure.lattice, rtol=0, atol=_SAME_CELL * np.abs(cell).max()):
        raise FormatError(f"is of another cell than the {structure.source} beside it; {_MEND}", path)
    exact = Structure(cell, structure.species, structure.counts, structure.frac, comment=structure.formula)
    return exact.with_changes(source=str(path))


def _folder_of(path: str | Path) -> Path:
    return archives.folder_of(path) if archives.is_member(path) else Path(path).parent


def _beside(path: str | Path) -> Path:
    """The one .XV in the folder of a file; its usual name where there is none."""
    folder = _folder_of(path)
    if archives.is_member(path):
        file, inside = archives.split(path)
        here = PurePosixPath(archives.plain_name(inside)).parent
        names = [PurePosixPath(name).name for name in archives.readable_in(file) if PurePosixPath(name).parent == here]
    else:
        names = [each.name for each in folder.iterdir()]
    found = sorted(name for name in names if name.endswith(SUFFIX))
    if len(found) > 1:
        raise FormatError(f"has several {SUFFIX} beside it ({', '.join(found[:3])}); leave the one of its run", path)
    return folder / (found[0] if found else f"SystemLabel{SUFFIX}")


def read_xv(place: Path) -> Structure:
    """Raises FormatError for a damaged file."""
    try:
        lines = [line.split() for line in read_bytes(place).decode("ascii").splitlines() if line.strip()]
        cell = np.array([[float(word) for word in line[:3]] for line in lines[:3]])
        atoms = lines[4 : 4 + int(lines[3][0])]
        numbers = [int(line[1]) for line in atoms]
        positions = np.array([[float(word) for word in line[2:5]] for line in atoms])
        if len(atoms) != int(lines[3][0]) or not atoms or cell.shape != (3, 3) or positions.shape != (len(atoms), 3):
            raise ValueError("lines are missing")
        if not all(1 <= number <= len(SYMBOLS) for number in numbers):
            raise ValueError("ghost atoms or atomic numbers beyond the elements")
    except (ValueError, LookupError) as error:
        raise FormatError(f"is no .XV of SIESTA, or a damaged one ({error}); {_MEND}", place) from error
    if not (np.isfinite(cell).all() and np.isfinite(positions).all() and math.fabs(np.linalg.det(cell)) > 1e-6):
        raise FormatError(f"has a cell without a volume; {_MEND}", place)
    symbols = [SYMBOLS[number - 1] for number in numbers]
    return structure_of(cell * BOHR_ANGSTROM, symbols, positions * BOHR_ANGSTROM, "", place)
