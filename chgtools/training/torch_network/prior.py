"""The inputs that an encoder takes from tight binding, as chgtools.models.prior has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from chgtools.models.prior import INVARIANTS_SCALE, LARGEST, SMALLEST, SPINS_SCALE, TENSORS_SCALE, PriorScales
from chgtools.tightbinding.features import N_SPINS, WITH_MOMENTS, counts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.training.torch_network.graph import TensorGraph


class PriorInputs(nn.Module):
    """Of encoders with these settings."""

    invariants_rms: Tensor
    tensors_rms: Tensor
    spins_rms: Tensor
    degrees: Tensor

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        self.with_spin = settings.prior in WITH_MOMENTS
        invariants, tensors = counts(settings.prior)
        self.register_buffer("invariants_rms", torch.zeros(invariants))
        self.register_buffer("tensors_rms", torch.zeros(tensors, settings.l_max + 1))
        if self.with_spin:
            self.register_buffer("spins_rms", torch.zeros(N_SPINS, settings.l_max + 1))
        self.register_buffer("degrees", torch.as_tensor(settings.degrees), persistent=False)

    def set_scales(self, scales: PriorScales) -> None:
        """Count features by those of a training set from now on."""
        self.invariants_rms.copy_(torch.as_tensor(scales.invariants[: len(self.invariants_rms)]))
        _put(self.tensors_rms, scales.tensors[: len(self.tensors_rms)])
        if self.with_spin:
            _put(self.spins_rms, scales.spins)

    def forward(self, atoms: TensorGraph) -> tuple[Tensor, Tensor, Tensor]:
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


def _put(rms: Tensor, values: NDArray[np.float64]) -> None:
    """Those of the l that both have; the others stay 0, which leaves features out."""
    rms[:, : values.shape[1]] = torch.as_tensor(values[:, : rms.shape[1]])


def _inverse(rms: Tensor) -> Tensor:
    return torch.where(rms < SMALLEST, torch.zeros_like(rms), 1 / rms.clamp(min=SMALLEST))
