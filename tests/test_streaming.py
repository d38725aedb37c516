"""Training on more structures than the memory holds, and on several processes: the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from made_entries import BASIS, ENCODER, config, made_store, settings
from test_train import same

from chgtools.cli import main
from chgtools.errors import SettingsError
from chgtools.models.weights import load_model
from chgtools.training.data import read_data
from chgtools.training.members import Listener
from chgtools.training.run import train
from chgtools.training.streaming import FIRST_DRAW, Maker, Streamed


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("data") / "made.h5")


@pytest.mark.parametrize("workers", [0, 2])
def test_structures_that_are_read_as_they_are_needed_give_the_same_weights(store, tmp_path, workers):
    """With all waves there is nothing to draw, so how a structure comes to a step must not matter."""
    run = settings(store, waves=10**6)
    streamed = train(replace(run, resident=5, workers=workers), tmp_path / "streamed")
    assert same(train(run, tmp_path / "whole").members[0], streamed.members[0])


def test_streamed_entries_are_read_and_not_kept(store):
    data = read_data(settings(store, resident=5))
    assert not data.train.kept
    assert data.train[0] is not data.train[0]
    kept = read_data(settings(store)).train
    assert kept[0] is kept[0]
    np.testing.assert_array_equal(kept[2].dcd, data.train[2].dcd)


def test_waves_are_drawn_anew_in_each_epoch_and_for_each_structure(store):
    data = read_data(settings(store, resident=0))
    maker = Maker(data.elements, ENCODER, BASIS, 200, False)
    (first,), (again,), (second,), (fixed,) = Streamed(data.train, maker, 0).batches(
        [([1], (3, 0)), ([1], (3, 0)), ([1], (3, 1)), ([1], FIRST_DRAW)]
    )
    assert torch.equal(first.target, again.target)
    assert len({sample.target.shape[0] for sample in (first, second, fixed)} | {0}) > 2
    assert not any(torch.equal(first.target, other.target) for other in (second, fixed))
    assert torch.equal(first.target, maker.sample(data.train[1], None, (3, 0, 1)).target)
    assert not torch.equal(first.target, maker.sample(data.train[1], None, (3, 0, 2)).target)
    sums = [float((s.weight * (s.target**2).sum(1)).sum()) for s in (first, second, fixed)]
    assert sums == pytest.approx([first.norm] * 3, rel=0.4)  # each stands for all


def test_some_entries_are_the_same_ones_whatever_else_there_is(store):
    entries = read_data(settings(store, validation={"share": 0.0})).train
    some = {each.name for each in entries.some(6).places}
    assert len(some) == 6
    assert some == {each.name for each in entries.some(6).some(6).places}
    assert {each.name for each in entries.some(4).places} < some
    fewer = {each.name for each in entries[:9].some(6).places}
    assert some & {each.name for each in entries[:9].places} <= fewer
    assert len(entries.some(99)) == 14


@pytest.mark.parametrize(("batch", "atoms", "processes"), [(3, 0, 2), (1, 0, 2), (4, 7, 3)])
def test_processes_that_share_a_batch_train_as_one_does(store, tmp_path, batch, atoms, processes):
    """Also where the batch does not part evenly, and where some have nothing of it."""
    changes = {"batch": batch, "batch_atoms": atoms, "members": 1, "resident": 4, "workers": 1, "waves": 300}
    (tmp_path / "c.yaml").write_text(config(store, **changes))
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    for name, command in (("one", []), ("many", launch)):
        done = subprocess.run(
            [sys.executable, *command, "-m", "chgtools", "train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / name)],
            capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    one, many = (load_model(tmp_path / name / "small.safetensors").members[0].tensors for name in ("one", "many"))
    for key in one:
        np.testing.assert_allclose(many[key], one[key], atol=1e-6, err_msg=key)
    curves = [(tmp_path / name / "curves.csv").read_text().splitlines() for name in ("one", "many")]
    for a, b in zip(*curves, strict=True):
        assert a == b or np.allclose(*([float(x) for x in row.split(",")] for row in (a, b)), rtol=1e-3)


def command(folder, store, out, *options, steps=8):
    path = folder / "c.yaml"
    path.write_text(config(store, steps=steps, checkpoint_minutes=1e-9))
    return ["-m", "chgtools", "train", str(path), "-o", str(folder / out), *options]


def test_members_trained_apart_are_put_together(store, tmp_path):
    assert run_main(command(tmp_path, store, "whole")) == 0
    for member in (1, 0):
        assert run_main(command(tmp_path, store, "parts", "--member", str(member))) == 0
        assert not (tmp_path / "parts" / "small.safetensors").exists()
    assert run_main(command(tmp_path, store, "parts", "--member", "2")) == 1
    before = (tmp_path / "parts" / "member-1.safetensors").read_bytes()
    assert run_main(command(tmp_path, store, "parts")) == 0
    assert (tmp_path / "parts" / "member-1.safetensors").read_bytes() == before
    whole, parts = (load_model(tmp_path / name / "small.safetensors") for name in ("whole", "parts"))
    assert all(same(a, b) for a, b in zip(whole.members, parts.members, strict=True))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGKILL, -9)])
def test_a_run_that_a_signal_ends_goes_on_to_the_same_weights(store, tmp_path, number, code, monkeypatch):
    """The signal comes after the third step, between two evaluations; nothing of the two steps since the checkpoint
    before is lost but for SIGKILL, which loses what came after the last checkpoint, here none."""
    assert run_main(command(tmp_path, store, "whole")) == 0
    kill = f"""
