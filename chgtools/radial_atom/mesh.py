"""The logarithmic mesh of the radial atom: integrals, running integrals and derivatives of high order on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF_WIDTH = 5


def _interval_weights() -> NDArray[np.float64]:
    """Weights over the points -4 ... 5 that integrate their polynomial of ninth degree from point 0 to point 1."""
    points = np.arange(1 - HALF_WIDTH, HALF_WIDTH + 1, dtype=np.float64)
    powers = np.arange(points.size)
    return np.linalg.solve(points[None, :] ** powers[:, None], 1.0 / (powers + 1.0))


def _derivative_weights() -> NDArray[np.float64]:
    """Weights over the points -5 ... 5 of the first derivative at point 0 (unit spacing)."""
    points = np.arange(-HALF_WIDTH, HALF_WIDTH + 1, dtype=np.float64)
    powers = np.arange(points.size)
    return np.linalg.solve(points[None, :] ** powers[:, None], (powers == 1).astype(np.float64))


@dataclass(frozen=True)
class RadialMesh:
    """r_i = r_min exp(i step) up to r_max, bohr.

    The functions integrated on it vanish at both ends, where the trapezoidal rule in ln r converges faster than any
    power of the step (Euler-Maclaurin).
    """

    r_min: float = 1e-7
    r_max: float = 100.0
    step: float = 1.0 / 128.0

    @cached_property
    def r(self) -> NDArray[np.float64]:
        """(n_r,) float64, bohr."""
        points = int(np.ceil(np.log(self.r_max / self.r_min) / self.step)) + 1
        return np.asarray(self.r_min * np.exp(self.step * np.arange(points)))

    def integrate(self, f: NDArray[np.float64]) -> float:
        """∫ f dr of f (n_r,) given on the mesh."""
        return float(np.dot(f, self.r) * self.step)

    def running_integral(self, f: NDArray[np.float64]) -> NDArray[np.float64]:
        """∫_0^r f dr' at each mesh point; f falls off at both ends at least as r does at the lower one."""
        padded = np.zeros(self.r.size + 2 * HALF_WIDTH - 1)
        # below r_min f r is taken as falling like r, which holds for every integrand used here to within r_min
        first = f[0] * self.r[0]
        padded[: HALF_WIDTH - 1] = first * np.exp(self.step * np.arange(1 - HALF_WIDTH, 0))
        padded[HALF_WIDTH - 1 : HALF_WIDTH - 1 + self.r.size] = f * self.r
        pieces = np.convolve(padded, _interval_weights()[::-1], mode="valid")
        result = np.empty(self.r.size)
        result[0] = first
        result[1:] = first + np.cumsum(pieces[: self.r.size - 1]) * self.step
        return result

    def derivative(self, f: NDArray[np.float64]) -> NDArray[np.float64]:
        """df/dr at each mesh point; f is taken as constant below r_min and beyond r_max."""
        padded = np.pad(f, HALF_WIDTH, mode="edge")
        return np.asarray(np.convolve(padded, _derivative_weights()[::-1], mode="valid") / (self.step * self.r))

    def interpolate(self, f: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
        """f (n_r,) at radii r (any shape, bohr) by the polynomial in ln r through the nearest ten points.

        Below r_min the value there is taken, beyond r_max zero.
        """
        at = np.log(np.maximum(r, self.r_min) / self.r_min) / self.step
        left = np.clip(at.astype(np.int64), HALF_WIDTH - 1, self.r.size - HALF_WIDTH - 1)
        offsets = np.arange(1 - HALF_WIDTH, HALF_WIDTH + 1)
        distance = (at - left)[..., None] - offsets
        result = np.zeros(at.shape)
        for i, offset in enumerate(offsets):
            others = np.delete(np.arange(offsets.size), i)
            basis = np.prod(distance[..., others] / (offset - offsets[others]), axis=-1)
            result += basis * f[left + offset]
        return np.where(r > self.r[-1], 0.0, result)
