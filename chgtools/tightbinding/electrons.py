"""The electrons of a crystal in tight binding: charges, filling, and functions of the Hamiltonian on each atom.

Orbitals are made orthogonal symmetrically (P.-O. Löwdin 1950). Bands are filled by temperature, so that degenerate
ones at the Fermi level are filled alike and nothing breaks a symmetry. What an atom has is counted from superposed
neutral atoms in the same orthogonal basis, S^½ P₀ S^½ with P₀ the free atoms' occupations: Löwdin's populations by
themselves give tails to whichever atom has the wider orbitals, and both densities alike. Charges shift the levels of
atoms until they agree with what the bands hold. Hartree atomic units.

With moments, electrons of one spin lower each other's levels (E. C. Stoner 1938): shell i of an atom, whose shells hold
the moments m_j, has H − B_i·σ with B_i = ½ Σ_j I_ij m_j, and the moments settle together with the charges. They begin
as those of Hund's free atom in given directions. All along one axis make two sets of bands; else states are spinors,
and fields stay along the given directions: what turns them is slow to settle, and not asked for. Near the threshold
small errors of the bands decide on all or nothing, so what the field of the free atoms' moments makes of the electrons
is kept beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.kernels.dense import eigh, product
from chgtools.radial_atom.mixing import Anderson
from chgtools.tightbinding.charges import interaction
from chgtools.tightbinding.elements import element_of
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
MOMENT_TOLERANCE = 5e-3  # μ_B, of a shell's moment
MOST_STEPS, MOST_STEPS_WITH_SPIN = 40, 120
MIXING = (0.3, 10, 1e-4)  # see Anderson
MIXING_BY_ATOM = (0.2, 5, 1e-6)  # of weights of the first prior, which give the numbers that they gave
ENHANCEMENT = 1.1  # of the local kernel's I: of 0.9, 1, 1.1 and 1.2 nearest to the moments of 49 crystals, in the mean
PARALLEL = 1e-6  # how far directions may be from one axis

SPINOR = 2


@dataclass(frozen=True, eq=False)
class Bands:
    """Of some k-points, in the orthogonal basis: weights (n_k,), energies (n_k, m), states (n_k, n, m), columns

    spin : 0 of both spins alike, 1 up, -1 down; SPINOR for states whose first half of rows is up, the other down
    """

    weights: Array
    energies: Array
    states: Matrices
    spin: int = 0

    @property
    def electrons(self) -> Array:
        """(n_k,) what a filled state holds, times the point's weight."""
        return self.weights if self.spin else 2 * self.weights


@dataclass(frozen=True, eq=False)
class Electrons:
    """A structure's electrons.

    bands : those of the k-points where H is real, and of the others, of each spin; fermi : hartree
    superposed : for each atom the block of superposed neutral atoms
    charges : (n_atoms,) electrons of each atom beyond those of the superposition; steps : until all agreed
    axis : (n_components,) along which all moments are, (0,) without moments; None where states are spinors
    polarised : the same charges with the field of the free atoms' moments; None without moments
    """

    made: Hamiltonian
    bands: tuple[Bands, ...]
    fermi: float
    superposed: list[Array]
    charges: Array
    steps: int
    axis: Array | None
    polarised: Electrons | None = None

    def blocks(self, function: Callable[[Array], Array]) -> list[Array]:
        """For each atom the (size, size) block of Σ_k w f(H_k − E_F), both spins together, real and symmetric."""
        starts = self.made.starts
        blocks = [np.zeros((end - start, end - start)) for start, end in pairwise(starts)]
        for part in self.bands:
            values = part.electrons[:, None] * function(part.energies - self.fermi)
            for half in _halves(part):
                for block, (start, end) in zip(blocks, pairwise(starts), strict=True):
                    block += _block(half[:, start:end], half[:, start:end], values).real
        return blocks

    def spin_blocks(self, function: Callable[[Array], Array]) -> list[Array]:
        """For each atom (n_components, size, size) of Σ_k w tr σ f(H_k − E_F): up less down along the moments' axes."""
        starts = self.made.starts
        shapes = [(3 if self.axis is None else 1, end - start, end - start) for start, end in pairwise(starts)]
        blocks = [np.zeros(shape) for shape in shapes]
        for part in self.bands:
            values = part.electrons[:, None] * function(part.energies - self.fermi)
            halves = _halves(part)
            for block, (start, end) in zip(blocks, pairwise(starts), strict=True):
                rows = [half[:, start:end] for half in halves]
                if part.spin != SPINOR:
                    block[0] += part.spin * _block(rows[0], rows[0], values).real
                    continue
                across = _block(rows[0], rows[1], values)
                block[0] += (across + across.T.conj()).real
                block[1] += (1j * (across - across.T.conj())).real
                block[2] += (_block(rows[0], rows[0], values) - _block(rows[1], rows[1], values)).real
        if self.axis is None:
            return blocks
        return [self.axis[:, None, None] * block for block in blocks]


