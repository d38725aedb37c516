"""Members of packed tars for a build, each archive read once from its beginning to its end.

A packed tar has no way to a member but through all before it. So the process that gives out the work reads it once, in
its order, and hands each density to a worker in memory with the inputs of its run, which may lie before or behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from chgtools.errors import ChgtoolsError
from chgtools.formats import archives, quantum_espresso
from chgtools.formats.streams import stem
from chgtools.run.folder import INPUTS

MOST_WAITING = 1 << 30  # bytes that wait for inputs which lie far behind; densities beyond are read by themselves
_BESIDE = (*INPUTS, "CONTCAR")
Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Task:
    """One source of a build. poscar : that of its run, or None; stamp : size and time of the file

    members : {name: bytes} of what the archive it lies in has of it, where that is in memory
    """

    path: Path
    poscar: Path | None
    stamp: Stamp
    members: Mapping[str, bytes] | None = field(default=None, compare=False, repr=False)

    def at_hand(self) -> AbstractContextManager[None]:
        """Within it the archive is read from memory, where members are there."""
        return nullcontext() if self.members is None else archives.held(archives.split(self.path)[0], self.members)


def in_order(tasks: Iterable[Task]) -> Iterator[Task]:
    """The tasks, those of one packed tar in the order of the archive and with their members in memory.

    Of neighbours, that is: a list may go from archive to archive. Where an archive cannot be read its tasks come as
    they are, and whoever reads them says why.
    """
    for file, group in groupby(tasks, key=_packed_tar_of):
        waiting = list(group)
        yield from waiting if file is None else _Pass(file, waiting).tasks()


def _is_beside(name: str) -> bool:
    """Whether a file may be read together with a density in its folder."""
    return name.partition(".")[0] in _BESIDE or name == quantum_espresso.SCHEMA or name.endswith(".XV")


def _packed_tar_of(task: Task) -> Path | None:
    file, inside = archives.split(task.path)
    return file if inside and archives.is_packed_tar(file) else None


class _Pass:
    """One pass over an archive, with the tasks by number that are not given out yet and the members they lack."""

    def __init__(self, file: Path, tasks: list[Task]) -> None:
        self._file, self._tasks = file, tasks
        self._needs: list[list[str]] = []
        self._lacks = {number: set[str]() for number in range(len(tasks))}
        self._wanted_by: dict[str, list[int]] = {}
        self._uses: Counter[str] = Counter()  # how many of the tasks that wait need a member
        self._there: dict[str, bytes] = {}
        self._size = 0  # of what is there

    def tasks(self) -> Iterator[Task]:
        try:
            self._plan()
            for name, content in archives.passing(self._file, self._wanted_by):
                yield from self._with(name, content)
        except ChgtoolsError:
            pass  # whoever reads the others says why
        for number in self._lacks:
            yield self._tasks[number]

    def _plan(self) -> None:
        """Which members each task needs: its own, and the inputs of its run in its folder and the one above."""
        inputs: dict[PurePosixPath, list[str]] = {}
        for name in archives.readable_in(self._file):
            if _is_beside(stem(name)):
                inputs.setdefault(PurePosixPath(name).parent, []).append(name)
        for number, task in enumerate(self._tasks):
            own = _member(task.path)
            folder = PurePosixPath(own).parent
            needs = [own, *inputs.get(folder, []), *(inputs.get(folder.parent, []) if folder.name else [])]
            if task.poscar is not None and archives.split(task.poscar)[0] == self._file:
                needs.append(_member(task.poscar))
            self._needs.append(list(dict.fromkeys(needs)))
            self._lacks[number].update(needs)
            for name in self._needs[number]:
                self._wanted_by.setdefault(name, []).append(number)
                self._uses[name] += 1

    def _with(self, name: str, content: bytes) -> Iterator[Task]:
        """The tasks that lack nothing now that a member has passed, and those that wait where too much is there."""
        if self._uses[name]:
            self._there[name] = content
            self._size += len(content)
        for number in self._wanted_by[name]:
            if number in self._lacks:
                self._lacks[number].discard(name)
                if not self._lacks[number]:
                    yield self._given_out(number)
        while self._size > MOST_WAITING and self._lacks:
            yield replace(self._given_out(self._longest_waiting()), members=None)

    def _given_out(self, number: int) -> Task:
        """A task with what is there of its members, which are forgotten where no other task waits for them."""
        del self._lacks[number]
        members = {name: self._there[name] for name in self._needs[number] if name in self._there}
        for name in self._needs[number]:
            self._uses[name] -= 1
            if not self._uses[name] and name in self._there:
                self._size -= len(self._there.pop(name))
        return replace(self._tasks[number], members=members)

    def _longest_waiting(self) -> int:
        there = (number for number in self._lacks if not self._there.keys().isdisjoint(self._needs[number]))
        return next(there, next(iter(self._lacks)))


def _member(path: Path) -> str:
    return archives.plain_name(archives.split(path)[1])
