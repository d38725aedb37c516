"""Errors of predicted coefficients against the waves of a sample, in percent of the electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chgtools.training.config import Loss

if TYPE_CHECKING:
    from chgtools.training.samples import Sample

_SMALL = 1e-8  # keeps the slope of a square root finite


def neutral(coefficients: Tensor, charges: Tensor, total: float) -> Tensor:
    """The coefficients with the integral ``total``, as chgtools.fourier.basis.with_charge does it."""
    missing = total - (coefficients[:, 0] @ charges).sum()
    first = coefficients[:, :1] + missing / (len(coefficients) * (charges @ charges)) * charges
    return torch.cat([first, coefficients[:, 1:]], 1)


@dataclass
class Residual:
    """What a prediction misses.

    waves : (n_G, 2) V·n_G predicted less wanted, real and imaginary part
    outer, outer_coulomb : Σ |V·n_G|² and Σ |V·n_G|²/G² over the waves beyond those of the target
    """

    waves: Tensor
    outer: Tensor
    outer_coulomb: Tensor


def waves_of(sample: Sample, coefficients: Tensor, even: Tensor) -> Tensor:
    """(n_G, 2) V·n_G of coefficients (n_atoms, n_lm, n_max); even : (n_lm,) whether l is even"""
    amplitude_even = sample.even @ coefficients[:, even].flatten(1).T
    amplitude_odd = sample.odd @ coefficients[:, ~even].flatten(1).T
    real = (sample.cosine * amplitude_even + sample.sine * amplitude_odd).sum(1)
    imaginary = (sample.cosine * amplitude_odd - sample.sine * amplitude_even).sum(1)
    return torch.stack([real, imaginary], 1)


def residual(sample: Sample, coefficients: Tensor, even: Tensor) -> Residual:
    """coefficients : (n_atoms, n_lm, n_max); even : (n_lm,) whether l is even"""
    outer, outer_coulomb = (
        torch.einsum("amn,mnk,amk->", coefficients, table, coefficients)
        for table in (sample.outer, sample.outer_coulomb)
    )
    return Residual(waves_of(sample, coefficients, even) - sample.target, outer, outer_coulomb)


def rms_percent(sample: Sample, missed: Residual) -> Tensor:
    """Root mean square, in units that make the SAED's its ε_mae."""
    square = (sample.weight * (missed.waves**2).sum(1)).sum() + missed.outer
    return sample.scale * torch.sqrt(square / sample.norm + _SMALL)


def coulomb_percent(sample: Sample, missed: Residual) -> Tensor:
    """Root of the Coulomb self-energy, in units that make the SAED's its ε_mae."""
    square = (sample.weight * sample.inverse_square * (missed.waves**2).sum(1)).sum() + missed.outer_coulomb
    return sample.scale * torch.sqrt(square / sample.coulomb_norm + _SMALL)


def mae_percent(sample: Sample, missed: Residual) -> Tensor:
    """ε_mae on the grid of the waves, and the rms of the waves beyond; rms alone where some waves were left out."""
    if sample.transform is None:
        return rms_percent(sample, missed)
    beyond = sample.scale * torch.sqrt(missed.outer / sample.norm + _SMALL)
    return 100 / sample.electrons * sample.transform(missed.waves).abs().mean() + beyond


def loss_of(sample: Sample, missed: Residual, weights: Loss) -> Tensor:
    """The weighted sum that is minimised."""
    terms = ((weights.rms, rms_percent), (weights.coulomb, coulomb_percent), (weights.mae, mae_percent))
    return torch.stack([weight * term(sample, missed) for weight, term in terms if weight > 0]).sum()


def magnetic_percent(sample: Sample, coefficients: Tensor, even: Tensor, charges: Tensor) -> Tensor:
    """Root mean square of the magnetisation's error, the moment of the cell included, in the unit of ``rms_percent``.

    coefficients : (n_components, n_atoms, n_lm, n_max); charges : (n_max,) integrals of the functions of l = 0
    """
    assert sample.magnetic is not None
    assert sample.moments is not None
    square = torch.zeros((), device=coefficients.device)
    for values, wanted, moment in zip(coefficients, sample.magnetic, sample.moments, strict=True):
        missed = waves_of(sample, values, even) - wanted
        square = square + (sample.weight * (missed**2).sum(1)).sum()
        square = square + torch.einsum("amn,mnk,amk->", values, sample.outer, values)
        square = square + 0.5 * ((values[:, 0] @ charges).sum() - moment) ** 2  # G = 0 is half in half the sphere
    return sample.scale * torch.sqrt(square / sample.norm + _SMALL)
