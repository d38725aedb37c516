"""Weights with a tight-binding prior in use: trained, evaluated, predicted with, and replaced where it cannot be had."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import made_molecules
import numpy as np
import pytest
from click.testing import CliRunner
from made_molecules import ENCODER, SOME
from small_entries import SALT, entry_of, random_coefficients

import chgtools
from chgtools.batch import Batch, BatchOptions
from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, ChgtoolsError, MismatchError
from chgtools.formats import poscar
from chgtools.models import choice
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.label_reading import LabelReading
from chgtools.models.prior import PriorScales
from chgtools.models.readings import features_of, predict_records
from chgtools.models.tensor_shapes import is_trained
from chgtools.models.weights import load_model, save_model, without_prior
from chgtools.stores.store import Store, writable, write_entry
from chgtools.tightbinding import features, features_cache
from chgtools.tightbinding.features import PRIOR, PriorFeatures, prior_features
from chgtools.training import prior as training_prior
from chgtools.training.checkpoint import digest
from chgtools.training.config import TrainSettings, Validation, read_settings
from chgtools.training.evaluation_run import evaluate_stores
from chgtools.training.members import Listener
from chgtools.training.run import train

pytestmark = pytest.mark.usefixtures("no_cache_of_the_user")

GRID = chgtools.GridOptions(ngf=(12, 12, 16))


@pytest.fixture(scope="module")
def store(store_of_molecules):
    return store_of_molecules


def settings(store, **changes):
    return made_molecules.settings(store, **({"validation": Validation(0.3, "structure")} | changes))


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """A folder with model.safetensors, which has a prior, and its companion without."""
    folder = tmp_path_factory.mktemp("trained")
    train(settings(store), folder)
    other = train(settings(store, encoder=replace(ENCODER, prior="none"), name="companion"), folder / "other")
    save_model(other, without_prior(folder / "model.safetensors"))
    return folder


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_training_with_the_prior_makes_weights_that_use_it(store, trained):
    weights = load_model(trained / "model.safetensors")
    structure = Store.open(store)[SOME[1]].structure
    plain = replace(weights, features_of=lambda made, *_: PriorFeatures.zeros(made.n_atoms))
    with_prior, without = (each.predict(structure).coefficients for each in (weights, plain))
    assert np.abs(with_prior - without).max() > 1e-3 * np.abs(with_prior).max()


def test_features_are_counted_by_those_of_the_training_set(store, trained):
    """Of all that is not kept aside, and by nothing else."""
    from chgtools.training.data import read_data

    entries = read_data(settings(store)).train
    assert 1 < len(entries) < len(SOME)
    scales = PriorScales.of([prior_features(entry.structure) for entry in entries])
    for member in load_model(trained / "model.safetensors").members:
        np.testing.assert_allclose(member.prior.invariants, scales.invariants, rtol=1e-5)
        np.testing.assert_allclose(member.prior.tensors, scales.tensors[:, :3], rtol=1e-5)


def test_a_stopped_training_goes_on_exactly(store, trained, tmp_path):
    whole = load_model(trained / "model.safetensors")
    run = settings(store)

    class Stopped(Exception):
        pass

    def stop(member, progress):
        if progress.step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        train(run, tmp_path, listener=Listener(evaluated=stop))
    parts = train(run, tmp_path)
    for one, other in zip(whole.members, parts.members, strict=True):
        for name, value in one.tensors.items():
            assert np.array_equal(value, other.tensors[name]), name


def test_fine_tuning_counts_as_the_weights_do(trained, tmp_path):
    """On other structures, whose own features have other sizes."""
    path = tmp_path / "salt.h5"
    water = Structure(np.eye(3) * 5, ("O", "H"), (1, 2), [[0.5, 0.5, 0.5], [0.5, 0.65, 0.62], [0.5, 0.35, 0.62]])
    with writable(path) as file:
        write_entry(file, entry_of(water, random_coefficients(1, 3), 12.0, electrons=8.0))
    start = load_model(trained / "model.safetensors")
    # the other settings name no prior: the network is that of the weights
    run = settings(path, encoder=replace(ENCODER, prior="none"), validation=Validation(0.0), steps=2)
    tuned = train(run, tmp_path / "tuned", start=start)
    assert tuned.prior == PRIOR
    for before, after in zip(start.members, tuned.members, strict=True):
        for name, value in before.tensors.items():
            assert np.array_equal(value, after.tensors[name]) == (not is_trained(name)), name


def test_a_yaml_file_names_the_prior(store, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(f"data: [{store}]\nencoder: {{prior: tight-binding-3}}\n")
    assert read_settings(path).encoder.prior == PRIOR
    path.write_text(f"data: [{store}]\n")
    assert read_settings(path).encoder.prior == "none"


def test_the_digest_of_a_run_is_of_what_changes_its_course():
    plain = TrainSettings(data=("x.h5",))
    known = {"x.h5": ("sha", 1)}
    found = digest(plain, known, "")
    free = {"data": ("y.h5",), "name": "other", "members": 7, "steps": 9, "occupancies": False, "threads": 3,
            "device": "cpu", "resident": 5, "workers": 9, "checkpoint_minutes": 1.0}  # fmt: skip
    assert digest(replace(plain, **free), known, "") == found
    others = [
        digest(replace(plain, encoder=EncoderSettings(prior=PRIOR)), known, ""),
        digest(replace(plain, encoder=EncoderSettings(prior=PRIOR, unknown=0.1)), known, ""),
        digest(replace(plain, batch=3), known, ""),
        digest(replace(plain, seed=1), known, ""),
        digest(plain, {"x.h5": ("other", 1)}, ""),
        digest(plain, known, "start"),
        digest(plain, known, "", streamed=True),
    ]
    assert len({found, *others}) == 8


def fails(structure, *_, **__):
    raise ChgtoolsError(f"{structure.formula}: charges do not settle")


def test_a_structure_without_features_has_zeros_and_is_counted(store, monkeypatch, tmp_path):
    real = training_prior.cached_features
    one = Store.open(store)[SOME[2]].structure.formula
    monkeypatch.setattr(
        training_prior, "cached_features", lambda made, *_: fails(made) if made.formula == one else real(made)
    )
    said = []
    train(settings(store, steps=1, members=1), tmp_path, listener=Listener(said.append))
    told = [sentence for sentence in said if "tight binding" in sentence]
    assert told == [f"tight binding fails for 1 structures, whose features are 0; first {one}: charges do not settle"]


def test_a_long_calculation_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(training_prior, "SECONDS", -1.0)
    monkeypatch.setattr(training_prior, "cached_features", lambda made, *_: PriorFeatures.zeros(made.n_atoms))
    said = []
    training_prior.RunFeatures().compute(
        [SimpleNamespace(structure=SALT)] * 2, EncoderSettings(prior=PRIOR), said.append
    )
    assert said == ["tight binding: 0 of 2 structures", "tight binding: 1 of 2 structures"]


def test_an_evaluation_takes_the_features_from_the_cache(store, trained, monkeypatch):
    weights = load_model(trained / "model.safetensors")
    first = evaluate_stores(weights, [store])
    monkeypatch.setattr(features_cache, "prior_features", fails)
    again = evaluate_stores(weights, [store])
    assert [row.eps_mae for row in again.rows] == [row.eps_mae for row in first.rows]
    monkeypatch.setattr(training_prior, "cached_features", fails)
    with pytest.warns(AssumptionWarning, match=f"tight binding fails for {len(SOME)} structures"):
        without = evaluate_stores(weights, [store])
    assert [row.eps_mae for row in without.rows] != [row.eps_mae for row in first.rows]


# --- prediction -------------------------------------------------------------------------------------------------------


@pytest.fixture
def molecule():
    return Structure(np.eye(3) * 5, ("O", "H"), (1, 2), [[0.5, 0.5, 0.5], [0.5, 0.65, 0.62], [0.5, 0.35, 0.62]])


@pytest.fixture
def run(molecule, tmp_path):
    poscar.write(molecule, tmp_path / "POSCAR")
    return tmp_path


def sentences(made):
    return [sentence for sentence in made.assumptions if "without the tight-binding prior" in sentence]


def test_weights_with_a_prior_use_it(molecule, trained, monkeypatch):
    calls, real = [], features.solve
    features._remembered.cache_clear()
    monkeypatch.setattr(features, "solve", lambda *given, **more: calls.append(1) or real(*given, **more))
    made = chgtools.predict(molecule, model=trained / "model.safetensors", grid=GRID)
    assert (made.model, made.prior, sentences(made), len(calls)) == ("model", PRIOR, [], 1)


def test_weights_without_a_prior_are_asked_for(molecule, trained):
    made = chgtools.predict(molecule, model=trained / "model.safetensors", grid=GRID, prior="none")
    other = chgtools.predict(molecule, model=without_prior(trained / "model.safetensors"), grid=GRID)
    assert (made.model, made.prior, other.prior) == ("companion", "none", "none")
    assert sentences(made) == ["weights without the tight-binding prior, 'companion' for 'model': as asked for"]
    assert sentences(other) == []
    assert np.array_equal(made.data.total, other.data.total)


def test_weights_that_need_no_prior_do_not_care(molecule):
    made = chgtools.predict(molecule, model="base.without_prior", grid=GRID, prior="none")
    assert (made.prior, sentences(made)) == ("none", [])


@pytest.mark.parametrize("name", ["si", "base"])
def test_the_packages_weights_have_companions(name):
    silicon = Structure(2.715 * (np.ones((3, 3)) - np.eye(3)), ("Si",), (2,), [[0, 0, 0], [0.25, 0.25, 0.25]])
    made = choice.choose_model(silicon, name, "none")
    assert (made.name, made.prior) == (f"{name}.without_prior", "none")
    assert made.sentences == (f"weights without the tight-binding prior, {made.name!r} for {name!r}: as asked for",)
    assert choice.choose_model(silicon, name).prior == "tight-binding-3"


def test_a_cell_that_is_too_large_goes_without(molecule, trained, monkeypatch):
    monkeypatch.setattr(choice, "LARGEST_ORBITALS", 5.0)
    made = chgtools.predict(molecule, model=trained / "model.safetensors", grid=GRID)
    assert made.model == "companion"
    assert "has the work of 27 orbitals here, and is done up to 5" in sentences(made)[0]


def test_a_calculation_that_fails_goes_without(molecule, trained, monkeypatch):
    features._remembered.cache_clear()
    monkeypatch.setattr(features, "solve", fails)
    made = chgtools.predict(molecule, model=trained / "model.safetensors", grid=GRID)
    assert made.model == "companion"
    assert sentences(made)[0].endswith("O1H2: charges do not settle")


def test_elements_beyond_tight_binding_go_without(trained):
    heavy = Structure(np.eye(3) * 5, ("Am", "H"), (1, 2), [[0.5, 0.5, 0.5], [0.5, 0.9, 0.7], [0.5, 0.1, 0.7]])
    made = choice.choose_model(heavy, trained / "model.safetensors")
    assert made.name == "companion"
    assert "Am has no tight-binding orbitals" in made.sentences[0]


def test_weights_alone_are_refused_without_their_prior(molecule, trained, tmp_path):
    weights = load_model(trained / "model.safetensors")
    with pytest.raises(ChgtoolsError, match="the weights 'model' need the tight-binding prior"):
        chgtools.predict(molecule, model=weights, grid=GRID, prior="none")
    save_model(weights, tmp_path / "alone.safetensors")
    with pytest.raises(ChgtoolsError, match="do not go with them as .*alone.without_prior.safetensors"):
        chgtools.predict(molecule, model=tmp_path / "alone.safetensors", grid=GRID, prior="none")
    save_model(weights, without_prior(tmp_path / "alone.safetensors"))  # these need it as well
    with pytest.raises(ChgtoolsError, match="need the tight-binding prior"):
        chgtools.predict(molecule, model=tmp_path / "alone.safetensors", grid=GRID, prior="none")


def test_the_command_says_which_prior(run, trained):
    arguments = ["predict", str(run / "POSCAR"), "-o", str(run / "CHGCAR"), "--model", str(trained / "model.safetensors"),
                 "--ngf", "12", "12", "16", "--force"]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "model           model with tight-binding-3 (asked for)\n" in result.stdout
    result = CliRunner().invoke(main, [*arguments, "--prior", "none", "--json"])
    facts = json.loads(result.stdout)
    assert (facts["model"], facts["prior"]) == ("companion", "none")
    assert "note: weights without the tight-binding prior, 'companion' for 'model': as asked for" in result.stderr


def test_a_batch_passes_it_on_and_does_not_mix(run, trained, monkeypatch):
    monkeypatch.chdir(run)
    Path("list").write_text("POSCAR\n")
    options = BatchOptions(model=trained / "model.safetensors", grid=GRID, prior="none")
    (outcome,) = Batch(Path("list"), options).run()
    assert (outcome.status, outcome.record["prior"], outcome.record["model"]) == ("done", "none", "companion")
    with pytest.raises(MismatchError, match="was done with --model .*model.safetensors --prior none"):
        Batch(Path("list"), replace(options, prior="auto"))


def test_records_are_read_with_the_features_too(molecule, trained):
    weights = load_model(trained / "model.safetensors")
    (spherical,) = features_of(weights.members, weights.atoms(molecule), weights.basis, 0).values()
    reading = LabelReading((0,), np.array([[1.0]]), {0: np.ones((*spherical.shape[:1], spherical.shape[2], 1))}, 1)
    weights.occupancies = {"O": reading}
    plain = replace(weights, features_of=lambda made, *_: PriorFeatures.zeros(made.n_atoms))
    first, second = (predict_records(each, molecule, ["O", "H", "H"]) for each in (weights, plain))
    assert first[1:] == second[1:] == [None, None]
    assert abs(first[0][0] - second[0][0]) > 1e-4
