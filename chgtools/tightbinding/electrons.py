"""The electrons of a crystal in tight binding: charges, filling, and functions of the Hamiltonian on each atom.

Orbitals are made orthogonal symmetrically (P.-O. Löwdin 1950). Bands are filled by temperature, so that degenerate
ones at the Fermi level are filled alike and nothing breaks a symmetry. What an atom has is counted from superposed
neutral atoms in the same orthogonal basis, S^½ P₀ S^½ with P₀ the free atoms' occupations: Löwdin's populations by
themselves give tails to whichever atom has the wider orbitals, and both densities alike. Charges shift the levels of
atoms until they agree with what the bands hold. Hartree atomic units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.mixing import Anderson
from chgtools.tightbinding.charges import interaction
from chgtools.tightbinding.hamiltonian import Hamiltonian, hamiltonian, own_conjugates
from chgtools.tightbinding.kmesh import k_mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.tightbinding.orbitals import ElementBasis

    Array = NDArray[np.float64]
    Matrices = NDArray[np.complex128] | NDArray[np.float64]

TEMPERATURE = 0.01  # hartree
SMALLEST_OVERLAP = 0.03  # eigenvalues of S below are raised: diffuse orbitals of alkaline metals nearly depend
TOLERANCE = 1e-3  # electrons, of an atom's charge
MOST_STEPS, HISTORY = 40, 5
FIRST_STEP = 0.2


@dataclass(frozen=True, eq=False)
class Bands:
    """Of some k-points, in the orthogonal basis: weights (n_k,), energies (n_k, n), states (n_k, n, n), columns"""

    weights: Array
    energies: Array
    states: Matrices


@dataclass(frozen=True, eq=False)
class Electrons:
    """A structure's electrons.

    bands : those of the k-points where H is real, and of the others; fermi : hartree
    superposed : for each atom the block of superposed neutral atoms
    charges : (n_atoms,) electrons of each atom beyond those of the superposition; steps : until they agreed
    """

    made: Hamiltonian
    bands: tuple[Bands, ...]
    fermi: float
    superposed: list[Array]
    charges: Array
    steps: int

    def blocks(self, function: Callable[[Array], Array]) -> list[Array]:
        """For each atom the (size, size) block of 2 Σ_k w f(H_k − E_F), real and symmetric."""
        starts = self.made.starts
        blocks = [np.zeros((end - start, end - start)) for start, end in pairwise(starts)]
        for part in self.bands:
            values = 2 * part.weights[:, None] * function(part.energies - self.fermi)
            for block, (start, end) in zip(blocks, pairwise(starts), strict=True):
                rows = part.states[:, start:end]
                block += ((rows * values[:, None]) @ rows.conj().transpose(0, 2, 1)).real.sum(axis=0)
        return blocks


def filling(x: Array) -> Array:
    """Fermi's function of energies counted from the Fermi level."""
    return np.asarray(1 / (1 + np.exp(np.clip(x / TEMPERATURE, -60, 60))))


def solve(structure: Structure) -> Electrons:
    """The electrons of a neutral crystal. Raises ChgtoolsError where charges do not settle."""
    made, mesh = hamiltonian(structure), k_mesh(structure.lattice)
    real = own_conjugates(mesh.points)
    parts = [part for part in (real, ~real) if part.any()]
    orthogonal = []
    superposed = [np.zeros((size, size)) for size in np.diff(made.starts)]
    for part in parts:
        matrices, roots = _orthogonal(*made.at(mesh.points[part]))
        orthogonal.append((mesh.weights[part], matrices))
        _add_superposed(superposed, roots, mesh.weights[part], made)
    gamma = interaction(structure)
    neutral = np.array([np.trace(block) for block in superposed])
    electrons = float(sum(basis.electrons for basis in made.bases))
    charges, mixer = np.zeros(len(neutral)), Anderson(FIRST_STEP, HISTORY, 1e-6)
    for step in range(1, MOST_STEPS + 1):
        shift = np.repeat(gamma @ charges, np.diff(made.starts))
        bands = tuple(Bands(weights, *np.linalg.eigh(h + np.diag(shift))) for weights, h in orthogonal)
        fermi = fermi_level(bands, electrons)
        fillings = [filling(part.energies - fermi) for part in bands]
        residual = _populations(bands, fillings, made.starts) - neutral - charges
        if np.abs(residual).max() < TOLERANCE:
            return Electrons(made, bands, fermi, superposed, charges, step)
        charges = mixer.next(charges, _softened(residual, bands, fillings, made.starts, gamma))
    raise ChgtoolsError(
        f"{structure.formula}: tight-binding charges still change by {np.abs(residual).max():.2g} electrons after "
        f"{MOST_STEPS} steps"
    )


