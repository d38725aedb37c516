"""Equivariant messages: an atom learns what is around its neighbours, and in which directions.

With A_b,c,lm the features of atom b and U_b,c,lm mixtures of them, in as many channels as the network has,

    B_a,c,LM = 4 Σ_b Σ_lm,l'm' G_lm,l'm',LM U_b,c,lm w_cl'(h_a, h_b, r_ab) Y_l'm'(r_ab),    l up to message_l_max,

is added to A_a,c,LM. G are Gaunt coefficients: l + l' + L is even, and B turns and is mirrored as A is. The products
U w Y are summed over the neighbours and coupled then, once for each atom: there are some fifty times more pairs.
Messages of this kind are those of S. Batzner et al., Nat. Commun. 13, 2453 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.models.equivariant import coupling, mixed
from chgtools.models.pairs import product_sums
from chgtools.models.perceptron import Perceptron

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.graph import AtomGraph

    Array = NDArray[np.float64]

SCALE = 4.0  # of B, so that it begins as a tenth of A


@dataclass(frozen=True, eq=False)
class EquivariantMessages:
    """See the module's head. mixing : (message_l_max + 1, n_features, channels); pair : w"""

    mixing: Array
    pair: Perceptron

    @classmethod
    def of(cls, tensors: Mapping[str, Array], name: str) -> EquivariantMessages:
        """Those of a network's tensors, named NAME.mixing and so on."""
        return cls(tensors[f"{name}.mixing"], Perceptron.of(tensors, f"{name}.pair"))

    def __call__(self, state: Array, features: Array, atoms: AtomGraph) -> Array:
        """(n_lm, n_atoms, channels) B. state : (n_atoms, state), features : (n_lm, n_atoms, n_features)"""
        carried = mixed(features[: len(self.mixing) ** 2], self.mixing)
        l_max = round(len(features) ** 0.5) - 1
        sums = product_sums(self.pair, state, atoms, carried.transpose(1, 2, 0))
        return np.asarray(SCALE * (sums @ coupling(len(self.mixing) - 1, l_max, l_max)).transpose(2, 0, 1))
