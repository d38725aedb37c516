"""The built-in library: every label there, its charge right, its density positive, and remade the same."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from chgtools.atoms.labels import all_labels, label_facts
from chgtools.errors import ChgtoolsError
from chgtools.libraries import builtin
from chgtools.libraries.library import DensityLibrary, builtin_path
from chgtools.radial_atom.valence import WEAK, solve_label
from chgtools.units import BOHR_ANGSTROM

FEW = ["H.33", "O", "O_h", "Fe_pv", "Rb_pv", "Er_3"]


@pytest.fixture(scope="module", params=builtin.FUNCTIONALS)
def library(request):
    return DensityLibrary.builtin(request.param)


def test_every_label_is_there(library):
    assert set(library) == set(all_labels())


def test_every_charge_is_right(library):
    for label, density in library.items():
        facts = label_facts(label)
        assert density.form[0] == facts.zval
        assert (density.element, density.enmax) == (facts.element, facts.enmax)
        assert np.all(np.abs(density.form[1:]) < facts.zval), label


def test_every_density_is_positive_and_smooth(library):
    """n(r) from the table: a few 1e-6 electrons/Å³ of ringing from its last q; f beyond q_c small for every label."""
    r = np.linspace(0.0, 6.0, 49)
    for label, density in library.items():
        assert density.density(r).min() > -1e-5, label
        q_c = 2.0 * np.sqrt(density.enmax / 3.80998)
        assert np.abs(density.form[density.q > q_c]).max() < 5e-4 * density.zval, label
        assert np.abs(density.form[density.q > 1.5 * q_c]).max() < 3e-5 * density.zval, label
        assert density.q[-1] >= 2.0 * q_c * (1.0 - 1e-5)


def test_file_is_small_enough_for_the_wheel_and_has_its_table():
    assert builtin_path().stat().st_size < 8e6
    with builtin_path().with_suffix(".csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["xc"], row["label"]) for row in rows} == {
        (xc, label) for xc in builtin.FUNCTIONALS for label in all_labels()
    }
    changed = {row["label"] for row in rows if row["changed"]}
    assert changed == {"Rb_pv", "Rb_sv"}


@pytest.mark.parametrize("functional", builtin.FUNCTIONALS)
def test_remaking_gives_the_stored_numbers(functional):
    stored = DensityLibrary.builtin(functional)
    for made in builtin.build(map(label_facts, FEW), functional):
        kept = stored[made.label]
        assert made.q[1] == kept.q[1]
        # one quantum, where rounding fell on the other side
        np.testing.assert_allclose(made.form, kept.form, atol=1.01 * builtin.QUANTUM)
        assert made.provenance == dict(kept.provenance)
        assert made.source == kept.source


@pytest.mark.parametrize("label", ["H.25", "O", "Fe_pv", "Cs_sv"])
def test_a_spline_through_the_table_is_exact_enough(label):
    facts = label_facts(label)
    valence = solve_label(facts)
    smooth = builtin.smooth_label(facts, valence)
    density = builtin.built_in_density(facts, valence)
    between = density.q[:400] + 0.5 * density.q[1]
    exact = np.sinc(np.outer(between * BOHR_ANGSTROM, smooth.points) / np.pi) @ smooth.charges
    np.testing.assert_allclose(density.form_factor(between), exact, atol=1.5e-8)


def test_equal_atoms_of_another_label_are_the_same_table():
    first, second = builtin.build(map(label_facts, ["Fe_pv", "Fe_pv_new"]), "LDA")
    assert first.label == "Fe_pv"
    assert second.label == "Fe_pv_new"
    assert first.sha256 == second.sha256


def test_a_weakly_bound_shell_gives_its_electrons_away():
    facts = label_facts("Rb_pv")
    assert (4, 2, 0.001) in facts.valence
    valence = solve_label(facts, "PBE")
    assert " ".join(map(str, valence.valence)) == "4p6 5s1"
    assert f"4d0.001 is bound by less than {WEAK:g} hartree in PBE" in valence.moved
    assert valence.electrons == facts.zval


def test_an_unbound_shell_gives_its_electrons_away():
    odd = replace(label_facts("He"), valence=((1, 0, 1.999), (4, 3, 0.001)))
    valence = solve_label(odd, "LDA")
    assert " ".join(map(str, valence.valence)) == "1s2"
    assert valence.moved


def test_no_room_for_an_unbound_shell():
    odd = replace(label_facts("Ne"), zval=6.0, valence=((2, 1, 5.999), (4, 3, 0.001)))
    with pytest.raises(
        ChgtoolsError, match=r"shell 4f0\.001 is not bound and no s shell of 2p5\.999 4f0\.001 has room"
    ):
        solve_label(odd, "LDA")


def test_true_valence_density_in_angstrom():
    valence = solve_label(label_facts("Si"))
    r = np.linspace(0.0, 12.0, 4001)
    count = np.trapezoid(4.0 * np.pi * r**2 * valence(r), r)
    assert count == pytest.approx(4.0, abs=2e-4)
    assert valence(np.array([60.0]))[0] == 0.0


def test_command_writes_a_library_and_its_table(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin, "all_labels", lambda: ("H", "Si"))
    result = CliRunner().invoke(builtin.main, ["-o", str(tmp_path / "few.h5")])
    assert result.exit_code == 0, result.output
    assert "4 densities" in result.output
    assert set(DensityLibrary.open(tmp_path / "few.h5", "LDA")) == {"H", "Si"}
    assert (tmp_path / "few.csv").read_text().count("\n") == 5


def test_command_refuses_a_folder_that_is_not_there(tmp_path):
    result = CliRunner().invoke(builtin.main, ["-o", str(tmp_path / "none" / "few.h5")])
    assert result.exit_code == 1
    assert "none does not exist" in result.output
