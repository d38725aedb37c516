"""The magnetisation of atoms with given directions of their start moments, read from an encoder's features.

With e_a the direction of atom a's moment (0 where it has none) and S_a,c,lm = Σ_b e_b w_cl(h_a, h_b, r_ab) Y_lm(r_ab),

    c_a = e_a · (features of a) + (features S_a) + (moments T_a of the prior)

each through gates that depend on invariants alone: those of the encoder, e_a², e_a · S_a and S_a², and of the spherical
part of the prior's e_a · T_a and T_a². So the
magnetisation is linear in the directions times an even function of them: it changes its sign with all of them, turns
with them, and is zero without any. MAGMOM says which way a moment points; how large it is, is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from chgtools.models.perceptron import Perceptron
from chgtools.tightbinding.features import N_SPINS, PRIOR

if TYPE_CHECKING:
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.models.graph import AtomGraph

ROUNDED = 0.03  # a length below which a moment's size counts as its square


class SpinReading(nn.Module):
    """See the module's head; ``features`` and ``invariants`` are how many of them the encoder has."""

    degrees: Tensor

    def __init__(self, settings: EncoderSettings, features: int, invariants: int, n_max: int) -> None:
        super().__init__()
        s = self.settings = settings
        degrees = np.repeat(np.arange(s.l_max + 1), 2 * np.arange(s.l_max + 1) + 1)
        self.register_buffer("degrees", torch.as_tensor(degrees), persistent=False)
        own = s.spin_channels + (N_SPINS if s.prior == PRIOR else 0)
        known, every = invariants + 1 + 2 * own, features + own
        self.pair = Perceptron(s.radial + 2 * s.state, s.hidden, s.spin_channels * (s.l_max + 1))
        self.gates = Perceptron(known, s.hidden, every * (s.l_max + 1))
        self.mixing = Perceptron(s.state, s.hidden, s.readings)
        self.reading = nn.Parameter(torch.randn(s.readings, s.l_max + 1, every, n_max) * 0.1 / np.sqrt(every))
        self.sphere = Perceptron(known, s.hidden, n_max)

    def forward(self, state: Tensor, invariants: Tensor, features: Tensor, moments: Tensor, batch: AtomGraph) -> Tensor:
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
