"""The inputs that a network takes from tight binding: chgtools.tightbinding.features, of like size for all.

Each feature is divided by its root mean square over all atoms of the training set, of all elements, and what is larger
than LARGEST times that is cut off there: a tensor by its length, so that it turns as before. The invariants of an atom
are counted one by one, a tensor's root mean square is that of one of its 2l + 1 components. A feature that the training
set did not have (rms below SMALLEST) is 0 for ever, whatever it is elsewhere: nothing was learned of it. Those of
moments are counted over the structures that have any, the length of one being that of all its components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.elements import SYMBOLS
from chgtools.tightbinding.features import L_MAX, N_SPINS
from chgtools.tightbinding.shells import HEAVIEST, valence_shells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.graph import AtomGraph
    from chgtools.tightbinding.features import PriorFeatures

    Array = NDArray[np.float64]

LARGEST = 4.0  # root mean squares
SMALLEST = 1e-4
# Of the inputs, beside what the network makes of the neighbours itself
INVARIANTS_SCALE, TENSORS_SCALE, SPINS_SCALE = 0.2, 0.1, 0.3


@dataclass(frozen=True, eq=False)
class PriorScales:
    """Root mean squares of a training set.

    invariants : (N_INVARIANTS,); tensors : (N_TENSORS, 5), spins : (N_SPINS, 5), by l. A network has those up to its
    own l, and none of moments where its prior does not know them
    """

    invariants: Array
    tensors: Array
    spins: Array

    @classmethod
    def of(cls, features: Sequence[PriorFeatures]) -> PriorScales:
        """Over all atoms of several structures."""
        count = sum(len(each.invariants) for each in features)
        invariants = np.sum([(each.invariants**2).sum(axis=0) for each in features], axis=0) / count
        tensors = np.sum([(each.tensors**2).sum(axis=0) for each in features], axis=0) / count
        magnetic = [each.spins for each in features if each.spins.any()]
        spins = np.zeros((N_SPINS, (L_MAX + 1) ** 2))
        if magnetic:
            spins = np.sum([(each**2).sum(axis=(0, 1)) for each in magnetic], axis=0) / sum(map(len, magnetic))
        ell = np.arange(L_MAX + 1)
        by_l = [np.sqrt(np.add.reduceat(squares, ell**2, axis=1) / (2 * ell + 1)) for squares in (tensors, spins)]
        return cls(np.sqrt(invariants), *by_l)

    def inputs(self, atoms: AtomGraph) -> tuple[Array, Array, Array]:
        """``onsite``, ``tensors`` and ``spins`` of atoms, as they were computed, made of like size."""
        scaled = np.clip(atoms.onsite * _inverse(self.invariants), -LARGEST, LARGEST)
        tensors = TENSORS_SCALE * _relative(atoms.tensors[:, None], self.tensors)[:, 0]
        return INVARIANTS_SCALE * scaled, tensors, SPINS_SCALE * _relative(atoms.spins, self.spins)


def has_prior(element: str) -> bool:
    """Whether tight binding has orbitals for an element: from H to Pu."""
    return element in SYMBOLS[:HEAVIEST]


def has_open_shell(element: str) -> bool:
    """Whether an element has a d or f shell that is filled in part, in its free atom; not beyond plutonium."""
    shells = valence_shells(element) if has_prior(element) else ()
    return any(shell.ell >= 2 and 0 < shell.electrons < 4 * shell.ell + 2 for shell in shells)


def _relative(tensors: Array, rms: Array) -> Array:
    """tensors : (n_atoms, n_components, n, n_lm); rms : (n, l_max + 1)"""
    ell = np.arange(rms.shape[1])
    relative = tensors * np.repeat(_inverse(rms), 2 * ell + 1, axis=1)
    squares = np.add.reduceat((relative**2).sum(axis=1), ell**2, axis=2)
    size = np.sqrt(squares / (2 * ell + 1))  # of one component
    factor = LARGEST / np.maximum(size, LARGEST)
    return np.asarray(relative * np.repeat(factor, 2 * ell + 1, axis=2)[:, None])


def _inverse(rms: Array) -> Array:
    return np.where(rms < SMALLEST, 0.0, 1 / np.maximum(rms, SMALLEST))
