"""Augmentation records of spherical atoms: order, length and scale."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_chgcar import structure

from chgtools.atoms.density import AtomicDensity
from chgtools.atoms.labels import label_facts
from chgtools.errors import SettingsError
from chgtools.paw.records import Y00, record_entries, record_length, spherical_record
from chgtools.start.occupancies import start_occupancies

GAUSSIAN = np.exp(-(np.linspace(0, 10, 101) ** 2) / 8)


def atom(zval: float, channels, occupancies) -> AtomicDensity:
    q = np.linspace(0, 10, 101)
    return AtomicDensity("X", "X", zval, q, zval * GAUSSIAN, "test", channels=channels, occupancies=occupancies)


@pytest.mark.parametrize(
    ("channels", "length"),
    [((0, 0, 1), 15), ((0, 0, 1, 1), 33), ((0, 0, 1, 1, 2), 78), ((2, 2, 0, 0, 1), 100), ((2, 2, 0, 0, 1, 1), 138),
     ((0, 0, 0, 1, 1, 1, 2, 2), 204), ((0, 0, 1, 1, 2, 2, 3, 3), 390), ((0,) * 3 + (1,) * 3 + (2,) * 3 + (3,) * 2, 630)],
)  # fmt: skip
def test_lengths_are_those_seen_in_real_files(channels, length):
    assert record_length(channels) == length


@pytest.mark.parametrize("label", ["Si", "Fe_pv", "Ga", "Li_sv", "Mo", "O"])
def test_lengths_agree_with_the_facts_on_labels(label):
    facts = label_facts(label)
    if facts.channels is not None and facts.aug_record_length is not None:
        assert record_length(facts.channels) == facts.aug_record_length


def test_positions_of_the_spherical_entries():
    """s, s, p, p has its L = 0 entries at 0, 1, 8, 15, 21, 27 (seen in the CHGCAR of silicon)."""
    occupancies = np.array([[2.0, 0.3, 0, 0], [0.3, 0.1, 0, 0], [0, 0, 2.0, -0.4], [0, 0, -0.4, 0.2]])
    record = spherical_record((0, 0, 1, 1), occupancies)
    assert np.flatnonzero(record).tolist() == [0, 1, 8, 15, 21, 27]
    np.testing.assert_allclose(record[[0, 1, 8, 15, 21, 27]] / Y00, [2.0, 0.6, 0.1, 2.0, -0.8, 0.2])
    assert [e for e in record_entries((0, 1)) if e[2] == 0] == [(0, 0, 0), (1, 1, 0)]


def test_blocks_follow_the_moments():
    occupancies = np.diag([2.0, 0.0, 2.0, 0.0])
    densities = [atom(4, (0, 0, 1, 1), occupancies), atom(6, (0, 0, 1, 1), 1.5 * occupancies)]

    def blocks(moments=None, densities=densities):
        return start_occupancies(structure(), densities, wanted="atoms", moments=moments).blocks

    assert [a.lengths for a in blocks()] == [[33, 33, 33]]
    collinear = blocks(np.array([1.0, -1.0, 3.0]))
    assert len(collinear) == 2
    # s² p² and s³ p³ with closed and no closed s: in the open p shell alone, for each of its electrons
    shell = np.concatenate([np.zeros(15), np.ones(18)])
    np.testing.assert_allclose(collinear[1].real[1], -shell * collinear[0].real[1] / 2)
    np.testing.assert_allclose(collinear[1].real[2], 3 * shell * collinear[0].real[2] / 3)
    vector = blocks(np.eye(3))
    assert len(vector) == 4
    assert all(block.imaginary is not None and not np.any(block.imaginary[0]) for block in vector)
    np.testing.assert_allclose(vector[3].real[2], shell * vector[0].real[2] / 3)
    with pytest.raises(SettingsError, match=r"no occupancies \(of the atoms\) are known for X"):
        blocks(densities=[densities[0], atom(6, None, None)])
