"""What the kernels are told of grids and of radial functions: one name, one meaning.

Plain tuples to Numba, which a kernel takes apart at its head; and the points of a line that lie in a sphere.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numba import njit


class PointGrid(NamedTuple):
    """The points of a periodic grid, and how far a sphere around an atom goes over them.

    vectors : (3, 3) rows, Å: between neighbouring points along x, y, z
    gram : (3, 3) Å², vectors · vectorsᵀ
    reach : (3,) half-width along x, y, z, in points, of the box that holds a sphere of ``Cubics.end``
    """

    vectors: Any
    gram: Any
    reach: Any


class Cubics(NamedTuple):
    """Radial functions as a cubic for each interval of r: c0 + t(c1 + t(c2 + t c3)), t in [0, 1].

    table : (..., n_r, 4) or what the kernel says; step : width of an interval, Å
    end : Å, the functions are 0 beyond; the table reaches farther
    """

    table: Any
    step: float
    end: float


class FormFactors(NamedTuple):
    """Form factors of several species, as a cubic for each interval of q; 0 beyond their intervals.

    tables : (n_species, > max intervals, 4), zeros behind each table's end
    steps : (n_species,) width of an interval, 1/Å; intervals : (n_species,) how many each table has
    """

    tables: Any
    steps: Any
    intervals: Any


@njit(cache=True, nogil=True, inline="always")
def chord(gram, limit, x, y, z):
    """Points along x whose distance from a centre is at most the root of ``limit`` (Å²): (first, end, b, c).

    x : of the centre, in points; y, z : of the line, from the centre, in points. The squared distance of point i is
    c + d (2 b + d a), d = i - x, a = gram[0, 0]; end is first where the line misses the sphere
    """
    a = gram[0, 0]
    b = gram[0, 1] * y + gram[0, 2] * z
    c = gram[1, 1] * y * y + 2 * gram[1, 2] * y * z + gram[2, 2] * z * z
    root = b * b - a * (c - limit)
    if root < 0:
        return 0, 0, b, c
    root = math.sqrt(root)
    return math.ceil(x - (b + root) / a), math.floor(x + (root - b) / a) + 1, b, c
