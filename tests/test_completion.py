"""Occupancies and calibration as commands of their own: the same weights as of a whole run, and where they go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from made_entries import an_entry, config, made_store, settings

from chgtools.cli import main
from chgtools.errors import SettingsError
from chgtools.models.weights import load_model, save_model
from chgtools.stores.store import writable, write_entry
from chgtools.training.calibration import observe
from chgtools.training.completion import OBSERVATIONS, complete
from chgtools.training.members import Listener, StoppedError
from chgtools.training.run import train
from chgtools.volumetric import Augmentation

BOTH = {"occupancies": True, "calibration": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("data") / "made.h5")


@pytest.fixture(scope="module")
def with_records(tmp_path_factory):
    """A store of 14 entries with records of labels whose channels are known."""
    path = tmp_path_factory.mktemp("data") / "records.h5"
    with writable(path) as file:
        for index in range(14):
            entry = an_entry(index)
            records = [Augmentation([np.full(33, index + 1.0), np.full(33, 2.0)])]
            facts = dict(entry.attributes) | {"labels": ["Na_pv", "Cl"], "counts": np.array([1, 1])}
            write_entry(file, replace(entry, records=records, channels=((1, 1, 0, 0), (0, 0, 1, 1)), attributes=facts))
    return path


def lowered(monkeypatch, least=2):
    for module in ("completion", "calibration"):
        monkeypatch.setattr(f"chgtools.training.{module}.FEWEST", least)


def without(folder, run, **fields):
    """The weights of a run, with fields put back to what they are before its last stages."""
    path = folder / f"{run.name}.safetensors"
    save_model(replace(load_model(path), **fields), path)


def told(model):
    return {label: (r.channels, r.mean.tolist(), r.atoms) for label, r in model.occupancies.items()}


def test_each_stage_gives_what_the_whole_run_gave(with_records, tmp_path, monkeypatch):
    lowered(monkeypatch)
    run = settings(with_records, members=2, validation={"share": 0.3})
    whole = train(run, tmp_path)
    assert whole.trust.structures >= 2
    card = {**whole.card, "validation_eps_mae_percent": {}}
    without(tmp_path, run, occupancies={}, trust=replace(whole.trust, structures=0, damping=0.0), card=card)
    (tmp_path / OBSERVATIONS).unlink()
    first = complete(run, tmp_path, occupancies=True, calibration=False)
    assert told(first) == told(whole)
    assert first.trust.structures == 0
    assert first.card["validation_eps_mae_percent"] == {}
    complete(run, tmp_path, occupancies=False, calibration=True)
    again = load_model(tmp_path / "model.safetensors")
    assert again.trust == whole.trust
    assert again.card == json.loads(json.dumps(whole.card))
    assert told(again).keys() == told(whole).keys()


def test_what_was_observed_is_not_observed_again(store, tmp_path, monkeypatch):
    lowered(monkeypatch)
    run = settings(store, members=2)
    whole = train(run, tmp_path)
    lines = (tmp_path / OBSERVATIONS).read_text().splitlines(keepends=True)
    assert len(lines) == whole.card["validation_eps_mae_percent"]["all"]["structures"]
    # as after a kill in the middle of a line, and with a line of other weights
    other = lines[0].replace('"weights": "', '"weights": "0')
    (tmp_path / OBSERVATIONS).write_text(other + lines[0] + lines[1][:40])
    seen = []
    monkeypatch.setattr(
        "chgtools.training.observations.observe",
        lambda model, entries: seen.extend(e.name for e in entries) or observe(model, entries),
    )
    again = complete(run, tmp_path, occupancies=False, calibration=True)
    assert len(seen) == len(lines) - 1
    assert again.trust == whole.trust
    assert sorted((tmp_path / OBSERVATIONS).read_text().splitlines(keepends=True)) == sorted(lines)
    longer = train(replace(run, steps=20), tmp_path)  # other weights: all is observed anew
    assert len(seen) == 2 * len(lines) - 1
    assert longer.trust != whole.trust


def test_a_structure_of_the_same_name_with_other_numbers_is_another(store, tmp_path):
    run = settings(store)
    train(run, tmp_path / "a")
    first = {json.loads(line)["structure"] for line in (tmp_path / "a" / OBSERVATIONS).read_text().splitlines()}
    changed = tmp_path / "changed.h5"
    with writable(changed) as file:
        for index in range(14):
            entry = an_entry(index, "odd" if index == 5 else "made")
            write_entry(file, replace(entry, dcd=1.01 * entry.dcd))
    train(settings(changed), tmp_path / "b")
    second = {json.loads(line)["structure"] for line in (tmp_path / "b" / OBSERVATIONS).read_text().splitlines()}
    assert len(first) == len(second)
    assert not first & second


def test_a_signal_ends_a_calibration_which_goes_on(store, tmp_path):
    run = settings(store, members=2)
    train(run, tmp_path)
    (tmp_path / OBSERVATIONS).unlink()
    asked = []
    stops = Listener(stops=lambda: asked.append(0) or len(asked) > 3)
    with pytest.raises(StoppedError, match=r"stopped after 3 of \d+ structures; the same command goes on"):
        complete(run, tmp_path, occupancies=False, calibration=True, listener=stops)
    assert len((tmp_path / OBSERVATIONS).read_text().splitlines()) == 3
    complete(run, tmp_path, occupancies=False, calibration=True)


def test_weights_that_are_not_this_runs_are_refused(store, with_records, tmp_path):
    run = settings(store, steps=2)
    with pytest.raises(SettingsError, match=r"model.safetensors: no such file; train first"):
        complete(run, tmp_path, **BOTH)
    begun = train(run, tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    for changed in (replace(run, data=(str(with_records),)), settings(store, steps=2, validation={"share": 0.2}),
                    settings(store, steps=2, validation={"hold_out": ("odd",)})):  # fmt: skip
        with pytest.raises(SettingsError, match="was trained on other data, or with another rule"):
            complete(changed, tmp_path, **BOTH)
    with pytest.raises(SettingsError, match="found --from with the weights 'model'; wanted none"):
        complete(run, tmp_path, **BOTH, start=begun)
    with pytest.raises(SettingsError, match="no structure to learn from has augmentation occupancies"):
        complete(run, tmp_path, **BOTH)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    train(run, tmp_path / "tuned", start=begun)
    with pytest.raises(SettingsError, match="found no --from; wanted the weights 'model', as in the training"):
        complete(run, tmp_path / "tuned", occupancies=False, calibration=True)
    complete(run, tmp_path / "tuned", occupancies=False, calibration=True, start=begun)
    total = replace(run, target="tcd", name="total")
    train(total, tmp_path / "total")
    with pytest.raises(SettingsError, match="found target = tcd"):
        complete(total, tmp_path / "total", occupancies=False, calibration=True)


def test_commands(with_records, tmp_path):
    (tmp_path / "c.yaml").write_text(config(with_records, occupancies=False))
    command = ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")]
    missing = CliRunner().invoke(main, [*command, "--calibrate"])
    assert missing.exit_code == 1
    assert missing.stderr.count("\n") == 1
    assert CliRunner().invoke(main, command).exit_code == 0
    assert not load_model(tmp_path / "out" / "small.safetensors").occupancies
    members = [path.read_bytes() for path in sorted((tmp_path / "out").glob("member-*"))]
    done = CliRunner().invoke(main, [*command, "--occupancies", "--calibrate"])
    assert done.exit_code == 0, done.output
    assert "occupancies of 2 labels: Cl, Na_pv" in done.stderr
    assert "kept aside" in done.stdout
    assert set(load_model(tmp_path / "out" / "small.safetensors").occupancies) == {"Na_pv", "Cl"}
    assert [path.read_bytes() for path in sorted((tmp_path / "out").glob("member-*"))] == members
    for option in (["--member", "0"], ["--restart"], ["--tensorboard"]):
        refused = CliRunner().invoke(main, [*command, "--calibrate", *option])
        assert refused.exit_code == 2
        assert "train nothing" in refused.stderr


def test_a_signal_at_the_command_keeps_what_was_observed(store, tmp_path):
    (tmp_path / "c.yaml").write_text(config(store))
    command = ["train", str(tmp_path / "c.yaml"), "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(main, command).exit_code == 0
    (tmp_path / "out" / OBSERVATIONS).unlink()
    kill = f"""
import os, sys
import chgtools.training.observations as kept
observe = kept.observe
def killing(model, entries):
    os.kill(os.getpid(), {int(signal.SIGTERM)})
    return observe(model, entries)
kept.observe = killing
from chgtools.cli import main
main(sys.argv[1:])
"""
    done = subprocess.run(
        [sys.executable, "-c", kill, *command, "--calibrate"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 143, done.stderr
    assert "SIGTERM: the calibration was stopped after 1 of" in done.stderr
    assert len((tmp_path / "out" / OBSERVATIONS).read_text().splitlines()) == 1
