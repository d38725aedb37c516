"""What spherical atoms weigh of a field on a periodic grid, point by point: linear in the number of atoms, any cell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chgtools.kernels import kernel
from chgtools.kernels.geometry import Cubics, PointGrid, chord


# deep: atoms, planes, lines and points, as in the superposition that this is the transpose of
@kernel
def weigh_atoms(field: Any, grid: PointGrid, centres: Any, cubics: Cubics) -> Any:
    """Σ n(|r - R|) · field(r) · (1, r - R) over the points around each atom, periodic images counted one by one.

    field : (nz, ny, nx) float64; the C-contiguous transpose of a Fortran-ordered (nx, ny, nz) grid
    centres : (n_atoms, 3) positions in points along x, y, z; cubics.table : (n_r, 4)
    Returns (n_atoms, 4): the sum, and the sums with r - R counted in points along x, y, z.
    """
    nz, ny, nx = field.shape
    gram, reach, table = grid.gram, grid.reach, cubics.table
    limit = cubics.end * cubics.end
    inverse = 1 / cubics.step
    a = gram[0, 0]
    sums = np.zeros((centres.shape[0], 4))
    for atom in range(centres.shape[0]):
        cx, cy, cz = centres[atom]
        for k in range(math.ceil(cz - reach[2]), math.floor(cz + reach[2]) + 1):
            z = k - cz
            for j in range(math.ceil(cy - reach[1]), math.floor(cy + reach[1]) + 1):
                y = j - cy
                first, end, b, c = chord(gram, limit, cx, y, z)
                line = field[k % nz, j % ny]
                i = first % nx
                whole = 0.0
                along = 0.0
                for point in range(first, end):
                    x = point - cx
                    r = math.sqrt(max(c + x * (2 * b + x * a), 0.0)) * inverse
                    n = int(r)
                    t = r - n
                    share = line[i] * (table[n, 0] + t * (table[n, 1] + t * (table[n, 2] + t * table[n, 3])))
                    whole += share
                    along += x * share
                    i += 1
                    if i == nx:
                        i = 0
                sums[atom, 0] += whole
                sums[atom, 1] += along
                sums[atom, 2] += y * whole
                sums[atom, 3] += z * whole
    return sums
