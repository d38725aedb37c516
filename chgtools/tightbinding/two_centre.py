"""Two-centre integrals of a pair of elements as functions of the distance.

With f and g around two atoms, a distance R apart along u, in real spherical harmonics,

    ⟨f l m|g l' m'⟩ = Σ_L 8 (−1)^((l − l' − L)/2) ∫ q² f_l(q) g_l'(q) j_L(qR) dq  Σ_M G(lm, l'm', LM) Y_LM(u),

G the Gaunt coefficients. A potential g around the second atom between two functions of the first is the same with the
product's transform of each L in place of f, and no sign. Hartree atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product as pairs_of
from typing import TYPE_CHECKING

import numpy as np

from chgtools.functions.bessel import spherical_bessel
from chgtools.tightbinding.exchange import overlap_exchange
from chgtools.tightbinding.orbitals import Q_STEP, ElementBasis, element_basis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

REACH = 18.0  # bohr, beyond which atoms do not see each other
FADE = 2.0  # bohr, over which the last of it is taken away smoothly
R_STEP = 0.1  # bohr, of the tables


@dataclass(frozen=True, eq=False)
class PairTables:
    """Radial parts of the integrals between an element A and an element B, on the mesh R = 0, R_STEP, ...

    overlap, hopping : (shell of A, shell of B, L) to (n_R,): ⟨a|b⟩, ⟨a|T + V_loc,A + V_loc,B|b⟩ in hartree
    projection : the same of ⟨χ_a|b⟩; field : (shell, shell of A, L) to (n_R,): ⟨a|V_loc,B|a'⟩ in hartree
    """

    overlap: dict[tuple[int, int, int], Array]
    hopping: dict[tuple[int, int, int], Array]
    projection: dict[tuple[int, int, int], Array]
    field: dict[tuple[int, int, int], Array]


@lru_cache(maxsize=512)
def pair_tables(first: str, second: str, polarised: bool = True) -> PairTables:
    """The tables of two elements; those of (B, A) are these with the places exchanged, L and signs included.

    polarised : see chgtools.tightbinding.elements.element_of
    """
    a, b = element_basis(first, polarised), element_basis(second, polarised)
    overlap, hopping, projection = {}, {}, {}
    for (i, x), (j, y) in pairs_of(enumerate(a.shells), enumerate(b.shells)):
        for big_l in range(abs(x.ell - y.ell), x.ell + y.ell + 1, 2):
            sign, key = (-1) ** ((x.ell - y.ell - big_l) // 2), (i, j, big_l)
            overlap[key] = sign * _integral(big_l, a.orbitals[i] * b.orbitals[j])
            hopping[key] = sign * _integral(big_l, _energies(a, i, b, j))
            if i in a.projectors:
                projection[key] = sign * _integral(big_l, a.projectors[i] * b.orbitals[j])
    field = {key: _integral(key[2], product * b.local) for key, product in a.products.items()}
    for tables, change in zip((hopping, field), overlap_exchange(a, b, distances()), strict=True):
        for key, values in change.items():
            # an atom overlaps itself with nothing
            tables[key] = tables[key] + np.where(distances() > 0, _fade() * values, 0.0)
    return PairTables(overlap, hopping, projection, field)


def _energies(a: ElementBasis, i: int, b: ElementBasis, j: int) -> Array:
    """Integrand of ⟨a|T + V_A + V_B|b⟩."""
    kinetic = 0.5 * a.q**2 * a.orbitals[i] * b.orbitals[j]
    return np.asarray(kinetic + a.local_orbitals[i] * b.orbitals[j] + a.orbitals[i] * b.local_orbitals[j])


@cache
def distances() -> Array:
    """(n_R,) bohr."""
    return np.asarray(R_STEP * np.arange(round(REACH / R_STEP) + 1), dtype=np.float64)


def _fade() -> Array:
    """(n_R,) from 1 to 0 over the last of the tables."""
    x = np.clip((REACH - distances()) / FADE, 0, 1)
    return np.asarray(x**2 * (3 - 2 * x))


@cache
def _bessel(big_l: int, n_q: int) -> Array:
    q = Q_STEP * np.arange(1, n_q + 1)
    table = 8 * Q_STEP * spherical_bessel(big_l, np.outer(distances(), q)) * q**2
    return np.asarray(table * _fade()[:, None])


def _integral(big_l: int, integrand: Array) -> Array:
    return np.asarray(_bessel(big_l, len(integrand)) @ integrand)
