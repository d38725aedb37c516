"""Functions of atoms, radial parts times real spherical harmonics, summed at the points of a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import plane_spacings

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Cubic through t = 0, 1/3, 2/3, 1: values to coefficients of 1, t, t², t³
_CUBIC = np.linalg.inv(np.vander(np.arange(4) / 3, increasing=True))


def cubics_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., n_r, 4) cubic of each interval, c0 + t(c1 + t(c2 + t c3)), of values (..., 3 n_r + 1) at equal steps."""
    last = values.shape[-1] - 3
    return np.asarray(np.stack([values[..., i : last + i : 3] for i in range(4)], axis=-1) @ _CUBIC.T)


def add_atoms(
    density: NDArray[np.float64],
    lattice: NDArray[np.float64],
    frac: NDArray[np.float64],
    tables: NDArray[np.float64],
    step: float,
    end: float,
) -> None:
    """Add Σ_lm g_lm(\\|r - R\\|) Y_lm of atoms and their periodic images: what the grid cannot hold is folded back.

    density : (nx, ny, nz) float64, Fortran order, changed in place
    frac : (n_atoms, 3); tables : (n_atoms, n_r, 4, (l_max + 1)²) cubics, intervals of ``step`` Å; end : Å, 0 beyond
    """
    from chgtools.kernels.expansion import add_expansions
    from chgtools.kernels.geometry import Cubics, PointGrid
    from chgtools.kernels.harmonics import recurrence

    sizes = np.asarray(density.shape, dtype=float)
    vectors = lattice / sizes[:, None]
    grid = PointGrid(vectors, vectors @ vectors.T, end / (plane_spacings(lattice) / sizes))
    cubics = Cubics(np.ascontiguousarray(tables), step, end * (1 - 1e-12))  # the interval of the end is the last one
    add_expansions(density.T, grid, frac % 1.0 * sizes, cubics, recurrence(round(tables.shape[3] ** 0.5) - 1))
