"""The electrons of a crystal in tight binding: charges, filling, and functions of the Hamiltonian on each atom.

Orbitals are made orthogonal symmetrically (P.-O. Löwdin 1950). Bands are filled by temperature, so that degenerate
ones at the Fermi level are filled alike and nothing breaks a symmetry. What an atom has is counted from superposed
neutral atoms in the same orthogonal basis, S^½ P₀ S^½ with P₀ the free atoms' occupations: Löwdin's populations by
themselves give tails to whichever atom has the wider orbitals, and both densities alike. Charges shift the levels of
atoms until they agree with what the bands hold. Hartree atomic units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.mixing import Anderson
from chgtools.tightbinding.charges import interaction
from chgtools.tightbinding.hamiltonian import Hamiltonian, hamiltonian
from chgtools.tightbinding.kmesh import k_mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.tightbinding.orbitals import ElementBasis

    Array = NDArray[np.float64]

TEMPERATURE = 0.01  # hartree
SMALLEST_OVERLAP = 0.03  # eigenvalues of S below are raised: diffuse orbitals of alkaline metals nearly depend
TOLERANCE = 1e-3  # electrons, of an atom's charge
MOST_STEPS, HISTORY = 40, 5
FIRST_STEP = 0.2


@dataclass(frozen=True, eq=False)
class Electrons:
    """bands and orbitals of each k-point, in the orthogonal basis.

    energies : (n_k, n); states : (n_k, n, n), columns; weights : (n_k,); fermi : hartree
    superposed : for each atom the block of superposed neutral atoms
    charges : (n_atoms,) electrons of each atom beyond those of the superposition; steps : until they agreed
    """

    made: Hamiltonian
    energies: Array
    states: NDArray[np.complex128]
    weights: Array
    fermi: float
    superposed: list[Array]
    charges: Array
    steps: int

    def blocks(self, function: Callable[[Array], Array]) -> list[Array]:
        """For each atom the (size, size) block of 2 Σ_k w f(H_k − E_F), real and symmetric."""
        starts = self.made.starts
        blocks = [np.zeros((end - start, end - start)) for start, end in pairwise(starts)]
        for energies, states, weight in zip(self.energies, self.states, self.weights, strict=True):
            filled = 2 * weight * function(energies - self.fermi)
            for block, (start, end) in zip(blocks, pairwise(starts), strict=True):
                part = states[start:end]
                block += ((part * filled) @ part.conj().T).real
        return blocks


def filling(x: Array) -> Array:
    """Fermi's function of energies counted from the Fermi level."""
    return np.asarray(1 / (1 + np.exp(np.clip(x / TEMPERATURE, -60, 60))))


def solve(structure: Structure) -> Electrons:
    """The electrons of a neutral crystal. Raises ChgtoolsError where charges do not settle."""
    made, mesh = hamiltonian(structure), k_mesh(structure.lattice)
    sizes, gamma = np.diff(made.starts), interaction(structure)
    orthogonal, superposed = [], np.zeros((made.starts[-1],) * 2)
    for k, weight in zip(mesh.points, mesh.weights, strict=True):
        matrix, atoms = _orthogonal(*made.at(k), made)
        orthogonal.append(matrix)
        superposed += weight * atoms.real
    neutral = np.add.reduceat(np.diagonal(superposed), made.starts[:-1])
    electrons = float(sum(basis.electrons for basis in made.bases))
    charges, mixer = np.zeros(len(sizes)), Anderson(FIRST_STEP, HISTORY, 1e-6)
    for step in range(1, MOST_STEPS + 1):
        shift = np.repeat(gamma @ charges, sizes)
        solved = [np.linalg.eigh(matrix + np.diag(shift)) for matrix in orthogonal]
        energies = np.array([energies for energies, _ in solved])
        states = np.array([vectors for _, vectors in solved])
        fermi = fermi_level(energies, mesh.weights, electrons)
        filled = 2 * mesh.weights[:, None] * filling(energies - fermi)
        populations = np.einsum("kin,kn->i", np.abs(states) ** 2, filled)
        residual = np.add.reduceat(populations, made.starts[:-1]) - neutral - charges
        if np.abs(residual).max() < TOLERANCE:
            blocks = [superposed[a:b, a:b] for a, b in pairwise(made.starts)]
            return Electrons(made, energies, states, mesh.weights, fermi, blocks, charges, step)
        charges = mixer.next(charges, residual)
    raise ChgtoolsError(
        f"{structure.formula}: tight-binding charges still change by {np.abs(residual).max():.2g} electrons after "
        f"{MOST_STEPS} steps"
    )


def _orthogonal(
    energy: NDArray[np.complex128], overlap: NDArray[np.complex128], made: Hamiltonian
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """S^-½ H S^-½, and S^½ P₀ S^½ of superposed neutral atoms."""
    values, vectors = np.linalg.eigh(overlap)
    roots = np.sqrt(np.maximum(values, SMALLEST_OVERLAP))
    inverse, root = ((vectors * scale) @ vectors.conj().T for scale in (1 / roots, roots))
    occupations = np.concatenate([_occupations(basis) for basis in made.bases])
    return np.asarray(inverse @ energy @ inverse), np.asarray((root * occupations) @ root)


def _occupations(basis: ElementBasis) -> Array:
    """(size,) electrons in each orbital of the free atom, the same for all m."""
    shells = basis.shells
    return np.concatenate([np.full(2 * s.ell + 1, s.electrons / (2 * s.ell + 1)) for s in shells])


def fermi_level(energies: Array, weights: Array, electrons: float) -> float:
    """The level at which the bands (n_k, n) hold a number of electrons, by bisection."""
    low, high = float(energies.min()) - 1, float(energies.max()) + 1
    for _ in range(80):
        middle = 0.5 * (low + high)
        if 2 * float((weights[:, None] * filling(energies - middle)).sum()) > electrons:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)
