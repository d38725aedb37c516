"""Many stores as one data set: the index of what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.formats import hdf5
from chgtools.stores import index
from chgtools.stores.entry import identity_of
from chgtools.stores.progress import stamp_of
from chgtools.stores.store import facts_of, names_in, opened, sense_of

_ATTRIBUTES = ("formula", "kind", "functional", "source_sha256", "labels", "nelectrons", "saed_eps_mae_percent")


@dataclass(frozen=True)
class Joined:
    """entries : in the index; stores : that they lie in; left_out : what an earlier store had already"""

    entries: int
    stores: int
    left_out: int


def join(path: str | Path, stores: Iterable[str | Path]) -> Joined:
    """Write an index of stores, which chgtools.stores.store.Store.open takes as a store; splits are not taken along.

    A source that is in two stores is taken from the first. Two entries of one name get part of their SHA-256 behind it.
    Raises FormatError for a file that is no store, SettingsError for an index among them, ChgtoolsError where ``path``
    is there and is no index.
    """
    path, parts = Path(path), [Path(store) for store in stores]
    if path.exists() and not hdf5.is_of(path, index.KIND):
        raise ChgtoolsError(f"{path} is there and is no index of stores; it is not replaced, name another")
    gathered = _Gathered()
    stamps = []
    for number, part in enumerate(parts):
        if hdf5.is_of(part, index.KIND):
            raise SettingsError(f"{part} is an index itself; name the stores that it was made of")
        stamps.append(stamp_of(part) or (0, 0))  # before it is read: what is written meanwhile is a change
        with opened(part) as file:
            for entry in names_in(file):
                gathered.add(_row(file[entry], entry, part) | {"store": number})
    folder = path.absolute().parent
    relative = [Path(os.path.relpath(part.absolute(), folder)).as_posix() for part in parts]
    index.write_index(path, index.Index.of(relative, stamps, gathered.rows))
    return Joined(len(gathered.rows), len(parts), gathered.left_out)


@dataclass
class _Gathered:
    """The rows of an index that is being made."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    identities: set[str] = field(default_factory=set)
    left_out: int = 0

    def add(self, row: dict[str, Any]) -> None:
        entry, identity = row["entry"], row["source_sha256"]
        if identity in self.identities:
            self.left_out += 1
            return
        name = entry if entry not in self.names else f"{entry}-{identity[:12]}"
        self.identities.add(identity)
        self.names.add(name)
        self.rows.append(row | {"name": name})


def _row(group: Any, entry: str, path: Path) -> dict[str, Any]:
    """What the index says of an entry."""
    with sense_of(path, entry):
        facts = facts_of(group, _ATTRIBUTES)
        return {
            "entry": entry,
            "formula": str(facts.get("formula", "")),
            "kind": str(facts.get("kind", "")),
            "functional": str(facts.get("functional", "")),
            "source_sha256": str(facts["source_sha256"]) if "source_sha256" in facts else identity_of(group),
            "elements": facts["elements"],
            "n_waves": facts["n_waves"],
            "spins": facts["spins"],
            "labels": " ".join(str(label) for label in facts.get("labels", ())),
            "moments_on": " ".join(facts["moments_on"]),
            "nelectrons": float(facts.get("nelectrons", "nan")),
            "saed_eps_mae_percent": float(facts.get("saed_eps_mae_percent", "nan")),
        }
