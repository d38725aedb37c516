"""Training and evaluation on small made-up stores: settings, determinism, going on, fine-tuning, commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from made_entries import BASIS, ENCODER, an_entry, config, made_store, settings
from made_models import rotation, wigner

from chgtools.cli import main
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.fourier.basis import expand, waves, with_charge
from chgtools.fourier.half_sphere import take
from chgtools.fourier.resampling import coefficients
from chgtools.libraries.choice import Source, choose
from chgtools.models.weights import load_model
from chgtools.start.superposition import superpose
from chgtools.stores.store import Store
from chgtools.training.config import Loss, TrainSettings, defaults_text, read_settings
from chgtools.training.data import read_data, split_of
from chgtools.training.evaluation import evaluate_entry, summary
from chgtools.training.evaluation_run import Selection, evaluate_stores
from chgtools.training.losses import coulomb_percent, mae_percent, neutral, residual, rms_percent
from chgtools.training.members import Listener
from chgtools.training.run import train
from chgtools.training.samples import GridTransform, sample_of
from chgtools.training.trainer import Trainer


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("data") / "made.h5")


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first.tensors.values(), second.tensors.values(), strict=True))


def test_errors_in_fourier_space_are_those_on_the_grid(store):
    entry = an_entry(3)
    sample = sample_of(entry, ("Cl", "Na"), ENCODER, BASIS, 10**6)
    even = torch.as_tensor([True, False, False, False, True, True, True, True, True])
    nothing = residual(sample, torch.zeros(2, 9, 3), even)
    saed = entry.attributes["saed_eps_mae_percent"]
    assert float(rms_percent(sample, nothing)) == pytest.approx(saed, rel=1e-4)
    assert float(coulomb_percent(sample, nothing)) == pytest.approx(saed, rel=1e-4)
    assert float(mae_percent(sample, nothing)) == pytest.approx(saed, rel=2e-2)  # another grid
    rng = np.random.default_rng(0)
    c = with_charge(0.1 * rng.normal(size=(2, 9, 3)), BASIS)
    missed = residual(sample, torch.as_tensor(c).float(), even)
    error = expand(entry.structure, c, BASIS, (48, 48, 60)) - entry.on_grid((48, 48, 60))
    wanted = entry.on_grid((48, 48, 60))
    assert float(rms_percent(sample, missed)) == pytest.approx(
        saed * np.sqrt((error**2).sum() / (wanted**2).sum()), rel=0.02
    )


def test_a_field_is_brought_onto_its_grid():
    entry = an_entry(2)
    transform = GridTransform.of(entry.miller)
    ny, nz, nx = transform.sizes
    found = transform(torch.as_tensor(np.stack([entry.dcd.real, entry.dcd.imag], 1)))
    wanted = entry.on_grid((nx, ny, nz)) * entry.structure.volume
    assert np.allclose(found.numpy().transpose(2, 0, 1), wanted, atol=1e-9 * np.abs(wanted).max() + 1e-12)


def test_drawn_waves_stand_for_all(store):
    entry = an_entry(4)
    whole = sample_of(entry, ("Cl", "Na"), ENCODER, BASIS, 10**6)
    drawn = [sample_of(entry, ("Cl", "Na"), ENCODER, BASIS, 300, seed=seed) for seed in range(40)]
    sums = [float((s.weight * (s.target**2).sum(1)).sum()) for s in drawn]
    assert len(drawn[0].target) < 0.7 * len(whole.target)
    assert np.mean(sums) == pytest.approx(whole.norm, rel=0.05)
    assert drawn[0].transform is None


def test_the_charge_is_imposed_as_in_prediction():
    c = np.random.default_rng(1).normal(size=(2, 9, 3))
    charges = torch.as_tensor(BASIS.charges).float()
    found = neutral(torch.as_tensor(c).float(), charges, torch.tensor([0.7]), torch.zeros(2, dtype=int)).numpy()
    assert np.allclose(found, with_charge(c, BASIS, 0.7), atol=1e-5)


def test_waves_of_a_sample_are_those_of_the_basis_up_to_l_6():
    """The signs (-i)^l, and which functions are even, for l = 5 and 6 too."""
    high, entry = replace(BASIS, n_max=2, l_max=6), an_entry(3)
    sample = sample_of(entry, ("Cl", "Na"), replace(ENCODER, l_max=6), high, 10**6)
    c = np.random.default_rng(4).normal(size=(2, 49, 2))
    even = torch.as_tensor(np.repeat(np.arange(7) % 2 == 0, 2 * np.arange(7) + 1))
    found = residual(sample, torch.as_tensor(c).float(), even).waves + sample.target
    wanted = np.einsum("gakn,akn->g", waves(entry.structure, entry.miller, high), c)
    assert np.allclose(found[:, 0] + 1j * found[:, 1], wanted, atol=1e-5 * np.abs(wanted).max())


def test_l_6_and_equivariant_messages_are_trained_kept_and_predict(store, tmp_path):
    """Coefficients of a turned cell are the turned ones, of every l; and they come onto a grid."""
    run = settings(store, encoder=replace(ENCODER, l_max=6, message_l_max=2), basis=replace(BASIS, l_max=6))
    made = train(run, tmp_path)
    back, structure, turn = load_model(tmp_path / "model.safetensors"), an_entry(0).structure, rotation()
    assert not same(made.members[0], train(replace(run, seed=1), tmp_path / "other").members[0])
    found = back.coefficients(structure)
    assert np.allclose(found, made.coefficients(structure), atol=1e-5 * np.abs(found).max())
    assert all(np.abs(found[:, :, ell**2 : (ell + 1) ** 2]).max() > 1e-6 for ell in range(7))
    turned = back.coefficients(structure.with_changes(lattice=structure.lattice @ turn.T))
    wanted = np.einsum("ij,kajn->kain", wigner(turn, 6), found)
    assert np.abs(turned - wanted).max() < 1e-6 * np.abs(found).max()
    density = back.density(structure, (24, 24, 30), 0.5)
    assert density.mean() * structure.volume == pytest.approx(0.5, abs=1e-8)


def test_training_learns_and_repeats_itself(store, tmp_path):
    run = settings(store, steps=150, learning_rate=1e-2)
    first = train(run, tmp_path / "a")
    second = train(run, tmp_path / "b")
    assert same(first.members[0], second.members[0])
    assert not same(first.members[0], train(settings(store, seed=1), tmp_path / "c").members[0])
    errors = first.card["validation_eps_mae_percent"]["all"]
    assert errors["model"] < 0.3 * errors["saed"]
    again = load_model(tmp_path / "a" / "model.safetensors")
    assert np.allclose(
        again.predict(an_entry(0).structure).coefficients, first.predict(an_entry(0).structure).coefficients, atol=1e-6
    )
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "curves.csv",
        "curves.png",
        "member-0.safetensors",
        "model.safetensors",
        "observations.jsonl",
    }


def test_a_run_that_was_stopped_ends_as_if_it_never_had(store, tmp_path):
    whole = train(settings(store), tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stop(member, step, loss):
        if step == 7:
            raise Stopped

    with pytest.raises(Stopped):
        train(settings(store), tmp_path / "part", listener=Listener(steps=stop))
    said = []
    parts = train(settings(store), tmp_path / "part", listener=Listener(says=said.append))
    assert "member 0 goes on at step 4" in said
    assert same(whole.members[0], parts.members[0])


def test_checkpoints_of_another_run_are_refused(store, tmp_path):
    train(settings(store), tmp_path)
    with pytest.raises(SettingsError, match="of a run with other settings"):
        train(settings(store, learning_rate=1e-4), tmp_path)
    train(settings(store, learning_rate=1e-4), tmp_path, restart=True)
    (tmp_path / "member-0.safetensors").write_bytes(b"x")
    with pytest.raises(FormatError, match="no checkpoint"):
        train(settings(store, learning_rate=1e-4), tmp_path)


def test_fine_tuning_begins_with_the_weights(store, tmp_path):
    base = train(settings(store, steps=60), tmp_path / "base")
    tuned = train(settings(store, steps=1, learning_rate=1e-9), tmp_path / "tuned", start=base)
    near = tuned.predict(an_entry(1).structure).coefficients
    assert np.allclose(near, base.predict(an_entry(1).structure).coefficients, atol=1e-5)
    assert tuned.card["started_from"] == "model"
    base.elements = ("Cl", "K")
    with pytest.raises(SettingsError, match="have not seen Na"):
        train(settings(store), tmp_path / "other", start=base)


def test_only_the_parts_named_are_trained(store, tmp_path):
    start = train(settings(store), tmp_path / "a")
    tuned = train(settings(store, trained=("sphere", "embedding"), weight_decay=1.0), tmp_path / "b", start=start)
    before, after = (model.members[0].tensors for model in (start, tuned))
    changed = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"sphere", "embedding"}
    with pytest.raises(SettingsError, match=r"trained = spheres, no part of this network; known are .*sphere"):
        train(settings(store, trained=("spheres",)), tmp_path / "c", start=start)


def test_total_densities_have_their_own_target(store, tmp_path):
    from dataclasses import replace

    run = settings(store, steps=30, target="tcd", encoder=replace(ENCODER, free_atoms=True))
    model = train(run, tmp_path)
    row = evaluate_entry(model, an_entry(2))
    assert model.target == "tcd"
    assert 0 < row.eps_mae < 30
    plain = sample_of(an_entry(2), ("Cl", "Na"), ENCODER, BASIS, 10**6)
    total = sample_of(an_entry(2), ("Cl", "Na"), ENCODER, BASIS, 10**6, total=True)
    assert total.total == pytest.approx(14)
    assert total.norm == plain.norm
    atoms = (total.target - plain.target)[:, 0].numpy()
    shape = (24, 24, 30)
    made = superpose(an_entry(2).structure, shape, choose(an_entry(2).structure, Source()).densities)
    held = take(coefficients(made), shape, an_entry(2).miller).real * an_entry(2).structure.volume
    assert np.allclose(atoms, held, atol=1e-4)


def test_what_is_kept_aside_depends_on_the_entry_alone(store):
    run = settings(store, validation={"hold_out": ("odd",)})
    data = read_data(run)
    assert [entry.name for entry in data.held_out] == ["odd5"]
    assert len(data.train) + len(data.validation) == 13
    entries = Store.open(store)
    for entry in data.train:
        assert split_of(entries[entry.name], run) == "train"
    few = read_data(settings(store, fraction=0.5))
    assert {e.name for e in few.train} < {e.name for e in read_data(settings(store)).train}
    with pytest.raises(SettingsError, match="no structure to train on"):
        read_data(settings(store, kinds=("surface",)))
    with pytest.raises(SettingsError, match="in two of the stores"):
        read_data(settings(store, data=(str(store), str(store))))


def test_early_stopping(store, tmp_path):
    run = settings(store, steps=200, evaluations=100, patience=2, learning_rate=1e-12)
    steps = []
    train(run, tmp_path, listener=Listener(steps=lambda m, s, loss: steps.append(s)))
    assert steps[-1] < 100


def test_two_processes_train_as_one_does(store, tmp_path):
    (tmp_path / "c.yaml").write_text(config(store, members=1, share=0.6))
    one = CliRunner().invoke(main, ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "one")])
    assert one.exit_code == 0, one.output
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "chgtools", "train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "two")]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("members, 2 elements") == 1
    a, b = (load_model(tmp_path / name / "small.safetensors").members[0].tensors for name in ("one", "two"))
    assert all(np.allclose(a[key], b[key], atol=1e-4) for key in a)


def test_too_few_structures_aside_give_no_expected_error(store, tmp_path):
    said = []
    model = train(settings(store, steps=2, members=2), tmp_path, listener=Listener(says=said.append))
    assert any("fewer than 20: predictions will not say" in line for line in said)
    again = load_model(tmp_path / "model.safetensors")
    assert again.trust.structures == model.trust.structures == 0
    kept = Store.open(store)
    estimate = again.predict(kept[next(iter(kept))].structure)
    assert np.isnan(estimate.error_percent)
    assert estimate.spread_percent > 0


def test_last_steps_keep_the_trust_and_name_the_table_and_fine_tuning_does_not(store, tmp_path, monkeypatch):
    monkeypatch.setattr("chgtools.training.completion.FEWEST", 2)
    monkeypatch.setattr("chgtools.training.calibration.FEWEST", 2)
    first = train(settings(store, steps=2, members=2), tmp_path / "first")
    assert first.trust.structures >= 2
    everything = settings(store, steps=1, members=2, validation={"share": 0.0})
    last = train(everything, tmp_path / "last", start=first)
    assert last.trust == first.trust
    assert last.card["validation_eps_mae_percent"] == first.card["validation_eps_mae_percent"]
    assert last.card["validation_of"] == "the weights 'model' that these steps began with"
    other = tmp_path / "other.h5"
    other.write_bytes(store.read_bytes() + b"\0")  # another file, so other data
    tuned = train(replace(everything, data=(str(other),)), tmp_path / "tuned", start=first)
    assert tuned.trust.structures == 0
    assert tuned.card["validation_eps_mae_percent"] == {}


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(store, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "c.yaml").write_text(config(store, members=1, steps=2))
    command = ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*command, "--device", "cuda"])
    assert result.exit_code == 1
    assert "found device = cuda, and torch" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(SettingsError, match="sees no GPU here; wanted cpu or auto"):
        train(settings("nothing.h5", device="cuda"), tmp_path / "out")
    (tmp_path / "c.yaml").write_text(config(store, members=1, steps=2, device="cuda"))
    assert CliRunner().invoke(main, [*command, "--device", "cpu"]).exit_code == 0
    assert CliRunner().invoke(main, [*command, "--device", "tpu"]).exit_code == 2


def test_commands(store, tmp_path, monkeypatch):
    monkeypatch.setattr("chgtools.training.completion.FEWEST", 2)
    monkeypatch.setattr("chgtools.training.calibration.FEWEST", 2)
    (tmp_path / "c.yaml").write_text(config(store, share=0.6))
    result = CliRunner().invoke(main, ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["elements"] == ["Cl", "Na"]
    weights = facts["file"]
    result = CliRunner().invoke(main, ["evaluate", weights, str(store), "--pictures", str(tmp_path / "p"), "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert len(facts["rows"]) == 14
    assert facts["kinds"][0]["name"] == "all"
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["histogram.png", "parity.png", "trust.png"]
    aside = CliRunner().invoke(main, ["evaluate", weights, str(store), "--aside"])
    assert aside.exit_code == 0, aside.output
    assert "better than SAED on" in aside.stdout
    none = CliRunner().invoke(main, ["evaluate", weights, str(store), "--kind", "surface"])
    assert (none.exit_code, none.stderr.count("\n")) == (1, 1)


def test_an_evaluation_takes_the_entries_asked_for(store, tmp_path):
    run = settings(store, validation={"hold_out": ("odd",)})
    model = train(run, tmp_path)
    counts, told = [], []
    odd = evaluate_stores(model, [store], Selection(kinds=("od*",)), begins=counts.append, told=told.append)
    assert (counts, [row.name for row in told]) == ([1], ["odd5"])
    assert odd.rows == tuple(told)
    aside = evaluate_stores(model, [store], Selection(aside=True))
    data = read_data(run)
    assert {row.name for row in aside.rows} == {entry.name for entry in data.validation + data.held_out}
    assert aside.better == sum(row.eps_mae < row.eps_mae_saed for row in aside.rows)
    assert aside.as_dict()["trust_rank_correlation"] is None  # one member expects nothing
    with pytest.raises(ChgtoolsError, match="has no splits"):
        evaluate_stores(model, [store], Selection(split="test"))
    model.card = {}
    with pytest.raises(SettingsError, match="do not say what their training kept aside"):
        evaluate_stores(model, [store], Selection(aside=True))


def test_evaluation_of_a_known_error():
    class Half:
        basis, target, name = BASIS, "dcd", "half"

        def predict(self, structure, total=0.0, directions=None):
            from chgtools.models.model import Estimate

            c = np.zeros((2, BASIS.n_lm, BASIS.n_max))
            edge = structure.lattice[0, 0]
            c[:, 0, 0] = [-1.2 + 0.2 * edge, 0.9 - 0.1 * edge]
            return Estimate(0.5 * with_charge(c, BASIS), 1.0, np.zeros(2), 1.0, (), 1.0, 1.0)

    rows = [evaluate_entry(Half(), an_entry(index)) for index in range(3)]
    for row in rows:
        assert row.eps_mae == pytest.approx(row.eps_mae_saed / 2, rel=0.02)
        assert row.coulomb == pytest.approx(row.coulomb_saed / 4, rel=0.02)
        assert row.eps_rms == pytest.approx(row.eps_rms_saed / 2, rel=0.02)
    table = summary(rows)
    assert table["kinds"][0]["better_percent"] == 100
    assert [line["name"] for line in table["elements"]] == ["Cl", "Na"]


def test_defaults_are_a_config(tmp_path):
    (tmp_path / "d.yaml").write_text(defaults_text())
    assert read_settings(tmp_path / "d.yaml") == TrainSettings(data=(str(tmp_path / "my_store.h5"),))
    shown = CliRunner().invoke(main, ["train", "--show-defaults"])
    assert shown.stdout == defaults_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data: [a.h5]\nstep: 5\n", "unknown name step"),
        ("data: [a.h5]\nencoder: {width: 5}\n", "unknown name encoder.width"),
        ("data: [a.h5]\nsteps: many\n", "steps: found 'many'; wanted a whole number"),
        ("data: [a.h5]\nsteps: -1\n", "steps = -1; wanted 0 or more"),
        ("data: [a.h5]\ntarget: spin\n", "wanted one of dcd, tcd"),
        ("data: [a.h5]\nencoder: 4\n", "wanted names and values"),
        ("data: [a.h5]\nencoder: {l_max: 3}\n", "they must be equal"),
        ("data: [a.h5]\nencoder: {l_max: 7}\nbasis: {l_max: 7}\n", "found basis.l_max = 7; wanted 6 at most"),
        (
            "data: [a.h5]\nencoder: {message_l_max: 5}\n",
            "c.yaml: found encoder.message_l_max = 5; wanted 0 to encoder.l_max, 4",
        ),
        ("data: [a.h5]\nloss: {rms: 0}\n", "one of them above 0"),
        ("steps: 5\n", "has no 'data'"),
        ("[1, 2", "is no YAML"),
        ("data: []\n", "name one store or more"),
        ("data: [a.h5]\nencoder: {free_atoms: 1}\n", "wanted true or false"),
    ],
)
def test_bad_settings_end_in_a_sentence(tmp_path, text, says):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises((FormatError, SettingsError), match=says):
        read_settings(tmp_path / "c.yaml")
    result = CliRunner().invoke(main, ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_a_store_that_is_not_there(tmp_path):
    (tmp_path / "c.yaml").write_text("data: nothing.h5\n")
    result = CliRunner().invoke(main, ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "nothing.h5: no such file" in result.stderr


def test_the_loss_is_a_weighted_sum(store):
    from chgtools.training.losses import loss_of

    sample = sample_of(an_entry(3), ("Cl", "Na"), ENCODER, BASIS, 10**6)
    even = torch.as_tensor([True, False, False, False, True, True, True, True, True])
    missed = residual(sample, torch.zeros(2, 9, 3), even)
    total = loss_of(sample, missed, Loss(0.5, 2.0, 1.0))
    parts = 0.5 * rms_percent(sample, missed) + 2 * coulomb_percent(sample, missed) + mae_percent(sample, missed)
    assert float(total) == pytest.approx(float(parts))


def test_bf16_is_near_float32(store, tmp_path):
    rough = train(settings(store, precision="bf16"), tmp_path / "bf16")
    fine = train(settings(store), tmp_path / "float32")
    assert not same(rough.members[0], fine.members[0])
    a, b = (m.card["validation_eps_mae_percent"]["all"]["model"] for m in (rough, fine))
    assert a == pytest.approx(b, rel=0.2)


def test_a_trainer_keeps_early_stopping_weights_only_when_asked(store):
    run = settings(store, patience=1)
    known = torch.zeros(2, 12)
    trainer = Trainer(run, ENCODER, BASIS, known, 0)
    trainer.best = {name: value + 1 for name, value in trainer.best.items()}
    assert np.allclose(trainer.result().tensors["embedding"], trainer.best["embedding"])
