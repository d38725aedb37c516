"""AtomicDensity against atoms whose transforms are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erf

from chgtools.atoms.density import AtomicDensity, radial_transform
from chgtools.errors import ChgtoolsError

WIDTH, ZVAL = 0.45, 7.0


def gaussian_atom(**changes):
    """n(r) = Z exp(-r²/(2 w²)) / (2π w²)^(3/2), f(q) = Z exp(-w² q²/2)."""
    q = 0.05 * np.arange(601)
    form = ZVAL * np.exp(-0.5 * (WIDTH * q) ** 2)
    fields = {"label": "N_x", "element": "N", "zval": ZVAL, "q": q, "form": form, "source": "test"}
    return AtomicDensity(**(fields | changes))


def test_form_factor_between_the_points_and_beyond():
    q = np.array([[0.0, 0.012, 1.234], [7.77, 30.0, 30.01]])
    expected = ZVAL * np.exp(-0.5 * (WIDTH * q) ** 2)
    expected[1, 2] = 0
    np.testing.assert_allclose(gaussian_atom().form_factor(q), expected, atol=2e-7)
    assert gaussian_atom().form_factor(0.0) == ZVAL


def test_density_and_electrons_within_are_the_analytic_ones():
    r = np.array([0.0, 1e-4, 0.1, 0.5, 1.0, 2.5, 20.0, 70.0])
    density = ZVAL * np.exp(-0.5 * (r / WIDTH) ** 2) / (2 * np.pi * WIDTH**2) ** 1.5
    np.testing.assert_allclose(gaussian_atom().density(r), density, atol=1e-12)
    x = r / WIDTH / np.sqrt(2)
    inside = ZVAL * (erf(x) - 2 / np.sqrt(np.pi) * x * np.exp(-(x**2)))
    np.testing.assert_allclose(gaussian_atom().electrons_within(r), inside, atol=1e-9)


def test_radius_of_a_share():
    atom = gaussian_atom()
    for share in (0.5, 0.99):
        radius = atom.radius_of(share)
        assert atom.electrons_within(radius - 0.01) < share * ZVAL <= atom.electrons_within(radius)


def test_density_integrates_to_zval():
    r = np.linspace(0, 8, 4001)
    assert np.trapezoid(4 * np.pi * r**2 * gaussian_atom().density(r), r) == pytest.approx(ZVAL, abs=1e-10)


def test_radial_transform_of_a_hydrogen_like_atom():
    """n(r) = Z ζ³/π exp(-2ζr) has f(q) = Z / (1 + q²/4ζ²)²."""
    zeta = 1.3
    nodes, weights = np.polynomial.legendre.leggauss(400)
    r, weights = 10 * (nodes + 1), 10 * weights
    electrons = weights * 4 * np.pi * r**2 * zeta**3 / np.pi * np.exp(-2 * zeta * r)
    form = radial_transform(r, electrons, 0.05, 333)
    q = 0.05 * np.arange(333)
    np.testing.assert_allclose(form, (1 + (q / 2 / zeta) ** 2) ** -2.0, atol=1e-11)


@given(st.integers(2, 300), st.floats(1e-3, 0.5))
def test_radial_transform_is_the_plain_sum(count, step):
    rng = np.random.default_rng(count)
    r, weights = np.sort(rng.uniform(0, 5, 23)), rng.normal(size=23)
    r[0] = 0.0
    plain = [np.sum(weights * np.sinc(q * r / np.pi)) for q in step * np.arange(count)]
    np.testing.assert_allclose(radial_transform(r, weights, step, count), plain, atol=1e-9)


def test_hash_tells_tables_apart():
    atom = gaussian_atom()
    assert atom.sha256 == gaussian_atom(label="other").sha256
    changed = atom.form.copy()
    changed[5] += 1e-12
    assert gaussian_atom(form=changed).sha256 != atom.sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": np.full(601, 7.1)}, r"f\(0\) = 7.1 electrons, ZVAL = 7;"),
        ({"q": 0.05 * np.arange(601) ** 1.01}, "not uniform from 0"),
        ({"q": 1.0 + 0.05 * np.arange(601)}, "not uniform from 0"),
        ({"form": np.where(np.arange(601) == 9, np.nan, ZVAL)}, "NaN or infinity"),
        ({"form": np.full(600, ZVAL)}, r"\(601,\), form \(600,\)"),
        ({"zval": float("nan")}, "ZVAL = nan"),
        ({"channels": (0, 0, 1), "occupancies": np.eye(2)}, r"shape \(2, 2\), channels want \(3, 3\)"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(ChgtoolsError, match=message):
        gaussian_atom(**changes)
