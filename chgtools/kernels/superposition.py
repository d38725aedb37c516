"""Spherical atoms added to a periodic grid point by point: linear in the number of atoms, any cell."""

from __future__ import annotations

import math
from typing import Any

from chgtools.kernels import kernel
from chgtools.kernels.geometry import Cubics, PointGrid, chord


# deep: atoms, planes, lines and points; a call for each line would cost more than the line
@kernel
def add_atoms(density: Any, grid: PointGrid, centres: Any, weights: Any, cubics: Cubics) -> None:
    """Add weight · n(|r - R|) of each atom and all its periodic images to ``density``.

    density : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    centres : (n_atoms, 3) positions in points along x, y, z
    weights : (n_atoms,); cubics.table : (n_r, 4)
    """
    nz, ny, nx = density.shape
    gram, reach, table = grid.gram, grid.reach, cubics.table
    limit = cubics.end * cubics.end
    inverse = 1 / cubics.step
    a = gram[0, 0]
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom]
        weight = weights[atom]
        for k in range(math.ceil(cz - reach[2]), math.floor(cz + reach[2]) + 1):
            z = k - cz
            for j in range(math.ceil(cy - reach[1]), math.floor(cy + reach[1]) + 1):
                y = j - cy
                first, end, b, c = chord(gram, limit, cx, y, z)
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
