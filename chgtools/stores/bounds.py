"""Whether a source is too large for a build, told from its first lines, before it is read."""

from __future__ import annotations

import math
from pathlib import Path

from chgtools import formats
from chgtools.errors import SettingsError
from chgtools.run.memory import memory_of_the_machine

BYTES_PER_POINT = 56  # reading, subtracting the atoms and cutting the series hold at once; measured at 192³


def require_bounded(path: Path, max_points: int | None, processes: int = 1) -> None:
    """Raise SettingsError for a grid of more points than wanted, or than fit into a process's share of the memory.

    A file whose grid its first lines do not tell is passed.
    """
    shape = formats.grid_of(path)
    if shape is None:
        return
    require_points(path, shape, max_points)
    there, need = memory_of_the_machine(), BYTES_PER_POINT * math.prod(shape)
    if there is not None and need > there / processes:
        raise SettingsError(
            f"{path}: its grid {_times(shape)} needs {need / 2**30:.1f} GiB, there are {there / 2**30:.1f} for "
            f"{processes} processes; build with fewer --jobs, on a machine or in a job with more memory"
        )


def require_points(path: Path, shape: tuple[int, int, int], max_points: int | None) -> None:
    """Raise SettingsError for a grid of more points than wanted."""
    if max_points is not None and math.prod(shape) > max_points:
        raise SettingsError(
            f"{path}: its grid {_times(shape)} has {math.prod(shape)} points, --max-points {max_points} is given"
        )


def _times(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
