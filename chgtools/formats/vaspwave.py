"""vaspwave.h5: the density that VASP writes with LH5 = .TRUE. or LCHARGH5 = .TRUE., from which it cannot start.

::

    charge/grid                      (3,) NGXF NGYF NGZF
    charge/charge                    (blocks, NGZF, NGYF, NGXF) density x volume, as in a CHGCAR; 1, 2 or 4 blocks
    charge/aug_occupancies_ions_s01  (ions,) length of each record of block 1; s02, ... of the others
    charge/aug_occupancies_s01       (ions, longest) the records, filled up behind their length
    structure/positions/...          ion_types, number_ion_types, scale, lattice_vectors, position_ions,
                                     direct_coordinates
    locpot/position/...              the same, where it is written in place of that

It has no moments of the atoms and, of a non-collinear run, no imaginary parts of the occupancies: both are said.
A vaspout.h5 has no density. Sources: VASP wiki, Restart and output files cheat sheet; py4vasp's raw definitions (order
of axes); pymatgen.io.vasp.outputs.Vaspwave, which is held against CHGCARs of the same runs (units, occupancies).
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import AssumptionWarning, FormatError
from chgtools.formats import hdf5
from chgtools.volumetric import Augmentation, VolumetricData, put_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHARGE, GRID = "charge/charge", "charge/grid"
_GROUPS = ("charge", "wave", "locpot", "results", "input")  # what stands at the root of VASP's files
_MEND = "copy it again or rerun the calculation"
_POSITIONS = ("structure/positions", "locpot/position")


def holds_one(path: str | Path) -> bool:
    """Whether a file is HDF5 of VASP, with a density or without."""
    if not hdf5.is_hdf5(path):
        return False
    with hdf5.foreign(path) as file, hdf5.sense(path, _MEND):
        return "format" not in file.attrs and any(name in file for name in _GROUPS)


def read(path: str | Path) -> VolumetricData:
    """The density as a CHGCAR: electrons/Å³, arrays (nx, ny, nz) in Fortran order.

    Raises FormatError for a file without a density or without its atoms, and where its pieces contradict each other.
    Warns AssumptionWarning of what a CHGCAR of the run would hold and this file does not.
    """
    with hdf5.foreign(path) as file, hdf5.sense(path, _MEND):
        if "format" in file.attrs:
            raise FormatError(f"is a {file.attrs['format']}, no volumetric file", path)
        if CHARGE not in file or GRID not in file:
            raise FormatError(
                "holds no charge density; wanted the vaspwave.h5 of a run with LH5 = .TRUE. or LCHARGH5 = .TRUE.", path
            )
        structure = _structure(file, path)
        blocks = _blocks(file, path, structure.volume)
        augmentation = _augmentation(file, path, len(blocks), structure.n_atoms)
    made = VolumetricData("CHGCAR", structure, blocks, augmentation, source=str(path))
    if len(blocks) == 4 and augmentation:
        made.augmentation = []
        sentence = f"{path}: no imaginary parts of the occupancies are in it, so that they are left out altogether"
        warnings.warn(AssumptionWarning(sentence), stacklevel=2)
    put_moments(made)
    return made


def _structure(file: Any, path: str | Path) -> Structure:
    group = next((file[name] for name in _POSITIONS if name in file), None)
    if group is None:
        raise FormatError(f"holds a density and no atoms; wanted {' or '.join(_POSITIONS)}", path)
    try:
        if not int(hdf5.numbers(group, "direct_coordinates", ndim=0)):
            raise FormatError("says that its positions are Cartesian, and sources differ on what that means", path)
        scale = float(hdf5.numbers(group, "scale", ndim=0))
        names = [re.split(r"[_/.]", _text(name))[0] for name in hdf5.array(group, "ion_types")]
        counts = tuple(int(count) for count in hdf5.numbers(group, "number_ion_types", ndim=1))
        lattice, positions = hdf5.numbers(group, "lattice_vectors"), hdf5.numbers(group, "position_ions", ndim=2)
    except KeyError as error:
        raise FormatError(f"holds atoms without all that describes them ({error}); make it again", path) from error
    if not 0 < scale < np.inf:
        raise FormatError(f"has the scale {scale:g}; wanted a positive one", path)
    return Structure(scale * lattice, tuple(names), counts, positions, source=str(path))


def _text(name: Any) -> str:
    return (name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)).strip()


def _blocks(file: Any, path: str | Path, volume: float) -> list[NDArray[Any]]:
    charge, grid = hdf5.reals(file, CHARGE), tuple(int(n) for n in hdf5.numbers(file, GRID, ndim=1))
    if charge.ndim != 4 or charge.shape[0] not in (1, 2, 4) or charge.shape[:0:-1] != grid or not charge.size:
        raise FormatError(
            f"{CHARGE} has the shape {charge.shape}, {GRID} is {grid}; wanted 1, 2 or 4 blocks of NGZF x NGYF x NGXF",
            path,
        )
    # x runs fastest in the file: reversed axes are Fortran's order without a copy
    blocks = [np.asarray(charge[index], dtype=float).T / volume for index in range(charge.shape[0])]
    if not all(np.isfinite(block).all() for block in blocks):
        raise FormatError(f"{CHARGE} holds values that are no finite numbers; rerun the calculation", path)
    return blocks


def _augmentation(file: Any, path: str | Path, n_blocks: int, n_atoms: int) -> list[Augmentation]:
    """Records of every block; [] where a block has none."""
    found = []
    for block in range(1, n_blocks + 1):
        lengths, values = (f"charge/aug_occupancies_ions_s{block:02d}", f"charge/aug_occupancies_s{block:02d}")
        if lengths not in file or values not in file:
            return []
        counts, rows = hdf5.numbers(file, lengths, ndim=1).astype(int), hdf5.reals(file, values).astype(float)
        if rows.ndim != 2 or len(counts) != n_atoms or len(rows) != n_atoms or counts.max() > rows.shape[1]:
            raise FormatError(f"{values} has the shape {rows.shape}, wanted records of {n_atoms} ions", path)
        if counts.min() < 0 or not all(np.isfinite(row[:count]).all() for row, count in zip(rows, counts, strict=True)):
            raise FormatError(f"{values} holds records that are no finite numbers; rerun the calculation", path)
        found.append(Augmentation([row[:count].copy() for row, count in zip(rows, counts, strict=True)]))
    return found
