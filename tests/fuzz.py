"""Damaged files of every kind that chgtools reads: one clear sentence that names the file, or numbers; never anything else.

A loop within libhdf5 cannot be broken from Python: such a file hangs this command (library, seed 2, is one), as it
hangs h5py.

    python tests/fuzz.py --count 20000 --seed 0 --readers CHGCAR INCAR --seconds 600 --keep FOLDER
    python tests/fuzz.py --readers CHGCAR --only 1234 --keep FOLDER      one of them again

Outcomes: "read" (finite numbers), "refused" (ChgtoolsError of one line that names the file), and what is a bug:
TRACEBACK (any other exception, or a warning of NumPy), NAMELESS (a refusal that does not name the file), NAN (numbers
that are not finite), SLOW (more than 2 s of processor for some kB) and FAT (more than 100 MB and twice the file).
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import tracemalloc
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_damages import damaged
from fuzz_originals import KINDS, Kind, made

from chgtools.errors import AssumptionWarning, ChgtoolsError

BUGS = ("TRACEBACK", "NAMELESS", "NAN", "SLOW", "FAT")
OUTCOMES = ("read", "refused", *BUGS)
SLOW_SECONDS, FAT_BYTES = 2.0, 100e6
HANGS_AFTER = 30  # seconds
MOST_BYTES = 3_000_000_000  # beyond what is there already; a reader that wants more gets a MemoryError
NAMED = 3  # bugs of a reader that are shown in full


class Hang(BaseException):
    """Raised by the clock; no Exception, so that no reader takes it for a damaged file."""


def _ring(*_: Any) -> None:
    raise Hang


@dataclass(frozen=True)
class Case:
    """One damaged file of a reader and what became of it."""

    reader: str
    number: int
    outcome: str
    words: str


def content_of(reader: str, number: int, seed: int, originals: list[bytes], path: Path) -> bytes:
    """Damaged file number ``number``."""
    rng = random.Random(f"{seed} {reader} {number}")
    content = damaged(rng, KINDS[reader].make_up, rng.choice(originals), path)
    path.unlink(missing_ok=True)
    return content


def outcome_of(kind: Kind, path: Path) -> tuple[str, str]:
    """(outcome, sentence or the end of the traceback) of reading one file."""
    signal.signal(signal.SIGALRM, _ring)
    signal.alarm(HANGS_AFTER)
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", AssumptionWarning)
            numbers = kind.read(path)
        outcome, words = "read", ""
        if not all(np.isfinite(np.asarray(value)).all() for value in numbers):
            outcome, words = "NAN", "numbers that are not finite"
    except ChgtoolsError as error:
        words = str(error)
        outcome = "refused" if kind.name in words and "\n" not in words else "NAMELESS"
    except Hang:
        outcome, words = "SLOW", f"stopped after {HANGS_AFTER} s"
    except MemoryError as error:
        return "FAT", " ".join(str(error).split())[:150]
    except Exception as error:
        last = [frame for frame in traceback.extract_tb(error.__traceback__) if "chgtools" in frame.filename]
        where = f" at {Path(last[-1].filename).name}:{last[-1].lineno}" if last else ""
        outcome, words = "TRACEBACK", f"{type(error).__name__}: {' '.join(str(error).split())[:150]}{where}"
    finally:
        signal.alarm(0)
    spent, grown = time.process_time() - began, tracemalloc.get_traced_memory()[1] - before
    if outcome != "TRACEBACK" and grown > FAT_BYTES + 2 * path.stat().st_size:
        return "FAT", f"{grown / 1e6:.0f} MB, {words or outcome}"
    if outcome != "TRACEBACK" and spent > SLOW_SECONDS:
        return "SLOW", f"{spent:.1f} s, {words or outcome}"
    return outcome, words


def fuzz(
    reader: str,
    numbers: range,
    seed: int,
    folder: Path,
    *,
    seconds: float = 1e9,
    keep: Path | None = None,
    memory: bool = True,
) -> tuple[Counter[str], list[Case]]:
    """Outcomes of reading damaged files of one kind, and those that are bugs; kept in ``keep``.

    memory : trace it, which takes twice the time; without, only what asks for gigabytes is FAT
    """
    kind, found, bugs = KINDS[reader], Counter[str](), list[Case]()
    originals = made(kind, folder)
    path = folder / kind.name
    for content in originals:  # undamaged ones, which also compiles what is compiled
        path.write_bytes(content)
        kind.read(path)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, limits[1]))
    if memory:
        tracemalloc.start()
    end = time.monotonic() + seconds
    for number in numbers:
        if time.monotonic() > end:
            break
        content = content_of(reader, number, seed, originals, path)
        path.write_bytes(content)
        outcome, words = outcome_of(kind, path)
        path.unlink()
        found[outcome] += 1
        if outcome in BUGS:
            bugs.append(Case(reader, number, outcome, words))
        if keep is not None and (outcome in BUGS or len(numbers) == 1):
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{reader.replace(' ', '_')}-{number}-{kind.name}").write_bytes(content)
    tracemalloc.stop()
    resource.setrlimit(resource.RLIMIT_AS, limits)
    return found, bugs


def table(found: dict[str, Counter[str]]) -> str:
    rows = [f"{'reader':15s}" + "".join(f"{name:>11s}" for name in OUTCOMES)]
    rows += [f"{reader:15s}" + "".join(f"{found[reader][name]:11d}" for name in OUTCOMES) for reader in found]
    total = sum(found.values(), Counter[str]())
    return "\n".join([*rows, f"{'all':15s}" + "".join(f"{total[name]:11d}" for name in OUTCOMES)])


def shown(bugs: list[Case]) -> str:
    """Bugs of each kind once, the most frequent first, with how to make them again."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for bug in bugs:
        # the same line of the same module is one bug, whatever the numbers in its words
        place = bug.words.rpartition(" at ")[2] if bug.outcome == "TRACEBACK" else ""
        groups.setdefault((bug.outcome, place), []).append(bug)
    lines = []
    for same in sorted(groups.values(), key=len, reverse=True):
        first = same[0]
        lines.append(f"  {first.reader}: {len(same)} x {first.outcome}: {first.words}   (--only {first.number})")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Read damaged files; see the head of this module.")
    parser.add_argument("--count", type=int, default=20_000, help="damaged files of all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seconds", type=float, default=1e9, help="after which to stop, shared by the readers")
    parser.add_argument("--only", type=int, help="the number of one damaged file")
    parser.add_argument("--keep", type=Path, help="a folder for the files that are bugs")
    given = parser.parse_args()
    each = given.count // len(given.readers)
    numbers = range(each) if given.only is None else range(given.only, given.only + 1)
    found, bugs = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for reader in given.readers:
            seconds = given.seconds / len(given.readers)
            found[reader], own = fuzz(reader, numbers, given.seed, Path(folder), seconds=seconds, keep=given.keep)
            bugs += own
            if own:
                print(shown(own), flush=True)
    print(table(found))
    return 1 if bugs else 0


if __name__ == "__main__":
    sys.exit(main())
