"""An index of stores: where each entry lies and what it is, so that many stores are one data set without a copy.

    /                    attributes format, format_version, chgtools_version; the rule of the splits
    /stores/path         (s,) relative to the folder of the index; size (s,) bytes and mtime_ns (s,), to tell a change
    /entries/name        (n,) of the entry here; entry (n,) in its store; store (n,) its number
    /entries/formula, kind, source_sha256, split     (n,) words, "" where there is none
    /entries/composition (n,) "Al4 O6", in the order of the atoms
    /entries/functional  (n,) "PBE", "" where it is not known; not in indexes of earlier versions
    /entries/labels, moments_on                      (n,) "Fe_pv O", of groups of atoms; "Fe", elements; "" for none
    /entries/n_atoms, n_waves, spins                 (n,) n_waves of the difference density, spins 0, 1 or 3 blocks
    /entries/nelectrons, saed_eps_mae_percent        (n,) NaN where a store does not say it

Words are UTF-8 of fixed length, so that 100,000 entries are read at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import FormatError
from chgtools.formats import hdf5

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND = hdf5.Kind("chgtools index of stores", 1, "index of stores", "chgtools dataset join")
_OF_RUN = ("composition", "labels", "moments_on", "functional")
WORDS = ("name", "entry", "formula", "kind", "source_sha256", "split", *_OF_RUN)
COUNTS = ("store", "n_atoms", "n_waves", "spins")
FIGURES = ("nelectrons", "saed_eps_mae_percent")
_COLUMNS = (*WORDS, *COUNTS, *FIGURES)
_MEND = "join the stores again"


@dataclass(frozen=True, eq=False)
class Index:
    """The index of stores.

    stores : paths, relative to the folder of the index; stamps : (size in bytes, time of change in ns) of each
    columns : {column: (n,)}, words as bytes; rule : of the splits, {} where there are none
    """

    stores: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    columns: Mapping[str, NDArray[Any]]
    rule: Mapping[str, Any]

    def names(self) -> list[str]:
        return words_of(self.columns["name"])

    def place(self, row: int) -> tuple[int, str]:
        """(number of the store, name in it) of an entry."""
        return int(self.columns["store"][row]), self.columns["entry"][row].decode()

    def facts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, what is known of it): attributes of the store, ``elements`` (one per atom), ``n_waves``, ``spins``,
        ``labels`` and ``moments_on``."""
        words = ("formula", "kind", "source_sha256", "split", "functional")
        columns = {name: values.tolist() for name, values in self.columns.items()}
        for row, name in enumerate(columns["name"]):
            known = {column: word.decode() for column in words if (word := columns[column][row])}
            known |= {column: figure for column in FIGURES if (figure := columns[column][row]) == figure}  # no NaN
            known["elements"] = elements_of(columns["composition"][row].decode())
            known |= {column: int(columns[column][row]) for column in ("n_waves", "spins")}
            known |= {column: tuple(columns[column][row].decode().split()) for column in ("labels", "moments_on")}
            yield name.decode(), known

    def in_split(self, split: str) -> list[str]:
        return words_of(self.columns["name"][self.columns["split"] == split.encode()])

    def with_splits(self, chosen: Mapping[str, str], rule: Mapping[str, Any]) -> Index:
        """chosen : {name: split} of every entry."""
        column = _bytes([chosen[name] for name in self.names()])
        return replace(self, columns={**self.columns, "split": column}, rule=dict(rule))

    @classmethod
    def of(cls, stores: Sequence[str], stamps: Sequence[tuple[int, int]], rows: Sequence[Mapping[str, Any]]) -> Index:
        """rows : {column: value} of each entry, without ``split``; ``elements`` for composition and n_atoms."""
        columns: dict[str, NDArray[Any]] = {"split": _bytes([""] * len(rows))}
        columns["composition"] = _bytes([composition_of(row["elements"]) for row in rows])
        columns["n_atoms"] = np.array([len(row["elements"]) for row in rows], dtype=np.int64)
        for column in _COLUMNS:
            if column not in columns:
                values = [row[column] for row in rows]
                kind: Any = np.float64 if column in FIGURES else np.int64
                columns[column] = _bytes(values) if column in WORDS else np.array(values, dtype=kind)
        return cls(tuple(stores), tuple(stamps), columns, {})


