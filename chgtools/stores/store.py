"""A store of difference densities: one HDF5 file, one group per structure.

    /                    attributes format, format_version, chgtools_version, units; the rule of the splits
    /NAME                attributes formula, kind, source, g_max (1/bohr), nelectrons, truncation_percent,
                         saed_eps_mae_percent, dcd_0 and magnetisation_0 (V·n_0 in electrons and μ_B, 0 where absent),
                         source_sha256, functional ("" where it is not known), split, and counts, labels, zvals,
                         density_sources of the groups of atoms where they are known
    /NAME/lattice        (3, 3) Å, rows
    /NAME/species        (n_atoms,) bytes, one element per atom
    /NAME/fractional     (n_atoms, 3)
    /NAME/shape          (3,) nx, ny, nz of the grid the density came on
    /NAME/dcd            (n, 2) float32: real and imaginary part of V·[n_SCF − n_SAED]_G in electrons over
                         half_sphere(lattice, g_max), G = 0 left out
    /NAME/magnetisation  (n, 2) or (3, n, 2) likewise, in μ_B, where spin-polarised; then the attribute start_moments
                         (1 or 3, n_atoms) μ_B, where the file said them
    /NAME/records        (n_blocks, n) float32 augmentation records, one atom's behind the other's, where the CHGCAR
                         had them; records_imaginary likewise; records_length (n_atoms,); channels: "0 0 1 1" for each
                         group of atoms, "" where they are not known

Stores of other programs with this layout and without attributes at the root are read as well. g_max is in 1/bohr in
the file and in 1/Å everywhere else; ``entry.g_max_per_angstrom`` is that border.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from chgtools.errors import ChgtoolsError
from chgtools.formats import hdf5
from chgtools.stores import index as indices
from chgtools.stores.entry import Entry, elements_of, fill_group, read_entry
from chgtools.stores.index import Index
from chgtools.stores.moments import elements_with_moments

_UNFINISHED = "_unfinished"
_MEND = "build it again"


def names_in(file: Any) -> list[str]:
    """Names of the entries of an open store."""
    # a dangling link has no item
    groups = ((name, file.get(name)) for name in file if name != _UNFINISHED)
    return [name for name, group in groups if hasattr(group, "keys") and "dcd" in group and "lattice" in group]


def _is_nameless_store(file: Any) -> bool:
    """Other programs write stores without attributes at the root."""
    return bool(names_in(file))


KIND = hdf5.Kind(
    "chgtools store of difference densities",
    1,
    "store of difference densities",
    "chgtools dataset build",
    shared=True,
    nameless=_is_nameless_store,
)


class Store(Mapping[str, Entry]):
    """The entries of a store by name. Each is read when it is asked for; none is kept, and no file stays open.

    So a Store can be handed to other processes. ``Store.open`` raises FormatError for a file that is no store; of an
    index of stores it makes one Store of all that they hold.
    """

    def __init__(self, path: Path, names: Sequence[str], rule: Mapping[str, Any]) -> None:
        self.path = path
        self.split_rule = dict(rule)  # {} where no split was made
        self._names = dict.fromkeys(names)

    @classmethod
    def open(cls, path: str | Path) -> Store:
        if hdf5.is_of(path, indices.KIND):
            return JoinedStore(Path(path), indices.read_index(path))
        with opened(path) as file, hdf5.sense(path, _MEND):
            # split_by is written last: without it a split was never made, or stopped on the way
            rule = {key: file.attrs[key] for key in file.attrs if key.startswith("split_") and "split_by" in file.attrs}
            return cls(Path(path), names_in(file), rule)

    def __getitem__(self, name: str) -> Entry:
        path, key = self.where(name)
        with opened(path) as file:
            return entry_in(file, key, path)

    def where(self, name: str) -> tuple[Path, str]:
        """The file that holds an entry, and its name there. Raises ChgtoolsError when there is none of the name."""
        self._require(name)
        return self.path, name

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def facts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, what is known of it) of each entry, without its coefficients.

        Known are its attributes, ``elements`` (one per atom), ``n_waves`` of the difference density, ``spins``, the
        blocks of its magnetisation (0, 1 or 3), and ``moments_on``, the elements that it started with moments on. Of an
        index those attributes that it has (chgtools.stores.index).
        """
        with opened(self.path) as file:
            for name in self:
                with sense_of(self.path, name):
                    known = facts_of(file[name])
                yield name, known

    def in_split(self, split: str) -> list[str]:
        """Names of the entries of a split, such as "train". Raises ChgtoolsError when no split has been made."""
        if not self.split_rule:
            raise ChgtoolsError(f"{self.path} has no splits; make them with chgtools dataset split")
        return self._names_in(split)

    def put_splits(self, chosen: Mapping[str, str], rule: Mapping[str, Any]) -> None:
        """Write the split of every entry, in place of what there was. chosen : {name: split}; rule : with "split_by"

        This object knows what it knew when it was opened. Raises ChgtoolsError when the file cannot be written.
        """
        with writable(self.path) as file:
            # The rule is what says that all entries have their split: away first, back last
            for key in [key for key in file.attrs if key.startswith("split_")]:
                del file.attrs[key]
            file.flush()
            for name, where in chosen.items():
                file[name].attrs["split"] = where
            for key in sorted(rule, key=lambda key: key == "split_by"):
                file.attrs[key] = rule[key]

    def parts(self) -> list[Path]:
        """The files that hold the entries."""
        return [self.path]

    def _names_in(self, split: str) -> list[str]:
        return [name for name, facts in self.facts() if facts.get("split") == split]

    def _require(self, name: str) -> None:
        if name not in self._names:
            import difflib

            near = difflib.get_close_matches(name, self._names, n=3) or list(self._names)[:3]
            raise ChgtoolsError(f"{self.path} has no entry {name!r}; it has {len(self)}, such as {', '.join(near)}")


