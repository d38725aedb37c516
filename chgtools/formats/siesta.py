"""SystemLabel.RHO of SIESTA (SaveRho true), with the SystemLabel.XV beside it that has the atoms.

The .RHO is Fortran's unformatted records, each between two marks of its length::

    cell           (3, 3) float64, bohr, vectors one after the other
    mesh, nspin    four integers of 4 bytes; nspin = 1 (total) or 2 (up, down)
    density        nspin x nz x ny records of nx float32, electrons/bohr³

The .XV is text: three lines of a lattice vector and its velocity, bohr; the number of atoms; for each atom its species,
atomic number, position in bohr and velocity.

Sources: the SIESTA manual (SaveRho; .XV) and sisl's readers of both.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError
from chgtools.formats import archives
from chgtools.formats.single_field import structure_of
from chgtools.formats.streams import is_there, read_bytes, reading, stem
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

SUFFIX = ".RHO"
_MEND = "copy it again or rerun SIESTA"
_HEAD = np.dtype([("open", "<i4"), ("cell", "<f8", (3, 3)), ("close", "<i4"), ("next", "<i4"), ("sizes", "<i4", 4)])
_SAME_CELL = 1e-4  # of a vector's length; the .XV has nine decimals, and may be of a later step


def holds_one(path: str | Path) -> bool:
    """Whether a file is such a density, by its first records. Raises FormatError for one that is not there."""
    with reading(path) as opened:
        head = opened.read(_HEAD.itemsize)
    if len(head) < _HEAD.itemsize:
        return False
    first = np.frombuffer(head, _HEAD)[0]
    return bool(first["open"] == first["close"] == 72 and first["next"] == 16 and first["sizes"].min() > 0)


def read(path: str | Path) -> VolumetricData:
    """The density as a CHGCAR: electrons/Å³ and μ_B/Å³, arrays (nx, ny, nz) in Fortran order.

    Raises FormatError for a damaged file, four spin components, and one without its .XV or with that of another cell.
    """
    raw = read_bytes(path)
    first = np.frombuffer(raw[: _HEAD.itemsize], _HEAD)[0]
    nx, ny, nz, nspin = (int(n) for n in first["sizes"])
    if nspin not in (1, 2):
        raise FormatError(f"has {nspin} spin components; wanted 1, or 2 of a collinear run", path)
    row = np.dtype([("open", "<i4"), ("values", "<f4", nx), ("close", "<i4")])
    body = raw[_HEAD.itemsize + 4 :]
    if len(body) != row.itemsize * ny * nz * nspin:
        raise FormatError(
            f"holds {len(body)} bytes of density, its mesh {nx} x {ny} x {nz} needs {row.itemsize * ny * nz * nspin}; "
            f"{_MEND}",
            path,
        )
    rows = np.frombuffer(body, row)
    if (rows["open"] != 4 * nx).any() or (rows["close"] != 4 * nx).any() or not np.isfinite(rows["values"]).all():
        raise FormatError(f"is damaged within the density; {_MEND}", path)
    spins = rows["values"].reshape(nspin, nz, ny, nx).astype(float) / BOHR_ANGSTROM**3
    fields = spins if nspin == 1 else np.stack([spins[0] + spins[1], spins[0] - spins[1]])
    structure = _atoms(path)
    cell = first["cell"] * BOHR_ANGSTROM
    if not np.allclose(cell, structure.lattice, rtol=0, atol=_SAME_CELL * np.abs(cell).max()):
        raise FormatError(f"is of another cell than the {structure.source} beside it; {_MEND}", path)
    exact = Structure(cell, structure.species, structure.counts, structure.frac, comment=structure.formula)
    return VolumetricData("CHGCAR", exact.with_changes(source=str(path)), [f.T for f in fields], source=str(path))


def _atoms(path: str | Path) -> Structure:
    beside = archives.folder_of(path) if archives.is_member(path) else Path(path).parent
    place = beside / f"{stem(path).removesuffix(SUFFIX)}.XV"
    if not is_there(place):
        raise FormatError(f"has no {place.name} beside it, which has its atoms", path)
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
