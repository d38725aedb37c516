"""Numba kernels. This file sees to it that they have a folder for their compiled code, wherever chgtools is installed.

Numba keeps it beside the package, else in the user's cache folder, and raises where it can write neither, as on a
compute node with read-only software and home, or where the disk is full or a quota used up.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

from chgtools.errors import AssumptionWarning


def kernel(function: Callable[..., Any]) -> Any:
    """Compile at the first call, keep what was compiled, and go on where it cannot be kept."""
    compiled: Any = numba.njit(nogil=True)(function)
    if compiled is not function:  # as with NUMBA_DISABLE_JIT=1
        compiled._cache = _Cache(function)
    return compiled


COMING: dict[Callable[..., Any], subprocess.Popen[bytes]] = {}
"""Functions that another process is compiling, and which (:mod:`chgtools.kernels.ahead`)."""

MEANWHILE: list[Callable[[], object]] = []
"""What this process had better compile than wait."""

LONGEST = 60.0  # seconds to wait for it, as where a file system hangs
PAUSE = 0.02  # seconds


class _Cache(FunctionCache):
    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Numba's; of a kernel that is :data:`COMING` once it has come."""
        found = self._load(sig, target_context)
        process, ends = COMING.get(self._py_func), time.monotonic() + LONGEST
        while found is None and process is not None:
            over = process.poll() is not None or time.monotonic() > ends
            if MEANWHILE:
                MEANWHILE.pop()()
            else:
                time.sleep(PAUSE)
            found = self._load(sig, target_context)
            if over:
                break
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        """Numba's load_overload, without what only a compiler needs.

        Numba loads all its typing and lowering rules before it looks into a cache, and scipy.linalg and cffi with
        them: a third of the time of a prediction of a small cell. Compiled code needs the symbols of the runtime, no
        more; a kernel that has to be compiled still makes Numba load the rules (CompilerBase).
        """
        try:
            rtsys.initialize(target_context)
            load = self._load_overload
        except AttributeError:  # another Numba, in which these go by other names
            return super().load_overload(sig, target_context)
        with self._guard_against_spurious_io_errors():
            return load(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _not_kept(f"compiled kernels cannot be kept ({error.strerror})")


@cache
def _not_kept(reason: str) -> None:
    warnings.warn(
        f"{reason}, so they are compiled for this run alone; name a folder of the node in NUMBA_CACHE_DIR",
        AssumptionWarning,
        stacklevel=2,
    )


def _probe() -> None:
    """A function of this folder, to ask Numba whether it finds a cache for such."""


def _temporary_folder() -> str:
    """A folder of this run alone, which Numba uses from now on."""
    folder = tempfile.mkdtemp(prefix="chgtools-numba-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = folder
    numba.config.reload_config()
    return folder


def _find_cache() -> None:
    named = os.environ.get("NUMBA_CACHE_DIR", "")
    if named and Path(named).is_dir() and not os.access(named, os.W_OK):
        # As a cluster's module has it. Numba reads no folder that it cannot write; a megabyte or two is soon copied
        made_ahead, folder = list(Path(named).glob("kernels_*")), Path(_temporary_folder())
        with suppress(OSError):  # what cannot be read is compiled again
            for part in made_ahead:
                shutil.copytree(part, folder / part.name)
        return
    try:
        FunctionCache(_probe)
    except RuntimeError:
        _temporary_folder()
        _not_kept("no folder for compiled kernels can be written")


_find_cache()
