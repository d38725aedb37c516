"""H(k) and S(k) of a crystal in the basis of its atoms, for superposed neutral atoms.

Between two atoms stand their own two-centre integrals. What all other atoms do there is taken from what they do at
each of the two, through the overlap,

    ⟨a|Σ_c V_c|b⟩ ≈ ½ [(F_a − F_ab) S_ab + S_ab (F_b − F_ba)],

with F_a = Σ_c ⟨a|V_c|a'⟩ the field of all others on an atom and F_ab that of b alone. Projectors need no such step:
Σ_c ⟨a|χ_c⟩ E_c ⟨χ_c|b⟩ is a product of two-centre matrices. Against the same integrals on a fine grid this moves
silicon's valence bands by less than half an eV, where two-centre integrals alone are off by several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.angular import gaunt
from chgtools.cell import neighbours
from chgtools.tightbinding.orbitals import ElementBasis, element_basis
from chgtools.tightbinding.two_centre import R_STEP, REACH, pair_tables
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

    Array = NDArray[np.float64]
    Matrices = NDArray[np.complex128] | NDArray[np.float64]

HIGHEST = 3  # l


@dataclass(frozen=True, eq=False)
class Hamiltonian:
    """The real-space blocks of a structure, hartree.

    starts : (n_atoms + 1,) first orbital of each atom; first, second : (n_pairs,) atoms; image : (n_pairs, 3) cell of
    the second; overlap, energy : (n_pairs, m, m), pairs of an atom with itself in its own cell among them
    projection : (n_pairs, m, m) of projectors of the first and orbitals of the second; projector_starts likewise;
    strengths : (n_projectors,) E
    """

    bases: tuple[ElementBasis, ...]
    starts: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    image: NDArray[np.int64]
    overlap: Array
    energy: Array
    projection: Array
    projector_starts: NDArray[np.int64]
    strengths: Array

    def at(self, points: Array) -> tuple[Matrices, Matrices]:
        """H and S (n_k, n, n), Hermitian, at ``points`` (n_k, 3), fractions of the reciprocal lattice vectors.

        Real where a crystal and its complex conjugate are alike at all of them: 2k are reciprocal lattice vectors.
        """
        phases = np.exp(2j * np.pi * (points @ self.image.T))
        if own_conjugates(points).all():
            phases = np.ascontiguousarray(phases.real)
        energy = self._sums(self.energy, phases, self.starts)
        overlap = self._sums(self.overlap, phases, self.starts)
        projection = self._sums(self.projection, phases, self.projector_starts)
        energy += _adjoint(projection) @ (self.strengths[:, None] * projection)
        return 0.5 * (energy + _adjoint(energy)), 0.5 * (overlap + _adjoint(overlap))

    def _sums(self, blocks: Array, phases: Matrices, row_starts: NDArray[np.int64]) -> Matrices:
        from chgtools.kernels.bloch import add_blocks

        matrices: Matrices = np.zeros((len(phases), row_starts[-1], self.starts[-1]), phases.dtype)
        rows, columns = row_starts[self.first], self.starts[self.second]
        heights, widths = np.diff(row_starts)[self.first], np.diff(self.starts)[self.second]
        add_blocks(matrices, blocks, rows, columns, heights, widths, phases)
        return matrices


def own_conjugates(points: Array) -> NDArray[np.bool_]:
    """Which k-points (n_k, 3) are their own opposite, so that H and S are real there."""
    return np.asarray((np.abs(2 * points - np.round(2 * points)) < 1e-9).all(axis=1))


def _adjoint(matrices: Any) -> Any:
    return matrices.conj().transpose(0, 2, 1)


def hamiltonian(structure: Structure, polarised: bool = True) -> Hamiltonian:
    """The blocks of a structure. Raises SettingsError beyond plutonium, MismatchError for atoms on one place.

    polarised : see chgtools.tightbinding.elements.element_of
    """
    elements = structure.elements
    bases = tuple(element_basis(element, polarised) for element in elements)
    first, second, image, distance, direction = _pairs(structure)
    size = max(basis.size for basis in bases)
    shape = (len(first), size, size)
    overlap, hopping, projection, field = (np.zeros(shape) for _ in range(4))
    kinds: dict[tuple[str, str], list[int]] = {}
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        kinds.setdefault((elements[a], elements[b]), []).append(pair)
    for (one, other), members in kinds.items():
        tables = pair_tables(one, other, polarised)
        a, b = element_basis(one, polarised), element_basis(other, polarised)
        turn = _Turned(distance[members], direction[members])
        overlap[members] = turn.blocks(tables.overlap, _places(a), _places(b), size)
        hopping[members] = turn.blocks(tables.hopping, _places(a), _places(b), size)
        projection[members] = turn.blocks(tables.projection, _projector_places(a), _places(b), size)
        field[members] = turn.blocks(tables.field, _places(a), _places(a), size)
    apart = distance > 0
    fields = np.zeros((len(bases), size, size))
    np.add.at(fields, first[apart], field[apart])
    energy = hopping
    opposite = _opposite(first, second, image)
    here, there = fields[first] - field, fields[second] - field[opposite]
    energy += np.where(apart[:, None, None], 0.5 * (here @ overlap + overlap @ there), fields[first])
    # an atom's own potential acts once on it, not as two
    alone = ~apart
    energy[alone] -= field[alone]
    starts = np.concatenate([[0], np.cumsum([basis.size for basis in bases])])
    widths = [sum(2 * basis.shells[i].ell + 1 for i in basis.projectors) for basis in bases]
    strengths = [
        np.repeat(basis.strengths[i], 2 * basis.shells[i].ell + 1) for basis in bases for i in basis.projectors
    ]
    return Hamiltonian(
        bases, starts, first, second, image, overlap, energy, projection,
        np.concatenate([[0], np.cumsum(widths)]), np.concatenate([np.zeros(0), *strengths]),
    )  # fmt: skip


def _pairs(structure: Structure) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], Array, Array]:
    """(first, second, image, distance in bohr, direction); each atom with itself is one, at distance 0 and along z."""
    near = neighbours(structure, REACH * BOHR_ANGSTROM)
    own = np.arange(structure.n_atoms)
    return (
        np.concatenate([own, near.centre]),
        np.concatenate([own, near.other]),
        np.concatenate([np.zeros((len(own), 3), np.int64), near.image]),
        np.concatenate([np.zeros(len(own)), near.distance / BOHR_ANGSTROM]),
        np.concatenate([np.tile([0.0, 0.0, 1.0], (len(own), 1)), near.direction]),
    )


def _opposite(first: NDArray[np.int64], second: NDArray[np.int64], image: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each pair the index of the pair the other way round."""
    here = np.lexsort((*image.T, second, first))
    there = np.lexsort((*-image.T, first, second))
    opposite = np.empty_like(here)
    opposite[there] = here
    return opposite


