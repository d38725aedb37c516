"""Packing of occupancy matrices into VASP's LM records, and turning of records."""

from __future__ import annotations

import time

import numpy as np
import pytest

from chgtools.atoms.angular import gaunt, rotation_matrices
from chgtools.errors import ChgtoolsError, MismatchError
from chgtools.kernels.harmonics import harmonics
from chgtools.paw.records import (
    Y00,
    matrix_from_record,
    matrix_size,
    occupancies_of_record,
    polarised_record,
    record_entries,
    record_from_matrix,
    record_length,
    rotate_record,
    spherical_record,
    zero_above,
)

CHANNELS = [(0,), (1,), (0, 0, 1), (0, 0, 1, 1), (0, 0, 1, 1, 2), (2, 2, 0, 0, 1, 1), (1, 0, 3, 2), (3, 2, 3),
            (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3)]  # fmt: skip


def symmetric(channels, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(matrix_size(channels),) * 2)
    return matrix + matrix.T


def random_rotation(seed, determinant=1.0):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) * determinant > 0 else -q


def about(axis, angle):
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def icosahedral_rotations():
    """The 60 rotations whose mean of every harmonic of 1 <= l <= 5 is zero."""
    generators = [about((0, 1, (1 + np.sqrt(5)) / 2), 2 * np.pi / 5), about((1, 1, 1), 2 * np.pi / 3)]
    found = [np.eye(3)]
    for rotation in found:  # grows while it is walked
        for generator in generators:
            product = generator @ rotation
            if not any(np.allclose(product, known) for known in found):
                found.append(product)
    assert len(found) == 60
    return found


