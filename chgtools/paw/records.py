"""PAW augmentation occupancies in VASP's LM representation.

A record holds, for channels a and b >= a (POTCAR order), for L = \\|l_a - l_b\\|, ..., l_a + l_b in steps of 2 and
M = -L..L, the number R(a, b, L, M) = w_ab Σ_mm' G(l_a m, l_b m', L M) ρ_am,bm' with w_aa = 1, w_ab = 2 and G the
integral of three real spherical harmonics (order and signs of chgtools.kernels.harmonics). Backwards,
ρ_am,bm' = Σ_LM G R(a, b, L, M) / (w_ab N), N(l_a, l_b, L) = Σ_mm' G². Order and weights were verified on real CHGCARs
(docs/explanation/occupancies.md). ρ_am,bm' is G. Kresse and D. Joubert, Phys. Rev. B 59, 1758 (1999), eq. 7.

What a record cannot hold is the part of a block a < b of equal l that is antisymmetric in m and m' (and its kind
between unequal l, whose L has the other parity): its L are missing, and it adds nothing to a density.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.angular import gaunt, rotation_matrices
from chgtools.errors import MismatchError
from chgtools.volumetric import Augmentation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Y00 = 0.5 / np.sqrt(np.pi)
SOME = 0.01  # share of a shell, within which it is empty or closed


def record_entries(channels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(a, b, L) of each group of 2L + 1 numbers of a record, in order."""
    for a, l_a in enumerate(channels):
        for b in range(a, len(channels)):
            for big_l in range(abs(l_a - channels[b]), l_a + channels[b] + 1, 2):
                yield a, b, big_l


@lru_cache(maxsize=64)
def record_groups(channels: tuple[int, ...]) -> dict[int, NDArray[np.intp]]:
    """L to the (n_groups, 2L + 1) positions of its numbers in a record, the groups (a, b) in the record's order."""
    groups: dict[int, list[range]] = {}
    position = 0
    for _, _, big_l in record_entries(channels):
        groups.setdefault(big_l, []).append(range(position, position + 2 * big_l + 1))
        position += 2 * big_l + 1
    return {big_l: np.array(ranges) for big_l, ranges in groups.items()}


def record_length(channels: Sequence[int]) -> int:
    """Numbers in a record: 33 for s, s, p, p; 138 for 2s 2p 2d."""
    return sum(2 * big_l + 1 for _, _, big_l in record_entries(channels))


def matrix_size(channels: Sequence[int]) -> int:
    """n_m = Σ (2l + 1), the rows of an occupancy matrix: 8 for s, s, p, p; 18 for 2s 2p 2d."""
    return sum(2 * ell + 1 for ell in channels)


def record_from_matrix(channels: Sequence[int], matrix: ArrayLike) -> NDArray[np.float64]:
    """Records (..., length) of occupancy matrices.

    channels : l of each projector, POTCAR order
    matrix : (..., n_m, n_m) with n_m = Σ (2l + 1), rows and columns in order of the channels, m = -l..l in each; its
        symmetric part is taken
    Raises MismatchError for another shape.
    """
    channels = tuple(channels)
    matrices = np.asarray(matrix, dtype=float)
    size = matrix_size(channels)
    if matrices.shape[-2:] != (size, size):
        raise MismatchError(
            f"found a matrix of shape {matrices.shape}; channels {_named(channels)} want ({size}, {size})"
        )
    forward, _ = _packing(channels)
    flat = matrices.reshape(-1, size * size)
    # einsum: BLAS would sum in another order for another number of atoms
    records = np.einsum("ij,nj->ni", forward, flat)
    return np.asarray(records).reshape(*matrices.shape[:-2], record_length(channels))


