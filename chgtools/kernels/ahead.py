"""A second process compiles half of the kernels that a start density needs, while this one does the rest.

Numba compiles under one lock, so that threads do not help. What the second process has compiled is found in the cache
of :mod:`chgtools.kernels`, where a call waits for it; where it fails, in whatever way, kernels are compiled when they
are called, as they are without it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.jobs.cores import cores
from chgtools.kernels import COMING, MEANWHILE
from chgtools.kernels.expansion import add_expansions, add_lines
from chgtools.kernels.fields import E_DIGITS, E_WIDTH, POWERS
from chgtools.kernels.geometry import Cubics, PointGrid
from chgtools.kernels.harmonics import recurrence
from chgtools.kernels.parse import parse_columns, parse_e17
from chgtools.kernels.printing import EXPONENTS, format_e17

KERNELS = (add_lines, parse_e17, parse_columns)
CODE = "from chgtools.kernels.ahead import compile_kernels; compile_kernels()"


def compile_kernels() -> None:
    """Call :data:`KERNELS` once each, in the order in which they are needed and as the rest of the package does."""
    far = PointGrid(np.eye(3), np.eye(3), np.ones(3))
    cubics = Cubics(np.zeros((1, 1, 4, 1)), 1.0, 0.5)
    add_expansions(np.zeros((1, 1, 1)), far, np.zeros((1, 3)), cubics, recurrence(0))
    text, values = np.frombuffer(b" 0.10000000000E+00\n".ljust(32), np.uint8).copy(), np.empty(1)
    parse_e17(text, 19, values, 0, 1.0, POWERS)
    parse_columns(text, 19, values, 0, E_WIDTH, E_DIGITS, 5, 1.0, POWERS)


def compile_printing() -> None:
    """Call the kernel that prints a grid once, as :mod:`chgtools.formats` does."""
    format_e17(np.ones(1), 1.0, 5, np.empty(2 * E_WIDTH, np.uint8), POWERS, EXPONENTS)


@contextmanager
def compiled_ahead() -> Iterator[None]:
    """Within the block :data:`KERNELS` are compiled beside what it does; a call of one of them waits until it is there.

    Nothing is started where those of every prediction are kept already, on a single core, and within such a block.
    What is not there at the end of the block was not needed, and is left.
    """
    kept = _kept(add_lines) and _kept(parse_e17)
    helps = cores() > 1 and bool(sys.executable) and not kept  # no executable: Python is embedded
    process = _started() if helps and not COMING else None
    if process is None:
        yield
        return
    functions = [getattr(kernel, "py_func", kernel) for kernel in KERNELS]  # itself where nothing is compiled
    COMING.update((function, process) for function in functions)
    MEANWHILE.append(compile_printing)
    try:
        yield
    finally:
        MEANWHILE.clear()
        for function in functions:
            COMING.pop(function, None)
        process.kill()
        process.wait()


def _kept(kernel: Any) -> bool:
    """Whether a kernel is in the cache of this version, or none is compiled at all (NUMBA_DISABLE_JIT=1)."""
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    return file is None or bool(file._load_index())


def _started() -> subprocess.Popen[bytes] | None:
    package = str(Path(__file__).resolve().parents[2])
    places = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", CODE],  # -P: not what lies in the folder of the run
            env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
            stdin=quiet, stdout=quiet, stderr=quiet,
        )  # fmt: skip
    except OSError:  # no more processes are allowed
        return None
