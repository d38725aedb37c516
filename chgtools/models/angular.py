"""Coupling of real spherical harmonics: Gaunt coefficients, exact by quadrature."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@cache
def gaunt(l_first: int, l_second: int, l_out: int) -> NDArray[np.float64]:
    """(n1, n2, n3) ∫ Y_i Y_j Y_k dΩ over the harmonics up to each l, in the order of kernels.harmonics.

    A product Y_i Y_j is Σ_k G_ijk Y_k. Gauss-Legendre in cos θ times equal steps in φ integrate it exactly.
    """
    from chgtools.kernels.harmonics import harmonics

    degree = l_first + l_second + l_out
    x, w = np.polynomial.legendre.leggauss(degree // 2 + 1)
    phi = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    sine = np.sqrt(1 - x**2)[:, None]
    points = np.stack(np.broadcast_arrays(sine * np.cos(phi), sine * np.sin(phi), x[:, None]), axis=-1).reshape(-1, 3)
    weights = np.repeat(w, len(phi)) * (2 * np.pi / len(phi))
    values = harmonics(max(l_first, l_second, l_out), np.ascontiguousarray(points))
    first, second, out = (values[: (ell + 1) ** 2] for ell in (l_first, l_second, l_out))
    table = np.einsum("ip,jp,kp,p->ijk", first, second, out, weights, optimize=True)
    table[np.abs(table) < 1e-13] = 0.0
    return np.asarray(table)
