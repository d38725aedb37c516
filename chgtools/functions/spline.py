"""Cubic splines of functions tabulated on a uniform mesh from 0, such as form factors.

The second derivatives m_i at the points solve m_i-1 + 4 m_i + m_i+1 = 6 (f_i-1 - 2 f_i + f_i+1)/h² (W. H. Press et
al., Numerical Recipes, section 3.3). On a mesh without ends they are the right side folded with z^|k|/(2√3), where
z = √3 - 2; what the ends ask for is added as z^i and z^(n-1-i), which solve the equations with 0 on the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

Z = np.sqrt(3.0) - 2.0
FOLD = Z ** np.abs(np.arange(-30, 31)) / (2 * np.sqrt(3.0))  # z^30 is 7e-18


def second_derivatives(values: ArrayLike, step: float, ends: Literal["even", "not-a-knot"] = "even") -> Array:
    """(..., n) second derivatives of the splines through ``values`` (..., n) at 0, step, 2 step, ...

    ends : "even": slope 0 at 0 and second derivative 0 at the last point, n >= 2; "not-a-knot": the third derivative
        goes on through the second point and the last but one, n >= 4
    """
    f = np.asarray(values, dtype=float)
    n = f.shape[-1]
    folded = np.zeros((*f.shape[:-1], n + 60))
    folded[..., 31 : 29 + n] = np.diff(f, 2) * (6 / step**2)
    second = np.lib.stride_tricks.sliding_window_view(folded, 61, axis=-1) @ FOLD
    left = Z ** np.arange(n)
    solutions = np.stack([left, left[::-1]])
    if ends == "even":
        conditions, wanted = _slope_and_end(n), 6 / step**2 * (f[..., 1] - f[..., 0])
        wanted = np.stack([wanted, np.zeros_like(wanted)], axis=-1)
    else:
        conditions, wanted = _third_derivatives(n), np.zeros(2)
    amounts = np.linalg.solve(conditions @ solutions.T, (wanted - second @ conditions.T)[..., None])[..., 0]
    return np.asarray(second + amounts @ solutions)


def _slope_and_end(n: int) -> Array:
    """(2, n) 2 m_0 + m_1 and m_n-1."""
    conditions = np.zeros((2, n))
    conditions[0, :2] = 2, 1
    conditions[1, -1] = 1
    return conditions


def _third_derivatives(n: int) -> Array:
    """(2, n) m_0 - 2 m_1 + m_2 and the same from the end."""
    conditions = np.zeros((2, n))
    conditions[0, :3] = conditions[1, -3:] = 1, -2, 1
    return conditions


def evaluate(values: Array, second: Array, step: float, x: ArrayLike) -> Array:
    """(..., n_x) splines at |x| (n_x,), 0 beyond the last point; x in the unit of ``step``.

    values, second : (..., n), of :func:`second_derivatives`
    """
    t = np.abs(np.asarray(x, dtype=float)) / step
    last = values.shape[-1] - 1
    inside = t <= last
    t = np.where(inside, t, 0.0)
    i = np.minimum(t.astype(int), last - 1)
    t -= i
    s = 1.0 - t
    cubic = s * (s * s - 1.0) * second[..., i] + t * (t * t - 1.0) * second[..., i + 1]
    return np.asarray(np.where(inside, s * values[..., i] + t * values[..., i + 1] + cubic * (step**2 / 6), 0.0))