def _halves(part: Bands) -> list[Matrices]:
    """The states' parts of one spin each."""
    if part.spin != SPINOR:
        return [part.states]
    size = part.states.shape[1] // 2
    return [part.states[:, :size], part.states[:, size:]]


def _block(rows: Matrices, others: Matrices, values: Array) -> Matrices:
    """Σ_k rows_k diag(values_k) others_k†"""
    return np.asarray(((rows * values[:, None]) @ others.conj().transpose(0, 2, 1)).sum(axis=0))


def filling(x: Array) -> Array:
    """Fermi's function of energies counted from the Fermi level."""
    return np.asarray(1 / (1 + np.exp(np.clip(x / TEMPERATURE, -60, 60))))


def solve(
    structure: Structure, directions: Array | None = None, *, by_shell: bool = True, polarised: bool = True
) -> Electrons:
    """The electrons of a neutral crystal.

    directions : (n_atoms, 1 or 3) of the atoms' moments, unit vectors or 0; None or all 0 for none
    by_shell : whether each shell's level follows each shell's charge; else those of an atom follow its charge alike
    polarised : whether atoms have the shells that polarise theirs
    Raises ChgtoolsError where charges or moments do not settle.
    """
    made, mesh = hamiltonian(structure, polarised), k_mesh(structure.lattice)
    real = own_conjugates(mesh.points)
    parts = [part for part in (real, ~real) if part.any()]
    orthogonal = []
    superposed = [np.zeros((size, size)) for size in np.diff(made.starts)]
    for part in parts:
        matrices, roots = _orthogonal(*made.at(mesh.points[part]))
        orthogonal.append((mesh.weights[part], matrices))
        _add_superposed(superposed, roots, mesh.weights[part], made)
    starts, gamma = _groups(made, interaction(structure), by_shell)
    widths = np.diff(np.append(starts, made.starts[-1]))
    neutral = np.add.reduceat(np.concatenate([np.diagonal(block) for block in superposed]), starts)
    electrons = float(sum(basis.electrons for basis in made.bases))
    axis, start = start_moments(made, directions)
    moments, stoner = start, Stoner(made)
    given = np.concatenate([np.zeros(len(neutral)), start.ravel()])
    mixer = Anderson(*(MIXING if by_shell else MIXING_BY_ATOM))
    most = MOST_STEPS_WITH_SPIN if moments.size else MOST_STEPS
    for step in range(1, most + 1):
        charges, moments = given[: len(neutral)], given[len(neutral) :].reshape(moments.shape)
        shift = np.repeat(gamma @ charges, widths)
        bands = _bands(orthogonal, shift, stoner.fields(moments))
        fermi = fermi_level(bands, electrons)
        fillings = [filling(part.energies - fermi) for part in bands]
        held, spins = _held(bands, fillings)
        residual = np.add.reduceat(held, starts) - neutral - charges
        missed = along(np.add.reduceat(spins, stoner.starts, axis=0), start) - moments if moments.size else moments
        if np.abs(residual).max() < TOLERANCE and np.abs(missed).max(initial=0) < MOMENT_TOLERANCE:
            by_atom = np.add.reduceat(charges, np.searchsorted(starts, made.starts[:-1]))
            found = Electrons(made, bands, fermi, superposed, by_atom, step, axis)
            if not moments.size:
                return found
            bands = _bands(orthogonal, shift, stoner.fields(start))
            return replace(found, polarised=replace(found, bands=bands, fermi=fermi_level(bands, electrons)))
        softened = _softened(residual, bands, fillings, starts, gamma)
        given = mixer.next(given, np.concatenate([softened, missed.ravel()]))
    raise ChgtoolsError(
        f"{structure.formula}: tight-binding charges still change by {np.abs(residual).max():.2g} electrons"
        + (f" and moments by {np.abs(missed).max():.2g} μ_B" if moments.size else "")
        + f" after {most} steps"
    )


