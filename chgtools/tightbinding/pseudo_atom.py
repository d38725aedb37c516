"""Norm-conserving pseudo-atoms: smooth valence orbitals, and the screened potentials that have them, without the core.

In a basis of all-electron orbitals the deep potential of an atom acts on its neighbours' tails, which are not
orthogonal to its core, and overbinds: silicon's direct gap comes out at 7.6 eV. So each shell is made smooth inside a
radius (N. Troullier and J. L. Martins, Phys. Rev. B 43, 1993 (1991)):

    R_l(r) = r^l exp(c0 + c2 r² + ... + c12 r¹²),  r < r_c

with the norm, the value and four derivatives at r_c of the true orbital and a flat potential at the nucleus
(c2² + c4 (2l + 5) = 0). Potentials stay screened: those of neutral atoms, which end where their densities do.
Hartree atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.configurations import Shell, atomic_number, ground_state
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.radial_atom.solver import KohnShamAtom, solve_atom
from chgtools.tightbinding.shells import valence_shells
from chgtools.units import ALPHA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CORE = 1.1  # r_c in units of the radius of the orbital's outermost maximum
POWERS = np.array([0, 2, 4, 6, 8, 10, 12])
WALL = 2.0  # hartree, by which potentials are lowered to find states that only a confinement binds
FIT = 12  # points on each side of r_c that the derivatives are taken from


@dataclass(frozen=True, eq=False)
class PseudoShell:
    """One shell of a pseudo-atom.

    energy : of the free atom's state, hartree; core : r_c, bohr
    orbital : (n_r,) r R(r) of the smooth state, norm 1, positive outside; potential : (n_r,) hartree, screened
    """

    shell: Shell
    energy: float
    core: float
    orbital: Array
    potential: Array


@dataclass(frozen=True, eq=False)
class PseudoAtom:
    """element; mesh : of all functions; density : (n_r,) of all electrons, electrons/bohr³; shells : by l"""

    element: str
    mesh: RadialMesh
    density: Array
    shells: tuple[PseudoShell, ...]


@cache
def pseudo_atom(element: str) -> PseudoAtom:
    """The pseudo-atom of an element's neutral PBE atom. Raises ChgtoolsError where a shell cannot be made smooth."""
    atom = solve_atom(atomic_number(element), ground_state(element), "PBE", True)
    shells = []
    for shell in valence_shells(element):
        energy, orbital = free_state(atom, shell)
        outermost = _outermost_maximum(atom.mesh.r, orbital)
        orbital = orbital * np.sign(orbital[np.searchsorted(atom.mesh.r, outermost)])
        shells.append(make_smooth(atom.mesh, atom.potential, shell, energy, orbital, CORE * outermost))
    return PseudoAtom(element, atom.mesh, atom.density, tuple(shells))


def free_state(atom: KohnShamAtom, shell: Shell) -> tuple[float, Array]:
    """Energy and r R(r) of a shell in the neutral atom; of an empty one that is not bound, in a wide soft wall."""
    r = atom.mesh.r
    for wall in (0.0, 1e-3, 3e-3, 1e-2):
        state = bound(
            atom.mesh, atom.potential + np.minimum(wall * r**2, 10.0), atom.charge, shell.n, shell.ell, ALPHA**2
        )
        if state is not None:
            return state
    raise ChgtoolsError(f"the atom with nuclear charge {atom.charge:g} has no state {shell.name}, even in a soft wall")


def bound(
    mesh: RadialMesh, potential: Array, charge: float, n: int, ell: int, inverse_c2: float = 0.0
) -> tuple[float, Array] | None:
    """Energy (hartree) and r R(r), norm 1, of a state of any sign of energy; None where there is none.

    charge : a bound on how strongly the state can be held, as of a nucleus
    """
    from chgtools.kernels import radial

    # the solver looks below 0 alone: all is lowered, for energies above it too
    for guess in (-0.2, -0.1, 0.0, 0.3, 0.6, 1.0, -0.5, -1.0, -2.0, -5.0):
        if guess - WALL >= 0:
            continue
        status, energy, p, _ = radial.bound_state(
            mesh.r, mesh.step, potential - WALL, charge + WALL, n, ell, inverse_c2, guess - WALL, 1e-10
        )
        if status == radial.BOUND:
            return float(energy + WALL), np.asarray(p / np.sqrt(mesh.integrate(p**2)))
    return None


