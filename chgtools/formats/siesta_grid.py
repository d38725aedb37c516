"""Rho.grid.nc and DeltaRho.grid.nc of SIESTA (SaveRho, SaveDeltaRho with netCDF), with the .XV that has the atoms.

netCDF, classic or HDF5::

    cell      (abc, xyz) float32, bohr, vectors one after the other
    gridfunc  (spin, n3, n2, n1) float32, electrons/bohr³; its attribute Description ends in the name, "Rho"

One component is the total, two are up and down. DeltaRho is the density less that of SIESTA's atoms, half of it off
each component: a difference density, for --difference. Sources: SIESTA's iogrid_netcdf and grid2cdf (Util/Grid), its
dhscf (what is subtracted), sisl's gridncSileSiesta (units, order of axes).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chgtools.errors import FormatError
from chgtools.formats import hdf5
from chgtools.formats.siesta_xv import atoms_of
from chgtools.formats.streams import read_bytes, reading, stem
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

NAME = "Rho.grid.nc"  # of a total density
NAMES = (NAME, "DeltaRho.grid.nc")
_CLASSIC = (b"CDF\x01", b"CDF\x02")  # netCDF classic format and its 64-bit offsets
_MEND = "copy it again or rerun SIESTA"


def holds_one(path: str | Path) -> bool:
    """Whether a file is a grid function of SIESTA, a density or not. Raises FormatError for one that is not there."""
    if not _is_netcdf(path):
        return False
    try:
        with _variables(path) as found:
            return {"cell", "gridfunc"} <= set(found)
    except FormatError:  # damaged: whoever reads it says so
        return stem(path).endswith(".grid.nc")


def read(path: str | Path) -> VolumetricData:
    """The density as a CHGCAR: electrons/Å³ and μ_B/Å³, arrays (nx, ny, nz) in Fortran order.

    Raises FormatError for a damaged file, four spin components, a grid function that is no density of the valence
    electrons, and one without an .XV or with that of another cell.
    """
    with _variables(path) as found:
        if not {"cell", "gridfunc"} <= set(found):
            raise FormatError(f"is no grid function of SIESTA; {_MEND}", path)
        cell, spins = _numbers(found["cell"]), _numbers(found["gridfunc"])
        named = _name_of(found["gridfunc"], path)
    if f"{named}.grid.nc" not in NAMES:
        raise FormatError(f"holds {named or 'a grid function without a name'} of SIESTA; wanted Rho or DeltaRho", path)
    if cell.shape != (3, 3) or spins.ndim != 4 or not (np.isfinite(cell).all() and np.isfinite(spins).all()):
        raise FormatError(f"has a cell {cell.shape} and a density {spins.shape} that are damaged; {_MEND}", path)
    if len(spins) not in (1, 2):
        raise FormatError(f"has {len(spins)} spin components; wanted 1, or 2 of a collinear run", path)
    spins = spins / BOHR_ANGSTROM**3
    fields = spins if len(spins) == 1 else np.stack([spins[0] + spins[1], spins[0] - spins[1]])
    structure = atoms_of(path, cell * BOHR_ANGSTROM, None)
    return VolumetricData("CHGCAR", structure, [field.T for field in fields], source=str(path))


def _is_netcdf(path: str | Path) -> bool:
    with reading(path) as file:
        head = file.read(8)
    return head.startswith(_CLASSIC) or hdf5.is_hdf5(path)


@contextmanager
def _variables(path: str | Path) -> Iterator[Any]:
    """The variables of a netCDF file by name, with their attributes."""
    if hdf5.is_hdf5(path):
        with hdf5.foreign(path) as file, hdf5.sense(path, _MEND):
            yield file
        return
    from scipy.io import netcdf_file

    with hdf5.sense(path, _MEND), netcdf_file(io.BytesIO(read_bytes(path)), mmap=False) as file:
        yield file.variables


def _numbers(variable: Any) -> NDArray[np.float64]:
    return np.array(variable[:], dtype=float)


def _name_of(variable: Any, path: str | Path) -> str:
    """ "Rho" of the Description "Grid function -- Rho", else of the file's name."""
    attributes = variable.attrs if hasattr(variable, "attrs") else vars(variable)
    said = attributes.get("Description", b"")
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    return text.partition("--")[2].strip() or stem(path).removesuffix(".grid.nc")