def _groups(made: Hamiltonian, between_atoms: Array, by_shell: bool) -> tuple[NDArray[np.int64], Array]:
    """First orbital of each group of orbitals whose charges are counted together, (n_groups,), and γ between them."""
    if not by_shell:
        return made.starts[:-1], between_atoms
    counts = [len(basis.shells) for basis in made.bases]
    widths = np.array([2 * shell.ell + 1 for basis in made.bases for shell in basis.shells])
    atom = np.repeat(np.arange(len(counts)), counts)
    gamma = between_atoms[np.ix_(atom, atom)]
    for first, basis in zip(np.cumsum(counts) - counts, made.bases, strict=True):
        own = slice(first, first + len(basis.shells))
        gamma[own, own] += basis.hardnesses - element_of(basis.element).hardness
    return np.cumsum(widths) - widths, gamma


class Stoner:
    """How the moments of shells act on the levels of the same atom. starts : (n_shells,) first orbital of each shell"""

    def __init__(self, made: Hamiltonian) -> None:
        self.widths = np.array([2 * shell.ell + 1 for basis in made.bases for shell in basis.shells])
        self.starts = np.cumsum(self.widths) - self.widths
        self.exchange = [ENHANCEMENT * basis.exchange for basis in made.bases]

    def fields(self, moments: Array) -> Array:
        """(n_orbitals, n_components) B in hartree of the moments (n_shells, n_components) of shells, μ_B."""
        ends = np.cumsum([len(each) for each in self.exchange])
        fields = [0.5 * each @ moments[end - len(each) : end] for each, end in zip(self.exchange, ends, strict=True)]
        return np.repeat(np.concatenate(fields), self.widths, axis=0)


def start_moments(made: Hamiltonian, directions: Array | None) -> tuple[Array | None, Array]:
    """``axis`` of Electrons and (n_shells, 0, 1 or 3) μ_B of the free atoms by Hund's rule, along an axis if there is
    one: its sign is that of the first moment."""
    shells = [shell for basis in made.bases for shell in basis.shells]
    if directions is None or not directions.any():
        return np.zeros(0), np.zeros((len(shells), 0))
    hund = np.array([min(shell.electrons, 4 * shell.ell + 2 - shell.electrons) for shell in shells])
    vectors = np.repeat(directions, [len(basis.shells) for basis in made.bases], axis=0)
    axis = directions[np.flatnonzero(directions.any(axis=1))[0]]
    along = directions @ axis
    if np.abs(directions - along[:, None] * axis).max() > PARALLEL:
        return None, hund[:, None] * vectors
    return axis, hund[:, None] * (vectors @ axis)[:, None]


def along(moments: Array, start: Array) -> Array:
    """What moments (n_shells, 1 or 3) have along those of the start, where a shell had one there."""
    size = np.linalg.norm(start, axis=1, keepdims=True)
    unit = np.divide(start, size, out=np.zeros_like(start), where=size > 0)
    return np.where(size > 0, (moments * unit).sum(axis=1, keepdims=True) * unit, moments)


