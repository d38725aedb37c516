"""Smoothing inside the core radius: what is kept, what becomes smooth, what stays outside."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from chgtools.atoms.labels import label_facts
from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.radial_atom.smoothing import core_radius, density_cutoff, smooth_inside
from chgtools.radial_atom.valence import solve_label
from chgtools.units import BOHR_ANGSTROM

LABELS = ["H", "O", "Na", "Si", "Fe_pv", "Ga_d", "Cs_sv", "Er_3", "Pb", "U", "Br_sv_GW", "H.25"]


@cache
def made(label):
    facts = label_facts(label)
    valence = solve_label(facts, "PBE")
    cutoff = density_cutoff(facts.enmax)
    smooth = smooth_inside(valence.atom.mesh, valence.radial, core_radius(facts.enmax), facts.zval, cutoff)
    return facts, valence, smooth


def plain_form_factor(smooth, q):
    """∫ 4πr² n(r) sin(qr)/(qr) dr by Simpson's rule on uniform points, apart from the class's own quadrature."""
    total = np.zeros(q.size)
    for start, end, points in ((0.0, smooth.r_core, 2001), (smooth.r_core, 40.0, 16001)):
        r = np.linspace(start, end, points)
        # the last point inside must be seen as inside
        values = smooth(np.minimum(r, np.nextafter(smooth.r_core, 0.0)) if start == 0.0 else r)
        simpson = np.ones(points)
        simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
        simpson *= (end - start) / (points - 1) / 3.0
        total += np.sinc(np.outer(q, r) / np.pi) @ (4.0 * np.pi * r**2 * values * simpson)
    return total


@pytest.mark.parametrize("label", LABELS)
def test_charge_is_kept(label):
    facts, _, smooth = made(label)
    assert smooth.charges.sum() == pytest.approx(facts.zval, abs=1e-10)
    if label != "H.25":  # whose tail reaches beyond the twin's 40 bohr
        assert plain_form_factor(smooth, np.zeros(1))[0] == pytest.approx(facts.zval, abs=2e-7)


@pytest.mark.parametrize("label", LABELS)
def test_outside_nothing_changes_and_inside_is_positive(label):
    _, valence, smooth = made(label)
    r = np.linspace(smooth.r_core, 12.0, 300)
    np.testing.assert_allclose(smooth(r), valence(r * BOHR_ANGSTROM) * BOHR_ANGSTROM**3, rtol=1e-10)
    assert smooth(np.linspace(0.0, smooth.r_core, 300)).min() > 0.0


@pytest.mark.parametrize("label", LABELS)
def test_value_slope_and_curvature_go_through(label):
    _, _, smooth = made(label)
    step = 2e-3
    inner = smooth(smooth.r_core - step * np.array([1e-9, 1, 2, 3, 4]))
    outer = smooth(smooth.r_core + step * np.arange(5))
    assert inner[0] == pytest.approx(outer[0], rel=1e-8)
    slope = np.array([-25, 48, -36, 16, -3]) / 12.0
    assert -slope @ inner == pytest.approx(slope @ outer, rel=1e-4, abs=1e-6 * outer[0])
    bend = np.array([35, -104, 114, -56, 11]) / 12.0
    assert bend @ inner == pytest.approx(bend @ outer, abs=2e-3 * np.abs(bend @ outer) + 1e-6 * outer[0])


@pytest.mark.parametrize("label", ["O", "Fe_pv", "Pb"])
def test_form_factor_is_the_transform_of_the_density(label):
    facts, _, smooth = made(label)
    step = 0.5 * density_cutoff(facts.enmax) / 8.0
    form = smooth.form_factor(step, 24)
    np.testing.assert_allclose(form, plain_form_factor(smooth, step * np.arange(24)), atol=3e-7)
    assert form[0] == facts.zval


@pytest.mark.parametrize("label", LABELS)
def test_little_is_left_beyond_the_cutoff(label):
    """Much less than of the true density, and below 1e-3 of the electrons."""
    facts, valence, smooth = made(label)
    q = np.linspace(1.0, 2.0, 60) * density_cutoff(facts.enmax)
    tail = np.abs(np.sinc(np.outer(q, smooth.points) / np.pi) @ smooth.charges)
    assert tail.max() < 1e-3 * facts.zval
    assert tail[q > 1.5 * q[0]].max() < 3e-5 * facts.zval
    rough = smooth_inside(valence.atom.mesh, valence.radial, 0.3 * smooth.r_core, facts.zval, q[0])
    assert np.abs(np.sinc(np.outer(q, rough.points) / np.pi) @ rough.charges).max() > 5.0 * tail.max()


def test_core_radius_follows_the_hardness():
    assert density_cutoff(250.0) / BOHR_ANGSTROM == pytest.approx(2.0 * np.sqrt(250.0 / 3.80998), rel=1e-5)
    assert core_radius(700.0) < core_radius(400.0) < core_radius(250.0)
    assert core_radius(90.0) * BOHR_ANGSTROM == pytest.approx(1.3)


def test_more_charge_outside_than_there_is():
    mesh = RadialMesh()
    with pytest.raises(ChgtoolsError, match="the valence has only 1; use a smaller core radius"):
        smooth_inside(mesh, 2.0 / np.pi * np.exp(-2.0 * mesh.r), 0.5, 1.0, 8.0)
