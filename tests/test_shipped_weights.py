"""The weights in the package: symmetries, charge, cells, and predictions of every example."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from made_models import rotation, wigner

from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.formats import chgcar, poscar
from chgtools.fourier.basis import total_charge
from chgtools.models.weights import PACKAGED, load_model, read_facts
from chgtools.start.prediction import predict, saed

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# Four atoms each: rattled lonsdaleite, and a made-up oxide. The prior's k-points are 4 x 4 x 2 and 2 x 2 x 2
CELLS = {
    "si": Structure(
        np.array([[3.85, 0.0, 0.0], [-1.9, 3.35, 0.1], [0.1, 0.2, 6.36]]),
        ("Si",),
        (4,),
        np.array([[0.34, 0.65, 0.06], [0.66, 0.35, 0.57], [0.32, 0.68, 0.44], [0.68, 0.31, 0.93]]),
    ),
    "base": Structure(
        1.2 * np.array([[5.1, 0.2, 0.0], [-0.7, 5.3, 0.4], [0.3, 0.6, 5.6]]),
        ("Mg", "Si", "O"),
        (1, 1, 2),
        np.array([[0.02, 0.11, 0.9], [0.45, 0.52, 0.33], [0.61, 0.05, 0.4], [0.1, 0.65, 0.6]]),
    ),
}
# other vectors of the same crystals, in whose cells the k-points are the same ones
SKEWED = {"si": [[1, 1, 0], [0, 1, 0], [0, -2, 1]], "base": [[1, 1, 0], [0, 1, 0], [0, -1, 1]]}


@pytest.fixture(scope="module", params=PACKAGED)
def model(request):
    return load_model(request.param)


def cell(model, lattice=None, frac=None):
    plain = CELLS[model.name]
    lattice = plain.lattice if lattice is None else lattice
    return Structure(lattice, plain.species, plain.counts, plain.frac if frac is None else frac)


def close(found, wanted, tolerance):
    return np.abs(found - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("mirror", [False, True])
def test_the_density_turns_with_the_atoms(model, mirror):
    turn = rotation(2) * (-1 if mirror else 1)
    before = model.predict(cell(model)).coefficients
    after = model.predict(cell(model, cell(model).lattice @ turn.T)).coefficients
    assert close(after, np.einsum("ij,ajn->ain", wigner(turn), before), 1e-5)


@pytest.mark.parametrize("shape", [(30, 32, 36), (64, 64, 64)], ids=str)
def test_the_density_moves_with_the_atoms(model, shape):
    """What spills beyond the waves of the coarse grid is 1e-4 of the difference density at most; see models.basis."""

    def density(frac):
        atoms = cell(model, frac=frac)
        return model.density(atoms, shape) + saed(atoms, shape)

    frac = cell(model).frac
    after = density(frac + np.array([3, -4, 9]) / shape)
    assert close(after, np.roll(density(frac), (3, -4, 9), (0, 1, 2)), 1e-5)


def test_a_supercell_and_another_cell_have_the_same_density(model):
    one = model.predict(cell(model))
    plain = cell(model)
    frac = np.concatenate([(place + [[0, 0, 0], [0, 1, 0]]) / [1, 2, 1] for place in plain.frac])
    double = Structure(plain.lattice * [[1], [2], [1]], plain.species, tuple(2 * n for n in plain.counts), frac)
    two = model.predict(double)
    assert close(two.coefficients, np.repeat(one.coefficients, 2, axis=0), 1e-6)
    skewed = np.array(SKEWED[model.name]) @ plain.lattice
    other = model.predict(cell(model, skewed, plain.frac @ plain.lattice @ np.linalg.inv(skewed)))
    assert close(other.coefficients, one.coefficients, 1e-6)
    assert two.error_percent == pytest.approx(one.error_percent, rel=1e-6)


def test_other_k_points_of_the_prior_change_little(model):
    """Where a supercell's mesh is not its cell's folded (here 12 Å are three lengths, or two of the double)."""
    plain = cell(model)
    plain = plain.with_changes(lattice=plain.lattice * (5.0 / np.linalg.norm(plain.lattice[1])))
    frac = np.concatenate([(place + [[0, 0, 0], [0, 1, 0]]) / [1, 2, 1] for place in plain.frac])
    double = Structure(plain.lattice * [[1], [2], [1]], plain.species, tuple(2 * n for n in plain.counts), frac)
    one, two = model.predict(plain).coefficients, model.predict(double).coefficients
    assert np.linalg.norm(two - np.repeat(one, 2, axis=0)) < 0.01 * np.linalg.norm(two)


@pytest.mark.parametrize("total", [0.0, 1.0])
def test_the_charge_is_exact(model, total):
    assert total_charge(model.predict(cell(model), total).coefficients, model.basis) == pytest.approx(total, abs=1e-10)
    grid = model.density(cell(model), (32, 32, 32), total)
    assert grid.mean() * cell(model).volume == pytest.approx(total, abs=1e-8)


def test_the_card_says_what_they_are(model):
    card = read_facts(model.name)["card"]
    assert card["licence"] == "MIT"
    assert card["training_structures"] > 100
    assert card["data"]
    errors = card["validation_eps_mae_percent"]["all"]
    assert errors["model"] < errors["saed"]
    assert len(model.members) > 1
    assert set(CELLS[model.name].species) <= set(model.elements)


@pytest.mark.parametrize("example", sorted(path.parent.name for path in EXAMPLES.glob("*/POSCAR")))
def test_every_example_is_predicted(example, tmp_path):
    arguments = ["predict", str(EXAMPLES / example / "POSCAR"), "-o", str(tmp_path / "CHGCAR"), "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["model"] == ("si" if example == "si" else "base")
    assert facts["electrons"] == pytest.approx(facts["electrons_of_atoms"], abs=1e-6)
    assert 0 < facts["expected_eps_mae_percent"] < 10


def test_silicon_is_near_its_true_density(tmp_path):
    """examples/si/CHGCAR is a self-consistent density of another code."""
    errors = {}
    for name in ("none", "si", "base"):
        path = tmp_path / name
        arguments = ["predict", str(EXAMPLES / "si" / "POSCAR"), "-o", str(path), "--model", name]
        assert CliRunner().invoke(main, [*arguments, "--like", str(EXAMPLES / "si" / "CHGCAR")]).exit_code == 0
        compared = CliRunner().invoke(main, ["compare", str(path), str(EXAMPLES / "si" / "CHGCAR"), "--json"])
        errors[name] = json.loads(compared.stdout)["eps_mae_percent"]
    assert errors["si"] < 0.1 * errors["none"]
    assert errors["base"] < 0.2 * errors["none"]


@pytest.mark.parametrize("folder", ["GaN-pydefect-tutorial__Ga2N2-4_scf", "aiida-vasp__GaAs-2", "bader-rs__Ni1-1"])
def test_structures_of_real_runs_are_predicted(folder, tmp_path):
    """All of them: benchmarks/files/predict_corpus.py."""
    path = shared_path("corpus", folder)
    charges = sorted(path.glob("CHGCAR*.gz"))
    poscar.write(chgcar.read(charges[0]).structure, tmp_path / "POSCAR")
    for incar in path.glob("INCAR"):
        shutil.copy(incar, tmp_path)
    output = tmp_path / "CHGCAR"
    result = CliRunner().invoke(main, ["predict", str(tmp_path / "POSCAR"), "-o", str(output), "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert chgcar.read(output).electrons == pytest.approx(facts["electrons"], rel=1e-7)
    assert facts["model"] == "base"


@pytest.mark.parametrize(("metal", "lattice", "notes"), [("La", 5.3, 2), ("Kr", 5.6, 0), ("Mg", 4.2, 0)])
def test_what_is_said_of_elements_that_no_training_held(metal, lattice, notes):
    cell = Structure(
        lattice / 2 * (np.ones((3, 3)) - np.eye(3)), (metal, "O"), (1, 1), np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    )
    made = predict(cell, occupancies="none")
    said = [text for text in made.assumptions if "seen" in text]
    assert len(said) == notes
    assert made.estimate.unseen == (("La",) if notes else ())
    assert np.linalg.norm(made.estimate.coefficients[0]) > 0
    if notes:
        assert "is what tight binding and the other elements say" in said[0]
        assert "no element with f electrons such as La" in said[1]
    assert (made.error_percent is None) == bool(notes)
