"""Bloch sums of blocks between atoms."""

from __future__ import annotations

from typing import Any

import numpy as np

from chgtools.kernels import kernel


def add_blocks(matrices: Any, blocks: Any, rows: Any, columns: Any, heights: Any, widths: Any, phases: Any) -> None:
    """Add phase · block of each pair of atoms to the matrix of each k-point.

    matrices : (n_k, n, n'), complex128, or float64 where all phases are real
    blocks : (n_pairs, h, w) float64, each filled from its first row and column
    rows, columns : (n_pairs,) where a block begins; heights, widths : (n_pairs,) how much of it counts
    phases : (n_k, n_pairs), of the matrices' kind
    """
    if np.isrealobj(phases):
        add_real_blocks(matrices, blocks, rows, columns, heights, widths, phases)
        return
    # By parts: half the time of complex arithmetic, and one kernel is compiled instead of two
    for part, factors in ((matrices.real, phases.real), (matrices.imag, phases.imag)):
        total = np.zeros(matrices.shape)
        add_real_blocks(total, blocks, rows, columns, heights, widths, np.ascontiguousarray(factors))
        part += total


# deep: pairs, k-points and the block itself
@kernel
def add_real_blocks(
    matrices: Any, blocks: Any, rows: Any, columns: Any, heights: Any, widths: Any, phases: Any
) -> None:
    """:func:`add_blocks` of float64 matrices and phases."""
    for pair in range(len(rows)):
        row, column = rows[pair], columns[pair]
        for k in range(len(phases)):
            phase = phases[k, pair]
            for i in range(heights[pair]):
                for j in range(widths[pair]):
                    matrices[k, row + i, column + j] += phase * blocks[pair, i, j]
