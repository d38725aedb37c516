"""What is done with equivariant features. They come as (n_lm, n_atoms, n_features), so that each l is one block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.angular import gaunt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_COLUMNS = 192  # of a product of two features that fit in a processor's cache


def mixed(features: Array, weights: Array) -> Array:
    """(n_lm, n_atoms, n_out) of features, by weights (l_max + 1, n_features, n_out)."""
    result = np.empty((*features.shape[:2], weights.shape[2]))
    for ell, weight in enumerate(weights):
        own = slice(ell**2, (ell + 1) ** 2)
        np.matmul(features[own], weight, out=result[own])
    return result


def powers(features: Array) -> Array:
    """(n_atoms, n_features, l_max + 1) sums of squares over m."""
    first = np.arange(round(len(features) ** 0.5)) ** 2
    return np.moveaxis(np.add.reduceat(features**2, first, axis=0), 0, 2)


def coupling(l_first: int, l_second: int, l_out: int) -> Array:
    """(n1 n2, n3) Gaunt coefficients, in single precision as the training has them."""
    table = gaunt(l_first, l_second, l_out)
    return table.reshape(-1, table.shape[2]).astype(np.float32).astype(np.float64)


def products(left: Array, right: Array) -> Array:
    """Of the shape of both: Σ_mm' G_mm'M left_m right_m', each feature with its like, G the Gaunt coefficients."""
    n_lm = len(left)
    l_max = round(n_lm**0.5) - 1
    table = coupling(l_max, l_max, l_max).T
    first, second = left.reshape(n_lm, -1), right.reshape(n_lm, -1)
    result = np.empty_like(first)
    for start in range(0, first.shape[1], _COLUMNS):
        own = slice(start, start + _COLUMNS)
        result[:, own] = table @ (first[:, None, own] * second[None, :, own]).reshape(n_lm**2, -1)
    return result.reshape(left.shape)


def gated(features: Array, gates: Array) -> Array:
    """Features times 1 + gates (n_atoms, n_features * (l_max + 1)), one for each l."""
    _, n_atoms, n_features = features.shape
    by_l = 1 + gates.reshape(n_atoms, n_features, -1).transpose(2, 0, 1)
    result = np.empty_like(features)
    for ell, factor in enumerate(by_l):
        own = slice(ell**2, (ell + 1) ** 2)
        np.multiply(features[own], factor, out=result[own])
    return result


def read(features: Array, mixing: Array, reading: Array) -> Array:
    """(n_atoms, n_lm, n_max) linear readings of features, of which each atom mixes its own.

    mixing : (n_atoms, readings); reading : (readings, l_max + 1, n_features, n_max)
    """
    result = np.empty((features.shape[1], len(features), reading.shape[3]))
    by_atom = features.transpose(1, 0, 2)
    for ell in range(reading.shape[1]):
        own = slice(ell**2, (ell + 1) ** 2)
        np.matmul(by_atom[:, own], np.tensordot(mixing, reading[:, ell], 1), out=result[:, own])
    return result
