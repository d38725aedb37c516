"""What exchange and correlation of two overlapping atoms add to those of each: ⟨·|v(n_a + n_b) − v(n_a) − v(n_b)|·⟩.

Potentials of atoms may be added where they are Coulomb's, but not those of exchange and correlation: v goes as n^⅓, so
the tail of a neighbour in a place that is dense already counts for almost nothing, and alone for much. Without this
the levels of carbon in methane lie 20 eV too low. The functional here is that of the homogeneous gas (gradients of
sums of atoms add noise and little else). Two centres: Gauss's rule in prolate spheroidal coordinates, whose points
lie dense at both nuclei. Hartree atomic units.
"""

from __future__ import annotations

from itertools import product as pairs_of
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.angular import gaunt
from chgtools.functions.spline import evaluate, second_derivatives
from chgtools.radial_atom.xc import TINY, perdew_wang, slater_exchange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.radial_atom.configurations import Shell
    from chgtools.tightbinding.orbitals import ElementBasis

    Array = NDArray[np.float64]

    Tables = dict[tuple[int, int, int], Array]

POINTS = (48, 32)  # along μ, which leads away from both nuclei, and ν, which leads from one to the other
REACH = 12.0  # bohr beyond the nearer nucleus, where the rule ends
CLOSEST = 1.0  # bohr; nearer atoms have the integrals of this distance
NODES = 0.3  # bohr between the distances that are integrated; a spline goes through them


def exchange_potential(density: Array) -> Array:
    """hartree, of the homogeneous gas of a density in electrons/bohr³ of any shape."""
    seen = np.maximum(density, TINY)
    return np.asarray(slater_exchange(seen)[1] + perdew_wang(seen)[1])


def overlap_exchange(a: ElementBasis, b: ElementBasis, distances: Array) -> tuple[Tables, Tables]:
    """(shell of A, shell of B, L) and (shell, shell of A, L) to (n_R,) radial parts at distances (n_R,), bohr.

    As those of PairTables' hopping and field: Σ_L table Σ_M G Y_LM(u), u the direction from A to B.
    """
    nodes = np.arange(CLOSEST, distances[-1] + NODES, NODES)
    r_a, r_b, cos_a, cos_b, weights = _rule(nodes)
    n_a, n_b = _radial(a, a.density, r_a), _radial(b, b.density, r_b)
    change = exchange_potential(n_a + n_b) - exchange_potential(n_a) - exchange_potential(n_b)
    wave_a, wave_b = _waves(a, r_a, cos_a), _waves(b, r_b, cos_b)
    weighted = [wave * (weights * change) for wave in wave_a]

    def tables(one: list[Array], shells: tuple[Shell, ...]) -> Tables:
        made: Tables = {}
        for (i, x), (j, y) in pairs_of(enumerate(a.shells), enumerate(shells)):
            most = min(x.ell, y.ell) + 1
            integrals = np.einsum("mnp,mnp->nm", weighted[i][:most], one[j][:most])
            for big_l, radial in _by_l(x.ell, y.ell, integrals).items():
                second = second_derivatives(radial, NODES, "not-a-knot")
                made[i, j, big_l] = evaluate(radial, second, NODES, np.maximum(distances, CLOSEST) - CLOSEST)
        return made

    return tables(wave_b, b.shells), tables(wave_a, a.shells)


def _rule(distance: Array) -> tuple[Array, Array, Array, Array, Array]:
    """r_a, r_b, cosines at A and at B against the axis from A to B, and weights (the turn around the axis is in
    :func:`_waves`), each (n_R, n_points)."""
    half = distance[:, None] / 2
    x, wx = np.polynomial.legendre.leggauss(POINTS[0])
    y, wy = np.polynomial.legendre.leggauss(POINTS[1])
    # denser at the nuclei: μ = 1 + most t³
    t = np.repeat((x + 1) / 2, POINTS[1])
    mu, nu = 1 + REACH / half * t**3, np.tile(y, POINTS[0])
    w_mu = np.repeat(wx / 2, POINTS[1]) * 3 * REACH / half * t**2
    weights = w_mu * np.tile(wy, POINTS[0]) * half**3 * (mu**2 - nu**2)
    return half * (mu + nu), half * (mu - nu), (1 + mu * nu) / (mu + nu), (mu * nu - 1) / (mu - nu), weights


def _waves(basis: ElementBasis, r: Array, cosine: Array) -> list[Array]:
    """Of each shell (l + 1, n_R, n_points) R(r) Y_lm of m = 0, 1, ..., times the root of ∫ cos² mφ dφ."""
    from chgtools.kernels.harmonics import harmonics

    flat = np.clip(cosine.ravel(), -1, 1)
    unit = np.stack([np.sqrt(1 - flat**2), np.zeros_like(flat), flat], axis=1)
    angular = harmonics(max(shell.ell for shell in basis.shells), unit).reshape(-1, *r.shape)
    waves = []
    for shell, radial in zip(basis.shells, basis.radial, strict=True):
        ell = shell.ell
        turn = np.sqrt(np.where(np.arange(ell + 1) == 0, 2 * np.pi, np.pi))[:, None, None]
        waves.append(_radial(basis, radial, r) * angular[ell**2 + ell : (ell + 1) ** 2] * turn)
    return waves


def _radial(basis: ElementBasis, function: Array, r: Array) -> Array:
    return np.asarray(np.interp(r.ravel(), basis.r, function).reshape(r.shape))


def _by_l(la: int, lb: int, integrals: Array) -> dict[int, Array]:
    """L to (n_R,) from integrals (n_R, min(la, lb) + 1) of each m along the axis z."""
    degrees = range(abs(la - lb), la + lb + 1, 2)
    table = gaunt(la, lb, la + lb)
    along = [
        [
            table[la**2 + la + m, lb**2 + lb + m, big_l**2 + big_l] * np.sqrt((2 * big_l + 1) / (4 * np.pi))
            for big_l in degrees
        ]
        for m in range(min(la, lb) + 1)
    ]
    return dict(zip(degrees, np.linalg.solve(np.array(along), integrals.T), strict=True))
