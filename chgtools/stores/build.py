"""Build a store of difference densities from targets of make-dcd, from CHGCARs and from other stores.

Processes compute, one writes. An entry is written whole or not at all, and a source that is in the store already is
told by its SHA-256 and passed over, so a build that was stopped goes on when it is called again; with its manifest
(chgtools.stores.progress) it does so without reading what is done.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from chgtools import formats
from chgtools.dcd.difference import difference_density
from chgtools.dcd.given import given_difference
from chgtools.dcd.pairs import pair_files
from chgtools.errors import ChgtoolsError, FormatError, SettingsError, sentence_of
from chgtools.formats import difference_density as targets
from chgtools.formats import hdf5, quantum_espresso, siesta_grid, vaspwave
from chgtools.formats.streams import is_there, stem
from chgtools.jobs.workers import Ask, Killed, run
from chgtools.libraries.choice import Source
from chgtools.run.folder import RunFolder
from chgtools.stores.bounds import require_bounded, require_points
from chgtools.stores.entry import Entry, identity_of
from chgtools.stores.one_pass import Task, in_order
from chgtools.stores.progress import Progress, stamp_of
from chgtools.stores.store import Store, names_in, new_group, opened, writable, write_entry
from chgtools.stores.truncate import TRUNCATION_PERCENT, entry_of


@dataclass(frozen=True)
class BuildOptions:
    """truncation : percent of the electrons that cutting the Fourier series may cost
    kind : what the structures are, such as "surface"; whole kinds can be held out of a split
    source : where the atomic densities of CHGCARs come from; a POTCAR beside a CHGCAR is found
    nelect : electrons of charged cells given as CHGCARs; by default NELECT of the INCAR beside each
    max_points : points of the largest grid that is taken; by default whatever fits into the memory
    difference : the files hold difference densities themselves (chgtools.dcd.given), not densities
    """

    truncation: float = TRUNCATION_PERCENT
    kind: str = "vasp"
    source: Source | None = None
    nelect: float | None = None
    max_points: int | None = None
    difference: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.truncation < 100:
            raise SettingsError(f"found a truncation of {self.truncation:g} percent; wanted more than 0, below 100")


ADDED, PRESENT, FAILED, FAILED_BEFORE = "added", "present", "failed", "failed before"


@dataclass(frozen=True)
class Outcome:
    """What became of one source.

    status : "added", "present", "failed", or "failed before" (in an earlier call, and not tried again)
    names : its entries in the store; error : why it failed, or ""; notes : assumptions
    sha256 : of the source, or of the CHGCAR that it was made from; "" where it was not read or is a store
    cpu_seconds : that hashing and computing took
    """

    path: Path
    status: str
    names: tuple[str, ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()
    sha256: str = ""
    cpu_seconds: float = field(default=0.0, compare=False)

    def facts(self) -> dict[str, Any]:
        """What the manifest and ``--json`` say of it, without its path."""
        return {
            "status": self.status,
            "entries": list(self.names),
            "sha256": self.sha256 or None,
            "error": self.error,
            "notes": list(self.notes),
            "cpu_seconds": self.cpu_seconds,
        }


def sources_of(files: Iterable[Path]) -> list[tuple[Path, Path | None]]:
    """Files as :func:`build` takes them: targets and stores (.h5) first, then CHGCARs, each with the POSCAR behind it.

    An archive with several densities, a Parquet file and a pattern of members stand for all that they hold.
    Raises SettingsError for a name that is no CHGCAR's and follows none.
    """
    within: list[tuple[Path, Path | None]] = []
    single = []
    for file in files:
        found = formats.densities_in(file)
        within += [(path, None) for path in found]
        single += [] if found else [file]
    charges = [file for file in single if not _is_made(file)]
    ready: list[tuple[Path, Path | None]] = [(file, None) for file in single if _is_made(file)]
    return ready + within + (pair_files(charges) if charges else [])


def build(
    store: str | Path,
    sources: Iterable[tuple[Path, Path | None]],
    options: BuildOptions | None = None,
    jobs: int = 0,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Add sources to a store, made when it is not there; yields one Outcome for each as it is done.

    sources : (file, its POSCAR or None); a file is a target of make-dcd, a store, or a CHGCAR
    jobs : processes that compute, 0 for this one alone; this one writes
    progress : the manifest; what it knows is passed over
    A bad source is reported and stops nothing, and a process that is killed loses the source that it works on. Raises
    FormatError when the store is there and is none, ChgtoolsError when it or the manifest cannot be written.
    """
    options, contents = options or BuildOptions(), _Contents(Path(store))
    if contents.store.exists():
        with opened(contents.store):  # what is no store stops the build, and is no fault of a source
            pass
    pending = []
    for path, poscar in sources:
        task = Task(path, poscar, stamp_of(path))
        outcome = _settled(task, contents, progress)
        if outcome is None:
            pending.append(task)
        else:
            yield outcome
    if pending:
        contents.names  # noqa: B018, read once, here
    compute = partial(_compute, options=options, processes=max(jobs, 1))
    for task, result in run(compute, in_order(pending), jobs, contents.known_as):
        outcome = contents.take_in(task, result)
        if progress is not None:
            progress.add(task.path, task.stamp, outcome.facts())
        yield outcome


