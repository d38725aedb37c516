"""Cubic splines of even functions tabulated on a uniform mesh from 0, such as form factors.

The slope at 0 is 0 (the function is even), the second derivative at the end is 0, and the function is taken as 0
beyond the mesh. Source: the tridiagonal equations of any textbook, W. H. Press et al., Numerical Recipes, section 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chgtools.kernels import kernel


@kernel
def second_derivatives(values: Any, step: float) -> Any:
    """Second derivatives (n,) of the spline through ``values`` (n,) at 0, step, 2 step, ...; n >= 2."""
    n = values.size
    second = np.empty(n)
    upper = np.empty(n)
    scale = 6.0 / (step * step)
    upper[0] = 0.5
    second[0] = 0.5 * scale * (values[1] - values[0])
    for i in range(1, n - 1):
        pivot = 1.0 / (4.0 - upper[i - 1])
        upper[i] = pivot
        second[i] = pivot * (scale * (values[i + 1] - 2.0 * values[i] + values[i - 1]) - second[i - 1])
    second[n - 1] = 0.0
    for i in range(n - 2, -1, -1):
        second[i] -= upper[i] * second[i + 1]
    return second


@kernel
def evaluate(values: Any, second: Any, step: float, x: float) -> float:
    """The spline at |x|, 0 beyond its last point; x in the unit of ``step``."""
    t = abs(x) / step
    last = values.size - 1
    if t > last:
        return 0.0
    i = min(int(t), last - 1)
    t -= i
    s = 1.0 - t
    cubic = s * (s * s - 1.0) * second[i] + t * (t * t - 1.0) * second[i + 1]
    return s * values[i] + t * values[i + 1] + cubic * (step * step / 6.0)


@kernel
def evaluate_many(values: Any, second: Any, step: float, x: Any) -> Any:
    """:func:`evaluate` at each point of ``x`` (n,); returns (n,)."""
    result = np.empty(x.size)
    for i in range(x.size):
        result[i] = evaluate(values, second, step, x[i])
    return result
