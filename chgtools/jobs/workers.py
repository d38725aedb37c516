"""Processes that do one item each at a time, so that one that is killed loses its item and no other.

concurrent.futures gives up all items when one process dies. Here every process has a pipe of its own: its end tells
that it died, and a new one takes its place. A process ends when the one that started it is gone, however it went. The
threads of linear algebra are shared out among them, unless the environment says how many there are to be.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from chgtools.errors import ChgtoolsError
from chgtools.jobs.cores import cores

T = TypeVar("T")
Ask = Callable[[Any], Any]
_READY, _ASKS, _DONE = "ready", "asks", "done"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Killed:
    """What came of an item whose process died.

    code : its exit code, -9 for one that SIGKILL ended; begun : whether the process had come so far as to take items
    """

    code: int
    begun: bool = True

    def __str__(self) -> str:
        if self.code >= 0:
            return f"its process ended with exit code {self.code}"
        names = {int(each): each.name for each in signal.Signals}
        return f"its process was ended by {names.get(-self.code, f'signal {-self.code}')}"


def run(
    work: Callable[[T, Ask], Any], items: Iterable[T], count: int, answer: Callable[[T, Any], Any]
) -> Iterator[tuple[T, Any]]:
    """(item, what ``work`` returns of it) as they are done, or (item, Killed) where its process died.

    work : called with an item and a function that asks the calling process; in processes of their own it must be
        importable, and raise nothing
    items : taken one by one, as a process is free
    count : processes; 0 does all in this one
    answer : called here with the item and what was asked
    Raises ChgtoolsError when a process cannot be started.
    """
    if count == 0:
        for item in items:
            yield item, work(item, partial(answer, item))
        return
    share = max(cores() // count, 1)
    free, busy = [_Slot(work, share) for _ in range(count)], list[_Slot]()
    try:
        yield from _in_processes(iter(items), free, busy, answer)
    finally:
        for slot in [*free, *busy]:
            slot.end()


def _in_processes(
    waiting: Iterator[Any], free: list[_Slot], busy: list[_Slot], answer: Callable[[Any, Any], Any]
) -> Iterator[tuple[Any, Any]]:
    any_begun = False
    while True:
        _give_out(waiting, free, busy)
        if not busy:
            return
        for slot in _heard(busy):
            result = slot.hear(answer)
            any_begun = any_begun or slot.begun
            if isinstance(result, Killed) and not any_begun:
                raise ChgtoolsError(f"no process to work in can be started: {result}")
            if result is not _NOTHING:
                busy.remove(slot)
                free.append(slot)
                yield slot.item, result


def _give_out(waiting: Iterator[Any], free: list[_Slot], busy: list[_Slot]) -> None:
    """An item for each free process, as long as there are any."""
    while free and (item := next(waiting, _NOTHING)) is not _NOTHING:
        slot = free.pop()
        slot.begin(item)
        busy.append(slot)


_NOTHING: Any = object()


def _heard(slots: list[_Slot]) -> list[_Slot]:
    ready = set(map(id, wait([slot.pipe for slot in slots])))
    return [slot for slot in slots if id(slot.pipe) in ready]


@dataclass(eq=False)
class _Slot:
    """A process and what it works on; it is started with its first item, and again after it died.

    threads : of its linear algebra
    begun : whether the process that there is, or the last that there was, came so far as to take items
    """

    work: Callable[..., Any]
    threads: int
    item: Any = None
    pipe: Any = None
    process: Any = None
    begun: bool = False

    def begin(self, item: Any) -> None:
        self.item = item
        if self.process is not None and not self.process.is_alive():
            self.end()  # it died while it had nothing to do
        if self.process is None:
            self.begun = False
            context = get_context("spawn")  # a fork takes over the threads of compiled kernels, and hangs
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
            with _threads(self.threads):
                self.process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
        with suppress(OSError):  # of a process that died just now; hear() tells
            self.pipe.send(item)

    def hear(self, answer: Callable[[Any, Any], Any]) -> Any:
        """What is done, Killed, or _NOTHING when the process goes on."""
        try:
            what, value = self.pipe.recv()
            if what == _ASKS:
                self.pipe.send(answer(self.item, value))
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            self.end()
            return Killed(code, self.begun)
        self.begun = True
        return value if what == _DONE else _NOTHING

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Within the block processes are started with so many threads each; what the environment names is kept."""
    unnamed = [name for name in THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unnamed, str(count)))
    try:
        yield
    finally:
        for name in unnamed:
            del os.environ[name]


def _serve(pipe: Connection, work: Callable[[Any, Ask], Any]) -> None:
    """What a process does: one item after the other, until nobody is there to give one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def ask(asked: Any) -> Any:
        pipe.send((_ASKS, asked))
        return pipe.recv()

    with suppress(EOFError, BrokenPipeError):
        pipe.send((_READY, None))
        while True:
            pipe.send((_DONE, work(pipe.recv(), ask)))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
