"""What the kernels are told of grids and of radial functions: one name, one meaning.

Plain tuples to Numba. A kernel takes them apart at its head; nothing here is computed.
"""

from __future__ import annotations

from typing import Any, NamedTuple


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