def matrix_from_record(channels: Sequence[int], record: ArrayLike) -> NDArray[np.float64]:
    """Symmetric occupancy matrices (..., n_m, n_m) of records (..., length); see record_from_matrix.

    The record of the matrix is the record again. Raises MismatchError for another length.
    """
    channels = tuple(channels)
    records = _checked(channels, record)
    _, backward = _packing(channels)
    size = matrix_size(channels)
    matrices = np.einsum("ij,nj->ni", backward, records.reshape(-1, records.shape[-1]))
    return np.asarray(matrices).reshape(*records.shape[:-1], size, size)


def rotate_record(channels: Sequence[int], record: ArrayLike, rotation: ArrayLike) -> NDArray[np.float64]:
    """Records (..., length) of atoms whose surroundings are turned: every position r becomes rotation @ r.

    rotation : (3, 3) Cartesian, proper or improper (a mirror too)
    Each group of 2L + 1 numbers is multiplied by the matrix of the rotation among the harmonics of L.
    Raises MismatchError for another length, ChgtoolsError for a matrix that is no rotation.
    """
    channels = tuple(channels)
    turned = _checked(channels, record).copy()
    groups = record_groups(channels)
    matrices = rotation_matrices(max(groups, default=0), rotation)
    for big_l, index in groups.items():
        turned[..., index] = turned[..., index] @ matrices[big_l].T
    return turned


def zero_above(channels: Sequence[int], record: ArrayLike, lmaxmix: int) -> NDArray[np.float64]:
    """Records (..., length) with the entries of L > LMAXMIX at exactly 0, as VASP writes them."""
    channels = tuple(channels)
    kept = _checked(channels, record).copy()
    for big_l, index in record_groups(channels).items():
        if big_l > lmaxmix:
            kept[..., index] = 0.0
    return kept


