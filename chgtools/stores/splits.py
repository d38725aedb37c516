"""Splits of a store, or of an index of stores, into train, validation and test, kept in the file.

Where an entry goes is decided by a hash of its name (or its formula) with the seed, and by nothing else: the same
seed gives the same split on every machine, and entries that are added later move no other. Shares are therefore met
on average, not to the entry.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from chgtools.errors import SettingsError
from chgtools.stores.store import Store

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
BY = ("structure", "formula")
HELD_OUT = "held-out"


def split(
    store: str | Path,
    fractions: Mapping[str, float] = FRACTIONS,
    by: str = "structure",
    seed: int = 0,
    hold_out: Sequence[str] = (),
) -> dict[str, int]:
    """Give every entry of a store a split, in place of the one it had; returns how many each split has.

    fractions : share of each split; they add up to 1
    by : "structure" (each entry by itself) or "formula" (all entries of one reduced formula go together)
    hold_out : kinds, or patterns such as "bc8*", whose entries go to the split "held-out" whatever their formula
    The split is the attribute ``split`` of each entry, the rule is kept at the root; those of an index of stores are
    written to the index alone.
    Raises SettingsError for shares that are none, an unknown ``by``, or a kind that the store does not have.
    """
    _check(fractions, by)
    opened = Store.open(store)
    entries = {name: (str(facts.get("kind", "")), facts["elements"]) for name, facts in opened.facts()}
    kinds = sorted({kind for kind, _ in entries.values()})
    for pattern in hold_out:
        if not any(fnmatchcase(kind, pattern) for kind in kinds):
            raise SettingsError(f"{store} has no entry of the kind {pattern!r}; it has {', '.join(kinds) or 'none'}")
    chosen = {}
    for name, (kind, elements) in entries.items():
        key = name if by == "structure" else reduced_composition(elements)
        held = any(fnmatchcase(kind, pattern) for pattern in hold_out)
        chosen[name] = HELD_OUT if held else place(key, fractions, seed)
    rule = {
        "split_fractions": json.dumps(dict(fractions)),
        "split_hold_out": json.dumps(list(hold_out)),
        "split_seed": seed,
        "split_by": by,
    }
    opened.put_splits(chosen, rule)
    counts = Counter(chosen.values())
    return {where: counts[where] for where in (*fractions, *([HELD_OUT] if hold_out else []))}


def place(key: str, fractions: Mapping[str, float], seed: int) -> str:
    """The split of a key: its hash with the seed, as a number in [0, 1), among the shares laid end to end."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64
    bound, last = 0.0, ""
    for name, share in fractions.items():
        bound += share
        if share > 0:
            last = name
            if number < bound:
                return name
    return last  # the shares add up to 1 but for rounding


def reduced_composition(elements: Iterable[str]) -> str:
    """The same text for all structures of one reduced formula: Al2O3 for Al4O6, elements in alphabetical order."""
    counts = Counter(elements)
    common = math.gcd(*counts.values())
    return "".join(f"{name}{counts[name] // common}" for name in sorted(counts))


def _check(fractions: Mapping[str, float], by: str) -> None:
    if by not in BY:
        raise SettingsError(f"found a split by {by!r}; wanted one of {', '.join(BY)}")
    shown = ", ".join(f"{name} {share:g}" for name, share in fractions.items())
    if not fractions or not all(0 <= share <= 1 for share in fractions.values()):
        raise SettingsError(f"found the shares {shown}; each must lie between 0 and 1")
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise SettingsError(f"found the shares {shown}, in all {sum(fractions.values()):g}; they must add up to 1")
