"""Spherical Bessel functions of the first kind (Abramowitz and Stegun, chapter 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TERMS = 10  # of the series at x <= l, and one for each l: the next is below 1e-16 up to l = 8
AT_ONCE = 8192  # numbers, which stay in the processor's cache


def spherical_bessel(ell: int, x: ArrayLike) -> NDArray[np.float64]:
    """j_l(x) at x >= 0 (any shape)."""
    return spherical_bessels(ell, x)[-1]


def spherical_bessels(l_max: int, x: ArrayLike) -> NDArray[np.float64]:
    """(l_max + 1, ...) j_l(x) at x >= 0 (any shape), with one sine and cosine for all l.

    By j_l+1 = (2l + 1)/x j_l - j_l-1 (10.1.19) where x > l, and by the ascending series (10.1.2) where x <= l, where
    rounding errors of the recurrence grow.
    """
    points = np.asarray(x, dtype=float)
    flat = points.ravel()
    result = np.empty((l_max + 1, flat.size))
    for start in range(0, flat.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        _fill(result[:, part], flat[part])
    return result.reshape(-1, *points.shape)


def _fill(result: NDArray[np.float64], x: NDArray[np.float64]) -> None:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):  # at x <= l, where the series is taken
        inverse = 1 / x
        result[0] = np.sin(x) * inverse
        if len(result) > 1:
            result[1] = (result[0] - np.cos(x)) * inverse
        for ell in range(2, len(result)):
            result[ell] = (2 * ell - 1) * inverse * result[ell - 1] - result[ell - 2]
    for ell, values in enumerate(result):
        small = x <= ell
        if small.any():
            values[small] = _series(ell, x[small])


def _series(ell: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    total, square = np.ones_like(x), -0.5 * x**2
    for k in range(TERMS + ell, 0, -1):
        total = 1 + total * square / (k * (2 * (ell + k) + 1))
    return np.asarray(total * np.prod(x[..., None] / np.arange(3, 2 * ell + 2, 2), axis=-1))
