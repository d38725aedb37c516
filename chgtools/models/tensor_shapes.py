"""The tensors of a network: their names, as in a file of weights, and their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from chgtools.models.encoder_settings import NO_PRIOR, EncoderSettings
from chgtools.tightbinding.features import N_SPINS, WITH_MOMENTS, counts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Shapes = dict[str, tuple[int, ...]]

_COUNTED = ("properties", "prior.invariants_rms", "prior.tensors_rms", "prior.spins_rms")


def is_trained(name: str) -> bool:
    """Whether a tensor is a trained parameter; the others are of the elements and of the training set."""
    return name not in _COUNTED


def shapes(settings: EncoderSettings, n_max: int, n_elements: int, n_properties: int) -> Shapes:
    """Name to shape of each tensor of a network with ``n_max`` radial functions of each l.

    In the order of the state of chgtools.training.torch_network, which digests of weights follow.
    """
    s, n_l = settings, settings.l_max + 1
    with_prior, with_moments = s.prior != NO_PRIOR, s.prior in WITH_MOMENTS
    n_invariants, n_tensors = counts(s.prior) if with_prior else (0, 0)
    channels = s.channels + n_tensors
    features = 2 * channels if s.order == 2 else channels
    invariants = s.state + channels * (n_l + 1)
    pair = s.radial + 2 * s.state
    found: Shapes = {"embedding": (n_elements, s.state)}
    if s.order == 2:
        found |= {"left": (n_l, channels, channels), "right": (n_l, channels, channels)}
    found["reading"] = (s.readings, n_l, features, n_max)
    if s.unknown:
        found["embedding_any"] = (1, s.state)
    if s.free_atoms:
        found["atoms"] = (n_elements, n_max)
    found["properties"] = (n_elements, n_properties)
    found |= _perceptron("known", n_properties, s.state, single=True)
    for number in range(s.passes):
        found |= _perceptron(f"messages.{number}", pair, s.hidden, s.hidden)
    for number in range(s.passes):
        found |= _perceptron(f"updates.{number}", s.state + s.hidden, s.hidden, s.state)
    found |= _perceptron("pair", pair, s.hidden, s.hidden, s.channels * n_l)
    if with_prior:
        found |= {"prior.invariants_rms": (n_invariants,), "prior.tensors_rms": (n_tensors, n_l)}
        found |= {"prior.spins_rms": (N_SPINS, n_l)} if with_moments else {}
        found["onsite.weight"] = (s.state, n_invariants)
        found |= {"moments.weight": (s.state, N_SPINS)} if with_moments else {}
    if s.message_l_max:
        found["equivariant.mixing"] = (s.message_l_max + 1, channels, s.channels)
        found |= _perceptron("equivariant.pair", pair, s.hidden, s.channels * n_l)
    found |= _perceptron("gates", invariants, s.hidden, features * n_l)
    found |= _perceptron("mixing", s.state, s.hidden, s.readings)
    found |= _perceptron("sphere", invariants, s.hidden, n_max)
    if s.spin_channels:
        own = s.spin_channels + (N_SPINS if with_moments else 0)
        known, every = invariants + 1 + 2 * own, features + own
        found["spin.reading"] = (s.readings, n_l, every, n_max)
        found |= _perceptron("spin.pair", pair, s.hidden, s.spin_channels * n_l)
        found |= _perceptron("spin.gates", known, s.hidden, every * n_l)
        found |= _perceptron("spin.mixing", s.state, s.hidden, s.readings)
        found |= _perceptron("spin.sphere", known, s.hidden, n_max)
    return found


def misfits(tensors: Mapping[str, NDArray[np.generic]], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with tensors, as words: those that lack, those too many and those of other shapes."""
    lacking = [f"{name} is missing" for name in wanted if name not in tensors]
    unknown = [f"{name} is one too many" for name in sorted(tensors) if name not in wanted]
    other = [
        f"{name} has the shape {tensors[name].shape}, wanted {shape}"
        for name, shape in wanted.items()
        if name in tensors and tensors[name].shape != shape
    ]
    return lacking + unknown + other


def _perceptron(name: str, *widths: int, single: bool = False) -> Shapes:
    """The layers of chgtools.models.perceptron; ``single`` of one layer, which has no number."""
    found: Shapes = {}
    for index, (n_in, n_out) in enumerate(pairwise(widths)):
        start = name if single else f"{name}.{2 * index}"
        found |= {f"{start}.weight": (n_out, n_in), f"{start}.bias": (n_out,)}
    return found
