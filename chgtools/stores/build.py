"""Build a store of difference densities from targets of make-dcd, from CHGCARs and from other stores.

Processes compute, one writes. An entry is written whole or not at all, and a source that is in the store already is
told by its SHA-256 and passed over, so a build that was stopped goes on when it is called again.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from chgtools import formats
from chgtools.dcd.difference import difference_density
from chgtools.dcd.pairs import pair_files
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.formats import difference_density as targets
from chgtools.formats import hdf5, vaspwave
from chgtools.formats.streams import is_there, stem
from chgtools.libraries.choice import Source
from chgtools.run.folder import RunFolder
from chgtools.stores.entry import Entry
from chgtools.stores.store import names_in, new_group, opened, writable, write_entry
from chgtools.stores.truncate import TRUNCATION_PERCENT, entry_of


@dataclass(frozen=True)
class BuildOptions:
    """truncation : percent of the electrons that cutting the Fourier series may cost
    kind : what the structures are, such as "surface"; whole kinds can be held out of a split
    source : where the atomic densities of CHGCARs come from; a POTCAR beside a CHGCAR is found
    nelect : electrons of charged cells given as CHGCARs; by default NELECT of the INCAR beside each
    """

    truncation: float = TRUNCATION_PERCENT
    kind: str = "vasp"
    source: Source | None = None
    nelect: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.truncation < 100:
            raise SettingsError(f"found a truncation of {self.truncation:g} percent; wanted more than 0, below 100")


@dataclass(frozen=True)
class Outcome:
    """What became of one source. names : its entries in the store; error : why it failed, or ""; notes : assumptions"""

    path: Path
    status: str  # "added", "present" or "failed"
    names: tuple[str, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()


def sources_of(files: Iterable[Path]) -> list[tuple[Path, Path | None]]:
    """Files as :func:`build` takes them: targets and stores (.h5) first, then CHGCARs, each with the POSCAR behind it.

    Raises SettingsError for a name that is no CHGCAR's and follows none.
    """
    files = list(files)
    charges = [file for file in files if not _is_made(file)]
    ready: list[tuple[Path, Path | None]] = [(file, None) for file in files if _is_made(file)]
    return ready + (pair_files(charges) if charges else [])


def build(
    store: str | Path,
    sources: Iterable[tuple[Path, Path | None]],
    options: BuildOptions | None = None,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """Add sources to a store, made when it is not there; yields one Outcome for each as it is done.

    sources : (file, its POSCAR or None); a file is a target of make-dcd, a store, or a CHGCAR
    jobs : processes that compute; one writes
    A bad source is reported and stops nothing. Raises FormatError when the store is there and is none, ChgtoolsError
    when it cannot be written or a process was killed.
    """
    options, store = options or BuildOptions(), Path(store)
    known = _known(store)
    pending: dict[Future[Outcome | tuple[Entry, Outcome]], Path] = {}
    pool = ProcessPoolExecutor(jobs, get_context("spawn")) if jobs > 1 else None
    try:
        for path, poscar in sources:
            identity = _settled(store, path, known)
            if isinstance(identity, Outcome):
                yield identity
                continue
            known[identity] = ""  # a second copy among the sources is passed over too
            if pool is None:
                yield _take_in(store, _compute(path, poscar, identity, options), known)
                continue
            pending[pool.submit(_compute, path, poscar, identity, options)] = path
            while len(pending) > 2 * jobs:  # what waits to be written stays bounded
                yield from _finish(store, pending, known)
        while pending:
            yield from _finish(store, pending, known)
    except BrokenProcessPool as error:
        raise ChgtoolsError(
            f"a process was killed (out of memory?); {store} keeps what is done: build again with fewer --jobs"
        ) from error
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _settled(store: Path, path: Path, known: dict[str, str]) -> Outcome | str:
    """What became of a source that nothing is computed for, such as another store, or the identity of any other."""
    try:
        if is_store(path):
            return _copy_store(store, path, known)
        identity = _identity(path)
    except (ChgtoolsError, OSError) as error:
        return Outcome(path, "failed", error=_sentence(error))
    if identity in known:
        return Outcome(path, "present", tuple(name for name in [known[identity]] if name))
    return identity


def _finish(store: Path, pending: dict[Future[Any], Path], known: dict[str, str]) -> Iterator[Outcome]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        del pending[future]
        yield _take_in(store, future.result(), known)


def _take_in(store: Path, result: Outcome | tuple[Entry, Outcome], known: dict[str, str]) -> Outcome:
    if isinstance(result, Outcome):
        return result
    entry, outcome = result
    with writable(store) as file:
        write_entry(file, entry)
    known[str(entry.attributes["source_sha256"])] = entry.name
    return outcome


def _compute(path: Path, poscar: Path | None, identity: str, options: BuildOptions) -> Outcome | tuple[Entry, Outcome]:
    """The work of one process: no bad input leaves it as an exception."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            entry, notes = _entry_of_file(path, poscar, identity, options)
        except (ChgtoolsError, OSError, MemoryError) as error:
            return Outcome(path, "failed", error=_sentence(error))
    notes += tuple(str(warning.message) for warning in caught)
    return entry, Outcome(path, "added", (entry.name,), notes=notes)


