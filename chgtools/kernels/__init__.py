"""Numba kernels. This file sees to it that they have a folder for their compiled code, wherever chgtools is installed.

Numba keeps it beside the package, else in the user's cache folder, and raises where it can write neither, as on a
compute node with read-only software and home.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings

import numba

from chgtools.errors import AssumptionWarning


def _probe() -> None:
    """A function of this folder, to ask Numba whether it finds a cache for such."""


def _find_cache() -> None:
    try:
        numba.njit(cache=True)(_probe)
    except RuntimeError:
        folder = tempfile.mkdtemp(prefix="chgtools-numba-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder
        numba.config.reload_config()
        warnings.warn(
            "no folder for compiled kernels can be written, so they are compiled for this run alone; name one of the "
            "node in NUMBA_CACHE_DIR",
            AssumptionWarning,
            stacklevel=2,
        )


_find_cache()