import os
from chgtools.training.trainer import Trainer
step = Trainer._update_mean
def killing(self):
    step(self)
    if self.step == 6 or (self.step == 3 and {int(number)} != 9):
        os.kill(os.getpid(), {int(number)})
Trainer._update_mean = killing
from chgtools.cli import main
import sys
main(sys.argv[1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", kill, *command(tmp_path, store, "part")[2:]], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == code, done.stderr
    if code != -9:
        assert "member 0 was stopped at step 3; the same command goes on with it" in done.stderr
    assert run_main(command(tmp_path, store, "part")) == 0
    whole, part = (load_model(tmp_path / name / "small.safetensors") for name in ("whole", "part"))
    assert all(same(a, b) for a, b in zip(whole.members, part.members, strict=True))
    curves = [(tmp_path / name / "curves.csv").read_text() for name in ("whole", "part")]
    assert curves[0] == curves[1]


def test_a_run_may_be_lengthened_and_not_shortened(store, tmp_path):
    said = []
    base = settings(store, steps=4)
    train(base, tmp_path)
    longer = train(replace(base, steps=8), tmp_path, listener=Listener(says=said.append))
    assert "its run of 4 steps has become one of 8; the learning rate follows the new length" in said
    assert not same(longer.members[0], train(base, tmp_path / "other").members[0])
    with pytest.raises(SettingsError, match="a member that has made 8; wanted as many or more"):
        train(base, tmp_path)


def test_what_changes_no_course_may_change_between_two_calls(store, tmp_path):
    first = train(settings(store), tmp_path)
    free = {"occupancies": False, "workers": 1, "resident": 1000, "checkpoint_minutes": 1.0, "name": "other"}
    assert same(first.members[0], train(settings(store, **free), tmp_path).members[0])
    with pytest.raises(SettingsError, match="other settings or data"):
        train(settings(store, resident=3), tmp_path)  # waves would be drawn anew


def test_weights_are_written_before_what_may_fail(store, tmp_path, monkeypatch):
    def fails(*_):
        raise MemoryError

    monkeypatch.setattr("chgtools.training.observations.observe", fails)
    with pytest.raises(MemoryError):
        train(settings(store), tmp_path)
    kept = load_model(tmp_path / "model.safetensors")
    assert kept.card["validation_eps_mae_percent"] == {}
    assert kept.trust.structures == 0
    monkeypatch.undo()
    assert train(settings(store), tmp_path).card["validation_eps_mae_percent"]
    assert load_model(tmp_path / "model.safetensors").card["validation_eps_mae_percent"]


def test_few_structures_end_early_and_many_do_not(store, tmp_path):
    assert settings(store).patience_for(60) == 5
    assert settings(store).patience_for(1000) == 0
    assert settings(store, patience=0).patience_for(60) == 0
    steps = []
    run = settings(store, steps=100, evaluations=50, learning_rate=1e-12)
    train(run, tmp_path, listener=Listener(steps=lambda m, s, loss: steps.append(s)))
    assert steps[-1] < 40
    everything = replace(run, validation=replace(run.validation, share=0.0), steps=20, evaluations=20)
    train(everything, tmp_path / "all", listener=Listener(steps=lambda m, s, loss: steps.append(s)))
    assert steps[-1] == 20  # nothing was kept aside that could tell when it is enough


def run_main(arguments):
    result = CliRunner().invoke(main, arguments[2:])
    assert result.exit_code in (0, 1), result.output
    print(result.output)  # shown where a test fails
    return result.exit_code
