"""The spline kernels against a dense solution in NumPy and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from chgtools.kernels.spline import evaluate, evaluate_many, second_derivatives

PYTHON = getattr(second_derivatives, "py_func", second_derivatives)  # no py_func under NUMBA_DISABLE_JIT=1


def second_derivatives_reference(values, step):
    """The same equations as a dense matrix: f'(0) = 0, f'' = 0 at the end."""
    n = values.size
    matrix, right = np.zeros((n, n)), np.zeros(n)
    matrix[0, :2], right[0] = (2, 1), 6 * (values[1] - values[0]) / step**2
    for i in range(1, n - 1):
        matrix[i, i - 1 : i + 2] = 1, 4, 1
        right[i] = 6 * (values[i - 1] - 2 * values[i] + values[i + 1]) / step**2
    matrix[-1, -1] = 1
    return np.linalg.solve(matrix, right)


@pytest.mark.parametrize("call", [second_derivatives, PYTHON], ids=["compiled", "python"])
@pytest.mark.parametrize("count", [2, 3, 4, 60])
def test_second_derivatives(call, count):
    values = np.random.default_rng(count).normal(size=count)
    expected = second_derivatives_reference(values, 0.3)
    np.testing.assert_allclose(call(values, 0.3), expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("count", [2, 3, 60])
def test_values_are_those_of_scipy(count):
    values = np.random.default_rng(count).normal(size=count)
    spline = CubicSpline(0.3 * np.arange(count), values, bc_type=((1, 0.0), (2, 0.0)))
    x = np.linspace(0, 0.3 * (count - 1), 101)
    second = second_derivatives(values, 0.3)
    np.testing.assert_allclose(evaluate_many(values, second, 0.3, x), spline(x), atol=1e-13)


def test_even_at_the_points_and_zero_beyond_the_end():
    values = np.array([3.0, 2.0, 0.5, 0.25])
    second = second_derivatives(values, 0.5)
    assert [evaluate(values, second, 0.5, 0.5 * i) for i in range(4)] == pytest.approx(values, abs=1e-15)
    assert evaluate(values, second, 0.5, -0.7) == evaluate(values, second, 0.5, 0.7)
    assert evaluate(values, second, 0.5, 1.5000001) == 0.0


def test_fourth_order():
    """Halving the step of an even function divides the error by 16."""
    errors = []
    for step in (0.2, 0.1):
        mesh = step * np.arange(round(12 / step) + 1)
        values = np.exp(-(mesh**2) / 4)
        x = np.linspace(0, 10, 1000)
        found = evaluate_many(values, second_derivatives(values, step), step, x)
        errors.append(np.abs(found - np.exp(-(x**2) / 4)).max())
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)
