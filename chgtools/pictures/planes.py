"""Planes through a periodic cell, values of a field on them, and averages over them. What plot.py draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import reciprocal
from chgtools.errors import SettingsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

MARGIN_ANGSTROM = 2.0  # around the three atoms of plane_of_atoms
LARGEST_INDEX = 10
NEAR = 1e-6


@dataclass(frozen=True)
class Plane:
    """A parallelogram in space: origin + s u + t v, 0 <= s, t <= 1.

    origin, u, v : (3,) float64, Å; name : such as "c = 0.5"
    """

    origin: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    name: str

    @property
    def frame(self) -> NDArray[np.float64]:
        """(3, 3) orthonormal rows: along u, in the plane and perpendicular to u, normal to the plane."""
        first = self.u / np.linalg.norm(self.u)
        second = self.v - (self.v @ first) * first
        second /= np.linalg.norm(second)
        return np.array([first, second, np.cross(first, second)])

    def moved(self, distance: float) -> Plane:
        """The plane moved along its normal by ``distance`` in Å."""
        if distance == 0:
            return self
        return replace(self, origin=self.origin + distance * self.frame[2], name=f"{self.name} {distance:+g} Å")


def plane_of_axis(structure: Structure, axis: int, fraction: float) -> Plane:
    """The plane at a fraction of one lattice vector, spanned by the two others."""
    first, second = [(1, 2), (0, 2), (0, 1)][axis]
    lattice = structure.lattice
    return Plane(fraction * lattice[axis], lattice[first], lattice[second], f"{'abc'[axis]} = {fraction:g}")


def plane_of_miller(structure: Structure, indices: tuple[int, int, int]) -> Plane:
    """The lattice plane (h k l) through the origin, one cell of its two-dimensional lattice.

    The two shortest lattice vectors in the plane span it: in two dimensions they are always a basis.
    Raises SettingsError for (0 0 0) and for indices beyond 10.
    """
    shown = " ".join(str(index) for index in indices)
    divisor = gcd(*indices)
    if divisor == 0 or max(abs(index) for index in indices) > LARGEST_INDEX:
        raise SettingsError(
            f"found the Miller indices ({shown}); wanted three integers up to {LARGEST_INDEX}, not all 0"
        )
    reduced = np.array(indices) // divisor
    reach = range(-LARGEST_INDEX, LARGEST_INDEX + 1)
    steps = np.array([step for step in product(reach, repeat=3) if any(step)])
    vectors = steps[steps @ reduced == 0] @ structure.lattice
    vectors = vectors[np.argsort(np.linalg.norm(vectors, axis=1), kind="stable")]
    u = vectors[0]
    areas = np.linalg.norm(np.cross(u, vectors), axis=1)
    v = vectors[np.argmax(areas > NEAR * (u @ u))]
    normal = reduced @ reciprocal(structure.lattice)
    return Plane(np.zeros(3), u, v if np.cross(u, v) @ normal > 0 else -v, f"({shown})")


def plane_of_atoms(structure: Structure, atoms: tuple[int, int, int]) -> Plane:
    """The plane through three atoms, numbered from 1, as a rectangle 2 Å wider than their triangle.

    The second and third atom are taken at the image that is nearest to the first.
    Raises SettingsError for numbers that are not there and for atoms on one line.
    """
    shown = " ".join(str(atom) for atom in atoms)
    if not all(1 <= atom <= structure.n_atoms for atom in atoms) or len(set(atoms)) < 3:
        raise SettingsError(f"found the atoms {shown}; wanted three different ones of 1 to {structure.n_atoms}")
    frac = structure.frac[np.array(atoms) - 1]
    corner = frac[0] @ structure.lattice
    sides = np.array([_shortest(other - frac[0], structure.lattice) for other in frac[1:]])
    normal = np.cross(*sides)
    if np.linalg.norm(normal) < NEAR * np.linalg.norm(sides[0]) * np.linalg.norm(sides[1]):
        raise SettingsError(f"the atoms {shown} lie on one line; name three that span a plane")
    x = sides[0] / np.linalg.norm(sides[0])
    y = np.cross(normal / np.linalg.norm(normal), x)
    points = np.array([np.zeros(3), *sides]) @ np.array([x, y]).T
    low, high = points.min(axis=0) - MARGIN_ANGSTROM, points.max(axis=0) + MARGIN_ANGSTROM
    name = ", ".join(f"{structure.elements[atom - 1]}{atom}" for atom in atoms)
    return Plane(corner + low[0] * x + low[1] * y, (high - low)[0] * x, (high - low)[1] * y, f"through {name}")


def _shortest(frac: NDArray[np.float64], lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest image of a vector, Å; right where no lattice vector is far longer than its component needs."""
    shifts = np.array(list(product((-2, -1, 0, 1, 2), repeat=3)))
    images = (frac - np.round(frac) + shifts) @ lattice
    return images[np.argmin(np.linalg.norm(images, axis=1))]


