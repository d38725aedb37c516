"""predict with weights of a learned difference density: what is added, what is said, what is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from made_models import BASIS, cell, small

import chgtools
from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar, poscar
from chgtools.models.choice import choose_model
from chgtools.models.model import Trust
from chgtools.models.weights import PACKAGED, packaged, save_model

GRID = chgtools.GridOptions(ngf=(24, 24, 30))


@pytest.fixture
def run(tmp_path):
    poscar.write(cell(), tmp_path / "POSCAR")
    save_model(small(), tmp_path / "m.safetensors")
    return tmp_path


def test_the_density_is_saed_plus_the_model(run):
    model = small()
    saed = chgtools.predict(run / "POSCAR", grid=GRID, model="none")
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=model)
    assert np.allclose(made.data.total - saed.data.total, model.density(cell(), GRID.ngf), atol=1e-12)
    assert made.data.electrons == pytest.approx(saed.data.electrons, abs=1e-8)
    assert (made.model, made.model_reason, saed.model) == ("test", "given", "none")
    assert made.error_percent == made.estimate.error_percent > 0
    assert saed.error_percent is None


def test_a_charged_cell_keeps_nelect(run):
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=small(), nelect=24.0)
    assert made.data.electrons == pytest.approx(24, abs=1e-8)


def test_total_densities_replace_the_saed(run):
    model = small()
    model.target = "tcd"
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=model)
    wanted = model.density(cell(), GRID.ngf, made.electrons_of_atoms)
    assert np.allclose(made.data.total, wanted, atol=1e-12)
    assert made.data.electrons == pytest.approx(made.electrons_of_atoms, abs=1e-8)


def test_the_command_says_what_it_used(run):
    arguments = ["predict", str(run / "POSCAR"), "-o", str(run / "CHGCAR"), "--model", str(run / "m.safetensors")]
    result = CliRunner().invoke(main, [*arguments, "--ngf", "24", "24", "30", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["model"] == "test"
    assert facts["model_reason"] == "asked for"
    assert facts["expected_eps_mae_percent"] > 0
    assert len(facts["atom_spread_electrons"]) == 4
    assert facts["elements_not_seen"] == []
    result = CliRunner().invoke(main, [*arguments, "--ngf", "24", "24", "30", "--force"])
    assert re.search(r"^model +test \(asked for\)$", result.stdout, re.MULTILINE)
    assert f"expected error  {facts['expected_eps_mae_percent']:.2g} % of the electrons" in result.stdout
    assert chgcar.read(run / "CHGCAR").electrons == pytest.approx(facts["electrons"], abs=1e-6)


def test_elements_without_data_are_named(run):
    poscar.write(Structure(cell().lattice, ("Na", "Cl"), (2, 2), cell().frac), run / "POSCAR")
    arguments = ["predict", str(run / "POSCAR"), "-o", str(run / "CHGCAR"), "--model", str(run / "m.safetensors")]
    result = CliRunner().invoke(main, [*arguments, "--ngf", "24", "24", "30", "--json"])
    assert "have not seen Cl: 2 of 4 atoms keep their atomic densities" in result.stderr
    assert json.loads(result.stdout)["elements_not_seen"] == ["Cl"]


def test_a_damped_prediction_is_said_to_be(run):
    model = small()
    model.trust = Trust(9.0, 0.9, 0.5, 1.0)
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=model)
    assert any("unsure of this structure: 0 % of the learned" in sentence for sentence in made.assumptions)
    saed = chgtools.predict(run / "POSCAR", grid=GRID, model="none")
    assert np.abs(made.data.total - saed.data.total).max() < 1e-6


def test_another_functional_is_said(run):
    model = small()
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=model, source=chgtools.Source(xc="LDA"))
    assert any("learned with PBE, the atoms are LDA" in sentence for sentence in made.assumptions)


@pytest.mark.parametrize("word", ["nothing", "m.txt"])
def test_weights_that_are_none_end_in_a_sentence(run, word):
    (run / "m.txt").write_text("weights\n")
    name = str(run / word) if word == "m.txt" else word
    result = CliRunner().invoke(main, ["predict", str(run / "POSCAR"), "-o", str(run / "CHGCAR"), "--model", name])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 + result.stderr.count("note:")
    assert not (run / "CHGCAR").exists()


def test_the_choice_of_weights():
    assert choose_model(cell(), "none").model is None
    with pytest.raises(ChgtoolsError, match="neither a file nor one of"):
        choose_model(cell(), "best")
    nobody = Structure(np.eye(3) * 4, ("Og",), (1,), [[0, 0, 0]])
    assert choose_model(nobody).reason == "no packaged weights know an element of this structure"


@pytest.mark.skipif(not all(packaged(name).is_file() for name in PACKAGED), reason="no packaged weights")
def test_silicon_gets_the_weights_of_silicon():
    silicon = Structure(np.eye(3) * 5.43, ("Si",), (1,), [[0, 0, 0]])
    assert choose_model(silicon).name == "si"
    assert choose_model(cell()).name == "base"


def test_the_basis_is_that_of_the_file(run):
    assert choose_model(cell(), run / "m.safetensors").model.basis == BASIS
