"""Spherical atoms added to a periodic grid point by point: linear in the number of atoms, any cell."""

from __future__ import annotations

import math
from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def add_atoms(
    density: Any, steps: Any, reach: Any, centres: Any, weights: Any, table: Any, dr: float, r_max: float
) -> None:
    """Add weight · n(|r - R|) of each atom and all its periodic images within ``r_max`` to ``density``.

    density : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    steps : (3, 3) Gram matrix in Å² of the vectors between neighbouring points along x, y, z
    reach : (3,) half-width along x, y, z, in points, of the box that holds the sphere of ``r_max``
    centres : (n_atoms, 3) positions in points along x, y, z
    weights : (n_atoms,)
    table : (n_r, 4) cubic of each interval of the radius, c0 + t(c1 + t(c2 + t c3)), t in [0, 1]
    dr : width of an interval in Å; table reaches beyond ``r_max``
    """
    nz, ny, nx = density.shape
    limit = r_max * r_max
    inverse = 1 / dr
    a = steps[0, 0]
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom]
        weight = weights[atom]
        for k in range(math.ceil(cz - reach[2]), math.floor(cz + reach[2]) + 1):
            z = k - cz
            for j in range(math.ceil(cy - reach[1]), math.floor(cy + reach[1]) + 1):
                y = j - cy
                # r² along the line of points is a x² + 2 b x + c
                b = steps[0, 1] * y + steps[0, 2] * z
                c = steps[1, 1] * y * y + 2 * steps[1, 2] * y * z + steps[2, 2] * z * z
                root = b * b - a * (c - limit)
                if root < 0:
                    continue
                root = math.sqrt(root)
                first = math.ceil(cx - (b + root) / a)
                end = math.floor(cx + (root - b) / a) + 1
                line = density[k % nz, j % ny]
                i = first % nx
                for point in range(first, end):
                    x = point - cx
                    r = math.sqrt(max(c + x * (2 * b + x * a), 0.0)) * inverse
                    n = int(r)
                    t = r - n
                    line[i] += weight * (table[n, 0] + t * (table[n, 1] + t * (table[n, 2] + t * table[n, 3])))
                    i += 1
                    if i == nx:
                        i = 0
