"""The spherical, spin-unpolarised Kohn-Sham atom: point nucleus, shells with any occupation, SCF by Anderson mixing.

Atomic units throughout (hartree, bohr, electrons). Scalar-relativistic means Koelling and Harmon's equation with the
mass-velocity and Darwin terms and without spin-orbit coupling. The density holds the small components as well (their
normalisation, averaged over the spin), so that s states are those of Dirac's equation exactly. Norm-conserving and
PAW data sets often normalise the large component alone; the valence density outside the core differs by 0.1 % for
the heaviest elements and less for others. Functionals other than RVWN are the non-relativistic ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.configurations import Shell
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.radial_atom.mixing import Anderson
from chgtools.radial_atom.xc import exchange_correlation
from chgtools.units import ALPHA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_ITERATIONS = 400
MIXING, HISTORY = 0.4, 8
EIGENVALUE_TOLERANCE = 1e-11  # hartree, relative to the size of the eigenvalue where that is above 1


class UnboundStateError(ChgtoolsError):
    """An occupied shell has no bound state in the self-consistent potential."""

    def __init__(self, message: str, shell: Shell) -> None:
        self.shell = shell
        super().__init__(message)


@dataclass(frozen=True, eq=False)
class KohnShamAtom:
    """A solved atom.

    eigenvalues : (n_shells,) hartree; shell_densities : (n_shells, n_r) 4πr²n of one electron of each shell, 1/bohr
    potential : (n_r,) hartree, self-consistent; energy : total energy, hartree
    """

    charge: float
    shells: tuple[Shell, ...]
    functional: str
    relativistic: bool
    mesh: RadialMesh
    eigenvalues: Array
    shell_densities: Array
    potential: Array
    energy: float
    parts: dict[str, float] = field(default_factory=dict)

    @cached_property
    def density(self) -> Array:
        """(n_r,) all electrons, electrons/bohr³."""
        return self.density_of(self.shells)

    def density_of(self, shells: Sequence[Shell]) -> Array:
        """(n_r,) density of the shells given (their own electron counts), electrons/bohr³."""
        place = {(shell.n, shell.ell): i for i, shell in enumerate(self.shells)}
        total = np.zeros(self.mesh.r.size)
        for shell in shells:
            total += shell.electrons * self.shell_densities[place[shell.n, shell.ell]]
        return np.asarray(total / (4.0 * np.pi * self.mesh.r**2))


def thomas_fermi_potential(charge: float, r: Array) -> Array:
    """Potential (n_r,) hartree of the Thomas-Fermi atom, never weaker than -1/r: where the SCF starts.

    Fit of R. Latter, Phys. Rev. 99, 510 (1955), to the Thomas-Fermi function.
    """
    x = r * np.cbrt(128.0 * charge / (9.0 * np.pi**2))
    root = np.sqrt(x)
    screening = 1.0 / (
        1.0 + 0.02747 * root + 1.243 * x - 0.1486 * x * root + 0.2302 * x**2 + 0.007298 * x**2 * root + 0.006944 * x**3
    )
    return np.asarray(-np.maximum(charge * screening, min(1.0, charge)) / r)


def hartree_potential(mesh: RadialMesh, electrons: Array) -> Array:
    """Potential (n_r,) hartree of the spherical density 4πr²n (n_r,) in electrons/bohr."""
    inside = mesh.running_integral(electrons)
    outside = mesh.running_integral(electrons / mesh.r)
    return np.asarray(inside / mesh.r + outside[-1] - outside)


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is the same in all SCF steps. charge : of the nucleus, e; inverse_c2 : 1/c² in atomic units, 0 without
    relativity
    """

    charge: float
    shells: tuple[Shell, ...]
    functional: str
    mesh: RadialMesh
    inverse_c2: float

    def states(self, potential: Array, guesses: Array, iteration: int) -> tuple[Array, Array, Shell | None]:
        """(n_shells,) eigenvalues and (n_shells, n_r) densities of one electron, and the last shell that is not bound.

        potential : (n_r,) hartree; guesses : (n_shells,) eigenvalues, hartree
        Raises ChgtoolsError where the radial equation does not converge.
        """
        eigenvalues = np.zeros(len(self.shells))
        densities = np.zeros((len(self.shells), self.mesh.r.size))
        unbound: Shell | None = None
        for i, shell in enumerate(self.shells):
            is_bound, eigenvalues[i], densities[i] = self._state(potential, shell, guesses[i], iteration)
            unbound = unbound if is_bound else shell
        return eigenvalues, densities, unbound

    def _state(self, potential: Array, shell: Shell, guess: float, iteration: int) -> tuple[bool, float, Array]:
        from chgtools.kernels import radial as kernels

        r, charge, inverse_c2 = self.mesh.r, self.charge, self.inverse_c2
        accuracy = EIGENVALUE_TOLERANCE * max(1.0, abs(guess))
        state = (charge, shell.n, shell.ell, inverse_c2, guess, accuracy)
        status, energy, p, q = kernels.bound_state(r, self.mesh.step, potential, *state)
        is_bound = status != kernels.UNBOUND
        if not is_bound:
            # far from self-consistency a state may float: hold it by the -1/r of an electron taken away
            held = np.minimum(potential, -min(1.0, charge) / r)
            status, energy, p, q = kernels.bound_state(r, self.mesh.step, held, *state)
        if status != kernels.BOUND:
            raise ChgtoolsError(
                f"atom with nuclear charge {charge:g}, shell {shell}, {self.functional}: the radial equation did not "
                f"converge in SCF step {iteration} (last energy {energy:.6f} hartree); "
                "check the configuration, or use a mesh with a smaller step"
            )
        mass = 1.0 + 0.5 * inverse_c2 * (energy - potential)
        angular = inverse_c2 * shell.ell * (shell.ell + 1) / (2.0 * mass * r) ** 2
        return is_bound, energy, p**2 * (1.0 + angular) + q**2 * inverse_c2


