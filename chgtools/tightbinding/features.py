"""What the electrons of a crystal say of each atom: the inputs that a network takes from tight binding.

Functions f(H − E_F) of the Hamiltonian have a block on each atom. Its traces over shells do not turn with the crystal;
its parts between two shells, coupled by Gaunt coefficients, turn as harmonics of L:

    t_LM = Σ_mm' ⟨l m|f|l' m'⟩ G(lm, l'm', LM),   l + l' + L even.

The functions are the filling, of which superposed atoms' is taken off, and three smooth ones that say where the levels
lie. The shells that polarise come last, with channels of their own: what they hold is a tenth of what valence shells
do, and would be lost beside it. With moments there are the same parts of up less down too, L = 0 among them, of the
filling of the valence alone: once where the moments agree with what the bands hold, and once in the field of the free
atoms'. Hartree atomic units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.angular import gaunt
from chgtools.errors import ChgtoolsError
from chgtools.tightbinding.electrons import filling, solve
from chgtools.tightbinding.hamiltonian import HIGHEST
from chgtools.tightbinding.kmesh import k_mesh
from chgtools.tightbinding.shells import basis_shells, valence_shells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.tightbinding.electrons import Electrons

    Array = NDArray[np.float64]

# The versions of what follows: weights name the one that they were trained with. The first knows no moments, and all
# levels of an atom move alike with its charge; the second has no shells that polarise.
FIRST, SECOND, PRIOR = "tight-binding-1", "tight-binding-2", "tight-binding-3"
WITH_MOMENTS = (SECOND, PRIOR)
LARGEST_ORBITALS = 4000.0  # beyond, the calculation takes too long, see work_orbitals


def _lorentzian(width: float) -> Callable[[Array], Array]:
    return lambda x: np.asarray(width**2 / (x**2 + width**2))


def _dispersion(width: float) -> Callable[[Array], Array]:
    return lambda x: np.asarray(width * x / (x**2 + width**2))


FUNCTIONS = (filling, _lorentzian(0.1), _lorentzian(0.4), _dispersion(0.25))  # the filling comes first
Channels = tuple[tuple[tuple[int, int, int], ...], ...]
POLARISING = HIGHEST + 1  # the d shell that polarises, beside s, p, d and f of the valence
# (l, l', L) of the shells that are coupled to each L; a channel holds one for each L at most
CHANNELS = (
    ((0, 1, 1), (1, 1, 2), (1, 2, 3), (2, 2, 4)),
    ((1, 2, 1), (0, 2, 2)),
    ((2, 2, 2),),
)
POLARISING_CHANNELS = (
    ((1, POLARISING, 1), (0, POLARISING, 2), (1, POLARISING, 3), (POLARISING, POLARISING, 4)),
    ((POLARISING, POLARISING, 2),),
)
SPIN_CHANNELS = (
    ((0, 0, 0), *CHANNELS[0]),
    ((1, 1, 0), *CHANNELS[1]),
    ((2, 2, 0), *CHANNELS[2]),
    ((3, 3, 0),),
)
L_MAX = 4
VALENCE_INVARIANTS, VALENCE_TENSORS = 1 + len(FUNCTIONS) * (HIGHEST + 1), len(FUNCTIONS) * len(CHANNELS)
N_INVARIANTS = VALENCE_INVARIANTS + len(FUNCTIONS)
N_TENSORS = VALENCE_TENSORS + len(FUNCTIONS) * len(POLARISING_CHANNELS)
N_SPINS = 2 * len(SPIN_CHANNELS)
_N_LM = (L_MAX + 1) ** 2
_HARMONICS = [slice(ell**2, (ell + 1) ** 2) for ell in range(L_MAX + 1)]
_PLACES = [*_HARMONICS[: HIGHEST + 1], slice(16, 21)]  # of the orbitals of each shell, POLARISING the last
_ANGULAR = [*_HARMONICS[: HIGHEST + 1], _HARMONICS[2]]
_N_ORBITALS = _PLACES[POLARISING].stop
REMEMBERED = 8  # structures: a prediction asks for one several times


@dataclass(frozen=True, eq=False)
class PriorFeatures:
    """invariants : (n_atoms, N_INVARIANTS) an atom's charge in electrons, then the traces over s, p, d, f shells of
        each function in turn, then those over the shell that polarises; 0 for shells that it has not
    tensors : (n_atoms, N_TENSORS, 25) the CHANNELS of each function in turn, then the POLARISING_CHANNELS, in real
        harmonics up to l = 4
    spins : (n_atoms, 1 or 3, N_SPINS, 25) likewise the SPIN_CHANNELS of settled and of polarised electrons, for each
        component of the moments; 0 without moments
    """

    invariants: Array
    tensors: Array
    spins: Array

    @classmethod
    def zeros(cls, n_atoms: int) -> PriorFeatures:
        return cls(np.zeros((n_atoms, N_INVARIANTS)), np.zeros((n_atoms, N_TENSORS, _N_LM)), no_spins(n_atoms))

    def of_atoms(self, kept: NDArray[np.bool_]) -> PriorFeatures:
        """Those of some atoms; kept : (n_atoms,)"""
        return PriorFeatures(self.invariants[kept], self.tensors[kept], self.spins[kept])


def counts(version: str) -> tuple[int, int]:
    """How many of the invariants and of the tensors a version has, the first ones; the others are 0 in it."""
    return (N_INVARIANTS, N_TENSORS) if version == PRIOR else (VALENCE_INVARIANTS, VALENCE_TENSORS)


def no_spins(n_atoms: int) -> Array:
    """``spins`` of atoms without moments."""
    return np.zeros((n_atoms, 1, N_SPINS, _N_LM))


def prior_features(structure: Structure, directions: Array | None = None, version: str = PRIOR) -> PriorFeatures:
    """The features of all atoms; those of the last few structures are remembered.

    directions : (n_atoms, 1 or 3) of the atoms' moments, unit vectors or 0; None for none
    version : PRIOR, or an earlier one; for FIRST directions do not count
    Raises ChgtoolsError where there is no solution: elements beyond plutonium, charges or moments that do not settle.
    """
    pointing = None
    if directions is not None and directions.any() and version in WITH_MOMENTS:
        pointing = np.asarray(directions, dtype=np.float64)
    return _remembered(
        structure.lattice.tobytes(), structure.species, structure.counts, structure.frac.tobytes(),
        None if pointing is None else pointing.tobytes(), version,
    )  # fmt: skip


@lru_cache(maxsize=REMEMBERED)
def _remembered(
    lattice: bytes,
    species: tuple[str, ...],
    counts: tuple[int, ...],
    frac: bytes,
    directions: bytes | None,
    version: str,
) -> PriorFeatures:
    from chgtools.cell import Structure

    structure = Structure(np.frombuffer(lattice).reshape(3, 3), species, counts, np.frombuffer(frac))
    pointing = None if directions is None else np.frombuffer(directions).reshape(structure.n_atoms, -1)
    try:
        return features_of(solve(structure, pointing, by_shell=version != FIRST, polarised=version == PRIOR))
    except np.linalg.LinAlgError as error:
        raise ChgtoolsError(f"{structure.formula}: tight-binding matrices cannot be diagonalised ({error})") from error


def features_of(electrons: Electrons) -> PriorFeatures:
    """The features of all atoms of a calculation."""
    invariants, tensors = [electrons.charges[:, None]], []
    traces_polarising, tensors_polarising = [], []
    for function in FUNCTIONS:
        blocks = electrons.blocks(function)
        if function is filling:
            blocks = [block - atom for block, atom in zip(blocks, electrons.superposed, strict=True)]
        whole = _by_shells(electrons, blocks)
        traces = np.add.reduceat(np.einsum("aii->ai", whole), [place.start for place in _PLACES], axis=1)
        invariants.append(traces[:, :POLARISING])
        traces_polarising.append(traces[:, POLARISING:])
        tensors.append(_coupled(whole, CHANNELS))
        tensors_polarising.append(_coupled(whole, POLARISING_CHANNELS))
    return PriorFeatures(
        np.concatenate(invariants + traces_polarising, 1),
        np.concatenate(tensors + tensors_polarising, 1),
        _spins(electrons),
    )


def _spins(electrons: Electrons) -> Array:
    """``spins`` of a calculation."""
    if electrons.polarised is None:
        return no_spins(len(electrons.charges))
    parts = []
    for each in (electrons, electrons.polarised):
        blocks = each.spin_blocks(filling)
        components = [_by_shells(electrons, [block[k] for block in blocks]) for k in range(len(blocks[0]))]
        parts.append(np.stack([_coupled(whole, SPIN_CHANNELS) for whole in components], axis=1))
    return np.concatenate(parts, axis=2)


def _coupled(whole: Array, channels: Channels) -> Array:
    """(n_atoms, n_channels, 25) of blocks by shells (n_atoms, 21, 21)."""
    return np.asarray((whole.reshape(len(whole), -1) @ _couplings(channels)).reshape(len(whole), len(channels), _N_LM))


def _by_shells(electrons: Electrons, blocks: list[Array]) -> Array:
    """(n_atoms, 21, 21) of blocks between an atom's own shells: each orbital at the place of its lm, 0 elsewhere."""
    whole = np.zeros((len(blocks), _N_ORBITALS, _N_ORBITALS))
    for atom, (basis, block) in enumerate(zip(electrons.made.bases, blocks, strict=True)):
        valence = len(valence_shells(basis.element))
        shells = [shell.ell for shell in basis.shells[:valence]] + [POLARISING] * (len(basis.shells) - valence)
        places = np.concatenate([np.arange(_N_ORBITALS)[_PLACES[shell]] for shell in shells])
        whole[atom, places[:, None], places] = block
    return whole


