"""A network of arrays as torch modules and back: it is trained as the one, and predicts, and is kept, as the other."""

from __future__ import annotations

import numpy as np
import torch

from chgtools.models.network import Network
from chgtools.training.torch_network.encoder import Encoder


def encoder_of(network: Network) -> Encoder:
    """The same network to go on training with, float32."""
    state = {name: torch.as_tensor(values).float() for name, values in network.tensors.items()}
    encoder = Encoder(network.settings, network.n_max, state["properties"])
    encoder.load_state_dict(state)
    return encoder


def network_of(encoder: Encoder) -> Network:
    """A copy of an encoder as it is now, float64."""
    state = encoder.state_dict()
    tensors = {name: value.detach().cpu().numpy().astype(np.float64) for name, value in state.items()}
    return Network(encoder.settings, tensors)
