"""Structures of common compounds whose pairs of elements the training lacks (benchmarks/structures/ordinary.py)."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from chgtools.stores.store import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "structures"))
import materials
import ordinary

STORE = Path(__file__).resolve().parents[1] / "benchmarks" / "data" / "compounds_402.h5"


@pytest.fixture(scope="module")
def drawn():
    return list(islice(ordinary.ordinary(3, relax=None), 60))


def test_pairs_are_counted_once_a_structure():
    counts = ordinary.counted([STORE])
    by_hand = Counter()
    for name, _ in Store.open(STORE).facts():
        symbols = sorted(set(Store.open(STORE)[name].structure.elements))
        by_hand.update((a, b) for i, a in enumerate(symbols) for b in symbols[i + 1 :])
    assert counts == by_hand
    assert max(counts.values()) >= 1


def test_ions_of_opposite_charges_are_pairs_and_others_seldom():
    pairs = ordinary.possible(materials.available(tuple(ordinary.POPULAR)))
    assert pairs["Li", "O"] == pairs["Al", "O"] == pairs["Cl", "Na"] == 1.0
    assert pairs["Al", "Ni"] == ordinary.NO_IONS
    assert all(a < b for a, b in pairs)


def test_the_pair_asked_for_is_in_what_is_drawn():
    choices, rng = materials.available(tuple(ordinary.POPULAR)), np.random.default_rng(0)
    for _ in range(20):
        choice, symbols = ordinary.drawn(rng, choices, ("Li", "O"), Counter())
        assert {"Li", "O"} <= set(symbols)
        assert all(e in names for e, (names, _) in zip(symbols, choice.sites, strict=True))


def test_what_the_stores_hold_comes_seldom():
    """Where stores are full of oxides, few are drawn; with nothing held, oxygen is in many."""
    pairs = ordinary.possible(materials.available(tuple(ordinary.POPULAR)))

    def oxides(held):
        weight = {p: ordinary.wanted(p, pairs[p], held[p]) for p in pairs}
        return sum(w for p, w in weight.items() if "O" in p) / sum(weight.values())

    full = Counter({p: 50 for p in pairs if "O" in p})
    assert oxides(Counter()) > 0.3
    assert oxides(full) < 0.05


def test_one_seed_gives_the_same_small_structures(drawn):
    again = list(islice(ordinary.ordinary(3, relax=None), 10))
    assert [name for name, *_ in again] == [name for name, *_ in drawn[:10]]
    assert len({name for name, *_ in drawn}) == len(drawn)
    for name, kind, source, structure, nspin in drawn:
        assert kind in ("ordinary", "ordinary-distorted")
        assert name.startswith(structure.composition.reduced_formula + "-")
        assert source
        assert len(structure) <= ordinary.MOST_ATOMS
        assert structure.volume <= 1.1 * materials.LARGEST
        assert not materials.too_near(structure)
        assert nspin == 1 + bool(materials.MAGNETIC & set(structure.symbol_set))
    distorted = sum(kind.endswith("-distorted") for _, kind, *_ in drawn)
    assert 0.1 < distorted / len(drawn) < 0.45


def test_the_most_disputed_of_each_group_is_chosen():
    """Those on which weights fail before all others; the last group may be short."""
    from disagreement import most_disputed

    spreads = [0.2, 0.9, 0.4, 0.1, float("nan"), 5.0, 0.3]
    chosen = list(most_disputed(range(7), spreads.__getitem__, 3))
    assert [each for each, _ in chosen] == [1, 4, 6]
    assert chosen[0][1] == 0.9
    assert [each for each, _ in most_disputed(range(3), spreads.__getitem__, 1)] == [0, 1, 2]