def values_at(values: NDArray[np.floating[Any]], frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """A periodic field between its grid points, by cubic splines.

    values : (nx, ny, nz); frac : (..., 3) fractional. Returns an array of shape frac.shape[:-1].
    """
    from scipy.ndimage import map_coordinates

    points = np.moveaxis(frac % 1.0 * np.array(values.shape), -1, 0)
    return map_coordinates(values, points, output=np.float64, order=3, mode="grid-wrap")


def sample(
    values: NDArray[np.floating[Any]], structure: Structure, plane: Plane, longest: int = 480
) -> NDArray[np.float64]:
    """The field on a plane: (n_v, n_u) values at the middles of a mesh, ``longest`` of them along the longer side."""
    lengths = np.array([np.linalg.norm(plane.u), np.linalg.norm(plane.v)])
    n_u, n_v = np.maximum(2, np.round(longest * lengths / lengths.max())).astype(int)
    s, t = (np.arange(n_u) + 0.5) / n_u, (np.arange(n_v) + 0.5) / n_v
    points = plane.origin + s[None, :, None] * plane.u + t[:, None, None] * plane.v
    return values_at(values, points @ np.linalg.inv(structure.lattice))


def atoms_near(
    structure: Structure, plane: Plane, within: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Atoms, with their images, that lie on the parallelogram of a plane or up to ``within`` Å from it.

    Returns (indices, (n, 2) positions along the plane's frame in Å from its origin, (n,) distances from the plane).
    """
    inverse = np.linalg.inv(structure.lattice)
    corners = np.array([plane.origin + s * plane.u + t * plane.v for s in (0, 1) for t in (0, 1)])
    thickness = within * np.linalg.norm(inverse, axis=0)  # how far a sphere reaches along each lattice vector
    low = np.floor((corners @ inverse).min(axis=0) - thickness - 1).astype(int)
    high = np.ceil((corners @ inverse).max(axis=0) + thickness + 1).astype(int)
    shifts = np.array(list(product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))))
    wrapped = structure.frac % 1.0
    frac = (wrapped[:, None, :] + shifts[None, :, :]).reshape(-1, 3)
    indices = np.repeat(np.arange(structure.n_atoms), len(shifts))
    local = (frac @ structure.lattice - plane.origin) @ plane.frame.T
    sides = np.array([plane.u, plane.v]) @ plane.frame[:2].T
    inside = local[:, :2] @ np.linalg.inv(sides)
    keep = (np.abs(local[:, 2]) <= within) & np.all((inside > -NEAR) & (inside < 1 + NEAR), axis=1)
    return indices[keep], local[keep, :2], local[keep, 2]


def height(structure: Structure, axis: int) -> float:
    """Distance in Å between the faces of the cell that the lattice vector ``axis`` joins."""
    return float(1 / np.linalg.norm(np.linalg.inv(structure.lattice)[:, axis]))


def planar_average(values: NDArray[np.floating[Any]], axis: int) -> NDArray[np.float64]:
    """Mean over each plane of grid points that is spanned by the two other lattice vectors: (n_axis,)."""
    others = tuple(other for other in range(3) if other != axis)
    return values.mean(axis=others, dtype=np.float64)
