"""The basis: what two-centre integrals need of confined orbitals and potentials, in Fourier space.

Transforms are f_l(q) = ∫ r² j_l(qr) f(r) dr. Hartree atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.functions.bessel import spherical_bessel
from chgtools.functions.spline import evaluate, second_derivatives
from chgtools.tightbinding.elements import END, STEP, element_of, mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.radial_atom.configurations import Shell

    Array = NDArray[np.float64]

R_STEP = 0.01  # bohr, of functions that are looked up at any r
Q_STEP, Q_MAX = 0.1, 20.0  # 1/bohr: sums over q are exact for functions that end before 2π/Q_STEP together


@dataclass(frozen=True, eq=False)
class ElementBasis:
    """Orbitals and potential of an element; rows by shell.

    q : (n_q,) 1/bohr; orbitals, local_orbitals : (n_shells, n_q) of R and of V_loc R; local : (n_q,) of V_loc
    projectors : shell to (n_q,) of χ, strengths : shell to E, where l is not that of the local potential
    products : (shell, shell, L) to (n_q,) ∫ r² j_L(qr) R R' dr
    hardnesses, exchange : (n_shells, n_shells) hartree, see :class:`Element`
    r : (n_r,) bohr; radial : (n_shells, n_r) R; density : (n_r,) of all electrons of the atom, electrons/bohr³
    """

    element: str
    shells: tuple[Shell, ...]
    q: Array
    orbitals: Array
    local: Array
    local_orbitals: Array
    projectors: dict[int, Array]
    strengths: dict[int, float]
    products: dict[tuple[int, int, int], Array]
    hardnesses: Array
    exchange: Array
    r: Array
    radial: Array
    density: Array

    @property
    def electrons(self) -> float:
        """Of the neutral atom, in these shells."""
        return float(sum(shell.electrons for shell in self.shells))

    @property
    def size(self) -> int:
        """Σ (2l + 1)."""
        return sum(2 * shell.ell + 1 for shell in self.shells)


@cache
def element_basis(element: str, polarised: bool = True) -> ElementBasis:
    """The basis of an element, see :func:`element_of`. Raises SettingsError beyond plutonium."""
    atom = element_of(element, polarised)
    ells = [shell.ell for shell in atom.shells]
    fine = np.asarray(R_STEP * np.arange(round(END / R_STEP) + 1), dtype=np.float64)
    projecting = np.flatnonzero(atom.strengths)
    products: dict[tuple[int, int, int], Array] = {}
    for i, one in enumerate(ells):
        for j, other in enumerate(ells):
            both = atom.orbitals[i] * atom.orbitals[j]
            products |= {(i, j, ell): _bessel(ell) @ both for ell in range(abs(one - other), one + other + 1, 2)}
    return ElementBasis(
        element=element,
        shells=atom.shells,
        q=_wave_numbers(),
        orbitals=np.array([_bessel(ell) @ function for ell, function in zip(ells, atom.orbitals, strict=True)]),
        local=_bessel(0) @ atom.local,
        local_orbitals=np.array(
            [_bessel(ell) @ (atom.local * function) for ell, function in zip(ells, atom.orbitals, strict=True)]
        ),
        projectors={int(i): _bessel(ells[i]) @ atom.projectors[i] for i in projecting},
        strengths={int(i): float(atom.strengths[i]) for i in projecting},
        products=products,
        hardnesses=atom.hardnesses,
        exchange=atom.exchange,
        r=fine,
        radial=evaluate(atom.orbitals, second_derivatives(atom.orbitals, STEP, "not-a-knot"), STEP, fine),
        density=np.interp(fine, mesh(), atom.density),
    )


def _wave_numbers() -> Array:
    return np.asarray(Q_STEP * np.arange(1, round(Q_MAX / Q_STEP) + 1), dtype=np.float64)


@cache
def _bessel(ell: int) -> Array:
    """(n_q, n_r) r² j_l(qr) dr: the trapezoid rule, which for even smooth functions of r has no error but the step's
    own limit of q."""
    return np.asarray(spherical_bessel(ell, np.outer(_wave_numbers(), mesh())) * mesh() ** 2 * STEP)
