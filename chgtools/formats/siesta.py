"""SystemLabel.RHO of SIESTA (SaveRho true), with the SystemLabel.XV beside it that has the atoms.

SystemLabel.DRHO (SaveDeltaRho true) has the same layout: the difference from SIESTA's atoms, for --difference. The file
is Fortran's unformatted records, each between two marks of its length::

    cell           (3, 3) float64, bohr, vectors one after the other
    mesh, nspin    four integers of 4 bytes; nspin = 1 (total) or 2 (up, down)
    density        nspin x nz x ny records of nx float32, electrons/bohr³

Sources: the SIESTA manual (SaveRho, SaveDeltaRho), its dhscf (half of the atoms off up and down each), sisl's reader.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chgtools.errors import FormatError
from chgtools.formats.siesta_xv import atoms_of
from chgtools.formats.streams import read_bytes, reading, stem
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

SUFFIX = ".RHO"
_MEND = "copy it again or rerun SIESTA"
_HEAD = np.dtype([("open", "<i4"), ("cell", "<f8", (3, 3)), ("close", "<i4"), ("next", "<i4"), ("sizes", "<i4", 4)])


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
    structure = atoms_of(path, first["cell"] * BOHR_ANGSTROM, Path(stem(path)).stem)
    return VolumetricData("CHGCAR", structure, [f.T for f in fields], source=str(path))
