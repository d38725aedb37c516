"""Readings of augmentation occupancies fitted to the records of a store's CHGCARs.

For each label and L, ridge regression of the records' departure from the label's mean on the features of the atoms.
Each group is scaled by its own root mean square, each feature by its root mean square over all atoms; the strength of
the ridge is the best of a few in cross-validation over structures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.models.label_reading import LabelReading
from chgtools.models.readings import features_of, highest_of
from chgtools.paw.records import occupancies_of_record, record_groups, spherical_record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.model import DensityModel
    from chgtools.stores.entry import Entry

FEWEST_STRUCTURES = 3  # with fewer, a label has its mean alone
FOLDS = 8
RIDGES = 10.0 ** np.arange(-5, 3)  # times the number of rows
UNMIXED = 2  # entries of larger L are 0 in a CHGCAR whose LMAXMIX was small, and say nothing


@dataclass(frozen=True)
class Atom:
    """One atom to learn from. structure : number of its structure; features : L to (n_members, n_features, 2L + 1)"""

    structure: int
    channels: tuple[int, ...]
    record: NDArray[np.float64]
    features: dict[int, NDArray[np.float64]]


def has_records(entry: Entry) -> bool:
    """Whether an entry's records can be learned from: whether it has some, with labels and known channels."""
    return bool(entry.records) and any(entry.channels) and any(entry.structure.labels)


def fit_occupancies(model: DensityModel, entries: Sequence[Entry]) -> dict[str, LabelReading]:
    """Readings of each label with records in ``entries``, of the features of the model's encoders.

    Where one label comes with different channels (another POTCAR of the name), the more frequent ones count.
    """
    atoms = _atoms(model, [entry for entry in entries if has_records(entry)])
    return {label: _fit(_of_one_kind(members)) for label, members in sorted(atoms.items())}


def _of_one_kind(atoms: list[Atom]) -> list[Atom]:
    kinds = [atom.channels for atom in atoms]
    most = max(set(kinds), key=lambda channels: (kinds.count(channels), channels))
    return [atom for atom in atoms if atom.channels == most]


def _atoms(model: DensityModel, entries: Sequence[Entry]) -> dict[str, list[Atom]]:
    by_label: dict[str, list[Atom]] = {}
    for number, entry in enumerate(entries):
        structure = entry.structure
        if not set(structure.elements) <= set(model.elements):
            continue
        features = features_of(model.members, model.atoms(structure), model.basis, highest_of(entry.channels))
        for index, group in enumerate(structure.group_of_atom):
            channels = entry.channels[group]
            if channels:
                own = {big_l: values[:, index] for big_l, values in features.items()}
                label = structure.labels[group].split("/")[0]
                by_label.setdefault(label, []).append(Atom(number, channels, entry.records[0].real[index], own))
    return by_label


def _fit(atoms: list[Atom]) -> LabelReading:
    channels = atoms[0].channels
    mean = np.mean([occupancies_of_record(channels, atom.record) for atom in atoms], axis=0)
    if len({atom.structure for atom in atoms}) < FEWEST_STRUCTURES:
        return LabelReading(channels, mean, {}, len(atoms))
    start = spherical_record(channels, mean)
    weights: dict[int, NDArray[np.float64]] = {}
    missed, whole = 0.0, 0.0
    for big_l, index in record_groups(channels).items():
        usable = [a for a in atoms if big_l <= UNMIXED or a.record[index].any()]
        if big_l not in atoms[0].features or len({atom.structure for atom in usable}) < FEWEST_STRUCTURES:
            continue
        targets = np.array([(atom.record - start)[index] for atom in usable])  # (n_atoms, n_groups, 2L + 1)
        structures = np.array([atom.structure for atom in usable])
        each = [
            _ridge(np.array([atom.features[big_l][member] for atom in usable]), targets, structures)
            for member in range(len(atoms[0].features[big_l]))
        ]
        weights[big_l] = np.stack([w for w, _ in each])
        missed += float(np.mean([error for _, error in each]))
        whole += float((targets**2).sum())
    return LabelReading(channels, mean, weights, len(atoms), 100 * float(np.sqrt(missed / max(whole, 1e-300))))


def _ridge(
    features: NDArray[np.float64], targets: NDArray[np.float64], structures: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """(n_features, n_groups) weights, and the sum of squares missed in cross-validation.

    features : (n_atoms, n_features, 2L + 1); targets : (n_atoms, n_groups, 2L + 1); structures : (n_atoms,)
    """
    rows = features.transpose(0, 2, 1).reshape(-1, features.shape[1])
    wanted = targets.transpose(0, 2, 1).reshape(-1, targets.shape[1])
    place = np.repeat(structures, features.shape[2])
    size = np.sqrt((rows**2).mean(axis=0)) + 1e-12
    scale = np.sqrt((wanted**2).mean(axis=0)) + 1e-12
    rows, wanted = rows / size, wanted / scale
    folds = np.searchsorted(np.unique(place), place) % FOLDS
    errors = np.zeros(len(RIDGES))
    misses = np.zeros((len(RIDGES), len(scale)))
    for fold in np.unique(folds):
        out = folds == fold
        if out.all():
            continue
        for i, weights in enumerate(_solve(rows[~out], wanted[~out])):
            square = ((rows[out] @ weights - wanted[out]) ** 2).sum(axis=0)
            errors[i] += square.sum()
            misses[i] += square
    best = int(np.argmin(errors))
    weights = _solve(rows, wanted)[best]
    if errors[best] >= (wanted**2).sum():  # nothing was learned that holds on other structures
        return np.zeros((len(size), len(scale))), float(((wanted * scale) ** 2).sum())
    return weights * scale / size[:, None], float((misses[best] * scale**2).sum())


def _solve(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Weights for each of RIDGES, by one diagonalisation of the smaller of the two Gram matrices."""
    if len(rows) < rows.shape[1]:
        squares, vectors = np.linalg.eigh(rows @ rows.T)
        projected, back = vectors.T @ wanted, rows.T @ vectors
    else:
        squares, vectors = np.linalg.eigh(rows.T @ rows)
        projected, back = vectors.T @ (rows.T @ wanted), vectors
    return [back @ (projected / (squares + ridge * len(rows))[:, None]) for ridge in RIDGES]
