"""Configurations of atoms and labels."""

from __future__ import annotations

import pytest

from chgtools.atoms.labels import all_labels, label_facts
from chgtools.elements import SYMBOLS
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.radial_atom.configurations import Shell, ground_state, label_shells, parse_shell


def words(shells):
    return " ".join(map(str, shells))


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("C", "1s2 2s2 2p2"),
        ("Cr", "1s2 2s2 2p6 3s2 3p6 3d5 4s1"),
        ("Pd", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10"),
        ("Gd", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f7 5s2 5p6 5d1 6s2"),
        ("U", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f14 5s2 5p6 5d10 5f3 6s2 6p6 6d1 7s2"),
    ],
)
def test_ground_states(element, expected):
    assert words(ground_state(element)) == expected


@pytest.mark.parametrize("element", SYMBOLS[:98])
def test_ground_states_are_neutral_and_fit_their_shells(element):
    shells = ground_state(element)
    assert sum(shell.electrons for shell in shells) == SYMBOLS.index(element) + 1
    assert all(0 < shell.electrons <= 2 * (2 * shell.ell + 1) and shell.ell < shell.n for shell in shells)


@pytest.mark.parametrize(
    ("label", "core"),
    [
        ("H", ""),
        ("Si", "1s2 2s2 2p6"),
        ("K_pv", "1s2 2s2 2p6 3s2"),
        ("Ga_d", "1s2 2s2 2p6 3s2 3p6"),
        ("Ga", "1s2 2s2 2p6 3s2 3p6 3d10"),
        ("Ce_3", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f1"),
        ("Er_3", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f11 5s2"),
        ("W_sv", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f14"),
        ("Pb_d_GW", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f14 5p6"),
        ("Th_s", "1s2 2s2 2p6 3s2 3p6 3d10 4s2 4p6 4d10 4f14 5s2 5p6 5d10 6s2"),
    ],
)
def test_core_of_a_label(label, core):
    facts = label_facts(label)
    assert words(label_shells(facts.element, facts.zval, facts.valence, facts.frozen_4f_electrons or 0)[1]) == core


@pytest.mark.parametrize("label", all_labels())
def test_every_label_is_a_neutral_atom(label):
    facts = label_facts(label)
    charge, core, valence = label_shells(facts.element, facts.zval, facts.valence, facts.frozen_4f_electrons or 0)
    assert sum(shell.electrons for shell in core + valence) == pytest.approx(charge, abs=1e-9)
    assert sum(shell.electrons for shell in valence) == pytest.approx(facts.zval, abs=1e-9)
    assert not {shell.name for shell in core} & {shell.name for shell in valence}
    if facts.core_electrons is not None:
        assert sum(shell.electrons for shell in core) == facts.core_electrons


def test_hydrogen_with_a_fraction_has_a_fractional_nucleus():
    assert label_shells("H", 0.33, [(1, 0, 0.33)]) == (0.33, (), (Shell(1, 0, 0.33),))


def test_a_core_that_does_not_close():
    with pytest.raises(
        ChgtoolsError, match=r"Fe with 9 valence electrons \(3d8 4s1\): no closed core has 17 electrons"
    ):
        label_shells("Fe", 9.0, [(3, 2, 8), (4, 0, 1)])


@pytest.mark.parametrize("text", ["3x2", "d3", "", "3d"])
def test_words_that_are_no_shell(text):
    with pytest.raises(SettingsError, match="is not a shell; write n, letter and electrons"):
        parse_shell(text)


def test_unknown_element():
    with pytest.raises(SettingsError, match="'Xx' is no chemical element"):
        ground_state("Xx")
