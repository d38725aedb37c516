"""The network: atoms and their neighbours in, coefficients of the density's basis out; E(3)-equivariant.

1. Each element is a vector: a learned one beside a linear map of its tabulated properties. Atoms of elements that are
   not among the network's have the vector of "no particular element" for the learned one: see ``Network.nobody``.
2. Invariant messages: each atom gathers scalars from its neighbours, so that it knows its coordination; all that
   follows depends on these states and not on the elements alone.
3. Equivariant features: A_a,c,lm = Σ_b w_cl(h_a, h_b, r_ab) Y_lm(r_ab), the neighbours' density in C channels. Their
   products through Gaunt coefficients, Y_lm Y_l'm' -> Y_LM, bring in three-body terms. With message_l_max, atoms first
   gather the features of their neighbours as well: see chgtools.models.messages.
4. Coefficients c_a,lm,n = Σ_c R_l,cn(h_a) A_a,c,lm, with a reading R that the state of the atom mixes from a few.

With a prior, what a tight-binding calculation says of each atom comes in twice: scalars at the start of 2, beside the
element's vector, and tensors at 3, as more channels of A. Of its moments the density takes how large they are.

Only even l + l' + L occur, so a mirror image of the atoms has the mirror image of the density. The magnetisation is
read from the same features by chgtools.models.spin. It is trained by chgtools.training.torch_network, which computes
the same with torch; here is NumPy alone, for importing torch takes longer than predicting a small cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.models.encoder_settings import NO_PRIOR, EncoderSettings
from chgtools.models.equivariant import gated, mixed, powers, products, read
from chgtools.models.graph import FOREIGN, AtomGraph
from chgtools.models.messages import EquivariantMessages
from chgtools.models.pairs import equivariant_sums, scalar_sums
from chgtools.models.perceptron import Perceptron
from chgtools.models.prior import PriorScales
from chgtools.models.spin import SpinReading, smooth_size
from chgtools.tightbinding.features import WITH_MOMENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Described:
    """What a network knows of atoms before it reads a density from it.

    state : (n_atoms, state), invariants : (n_atoms, n_invariants) scalars; features : (n_lm, n_atoms, n_features)
    spins : (n_atoms, n_components, n_spins, n_lm) of the prior's moments
    """

    state: Array
    invariants: Array
    features: Array
    spins: Array


@dataclass(frozen=True, eq=False)
class Network:
    """See the module's head. tensors : float64, names and shapes those of chgtools.models.tensor_shapes"""

    settings: EncoderSettings
    tensors: Mapping[str, Array]

    @property
    def n_max(self) -> int:
        """Number of radial functions of each l."""
        return self.tensors["reading"].shape[3]

    @property
    def properties(self) -> Array:
        """(n_elements, n_properties) of the elements, standardised."""
        return self.tensors["properties"]

    @property
    def nobody(self) -> Array:
        """(1, state) what atoms of no particular element have for a learned vector.

        One that was trained, where the training hid elements now and then; else the mean of all.
        """
        if self.settings.unknown:
            return self.tensors["embedding_any"]
        return self.tensors["embedding"].mean(axis=0, keepdims=True)

    @property
    def prior(self) -> PriorScales:
        """What the prior's features are counted by, in a network that has a prior."""
        no_moments = np.zeros((0, self.settings.l_max + 1))
        return PriorScales(
            self.tensors["prior.invariants_rms"],
            self.tensors["prior.tensors_rms"],
            self.tensors.get("prior.spins_rms", no_moments),
        )

    def describe(self, atoms: AtomGraph) -> Described:
        """States, invariants and features of the atoms."""
        s, t = self.settings, self.tensors
        state = self._elements(atoms)
        tensors, spins = atoms.tensors, atoms.spins
        if s.prior != NO_PRIOR:
            onsite, tensors, spins = self.prior.inputs(atoms)
            state = state + onsite @ t["onsite.weight"].T
        if s.prior in WITH_MOMENTS:
            state = state + smooth_size(spins[..., 0]) @ t["moments.weight"].T
        for number in range(s.passes):
            gathered = scalar_sums(self._part(f"messages.{number}"), state, atoms) / 4
            state = state + self._part(f"updates.{number}")(np.concatenate([state, gathered], axis=1))
        density = equivariant_sums(self._part("pair"), state, atoms, atoms.harmonics[:, None])[0] / 2
        density = np.concatenate([density, tensors.transpose(2, 0, 1)], axis=2)
        if s.message_l_max:
            density[:, :, : s.channels] += EquivariantMessages.of(t, "equivariant")(state, density, atoms)
        invariants = np.concatenate([state, density[0], powers(density).reshape(len(state), -1)], axis=1)
        features = density
        if s.order == 2:
            product = products(mixed(density, t["left"]), mixed(density, t["right"]))
            features = np.concatenate([density, product], axis=2)
        return Described(state, invariants, gated(features, self._part("gates")(invariants)), spins)

    def density(self, described: Described, atoms: AtomGraph) -> Array:
        """(n_atoms, n_lm, n_max) coefficients, electrons Å^-3/2."""
        coefficients = read(described.features, self._part("mixing")(described.state), self.tensors["reading"])
        coefficients[:, 0] += self._part("sphere")(described.invariants)
        if self.settings.free_atoms:
            own = atoms.element != FOREIGN  # nothing is known of a foreign element's free atom
            coefficients[own, 0] += self.tensors["atoms"][atoms.element[own]]
        return coefficients

    def magnetisation(self, described: Described, atoms: AtomGraph) -> Array:
        """(n_components, n_atoms, n_lm, n_max) coefficients of the magnetisation, μ_B Å^-3/2; 0 without spins."""
        if not self.settings.spin_channels or not atoms.spin.any():
            n_lm, n_atoms, _ = described.features.shape
            return np.zeros((atoms.spin.shape[1], n_atoms, n_lm, self.n_max))
        reading = SpinReading.of(self.tensors, "spin")
        return reading(described.state, described.invariants, described.features, described.spins, atoms)

    def _elements(self, atoms: AtomGraph) -> Array:
        """(n_atoms, state) what an atom is by its element, whatever is around it."""
        learned, known = self.tensors["embedding"][atoms.element], self.properties[atoms.element]
        if len(atoms.foreign):
            foreign = atoms.element == FOREIGN
            learned[foreign], known[foreign] = self.nobody, atoms.foreign
        return np.asarray(learned + known @ self.tensors["known.weight"].T + self.tensors["known.bias"])

    def _part(self, name: str) -> Perceptron:
        return Perceptron.of(self.tensors, name)
