"""Real spherical harmonics: against scipy's complex ones, the explicit formulae of the convention, and the sphere."""

from __future__ import annotations

import numpy as np
import pytest
from plain_harmonics import reference

from chgtools.kernels import harmonics as kernels

L_MAX = 7


def directions(n=40, seed=0):
    v = np.random.default_rng(seed).normal(size=(n, 3))
    v = np.vstack([v, np.eye(3), -np.eye(3)])
    return v / np.linalg.norm(v, axis=1)[:, None]


@pytest.mark.parametrize("l_max", [0, 1, 2, L_MAX])
def test_agree_with_scipy(l_max):
    u = directions()
    np.testing.assert_allclose(kernels.harmonics(l_max, u), reference(l_max, u), rtol=1e-11, atol=1e-13)


def test_order_is_that_of_the_augmentation_records():
    """l = 1: y, z, x; l = 2: xy, yz, 3z² - 1, xz, x² - y², as VASP orders them."""
    u = directions()
    x, y, z = u.T
    found = kernels.harmonics(2, u)
    np.testing.assert_allclose(found[1:4], np.sqrt(3 / (4 * np.pi)) * np.array([y, z, x]), atol=1e-14)
    factor = np.sqrt(15 / (4 * np.pi))
    expected = factor * np.array([x * y, y * z, (3 * z**2 - 1) / np.sqrt(12), x * z, (x**2 - y**2) / 2])
    np.testing.assert_allclose(found[4:], expected, atol=1e-14)


def test_orthonormal_on_the_sphere():
    """Gauss-Legendre in z and the trapezoid rule in the angle are exact for products up to l = 2 L_MAX."""
    z, w = np.polynomial.legendre.leggauss(L_MAX + 1)
    phi = 2 * np.pi * np.arange(2 * L_MAX + 1) / (2 * L_MAX + 1)
    s = np.sqrt(1 - z**2)[:, None]
    u = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(z[:, None], (len(z), len(phi)))], -1).reshape(-1, 3)
    weights = np.repeat(w, len(phi)) * 2 * np.pi / len(phi)
    values = kernels.harmonics(L_MAX, u)
    np.testing.assert_allclose((values * weights) @ values.T, np.eye(len(values)), atol=1e-13)


def test_compiled_plain_python_and_numpy_agree():
    u = directions(5)
    x, y, z = (np.ascontiguousarray(c) for c in u.T)
    results = [kernels.harmonics(4, u)]
    for call in (kernels.fill, getattr(kernels.fill, "py_func", kernels.fill)):
        values = np.full((25, len(u) + 2), np.nan)
        call(kernels.recurrence(4), x, y, z, len(u), np.empty((2, len(u))), values)
        assert np.isnan(values[:, len(u) :]).all()  # no point beyond count is touched
        results.append(values[:, : len(u)])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("count", [0, 1, kernels.AT_ONCE, kernels.AT_ONCE + 1, 2 * kernels.AT_ONCE + 7])
def test_points_done_at_once_do_not_meet(count):
    u = directions(count)
    found = kernels.harmonics(3, u)
    assert found.shape == (16, len(u))
    some = [*range(0, len(u), 97), len(u) - 1]
    np.testing.assert_array_equal(found[:, some], np.hstack([kernels.harmonics(3, u[i : i + 1]) for i in some]))
