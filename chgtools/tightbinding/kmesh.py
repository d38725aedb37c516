"""Meshes of k-points: around Γ, so that a supercell's is that of its cell folded, and halved by time reversal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH_ANGSTROM = 12.0  # of the crystal that the mesh stands for, along each axis at least


@dataclass(frozen=True, eq=False)
class KMesh:
    """points : (n_k, 3) fractions of the reciprocal lattice vectors; weights : (n_k,), 1 in all"""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def k_mesh(lattice: NDArray[np.float64], length: float = LENGTH_ANGSTROM) -> KMesh:
    """The mesh of a crystal of ``length`` Å along each lattice vector at least; lattice : (3, 3) Å, rows."""
    sizes = np.maximum(1, np.ceil(length / np.linalg.norm(lattice, axis=1) - 1e-9).astype(int))
    index = np.stack(np.meshgrid(*(np.arange(n) for n in sizes), indexing="ij"), axis=-1).reshape(-1, 3)
    opposite = (-index) % sizes
    order = np.array([sizes[1] * sizes[2], sizes[2], 1])
    own, other = index @ order, opposite @ order
    kept = own <= other
    weights = np.where(own == other, 1.0, 2.0)[kept]
    fractions = index[kept] / sizes
    return KMesh(fractions - np.round(fractions), weights / weights.sum())
