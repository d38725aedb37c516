"""Spherical Bessel functions of the first kind (Abramowitz and Stegun, chapter 10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

TERMS = 16  # of the series at x <= l: the next one is below 1e-17 of the sum up to l = 8


def spherical_bessel(ell: int, x: ArrayLike) -> NDArray[np.float64]:
    """j_l(x) at x >= 0 (any shape)."""
    *_, last = spherical_bessels(ell, np.atleast_1d(x))
    return last.reshape(np.shape(x))


def spherical_bessels(l_max: int, x: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """j_l(x) of l = 0, ..., l_max at x >= 0 (one axis or more), with one sine and cosine for all l.

    By j_l+1 = (2l + 1)/x j_l - j_l-1 (10.1.19) where x > l, and by the ascending series (10.1.2) where x <= l, where
    rounding errors of the recurrence grow.
    """
    with _unused():
        now = np.sin(x) / x
        following = (now - np.cos(x)) / x
    for ell in range(l_max + 1):
        small = x <= ell
        now[small] = _series(ell, x[small])
        yield now
        with _unused():
            now, following = following, (2 * ell + 3) * following / x - now


def _unused() -> np.errstate:
    """No warning of what the recurrence gives at x <= l, where the series is taken."""
    return np.errstate(invalid="ignore", divide="ignore", over="ignore")


def _series(ell: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    total, square = np.ones_like(x), -0.5 * x**2
    for k in range(TERMS, 0, -1):
        total = 1 + total * square / (k * (2 * (ell + k) + 1))
    return np.asarray(total * np.prod(x[..., None] / np.arange(3, 2 * ell + 2, 2), axis=-1))
