"""KPOINTS: of which kind one is, and one in line mode.

Source: the VASP wiki's page KPOINTS. Line 2 has the number of k-points, 0 for a mesh that VASP generates; in line mode,
where line 3 begins with L, it is the number on each line.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from chgtools.errors import FormatError
from chgtools.formats.streams import read_bytes

MESH, LINE, LIST, UNKNOWN = "mesh", "line", "list", "unknown"

Point = tuple[str, Sequence[float]]  # label, and fractions of the reciprocal lattice vectors


def kind_of_kpoints(path: str | Path) -> str:
    """MESH (VASP makes it), LINE (line mode), LIST (every k-point is named) or UNKNOWN (no text, or none of these)."""
    try:
        lines = read_bytes(path).splitlines()
    except FormatError:
        return UNKNOWN
    if len(lines) < 3:
        return UNKNOWN
    if lines[2].strip()[:1].lower() == b"l":
        return LINE
    words = lines[1].split()
    if not words or not words[0].isdigit():
        return UNKNOWN
    return LIST if int(words[0]) else MESH


def line_mode_text(title: str, segments: Sequence[Sequence[Point]], points: int) -> str:
    """The text of a KPOINTS in line mode.

    segments : each a path of two or more points; between segments the path jumps; points : k-points on each line
    """
    lines = []
    for segment in segments:
        for start, end in pairwise(segment):
            lines += [*(_point(*each) for each in (start, end)), ""]
    return "\n".join([title, str(points), "Line-mode", "reciprocal", *lines[:-1]]) + "\n"


def _point(label: str, fractions: Sequence[float]) -> str:
    return "".join(f"{value + 0.0:14.10f}" for value in fractions) + f"  {label}"
