"""The structures of a training run: read from its stores, and parted into those to learn from and those kept aside."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.errors import SettingsError
from chgtools.stores.splits import HELD_OUT, place, reduced_composition
from chgtools.stores.store import Store
from chgtools.training.reference import from_ground_state

if TYPE_CHECKING:
    from chgtools.stores.entry import Entry
    from chgtools.training.config import TrainSettings

TRAIN, VALIDATION, UNUSED = "train", "validation", "unused"


@dataclass(frozen=True)
class Data:
    """train, validation, held_out : entries; sources : file name to (sha256, number of entries used)"""

    train: list[Entry]
    validation: list[Entry]
    held_out: list[Entry]
    sources: dict[str, tuple[str, int]]

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the training structures, sorted."""
        return tuple(sorted({symbol for entry in self.train for symbol in entry.structure.elements}))


def read_data(settings: TrainSettings) -> Data:
    """The entries of a run. Validation structures whose elements are in no training structure are left out.

    Where an entry goes follows from a hash of its formula (or name) and the seed, whatever else the stores hold.
    Raises FormatError for a file that is no store, SettingsError when nothing is left to train on.
    """
    parts: dict[str, list[Entry]] = {TRAIN: [], VALIDATION: [], HELD_OUT: [], UNUSED: []}
    sources: dict[str, tuple[str, int]] = {}
    for path in settings.data:
        store = Store.open(path)
        chosen = [name for name, facts in store.facts() if is_of_kind(str(facts.get("kind", "")), settings.kinds)]
        sources[Path(path).name] = (hashlib.sha256(Path(path).read_bytes()).hexdigest(), len(chosen))
        for name in chosen:
            entry = from_ground_state(store[name])
            parts[split_of(entry, settings)].append(entry)
    if not parts[TRAIN]:
        raise SettingsError(f"no structure to train on in {', '.join(settings.data)}; check kinds and validation")
    names = Counter(entry.name for group in parts.values() for entry in group)
    if twice := [name for name, count in names.items() if count > 1]:
        raise SettingsError(f"the entry {twice[0]} is in two of the stores; each structure may be there once")
    known = {symbol for entry in parts[TRAIN] for symbol in entry.structure.elements}
    kept = [
        [entry for entry in parts[part] if set(entry.structure.elements) <= known] for part in (VALIDATION, HELD_OUT)
    ]
    return Data(parts[TRAIN], kept[0], kept[1], sources)


def split_of(entry: Entry, settings: TrainSettings) -> str:
    """Where an entry goes: "train", "validation", "held-out", or "unused" (a fraction below 1)."""
    rule = settings.validation
    if any(fnmatchcase(str(entry.attributes.get("kind", "")), pattern) for pattern in rule.hold_out):
        return HELD_OUT
    key = reduced_composition(entry.structure.elements) if rule.by == "formula" else entry.name
    where = place(key, {TRAIN: 1 - rule.share, VALIDATION: rule.share}, rule.seed)
    if where == TRAIN and place(entry.name, {TRAIN: settings.fraction, UNUSED: 1 - settings.fraction}, 1) == UNUSED:
        return UNUSED
    return where


def is_of_kind(kind: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns (* matches) is this kind; without any, each kind is wanted."""
    return not patterns or any(fnmatchcase(kind, pattern) for pattern in patterns)


def was_kept_aside(entry: Entry, settings: TrainSettings) -> bool:
    """Whether a training with these settings put an entry aside, if it had it."""
    return split_of(entry, settings) not in (TRAIN, UNUSED)