def _bands(orthogonal: Sequence[tuple[Array, Matrices]], shift: Array, fields: Array) -> tuple[Bands, ...]:
    """Those of each part of the k-points, H (n_k, n, n), and of each spin.

    shift : (n,) hartree, fields : (n, 0, 1 or 3) B
    """
    made = []
    for weights, matrices in orthogonal:
        if fields.shape[1] == 3:
            made.append(Bands(weights, *eigh(_spinor(matrices + np.diag(shift), fields)), SPINOR))
            continue
        for spin in (1, -1) if fields.shape[1] else (0,):
            own = shift - spin * fields[:, 0] if spin else shift
            made.append(Bands(weights, *eigh(matrices + np.diag(own)), spin))
    return tuple(made)


def _spinor(matrices: Matrices, fields: Array) -> Matrices:
    """(n_k, 2n, 2n) H − B·σ, spin up first."""
    x, y, z = (np.diag(component) for component in fields.T)
    rows = [[matrices - z, np.broadcast_to(1j * y - x, matrices.shape)]]
    rows.append([np.broadcast_to(-1j * y - x, matrices.shape), matrices + z])
    return np.block(rows)


def _held(bands: tuple[Bands, ...], fillings: Sequence[Array]) -> tuple[Array, Array]:
    """(n,) electrons and (n, 0, 1 or 3) moments of the orbitals, of fillings (n_k, m) of each part of the bands."""
    size = bands[0].states.shape[1] // (2 if bands[0].spin == SPINOR else 1)
    held, spins = np.zeros(size), np.zeros((size, {0: 0, SPINOR: 3}.get(bands[0].spin, 1)))
    for part, filled in zip(bands, fillings, strict=True):
        values, halves = part.electrons[:, None] * filled, _halves(part)
        own = [np.einsum("kin,kn->i", np.abs(half) ** 2, values) for half in halves]
        held += sum(own)
        if part.spin == SPINOR:
            across = np.einsum("kin,kin,kn->i", halves[0].conj(), halves[1], values)
            spins += np.stack([2 * across.real, 2 * across.imag, own[0] - own[1]], 1)
        elif part.spin:
            spins[:, 0] += part.spin * own[0]
    return held, spins


def _orthogonal(energy: Matrices, overlap: Matrices) -> tuple[Matrices, Matrices]:
    """S^-½ H S^-½ and S^½, (n_k, n, n)."""
    values, vectors = eigh(overlap)
    roots, adjoint = np.sqrt(np.maximum(values, SMALLEST_OVERLAP))[:, None], vectors.conj().transpose(0, 2, 1)
    inverse = product(vectors / roots, adjoint)
    return product(product(inverse, energy), inverse), product(vectors * roots, adjoint)


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


def _softened(
    residual: Array, bands: tuple[Bands, ...], fillings: Sequence[Array], starts: NDArray[np.int64], gamma: Array
) -> Array:
    """(1 + χγ)⁻¹ residual, with χ the charges' response to levels through their filling alone.

    Where levels of atoms far apart lie at the Fermi level, a thousandth of an electron that is put in the wrong place
    comes back a hundredfold; this takes it out. The Fermi level moves so that all electrons stay.
    """
    held, _ = _held(bands, [f * (1 - f) / TEMPERATURE for f in fillings])
    response = np.add.reduceat(held, starts)
    total = response.sum()
    matrix = np.diag(response) - (np.outer(response, response) / total if total > 0 else 0.0)
    return np.asarray(np.linalg.solve(np.eye(len(residual)) + matrix @ gamma, residual))


def fermi_level(bands: Sequence[Bands], electrons: float) -> float:
    """The level at which bands hold a number of electrons, by bisection."""
    energies = np.concatenate([part.energies.ravel() for part in bands])
    weights = np.concatenate([np.repeat(part.electrons, part.energies.shape[1]) for part in bands])
    low, high = float(energies.min()) - 1, float(energies.max()) + 1
    for _ in range(80):
        middle = 0.5 * (low + high)
        if float(weights @ filling(energies - middle)) > electrons:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)
