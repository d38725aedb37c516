"""The inputs that an encoder takes from tight binding: chgtools.tightbinding.features, of like size for all.

Each feature is divided by its root mean square over all atoms of the training set, of all elements, and what is larger
than LARGEST times that is cut off there: a tensor by its length, so that it turns as before. The invariants of an atom
are counted one by one, a tensor's root mean square is that of one of its 2l + 1 components. A feature that the training
set did not have (rms below SMALLEST) is 0 for ever, whatever it is elsewhere: nothing was learned of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from chgtools.elements import SYMBOLS
from chgtools.tightbinding.features import L_MAX, N_INVARIANTS, N_TENSORS
from chgtools.tightbinding.shells import HEAVIEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.tightbinding.features import PriorFeatures

LARGEST = 4.0  # root mean squares
SMALLEST = 1e-4
INVARIANTS_SCALE, TENSORS_SCALE = 0.2, 0.1  # of the inputs, beside what the network makes of the neighbours itself


@dataclass(frozen=True, eq=False)
class PriorScales:
    """Root mean squares of a training set. invariants : (N_INVARIANTS,); tensors : (N_TENSORS, 5), by l"""

    invariants: NDArray[np.float64]
    tensors: NDArray[np.float64]

    @classmethod
    def of(cls, features: Sequence[PriorFeatures]) -> PriorScales:
        """Over all atoms of several structures."""
        count = sum(len(each.invariants) for each in features)
        invariants = np.sum([(each.invariants**2).sum(axis=0) for each in features], axis=0) / count
        tensors = np.sum([(each.tensors**2).sum(axis=0) for each in features], axis=0) / count
        ell = np.arange(L_MAX + 1)
        return cls(np.sqrt(invariants), np.sqrt(np.add.reduceat(tensors, ell**2, axis=1) / (2 * ell + 1)))


def has_prior(element: str) -> bool:
    """Whether tight binding has orbitals for an element: from H to Pu."""
    return element in SYMBOLS[:HEAVIEST]


class PriorInputs(nn.Module):
    """See the module's head; ``l_max`` is the encoder's, of 4 at most."""

    invariants_rms: Tensor
    tensors_rms: Tensor
    degrees: Tensor

    def __init__(self, l_max: int) -> None:
        super().__init__()
        ell = np.arange(l_max + 1)
        self.register_buffer("invariants_rms", torch.zeros(N_INVARIANTS))
        self.register_buffer("tensors_rms", torch.zeros(N_TENSORS, l_max + 1))
        self.register_buffer("degrees", torch.as_tensor(np.repeat(ell, 2 * ell + 1)), persistent=False)

    def set_scales(self, scales: PriorScales) -> None:
        """Count features by those of a training set from now on."""
        self.invariants_rms.copy_(torch.as_tensor(scales.invariants))
        self.tensors_rms.copy_(torch.as_tensor(scales.tensors[:, : self.tensors_rms.shape[1]]))

    def forward(self, invariants: Tensor, tensors: Tensor) -> tuple[Tensor, Tensor]:
        """invariants : (n_atoms, N_INVARIANTS), tensors : (n_atoms, N_TENSORS, n_lm), as they were computed."""
        scaled = (invariants * _inverse(self.invariants_rms)).clamp(-LARGEST, LARGEST)
        relative = tensors * _inverse(self.tensors_rms)[:, self.degrees]
        squares = relative.new_zeros(*tensors.shape[:2], self.tensors_rms.shape[1])
        squares = squares.index_add_(2, self.degrees, relative**2)
        size = (squares / self.degrees.bincount()).sqrt()  # of one component
        factor = LARGEST / size.clamp(min=LARGEST)
        return INVARIANTS_SCALE * scaled, TENSORS_SCALE * relative * factor[:, :, self.degrees]


def _inverse(rms: Tensor) -> Tensor:
    return torch.where(rms < SMALLEST, torch.zeros_like(rms), 1 / rms.clamp(min=SMALLEST))
