"""Atoms and their pairs as the tensors that an encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from chgtools.cell import neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.encoder_settings import EncoderSettings


@dataclass
class AtomGraph:
    """Atoms of several structures, one after the other, and their pairs.

    element : (n,) index into the model's elements; centre, other : (p,) atoms of a pair
    radial : (p, radial), envelope : (p,) of the distance; harmonics : (p, n_lm) of the direction
    spin : (n, 1) or (n, 3) direction of each atom's start moment, 0 where it has none
    """

    element: Tensor
    centre: Tensor
    other: Tensor
    radial: Tensor
    envelope: Tensor
    harmonics: Tensor
    spin: Tensor

    def to(self, device: torch.device | str) -> AtomGraph:
        return AtomGraph(**{name: value.to(device) for name, value in vars(self).items()})


def graph(
    structure: Structure,
    elements: Sequence[str],
    settings: EncoderSettings,
    dtype: torch.dtype = torch.float32,
    spin: NDArray[np.float64] | None = None,
) -> AtomGraph:
    """The atoms of a structure for an encoder whose elements are ``elements``, which must hold all of them.

    spin : (n_atoms, 1 or 3) directions of the start moments; None where there are none
    Raises MismatchError where two atoms are on one place.
    """
    from chgtools.kernels.harmonics import harmonics

    pairs = neighbours(structure, settings.cutoff)
    radial, envelope = _radial_features(pairs.distance, settings.cutoff, settings.radial)
    index = {symbol: i for i, symbol in enumerate(elements)}
    return AtomGraph(
        element=to_tensor([index[symbol] for symbol in structure.elements], torch.int64),
        centre=to_tensor(pairs.centre, torch.int64),
        other=to_tensor(pairs.other, torch.int64),
        radial=to_tensor(radial, dtype),
        envelope=to_tensor(envelope, dtype),
        harmonics=to_tensor(harmonics(settings.l_max, np.ascontiguousarray(pairs.direction)).T, dtype),
        spin=to_tensor(np.zeros((structure.n_atoms, 1)) if spin is None else spin, dtype),
    )


def merge(graphs: Sequence[AtomGraph]) -> AtomGraph:
    """One graph of several: the atoms in the order given; collinear spins are along z beside non-collinear ones."""
    most = max(g.spin.shape[1] for g in graphs)
    counts = np.cumsum([0] + [len(g.element) for g in graphs[:-1]])
    return AtomGraph(
        element=torch.cat([g.element for g in graphs]),
        centre=torch.cat([g.centre + int(n) for g, n in zip(graphs, counts, strict=True)]),
        other=torch.cat([g.other + int(n) for g, n in zip(graphs, counts, strict=True)]),
        radial=torch.cat([g.radial for g in graphs]),
        envelope=torch.cat([g.envelope for g in graphs]),
        harmonics=torch.cat([g.harmonics for g in graphs]),
        spin=torch.cat([pad(g.spin, (most - g.spin.shape[1], 0)) for g in graphs]),
    )


def to_tensor(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values)).to(dtype)


def _radial_features(
    distance: NDArray[np.float64], cutoff: float, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(p, count) Bessel functions sin(kπx)/x, x = r/r_c, and the (p,) envelope (1 - x²)³ that ends them smoothly."""
    x = distance / cutoff
    k = np.arange(1, count + 1)
    bessel = np.sin(np.pi * k * x[:, None]) / x[:, None] * np.sqrt(2) / np.pi
    return bessel, np.where(x < 1, (1 - x**2) ** 3, 0.0)
