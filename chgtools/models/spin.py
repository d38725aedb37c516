"""The magnetisation of atoms with given directions of their start moments, read from a network's features.

With e_a the direction of atom a's moment (0 where it has none) and S_a,c,lm = Σ_b e_b w_cl(h_a, h_b, r_ab) Y_lm(r_ab),

    c_a = e_a · (features of a) + (features S_a) + (moments T_a of the prior)

each through gates that depend on invariants alone: those of the network, e_a², e_a · S_a and S_a², and of the spherical
part of the prior's e_a · T_a and T_a². So the
magnetisation is linear in the directions times an even function of them: it changes its sign with all of them, turns
with them, and is zero without any. MAGMOM says which way a moment points; how large it is, is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.models.equivariant import gated, read
from chgtools.models.pairs import equivariant_sums
from chgtools.models.perceptron import Perceptron

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.graph import AtomGraph

    Array = NDArray[np.float64]

ROUNDED = 0.03  # a length below which a moment's size counts as its square


@dataclass(frozen=True, eq=False)
class SpinReading:
    """See the module's head. reading : (readings, l_max + 1, n_every, n_max), of the network's features and S, T"""

    pair: Perceptron
    gates: Perceptron
    mixing: Perceptron
    reading: Array
    sphere: Perceptron

    @classmethod
    def of(cls, tensors: Mapping[str, Array], name: str) -> SpinReading:
        """That of a network's tensors, named NAME.reading and so on."""
        pair, gates, mixing, sphere = (
            Perceptron.of(tensors, f"{name}.{part}") for part in ("pair", "gates", "mixing", "sphere")
        )
        return cls(pair, gates, mixing, tensors[f"{name}.reading"], sphere)

    def __call__(self, state: Array, invariants: Array, features: Array, moments: Array, atoms: AtomGraph) -> Array:
        """(n_components, n_atoms, n_lm, n_max) coefficients, μ_B Å^-3/2.

        state : (n_atoms, state), invariants : (n_atoms, n_invariants), features : (n_lm, n_atoms, n_features)
        moments : (n_atoms, n_components, n, n_lm) of the prior, of like size
        """
        spin = atoms.spin
        having = np.asarray(spin.any(axis=1))
        near = atoms.with_pairs(having[atoms.other])
        waves = spin[near.other][:, :, None] * near.harmonics[:, None]
        around = equivariant_sums(self.pair, state, near, waves) / 2
        around = np.concatenate([around, moments.transpose(1, 3, 0, 2)], axis=3)
        components = spin.T[:, :, None]
        along = (components * around[:, 0]).sum(axis=0)
        sizes = (around[:, 0] ** 2).sum(axis=0)
        known = np.concatenate([invariants, (spin**2).sum(axis=1, keepdims=True), along, sizes], axis=1)
        gates, mixing, sphere = self.gates(known), self.mixing(state), self.sphere(known)
        coefficients = []
        for own, others in zip(components, around, strict=True):
            every = gated(np.concatenate([own * features, others], axis=2), gates)
            each = read(every, mixing, self.reading)
            each[:, 0] += own * sphere
            coefficients.append(each)
        return np.stack(coefficients)


def smooth_size(vectors: Array) -> Array:
    """(n_atoms, n) lengths of vectors (n_atoms, n_components, n), rounded off around 0."""
    return np.asarray(np.sqrt((vectors**2).sum(axis=1) + ROUNDED**2) - ROUNDED)