def _orthogonal(energy: Matrices, overlap: Matrices) -> tuple[Matrices, Matrices]:
    """S^-½ H S^-½ and S^½, (n_k, n, n)."""
    values, vectors = np.linalg.eigh(overlap)
    roots, adjoint = np.sqrt(np.maximum(values, SMALLEST_OVERLAP))[:, None], vectors.conj().transpose(0, 2, 1)
    inverse = (vectors / roots) @ adjoint
    return np.asarray(inverse @ energy @ inverse), np.asarray((vectors * roots) @ adjoint)


def _add_superposed(blocks: list[Array], roots: Matrices, weights: Array, made: Hamiltonian) -> None:
    """Add each atom's block of Σ_k w S^½ P₀ S^½."""
    occupations = np.concatenate([_occupations(basis) for basis in made.bases])
    for block, (start, end) in zip(blocks, pairwise(made.starts), strict=True):
        rows = roots[:, start:end]
        sums = ((rows * occupations) @ rows.conj().transpose(0, 2, 1)).real
        block += np.tensordot(weights, sums, 1)


def _occupations(basis: ElementBasis) -> Array:
    """(size,) electrons in each orbital of the free atom, the same for all m."""
    shells = basis.shells
    return np.concatenate([np.full(2 * s.ell + 1, s.electrons / (2 * s.ell + 1)) for s in shells])


def _populations(bands: tuple[Bands, ...], fillings: Sequence[Array], starts: NDArray[np.int64]) -> Array:
    """(n_atoms,) 2 Σ_k w Σ_n of a filling (n_k, n) of the states of each part of the bands."""
    orbitals = np.zeros(starts[-1])
    for part, filled in zip(bands, fillings, strict=True):
        orbitals += np.einsum("kin,kn->i", np.abs(part.states) ** 2, 2 * part.weights[:, None] * filled)
    return np.add.reduceat(orbitals, starts[:-1])


def _softened(
    residual: Array, bands: tuple[Bands, ...], fillings: Sequence[Array], starts: NDArray[np.int64], gamma: Array
) -> Array:
    """(1 + χγ)⁻¹ residual, with χ the charges' response to levels through their filling alone.

    Where levels of atoms far apart lie at the Fermi level, a thousandth of an electron that is put in the wrong place
    comes back a hundredfold; this takes it out. The Fermi level moves so that all electrons stay.
    """
    response = _populations(bands, [f * (1 - f) / TEMPERATURE for f in fillings], starts)
    total = response.sum()
    matrix = np.diag(response) - (np.outer(response, response) / total if total > 0 else 0.0)
    return np.asarray(np.linalg.solve(np.eye(len(residual)) + matrix @ gamma, residual))


def fermi_level(bands: Sequence[Bands], electrons: float) -> float:
    """The level at which bands hold a number of electrons, by bisection."""
    energies = np.concatenate([part.energies.ravel() for part in bands])
    weights = np.concatenate([np.repeat(part.weights, part.energies.shape[1]) for part in bands])
    low, high = float(energies.min()) - 1, float(energies.max()) + 1
    for _ in range(80):
        middle = 0.5 * (low + high)
        if 2 * float(weights @ filling(energies - middle)) > electrons:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)
