"""Pairs of neighbouring atoms in a periodic cell, with what an encoder takes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure


@dataclass(frozen=True, eq=False)
class Neighbours:
    """All ordered pairs closer than a cutoff, images included.

    centre, other : (n_pairs,) indices of atoms; distance : (n_pairs,) Å; direction : (n_pairs, 3) unit vectors from
    the centre to the other atom
    """

    centre: NDArray[np.int64]
    other: NDArray[np.int64]
    distance: NDArray[np.float64]
    direction: NDArray[np.float64]


SHORTEST_ANGSTROM = 0.3


def neighbours(structure: Structure, cutoff: float) -> Neighbours:
    """Pairs within ``cutoff`` (Å). Raises MismatchError where two atoms are on one place (closer than 0.3 Å)."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    lattice = np.ascontiguousarray(structure.lattice, dtype=float)
    positions = np.ascontiguousarray((structure.frac % 1.0) @ lattice)
    periodic = np.array([1, 1, 1], dtype=np.int64)
    centre, other, images, distance = find_points_in_spheres(positions, positions, float(cutoff), periodic, lattice)
    itself = (centre == other) & (images == 0).all(axis=1)
    close = ~itself & (distance < SHORTEST_ANGSTROM)
    if close.any():
        pair = int(np.argmax(close))
        raise MismatchError(
            f"atoms {centre[pair] + 1} and {other[pair] + 1} are {distance[pair]:.3f} Å apart; check the positions"
        )
    keep = ~itself & (distance < cutoff)
    centre, other, images, distance = centre[keep], other[keep], images[keep], distance[keep]
    direction = (positions[other] + images @ lattice - positions[centre]) / distance[:, None]
    return Neighbours(centre, other, distance, direction)