@pytest.mark.parametrize("channels", CHANNELS)
def test_a_record_is_gaunt_coefficients_times_the_matrix(channels):
    """Term by term, with the weights 1 (a = b) and 2 (a < b), against the table of chgtools.atoms.angular."""
    rho = symmetric(channels)
    starts = np.concatenate([[0], np.cumsum([2 * ell + 1 for ell in channels])])
    wanted = []
    for a, b, big_l in record_entries(channels):
        block = rho[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
        l_a, l_b = channels[a], channels[b]
        g = gaunt(l_a, l_b, big_l)[l_a**2 :, l_b**2 :, big_l**2 :]
        wanted += list((1 if a == b else 2) * np.einsum("ij,ijk->k", block, g))
    np.testing.assert_allclose(record_from_matrix(channels, rho), wanted, atol=1e-12)


@pytest.mark.parametrize("channels", CHANNELS)
def test_the_record_of_the_matrix_of_a_record_is_the_record(channels):
    record = np.random.default_rng(1).normal(size=record_length(channels))
    matrix = matrix_from_record(channels, record)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
    np.testing.assert_allclose(record_from_matrix(channels, matrix), record, atol=1e-12)


def test_numbers_that_can_be_done_by_hand():
    """s, p: R(s, p, 1, M) = 2 · Y00 · ρ_s,p; p, p: R(p, p, 0, 0) = Y00 · trace, and G(z, z, 20) = 0.2523133."""
    rho = np.zeros((4, 4))
    rho[0, 2] = rho[2, 0] = 0.5  # s with z
    record = record_from_matrix((0, 1), rho)
    np.testing.assert_allclose(record, [0, 0, Y00, 0, *[0] * 6], atol=1e-15)
    rho = np.diag([1.0, 0.0, 1.0, 0.0])  # s and z
    record = record_from_matrix((0, 1), rho)
    np.testing.assert_allclose(record[[0, 4]], [Y00, Y00])
    np.testing.assert_allclose(record[5:], [0, 0, 0.2523133, 0, 0], atol=1e-7)


def test_what_a_record_cannot_hold_is_the_antisymmetric_part_between_channels():
    """p, p: all of a symmetric block of one channel comes back, of two channels the symmetric half of their block."""
    one = symmetric((1,))
    np.testing.assert_allclose(matrix_from_record((1,), record_from_matrix((1,), one)), one, atol=1e-12)
    two = symmetric((1, 1))
    back = matrix_from_record((1, 1), record_from_matrix((1, 1), two))
    np.testing.assert_allclose(back[:3, :3], two[:3, :3], atol=1e-12)
    np.testing.assert_allclose(back[:3, 3:], (two[:3, 3:] + two[:3, 3:].T) / 2, atol=1e-12)
    assert np.abs(back - two).max() > 0.1


@pytest.mark.parametrize("channels", CHANNELS)
def test_what_is_lost_adds_nothing_to_a_density(channels):
    """Σ ρ_am,bm' R_a R_b Y_am Y_bm' of the matrix and of its record's matrix agree in every direction."""
    rho = symmetric(channels, 3)
    points = np.random.default_rng(4).normal(size=(50, 3))
    values = harmonics(max(channels), np.ascontiguousarray(points / np.linalg.norm(points, axis=1)[:, None]))
    radial = np.random.default_rng(5).normal(size=len(channels))
    waves = np.concatenate([r * values[ell**2 : (ell + 1) ** 2] for ell, r in zip(channels, radial, strict=True)])
    back = matrix_from_record(channels, record_from_matrix(channels, rho))
    densities = [np.einsum("ip,jp,ij->p", waves, waves, matrix) for matrix in (rho, back)]
    np.testing.assert_allclose(densities[1], densities[0], atol=1e-11)


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("channels", CHANNELS)
def test_turning_a_record_turns_its_matrix(channels, determinant):
    rotation = random_rotation(7, determinant)
    matrices = rotation_matrices(max(channels), rotation)
    whole = np.zeros((matrix_size(channels),) * 2)
    start = 0
    for ell in channels:
        whole[start : start + 2 * ell + 1, start : start + 2 * ell + 1] = matrices[ell]
        start += 2 * ell + 1
    np.testing.assert_allclose(whole @ whole.T, np.eye(len(whole)), atol=1e-12)
    rho = symmetric(channels)
    turned = rotate_record(channels, record_from_matrix(channels, rho), rotation)
    np.testing.assert_allclose(turned, record_from_matrix(channels, whole @ rho @ whole.T), atol=1e-11)


def test_turning_by_hand():
    """A quarter turn about z takes x to y and y to -x; a p_x electron becomes a p_y electron."""
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    p_x = record_from_matrix((0, 1), np.diag([0.0, 0, 0, 1.0]))
    p_y = record_from_matrix((0, 1), np.diag([0.0, 1.0, 0, 0]))
    np.testing.assert_allclose(rotate_record((0, 1), p_x, quarter), p_y, atol=1e-14)
    mixed = np.zeros((4, 4))
    mixed[0, 3] = mixed[3, 0] = 1.0  # s with x: a dipole along x, reversed by inversion
    record = record_from_matrix((0, 1), mixed)
    np.testing.assert_allclose(rotate_record((0, 1), record, -np.eye(3)), -record, atol=1e-14)


def test_two_turns_are_one_and_the_way_back_leads_back():
    channels = (2, 2, 0, 0, 1, 1, 3)
    record = np.random.default_rng(2).normal(size=record_length(channels))
    first, second = random_rotation(1), random_rotation(2, -1)
    twice = rotate_record(channels, rotate_record(channels, record, first), second)
    np.testing.assert_allclose(twice, rotate_record(channels, record, second @ first), atol=1e-12)
    np.testing.assert_allclose(rotate_record(channels, twice, (second @ first).T), record, atol=1e-12)


def test_the_mean_over_rotations_is_the_spherical_record():
    channels = (2, 0, 1, 1)  # up to L = 4
    rho = symmetric(channels)
    record = record_from_matrix(channels, rho)
    occupancies = occupancies_of_record(channels, record)
    assert occupancies[2, 3] == pytest.approx(np.trace(rho[6:9, 9:12]))
    assert occupancies[0, 1] == 0
    mean = np.mean([rotate_record(channels, record, rotation) for rotation in icosahedral_rotations()], axis=0)
    np.testing.assert_allclose(mean, spherical_record(channels, occupancies), atol=1e-12)


def test_lmaxmix_leaves_the_lower_entries_alone():
    channels = (2, 0, 1)
    record = np.ones(record_length(channels))
    orders = np.repeat([e[2] for e in record_entries(channels)], [2 * e[2] + 1 for e in record_entries(channels)])
    np.testing.assert_array_equal(zero_above(channels, record, 2), (orders <= 2).astype(float))
    np.testing.assert_array_equal(zero_above(channels, record, 4), record)
    assert record.all()  # the record given is not changed


def test_many_atoms_at_once_and_one_by_one_are_the_same():
    channels = (2, 2, 0, 0, 1, 1)
    records = np.random.default_rng(0).normal(size=(5, 2, record_length(channels)))
    matrices = matrix_from_record(channels, records)
    assert matrices.shape == (5, 2, 18, 18)
    np.testing.assert_array_equal(matrices[3, 1], matrix_from_record(channels, records[3, 1]))
    np.testing.assert_allclose(record_from_matrix(channels, matrices), records, atol=1e-12)
    turn = random_rotation(5)
    np.testing.assert_allclose(
        rotate_record(channels, records, turn)[4, 0], rotate_record(channels, records[4, 0], turn), atol=1e-13
    )


def test_a_thousand_atoms_take_no_time():
    channels = (2, 2, 0, 0, 1, 1)
    records = np.random.default_rng(0).normal(size=(1000, record_length(channels)))
    record_from_matrix(channels, matrix_from_record(channels, records[0]))
    begin = time.process_time()
    for record in records:
        record_from_matrix(channels, matrix_from_record(channels, record))
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: record_from_matrix((0, 1), np.eye(3)), r"shape \(3, 3\); channels s p want \(4, 4\)"),
        (lambda: matrix_from_record((0, 0, 1, 1), np.zeros(32)), "a record of 32 numbers; channels s s p p want 33"),
        (lambda: rotate_record((2,), np.zeros(4), np.eye(3)), "a record of 4 numbers; channels d want 15"),
        (lambda: zero_above((0,), 1.0, 2), "a record of no numbers; channels s want 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, sentence):
    with pytest.raises(MismatchError, match=sentence):
        call()


@pytest.mark.parametrize("matrix", [2 * np.eye(3), np.ones((3, 3)), np.eye(2)])
def test_what_is_no_rotation_is_refused(matrix):
    with pytest.raises(ChgtoolsError, match="no rotation; wanted an orthogonal"):
        rotate_record((0, 1), np.zeros(record_length((0, 1))), matrix)


@pytest.mark.parametrize(
    ("channels", "electrons", "open_ones"),
    [
        ("ppddss", [6, 0, 6, 0, 2, 0], "dd"),  # Fe_pv in d6 s2: neither 3p nor 4s
        ("ddsspp", [7, 0, 1, 0, 0, 0], "dd"),  # Fe in d7 s1: of two open shells that of the higher l
        ("ddsspp", [10, 0, 1, 0, 0, 0], "dd"),  # Cu: the moment of a cupric ion is a hole in d
        ("ddsspp", [10, 0, 2, 0, 1, 0], "pp"),  # Ga_d: with an open p shell d10 has none
        ("sspp", [2, 0, 4, 0], "pp"),
        ("ssp", [2, 1, 0], "s"),  # Li_sv: of its l the open channel alone
        ("ppss", [6, 0, 2, 0], "ppss"),  # Ca_pv: nothing is open, so all of it
    ],
)
def test_a_moment_is_in_the_open_shell(channels, electrons, open_ones):
    numbers = tuple("spdf".index(ell) for ell in channels)
    occupancies = np.diag(np.array(electrons, float))
    total = spherical_record(numbers, occupancies)
    found = occupancies_of_record(numbers, polarised_record(numbers, total, occupancies, float(sum(electrons))))
    assert np.trace(found) == pytest.approx(1)
    inside = np.array([ell in open_ones and not (channels == "ssp" and a == 0) for a, ell in enumerate(channels)])
    assert not found[~inside].any()
    assert np.diag(found)[inside] == pytest.approx(np.diag(occupancies)[inside] / np.diag(occupancies)[inside].sum())
    # half an atom of a virtual crystal: its occupancies are those of a whole one, so twice as much of them
    half = polarised_record(numbers, total, occupancies, 0.5 * sum(electrons))
    assert occupancies_of_record(numbers, half) == pytest.approx(2 * found)


def test_a_moment_has_the_shape_of_the_shell():
    """All L of the shell's own blocks are kept, so that a record with a moment turns as before."""
    channels, occupancies, turn = (2, 2, 0, 0), np.diag([7.0, 0, 1, 0]), random_rotation(4)
    matrix = symmetric(channels)
    record = record_from_matrix(channels, matrix)
    here = polarised_record(channels, record, occupancies, 8.0)
    there = polarised_record(channels, rotate_record(channels, record, turn), occupancies, 8.0)
    assert there == pytest.approx(rotate_record(channels, here, turn))
    block = matrix_from_record(channels, here)
    assert block[:5, :5] == pytest.approx(matrix[:5, :5] / 7)
    assert not block[10:].any()
