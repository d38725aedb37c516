"""Whether a grid fits into the memory of the machine, asked before anything is computed on it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from chgtools.errors import SettingsError

# Measured on 320³ points: 15.5 for superposed atoms, 17 with weights; each further block is there once more at least
BYTES_PER_POINT, BYTES_PER_FURTHER_BLOCK = 15, 8
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def require_memory(shape: Sequence[int], blocks: int) -> None:
    """Raise SettingsError for a grid that cannot fit: one whose least need is more than the machine or the job has.

    shape : (nx, ny, nz); blocks : 1, 2 or 4. What other programs hold is not counted.
    """
    points = math.prod(map(int, shape))
    need = points * (BYTES_PER_POINT + (blocks - 1) * BYTES_PER_FURTHER_BLOCK)
    there = memory_of_the_machine()
    if there is not None and need > there:
        grid = " x ".join(map(str, shape))
        raise SettingsError(
            f"a density on the grid {grid} needs {need / 2**30:.1f} GiB at least, there are {there / 2**30:.1f}; "
            "a coarser grid needs less (ENCUT, PREC, NGXF), a machine or a job with more memory holds it"
        )


def memory_of_the_machine() -> int | None:
    """Bytes of memory, or the limit of the job (cgroup) where that is less; None where the system does not say."""
    known = []
    with suppress(AttributeError, OSError, ValueError):  # no POSIX system
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in CGROUP_LIMITS:
        with suppress(OSError, ValueError):  # no such file, or "max"
            known.append(int(Path(name).read_text()))
    return min(known, default=None)
