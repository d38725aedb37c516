"""Spherical Bessel functions and splines against scipy, a dense solution and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.special import spherical_jn

from chgtools.functions.bessel import spherical_bessel, spherical_bessels
from chgtools.functions.spline import evaluate, second_derivatives

SCIPY = {"even": ((1, np.zeros((2, 3))), (2, np.zeros((2, 3)))), "not-a-knot": "not-a-knot"}


def test_spherical_bessel_functions_are_those_of_scipy():
    x = np.concatenate([np.linspace(0, 9, 2001), [1e-300, 1e-8, 20.0, 148.0, 1e4], np.arange(9) + 1e-9, np.arange(9.0)])
    found = spherical_bessels(8, x)
    assert len(found) == 9
    for ell, values in enumerate(found):
        np.testing.assert_allclose(values, spherical_jn(ell, x), rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(spherical_bessel(ell, x.reshape(-1, 1))[:, 0], values)


def test_spherical_bessel_functions_of_small_arguments_keep_their_digits():
    """x^l/(2l + 1)!! and its first correction, relative: no digits lost to a recurrence."""
    x = np.array([1e-6, 1e-3])
    leading = {0: 1.0, 1: 3.0, 2: 15.0, 3: 105.0, 4: 945.0}
    for ell, double_factorial in leading.items():
        expected = x**ell / double_factorial * (1 - x**2 / (2 * (2 * ell + 3)))
        np.testing.assert_allclose(spherical_bessel(ell, x), expected, rtol=1e-12)
    assert [float(spherical_bessel(ell, 0.0)) for ell in range(4)] == [1, 0, 0, 0]


def dense_second_derivatives(values, step):
    """The same equations as a dense matrix: f'(0) = 0, f'' = 0 at the end."""
    n = values.size
    matrix, right = np.zeros((n, n)), np.zeros(n)
    matrix[0, :2], right[0] = (2, 1), 6 * (values[1] - values[0]) / step**2
    for i in range(1, n - 1):
        matrix[i, i - 1 : i + 2] = 1, 4, 1
        right[i] = 6 * (values[i - 1] - 2 * values[i] + values[i + 1]) / step**2
    matrix[-1, -1] = 1
    return np.linalg.solve(matrix, right)


@pytest.mark.parametrize("count", [2, 3, 4, 60, 3000])
def test_second_derivatives(count):
    values = np.random.default_rng(count).normal(size=count)
    expected = dense_second_derivatives(values, 0.3)
    np.testing.assert_allclose(second_derivatives(values, 0.3), expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("ends", "count"),
    [("even", 2), ("even", 3), ("even", 60), ("not-a-knot", 4), ("not-a-knot", 5), ("not-a-knot", 60)],
)
def test_values_are_those_of_scipy(ends, count):
    values = np.random.default_rng(count).normal(size=(2, 3, count))
    spline = CubicSpline(0.3 * np.arange(count), values, axis=2, bc_type=SCIPY[ends])
    x = np.linspace(0, 0.3 * (count - 1) * (1 - 1e-12), 101)
    second = second_derivatives(values, 0.3, ends)
    np.testing.assert_allclose(second, spline(0.3 * np.arange(count), 2), atol=1e-10)
    np.testing.assert_allclose(evaluate(values, second, 0.3, x), spline(x), atol=1e-13)


def test_even_at_the_points_and_zero_beyond_the_end():
    values = np.array([3.0, 2.0, 0.5, 0.25])
    second = second_derivatives(values, 0.5)
    assert evaluate(values, second, 0.5, 0.5 * np.arange(4)) == pytest.approx(values, abs=1e-15)
    assert evaluate(values, second, 0.5, -0.7) == evaluate(values, second, 0.5, 0.7)
    assert evaluate(values, second, 0.5, [1.5000001, 1e300]).tolist() == [0.0, 0.0]
    assert evaluate(values, second, 0.5, [[0.1, 0.2]]).shape == (1, 2)


def test_fourth_order():
    """Halving the step of an even function divides the error by 16."""
    errors = []
    for step in (0.2, 0.1):
        mesh = step * np.arange(round(12 / step) + 1)
        values = np.exp(-(mesh**2) / 4)
        x = np.linspace(0, 10, 1000)
        found = evaluate(values, second_derivatives(values, step), step, x)
        errors.append(np.abs(found - np.exp(-(x**2) / 4)).max())
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.1)
