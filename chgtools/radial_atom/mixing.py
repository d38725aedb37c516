"""Anderson mixing: what to try next in a self-consistent cycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Anderson:
    """D. G. Anderson, J. ACM 12, 547 (1965), of a vector (n,) of any unit.

    share : of the residual that is taken; history : how many tries count; cutoff : of the least squares, relative
    """

    def __init__(self, share: float, history: int, cutoff: float) -> None:
        self.share, self.history, self.cutoff = share, history, cutoff
        self.inputs: list[Array] = []
        self.residuals: list[Array] = []

    def next(self, given: Array, residual: Array) -> Array:
        """(n,) to try next, after ``given`` (n,) came out of the cycle changed by ``residual`` (n,)."""
        self.inputs = [*self.inputs, given][-self.history :]
        self.residuals = [*self.residuals, residual][-self.history :]
        if len(self.inputs) == 1:
            return np.asarray(given + self.share * residual)
        d_residual = np.stack([residual - old for old in self.residuals[:-1]], axis=1)
        d_input = np.stack([given - old for old in self.inputs[:-1]], axis=1)
        coefficients = np.linalg.lstsq(d_residual, residual, rcond=self.cutoff)[0]
        return np.asarray(given - d_input @ coefficients + self.share * (residual - d_residual @ coefficients))
