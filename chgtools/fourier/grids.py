"""VASP's rule for the size of its FFT grids.

Grid rule. Read off 1,588 real runs of VASP 4.6 to 6.6 (1,025 of them are the benchmark ``fft_grids.py``); the wiki's
pages NGX and NGXF give the factors, the runs the rounding. Constants are VASP's own (``VASP_RYDBERG_EV``,
``VASP_BOHR_ANGSTROM``). The cell is the one a run starts with.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, ChgtoolsError, SettingsError
from chgtools.units import VASP_BOHR_ANGSTROM, VASP_RYDBERG_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = tuple[int, int, int]
Tags = Sequence[int | None]

_PRECISIONS = ("accurate", "normal", "single", "singlen", "low", "medium", "high")
# NGX in units of the cutoff index: 4 avoids all wrap-around of products of two orbitals, 3 allows a little
_COARSE = {"accurate": 4, "high": 4, "normal": 3, "single": 3, "singlen": 3, "medium": 3, "low": 3}
# NGXF in units of the cutoff index of ENAUG
_AUGMENTATION = {"low": 3.0, "medium": 4.0, "high": 16 / 3}


def fft_friendly(n: int) -> int:
    """The smallest even number >= n (and >= 2) with no prime factors but 2, 3, 5 and 7."""
    n = max(2, n + n % 2)
    while not _is_smooth(n):
        n += 2
    return n


def _is_smooth(n: int) -> bool:
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n == 1


def precision_name(prec: str) -> str:
    """The full lower-case name of a PREC value, told as VASP tells it: by the first letter, SingleN by its name.

    Raises SettingsError for a value that VASP does not know.
    """
    text = prec.strip().lower().partition(" ")[0]
    if text == "singlen":
        return text
    for name in _PRECISIONS:
        if text[:1] == name[0]:
            return name
    raise SettingsError(f"found PREC = {prec!r}; wanted Normal, Accurate, Single, SingleN, Low, Medium or High")


def fft_grid(
    lattice: NDArray[np.float64] | Sequence[Sequence[float]],
    encut: float,
    prec: str = "Normal",
    enaug: float | None = None,
    ng: Tags = (None, None, None),
    ngf: Tags = (None, None, None),
    vasp: int | None = None,
) -> tuple[Shape, Shape]:
    """The grids VASP takes: ((NGX, NGY, NGZ), (NGXF, NGYF, NGZF)); CHGCAR lives on the second.

    lattice : (3, 3), Å, rows; the cell the run starts with
    encut, enaug : eV; ENAUG counts for PREC = Low, Medium and High only, and is needed there
    prec : PREC, any case; the first letter decides
    ng, ngf : NGX.. and NGXF.. of the INCAR, None where not set. Each tag stands for its own axis and is raised to
        the next size the FFT takes; the fine grid follows the coarse one that results. (Runs with NGX.. set bear
        this out, runs with NGXF.. alone were not at hand.)
    vasp : major version of VASP, for PREC = Single only: 3/2 of the cutoff sphere up to VASP 5 (seen in runs), 2 from
        VASP 6 on (its wiki). By default VASP 5's, with an AssumptionWarning.
    Raises SettingsError for values that cannot be used.
    """
    name = precision_name(prec)
    lengths = _edges(lattice)
    factor = _COARSE[name]
    if name == "single":
        if vasp is None:
            warnings.warn(
                "PREC = Single: the grid is that of VASP 5 (3/2 of the cutoff sphere); VASP 6 takes 2. "
                "Set NGX.. and NGXF.. in the INCAR to be sure",
                AssumptionWarning,
                stacklevel=2,
            )
        elif vasp >= 6:
            factor = 4
    coarse = [
        fft_friendly(int(factor * index + 0.5) if tag is None else _tag(tag, f"NG{axis}"))
        for axis, index, tag in zip("XYZ", _cutoff_indices(encut, lengths, "ENCUT"), ng, strict=True)
    ]
    if name in _AUGMENTATION:
        if enaug is None:
            raise SettingsError(f"PREC = {prec} needs ENAUG, found none; give it (largest EAUG of the POTCARs)")
        indices = _cutoff_indices(enaug, lengths, "ENAUG")
        fine = [max(int(_AUGMENTATION[name] * index), n) for index, n in zip(indices, coarse, strict=True)]
    else:
        times = 1 if name.startswith("single") else 2
        fine = [times * n for n in coarse]
    fine = [
        fft_friendly(n if tag is None else _tag(tag, f"NG{axis}F"))
        for axis, n, tag in zip("XYZ", fine, ngf, strict=True)
    ]
    return (coarse[0], coarse[1], coarse[2]), (fine[0], fine[1], fine[2])


def _edges(lattice: Any) -> NDArray[np.float64]:
    lattice = np.asarray(lattice, dtype=float)
    if lattice.shape != (3, 3) or not np.isfinite(lattice).all() or abs(np.linalg.det(lattice)) < 1e-9:
        raise SettingsError(f"found the lattice {lattice.tolist()}; wanted three independent vectors in Å, as rows")
    return np.linalg.norm(lattice, axis=1)


def _cutoff_indices(energy: float, lengths: NDArray[np.float64], tag: str) -> list[float]:
    """G_cut |a_i| / 2π of each axis, in VASP's constants."""
    if not (math.isfinite(energy) and energy > 0):
        raise SettingsError(f"found {tag} = {energy:g}; wanted a positive cutoff in eV")
    return [math.sqrt(energy / VASP_RYDBERG_EV) * a / VASP_BOHR_ANGSTROM / (2 * math.pi) for a in lengths]


def _tag(value: int, name: str) -> int:
    if value < 1:
        raise SettingsError(f"found {name} = {value}; wanted a positive number of grid points")
    return value


def check_shape(shape: Sequence[int]) -> Shape:
    """Three positive grid sizes as ints. Raises ChgtoolsError otherwise."""
    sizes = tuple(int(n) for n in shape)
    if len(sizes) != 3 or min(sizes) < 1 or any(n != m for n, m in zip(sizes, shape, strict=True)):
        raise ChgtoolsError(f"found the grid {tuple(shape)}; wanted three positive numbers of points")
    return sizes
