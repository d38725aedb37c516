"""Errors of predicted coefficients against the waves of a sample, in percent of the electrons.

Of several samples that are padded to one size they come at once, as (n_structures,); all shapes have an axis in front
then, coefficients (n_structures, n_atoms, n_lm, n_max).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from chgtools.training.config import Loss
from chgtools.training.padded import Padded

if TYPE_CHECKING:
    from chgtools.training.samples import Sample

_SMALL = 1e-8  # keeps the slope of a square root finite
_BEYOND = "...amn,...mnk,...amk->..."  # coefficients, Sample.outer, coefficients


def neutral(coefficients: Tensor, charges: Tensor, totals: Tensor, structure: Tensor) -> Tensor:
    """The coefficients with the integral ``totals`` of each structure, as chgtools.fourier.basis.with_charge does it.

    coefficients : (n_atoms, n_lm, n_max) of all structures; totals : (n_structures,); structure : (n_atoms,) of an atom
    """
    missing = totals.index_add(0, structure, coefficients[:, 0] @ charges, alpha=-1)
    atoms = torch.zeros_like(totals).index_add(0, structure, torch.ones_like(coefficients[:, 0, 0]))
    first = coefficients[:, :1] + (missing / (atoms * (charges @ charges)))[structure, None, None] * charges
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


def waves_of(sample: Sample | Padded, coefficients: Tensor, even: Tensor) -> Tensor:
    """(n_G, 2) V·n_G of coefficients (n_atoms, n_lm, n_max); even : (n_lm,) whether l is even"""
    amplitude_even = coefficients[..., even, :].flatten(-2) @ sample.even
    amplitude_odd = coefficients[..., ~even, :].flatten(-2) @ sample.odd
    real = (sample.cosine * amplitude_even + sample.sine * amplitude_odd).sum(-2)
    imaginary = (sample.cosine * amplitude_odd - sample.sine * amplitude_even).sum(-2)
    return torch.stack([real, imaginary], -1)


def residual(sample: Sample | Padded, coefficients: Tensor, even: Tensor) -> Residual:
    """coefficients : (n_atoms, n_lm, n_max); even : (n_lm,) whether l is even"""
    outer, outer_coulomb = (
        torch.einsum(_BEYOND, coefficients, table, coefficients) for table in (sample.outer, sample.outer_coulomb)
    )
    return Residual(waves_of(sample, coefficients, even) - sample.target, outer, outer_coulomb)


def rms_percent(sample: Sample | Padded, missed: Residual) -> Tensor:
    """Root mean square, in units that make the SAED's its ε_mae."""
    square = (sample.weight * (missed.waves**2).sum(-1)).sum(-1) + missed.outer
    return sample.scale * torch.sqrt(square / sample.norm + _SMALL)


def coulomb_percent(sample: Sample | Padded, missed: Residual) -> Tensor:
    """Root of the Coulomb self-energy, in units that make the SAED's its ε_mae."""
    square = (sample.weight * sample.inverse_square * (missed.waves**2).sum(-1)).sum(-1) + missed.outer_coulomb
    return sample.scale * torch.sqrt(square / sample.coulomb_norm + _SMALL)


def mae_percent(sample: Sample | Padded, missed: Residual) -> Tensor:
    """ε_mae on the grid of the waves, and the rms of the waves beyond; rms alone where some waves were left out.

    The grids differ, so it goes one structure after the other.
    """
    if isinstance(sample, Padded):
        each = zip(sample.samples, missed.waves, missed.outer, missed.outer_coulomb, strict=True)
        return torch.stack([mae_percent(own, Residual(waves[: len(own.weight)], *rest)) for own, waves, *rest in each])
    if sample.transform is None:
        return rms_percent(sample, missed)
    beyond = sample.scale * torch.sqrt(missed.outer / sample.norm + _SMALL)
    return 100 / sample.electrons * sample.transform(missed.waves).abs().mean() + beyond


def loss_of(sample: Sample | Padded, missed: Residual, weights: Loss) -> Tensor:
    """The weighted sum that is minimised."""
    terms = ((weights.rms, rms_percent), (weights.coulomb, coulomb_percent), (weights.mae, mae_percent))
    return torch.stack([weight * term(sample, missed) for weight, term in terms if weight > 0]).sum(0)


def magnetic_percent(sample: Sample | Padded, coefficients: Tensor, even: Tensor, charges: Tensor) -> Tensor:
    """Root mean square of the magnetisation's error, the moment of the cell included, in the unit of ``rms_percent``.

    coefficients : (n_components, n_atoms, n_lm, n_max), (n_components, n_structures, ...) of several
    charges : (n_max,) integrals of the functions of l = 0
    """
    assert sample.magnetic is not None
    assert sample.moments is not None
    square = torch.zeros((), device=coefficients.device)
    for values, wanted, moment in zip(coefficients, sample.magnetic, sample.moments, strict=True):
        missed = waves_of(sample, values, even) - wanted
        square = square + (sample.weight * (missed**2).sum(-1)).sum(-1)
        square = square + torch.einsum(_BEYOND, values, sample.outer, values)
        # G = 0 is half in half the sphere
        square = square + 0.5 * ((values[..., 0, :] @ charges).sum(-1) - moment) ** 2
    return sample.scale * torch.sqrt(square / sample.norm + _SMALL)
