"""What the shipped network's encoder says of occupancies of a setup that no fit has seen: kernel ridge regression.

A number of a record is found by (kind of both channels, L), for all l at once and for each. What tight binding leaves
of it is a linear function of the parts of prior_occupancies.features_of whose coefficients change smoothly with what
the encoder knows of the atom: the kernel of two numbers, with x the parts (2L + 1, n), z the encoder's features of the
same L, and g a Gaussian of how far apart the encoder's invariants of the two atoms are, is

    (1 + same) (1 + g) x x'ᵀ + ENCODED · same · z z'ᵀ          same: 1 where both l are the same, else 0; no z for L = 0

x, z and their targets turn alike, g does not turn: so do the predictions. Everything is counted in the size of the
prior's change, so that no label is in a scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import Structure
from chgtools.models.model import DensityModel
from chgtools.models.weights import load_model

if TYPE_CHECKING:
    from prior_occupancies import Atom

# kinds of channels (V: valence, U: unbound) and L that nine tenths of the error are in
WHERE = (("VV", 0), ("VV", 1), ("VV", 2), ("VV", 3), ("VV", 4), ("UV", 0), ("UV", 3))
DIRECTIONS, WIDTH = 8, 1.5  # principal directions of a member's invariants, and of the Gaussian in these
ENCODED, NOISE = 0.1, 0.3  # chosen on these structures, with the above, among some eighty ways


@cache
def encoder() -> DensityModel:
    return load_model("base")


def encoded(structure: Structure) -> np.ndarray:
    """(n_atoms, n_members, n_lm, n_features) of each atom; all elements have a prior."""
    model = encoder()
    graph = model.atoms(structure)
    return np.stack([member.describe(graph).features.transpose(1, 0, 2) for member in model.members], 1)


def nearness(features: np.ndarray) -> np.ndarray:
    """(n, n) the Gaussian g of atoms whose encoder's features are (n, n_members, n_lm, n_features)."""
    parts = []
    for member in range(features.shape[1]):
        invariants = features[:, member, 0] - features[:, member, 0].mean(axis=0)
        left, _, _ = np.linalg.svd(invariants, full_matrices=False)
        parts.append(left[:, :DIRECTIONS] * np.sqrt(len(invariants)))
    places = np.concatenate(parts, 1)
    squares = (places**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * places @ places.T
    return np.asarray(np.exp(-0.5 * apart / places.shape[1] / WIDTH**2))


def kernel(parts: np.ndarray, features: Sequence[np.ndarray], same: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(n w, n w) of numbers in groups of w = 2L + 1.

    parts : (n, w, n_parts); features : of each member (n, w, n_features); same, near : (n, n)
    """
    count, width = parts.shape[:2]

    def products(values: np.ndarray) -> np.ndarray:
        flat = _alike(values).reshape(count * width, -1)
        return np.asarray(flat @ flat.T / flat.shape[1])

    def spread(values: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(values, width, 0), width, 1)

    found = spread((1 + same) * (1 + near)) * products(parts)
    for values in features:
        found += ENCODED / len(features) * spread(same) * products(values)
    return found


def _alike(values: np.ndarray) -> np.ndarray:
    """Each feature by its root mean square."""
    return np.asarray(values / np.sqrt((values**2).mean(axis=(0, 1)) + 1e-14))


def with_encoder(
    atoms: Sequence[Atom], changes: Sequence[np.ndarray], weights: np.ndarray, small: float
) -> list[np.ndarray]:
    """The changes with the numbers of WHERE found anew; no structure with the element of an atom is in its fit.

    changes : of each atom, of which the other numbers are kept; weights : (n_atoms,) of a fit; small : changes below
        count as large as this
    """
    near, found = nearness(np.stack([atom.encoder for atom in atoms])), [change.copy() for change in changes]
    elements = np.array([atom.element for atom in atoms])
    out = {e: {atom.key for atom in atoms if atom.element == e} for e in sorted(set(elements))}
    left_out = {e: np.array([atom.key in keys for atom in atoms]) for e, keys in out.items()}
    size, prior_size = (
        np.maximum([np.linalg.norm(value) for value in values], small)
        for values in ([atom.true for atom in atoms], [atom.prior for atom in atoms])
    )
    noise = NOISE * (size / prior_size) ** 2 * weights.mean() / weights
    for kinds, big_l in WHERE:
        groups = [
            (i, label, places)
            for i, atom in enumerate(atoms)
            for label, all_places in atom.classes.items()
            if (label[4], "".join(sorted(label[1] + label[3]))) == (big_l, kinds)
            for places in all_places.reshape(-1, 2 * big_l + 1)
        ]
        if not groups:
            continue
        i, width = np.array([group[0] for group in groups]), 2 * big_l + 1
        labels = np.array([str(group[1]) for group in groups])
        scale = prior_size[i, None]
        parts = np.stack([atoms[a].inputs[places] for a, _, places in groups]) / scale[:, :, None]
        wanted = np.stack([(atoms[a].true - atoms[a].prior)[places] for a, _, places in groups]) / scale
        turned = np.stack([atoms[a].encoder for a in i])[:, :, big_l**2 : (big_l + 1) ** 2]
        features = [turned[:, member] for member in range(turned.shape[1])] if big_l else []
        matrix = kernel(parts, features, labels[:, None] == labels, near[np.ix_(i, i)])
        matrix[np.diag_indices(len(matrix))] += np.repeat(noise[i], width)
        predicted = _without(matrix, wanted.ravel(), {e: np.repeat(o[i], width) for e, o in left_out.items()},
                             np.repeat(elements[i], width)).reshape(wanted.shape) * scale  # fmt: skip
        for (a, _, places), value in zip(groups, predicted, strict=True):
            found[a][places] = atoms[a].prior[places] + value
    return found


def _without(
    matrix: np.ndarray, wanted: np.ndarray, left_out: dict[str, np.ndarray], elements: np.ndarray
) -> np.ndarray:
    """What a fit says of each element's numbers that those of ``left_out[element]`` are not in.

    By the inverse of the whole: what it leaves of a part is (K⁻¹)_pp⁻¹ (K⁻¹ y)_p.
    """
    inverse = np.linalg.inv(matrix)
    solved, found = inverse @ wanted, np.zeros(len(wanted))
    for element, away in left_out.items():
        part, own = np.flatnonzero(away), elements[away] == element
        if own.any():
            found[part[own]] = (wanted[part] - np.linalg.solve(inverse[np.ix_(part, part)], solved[part]))[own]
    return found