def spherical_record(channels: Sequence[int], occupancies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Record (length,) of a spherical atom: only L = 0 entries, R = w_ab · Y00 · occupancy.

    channels : l of each projector, POTCAR order
    occupancies : (n, n) electrons in each pair of channels, summed over m (POTCAR, "uccopancies in atom")
    """
    record = np.zeros(record_length(channels))
    position = 0
    for a, b, big_l in record_entries(channels):
        if big_l == 0:
            record[position] = (1 if a == b else 2) * Y00 * occupancies[a, b]
        position += 2 * big_l + 1
    return record


def occupancies_of_record(channels: Sequence[int], record: ArrayLike) -> NDArray[np.float64]:
    """(n, n) occupancies, Σ_m ρ_am,bm, of a record (length,): what a mean over all rotations leaves of it.

    The other way round than spherical_record. Raises MismatchError for another length.
    """
    channels = tuple(channels)
    values = _checked(channels, record)
    occupancies = np.zeros((len(channels), len(channels)))
    position = 0
    for a, b, big_l in record_entries(channels):
        if big_l == 0:
            occupancies[a, b] = occupancies[b, a] = values[position] / ((1 if a == b else 2) * Y00)
        position += 2 * big_l + 1
    return occupancies


def polarised_record(
    channels: Sequence[int], record: ArrayLike, occupancies: NDArray[np.float64], zval: float
) -> NDArray[np.float64]:
    """Record (length,) of a moment of 1 μ_B on an atom: what its record holds in the open shell, for each electron.

    record : (length,) of the total density; occupancies : (n, n) the free atom's; zval : its electrons
    Closed shells have no moment, semicore ones least of all, so all of it goes to the open shell, that of the highest l
    where there are several. A closed d shell counts as open in an atom without an open p shell (copper). Where no
    shell is open the moment is spread over all. Raises MismatchError for another length.
    """
    channels = tuple(channels)
    values = _checked(channels, record)
    electrons = np.diag(occupancies)
    kept = _open_shell(channels, electrons)
    share = electrons[kept].sum() / electrons.sum() if kept else 0.0
    if not share > 0:
        return np.asarray(values / zval)
    found, position = np.zeros_like(values), 0
    for a, b, big_l in record_entries(channels):
        if a in kept and b in kept:
            found[position : position + 2 * big_l + 1] = values[position : position + 2 * big_l + 1]
        position += 2 * big_l + 1
    return np.asarray(found / (share * zval))


def _open_shell(channels: Sequence[int], electrons: NDArray[np.float64]) -> list[int]:
    """The channels that have an atom's moment, from the electrons of each; none where no shell is open."""
    filled = [n / (4 * ell + 2) for ell, n in zip(channels, electrons, strict=True)]
    closed = [share >= 1 - SOME for share in filled]
    found = {ell for ell, share in zip(channels, filled, strict=True) if SOME < share < 1 - SOME}
    if 1 not in found and 2 not in found and any(ell == 2 and full for ell, full in zip(channels, closed, strict=True)):
        found.add(2)
        closed = [full and ell != 2 for ell, full in zip(channels, closed, strict=True)]
    own = max(found, default=None)
    return [a for a, ell in enumerate(channels) if ell == own and not closed[a]]


def augmentation_blocks(
    records: Sequence[NDArray[np.float64]],
    polarised: Sequence[NDArray[np.float64]],
    moments: NDArray[np.float64] | None = None,
) -> list[Augmentation]:
    """One Augmentation per block, from the records of the total density, one per ion.

    polarised : records of 1 μ_B on each ion, which a magnetisation block is its moment times
    moments : None (one block), (n_atoms,) (two blocks) or (n_atoms, 3) (four blocks) μ_B; imaginary parts are written
        as zeros in a non-collinear file
    """
    noncollinear = moments is not None and moments.ndim == 2
    zeros = [np.zeros_like(record) for record in records] if noncollinear else None
    blocks = [Augmentation(list(records), zeros)]
    if moments is not None:
        for component in np.atleast_2d(moments.T):
            scaled = [m * record for m, record in zip(component, polarised, strict=True)]
            blocks.append(Augmentation(scaled, zeros))
    return blocks


@lru_cache(maxsize=64)
def _packing(channels: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(length, n_m²) matrix to records, and (n_m², length) back."""
    size, length = matrix_size(channels), record_length(channels)
    starts = np.concatenate([[0], np.cumsum([2 * ell + 1 for ell in channels])]).astype(int)
    highest = max(channels, default=0)
    table = gaunt(highest, highest, 2 * highest)
    forward, backward = np.zeros((length, size, size)), np.zeros((size, size, length))
    position = 0
    for a, b, big_l in record_entries(channels):
        l_a, l_b = channels[a], channels[b]
        rows, columns = slice(starts[a], starts[a + 1]), slice(starts[b], starts[b + 1])
        entries = slice(position, position + 2 * big_l + 1)
        block = table[l_a**2 : (l_a + 1) ** 2, l_b**2 : (l_b + 1) ** 2, big_l**2 : (big_l + 1) ** 2]
        weight = 1.0 if a == b else 2.0
        inverse = block / (weight * (block[:, :, 0] ** 2).sum())
        # half from each of the two blocks a, b and b, a: the symmetric part of any matrix
        forward[entries, rows, columns] += 0.5 * weight * block.transpose(2, 0, 1)
        forward[entries, columns, rows] += 0.5 * weight * block.transpose(2, 1, 0)
        backward[rows, columns, entries] = inverse
        backward[columns, rows, entries] = inverse.transpose(1, 0, 2)
        position += 2 * big_l + 1
    return forward.reshape(length, size * size), backward.reshape(size * size, length)


def _checked(channels: tuple[int, ...], record: ArrayLike) -> NDArray[np.float64]:
    records = np.asarray(record, dtype=float)
    wanted = record_length(channels)
    if not records.ndim or records.shape[-1] != wanted:
        length = records.shape[-1] if records.ndim else "no"
        raise MismatchError(f"found a record of {length} numbers; channels {_named(channels)} want {wanted}")
    return records


def _named(channels: Sequence[int]) -> str:
    return " ".join("spdfghi"[ell] for ell in channels) or "(none)"
