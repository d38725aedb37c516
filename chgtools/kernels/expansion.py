"""Radial functions × real spherical harmonics of atoms, added to a periodic grid: linear in the number of atoms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chgtools.kernels import kernel
from chgtools.kernels.geometry import Cubics, PointGrid
from chgtools.kernels.harmonics import fill


# long: a line of points is done at once, with work space that all lines share
# deep: atoms, planes, lines and points; a call for each line would cost more than the line
@kernel
def add_expansions(density: Any, grid: PointGrid, centres: Any, cubics: Cubics, factors: Any) -> None:
    """Add Σ_lm g_lm(|r - R|) Y_lm of each atom and all its periodic images to ``density``.

    density : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    centres : (n_atoms, 3) positions in points along x, y, z
    cubics.table : (n_atoms, n_r, 4, (l_max + 1)²), the last axis in the order of :mod:`chgtools.kernels.harmonics`
    factors : (2, l_max + 1, l_max + 1), of :func:`chgtools.kernels.harmonics.recurrence`

    A line of points along x is done at once: radii and directions, then the harmonics, then the sum over lm.
    """
    nz, ny, nx = density.shape
    vectors, reach, tables = grid.vectors, grid.reach, cubics.table
    n_lm = tables.shape[3]
    # The longest chord of the sphere, in points
    longest = int(2 * cubics.end / math.sqrt(vectors[0, 0] ** 2 + vectors[0, 1] ** 2 + vectors[0, 2] ** 2)) + 2
    ux, uy, uz = np.empty(longest), np.empty(longest), np.empty(longest)
    interval, fraction = np.empty(longest, np.int64), np.empty(longest)
    totals, work, values = np.empty(longest), np.empty((2, longest)), np.empty((n_lm, longest))
    radial = np.empty(n_lm)
    limit = cubics.end * cubics.end
    inverse = 1 / cubics.step
    ax, ay, az = vectors[0]
    a = ax * ax + ay * ay + az * az
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom]
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
                    n = int(r * inverse)
                    interval[p] = n
                    fraction[p] = r * inverse - n
                fill(factors, ux, uy, uz, count, work, values)
                for p in range(count):
                    c4, t = tables[atom, interval[p]], fraction[p]
                    for lm in range(n_lm):
                        radial[lm] = c4[0, lm] + t * (c4[1, lm] + t * (c4[2, lm] + t * c4[3, lm]))
                    total = 0.0
                    for lm in range(n_lm):
                        total += radial[lm] * values[lm, p]
                    totals[p] = total
                line = density[k % nz, j % ny]
                i = first % nx
                for p in range(count):
                    line[i] += totals[p]
                    i += 1
                    if i == nx:
                        i = 0
