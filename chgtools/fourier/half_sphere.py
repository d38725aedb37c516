"""Real periodic fields as Fourier coefficients on half a sphere of G vectors.

n(r) = Σ_G n_G exp(iG·r) with n_-G = conj(n_G), so half of the vectors hold all. On a grid with an even axis the index
n/2 stands for +n/2 and -n/2 at once; as in :mod:`chgtools.fourier.resampling` it is shared between both on the way off
the grid and collected from both on the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.grids import check_shape
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A vector this little beyond g_max counts as inside, so that rounding parts no shell of equal lengths
TOLERANCE = 1e-9 / BOHR_ANGSTROM  # 1/Å


def half_sphere(lattice: NDArray[np.float64], g_max: float) -> NDArray[np.int64]:
    """(n, 3) Miller indices of 0 < |G| <= g_max in one half space, in lexicographic order; G = 0 is left out.

    lattice : (3, 3), Å, rows; g_max : 1/Å
    The half space: h > 0, or h = 0 and k > 0, or h = k = 0 and l > 0.
    """
    b = reciprocal(np.asarray(lattice, dtype=float))
    limits = largest_indices(lattice, g_max + TOLERANCE)
    k, m = (axis.ravel() for axis in np.meshgrid(*(np.arange(-n, n + 1) for n in limits[1:]), indexing="ij"))
    planes = []
    for h in range(limits[0] + 1):  # plane by plane, so that the whole box is never in memory
        length = np.linalg.norm(h * b[0] + k[:, None] * b[1] + m[:, None] * b[2], axis=1)
        inside = length <= g_max + TOLERANCE
        if h == 0:
            inside &= (k > 0) | ((k == 0) & (m > 0))
        planes.append(np.stack([np.full(inside.sum(), h), k[inside], m[inside]], axis=1))
    return np.concatenate(planes).astype(np.int64)


def largest_indices(lattice: NDArray[np.float64], g_max: float) -> NDArray[np.int64]:
    """(3,) largest Miller index along each axis of any |G| <= g_max (1/Å): G·a_i = 2π h_i."""
    return np.floor(g_max * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(np.int64)


def take(
    half: NDArray[np.complexfloating[Any, Any]], shape: Sequence[int], miller: NDArray[np.int64]
) -> NDArray[np.complex128]:
    """(n,) coefficients at Miller indices with h >= 0; 0 where the grid does not hold them.

    half : (nz, ny, nx//2 + 1) of chgtools.fourier.resampling.coefficients; shape : (nx, ny, nz); miller : (n, 3)
    """
    sizes = np.asarray(check_shape(shape))
    twice = 2 * np.abs(miller)
    x, y, z = (miller % sizes).T
    values = np.zeros(len(miller), complex)
    held = (twice <= sizes).all(axis=1)
    values[held] = half[z[held], y[held], x[held]]
    return values * 0.5 ** (twice == sizes).sum(axis=1)


def to_grid(
    miller: NDArray[np.int64], values: NDArray[np.complexfloating[Any, Any]], mean: float, shape: Sequence[int]
) -> NDArray[np.float64]:
    """The real field of half-sphere coefficients: (nx, ny, nz), Fortran order.

    miller : (n, 3), h >= 0, G = 0 not among them; values : (n,) n_G; mean : n_0
    Waves that the grid does not hold are left out. The unit is that of ``values`` and ``mean``.
    """
    sizes = np.asarray(check_shape(shape))
    nx, ny, nz = (int(n) for n in sizes)
    held = (2 * np.abs(miller) <= sizes).all(axis=1)
    miller, values = miller[held], np.asarray(values)[held]
    half = np.zeros((nz, ny, nx // 2 + 1), complex)
    half[0, 0, 0] = mean
    x, y, z = (miller % sizes).T
    np.add.at(half, (z, y, x), values)
    # these planes of the half-complex axis hold both of a pair
    both = (x == 0) | (2 * x == nx)
    _, y, z = (-miller[both] % sizes).T
    np.add.at(half, (z, y, x[both]), values[both].conj())
    return field_of(half, nx)


def field_of(half: NDArray[np.complex128], nx: int) -> NDArray[np.float64]:
    """The inverse of resampling.coefficients: (nx, ny, nz), Fortran order; ``half`` is overwritten."""
    for axis in (0, 1):
        np.fft.ifft(half, axis=axis, norm="forward", out=half)
    return np.fft.irfft(half, n=nx, axis=2, norm="forward").T


def lengths(lattice: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.float64]:
    """(nz, ny, nx//2 + 1) |G| in 1/Å of the coefficients of a grid (nx, ny, nz)."""
    nx, ny, nz = check_shape(shape)
    b = reciprocal(lattice)
    along_z, along_y = (np.fft.fftfreq(n, 1 / n)[:, None] * vector for n, vector in ((nz, b[2]), (ny, b[1])))
    squared = np.zeros((nz, ny, nx // 2 + 1))
    for axis in range(3):
        component = along_z[:, axis, None, None] + along_y[:, axis, None] + np.arange(nx // 2 + 1) * b[0, axis]
        squared += component**2
    return np.sqrt(squared)