def _places(basis: ElementBasis) -> dict[int, slice]:
    """Shell to its rows in a block."""
    ends = np.cumsum([0] + [2 * shell.ell + 1 for shell in basis.shells])
    return {i: slice(ends[i], ends[i + 1]) for i in range(len(basis.shells))}


def _projector_places(basis: ElementBasis) -> dict[int, slice]:
    places, start = {}, 0
    for i in basis.projectors:
        width = 2 * basis.shells[i].ell + 1
        places[i] = slice(start, start + width)
        start += width
    return places


class _Turned:
    """Blocks of pairs of two elements at given distances (n,) in bohr and directions (n, 3)."""

    def __init__(self, distance: Array, direction: Array) -> None:
        from chgtools.kernels.harmonics import harmonics

        self.distance = distance
        self.harmonics = harmonics(2 * HIGHEST, np.ascontiguousarray(direction))

    def blocks(
        self, tables: dict[tuple[int, int, int], Array], rows: dict[int, slice], columns: dict[int, slice], size: int
    ) -> Array:
        """(n, size, size) Σ_L table(R) Σ_M G Y_LM(u) for all shells."""
        result = np.zeros((len(self.distance), size, size))
        for (i, j, big_l), table in tables.items():
            row, column = rows[i], columns[j]
            la, lb = (row.stop - row.start - 1) // 2, (column.stop - column.start - 1) // 2
            angular = _gaunt(la, lb, big_l) @ self.harmonics[big_l**2 : (big_l + 1) ** 2]
            result[:, row, column] += (_between(table, self.distance) * angular).transpose(2, 0, 1)
        return result


@cache
def _gaunt(la: int, lb: int, big_l: int) -> Array:
    """(2la + 1, 2lb + 1, 2L + 1)"""
    table = gaunt(HIGHEST, HIGHEST, 2 * HIGHEST)
    return table[la**2 : (la + 1) ** 2, lb**2 : (lb + 1) ** 2, big_l**2 : (big_l + 1) ** 2]


def _between(table: Array, distance: Array) -> Array:
    """(n,) cubic interpolation through the four nearest points; the table is even or odd around 0, never used there."""
    x = distance / R_STEP
    i = np.clip(x.astype(int), 1, len(table) - 3)
    t = x - i
    before, here, after, next_one = (table[i + shift] for shift in (-1, 0, 1, 2))
    return np.asarray(
        -t * (t - 1) * (t - 2) / 6 * before + (t + 1) * (t - 1) * (t - 2) / 2 * here
        - (t + 1) * t * (t - 2) / 2 * after + (t + 1) * t * (t - 1) / 6 * next_one
    )  # fmt: skip