def _settled(task: Task, contents: _Contents, progress: Progress | None) -> Outcome | None:
    """What became of a source that nothing is computed for: one that the manifest knows, or another store."""
    record = None if progress is None else progress.settled(task.path, task.stamp)
    if progress is not None and record is not None:
        return _known_outcome(task.path, record, progress.asked)
    try:
        if not is_store(task.path):
            return None
        outcome = _copy_store(contents.store, task.path, contents.names)
    except (ChgtoolsError, OSError) as error:
        outcome = Outcome(task.path, FAILED, error=_sentence(error))
    if progress is not None:
        progress.add(task.path, task.stamp, outcome.facts())
    return outcome


def _known_outcome(path: Path, record: Mapping[str, Any], asked: str) -> Outcome:
    """What the manifest says of a source, and whether it was done with other options than are asked for now."""
    failed = record["status"] == FAILED
    other = () if failed or record.get("asked") == asked else ("was done with other options, and stays as it is",)
    return Outcome(
        path,
        FAILED_BEFORE if failed else PRESENT,
        tuple(record.get("entries", ())),
        str(record.get("error", "")),
        other,
        str(record.get("sha256") or ""),
    )


@dataclass(eq=False)
class _Contents:
    """What a store holds, for the one process that writes it."""

    store: Path
    computed: dict[Task, str] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[str, str]:
        """{identity: name} of the entries; "" for one that is being computed."""
        return _known(self.store)

    def known_as(self, task: Task, identity: str) -> str | None:
        """The name of the entry of a source; None where it is to be computed, which is noted."""
        name = self.names.get(identity)
        if name is None:
            self.names[identity] = ""  # a second copy among the sources is passed over too
            self.computed[task] = identity
        return name

    def take_in(self, task: Task, result: tuple[Outcome, Entry | None] | Killed) -> Outcome:
        """Write the entry of a source, if there is one."""
        identity = self.computed.pop(task, None)
        if not isinstance(result, Killed):
            outcome, entry = result
            if entry is not None:
                with writable(self.store) as file:
                    write_entry(file, entry)
                self.names[outcome.sha256] = entry.name
                return outcome
        else:
            why = f"{task.path}: {result} (out of memory? try it again with --retry-failed and fewer --jobs)"
            outcome = Outcome(task.path, FAILED, error=why)
        if identity is not None:
            del self.names[identity]  # a copy of it, with another POSCAR beside, may not fail
        return outcome


