"""The compiled parts of the atom solver against plain NumPy and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.special import eval_genlaguerre

from chgtools.kernels import radial
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.units import ALPHA

MESH = RadialMesh()
PYTHON = getattr(radial.integrate, "py_func", radial.integrate)  # with the JIT off there is no py_func


def integrate_plain(first, last, step, a_pq, a_qp, p, q):
    """Twin of ``integrate``: the same formula, each step a 2 x 2 solve."""
    way = 1 if step > 0 else -1
    matrices = np.zeros((p.size, 2, 2))
    matrices[:, 0, 0], matrices[:, 1, 1] = 1.0, -1.0
    matrices[:, 0, 1], matrices[:, 1, 0] = a_pq, a_qp
    y = np.stack([p, q], axis=1)
    known = [first + way * k for k in range(radial.START)]
    nodes = 0
    for i in range(known[-1] + way, last + way, way):
        slopes = [matrices[i - way * k] @ y[i - way * k] for k in range(1, radial.START)]
        right = y[i - way] + step * sum(w * s for w, s in zip(radial.AM[1:], slopes, strict=True))
        y[i] = np.linalg.solve(np.eye(2) - step * radial.AM[0] * matrices[i], right)
        nodes += y[i, 0] * y[i - way, 0] < 0.0
    return y[:, 0], y[:, 1], nodes


@pytest.mark.parametrize("call", [radial.integrate, PYTHON], ids=["compiled", "python"])
@pytest.mark.parametrize(("first", "last", "step"), [(3, 180, 0.02), (195, 20, -0.02), (5, 13, 0.02)])
def test_integrate_matches_plain_numpy(call, first, last, step):
    rng = np.random.default_rng(7)
    a_pq, a_qp = rng.normal(size=200), -40.0 * rng.random(200)
    p, q = np.zeros(200), np.zeros(200)
    way = 1 if step > 0 else -1
    start = first + way * np.arange(radial.START)
    p[start], q[start] = rng.normal(size=radial.START), rng.normal(size=radial.START)
    plain_p, plain_q, plain_nodes = integrate_plain(first, last, step, a_pq, a_qp, p.copy(), q.copy())
    nodes = call(first, last, step, a_pq, a_qp, p, q)
    np.testing.assert_allclose(p, plain_p, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(q, plain_q, rtol=1e-10, atol=1e-12)
    assert nodes == plain_nodes


@pytest.mark.parametrize("charge", [1.0, 26.0, 92.0])
@pytest.mark.parametrize(("n", "ell"), [(1, 0), (2, 0), (2, 1), (3, 1), (4, 3), (4, 0)])
def test_one_electron_ions_have_their_exact_energies(charge, n, ell):
    status, energy, p, _ = radial.bound_state(MESH.r, MESH.step, -charge / MESH.r, charge, n, ell, 0.0, 0.0, 1e-11)
    assert status == radial.BOUND
    assert energy == pytest.approx(-0.5 * charge**2 / n**2, rel=2e-10, abs=2e-11)
    assert MESH.integrate(p**2) == pytest.approx(1.0, abs=1e-12)
    mean_radius = (3 * n * n - ell * (ell + 1)) / (2.0 * charge)
    assert MESH.integrate(p**2 * MESH.r) == pytest.approx(mean_radius, rel=1e-8)
    big = p[np.abs(p) > 1e-8 * np.abs(p).max()]
    assert np.count_nonzero(big[1:] * big[:-1] < 0.0) == n - ell - 1


@pytest.mark.parametrize("charge", [1.0, 47.0, 92.0])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_s_states_are_those_of_the_dirac_equation(charge, n):
    inverse_c2 = ALPHA**2
    state = (MESH.r, MESH.step, -charge / MESH.r, charge, n, 0, inverse_c2, 0.0, 1e-11)
    status, energy, p, q = radial.bound_state(*state)
    gamma = np.sqrt(1.0 - (charge * ALPHA) ** 2)
    # Sommerfeld's formula with kappa = -1
    exact = (1.0 / np.sqrt(1.0 + (charge * ALPHA / (n - 1 + gamma)) ** 2) - 1.0) / inverse_c2
    assert status == radial.BOUND
    assert energy == pytest.approx(exact, rel=1e-9)
    assert MESH.integrate(p**2 + inverse_c2 * q**2) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("ell", "n"), [(0, 1), (0, 3), (1, 2), (2, 3)])
def test_bound_state_matches_a_basis_set_calculation(ell, n):
    """Twin: the same state from Laguerre functions and a dense eigenvalue problem, in a screened potential."""
    charge, size, exponent = 6.0, 60, 3.0
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0.0, 60.0, 301)
    r = (edges[:-1, None] + 0.1 * (nodes + 1.0)).ravel()
    weights = np.tile(0.1 * weights, 300)
    v = -charge * np.exp(-0.3 * r) / r - 1.0 / r
    x = 2.0 * exponent * r
    shape = x ** (ell + 1) * np.exp(-x / 2.0)
    basis = np.array([shape * eval_genlaguerre(k, 2 * ell + 2, x) for k in range(size)])
    lower = np.array([shape * eval_genlaguerre(k - 1, 2 * ell + 3, x) if k else 0.0 * x for k in range(size)])
    slope = ((ell + 1) / r - exponent) * basis - 2.0 * exponent * lower
    scale = np.sqrt(basis**2 @ weights)[:, None]
    basis, slope = basis / scale, slope / scale
    outer = v + ell * (ell + 1) / (2.0 * r**2)
    hamiltonian = 0.5 * (slope * weights) @ slope.T + (basis * weights * outer) @ basis.T
    expected = eigh(hamiltonian, (basis * weights) @ basis.T, eigvals_only=True)[n - ell - 1]
    full = -charge * np.exp(-0.3 * MESH.r) / MESH.r - 1.0 / MESH.r
    status, energy, _, _ = radial.bound_state(MESH.r, MESH.step, full, charge + 1.0, n, ell, 0.0, 0.0, 1e-11)
    assert status == radial.BOUND
    assert energy == pytest.approx(expected, abs=1e-9)


def test_a_well_without_the_state_says_unbound():
    v = -0.5 * np.exp(-MESH.r)
    status, *_ = radial.bound_state(MESH.r, MESH.step, v, 1e-9, 2, 1, 0.0, 0.0, 1e-11)
    assert status == radial.UNBOUND
