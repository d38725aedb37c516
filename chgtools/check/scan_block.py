"""One block of grid numbers, damaged or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.check.number_list import Report, read_list
from chgtools.check.walk import Edit, Walk
from chgtools.errors import FormatError
from chgtools.formats.chgcar_end import room_behind, short_block
from chgtools.formats.chgcar_layout import Shape, block_form, is_grid_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHAT = {
    "damaged-number": "holds what is no number",
    "not-finite": "holds a value that is not finite",
    "number-field": "holds a number that is not in VASP's fields",
    "surplus-numbers": "has more numbers than its grid has points",
    "padding": "has its last line filled up with zeros (chgsum.pl does so)",
    "layout": "is laid out in another way",
}


@dataclass(frozen=True)
class BlockFacts:
    """mean : of the numbers (NaN where one was damaged): electrons or μ_B; zero : whether all of them are 0"""

    mean: float
    zero: bool
    complete: bool


def scan_block(walk: Walk, shape: Shape) -> BlockFacts:
    """Read the block behind a grid line: by the ordinary reader, and where that refuses it number by number."""
    from chgtools.formats.grid_block import read_block

    reader = walk.reader
    position, line = walk.position, reader.line
    sentence = None
    try:
        block = read_block(reader, shape, 1.0, np.float64, line, f"block {walk.block + 1}")
        if block.number_format != "free":
            return _facts(block.values.reshape(-1, order="F"), block.values.size)
    except FormatError as error:
        if error.line is None:  # the file cannot be read any further, or does not fit into memory
            raise
        sentence = str(error).partition(f":{error.line}: ")[2]
    walk.go_back(position, line)
    seen = len(walk.troubles)
    facts = _by_list(walk, shape, line)
    if sentence is not None and len(walk.troubles) == seen:
        walk.report("layout", line + 1, f"numbers are not laid out as VASP does it ({sentence})")
    return facts


def _by_list(walk: Walk, shape: Shape, grid_line: int) -> BlockFacts:
    n_points = shape[0] * shape[1] * shape[2]
    reader = walk.reader
    room = room_behind(reader)
    values = np.empty(min(n_points, room + 1), np.float64)
    done, end = read_list(
        reader, values, block_form(reader), lambda line: _ends(line, shape), _reporter(walk), integers=True, padded=True
    )
    if done < n_points:
        ends_here = None if end else room
        walk.meet(short_block(f"block {walk.block + 1}", shape, grid_line, done, end or reader.line + 1, ends_here))
    return _facts(values[:done], n_points)


def _ends(line: bytes, shape: Shape) -> bool:
    return b"augmentation" in line.lower() or is_grid_line(line, shape)


def _reporter(walk: Walk) -> Report:
    """Report troubles of this block; blank lines, which begin where the reader stands, with their edit."""

    def report(code: str, line: int, found: str) -> None:
        if code == "stray-blank-line":
            begin = walk.position
            end = begin + len(walk.reader.peek() or b"") + 1
            walk.fixable(code, line, "among the numbers of a block", Edit(begin, end, b"", code))
        else:
            walk.report(code, line, f"block {walk.block + 1} {_WHAT[code]}: {found}")

    return report


def _facts(values: NDArray[np.float64], n_points: int) -> BlockFacts:
    total = float(values.sum())
    zero = total == 0 and not values.any()
    return BlockFacts(total / n_points, zero, values.size == n_points)