def _compute(task: Task, ask: Ask, options: BuildOptions, processes: int) -> tuple[Outcome, Entry | None]:
    """The work of one process: no bad input leaves it as an exception, whatever it brings to light.

    ask : tells of the identity of a source the name of its entry, or None where there is none
    """
    started, identity = time.process_time(), ""
    entry: Entry | None = None
    notes: tuple[str, ...] = ()
    error, name = "", None
    with warnings.catch_warnings(record=True) as caught, task.at_hand():
        warnings.simplefilter("always")
        try:
            require_bounded(task.path, options.max_points, processes)
            identity = _identity(task.path)
            name = ask(identity)
            if name is None:
                entry, notes = _entry_of_file(task.path, task.poscar, identity, options)
                require_points(task.path, entry.shape, options.max_points)
        except Exception as problem:
            entry, error = None, _sentence(problem)
    notes = () if error or entry is None else (*notes, *(str(warning.message) for warning in caught))
    names = (entry.name,) if entry is not None else (name,) if name else ()
    status = FAILED if error else PRESENT if entry is None else ADDED
    spent = round(time.process_time() - started, 4)
    return Outcome(task.path, status, names, error, notes, identity, spent), entry


def _entry_of_file(
    path: Path, poscar: Path | None, identity: str, options: BuildOptions
) -> tuple[Entry, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if _is_made(path):
        difference = targets.read(path)
    else:
        source = RunFolder.around(path).source(options.source)
        if options.difference:
            difference = given_difference(path, source, options.nelect)
        else:
            difference = difference_density(path, poscar, source=source, nelect=options.nelect)
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
    if name in ("CHGCAR", "CHG", "dcd", "target", *quantum_espresso.NAMES, *siesta_grid.NAMES):
        name = path.resolve().parent.name or name
    return re.sub(r"[^\w.+-]+", "_", name)


def _known(store: Path) -> dict[str, str]:
    """{identity: name} of what a store holds."""
    if not store.exists():
        return {}
    with opened(store) as file:
        return {identity_of(file[name]): name for name in names_in(file)}


def is_store(path: Path) -> bool:
    """Whether a file is HDF5 and no target of make-dcd; what it is then shows when it is opened."""
    return hdf5.name_of(path) not in (None, targets.KIND.name) and not _is_foreign(path)


def _is_foreign(path: Path) -> bool:
    """Whether a file is HDF5 with a density of another program."""
    programs = (vaspwave, quantum_espresso, siesta_grid)
    return hdf5.is_hdf5(path) and any(program.holds_one(path) for program in programs)


def _is_made(path: Path) -> bool:
    """Whether a file is HDF5 of chgtools, by its name where it is not there or is none."""
    try:
        if is_there(path) and _is_foreign(path):
            return False
        return path.suffix == ".h5" or hdf5.name_of(path) is not None
    except FormatError:  # damaged: whoever reads it says so
        return path.suffix == ".h5"


def _identity(path: Path) -> str:
    """SHA-256 of the CHGCAR a source is or was made from, or of the file itself where that is not known."""
    if hdf5.name_of(path) == targets.KIND.name:
        with hdf5.reading(path, targets.KIND) as file:
            known = str(file.attrs.get("source_sha256", ""))
        if known:
            return known
    return formats.digest(path)


def _copy_store(store: Path, path: Path, known: dict[str, str]) -> Outcome:
    """Copy what another store or an index holds, entry by entry, under the same names; splits are not taken along."""
    added: list[str] = []
    for part in Store.open(path).parts():
        if store.exists() and store.samefile(part):
            raise ChgtoolsError(f"{part} is the store itself; name other sources")
        with opened(part) as source, writable(store) as file:
            added += _copy_entries(source, file, known)
    return Outcome(path, ADDED if added else PRESENT, tuple(added))


def _copy_entries(source: Any, file: Any, known: dict[str, str]) -> Iterator[str]:
    """Copy the entries of one open store to another; yields the name of each."""
    for name in names_in(source):
        identity = identity_of(source[name])
        if identity in known:
            continue
        free = name if name not in file else f"{name}-{identity[:12]}"
        with new_group(file, free) as group:
            _copy_entry(source[name], group, identity)
        known[identity] = free
        yield free


def _copy_entry(entry: Any, group: Any, identity: str) -> None:
    """Fill a new group with what the group of an entry in another file holds."""
    for item in entry:
        entry.copy(entry[item], group)
    for key, value in entry.attrs.items():
        if key != "split":
            group.attrs[key] = value
    group.attrs["source_sha256"] = identity


def _sentence(error: BaseException) -> str:
    return sentence_of(error, "build with fewer --jobs, or leave large grids out by --max-points")