def solve_atom(
    charge: float,
    shells: Sequence[Shell],
    functional: str = "PBE",
    relativistic: bool = True,
    mesh: RadialMesh | None = None,
    tolerance: float = 1e-9,
    light_speed: float = 1.0 / ALPHA,
) -> KohnShamAtom:
    """Solve the atom self-consistently.

    charge : of the nucleus, in e, any positive number; functional : one of chgtools.radial_atom.xc.FUNCTIONALS
    tolerance : hartree bohr, on the largest change of r V(r); light_speed : atomic units
    Raises UnboundStateError when an occupied state is not bound, ChgtoolsError when the SCF does not converge.
    """
    mesh = mesh or RadialMesh()
    r = mesh.r
    shells = tuple(shells)
    problem = _Problem(charge, shells, functional, mesh, light_speed**-2 if relativistic else 0.0)
    potential = thomas_fermi_potential(charge, r)
    occupations = np.array([shell.electrons for shell in shells])
    eigenvalues = np.zeros(len(shells))
    mixer = Anderson(MIXING, HISTORY, 1e-12)
    change = np.inf
    for iteration in range(1, MAX_ITERATIONS + 1):
        eigenvalues, shell_densities, unbound = problem.states(potential, eigenvalues, iteration)
        electrons = occupations @ shell_densities
        hartree = hartree_potential(mesh, electrons)
        xc_energy, xc_potential = exchange_correlation(functional, mesh, electrons / (4.0 * np.pi * r**2))
        residual = r * (-charge / r + hartree + xc_potential - potential)
        change = float(np.abs(residual).max())
        if change < tolerance:
            break
        potential = mixer.next(r * potential, residual) / r
    else:
        raise ChgtoolsError(
            f"atom with nuclear charge {charge:g} and {functional}: the SCF did not converge in {MAX_ITERATIONS} steps "
            f"(r V still changes by {change:.1e}, wanted {tolerance:.1e}); check the configuration"
        )
    if unbound is not None:
        raise UnboundStateError(
            f"atom with nuclear charge {charge:g}: shell {unbound} is not bound in {functional}; "
            "move its electrons to another shell",
            unbound,
        )
    parts = {
        "kinetic": float(occupations @ eigenvalues) - mesh.integrate(electrons * potential),
        "nuclear": -charge * mesh.integrate(electrons / r),
        "hartree": 0.5 * mesh.integrate(electrons * hartree),
        "xc": xc_energy,
    }
    energy = sum(parts.values())
    return KohnShamAtom(
        charge, shells, functional, relativistic, mesh, eigenvalues, shell_densities, potential, energy, parts
    )
