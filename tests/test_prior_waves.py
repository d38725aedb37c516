"""Tight binding's wave functions on a data set's projectors (benchmarks/gpaw), with GPAW's setups where they are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path
from scipy.spatial.transform import Rotation

from chgtools.atoms.angular import rotation_matrices
from chgtools.cell import Structure
from chgtools.paw.records import record_from_matrix, rotate_record
from chgtools.tightbinding.hamiltonian import _places, _Turned
from chgtools.tightbinding.orbitals import element_basis

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "gpaw"))
import gpaw_paw
import prior_encoder
import prior_fixed_density
import prior_occupancies
import prior_waves
from gpaw_setups import FOLDER, setup

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"GPAW's setups (gpaw-data) are not in {FOLDER}")
LATTICE = np.array([[0.1, 2.2, 2.0], [2.1, -0.1, 2.2], [2.0, 2.1, 0.1]])
FRAC = np.array([[0.01, -0.02, 0.0], [0.48, 0.53, 0.51]])


def features(lattice):
    found = []
    for atom in prior_waves.seen(Structure(lattice, ("Ti", "N"), (1, 1), FRAC)):
        own = setup(atom.element)
        held = np.diag(own.by_m(own.electrons / (2 * own.ell + 1)))
        parts = prior_occupancies.features_of(atom, own.to_orthonormal @ held @ own.to_orthonormal.T)
        channels = own.ell.tolist()
        found.append((channels, {name: record_from_matrix(channels, part) for name, part in parts.items()}))
    return found


def test_what_an_atom_sees_turns_with_the_crystal():
    turn = Rotation.from_euler("zyx", [20, -50, 110], degrees=True).as_matrix()
    for (channels, here), (_, there) in zip(features(LATTICE), features(LATTICE @ turn.T), strict=True):
        for name, record in here.items():
            assert there[name] == pytest.approx(rotate_record(channels, record, turn), abs=1e-9), name
        assert np.abs(here["own"] - there["own"]).max() > 1e-3


def test_the_prior_is_no_more_than_the_atom_where_nobody_is_near():
    atom = prior_waves.seen(Structure(30.0 * np.eye(3), ("N",), (1,), np.zeros((1, 3))))[0]
    own = setup("N")
    parts = prior_occupancies.features_of(atom, own.to_orthonormal @ np.zeros_like(own.to_orthonormal))
    assert max(np.abs(parts[name]).max() for name in prior_occupancies.FIRST) < 2e-3


@pytest.mark.parametrize("distance", [2.2, 4.0])
def test_a_tail_on_a_projector_is_the_integral_in_space(distance):
    own, other = setup("N"), element_basis("Ti")
    channel = int(np.flatnonzero(own.ell == 1)[0])
    rows = {i: slice(0, 3) if i == channel else slice(3, 3) for i in range(20)}
    wanted = {key: table for key, table in prior_waves._tables("N", "Ti").items() if key[0] == channel}
    turned = _Turned(np.array([distance]), np.array([[0.0, 0.0, 1.0]]))
    block = turned.blocks(wanted, rows, _places(other), 9)[0]
    cosines, weights = np.polynomial.legendre.leggauss(80)
    r = own.r[own.r < own.largest + 1]
    across = np.sqrt(r[:, None] ** 2 + distance**2 - 2 * r[:, None] * distance * cosines)
    s = np.interp(across, other.r, other.radial[0])
    inner = (s * cosines) @ weights * 2 * np.pi * np.sqrt(3) / (4 * np.pi)
    direct = (own.projectors[channel][: len(r)] * inner * r**2 * own.dr[: len(r)]).sum()
    # p_z, the second of y, z, x, with s
    assert block[1, 0] == pytest.approx(direct, rel=2e-3)
    assert abs(block[1, 0]) > 0.01
    assert block[[0, 2], 0] == pytest.approx([0, 0], abs=1e-12)


@pytest.mark.parametrize("element", ["Si", "Ti", "Ba", "Cu"])
def test_waves_are_orthonormal_within_their_sphere_and_projectors_dual_to_the_smooth_ones(element):
    own = setup(element)
    for ell in set(own.ell.tolist()):
        waves = own.orthonormal[own.ell == ell]
        overlaps = [[own.integrate(a * b, own.radius(ell)) for b in waves] for a in waves]
        assert overlaps == pytest.approx(np.eye(len(waves)), abs=1e-9)
    assert "V" in own.kinds
    assert own.kinds.count("V") == len(element_basis(element, polarised=False).shells)


def test_a_density_matrix_keeps_the_charge_within_the_sphere():
    own = setup("Cu")
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(own.starts[-1],) * 2)
    matrix = matrix + matrix.T
    channels = own.ell.tolist()
    entries = list(prior_occupancies.record_entries(channels))
    record = record_from_matrix(channels, own.to_orthonormal @ matrix @ own.to_orthonormal.T)
    direct = 0.0
    for i, a in enumerate(own.ell):
        for j, b in enumerate(own.ell):
            if a == b:
                block = matrix[own.starts[i] : own.starts[i + 1], own.starts[j] : own.starts[j + 1]]
                direct += np.trace(block) * own.integrate(own.waves[i] * own.waves[j], own.largest)
    assert prior_waves.charge_row("Cu", entries) @ record == pytest.approx(direct, rel=1e-9)


def test_what_the_encoder_says_turns_with_the_crystal(monkeypatch):
    """Features of each L turn as records do; invariants do not; so kernels of turned atoms turn on both sides."""
    turn = Rotation.from_euler("zyx", [20, -50, 110], degrees=True).as_matrix()
    here, there = (
        prior_encoder.encoded(Structure(lattice, ("Ti", "N"), (1, 1), FRAC)) for lattice in (LATTICE, LATTICE @ turn.T)
    )
    monkeypatch.setattr(prior_encoder, "DIRECTIONS", 1)  # two atoms differ in no more
    near, matrices = prior_encoder.nearness(np.concatenate([here, there])), rotation_matrices(4, turn)
    assert near == pytest.approx(np.tile(near[:2, :2], (2, 2)), abs=1e-6)
    assert near[0, 1] < 0.99
    rng = np.random.default_rng(5)
    for big_l in (2, 3):
        lm = slice(big_l**2, (big_l + 1) ** 2)
        assert there[:, :, lm] == pytest.approx(np.einsum("mn,aknf->akmf", matrices[big_l], here[:, :, lm]), abs=1e-7)
        parts = rng.normal(size=(2, 2 * big_l + 1, 4))
        both = np.concatenate([parts, np.einsum("mn,anf->amf", matrices[big_l], parts)])
        features = [np.concatenate([here[:, k, lm], there[:, k, lm]]) for k in range(here.shape[1])]
        same = np.tile(np.eye(2), (2, 2))
        whole = prior_encoder.kernel(both, features, same, near).reshape(4, 2 * big_l + 1, 4, 2 * big_l + 1)
        # of an atom with itself turned, and with another
        assert whole[2, :, 0] == pytest.approx(matrices[big_l] @ whole[0, :, 0], abs=1e-5)
        assert whole[1, :, 2] == pytest.approx(whole[1, :, 0] @ matrices[big_l].T, abs=1e-5)
        assert np.abs(whole[0, :, 0] - whole[2, :, 0]).max() > 1e-2


def test_a_fit_without_a_part_is_the_fit_of_the_others():
    rng = np.random.default_rng(7)
    rows, wanted = rng.normal(size=(9, 4)), rng.normal(size=9)
    matrix, elements = rows @ rows.T + 0.3 * np.eye(9), np.array(list("aaabbbccc"))
    away = {e: elements == e for e in "abc"} | {"a": np.arange(9) < 4}  # a's structure holds one of b
    found = prior_encoder._without(matrix, wanted, away, elements)
    for element, out in away.items():
        direct = matrix[np.ix_(out, ~out)] @ np.linalg.solve(matrix[np.ix_(~out, ~out)], wanted[~out])
        assert found[elements == element] == pytest.approx(direct[elements[out] == element])


def test_cores_of_a_true_grid_from_true_occupancies_are_nearly_those_it_had():
    """What is lost is in no channel: 0.4 % of silver's electrons; with the free atom's occupancies 1.1 %."""
    (found,) = gpaw_paw.calculations(shared_path("dft", "gpaw.h5"), ["textbook-Ag"])
    grid, waves = found.grid(), found.entry.dcd + found.start
    true, atomic = (
        prior_fixed_density.with_cores(found, grid, waves, matrices) for matrices in (found.matrices, found.atomic)
    )
    assert np.abs(true - grid).sum() / grid.sum() < 0.005
    assert np.abs(atomic - grid).sum() / grid.sum() > 0.01
    assert true.sum() / grid.sum() == pytest.approx(1, abs=2e-3)
