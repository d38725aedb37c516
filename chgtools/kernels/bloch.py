"""Bloch sums of blocks between atoms."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def add_blocks(matrix: Any, blocks: Any, rows: Any, columns: Any, heights: Any, widths: Any, phases: Any) -> None:
    """Add phase · block of each pair of atoms to a matrix.

    matrix : (n, n') complex128; blocks : (n_pairs, h, w) float64, each filled from its first row and column
    rows, columns : (n_pairs,) where a block begins; heights, widths : (n_pairs,) how much of it counts
    phases : (n_pairs,) complex128
    """
    for pair in range(len(phases)):
        phase = phases[pair]
        row, column = rows[pair], columns[pair]
        for i in range(heights[pair]):
            for j in range(widths[pair]):
                matrix[row + i, column + j] += phase * blocks[pair, i, j]
