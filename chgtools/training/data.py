"""The structures of a training run: found in its stores, and parted into those to learn from and those kept aside."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from chgtools.errors import SettingsError
from chgtools.stores.splits import HELD_OUT, place, reduced_composition
from chgtools.stores.store import Store
from chgtools.training.reference import from_ground_state

if TYPE_CHECKING:
    from chgtools.stores.entry import Entry
    from chgtools.training.config import TrainSettings

TRAIN, VALIDATION, UNUSED = "train", "validation", "unused"


@dataclass(frozen=True)
class Place:
    """An entry that has not been read. store : that holds it; facts : what Store.facts says of it"""

    store: Store
    name: str
    facts: Mapping[str, Any]

    @property
    def elements(self) -> frozenset[str]:
        return frozenset(self.facts["elements"])

    def read(self) -> Entry:
        """Counted from ground-state atoms. Raises FormatError for a damaged one."""
        return from_ground_state(self.store[self.name])


class Entries(Sequence["Entry"]):
    """Entries in an order, each read when it is asked for. kept : whether what has been read stays in memory"""

    def __init__(self, places: Sequence[Place], kept: bool) -> None:
        self.places, self.kept = list(places), kept
        self._read: dict[int, Entry] = {}

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Entries: ...
    def __getitem__(self, index: int | slice) -> Entry | Entries:
        if isinstance(index, slice):
            return Entries(self.places[index], self.kept)
        if index not in self._read:
            entry = self.places[index].read()
            if not self.kept:
                return entry
            self._read[index] = entry
        return self._read[index]

    def __len__(self) -> int:
        return len(self.places)

    def __add__(self, other: Entries) -> Entries:
        both = Entries([*self.places, *other.places], self.kept and other.kept)
        both._read = self._read | {len(self) + index: entry for index, entry in other._read.items()}
        return both

    def some(self, most: int) -> Entries:
        """At most so many of them, by a hash of their names, so that it is the same ones whatever else there is."""
        if len(self) <= most:
            return self
        order = sorted(range(len(self)), key=lambda i: hashlib.sha256(self.places[i].name.encode()).digest())
        return Entries([self.places[i] for i in sorted(order[:most])], self.kept)


@dataclass(frozen=True)
class Data:
    """train, validation, held_out : entries; sources : file name to (sha256, number of entries used)"""

    train: Entries
    validation: Entries
    held_out: Entries
    sources: dict[str, tuple[str, int]]

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the training structures, sorted."""
        return tuple(sorted(frozenset().union(*(where.elements for where in self.train.places))))


def read_data(settings: TrainSettings) -> Data:
    """The entries of a run. Validation structures whose elements are in no training structure are left out.

    Where an entry goes follows from a hash of its formula (or name) and the seed, whatever else the stores hold. Of up
    to ``settings.resident`` structures each is read once and kept, of more each time that it is needed.
    Raises FormatError for a file that is no store, SettingsError when nothing is left to train on.
    """
    parts: dict[str, list[Place]] = {TRAIN: [], VALIDATION: [], HELD_OUT: [], UNUSED: []}
    sources: dict[str, tuple[str, int]] = {}
    for path in settings.data:
        store, chosen = Store.open(path), 0
        for name, facts in store.facts():
            if is_of_kind(str(facts.get("kind", "")), settings.kinds):
                parts[split_by(name, facts, settings)].append(Place(store, name, facts))
                chosen += 1
        with Path(path).open("rb") as file:
            sources[Path(path).name] = (hashlib.file_digest(file, "sha256").hexdigest(), chosen)
    if not parts[TRAIN]:
        raise SettingsError(f"no structure to train on in {', '.join(settings.data)}; check kinds and validation")
    names = Counter(each.name for group in parts.values() for each in group)
    if twice := [name for name, count in names.items() if count > 1]:
        raise SettingsError(f"the entry {twice[0]} is in two of the stores; each structure may be there once")
    known = frozenset().union(*(each.elements for each in parts[TRAIN]))
    aside = [[each for each in parts[part] if each.elements <= known] for part in (VALIDATION, HELD_OUT)]
    kept = len(parts[TRAIN]) + sum(map(len, aside)) <= settings.resident
    train, validation, held_out = (Entries(places, kept) for places in (parts[TRAIN], *aside))
    return Data(train, validation, held_out, sources)


def split_of(entry: Entry, settings: TrainSettings) -> str:
    """Where an entry goes: "train", "validation", "held-out", or "unused" (a fraction below 1)."""
    return split_by(entry.name, dict(entry.attributes) | {"elements": entry.structure.elements}, settings)


def split_by(name: str, facts: Mapping[str, Any], settings: TrainSettings) -> str:
    """:func:`split_of` by the name of an entry and what Store.facts says of it."""
    rule = settings.validation
    if any(fnmatchcase(str(facts.get("kind", "")), pattern) for pattern in rule.hold_out):
        return HELD_OUT
    key = reduced_composition(facts["elements"]) if rule.by == "formula" else name
    where = place(key, {TRAIN: 1 - rule.share, VALIDATION: rule.share}, rule.seed)
    if where == TRAIN and place(name, {TRAIN: settings.fraction, UNUSED: 1 - settings.fraction}, 1) == UNUSED:
        return UNUSED
    return where


def is_of_kind(kind: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns (* matches) is this kind; without any, each kind is wanted."""
    return not patterns or any(fnmatchcase(kind, pattern) for pattern in patterns)


def was_kept_aside(entry: Entry, settings: TrainSettings) -> bool:
    """Whether a training with these settings put an entry aside, if it had it."""
    return split_of(entry, settings) not in (TRAIN, UNUSED)
