"""A second process compiles what a first run ends with, while this one compiles what it begins with.

Numba compiles under one lock, so that threads do not help. What the second process has compiled is found in the cache
of :mod:`chgtools.kernels`; where it fails, in whatever way, kernels are compiled when they are called, as they are
without it.
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
from chgtools.kernels.fields import E_DIGITS, E_WIDTH, POWERS
from chgtools.kernels.parse import parse_fixed
from chgtools.kernels.printing import EXPONENTS, format_e17

LONGEST = 60.0  # seconds to wait for it
CODE = "from chgtools.kernels.ahead import compile_numbers; compile_numbers()"


def compile_numbers() -> None:
    """Call the kernels that print and read the numbers of a CHGCAR once, as :mod:`chgtools.formats` does."""
    values, text = np.ones(1), np.empty(2 * E_WIDTH, np.uint8)
    used = format_e17(values, 1.0, 5, text, POWERS, EXPONENTS)
    parse_fixed(text, used, values, 0, E_WIDTH, E_DIGITS, 5, 1.0, POWERS)


@contextmanager
def numbers_compiled() -> Iterator[None]:
    """Behind the block the kernels that print and read numbers are there, compiled beside what the block does.

    Nothing is started where they are kept already, and on a single core.
    """
    helps = cores() > 1 and bool(sys.executable) and not _kept(parse_fixed)  # no executable: Python is embedded
    process = _started() if helps else None
    try:
        yield
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        raise
    if process is not None:
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:  # as on a file system that hangs
            process.kill()


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