def _outermost_maximum(r: Array, orbital: Array) -> float:
    size = np.abs(orbital)
    inner = (size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:]) & (size[1:-1] > 0.2 * size.max())
    return float(r[np.flatnonzero(inner)[-1] + 1])


def make_smooth(
    mesh: RadialMesh, potential: Array, shell: Shell, energy: float, orbital: Array, core: float
) -> PseudoShell:
    """The Troullier-Martins state of an orbital r R(r) (n_r,), positive at r_c, in a potential (n_r,).

    Raises ChgtoolsError where no smooth function has the norm.
    """
    from scipy.optimize import brentq

    edge = int(np.searchsorted(mesh.r, core))
    r, rc, ell = mesh.r[: edge + 1], float(mesh.r[edge]), shell.ell
    wanted = _log_derivatives(mesh.r, orbital, edge, ell)
    norm = _inner_norm(mesh, orbital, edge)
    conditions = np.array([_powers(order, rc) for order in range(5)])
    free = [0, 3, 4, 5, 6]

    def coefficients(c2: float) -> Array:
        c = np.zeros(len(POWERS))
        c[1], c[2] = c2, -(c2**2) / (2 * ell + 5)
        c[free] = np.linalg.solve(conditions[:, free], wanted - conditions[:, 1:3] @ c[1:3])
        return c

    def excess(c2: float) -> float:
        """log of the norm inside over that wanted."""
        smooth = r ** (ell + 1) * np.exp(np.minimum(r[:, None] ** POWERS @ coefficients(c2), 200.0))
        return float(np.log(max(_inner_norm(mesh, smooth, edge), 1e-300)) - np.log(norm))

    trial = np.linspace(-30, 30, 1201) / rc**2
    signs = np.sign([excess(c2) for c2 in trial])
    crossings = np.flatnonzero(signs[:-1] != signs[1:])
    if not len(crossings):
        raise ChgtoolsError(f"no smooth {shell.name} has the norm inside {rc:.2f} bohr; take another core radius")
    first = crossings[np.argmin(np.abs(trial[crossings]))]
    c = coefficients(brentq(excess, trial[first], trial[first + 1]))
    slope, curvature = (np.stack([_powers(order, point) for point in r]) @ c for order in (1, 2))
    smooth, screened = orbital.copy(), potential.copy()
    smooth[: edge + 1] = r ** (ell + 1) * np.exp(r[:, None] ** POWERS @ c)
    screened[: edge + 1] = energy + (ell + 1) / r * slope + (slope**2 + curvature) / 2
    return PseudoShell(shell, energy, rc, smooth, screened)


def _inner_norm(mesh: RadialMesh, orbital: Array, edge: int) -> float:
    """∫_0^r_c (rR)² dr by the trapezoid rule in ln r."""
    values = orbital[: edge + 1] ** 2 * mesh.r[: edge + 1]
    return float((values.sum() - 0.5 * values[-1]) * mesh.step)


def _log_derivatives(r: Array, orbital: Array, edge: int, ell: int) -> Array:
    """(5,) ln(R/r^l) and its first four derivatives at the edge, from a polynomial through the points around it."""
    near = slice(edge - FIT, edge + FIT + 1)
    x = r[near] / r[edge] - 1
    series = np.polynomial.polynomial.polyfit(x, np.log(orbital[near] / r[near] ** (ell + 1)), 8)
    return np.array([series[k] * float(np.prod(np.arange(1, k + 1))) / r[edge] ** k for k in range(5)])


def _powers(order: int, r: float) -> Array:
    """(7,) derivatives of a given order of each power of r."""
    factors = np.array([float(np.prod([power - t for t in range(order)])) for power in POWERS])
    return np.where(order <= POWERS, factors * r ** np.maximum(POWERS - order, 0.0), 0.0)