class JoinedStore(Store):
    """The entries of many stores, by an index of them; each is read from the store that it lies in.

    index : what is known of all without opening a store
    """

    def __init__(self, path: Path, index: Index) -> None:
        names = index.names()
        super().__init__(path, names, index.rule)
        self.index = index
        self._rows = dict(zip(names, range(len(names)), strict=True))

    def __getitem__(self, name: str) -> Entry:
        part, inside = self.where(name)
        with opened(part) as file:
            if inside not in file:
                raise ChgtoolsError(f"{part} has no entry {inside} any more; {self._again}")
            entry = entry_in(file, inside, part)
        return entry if inside == name else replace(entry, name=name)

    def where(self, name: str) -> tuple[Path, str]:
        self._require(name)
        number, inside = self.index.place(self._rows[name])
        return self._unchanged(number), inside

    def facts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with hdf5.sense(self.path, "join the stores again"):
            yield from self.index.facts()

    def put_splits(self, chosen: Mapping[str, str], rule: Mapping[str, Any]) -> None:
        """Write the split of every entry to the index alone; see :meth:`Store.put_splits`."""
        indices.write_index(self.path, self.index.with_splits(chosen, rule))

    def parts(self) -> list[Path]:
        """The stores. Raises ChgtoolsError when one is gone or has changed."""
        return [self._unchanged(number) for number in range(len(self.index.stores))]

    def _names_in(self, split: str) -> list[str]:
        return self.index.in_split(split)

    @property
    def _again(self) -> str:
        return f"join again: chgtools dataset join -o {self.path} --force STORES"

    def _unchanged(self, number: int) -> Path:
        """A store that is as it was when it was joined."""
        part = self.path.parent / self.index.stores[number]
        try:
            status = part.stat()
        except OSError as error:
            raise ChgtoolsError(
                f"{part}, a store of {self.path}, cannot be read ({error.strerror}); bring it back, or {self._again}"
            ) from error
        if (status.st_size, status.st_mtime_ns) != self.index.stamps[number]:
            raise ChgtoolsError(f"{part} has changed since it was joined to {self.path}; {self._again}")
        return part


def sense_of(path: str | Path, name: str) -> AbstractContextManager[None]:
    """Reading of pieces of an entry: what a damaged one brings about becomes a FormatError."""
    return hdf5.sense(path, _MEND, f"entry {name}")


def facts_of(group: Any, attributes: Collection[str] | None = None) -> dict[str, Any]:
    """What :meth:`Store.facts` tells of the entry of a group.

    attributes : those that are wanted, since each is read by itself; by default all
    """
    given = group.attrs
    known = dict(given) if attributes is None else {name: given[name] for name in attributes if name in given}
    shape = group["magnetisation"].shape[:-2] if "magnetisation" in group else (0,)
    elements, spins = elements_of(group), int(shape[0]) if shape else 1
    return known | {
        "elements": elements,
        "n_waves": int(group["dcd"].shape[0]),
        "spins": spins,
        "moments_on": elements_with_moments(elements, given.get("start_moments")) if spins else (),
    }


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """The HDF5 file of a store for reading. Raises FormatError when it is none."""
    with hdf5.reading(path, KIND) as file:
        yield file


def entry_in(file: Any, name: str, path: str | Path) -> Entry:
    """An entry of the open file of a store at ``path``. Raises FormatError when it is damaged."""
    with sense_of(path, name):
        group = file[name]
    return read_entry(group, path)


@contextmanager
def writable(path: str | Path) -> Iterator[Any]:
    """The HDF5 file of a store for writing, made when it is not there; what an earlier run left unfinished is removed.

    Raises FormatError when the file is there and is no store, ChgtoolsError when it cannot be written.
    """
    with hdf5.changing(path, KIND) as file:
        if _UNFINISHED in file:
            del file[_UNFINISHED]
        if "units" not in file.attrs and "format" in file.attrs:
            file.attrs["units"] = (
                "dcd: electrons (V n_G); magnetisation: mu_B (V m_G); lattice: angstrom; g_max: 1/bohr"
            )
        yield file


@contextmanager
def new_group(file: Any, name: str) -> Iterator[Any]:
    """A group to be filled, which gets its name when the block ends well and is removed otherwise."""
    group = file.create_group(_UNFINISHED)
    try:
        yield group
        file.flush()
        file.move(_UNFINISHED, name)
    finally:
        if _UNFINISHED in file:
            del file[_UNFINISHED]
        file.flush()


def write_entry(file: Any, entry: Entry) -> None:
    """Add an entry to an open store. Raises ChgtoolsError when its name is taken."""
    if entry.name in file:
        raise ChgtoolsError(f"{file.filename} has an entry {entry.name!r} already; names are unique")
    with new_group(file, entry.name) as group:
        fill_group(group, entry)
