"""Tight binding's wave functions as each atom's projectors see them, and what a grid holds around each atom.

ψ at an atom is its own orbitals and the tails of all others. Tails are projected by two-centre integrals, as those of
chgtools.tightbinding.two_centre, of the setup's projectors; beside that their value and slope at the sphere's end are
kept. Own orbitals are not projected: smooth inside other radii, they count as the channel of their shell. The basis is
that of the valence alone, without the shells that polarise it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from gpaw_setups import SEMICORE, setup
from scipy.interpolate import CubicSpline
from scipy.special import spherical_jn

from chgtools.cell import Structure, reciprocal
from chgtools.kernels.bloch import add_blocks
from chgtools.tightbinding.electrons import _occupations, _orthogonal, filling, solve
from chgtools.tightbinding.hamiltonian import _pairs, _places, _Turned, own_conjugates
from chgtools.tightbinding.kmesh import k_mesh
from chgtools.tightbinding.orbitals import ElementBasis
from chgtools.tightbinding.orbitals import element_basis as whole_basis
from chgtools.tightbinding.two_centre import _integral
from chgtools.units import BOHR_ANGSTROM

ELLS = (0, 1, 2)  # of setups
SHELLS = (0.8, 1.0, 1.2)  # radii at which a grid is looked at, in the largest radius of the setup


def element_basis(element: str) -> ElementBasis:
    """Of the valence."""
    return whole_basis(element, polarised=False)


@dataclass(frozen=True, eq=False)
class Seen:
    """One atom. Rows: own orbitals (size), tails on projectors (n_m), value and slope of tails of each l of ELLS.

    filled, energies, superposed : (n, n) Σ_k w f |c⟩⟨c| of the filling f, of f (ε − E_F), and of superposed neutral
        atoms, whose tails do not interfere; hartree
    levels : (size,) where the own orbitals lie, the same for all m, counted from E_F
    charge, d_change : electrons of the atom and of its d shell beyond the superposition's
    """

    element: str
    size: int
    filled: np.ndarray
    energies: np.ndarray
    superposed: np.ndarray
    levels: np.ndarray
    charge: float
    d_change: float


def _rows(element: str) -> list[tuple[int, np.ndarray]]:
    """l and transform (n_q,) of what is asked of a tail."""
    own, q = setup(element), element_basis("H").q
    rows = [
        (int(ell), (spherical_jn(int(ell), np.outer(q, own.r)) * own.r**2 * own.dr) @ projector)
        for ell, projector in zip(own.ell, own.projectors, strict=True)
    ]
    for ell in ELLS:
        x = q * own.radius(ell)
        rows += [(ell, spherical_jn(ell, x)), (ell, q * spherical_jn(ell, x, derivative=True))]
    return rows


def _ends(element: str) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([2 * ell + 1 for ell, _ in _rows(element)])])


@cache
def _tables(first: str, second: str) -> dict[tuple[int, int, int], np.ndarray]:
    """(row, shell of the second, L) to the integral on the mesh of distances."""
    basis, found = element_basis(second), {}
    for i, (ell, transform) in enumerate(_rows(first)):
        for j, shell in enumerate(basis.shells):
            for big_l in range(abs(ell - shell.ell), ell + shell.ell + 1, 2):
                sign = (-1) ** ((ell - shell.ell - big_l) // 2)
                found[i, j, big_l] = sign * _integral(big_l, transform * basis.orbitals[j])
    return found


def seen(structure: Structure) -> list[Seen]:
    """What each atom sees. Raises ChgtoolsError where tight binding has no solution."""
    electrons = solve(structure, polarised=False)
    made, elements = electrons.made, structure.elements
    first, second, _, distance, direction = _pairs(structure)
    ends = {element: _ends(element) for element in set(elements)}
    widths = np.array([ends[element][-1] for element in elements])
    starts = np.concatenate([[0], np.cumsum(widths)])
    blocks = np.zeros((len(first), max(widths), max(basis.size for basis in made.bases)))
    kinds: dict[tuple[str, str], list[int]] = {}
    for pair in np.flatnonzero(distance > 0):
        kinds.setdefault((elements[first[pair]], elements[second[pair]]), []).append(pair)
    for (one, other), members in kinds.items():
        rows = {i: slice(ends[one][i], ends[one][i + 1]) for i in range(len(ends[one]) - 1)}
        turn = _Turned(distance[members], direction[members])
        size = max(blocks.shape[1:])
        turned = turn.blocks(_tables(one, other), rows, _places(element_basis(other)), size)
        blocks[members] = turned[:, : blocks.shape[1], : blocks.shape[2]]
    sizes = [basis.size + width for basis, width in zip(made.bases, widths, strict=True)]
    sums = [np.zeros((3, size, size)) for size in sizes]
    shift = np.zeros(made.starts[-1])
    mesh = k_mesh(structure.lattice)
    real = own_conjugates(mesh.points)
    for part, bands in zip([part for part in (real, ~real) if part.any()], electrons.bands, strict=True):
        points = mesh.points[part]
        energy, overlap = made.at(points)
        without_charges, roots = _orthogonal(energy, overlap)
        states = np.linalg.solve(roots, bands.states)
        hamiltonian = (bands.states * bands.energies[:, None]) @ bands.states.conj().transpose(0, 2, 1)
        shift += np.einsum("k,kii->i", mesh.weights[part], (hamiltonian - without_charges).real)
        waves = np.exp(2j * np.pi * (points @ made.image.T))
        waves = np.ascontiguousarray(waves.real) if own_conjugates(points).all() else waves
        projection = np.zeros((len(points), starts[-1], made.starts[-1]), waves.dtype)
        add_blocks(
            projection, blocks, starts[first], made.starts[second], widths[first], np.diff(made.starts)[second], waves
        )
        tails, x = projection @ states, bands.energies - electrons.fermi
        for atom, total in enumerate(sums):
            own = states[:, made.starts[atom] : made.starts[atom + 1]]
            c = np.concatenate([own, tails[:, starts[atom] : starts[atom + 1]]], 1)
            for place, values in enumerate((filling(x), filling(x) * x)):
                weighted = c * (bands.electrons[:, None] * values)[:, None]
                total[place] += (weighted @ c.conj().transpose(0, 2, 1)).sum(axis=0).real
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        size, held = made.bases[a].size, _occupations(made.bases[b])
        if distance[pair] == 0:
            sums[a][2][:size, :size] += np.diag(held)
        else:
            tail = blocks[pair][: widths[a], : len(held)]
            sums[a][2][size:, size:] += (tail * held) @ tail.T
    found = []
    for atom, (basis, block) in enumerate(zip(made.bases, electrons.blocks(filling), strict=True)):
        changed = np.diagonal(block - electrons.superposed[atom])
        d = np.repeat([shell.ell == 2 for shell in basis.shells], [2 * shell.ell + 1 for shell in basis.shells])
        levels = np.diagonal(made.energy[atom])[: basis.size] + shift[made.starts[atom] : made.starts[atom + 1]]
        for place in _places(basis).values():
            levels[place] = levels[place].mean()
        found.append(
            Seen(elements[atom], basis.size, *sums[atom], levels - electrons.fermi, float(electrons.charges[atom]),
                 float(changed[d].sum()))
        )  # fmt: skip
    return found


@cache
def own_coefficients(element: str, matched: bool) -> np.ndarray:
    """(n_j, n_shells) of the own orbitals in the channels: 1 for the channel of the shell, or matched at the sphere.

    Matched: the combination with the orbital's value and slope at the sphere's end; also where no channel is the
    shell's.
    """
    own, basis = setup(element), element_basis(element)
    found = np.zeros((len(own.ell), len(basis.shells)))
    for k, shell in enumerate(basis.shells):
        if shell.ell not in ELLS:
            continue
        members = np.flatnonzero(own.ell == shell.ell)
        same = [j for j in members if own.n[j] == shell.n]
        if same and not matched:
            found[same[0], k] = 1
        else:
            radial = CubicSpline(basis.r, basis.radial[k])
            end = own.radius(shell.ell)
            edge = _edges(element)[members]
            found[members, k] = np.linalg.lstsq(edge.T, np.array([radial(end), radial(end, 1)]), rcond=None)[0]
    return found


@cache
def _edges(element: str) -> np.ndarray:
    """(n_j, 2) value and slope of the partial waves at the end of their sphere."""
    own = setup(element)
    splines = [CubicSpline(own.r[1:], wave[1:]) for wave in own.waves]
    ends = [own.radius(int(ell)) for ell in own.ell]
    return np.array([[spline(end), spline(end, 1)] for spline, end in zip(splines, ends, strict=True)])


@cache
def to_channels(element: str, matched: bool) -> np.ndarray:
    """(n_m, n) from the rows of :class:`Seen` to orthonormal waves. Nothing comes into closed semicore channels.

    A tail is not orthogonal to a neighbour's core, the true wave is: what of it looks like a full shell is taken off.
    """
    own, basis = setup(element), element_basis(element)
    n_m, size = own.starts[-1], basis.size
    matrix = np.zeros((n_m, size + _ends(element)[-1]))
    for k, column in _places(basis).items():
        for j in np.flatnonzero(own.ell == basis.shells[k].ell):
            rows = slice(own.starts[j], own.starts[j + 1])
            matrix[rows, column] = own_coefficients(element, matched)[j, k] * np.eye(column.stop - column.start)
    if not matched:
        matrix[:, size : size + n_m] = np.eye(n_m)
    else:
        start = size + n_m
        for ell in ELLS:
            members, width = np.flatnonzero(own.ell == ell), 2 * ell + 1
            inverse = np.linalg.pinv(_edges(element)[members].T) if len(members) else np.zeros((0, 2))
            for row, j in zip(inverse, members, strict=True):
                for part in range(2):
                    columns = slice(start + part * width, start + (part + 1) * width)
                    matrix[own.starts[j] : own.starts[j + 1], columns] = row[part] * np.eye(width)
            start += 2 * width
    matrix = own.to_orthonormal @ matrix
    matrix[own.by_m(own.kinds) == SEMICORE] = 0
    return matrix


@dataclass(frozen=True, eq=False)
class Around:
    """Of a density around an atom. charge : electrons within the largest radius; shells : (3,) L = 0 part at SHELLS,
    times radius³"""

    charge: float
    shells: np.ndarray

    def __sub__(self, other: Around) -> Around:
        return Around(self.charge - other.charge, self.shells - other.shells)


def around(structure: Structure, miller: np.ndarray, waves: np.ndarray, electrons: float) -> list[Around]:
    """Of V n_G, half a sphere of waves (n,) and the mean."""
    g = miller @ reciprocal(structure.lattice) * BOHR_ANGSTROM
    length, volume, found = np.linalg.norm(g, axis=1), structure.volume / BOHR_ANGSTROM**3, []
    for element, position in zip(structure.elements, structure.frac, strict=True):
        end = setup(element).largest
        real = 2 * (waves * np.exp(2j * np.pi * (miller @ position))).real
        inside = real @ (end**2 * spherical_jn(1, length * end) / length) + electrons * end**3 / 3
        shells = [real @ spherical_jn(0, length * end * x) + electrons for x in SHELLS]
        found.append(Around(float(4 * np.pi / volume * inside), np.array(shells) / volume * end**3))
    return found


def own_atom(element: str, record: np.ndarray, entries: Sequence[tuple[int, int, int]]) -> Around:
    """Of a spherical record in orthonormal waves."""
    charge, shells = charge_row(element, entries), np.zeros(len(SHELLS))
    own, position = setup(element), 0
    for a, b, big_l in entries:
        if big_l == 0:
            product = np.interp([x * own.largest for x in SHELLS], own.r, own.orthonormal[a] * own.orthonormal[b])
            shells += record[position] * product * own.largest**3 / np.sqrt(4 * np.pi)
        position += 2 * big_l + 1
    return Around(float(charge @ record), shells)


def charge_row(element: str, entries: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """(length,) electrons within the largest radius of each number of a record in orthonormal waves."""
    own, row = setup(element), []
    for a, b, big_l in entries:
        held = own.integrate(own.orthonormal[a] * own.orthonormal[b], own.largest) if big_l == 0 else 0.0
        row += [held * np.sqrt(4 * np.pi)] * (2 * big_l + 1)
    return np.array(row)
