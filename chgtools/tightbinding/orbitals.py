"""The minimal basis: confined orbitals of pseudo-atoms, and what two-centre integrals need of them, in Fourier space.

An orbital is the ground state of its l in the pseudo-atom's potential and a soft wall (r/r0)²; the wall draws the
tails in, as neighbours do. A pseudo-atom is a local potential, that of l = 1, and one projector for each other shell
(L. Kleinman and D. M. Bylander, Phys. Rev. Lett. 48, 1425 (1982)):

    V = V_loc + Σ_l |χ_l⟩ E_l ⟨χ_l|,   χ_l = (V_l − V_loc) R_l,   E_l = 1/⟨R_l|V_l − V_loc|R_l⟩.

Hartree atomic units; transforms are f_l(q) = ∫ r² j_l(qr) f(r) dr.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.tightbinding.pseudo_atom import PseudoAtom, bound, pseudo_atom
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.radial_atom.configurations import Shell

    Array = NDArray[np.float64]

WALL = 2.2  # r0 in covalent radii
WALL_MOST = 60.0  # hartree, beyond which the wall is flat: there is nothing of the orbital there
END = 20.0  # bohr, where all orbitals and neutral atoms have ended
R_STEP = 0.01  # bohr, of functions on a uniform mesh
Q_STEP, Q_MAX = 0.1, 20.0  # 1/bohr: sums over q are exact for functions that end before 2π/Q_STEP together


@dataclass(frozen=True, eq=False)
class ElementBasis:
    """Orbitals and potential of an element; rows by shell.

    q : (n_q,) 1/bohr; orbitals, local_orbitals : (n_shells, n_q) of R and of V_loc R; local : (n_q,) of V_loc
    energies : (n_shells,) hartree, of the free atom's states
    projectors : shell to (n_q,) of χ, strengths : shell to E, where l is not that of the local potential
    products : (shell, shell, L) to (n_q,) ∫ r² j_L(qr) R R' dr
    r : (n_r,) bohr; radial : (n_shells, n_r) R; density : (n_r,) of all electrons of the atom, electrons/bohr³
    """

    element: str
    shells: tuple[Shell, ...]
    q: Array
    energies: Array
    orbitals: Array
    local: Array
    local_orbitals: Array
    projectors: dict[int, Array]
    strengths: dict[int, float]
    products: dict[tuple[int, int, int], Array]
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
def element_basis(element: str) -> ElementBasis:
    """The minimal basis of an element. Raises SettingsError beyond plutonium."""
    from scipy.special import spherical_jn

    atom = pseudo_atom(element)
    mesh, ells = atom.mesh, [each.shell.ell for each in atom.shells]
    used = mesh.r < END
    r = mesh.r[used]
    weights = r**3 * mesh.step
    q = np.asarray(Q_STEP * np.arange(1, round(Q_MAX / Q_STEP) + 1), dtype=np.float64)
    bessel = {ell: spherical_jn(ell, np.outer(q, r)) * weights for ell in range(2 * max(ells) + 1)}
    local = atom.shells[ells.index(1) if 1 in ells else 0].potential
    radial = [confined_orbital(atom, index) for index in range(len(ells))]
    uniform = np.asarray(R_STEP * np.arange(round(END / R_STEP) + 1), dtype=np.float64)
    projectors, strengths = {}, {}
    for index, each in enumerate(atom.shells):
        difference = each.potential - local
        if difference.any():
            projectors[index] = bessel[ells[index]] @ (difference * each.orbital / mesh.r)[used]
            strengths[index] = 1 / mesh.integrate(difference * each.orbital**2)
    return ElementBasis(
        element=element,
        shells=tuple(each.shell for each in atom.shells),
        q=q,
        energies=np.array([each.energy for each in atom.shells]),
        orbitals=np.array([bessel[ell] @ function[used] for ell, function in zip(ells, radial, strict=True)]),
        local=bessel[0] @ local[used],
        local_orbitals=np.array(
            [bessel[ell] @ (local * function)[used] for ell, function in zip(ells, radial, strict=True)]
        ),
        projectors=projectors,
        strengths=strengths,
        products={
            (i, j, big_l): bessel[big_l] @ (radial[i] * radial[j])[used]
            for i in range(len(ells))
            for j in range(len(ells))
            for big_l in range(abs(ells[i] - ells[j]), ells[i] + ells[j] + 1, 2)
        },
        r=uniform,
        radial=np.array([np.interp(uniform, mesh.r, function) for function in radial]),
        density=np.interp(uniform, mesh.r, atom.density),
    )


def confined_orbital(atom: PseudoAtom, index: int) -> Array:
    """(n_r,) R(r), bohr^-3/2, positive at its maximum, of a shell of a pseudo-atom in the wall."""
    wall = np.minimum((atom.mesh.r / (WALL * covalent_radius(atom.element))) ** 2, WALL_MOST)
    shell = atom.shells[index]
    state = bound(atom.mesh, shell.potential + wall, 10.0, shell.shell.ell + 1, shell.shell.ell)
    if state is None:
        raise ChgtoolsError(f"{atom.element} has no confined {shell.shell.name} state")
    radial = state[1] / atom.mesh.r
    return np.asarray(radial * np.sign(radial[np.argmax(np.abs(radial))]))


def covalent_radius(element: str) -> float:
    """bohr (B. Cordero et al., Dalton Trans. 2008, 2832); by choice 0.7 Å for hydrogen, more than its bonds have."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return (0.7 if element == "H" else float(CovalentRadius.radius[element])) / BOHR_ANGSTROM
