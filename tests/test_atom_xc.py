"""Exchange-correlation: potentials are derivatives of energies, limits, printed values."""

from __future__ import annotations

import numpy as np
import pytest

from chgtools.errors import SettingsError
from chgtools.radial_atom import xc
from chgtools.radial_atom.mesh import RadialMesh

DENSITIES = np.geomspace(1e-6, 1e5, 60)
LOCAL = [xc.slater_exchange, xc.relativistic_exchange, xc.perdew_zunger, xc.vosko_wilk_nusair, xc.perdew_wang]


@pytest.mark.parametrize("function", LOCAL)
def test_potential_is_the_derivative_of_the_energy_density(function):
    step = 1e-4 * DENSITIES
    high, low = DENSITIES + step, DENSITIES - step
    numeric = (high * function(high)[0] - low * function(low)[0]) / (2.0 * step)
    np.testing.assert_allclose(function(DENSITIES)[1], numeric, rtol=2e-4 if function is xc.perdew_zunger else 1e-6)


@pytest.mark.parametrize(
    ("function", "rs", "value"),
    [
        # Perdew and Wang's table I (zeta = 0), Ceperley and Alder's energies at rs = 2 and 10 as refitted
        (xc.perdew_wang, 1.0, -0.0598),
        (xc.perdew_wang, 2.0, -0.0448),
        (xc.perdew_wang, 10.0, -0.0186),
        (xc.vosko_wilk_nusair, 2.0, -0.0448),
        (xc.perdew_zunger, 2.0, -0.0448),
        (xc.slater_exchange, 1.0, -0.45817),
    ],
)
def test_printed_values(function, rs, value):
    density = np.array([3.0 / (4.0 * np.pi * rs**3)])
    assert function(density)[0][0] == pytest.approx(value, abs=4e-4)


def test_relativistic_exchange_joins_its_series_and_the_ordinary_one():
    edge = (1e-2 / xc.ALPHA) ** 3 / (3.0 * np.pi**2)
    for part in (0, 1):
        inside, outside = xc.relativistic_exchange(np.array([edge * (1 - 1e-9), edge * (1 + 1e-9)]))[part]
        assert inside == pytest.approx(outside, rel=1e-7)
        assert xc.relativistic_exchange(np.array([1e-3]))[part][0] == pytest.approx(
            xc.slater_exchange(np.array([1e-3]))[part][0], rel=1e-4
        )


def test_pbe_without_gradient_is_the_local_density():
    energy, by_n, by_sigma = xc.pbe(DENSITIES, np.zeros(DENSITIES.size))
    ex, vx = xc.slater_exchange(DENSITIES)
    ec, vc = xc.perdew_wang(DENSITIES)
    np.testing.assert_allclose(energy, DENSITIES * (ex + ec), rtol=1e-13)
    np.testing.assert_allclose(by_n, vx + vc, rtol=1e-12)
    assert np.all(np.isfinite(by_sigma))


@pytest.mark.parametrize("reduced", [0.1, 1.0, 3.0])
def test_pbe_derivatives(reduced):
    n = np.geomspace(1e-3, 1e3, 20)
    sigma = (reduced * 2.0 * np.cbrt(3.0 * np.pi**2 * n) * n) ** 2
    _, by_n, by_sigma = xc.pbe(n, sigma)
    dn, ds = 1e-4 * n, 1e-4 * sigma
    numeric_n = (xc.pbe(n + dn, sigma)[0] - xc.pbe(n - dn, sigma)[0]) / (2.0 * dn)
    numeric_s = (xc.pbe(n, sigma + ds)[0] - xc.pbe(n, sigma - ds)[0]) / (2.0 * ds)
    np.testing.assert_allclose(by_n, numeric_n, rtol=1e-6)
    np.testing.assert_allclose(by_sigma, numeric_s, rtol=1e-6, atol=1e-5 * np.abs(numeric_s).max())


@pytest.mark.parametrize("functional", xc.FUNCTIONALS)
def test_potential_is_the_functional_derivative_for_an_atomlike_density(functional):
    mesh = RadialMesh()
    r = mesh.r
    n = 40.0 * np.exp(-8.0 * r) + 0.3 * np.exp(-1.4 * r)
    bump = n * np.exp(-((np.log(r) - 0.2) ** 2) * 4.0)
    potential = xc.exchange_correlation(functional, mesh, n)[1]
    high, low = (xc.exchange_correlation(functional, mesh, n + sign * 1e-4 * bump)[0] for sign in (1.0, -1.0))
    expected = mesh.integrate(4.0 * np.pi * r**2 * potential * bump)
    assert (high - low) / 2e-4 == pytest.approx(expected, rel=1e-6)


def test_unknown_functional():
    mesh = RadialMesh()
    with pytest.raises(SettingsError, match="functional SCAN is not known"):
        xc.exchange_correlation("SCAN", mesh, np.exp(-mesh.r))
