"""Radial functions × real spherical harmonics of atoms, added to a periodic grid: linear in the number of atoms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from chgtools.kernels.harmonics import fill, recurrence


@njit(cache=True, nogil=True)
def add_expansions(density: Any, steps: Any, reach: Any, centres: Any, tables: Any, dr: float, r_max: float) -> None:
    """Add Σ_lm g_lm(|r - R|) Y_lm of each atom and all its periodic images within ``r_max`` to ``density``.

    density : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    steps : (3, 3) rows, Å: the vectors between neighbouring points along x, y, z
    reach : (3,) half-width along x, y, z, in points, of the box that holds the sphere of ``r_max``
    centres : (n_atoms, 3) positions in points along x, y, z
    tables : (n_atoms, n_r, 4, (l_max + 1)²) cubic of each interval of the radius, c0 + t(c1 + t(c2 + t c3)), t in
        [0, 1], in the order of :mod:`chgtools.kernels.harmonics`
    dr : width of an interval in Å; the tables reach beyond ``r_max``

    A line of points along x is done at once: radii and directions, then the harmonics, then the sum over lm.
    """
    nz, ny, nx = density.shape
    n_lm = tables.shape[3]
    l_max = int(math.sqrt(n_lm) + 0.5) - 1
    factors = recurrence(l_max)
    # The longest chord of the sphere, in points
    longest = int(2 * r_max / math.sqrt(steps[0, 0] ** 2 + steps[0, 1] ** 2 + steps[0, 2] ** 2)) + 2
    ux, uy, uz = np.empty(longest), np.empty(longest), np.empty(longest)
    interval, fraction = np.empty(longest, np.int64), np.empty(longest)
    totals, work, values = np.empty(longest), np.empty((2, longest)), np.empty((n_lm, longest))
    radial = np.empty(n_lm)
    limit = r_max * r_max
    inverse = 1 / dr
    ax, ay, az = steps[0]
    a = ax * ax + ay * ay + az * az
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom]
        for k in range(math.ceil(cz - reach[2]), math.floor(cz + reach[2]) + 1):
            for j in range(math.ceil(cy - reach[1]), math.floor(cy + reach[1]) + 1):
                # The line's vector at x = 0; r² along the line is a x² + 2 b x + c
                ox = steps[1, 0] * (j - cy) + steps[2, 0] * (k - cz)
                oy = steps[1, 1] * (j - cy) + steps[2, 1] * (k - cz)
                oz = steps[1, 2] * (j - cy) + steps[2, 2] * (k - cz)
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
                    cubics, t = tables[atom, interval[p]], fraction[p]
                    for lm in range(n_lm):
                        radial[lm] = cubics[0, lm] + t * (cubics[1, lm] + t * (cubics[2, lm] + t * cubics[3, lm]))
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
