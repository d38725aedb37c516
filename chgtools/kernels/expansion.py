"""Radial functions × real spherical harmonics of atoms, added to a periodic grid: linear in the number of atoms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from chgtools.kernels import kernel
from chgtools.kernels.geometry import Cubics, PointGrid
from chgtools.kernels.harmonics import fill


def add_expansions(density: Any, grid: PointGrid, centres: Any, cubics: Cubics, factors: Any) -> None:
    """Add Σ_lm g_lm(|r - R|) Y_lm of each atom and all its periodic images to ``density``.

    density : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    centres : (n_atoms, 3) positions in points along x, y, z
    cubics.table : (n_atoms, n_r, 4, (l_max + 1)²), the last axis in the order of :mod:`chgtools.kernels.harmonics`
    factors : (2, l_max + 1, l_max + 1), of :func:`chgtools.kernels.harmonics.recurrence`

    A line of points along x is done at once: radii and directions, then the harmonics, then the sum over lm.
    """
    longest = int(2 * cubics.end / math.sqrt(grid.vectors[0] @ grid.vectors[0])) + 2
    n_lm = cubics.table.shape[3]
    shapes = [longest] * 5 + [(2, longest), (n_lm, longest), n_lm]
    add_lines(density, grid, centres, cubics, factors, LineSpace(*(np.empty(shape) for shape in shapes)))


class LineSpace(NamedTuple):
    """Work space of a line, for the longest chord of the sphere: made outside, so that it is sooner compiled.

    x, y, z, radii, totals : (n_points,); powers : (2, n_points); harmonics : ((l_max + 1)², n_points)
    radial : ((l_max + 1)²,)
    """

    x: Any
    y: Any
    z: Any
    radii: Any
    totals: Any
    powers: Any
    harmonics: Any
    radial: Any


# deep: atoms, planes, lines and points; a call for each line would cost more than the line
@kernel
def add_lines(density: Any, grid: PointGrid, centres: Any, cubics: Cubics, factors: Any, space: LineSpace) -> None:
    """:func:`add_expansions` with work space."""
    nz, ny, nx = density.shape
    ux, uy, uz, radii, totals, powers, harmonics, radial = space
    vectors, reach, tables = grid.vectors, grid.reach, cubics.table
    n_lm = tables.shape[3]
    limit = cubics.end * cubics.end
    inverse = 1 / cubics.step
    ax, ay, az = vectors[0, 0], vectors[0, 1], vectors[0, 2]
    a = ax * ax + ay * ay + az * az
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom, 0], centres[atom, 1], centres[atom, 2]
        for k in range(math.ceil(cz - reach[2]), math.floor(cz + reach[2]) + 1):
            for j in range(math.ceil(cy - reach[1]), math.floor(cy + reach[1]) + 1):
                # The line's vector at x = 0; r² along the line is a x² + 2 b x + c
                ox = vectors[1, 0] * (j - cy) + vectors[2, 0] * (k - cz)
                oy = vectors[1, 1] * (j - cy) + vectors[2, 1] * (k - cz)
                oz = vectors[1, 2] * (j - cy) + vectors[2, 2] * (k - cz)
                b = ax * ox + ay * oy + az * oz
                c = ox * ox + oy * oy + oz * oz
                root = b * b - a * (c - limit)
                if root < 0:
                    continue
                root = math.sqrt(root)
                first = math.ceil(cx - (b + root) / a)
                count = math.floor(cx + (root - b) / a) + 1 - first
                for p in range(count):
                    x = first + p - cx
                    vx, vy, vz = ox + x * ax, oy + x * ay, oz + x * az
                    r = math.sqrt(vx * vx + vy * vy + vz * vz)
                    # At the nucleus any direction does: g_lm is 0 there for l > 0
                    scale = 1 / max(r, 1e-100)
                    ux[p], uy[p], uz[p] = vx * scale, vy * scale, vz * scale
                    radii[p] = r * inverse
                fill(factors, ux, uy, uz, count, powers, harmonics)
                for p in range(count):
                    n = int(radii[p])
                    c4, t = tables[atom, n], radii[p] - n
                    for lm in range(n_lm):
                        radial[lm] = c4[0, lm] + t * (c4[1, lm] + t * (c4[2, lm] + t * c4[3, lm]))
                    total = 0.0
                    for lm in range(n_lm):
                        total += radial[lm] * harmonics[lm, p]
                    totals[p] = total
                plane, line = k % nz, j % ny
                i = first % nx
                for p in range(count):
                    density[plane, line, i] += totals[p]
                    i += 1
                    if i == nx:
                        i = 0