def _entry_of_file(
    path: Path, poscar: Path | None, identity: str, options: BuildOptions
) -> tuple[Entry, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if _is_made(path):
        difference = targets.read(path)
    else:
        difference = difference_density(
            path, poscar, source=RunFolder.around(path).source(options.source), nelect=options.nelect
        )
        notes = difference.assumptions
    vca = difference.provenance.get("vca")
    if vca:
        raise ChgtoolsError(f"{path}: its atoms are weighted (VCA = {vca}); a store is of whole atoms")
    entry = entry_of(difference, path.name, options.truncation)
    facts = {"kind": options.kind, "source": str(path), "source_sha256": identity}
    name = f"{entry.attributes['formula']}-{_word(path)}-{identity[:12]}"
    return replace(entry, name=name, attributes=dict(entry.attributes) | facts), notes


def _word(path: Path) -> str:
    """What a source is called: its name, or its folder's where the name says only what kind of file it is."""
    name = stem(path)
    for suffix in (".h5", ".dcd", ".CHGCAR", ".CHG"):
        name = name.removesuffix(suffix)
    if name in ("CHGCAR", "CHG", "dcd", "target"):
        name = path.resolve().parent.name or name
    return re.sub(r"[^\w.+-]+", "_", name)


def _known(store: Path) -> dict[str, str]:
    """{identity: name} of what a store holds."""
    if not store.exists():
        return {}
    with opened(store) as file:
        return {_identity_of_group(file[name]): name for name in names_in(file)}


def _identity_of_group(group: Any) -> str:
    """The SHA-256 of an entry's source, or of its numbers where the source is not known."""
    if "source_sha256" in group.attrs:
        return str(group.attrs["source_sha256"])
    digest = hashlib.sha256()
    for name in ("lattice", "species", "fractional", "dcd"):
        digest.update(np.ascontiguousarray(group[name][()]).tobytes())
    return digest.hexdigest()


def is_store(path: Path) -> bool:
    """Whether a file is HDF5 and no target of make-dcd; what it is then shows when it is opened."""
    return hdf5.name_of(path) not in (None, targets.KIND.name) and not vaspwave.holds_one(path)


def _is_made(path: Path) -> bool:
    """Whether a file is HDF5 of chgtools, by its name where it is not there or is none."""
    if is_there(path) and vaspwave.holds_one(path):
        return False
    return path.suffix == ".h5" or hdf5.name_of(path) is not None


def _identity(path: Path) -> str:
    """SHA-256 of the CHGCAR a source is or was made from, or of the file itself where that is not known."""
    if hdf5.name_of(path) == targets.KIND.name:
        with hdf5.reading(path, targets.KIND) as file:
            known = str(file.attrs.get("source_sha256", ""))
        if known:
            return known
    return formats.digest(path)


def _copy_store(store: Path, path: Path, known: dict[str, str]) -> Outcome:
    """Copy what another store holds, entry by entry, under the same names; splits are not taken along."""
    if store.exists() and store.samefile(path):
        raise ChgtoolsError(f"{path} is the store itself; name other sources")
    added = []
    with opened(path) as source, writable(store) as file:
        for name in names_in(source):
            identity = _identity_of_group(source[name])
            if identity in known:
                continue
            free = name if name not in file else f"{name}-{identity[:12]}"
            with new_group(file, free) as group:
                _copy_entry(source[name], group, identity)
            known[identity] = free
            added.append(free)
    return Outcome(path, "added" if added else "present", tuple(added))


def _copy_entry(entry: Any, group: Any, identity: str) -> None:
    """Fill a new group with what the group of an entry in another file holds."""
    for item in entry:
        entry.copy(entry[item], group)
    for key, value in entry.attrs.items():
        if key != "split":
            group.attrs[key] = value
    group.attrs["source_sha256"] = identity


def _sentence(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory for this grid; build with fewer --jobs"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return str(error)
