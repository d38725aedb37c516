"""The magnetisation of atoms with given directions of their start moments: chgtools.models.spin has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from chgtools.models.spin import ROUNDED
from chgtools.tightbinding.features import N_SPINS, WITH_MOMENTS
from chgtools.training.torch_network.perceptron import Perceptron

if TYPE_CHECKING:
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.training.torch_network.graph import TensorGraph


class SpinReading(nn.Module):
    """``features`` and ``invariants`` are how many of them the encoder has."""

    degrees: Tensor

    def __init__(self, settings: EncoderSettings, features: int, invariants: int, n_max: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.register_buffer("degrees", torch.as_tensor(s.degrees), persistent=False)
        own = s.spin_channels + (N_SPINS if s.prior in WITH_MOMENTS else 0)
        known, every = invariants + 1 + 2 * own, features + own
        self.pair = Perceptron(s.radial + 2 * s.state, s.hidden, s.spin_channels * (s.l_max + 1))
        self.gates = Perceptron(known, s.hidden, every * (s.l_max + 1))
        self.mixing = Perceptron(s.state, s.hidden, s.readings)
        self.reading = nn.Parameter(torch.randn(s.readings, s.l_max + 1, every, n_max) * 0.1 / np.sqrt(every))
        self.sphere = Perceptron(known, s.hidden, n_max)

    def forward(
        self, state: Tensor, invariants: Tensor, features: Tensor, moments: Tensor, batch: TensorGraph
    ) -> Tensor:
        """(n_components, n_atoms, n_lm, n_max) coefficients, μ_B Å^-3/2.

        moments : (n_atoms, n_components, n, n_lm) of the prior, of like size
        """
        s, spin = self.settings, batch.spin
        having = spin.abs().sum(1) > 0
        pairs = having[batch.other]
        centre, other = batch.centre[pairs], batch.other[pairs]
        weights = self.pair(torch.cat([batch.radial[pairs], state[centre], state[other]], 1))
        weights = (weights * batch.envelope[pairs, None]).view(-1, s.spin_channels, s.l_max + 1)[:, :, self.degrees]
        waves = spin[other][:, :, None, None] * (weights * batch.harmonics[pairs, None])[:, None]
        around = waves.new_zeros(len(state), spin.shape[1], s.spin_channels, len(self.degrees))
        around = around.index_add_(0, centre, waves) / 2
        around = torch.cat([around, moments], 2)
        along = (spin[:, :, None] * around[:, :, :, 0]).sum(1)
        sizes = (around[:, :, :, 0] ** 2).sum(1)
        known = torch.cat([invariants, (spin**2).sum(1, keepdim=True), along, sizes], 1)
        every = torch.cat([spin[:, :, None, None] * features[:, None], around], 2)
        gates = 1 + self.gates(known).view(len(state), every.shape[2], s.l_max + 1)
        every = every * gates[:, None, :, self.degrees]
        read = torch.einsum("aj,jlcn->alcn", self.mixing(state), self.reading)[:, self.degrees]
        coefficients = torch.einsum("akcm,amcn->kamn", every, read)
        first = coefficients[:, :, :1] + (spin.T[:, :, None] * self.sphere(known))[:, :, None]
        return torch.cat([first, coefficients[:, :, 1:]], 2)


def smooth_size(vectors: Tensor) -> Tensor:
    """(n_atoms, n) lengths of vectors (n_atoms, n_components, n), rounded off around 0."""
    return ((vectors**2).sum(1) + ROUNDED**2).sqrt() - ROUNDED
