"""The inputs that an encoder takes from tight binding: chgtools.tightbinding.features, of like size for all.

Each feature is divided by its root mean square over all atoms of the training set, of all elements, and what is larger
than LARGEST times that is cut off there: a tensor by its length, so that it turns as before. The invariants of an atom
are counted one by one, a tensor's root mean square is that of one of its 2l + 1 components. A feature that the training
set did not have (rms below SMALLEST) is 0 for ever, whatever it is elsewhere: nothing was learned of it. Those of
moments are counted over the structures that have any, the length of one being that of all its components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from chgtools.elements import SYMBOLS
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.tightbinding.features import L_MAX, N_INVARIANTS, N_SPINS, N_TENSORS, PRIOR
from chgtools.tightbinding.shells import HEAVIEST, valence_shells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.graph import AtomGraph
    from chgtools.tightbinding.features import PriorFeatures

LARGEST = 4.0  # root mean squares
SMALLEST = 1e-4
# Of the inputs, beside what the network makes of the neighbours itself
INVARIANTS_SCALE, TENSORS_SCALE, SPINS_SCALE = 0.2, 0.1, 0.3


@dataclass(frozen=True, eq=False)
class PriorScales:
    """Root mean squares of a training set.

    invariants : (N_INVARIANTS,); tensors : (N_TENSORS, 5), spins : (N_SPINS, 5), by l
    """

    invariants: NDArray[np.float64]
    tensors: NDArray[np.float64]
    spins: NDArray[np.float64]

    @classmethod
    def of(cls, features: Sequence[PriorFeatures]) -> PriorScales:
        """Over all atoms of several structures."""
        count = sum(len(each.invariants) for each in features)
        invariants = np.sum([(each.invariants**2).sum(axis=0) for each in features], axis=0) / count
        tensors = np.sum([(each.tensors**2).sum(axis=0) for each in features], axis=0) / count
        magnetic = [each.spins for each in features if each.spins.any()]
        spins = np.zeros((N_SPINS, (L_MAX + 1) ** 2))
        if magnetic:
            spins = np.sum([(each**2).sum(axis=(0, 1)) for each in magnetic], axis=0) / sum(map(len, magnetic))
        ell = np.arange(L_MAX + 1)
        by_l = [np.sqrt(np.add.reduceat(squares, ell**2, axis=1) / (2 * ell + 1)) for squares in (tensors, spins)]
        return cls(np.sqrt(invariants), *by_l)


def has_prior(element: str) -> bool:
    """Whether tight binding has orbitals for an element: from H to Pu."""
    return element in SYMBOLS[:HEAVIEST]


def has_open_shell(element: str) -> bool:
    """Whether an element has a d or f shell that is filled in part, in its free atom; not beyond plutonium."""
    shells = valence_shells(element) if has_prior(element) else ()
    return any(shell.ell >= 2 and 0 < shell.electrons < 4 * shell.ell + 2 for shell in shells)


class PriorInputs(nn.Module):
    """See the module's head; of encoders with these settings."""

    invariants_rms: Tensor
    tensors_rms: Tensor
    spins_rms: Tensor
    degrees: Tensor

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        ell = np.arange(settings.l_max + 1)
        self.with_spin = settings.prior == PRIOR
        self.register_buffer("invariants_rms", torch.zeros(N_INVARIANTS))
        self.register_buffer("tensors_rms", torch.zeros(N_TENSORS, settings.l_max + 1))
        if self.with_spin:
            self.register_buffer("spins_rms", torch.zeros(N_SPINS, settings.l_max + 1))
        self.register_buffer("degrees", torch.as_tensor(np.repeat(ell, 2 * ell + 1)), persistent=False)

    def set_scales(self, scales: PriorScales) -> None:
        """Count features by those of a training set from now on."""
        self.invariants_rms.copy_(torch.as_tensor(scales.invariants))
        self.tensors_rms.copy_(torch.as_tensor(scales.tensors[:, : self.tensors_rms.shape[1]]))
        if self.with_spin:
            self.spins_rms.copy_(torch.as_tensor(scales.spins[:, : self.spins_rms.shape[1]]))

    def forward(self, atoms: AtomGraph) -> tuple[Tensor, Tensor, Tensor]:
        """``onsite``, ``tensors`` and ``spins`` of atoms, as they were computed, made of like size."""
        scaled = (atoms.onsite * _inverse(self.invariants_rms)).clamp(-LARGEST, LARGEST)
        tensors = TENSORS_SCALE * self._relative(atoms.tensors[:, None], self.tensors_rms)[:, 0]
        spins = SPINS_SCALE * self._relative(atoms.spins, self.spins_rms) if self.with_spin else atoms.spins
        return INVARIANTS_SCALE * scaled, tensors, spins

    def _relative(self, tensors: Tensor, rms: Tensor) -> Tensor:
        """tensors : (n_atoms, n_components, n, n_lm); rms : (n, l_max + 1)"""
        relative = tensors * _inverse(rms)[:, self.degrees]
        squares = relative.new_zeros(len(tensors), *rms.shape)
        squares = squares.index_add_(2, self.degrees, (relative**2).sum(1))
        size = (squares / self.degrees.bincount()).sqrt()  # of one component
        factor = LARGEST / size.clamp(min=LARGEST)
        return relative * factor[:, None, :, self.degrees]


def _inverse(rms: Tensor) -> Tensor:
    return torch.where(rms < SMALLEST, torch.zeros_like(rms), 1 / rms.clamp(min=SMALLEST))
