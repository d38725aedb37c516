"""Which structures a step learns from: none lost, none twice, no more atoms than allowed; the rare ones more often."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from made_entries import ENCODER, made_store, settings
from test_train import same

from chgtools.errors import SettingsError
from chgtools.training.batching import Batching
from chgtools.training.checkpoint import digest
from chgtools.training.config import TrainSettings
from chgtools.training.data import Place, read_data
from chgtools.training.members import Listener
from chgtools.training.run import train

ATOMS = np.random.default_rng(1).integers(1, 30, 101)


def epochs(batching, count, seed=3):
    found = {}
    for epoch, numbers in batching.steps(seed):
        if epoch == count:
            return list(found.values())
        found.setdefault(epoch, []).append(numbers)
    return None


@pytest.mark.parametrize(("size", "most"), [(8, 60), (1000, 100), (4, 10), (1, 1)])
def test_a_budget_of_atoms_loses_no_structure_and_has_none_twice(size, most):
    first, second, third = epochs(Batching(ATOMS, size, most), 3)
    for batches in (first, second, third):
        assert sorted(number for numbers in batches for number in numbers) == list(range(101))
        for numbers in batches:
            assert 1 <= len(numbers) <= size
            assert ATOMS[numbers].sum() <= most or len(numbers) == 1
        # a batch ends where the next structure would be too much
        for numbers, after in pairwise(batches):
            assert len(numbers) == size or ATOMS[numbers].sum() + ATOMS[after[0]] > most
    assert first != second != third


def test_without_a_budget_batches_have_one_size_and_follow_the_seed():
    first, _ = epochs(Batching(ATOMS, 8), 2)
    assert [len(numbers) for numbers in first] == [8] * 12
    order = np.random.default_rng([3, 0]).permutation(101)
    assert [number for numbers in first for number in numbers] == order[:96].tolist()
    assert epochs(Batching(ATOMS, 1000), 1) == [[order.tolist()]]


@pytest.mark.parametrize("most", [0, 60])
def test_a_run_that_goes_on_meets_the_batches_that_it_would_have_met(most):
    batching = Batching(ATOMS, 8, most)
    whole = list(islice(batching.steps(3), 70))
    for first in (1, 12, 13, 40):
        assert list(islice(batching.steps(3, first), 70 - first)) == whole[first:]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made_store(tmp_path_factory.mktemp("data") / "made.h5")


def test_rare_elements_and_kinds_are_drawn_more_often():
    """64 of one kind, of which 4 hold Au, and 16 of another: by the rarest, 60 : 4 : 16 structures."""
    facts = [{"elements": ["Na", "Cl"], "kind": "salt"}] * 60
    facts += [{"elements": ["Na", "Au"], "kind": "salt"}] * 4 + [{"elements": ["Na"], "kind": "metal"}] * 16
    places = [Place(None, f"e{k}", each) for k, each in enumerate(facts)]
    run = settings("x.h5", balance=0.5)
    chances = Batching.of(run, places).chances
    rest = chances[0]
    np.testing.assert_allclose(chances[60:64], rest * np.sqrt(60 / 4))
    np.testing.assert_allclose(chances[64:], rest * np.sqrt(60 / 16))
    assert chances.sum() == pytest.approx(1)
    assert Batching.of(replace(run, balance=0.0), places).chances is None
    drawn = np.concatenate([n for batches in epochs(Batching.of(run, places), 40) for n in batches])
    share = np.isin(drawn, range(60, 64)).mean()
    assert share == pytest.approx(chances[60:64].sum(), rel=0.1)


def test_a_training_takes_its_batches_so(store, tmp_path):
    """Cells of two atoms: with five atoms a step two of them, whatever the batch; the mean is over these."""
    run = settings(store, validation={"share": 0.0}, steps=9)
    by_number = train(replace(run, batch=2), tmp_path / "number")
    by_atoms = train(replace(run, batch=14, batch_atoms=5), tmp_path / "atoms")
    assert same(by_number.members[0], by_atoms.members[0])
    balanced = train(replace(run, batch=2, balance=1.0), tmp_path / "balanced")
    assert not same(by_number.members[0], balanced.members[0])
    losses = []
    train(replace(run, batch_atoms=1), tmp_path / "alone", listener=Listener(steps=lambda m, s, loss: losses.append(s)))
    assert losses == list(range(1, 10))


def test_settings_that_came_later_leave_the_digests_of_older_runs():
    """Checkpoints of trainings that are under way go on with a newer version."""
    found = digest(TrainSettings(data=("x.h5",)), {"x.h5": ("b", 1)}, "")
    assert found == "5c2eec7d08012f0ae13a76bc035793d09722930a8fcf7d0bf38ab190f152d703"


def test_settings_of_batches_are_checked_and_belong_to_the_run(store):
    for name, value in (("batch_atoms", -1), ("balance", 1.5), ("balance", -0.1)):
        with pytest.raises(SettingsError, match=f"found {name} = "):
            settings(store, **{name: value})
    plain = digest(settings(store), {}, "")
    assert plain != digest(settings(store, batch_atoms=5), {}, "")
    assert plain != digest(settings(store, balance=0.5), {}, "")
    assert plain != digest(settings(store, encoder=replace(ENCODER, message_l_max=1)), {}, "")
    assert len(read_data(settings(store, batch_atoms=5)).train) == len(read_data(settings(store)).train)