@cache
def _couplings(channels: Channels) -> Array:
    """(21 · 21, n_channels · 25) from an atom's block to its tensors."""
    table = gaunt(HIGHEST, HIGHEST, L_MAX)
    kept = np.zeros((_N_ORBITALS, _N_ORBITALS, len(channels), _N_LM))
    for channel, couplings in enumerate(channels):
        for first, second, out in couplings:
            angular = table[_ANGULAR[first], _ANGULAR[second], _HARMONICS[out]]
            kept[_PLACES[first], _PLACES[second], channel, _HARMONICS[out]] = angular
    return kept.reshape(_N_ORBITALS**2, -1)


def work_orbitals(structure: Structure, components: int = 0, version: str = PRIOR) -> float:
    """How many orbitals a cell with one k-point has whose calculation takes as long: n n_k^⅓, to compare with
    LARGEST_ORBITALS. Raises SettingsError beyond plutonium.

    components : of the moments, 0, 1 (two sets of bands) or 3 (one of twice as many)
    """
    shells = {element: basis_shells(element, version == PRIOR) for element in structure.species}
    own = {element: sum(2 * shell.ell + 1 for shell in each) for element, each in shells.items()}
    orbitals = sum(own[element] for element in structure.elements)
    return float(orbitals * (len(k_mesh(structure.lattice).points) * {0: 1, 1: 2, 3: 8}[components]) ** (1 / 3))
