"""The network of chgtools.models.network as a torch module: the same formulas and names of tensors, with gradients.

A change of one is a change of both: tests/test_network.py holds them to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from chgtools.atoms.angular import gaunt
from chgtools.models.encoder_settings import NO_PRIOR, EncoderSettings
from chgtools.models.graph import FOREIGN
from chgtools.tightbinding.features import N_SPINS, WITH_MOMENTS, counts
from chgtools.training.torch_network.graph import TensorGraph
from chgtools.training.torch_network.messages import EquivariantMessages
from chgtools.training.torch_network.perceptron import Perceptron
from chgtools.training.torch_network.prior import PriorInputs
from chgtools.training.torch_network.spin import SpinReading, smooth_size


@dataclass
class Described:
    """What an encoder knows of atoms before it reads a density from it.

    state : (n_atoms, state), invariants : (n_atoms, n_invariants) scalars; features : (n_atoms, n_features, n_lm)
    spins : (n_atoms, n_components, n_spins, n_lm) of the prior's moments
    """

    state: Tensor
    invariants: Tensor
    features: Tensor
    spins: Tensor


class Encoder(nn.Module):
    """``n_max`` functions of each l; ``properties`` (n_elements, n_properties), standardised."""

    properties: Tensor
    degrees: Tensor
    gaunt: Tensor

    def __init__(self, settings: EncoderSettings, n_max: int, properties: Tensor) -> None:
        super().__init__()
        s = self.settings = settings
        self.n_max = n_max
        n_elements, n_properties = properties.shape
        self.register_buffer("properties", properties)
        self.embedding = nn.Parameter(0.3 * torch.randn(n_elements, s.state))
        self.known = nn.Linear(n_properties, s.state)
        self.messages = nn.ModuleList(Perceptron(s.radial + 2 * s.state, s.hidden, s.hidden) for _ in range(s.passes))
        self.updates = nn.ModuleList(Perceptron(s.state + s.hidden, s.hidden, s.state) for _ in range(s.passes))
        self.pair = Perceptron(s.radial + 2 * s.state, s.hidden, s.hidden, s.channels * (s.l_max + 1))
        self.register_buffer("degrees", torch.as_tensor(s.degrees), persistent=False)
        channels = s.channels
        if s.prior != NO_PRIOR:
            self.prior = PriorInputs(s)
            invariants, tensors = counts(s.prior)
            self.onsite = nn.Linear(invariants, s.state, bias=False)
            if s.prior in WITH_MOMENTS:
                self.moments = nn.Linear(N_SPINS, s.state, bias=False)
            channels += tensors
        self.channels = features = channels
        if s.message_l_max:
            self.equivariant = EquivariantMessages(s, channels)
        if s.order == 2:
            table = torch.as_tensor(gaunt(s.l_max, s.l_max, s.l_max), dtype=torch.float32)
            self.register_buffer("gaunt", table, persistent=False)
            scale = 1 / np.sqrt(channels)
            self.left = nn.Parameter(scale * torch.randn(s.l_max + 1, channels, channels))
            self.right = nn.Parameter(scale * torch.randn(s.l_max + 1, channels, channels))
            features += channels
        self.features = features
        invariants = s.state + channels * (s.l_max + 2)
        self.gates = Perceptron(invariants, s.hidden, features * (s.l_max + 1))
        self.mixing = Perceptron(s.state, s.hidden, s.readings)
        self.reading = nn.Parameter(torch.randn(s.readings, s.l_max + 1, features, n_max) * 0.1 / np.sqrt(features))
        self.sphere = Perceptron(invariants, s.hidden, n_max)
        if s.unknown:
            self.embedding_any = nn.Parameter(torch.zeros(1, s.state))
        if s.free_atoms:
            self.atoms = nn.Parameter(torch.zeros(n_elements, n_max))
        if s.spin_channels:
            self.spin = SpinReading(s, features, invariants, n_max)

    def forward(self, batch: TensorGraph) -> Tensor:
        """(n_atoms, n_lm, n_max) coefficients, electrons Å^-3/2."""
        return self.density(self.describe(batch), batch)

    @property
    def nobody(self) -> Tensor:
        """(1, state) what atoms of no particular element have for a learned vector.

        One that was trained, where the training hid elements now and then; else the mean of all.
        """
        return self.embedding_any if self.settings.unknown else self.embedding.mean(0, keepdim=True)

    def magnetisation(self, described: Described, batch: TensorGraph) -> Tensor:
        """(n_components, n_atoms, n_lm, n_max) coefficients of the magnetisation, μ_B Å^-3/2; 0 without spins."""
        if not self.settings.spin_channels or not bool(batch.spin.any()):
            n_atoms, _, n_lm = described.features.shape
            return described.features.new_zeros(batch.spin.shape[1], n_atoms, n_lm, self.n_max)
        return self.spin(described.state, described.invariants, described.features, described.spins, batch)

    def describe(self, batch: TensorGraph) -> Described:
        """States, invariants and features of the atoms."""
        s = self.settings
        state = self._elements(batch)
        tensors, spins = batch.tensors, batch.spins
        if s.prior != NO_PRIOR:
            onsite, tensors, spins = self.prior(batch)
            state = state + self.onsite(onsite)
        if s.prior in WITH_MOMENTS:
            state = state + self.moments(smooth_size(spins[..., 0]))
        envelope = batch.envelope[:, None]
        n_atoms = len(state)
        for message, update in zip(self.messages, self.updates, strict=True):
            values = message(torch.cat([batch.radial, state[batch.centre], state[batch.other]], 1)) * envelope
            gathered = values.new_zeros(n_atoms, s.hidden).index_add_(0, batch.centre, values) / 4
            state = state + update(torch.cat([state, gathered], 1))
        weights = self.pair(torch.cat([batch.radial, state[batch.centre], state[batch.other]], 1)) * envelope
        weights = weights.view(-1, s.channels, s.l_max + 1)[:, :, self.degrees]
        density = weights.new_zeros(n_atoms, s.channels, len(self.degrees))
        density = density.index_add_(0, batch.centre, weights * batch.harmonics[:, None]) / 2
        density = torch.cat([density, tensors], 1)
        if s.message_l_max:
            density = density + pad(self.equivariant(state, density, batch), (0, 0, 0, tensors.shape[1]))
        power = weights.new_zeros(n_atoms, self.channels, s.l_max + 1)
        power = power.index_add_(2, self.degrees, density**2)
        invariants = torch.cat([state, density[:, :, 0], power.flatten(1)], 1)
        features = density
        if s.order == 2:
            left = torch.einsum("acm,mcd->adm", density, self.left[self.degrees])
            right = torch.einsum("acm,mcd->adm", density, self.right[self.degrees])
            pairs = left[:, :, :, None] * right[:, :, None, :]
            product = pairs.flatten(2) @ self.gaunt.flatten(0, 1)
            features = torch.cat([density, product], 1)
        gates = 1 + self.gates(invariants).view(n_atoms, self.features, s.l_max + 1)
        return Described(state, invariants, features * gates[:, :, self.degrees], spins)

    def _elements(self, batch: TensorGraph) -> Tensor:
        """(n_atoms, state) what an atom is by its element, whatever is around it."""
        learned, known = self.embedding[batch.element], self.properties[batch.element]
        if len(batch.foreign):
            foreign = (batch.element == FOREIGN)[:, None]
            learned = torch.where(foreign, self.nobody, learned)
            known = known.masked_scatter(foreign, batch.foreign)
        return learned + self.known(known)

    def density(self, described: Described, batch: TensorGraph) -> Tensor:
        """(n_atoms, n_lm, n_max) coefficients, electrons Å^-3/2."""
        mixing = self.mixing(described.state)
        read = torch.einsum("aj,jlcn->alcn", mixing, self.reading)[:, self.degrees]
        coefficients = torch.einsum("acm,amcn->amn", described.features, read)
        first = coefficients[:, :1] + self.sphere(described.invariants)[:, None]
        if self.settings.free_atoms:
            own = (batch.element != FOREIGN)[:, None, None]  # nothing is known of a foreign element's free atom
            first = first + own * self.atoms[batch.element][:, None]
        return torch.cat([first, coefficients[:, 1:]], 1)
