"""Isosurfaces of a periodic field: where it has one value, as triangles in Å, and which value shows something.

Marching cubes (T. Lewiner et al., J. Graphics Tools 8 (2003) 1, of scikit-image) on the grid of one cell and its far
faces, which are the near ones again: the surface goes on where it leaves the cell on the other side. Fractions of the
cell become Å after that, so a skewed cell is as good as a cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import SettingsError
from chgtools.pictures.extras import extra
from chgtools.pictures.planes import values_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from chgtools.pictures.fields import Field

SHARE = 0.5  # of ∫|field| that the default surface holds
FINEST_ANGSTROM = 0.09  # between the points that a surface is drawn from: coarser grids show their corners
MOST_POINTS = 1_200_000  # of all cells drawn; more makes triangles smaller than the dots of a picture


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles. vertices : (n, 3) Å; triangles : (m, 3) indices of vertices"""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @property
    def area(self) -> float:
        """Å²."""
        a, b, c = (self.vertices[self.triangles[:, corner]] for corner in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    def repeated(self, lattice: NDArray[np.float64], repeats: Sequence[int]) -> Surface:
        """The surface of ``repeats`` cells along each lattice vector; lattice : (3, 3) rows, Å."""
        shifts = np.array(list(np.ndindex(*repeats))) @ lattice
        count = len(self.vertices)
        vertices = (self.vertices[None] + shifts[:, None]).reshape(-1, 3)
        triangles = (self.triangles[None] + count * np.arange(len(shifts))[:, None, None]).reshape(-1, 3)
        return Surface(vertices, triangles)


def isosurface(values: NDArray[np.floating[Any]], lattice: NDArray[np.float64], level: float) -> Surface:
    """Where a periodic field has the value ``level``, in one cell, up to its faces.

    values : (nx, ny, nz), point (i, j, k) at fractions (i/nx, j/ny, k/nz); lattice : (3, 3) rows, Å
    Raises SettingsError for a level that the field does not reach, ChgtoolsError without scikit-image.
    """
    low, high = float(values.min()), float(values.max())
    if not low < level < high:
        raise SettingsError(f"found the isovalue {level:g}; the field runs from {low:.4g} to {high:.4g}")
    measure = extra("skimage.measure", "isosurfaces")
    closed = np.pad(np.asarray(values, dtype=np.float64), [(0, 1)] * 3, mode="wrap")
    points, triangles, _, _ = measure.marching_cubes(closed, level, allow_degenerate=False)
    return Surface((points / np.array(values.shape)) @ lattice, np.asarray(triangles, dtype=np.int64))


def caps(
    values: NDArray[np.floating[Any]], lattice: NDArray[np.float64], level: float
) -> dict[tuple[int, int], Surface]:
    """What is above ``level`` on the six faces of the cell, which closes an isosurface that is cut there.

    Returns the surface on each face by (axis, side); arguments as for :func:`isosurface`.
    """
    measure = extra("skimage.measure", "isosurfaces")
    shape = np.array(values.shape)
    closed = np.pad(np.asarray(values, dtype=np.float64), [(0, 1)] * 3, mode="wrap")
    far_below = level - 1e6 * (float(values.max()) - level)  # nothing is there: the surface lies on the face
    walled = np.pad(closed, 1, constant_values=far_below)
    points, triangles, _, _ = measure.marching_cubes(walled, level, allow_degenerate=False)
    points = np.clip(points - 1, 0, shape)
    found = {}
    for axis in range(3):
        for side in (0, 1):
            on_face = np.abs(points[:, axis] - side * shape[axis]) < 1e-3
            mine = triangles[on_face[triangles].all(axis=1)]
            used, index = np.unique(mine, return_inverse=True)
            found[axis, side] = Surface((points[used] / shape) @ lattice, index.reshape(-1, 3))
    return found


def default_level(values: NDArray[np.floating[Any]], share: float = SHARE) -> float:
    """The value, to two digits, above which |field| holds a share of its integral.

    Of a field with both signs it goes with both. It depends on what is in the cell and not on how much vacuum is.
    """
    size = np.sort(np.abs(np.asarray(values, dtype=np.float64)).ravel())[::-1]
    held = np.cumsum(size)
    if held[-1] == 0:
        raise SettingsError("the field is zero everywhere; there is nothing to draw")
    level = float(size[np.searchsorted(held, share * held[-1])])
    rounded = float(f"{level:.1e}")
    return rounded if rounded < size[0] else level


def share_above(values: NDArray[np.floating[Any]], level: float) -> float:
    """Share of ∫|field| where |field| is above a level, 0 to 1."""
    size = np.abs(np.asarray(values, dtype=np.float64))
    return float(size[size > level].sum() / size.sum())


def for_drawing(field: Field, repeats: Sequence[int], most: int = MOST_POINTS) -> NDArray[np.floating[Any]]:
    """The field on a grid that a surface looks smooth on: more points than a coarse one has, less than a fine one.

    most : points of all cells together, about
    By cubic splines, as planes are drawn: waves would ring about the sharp peaks of densities with cores.
    """
    lengths = np.linalg.norm(field.structure.lattice, axis=1)
    points = np.maximum(np.ceil(lengths / FINEST_ANGSTROM), 8)
    total = points.prod() * np.prod(repeats)
    if total > most:
        points = np.maximum(np.ceil(points * (most / total) ** (1 / 3)), 8)
    axes = [np.arange(n) / n for n in points]
    frac = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return values_at(np.asarray(field.values, dtype=np.float64), frac)
