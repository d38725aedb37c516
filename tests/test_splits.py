"""Splits: the same for the same seed, unmoved by what is added later, and by formula never mixed."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from conftest import shared_path
from made_targets import add_target

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.stores.splits import FRACTIONS, place, reduced_composition, split
from chgtools.stores.store import Store, writable

FORMULAS = ("Si", "MgO", "Al2O3", "NaCl", "Fe2O3", "TiO2", "SiC", "GaAs")


def make_store(path, numbers=range(60)):
    """Entries with atoms and a kind, and a single coefficient; 60 of 8 formulas, doubled cells among them."""
    from pymatgen.core import Composition

    with writable(path) as file:
        for i in numbers:
            composition = Composition(FORMULAS[i % 8]) * (1 + i % 3)
            elements = [e.symbol for e, n in composition.items() for _ in range(int(n))]
            group = file.create_group(f"entry{i}")
            group["lattice"], group["dcd"] = np.eye(3) * 3, np.zeros((1, 2), "f4")
            group["species"] = np.array([e.encode() for e in elements])
            group["fractional"], group["shape"] = np.zeros((len(elements), 3)), np.array([4, 4, 4])
            group.attrs["g_max"], group.attrs["kind"] = 1.2, ("bulk", "surface", "surface-H")[i % 3]
    return path


def splits_of(path):
    return {name: facts["split"] for name, facts in Store.open(path).facts() if "split" in facts}


@pytest.mark.parametrize("by", ["structure", "formula"])
def test_deterministic_by_seed(tmp_path, by):
    path = make_store(tmp_path / "s.h5")
    split(path, by=by, seed=1)
    first = splits_of(path)
    assert len(first) == 60
    split(path, by=by, seed=2)
    assert splits_of(path) != first
    split(path, by=by, seed=1)
    assert splits_of(path) == first


def test_a_known_split_does_not_change_with_releases():
    found = [place(f"entry{i}", FRACTIONS, 0) for i in range(8)]
    assert found == ["train", "train", "validation", "train", "validation", "train", "train", "train"]


def test_the_order_of_entries_does_not_count(tmp_path):
    forward, backward = make_store(tmp_path / "a.h5"), make_store(tmp_path / "b.h5", reversed(range(60)))
    split(forward)
    split(backward)
    assert splits_of(forward) == splits_of(backward)


@pytest.mark.parametrize("by", ["structure", "formula"])
def test_entries_added_later_move_no_other(tmp_path, by):
    path = make_store(tmp_path / "s.h5", range(40))
    split(path, by=by)
    before = splits_of(path)
    make_store(path, range(40, 60))
    assert splits_of(path) == before  # new entries have no split before it is made again
    split(path, by=by)
    after = splits_of(path)
    assert len(after) == 60
    assert all(after[name] == where for name, where in before.items())


@pytest.mark.parametrize("seed", range(5))
def test_one_formula_is_in_one_split(tmp_path, seed):
    path = make_store(tmp_path / "s.h5")
    split(path, {"train": 0.4, "validation": 0.3, "test": 0.3}, by="formula", seed=seed)
    where = defaultdict(set)
    for name, facts in Store.open(path).facts():
        where[FORMULAS[int(name.removeprefix("entry")) % 8]].add(facts["split"])
    assert all(len(found) == 1 for found in where.values())
    assert len(set.union(*where.values())) > 1


def test_by_structure_does_mix_formulas(tmp_path):
    """So that the test above can fail."""
    path = make_store(tmp_path / "s.h5")
    split(path, {"train": 0.4, "validation": 0.3, "test": 0.3})
    where = defaultdict(set)
    for name, found in splits_of(path).items():
        where[int(name.removeprefix("entry")) % 8].add(found)
    assert any(len(found) > 1 for found in where.values())


def test_shares_are_met_on_average():
    counts = Counter(place(f"x{i}", FRACTIONS, 3) for i in range(20_000))
    for name, share in FRACTIONS.items():
        assert counts[name] / 20_000 == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))


def test_a_share_of_nothing_gets_nothing():
    fractions = {"train": 1.0, "validation": 0.0, "test": 0.0}
    assert {place(f"x{i}", fractions, 0) for i in range(1000)} == {"train"}


def test_kinds_are_held_out_whole(tmp_path):
    path = make_store(tmp_path / "s.h5")
    counts = split(path, hold_out=["surface*"])
    assert counts["held-out"] == 40
    assert sum(counts.values()) == 60
    for name, facts in Store.open(path).facts():
        assert (facts["split"] == "held-out") == (facts["kind"] != "bulk"), name
    assert split(path, hold_out=["surface"])["held-out"] == 20


def test_a_kind_that_is_not_there(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with pytest.raises(SettingsError, match=r"no entry of the kind 'slab'; it has bulk, surface, surface-H"):
        split(path, hold_out=["slab"])
    assert splits_of(path) == {}


def test_names_of_a_split(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with pytest.raises(ChgtoolsError, match="has no splits"):
        Store.open(path).in_split("train")
    counts = split(path, seed=4)
    opened = Store.open(path)
    assert {name: len(opened.in_split(name)) for name in counts} == counts
    assert (opened.split_rule["split_by"], opened.split_rule["split_seed"]) == ("structure", 4)


def test_a_split_that_was_stopped_is_none(tmp_path):
    path = make_store(tmp_path / "s.h5")
    split(path)

    class Stopping(dict):
        def __iter__(self):
            raise KeyboardInterrupt

    store = Store.open(path)
    with pytest.raises(KeyboardInterrupt):
        store.put_splits(dict.fromkeys(store, "train"), Stopping(store.split_rule))
    with pytest.raises(ChgtoolsError, match="has no splits"):
        Store.open(path).in_split("train")


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ({"train": 0.8, "test": 0.1}, r"in all 0.9; they must add up to 1"),
        ({"train": 1.2, "test": -0.2}, r"train 1.2, test -0.2; each must lie between 0 and 1"),
        ({}, "each must lie"),
    ],
)
def test_shares_that_are_none(tmp_path, fractions, words):
    with pytest.raises(SettingsError, match=words):
        split(make_store(tmp_path / "s.h5"), fractions)


def test_an_unknown_way_to_split(tmp_path):
    with pytest.raises(SettingsError, match="found a split by 'atom'; wanted one of structure, formula"):
        split(make_store(tmp_path / "s.h5"), by="atom")


def test_compositions():
    assert reduced_composition(["O", "Al", "O", "Al", "O"]) == "Al2O3"
    assert reduced_composition(["O"] * 6 + ["Al"] * 4) == "Al2O3"
    assert reduced_composition(["Si"] * 8) == "Si1"
    assert reduced_composition(["C", "O"]) != reduced_composition(["Co"])


def test_splits_are_not_taken_to_another_store(tmp_path):
    path = make_store(tmp_path / "s.h5")
    split(path)
    add_target(tmp_path / "t.h5", path)
    assert splits_of(tmp_path / "t.h5") == {}
    assert len(Store.open(tmp_path / "t.h5")) > 0


def test_a_store_of_real_structures(tmp_path):
    add_target(tmp_path / "s.h5", shared_path("dft", "si.h5"))
    counts = split(tmp_path / "s.h5", hold_out=["bc8*"])
    assert counts["held-out"] == 3
    assert sum(counts.values()) == 51
    assert counts["train"] > 25
    assert set(splits_of(tmp_path / "s.h5")) == set(Store.open(tmp_path / "s.h5"))
