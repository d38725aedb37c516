"""Atoms and their pairs as the arrays that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import neighbours
from chgtools.errors import ChgtoolsError
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.tightbinding.features import N_SPINS, WITH_MOMENTS, counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.tightbinding.features import PriorFeatures

    Array = NDArray[np.float64]

FOREIGN = -1  # in place of an element's index


@dataclass(frozen=True, eq=False)
class AtomGraph:
    """The atoms of a structure and their pairs.

    element : (n,) index into the model's elements, FOREIGN for those that are not among them
    foreign : (n_foreign, n_properties) tabulated properties of the foreign atoms, in their order
    centre, other : (p,) atoms of a pair; the pairs of one centre stand together, centres ascending
    radial : (p, radial), envelope : (p,) of the distance; harmonics : (p, n_lm) of the direction
    spin : (n, 1) or (n, 3) direction of each atom's start moment, 0 where it has none
    onsite : (n, n_invariants), tensors : (n, n_tensors, n_lm) of the prior, as it has them; none without a prior
    spins : (n, 1 or 3, n_spins, n_lm) of a prior that has them, 0 without moments
    """

    element: NDArray[np.int64]
    foreign: Array
    centre: NDArray[np.int64]
    other: NDArray[np.int64]
    radial: Array
    envelope: Array
    harmonics: Array
    spin: Array
    onsite: Array
    tensors: Array
    spins: Array

    def with_pairs(self, chosen: NDArray[np.bool_]) -> AtomGraph:
        """The same atoms with some of their pairs. chosen : (p,)"""
        names = ("centre", "other", "radial", "envelope", "harmonics")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def graph(
    structure: Structure,
    elements: Sequence[str],
    settings: EncoderSettings,
    spin: Array | None = None,
    prior: PriorFeatures | None = None,
) -> AtomGraph:
    """The atoms of a structure for a network whose elements are ``elements``; atoms of others are foreign.

    spin : (n_atoms, 1 or 3) directions of the start moments; None where there are none
    prior : features of these atoms, for a network that has a prior
    Raises MismatchError where two atoms are on one place, ChgtoolsError without the prior that the network wants.
    """
    from chgtools.kernels.harmonics import harmonics

    pairs = neighbours(structure, settings.cutoff)
    order = np.argsort(pairs.centre, kind="stable")
    radial, envelope = _radial_features(pairs.distance[order], settings.cutoff, settings.radial)
    index = {symbol: i for i, symbol in enumerate(elements)}
    symbols = structure.elements
    foreign = [symbol for symbol in symbols if symbol not in index]
    spin = np.zeros((structure.n_atoms, 1)) if spin is None else spin
    onsite, tensors, spins = _prior_inputs(structure.n_atoms, spin.shape[1], settings, prior)
    return AtomGraph(
        element=np.array([index.get(symbol, FOREIGN) for symbol in symbols], dtype=np.int64),
        foreign=_properties(foreign),
        centre=pairs.centre[order],
        other=pairs.other[order],
        radial=radial,
        envelope=envelope,
        harmonics=np.ascontiguousarray(harmonics(settings.l_max, pairs.direction[order]).T),
        spin=spin,
        onsite=onsite,
        tensors=tensors,
        spins=spins,
    )


def _prior_inputs(
    n_atoms: int, components: int, settings: EncoderSettings, prior: PriorFeatures | None
) -> tuple[Array, Array, Array]:
    """``onsite``, ``tensors`` and ``spins`` of an AtomGraph; 0 beyond the l that the prior goes to."""
    n_lm = (settings.l_max + 1) ** 2
    if settings.prior == NO_PRIOR:
        return np.zeros((n_atoms, 0)), np.zeros((n_atoms, 0, n_lm)), np.zeros((n_atoms, components, 0, n_lm))
    if prior is None:  # zeros would be taken for an answer
        raise ChgtoolsError(f"an encoder with the prior {settings.prior!r} needs the features of the atoms")
    spins = np.zeros((n_atoms, components, N_SPINS if settings.prior in WITH_MOMENTS else 0, n_lm))
    if spins.size and prior.spins.any():
        spins[..., : prior.spins.shape[-1]] = prior.spins[..., :n_lm]
    n_invariants, n_tensors = counts(settings.prior)
    tensors = np.zeros((n_atoms, n_tensors, n_lm))
    tensors[..., : prior.tensors.shape[-1]] = prior.tensors[:, :n_tensors, :n_lm]
    return prior.invariants[:, :n_invariants], tensors, spins


def _properties(symbols: Sequence[str]) -> Array:
    """(n, n_properties) of each atom, standardised as those of the elements that an encoder was trained on."""
    different, place = np.unique(np.array(symbols, dtype=str), return_inverse=True)
    return properties(tuple(str(symbol) for symbol in different))[place]


def _radial_features(distance: Array, cutoff: float, count: int) -> tuple[Array, Array]:
    """(p, count) Bessel functions sin(kπx)/x, x = r/r_c, and the (p,) envelope (1 - x²)³ that ends them smoothly."""
    x = distance / cutoff
    k = np.arange(1, count + 1)
    bessel = np.sin(np.pi * k * x[:, None]) / x[:, None] * np.sqrt(2) / np.pi
    return bessel, np.where(x < 1, (1 - x**2) ** 3, 0.0)
