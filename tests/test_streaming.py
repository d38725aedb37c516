"""Training on more structures than the memory holds, and on several processes: the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_entries import BASIS, ENCODER, an_entry, settings
from test_train import same

from chgtools.models.weights import load_model
from chgtools.stores.store import writable, write_entry
from chgtools.training.data import read_data
from chgtools.training.run import train
from chgtools.training.streaming import FIRST_DRAW, Maker, Streamed

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "made.h5"
    with writable(path) as file:
        for index in range(14):
            write_entry(file, an_entry(index, "odd" if index == 5 else "made"))
    return path


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
    (first,), (again,), (second,), (fixed,) = Streamed(data.train, maker, CPU, 0).batches(
        [([1], (3, 0)), ([1], (3, 0)), ([1], (3, 1)), ([1], FIRST_DRAW)]
    )
    assert torch.equal(first.target, again.target)
    assert len({sample.target.shape[0] for sample in (first, second, fixed)} | {0}) > 2
    assert not any(torch.equal(first.target, other.target) for other in (second, fixed))
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


@pytest.mark.parametrize(("batch", "processes"), [(3, 2), (1, 2), (4, 3)])
def test_processes_that_share_a_batch_train_as_one_does(store, tmp_path, batch, processes):
    """Also where the batch does not part evenly, and where some have nothing of it."""
    config = f"""
data: [{store}]
name: small
steps: 6
batch: {batch}
members: 1
evaluations: 2
threads: 1
resident: 4
workers: 1
waves: 300
validation: {{by: structure, share: 0.3}}
encoder: {{cutoff: 4.0, radial: 4, l_max: 2, channels: 3, hidden: 8, state: 4, readings: 2}}
basis: {{n_max: 3, l_max: 2, q_max: 14.0}}
"""
    (tmp_path / "c.yaml").write_text(config)
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", f"295{batch}{processes}"]
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
