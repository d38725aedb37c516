"""The phases of atoms: what a wave G says of an atom at R."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure


def angles(miller: NDArray[np.int64], frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_G, n_atoms) G·R = 2π (h x + k y + l z).

    miller : (n_G, 3); frac : (n_atoms, 3) fractional
    """
    return np.asarray(2 * np.pi * (miller @ frac.T))


def phases(miller: NDArray[np.int64], frac: NDArray[np.float64]) -> NDArray[np.complex128]:
    """(n_G, n_atoms) exp(-iG·R): a function f(r - R) has the Fourier coefficients of f times it."""
    return np.asarray(np.exp(-2j * np.pi * (miller @ frac.T)))


def structure_factors(miller: NDArray[np.int64], structure: Structure) -> list[NDArray[np.complex128]]:
    """For each group of atoms the (n_G,) sum of their phases."""
    each = phases(miller, structure.frac)
    return [each[:, structure.group_of_atom == group].sum(axis=1) for group in range(len(structure.counts))]
