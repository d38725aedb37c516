"""Equivariant messages: chgtools.models.messages has the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from chgtools.atoms.angular import gaunt
from chgtools.models.messages import SCALE
from chgtools.training.torch_network.perceptron import Perceptron

if TYPE_CHECKING:
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.training.torch_network.graph import TensorGraph


class EquivariantMessages(nn.Module):
    """``features`` is how many the encoder has before them."""

    degrees: Tensor
    gaunt: Tensor

    def __init__(self, settings: EncoderSettings, features: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.register_buffer("degrees", torch.as_tensor(s.degrees), persistent=False)
        table = torch.as_tensor(gaunt(s.message_l_max, s.l_max, s.l_max), dtype=torch.float32)
        self.register_buffer("gaunt", table, persistent=False)
        self.mixing = nn.Parameter(torch.randn(s.message_l_max + 1, features, s.channels) / np.sqrt(features))
        self.pair = Perceptron(s.radial + 2 * s.state, s.hidden, s.channels * (s.l_max + 1))

    def forward(self, state: Tensor, features: Tensor, batch: TensorGraph) -> Tensor:
        """(n_atoms, channels, n_lm) B. state : (n_atoms, state), features : (n_atoms, n_features, n_lm)"""
        s, n_first = self.settings, len(self.gaunt)
        carried = torch.einsum("acm,mcd->adm", features[:, :, :n_first], self.mixing[self.degrees[:n_first]])
        weights = self.pair(torch.cat([batch.radial, state[batch.centre], state[batch.other]], 1))
        weights = (weights * batch.envelope[:, None]).view(-1, s.channels, s.l_max + 1)[:, :, self.degrees]
        # each atom's neighbours in a row, 0 behind the last, so that one product of matrices sums over them
        counts = batch.centre.bincount(minlength=len(state))
        starts = counts.cumsum(0) - counts
        places = (batch.centre, torch.arange(len(batch.centre), device=counts.device) - starts[batch.centre])
        rows = (len(state), int(counts.max()), s.channels)
        others = carried.new_zeros(*rows, n_first).index_put(places, carried[batch.other])
        waves = weights.new_zeros(*rows, len(self.degrees)).index_put(places, weights * batch.harmonics[:, None])
        sums = torch.einsum("apcm,apcn->acmn", others, waves)
        return SCALE * (sums.flatten(2) @ self.gaunt.flatten(0, 1))
