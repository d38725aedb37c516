"""Real spherical harmonics: their coupling (Gaunt coefficients) and how they turn, exact by quadrature."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

ORTHOGONAL = 1e-4  # largest deviation of a rotation from an orthogonal matrix: header positions have 6 decimals


@cache
def gaunt(l_first: int, l_second: int, l_out: int) -> NDArray[np.float64]:
    """(n1, n2, n3) ∫ Y_i Y_j Y_k dΩ over the harmonics up to each l, in the order of kernels.harmonics.

    A product Y_i Y_j is Σ_k G_ijk Y_k. Gauss-Legendre in cos θ times equal steps in φ integrate it exactly.
    """
    from chgtools.kernels.harmonics import harmonics

    points, weights = sphere(l_first + l_second + l_out)
    values = harmonics(max(l_first, l_second, l_out), points)
    first, second, out = (values[: (ell + 1) ** 2] for ell in (l_first, l_second, l_out))
    table = np.einsum("ip,jp,kp,p->ijk", first, second, out, weights, optimize=True)
    table[np.abs(table) < 1e-13] = 0.0
    return np.asarray(table)


def rotation_matrices(l_max: int, rotation: ArrayLike) -> list[NDArray[np.float64]]:
    """(2l + 1, 2l + 1) matrices D for l = 0 ... l_max: Y_m(Rᵀr) = Σ_m' D_m'm Y_m'(r), R proper or improper.

    D_m'm = ∫ Y_m'(r) Y_m(Rᵀr) dΩ, by a quadrature that is exact for these degrees.
    Raises ChgtoolsError for a matrix that is no rotation.
    """
    from chgtools.kernels.harmonics import harmonics

    turn = np.asarray(rotation, dtype=float)
    if turn.shape != (3, 3) or not np.allclose(turn @ turn.T, np.eye(3), atol=ORTHOGONAL):
        raise ChgtoolsError(
            f"found a matrix of shape {turn.shape} that is no rotation; wanted an orthogonal (3, 3) matrix"
        )
    left, _, right = np.linalg.svd(turn)
    points, weights = sphere(2 * l_max)
    here = harmonics(l_max, points)
    there = harmonics(l_max, np.ascontiguousarray(points @ (left @ right)))  # rows Rᵀr
    return [
        np.asarray((here[ell**2 : (ell + 1) ** 2] * weights) @ there[ell**2 : (ell + 1) ** 2].T)
        for ell in range(l_max + 1)
    ]


def sphere(degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 3) and weights (n,) that integrate polynomials up to ``degree`` over the unit sphere exactly."""
    x, w = np.polynomial.legendre.leggauss(degree // 2 + 1)
    phi = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    sine = np.sqrt(1 - x**2)[:, None]
    points = np.stack(np.broadcast_arrays(sine * np.cos(phi), sine * np.sin(phi), x[:, None]), axis=-1).reshape(-1, 3)
    return np.ascontiguousarray(points), np.repeat(w, len(phi)) * (2 * np.pi / len(phi))
