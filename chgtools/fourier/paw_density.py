"""The valence density of a PAW run, as a CHGCAR holds it, from a pseudo density and the atoms' density matrices.

n(r) = ñ(r) - Σ_a ñ_core,a(r) + Σ_a Σ_L Q_aL g_L(r - R_a) Y_L: the pseudo density without the smooth cores, plus the
compensation charges, which have the multipoles that it lacks. Its integral is that of the valence electrons. P. E.
Blöchl, Phys. Rev. B 50, 17953 (1994); J. J. Mortensen et al., Phys. Rev. B 71, 035109 (2005).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chgtools.fourier.atom_sums import add_atoms, cubics_of
from chgtools.fourier.basis import holding_shape
from chgtools.fourier.half_sphere import half_sphere, take, to_grid
from chgtools.fourier.resampling import coefficients, inscribed_cutoff, resample
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.paw_dataset import PawDataset
    from chgtools.cell import Structure

_STEP = 0.0125  # Å, an interval of the radial tables
_ATOMS_AT_ONCE = 8  # whose tables are in memory
_L_MAX = 2  # of compensation charges
_DEGREES = np.repeat(np.arange(_L_MAX + 1), 2 * np.arange(_L_MAX + 1) + 1)


def valence_density(
    structure: Structure,
    setups: Sequence[PawDataset],
    pseudo: NDArray[np.float64],
    moments: NDArray[np.float64],
    g_max: float | None = None,
) -> NDArray[np.float64]:
    """(2 nx, 2 ny, 2 nz) on the grid twice as fine, Fortran order, electrons/Å³.

    setups : one for each atom
    pseudo : (nx, ny, nz) pseudo density without smooth cores, electrons/Å³, brought over by Fourier interpolation
    moments : (n_atoms, 9) Q_L of PawDataset.moments, electrons bohr^l
    g_max : 1/Å, of the pseudo density's plane waves: the charges have them up to twice that; None, all that the grid
        holds. Waves beyond are left out, not folded back
    """
    fine = [2 * n for n in pseudo.shape]
    sharpest = max(own.sharpest for own in setups) / BOHR_ANGSTROM
    holding = [max(each) for each in zip(fine, holding_shape(structure.lattice, sharpest), strict=True)]
    charges, r = np.zeros(holding, order="F"), _radii(setups)
    shapes = {id(own): np.stack([own.compensation(ell, r) for ell in range(_L_MAX + 1)])[_DEGREES] for own in setups}
    _add(structure, [shapes[id(own)] for own in setups], moments, charges)
    density = resample(np.asfortranarray(pseudo, dtype=float), fine)
    density += resample(charges, fine) if g_max is None else _waves(charges, structure, 2 * g_max, fine)
    return np.asarray(density, dtype=np.float64)


def smooth_cores(
    structure: Structure, setups: Sequence[PawDataset], shape: Sequence[int], g_max: float | None = None
) -> NDArray[np.float64]:
    """(nx, ny, nz) the sum of the smooth cores on a grid, Fortran order, electrons/Å³.

    g_max : 1/Å, by their waves up to there, as far as the grid holds whole spheres of them; None samples them at the
        points and scales the sum to their integral
    """
    from scipy.interpolate import CubicSpline

    r = _radii(setups)
    cores = {id(own): CubicSpline(own.r, own.smooth_core)(np.minimum(r, own.r[-1]))[None] for own in setups}
    field = np.zeros(list(shape) if g_max is None else [2 * n for n in shape], order="F")
    _add(structure, [cores[id(own)] for own in setups], np.ones((len(setups), 1)), field)
    wanted = sum(float((own.smooth_core * own.r**2) @ own.dr) for own in setups) * math.sqrt(4 * math.pi)
    found = float(field.mean()) * structure.volume
    if found > 1e-6:
        field *= wanted / found
    return _waves(field, structure, g_max, shape) if g_max is not None else np.asarray(field, dtype=np.float64)


def _waves(field: NDArray[np.float64], structure: Structure, g_max: float, shape: Sequence[int]) -> NDArray[np.float64]:
    """What a field has of waves up to g_max, as far as a grid holds whole spheres of them, on that grid."""
    miller = half_sphere(structure.lattice, min(g_max, inscribed_cutoff(structure.lattice, shape)))
    return to_grid(miller, take(coefficients(field), field.shape, miller), float(field.mean()), shape)


def _radii(setups: Sequence[PawDataset]) -> NDArray[np.float64]:
    """(3 n_r + 1,) bohr, 0 to where the farthest function of all ends."""
    intervals = math.ceil(max(own.end for own in setups) * BOHR_ANGSTROM / _STEP)
    return np.arange(3 * intervals + 1, dtype=np.float64) * (_STEP / 3 / BOHR_ANGSTROM)


def _add(
    structure: Structure,
    functions: Sequence[NDArray[np.float64]],
    factors: NDArray[np.float64],
    field: NDArray[np.float64],
) -> None:
    """Add Σ_L factor_L f_L(r) Y_L of each atom; functions : (n_L, 3 n_r + 1) at :func:`_radii`, 1/bohr³."""
    for start in range(0, len(functions), _ATOMS_AT_ONCE):
        part = slice(start, start + _ATOMS_AT_ONCE)
        values = np.stack(functions[part]) * factors[part, :, None]
        cubics = cubics_of(values / BOHR_ANGSTROM**3).transpose(0, 2, 3, 1)
        add_atoms(field, structure.lattice, structure.frac[part], cubics, _STEP, cubics.shape[1] * _STEP)
