"""Atoms and their pairs as the tensors that an encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from chgtools.cell import neighbours
from chgtools.errors import ChgtoolsError
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.tightbinding.features import N_SPINS, PRIOR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.tightbinding.features import PriorFeatures


FOREIGN = -1  # in place of an element's index


@dataclass
class AtomGraph:
    """Atoms of several structures, one after the other, and their pairs.

    element : (n,) index into the model's elements, FOREIGN for those that are not among them
    foreign : (n_foreign, n_properties) tabulated properties of the foreign atoms, in their order
    centre, other : (p,) atoms of a pair
    radial : (p, radial), envelope : (p,) of the distance; harmonics : (p, n_lm) of the direction
    spin : (n, 1) or (n, 3) direction of each atom's start moment, 0 where it has none
    onsite : (n, n_invariants), tensors : (n, n_tensors, n_lm) of the prior, as it has them; none without a prior
    spins : (n, 1 or 3, n_spins, n_lm) of a prior that has them, 0 without moments
    """

    element: Tensor
    foreign: Tensor
    centre: Tensor
    other: Tensor
    radial: Tensor
    envelope: Tensor
    harmonics: Tensor
    spin: Tensor
    onsite: Tensor
    tensors: Tensor
    spins: Tensor

    def to(self, device: torch.device | str) -> AtomGraph:
        return AtomGraph(**{name: value.to(device) for name, value in vars(self).items()})


def graph(
    structure: Structure,
    elements: Sequence[str],
    settings: EncoderSettings,
    dtype: torch.dtype = torch.float32,
    spin: NDArray[np.float64] | None = None,
    prior: PriorFeatures | None = None,
) -> AtomGraph:
    """The atoms of a structure for an encoder whose elements are ``elements``; atoms of others are foreign.

    spin : (n_atoms, 1 or 3) directions of the start moments; None where there are none
    prior : features of these atoms, for an encoder that has a prior
    Raises MismatchError where two atoms are on one place, ChgtoolsError without the prior that the encoder wants.
    """
    from chgtools.kernels.harmonics import harmonics

    pairs = neighbours(structure, settings.cutoff)
    radial, envelope = _radial_features(pairs.distance, settings.cutoff, settings.radial)
    index = {symbol: i for i, symbol in enumerate(elements)}
    symbols = structure.elements
    foreign = [symbol for symbol in symbols if symbol not in index]
    spin = np.zeros((structure.n_atoms, 1)) if spin is None else spin
    onsite, tensors, spins = _prior_inputs(structure.n_atoms, spin.shape[1], settings, prior)
    return AtomGraph(
        element=to_tensor([index.get(symbol, FOREIGN) for symbol in symbols], torch.int64),
        foreign=to_tensor(_properties(foreign), dtype),
        centre=to_tensor(pairs.centre, torch.int64),
        other=to_tensor(pairs.other, torch.int64),
        radial=to_tensor(radial, dtype),
        envelope=to_tensor(envelope, dtype),
        harmonics=to_tensor(harmonics(settings.l_max, np.ascontiguousarray(pairs.direction)).T, dtype),
        spin=to_tensor(spin, dtype),
        onsite=to_tensor(onsite, dtype),
        tensors=to_tensor(tensors, dtype),
        spins=to_tensor(spins, dtype),
    )


def merge(graphs: Sequence[AtomGraph]) -> AtomGraph:
    """One graph of several: the atoms in the order given; collinear spins are along z beside non-collinear ones."""
    most = max(g.spin.shape[1] for g in graphs)
    counts = np.cumsum([0] + [len(g.element) for g in graphs[:-1]])
    return AtomGraph(
        element=torch.cat([g.element for g in graphs]),
        foreign=torch.cat([g.foreign for g in graphs]),
        centre=torch.cat([g.centre + int(n) for g, n in zip(graphs, counts, strict=True)]),
        other=torch.cat([g.other + int(n) for g, n in zip(graphs, counts, strict=True)]),
        radial=torch.cat([g.radial for g in graphs]),
        envelope=torch.cat([g.envelope for g in graphs]),
        harmonics=torch.cat([g.harmonics for g in graphs]),
        spin=torch.cat([pad(g.spin, (most - g.spin.shape[1], 0)) for g in graphs]),
        onsite=torch.cat([g.onsite for g in graphs]),
        tensors=torch.cat([g.tensors for g in graphs]),
        spins=torch.cat([pad(g.spins, (0, 0, 0, 0, most - g.spins.shape[1], 0)) for g in graphs]),
    )


def with_foreign(atoms: AtomGraph, element: int, properties: Tensor) -> AtomGraph:
    """The same atoms, those of one element made foreign. atoms : none of them foreign; properties : the encoder's"""
    chosen = atoms.element == element
    return replace(
        atoms,
        element=atoms.element.masked_fill(chosen, FOREIGN),
        foreign=properties[element].expand(int(chosen.sum()), -1),
    )


def to_tensor(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values)).to(dtype)


def _prior_inputs(
    n_atoms: int, components: int, settings: EncoderSettings, prior: PriorFeatures | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """``onsite``, ``tensors`` and ``spins`` of an AtomGraph."""
    n_lm = (settings.l_max + 1) ** 2
    if settings.prior == NO_PRIOR:
        return np.zeros((n_atoms, 0)), np.zeros((n_atoms, 0, n_lm)), np.zeros((n_atoms, components, 0, n_lm))
    if prior is None:  # zeros would be taken for an answer
        raise ChgtoolsError(f"an encoder with the prior {settings.prior!r} needs the features of the atoms")
    spins = np.zeros((n_atoms, components, N_SPINS if settings.prior == PRIOR else 0, n_lm))
    if spins.size and prior.spins.any():
        spins[:] = prior.spins[..., :n_lm]
    return prior.invariants, prior.tensors[:, :, :n_lm], spins


def _properties(symbols: Sequence[str]) -> NDArray[np.float64]:
    """(n, n_properties) of each atom, standardised as those of the elements that an encoder was trained on."""
    different, place = np.unique(np.array(symbols, dtype=str), return_inverse=True)
    return properties(tuple(str(symbol) for symbol in different))[place]


def _radial_features(
    distance: NDArray[np.float64], cutoff: float, count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(p, count) Bessel functions sin(kπx)/x, x = r/r_c, and the (p,) envelope (1 - x²)³ that ends them smoothly."""
    x = distance / cutoff
    k = np.arange(1, count + 1)
    bessel = np.sin(np.pi * k * x[:, None]) / x[:, None] * np.sqrt(2) / np.pi
    return bessel, np.where(x < 1, (1 - x**2) ** 3, 0.0)
