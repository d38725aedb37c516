"""Learned augmentation occupancies: linear readings, a set for each label, of what a network knows of an atom.

A record is parted into groups (a, b, L) of 2L + 1 numbers that turn among themselves as the harmonics of L do. Each
group is the label's mean, which only L = 0 has, plus a linear reading of equivariant features of the same L:

    R(a, b, L, M) = mean + Σ_f w_f(a, b, L) x_f,LM

with x the network's features and the coefficients of the difference density that it predicts, and a constant for
L = 0. So a record turns with the atom's surroundings, exactly. The readings are fitted by least squares
(chgtools.training.readings), for each member of the ensemble; the prediction is the mean of the members.
For L above the network's (f with f: 5 and 6) the features are products of its features, coupled by Gaunt coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.angular import gaunt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.graph import AtomGraph
    from chgtools.models.model import DensityModel
    from chgtools.models.network import Network


def predict_records(
    model: DensityModel, structure: Structure, labels: Sequence[str]
) -> list[NDArray[np.float64] | None]:
    """A record for each atom; None for atoms whose label has no reading or whose element was not in its training.

    labels : POTCAR label of each atom
    """
    able = [
        label in model.occupancies and symbol in model.elements
        for label, symbol in zip(labels, structure.elements, strict=True)
    ]
    if not any(able):
        return [None] * structure.n_atoms
    atoms, known = model.atoms(structure), model.known_part(structure)[1]
    highest = highest_of([model.occupancies[label].channels for label, fits in zip(labels, able, strict=True) if fits])
    features = features_of(model.members, atoms, model.basis, highest)
    place = np.cumsum(known) - 1
    return [
        model.occupancies[label].record({big_l: values[:, place[atom]] for big_l, values in features.items()})
        if able[atom]
        else None
        for atom, label in enumerate(labels)
    ]


def features_of(
    members: Sequence[Network], atoms: AtomGraph, basis: RadialBasis, highest: int
) -> dict[int, NDArray[np.float64]]:
    """L to (n_members, n_atoms, n_features, 2L + 1): what the readings read, for L up to ``highest``."""
    by_l: dict[int, list[NDArray[np.float64]]] = {}
    for member in members:
        described = member.describe(atoms)
        features = described.features.transpose(1, 2, 0)
        known = np.concatenate([features, member.density(described, atoms).transpose(0, 2, 1)], axis=1)
        for big_l in range(highest + 1):
            if big_l <= basis.l_max:
                values = known[:, :, big_l**2 : (big_l + 1) ** 2]
            else:
                values = _products(features, basis.l_max, big_l)
            if big_l == 0:
                values = np.concatenate([values, np.ones((len(values), 1, 1))], 1)
            by_l.setdefault(big_l, []).append(values)
    return {big_l: np.stack(values) for big_l, values in by_l.items()}


def _products(features: NDArray[np.float64], l_max: int, big_l: int) -> NDArray[np.float64]:
    """(n_atoms, n, 2L + 1) products Σ G x_lm x_l'm' of each channel with itself, of all l <= l' that couple to L."""
    table = gaunt(l_max, l_max, big_l)[:, :, big_l**2 :]
    pairs = [
        np.einsum("acm,acn,mnk->ack", left, right, block, optimize=True)
        for first in range(l_max + 1)
        for second in range(max(first, big_l - first), l_max + 1)
        if (first + second + big_l) % 2 == 0
        for left, right, block in [
            (
                features[:, :, first**2 : (first + 1) ** 2],
                features[:, :, second**2 : (second + 1) ** 2],
                table[first**2 : (first + 1) ** 2, second**2 : (second + 1) ** 2],
            )
        ]
    ]
    if not pairs:
        return np.zeros((len(features), 0, 2 * big_l + 1))
    return np.concatenate(pairs, 1)


def highest_of(channels: Sequence[Sequence[int]]) -> int:
    """Largest L of the records of several lists of channels."""
    return max((2 * max(own) for own in channels if own), default=0)