def read_index(path: str | Path) -> Index:
    """Raises FormatError for a file that is no index, or whose columns do not fit together."""
    with hdf5.reading(path, KIND) as file, hdf5.sense(path, _MEND):
        stores, entries = file["stores"], file["entries"]
        if not (hasattr(stores, "keys") and hasattr(entries, "keys")):
            raise FormatError("has no groups of stores and entries; join the stores again", path)
        paths = tuple(hdf5.words(stores, "path"))
        sizes, times = (hdf5.numbers(stores, name, ndim=1).astype(np.int64) for name in ("size", "mtime_ns"))
        columns = {name: _column(entries, name) for name in _COLUMNS if name in entries or name != "functional"}
        columns.setdefault("functional", _bytes([""] * len(columns["name"])))
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1 or not len(paths) == len(sizes) == len(times):
            raise FormatError("has columns of several lengths; join the stores again", path)
        number = columns["store"]
        if len(number) and number.max() >= len(paths):
            raise FormatError(f"names stores beyond the {len(paths)} that it has; join them again", path)
        if len(np.unique(columns["name"])) != len(number):
            raise FormatError("has a name twice; join the stores again", path)
        # split_by is written last, as in a store
        rule = {key: file.attrs[key] for key in file.attrs if key.startswith("split_") and "split_by" in file.attrs}
    return Index(paths, tuple(zip(sizes.tolist(), times.tolist(), strict=True)), columns, rule)


def write_index(path: str | Path, index: Index) -> None:
    """A complete index, or the one that there was. Raises ChgtoolsError when it cannot be written."""
    with hdf5.writing(path, KIND) as file:
        stores, entries = file.create_group("stores"), file.create_group("entries")
        stores["path"] = _bytes(index.stores)
        stores["size"], stores["mtime_ns"] = np.array(index.stamps, dtype=np.int64).reshape(-1, 2).T
        for name, values in index.columns.items():
            packed = {"compression": "gzip", "shuffle": True} if len(values) else {}
            entries.create_dataset(name, data=values, **packed)
        for key, value in index.rule.items():
            file.attrs[key] = value


def words_of(column: NDArray[Any]) -> list[str]:
    return [word.decode() for word in column.tolist()]


def composition_of(elements: Iterable[str]) -> str:
    """Al4 O6 of four Al and six O behind them."""
    return " ".join(f"{element}{len(list(run))}" for element, run in groupby(elements))


def elements_of(composition: str) -> list[str]:
    """One per atom, of what composition_of made. Raises ValueError for anything else."""
    return list(_elements(composition))


@lru_cache(maxsize=4096)
def _elements(composition: str) -> tuple[str, ...]:
    found = []
    for word in composition.split():
        run = re.fullmatch(r"([A-Za-z]+)(\d{1,6})", word, re.ASCII)  # no cell has more, and a damage might
        if run is None:
            raise ValueError(f"found the composition {composition[:40]!r}; wanted elements with their numbers")
        found += [run[1]] * int(run[2])
    return tuple(found)


def _column(group: Any, name: str) -> NDArray[Any]:
    if name in WORDS:
        values = hdf5.array(group, name)
        if values.ndim != 1 or values.dtype.kind != "S":
            raise ValueError(f"{name} has the shape {values.shape} of {values.dtype}, wanted a list of words")
        b" ".join(values.tolist()).decode()  # raises ValueError where it is no text
        return values
    values = hdf5.reals(group, name)
    if values.ndim != 1 or np.isinf(values).any() or (name in COUNTS and not (values >= 0).all()):
        raise ValueError(f"{name} holds what is no {'number of things' if name in COUNTS else 'figure'}")
    return values.astype(np.int64) if name in COUNTS else values


def _bytes(words: Sequence[str]) -> NDArray[Any]:
    return np.array([word.encode() for word in words] or [b""], dtype=np.bytes_)[: len(words)]
