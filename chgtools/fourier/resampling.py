"""Fourier coefficients of a field on a grid, and its resampling to another one.

Half-complex axis. A field is a Fortran-ordered array (nx, ny, nz), so its transpose (nz, ny, nx) is a C-contiguous
view of the same memory and x is the axis of the real FFT: coefficients have shape (nz, ny, nx//2 + 1), no copy is
needed, and element (l, k, h) belongs to G = h b1 + k b2 + l b3 with h >= 0 and k, l in FFT order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.fourier.grids import check_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray


def inscribed_cutoff(lattice: NDArray[np.float64], shape: Sequence[int]) -> float:
    """Radius in 1/Å of the largest sphere of G vectors that the box of a grid holds: min π n_i / |a_i|."""
    return float(np.min(np.pi * np.asarray(shape) / np.linalg.norm(lattice, axis=1)))


def coefficients(values: NDArray[np.floating[Any]]) -> NDArray[np.complexfloating[Any, Any]]:
    """(nz, ny, nx//2 + 1) Fourier coefficients n_G of a field (nx, ny, nz), n(r) = Σ n_G exp(iG·r); one new array."""
    half = np.fft.rfft(values.T, axis=2, norm="forward")
    for axis in (1, 0):
        np.fft.fft(half, axis=axis, norm="forward", out=half)
    return half


def resample(values: NDArray[np.floating[Any]], shape: Sequence[int]) -> NDArray[np.floating[Any]]:
    """The trigonometric interpolation of a periodic field on another grid, Fortran order, in the dtype of ``values``.

    values : (nx, ny, nz); shape : the new (nx, ny, nz). The mean is kept. A finer grid keeps the values at common
    points; a coarser one drops the waves it cannot hold. The wave at the edge of an even grid (n/2) is shared between
    +n/2 and -n/2 on the way up and collected from both on the way down, so the field stays real.
    Memory: one grid beyond the result. Raises ChgtoolsError for a shape that is none.
    """
    new = check_shape(shape)
    work = values.T  # axes z, y, x
    # Shrinking axes first: later axes then have less to do
    order = sorted(range(3), key=lambda axis: new[2 - axis] / work.shape[axis])
    for axis in order:
        n, m = work.shape[axis], new[2 - axis]
        if n == m:
            continue
        half = np.fft.rfft(work, axis=axis, norm="forward")
        edge: Any = (slice(None),) * axis + (min(n, m) // 2,)
        if m > n and n % 2 == 0:
            half[edge] *= 0.5
        elif m < n and m % 2 == 0:
            half[edge] *= 2.0  # irfft takes the real part, which is the mean of both
        work = np.fft.irfft(half, n=m, axis=axis, norm="forward")
    if np.may_share_memory(work, values):
        work = work.copy()
    return np.ascontiguousarray(work).T
