"""Sums over the pairs of each atom, of what a network makes of a pair's distance and of its two atoms.

The network's last layer is linear, and so is the sum: it is done before that layer, on as many numbers as the layer
takes. There are some fifty times more pairs than atoms, so that what is left of the layer costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.graph import AtomGraph
    from chgtools.models.perceptron import Perceptron

    Array = NDArray[np.float64]

_ATOMS_AT_ONCE = 32  # whose pairs fit in a processor's cache


def scalar_sums(network: Perceptron, state: Array, atoms: AtomGraph) -> Array:
    """(n_atoms, n_out) Σ_b network(r_ab, h_a, h_b), each pair with its envelope."""
    sums = _sums(network, state, atoms, atoms.envelope[:, None])[:, :, 0]
    return np.asarray(sums @ _with_bias(network).T)


def equivariant_sums(network: Perceptron, state: Array, atoms: AtomGraph, waves: Array) -> Array:
    """(n_components, n_lm, n_atoms, n_channels) Σ_b w_cl(r_ab, h_a, h_b) waves_ab,lm, each pair with its envelope.

    network : whose output (n_channels, l_max + 1) is w; waves : (n_pairs, n_components, n_lm)
    """
    n_pairs, components, n_lm = waves.shape
    sums = _sums(network, state, atoms, (atoms.envelope[:, None, None] * waves).reshape(n_pairs, components * n_lm))
    slabs = np.moveaxis(sums.reshape(len(state), -1, components, n_lm), (0, 1), (2, 3))
    weights = _with_bias(network)
    weights = weights.reshape(-1, round(n_lm**0.5), weights.shape[1])
    result = np.empty((components, n_lm, len(state), len(weights)))
    for ell in range(weights.shape[1]):
        own = slice(ell**2, (ell + 1) ** 2)
        result[:, own] = slabs[:, own] @ weights[:, ell].T
    return result


def product_sums(network: Perceptron, state: Array, atoms: AtomGraph, carried: Array) -> Array:
    """(n_atoms, n_channels, n_first n_lm) Σ_b carried_b,c,i w_cl(r_ab, h_a, h_b) Y_lm(r_ab), pairs with envelopes.

    network : whose output (n_channels, l_max + 1) is w; carried : (n_atoms, n_channels, n_first)
    """
    _, channels, n_first = carried.shape
    weight, bias = network.layers[-1]
    n_lm = atoms.harmonics.shape[1]
    ell = np.arange(round(n_lm**0.5))
    sums = np.zeros((len(state), channels, n_first, n_lm))
    for inner, pairs, spans in _blocks(network, state, atoms):
        weights = (inner @ weight.T + bias) * atoms.envelope[pairs, None]
        waves = np.repeat(weights.reshape(len(inner), channels, -1), 2 * ell + 1, axis=2)
        waves *= atoms.harmonics[pairs, None]
        others = carried[atoms.other[pairs]]
        for atom, own in spans:
            np.matmul(others[own].transpose(1, 2, 0), waves[own].transpose(1, 0, 2), out=sums[atom])
    return sums.reshape(len(state), channels, -1)


def _sums(network: Perceptron, state: Array, atoms: AtomGraph, waves: Array) -> Array:
    """(n_atoms, n_inner + 1, n) Σ_b x_ab waves_ab, with x what the last layer takes, and a 1 for its bias at the end.

    waves : (n_pairs, n)
    """
    sums = np.empty((len(state), network.layers[-1][0].shape[1] + 1, waves.shape[1]))
    for inner, pairs, spans in _blocks(network, state, atoms):
        block = waves[pairs]
        for atom, own in spans:
            np.matmul(inner[own].T, block[own], out=sums[atom, :-1])
            sums[atom, -1] = block[own].sum(axis=0)
    return sums


def _blocks(
    network: Perceptron, state: Array, atoms: AtomGraph
) -> Iterator[tuple[Array, slice, list[tuple[int, slice]]]]:
    """Of some atoms at a time: x (n, n_inner), what the last layer takes, of their pairs; which of all pairs these are;
    and each atom's number with those of them that are its own."""
    weight, bias = network.layers[0]
    n_radial, n_state = atoms.radial.shape[1], state.shape[1]
    radial, centre, other = np.split(weight, [n_radial, n_radial + n_state], axis=1)
    of_centre, of_other = state @ centre.T + bias, state @ other.T
    starts = np.searchsorted(atoms.centre, np.arange(len(state) + 1))
    for begin in range(0, len(state), _ATOMS_AT_ONCE):
        bounds = starts[begin : begin + _ATOMS_AT_ONCE + 1]
        pairs = slice(bounds[0], bounds[-1])
        first = atoms.radial[pairs] @ radial.T
        first += of_centre[atoms.centre[pairs]]
        first += of_other[atoms.other[pairs]]
        spans = [slice(*span) for span in pairwise((bounds - bounds[0]).tolist())]
        yield network.inner(first), pairs, list(enumerate(spans, begin))


def _with_bias(network: Perceptron) -> Array:
    """(n_out, n_inner + 1) of the last layer."""
    weight, bias = network.layers[-1]
    return np.concatenate([weight, bias[:, None]], axis=1)
