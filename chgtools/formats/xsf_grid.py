"""Whether a data grid of an XSF file repeats its first points on the far faces of the cell, and the field without them.

XCrySDen's specification has general grids alone: n points span a vector with n − 1 steps, so that a crystal's far
faces repeat the near ones. Writers do otherwise. vaspkit and FHI-aims write n points that repeat none and the cell's
own vectors; ASE (ase.io.xsf) the same points with vectors of (n + 1)/n cells; written by the specification the vectors
would be (n − 1)/n. So vectors other than the cell's tell at once. With the cell's vectors the number of electrons
tells, since a density on VASP's points sums to a whole number, or else the faces: where the field changes across
them, they are equal only if they are repeated. "Periodic" is XCrySDen's word for a grid without repeated points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import volume
from chgtools.elements import SYMBOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GENERAL, PERIODIC = "general", "periodic"
LATTICE_TOLERANCE_ANGSTROM = 1e-4
FACE_TOLERANCE = 1e-5  # of the largest value: files with few digits round both faces alike
MOST_POINTS = 0.5  # of those that matter on a face: if more differ it is another plane, if fewer some are damaged
BY_HAND = f"say which by --grid {GENERAL} (repeated) or --grid {PERIODIC} (not repeated) of `chgtools convert`"


class UnsettledError(ValueError):
    """Nothing in the file tells, or what tells contradicts; its text says what."""


@dataclass(frozen=True)
class Decision:
    """grid : GENERAL or PERIODIC; note : a sentence on what it was told by, "" where the file keeps to the format"""

    grid: str
    note: str = ""


def by_vectors(
    points: Sequence[int], origin: NDArray[np.float64], vectors: NDArray[np.float64], lattice: NDArray[np.float64]
) -> Decision | None:
    """What the vectors that span the grid tell, None where they are the cell's own.

    points : (3,); origin, vectors, lattice : Å. Raises UnsettledError for vectors of another kind.
    """
    n = np.array(points)[:, None]
    off = float(np.abs(vectors - lattice).max())
    if off <= LATTICE_TOLERANCE_ANGSTROM:
        return None
    if np.abs(vectors - lattice * (n - 1) / n).max() <= LATTICE_TOLERANCE_ANGSTROM:
        return Decision(PERIODIC, "its vectors end one step short of the cell, so no points are repeated")
    if np.abs(vectors - lattice * (n + 1) / n).max() > LATTICE_TOLERANCE_ANGSTROM:
        raise UnsettledError(
            f"the grid's vectors differ from PRIMVEC by up to {off:.4f} Å; wanted a grid over the cell"
        )
    if np.abs(origin).max() > LATTICE_TOLERANCE_ANGSTROM:
        raise UnsettledError(
            "the grid's vectors are (n + 1)/n of the cell's and its origin is one step in, as ASE writes axes that are "
            "not periodic, whose grid lacks a plane; write the file with pbc=True from a grid over the whole cell"
        )
    return Decision(PERIODIC, "its vectors are (n + 1)/n of the cell's, as ASE writes them, so no points are repeated")


def by_values(values: NDArray[Any], lattice: NDArray[np.float64], elements: Sequence[str]) -> Decision:
    """What electrons and faces tell of a grid that is spanned by the cell's vectors.

    values : (nx, ny, nz), electrons/Å³ if they are a density; lattice : Å
    Raises UnsettledError where neither tells, or they contradict each other.
    """
    counted, electrons = _by_electrons(values, volume(lattice), elements)
    faces = _faces(values)
    repeated = f"by its {electrons[GENERAL]:.4f} electrons the far faces are repeated ones"
    not_repeated = f"by its {electrons[PERIODIC]:.4f} electrons no points are repeated"
    if faces == "damaged":
        raise UnsettledError(
            "the far faces differ from the near ones in a few points; a general grid of a crystal repeats all of its "
            f"first points. The file is damaged, or {BY_HAND}"
        )
    if faces == "flat" and counted is None:
        raise UnsettledError(
            "neither the faces, across which nothing changes (vacuum), nor the electrons "
            f"({electrons[GENERAL]:.4f} or {electrons[PERIODIC]:.4f}) tell whether far faces are repeated; {BY_HAND}"
        )
    if faces == GENERAL and counted == PERIODIC:
        raise UnsettledError(f"{not_repeated}, but the far faces are equal to the near ones; {BY_HAND}")
    if faces == PERIODIC and counted == GENERAL:
        raise UnsettledError(f"{repeated}, but they differ from the near ones; {BY_HAND}")
    if faces == "flat":
        return Decision(GENERAL, repeated) if counted == GENERAL else Decision(PERIODIC, not_repeated)
    if faces == PERIODIC:
        differ = "its far faces are not the near ones, so no points are repeated"
        return Decision(PERIODIC, not_repeated if counted else differ)
    return Decision(GENERAL)


def without_repeated(values: NDArray[Any], grid: str) -> NDArray[Any]:
    """(nx, ny, nz) Fortran-order points of the cell, of the points that the file has."""
    return np.asfortranarray(values[:-1, :-1, :-1] if grid == GENERAL else values)


def _by_electrons(
    values: NDArray[Any], cell_volume: float, elements: Sequence[str]
) -> tuple[str | None, dict[str, float]]:
    """The kind of grid with which the density holds a whole number of electrons, if it is one, and both numbers."""
    parts = {kind: without_repeated(values, kind) for kind in (GENERAL, PERIODIC)}
    electrons = {kind: float(part.mean(dtype=float)) * cell_volume for kind, part in parts.items()}
    nuclear = sum(SYMBOLS.index(name) + 1 for name in elements if name)
    whole = [kind for kind, number in electrons.items() if _is_whole(number, nuclear)]
    return (whole[0] if len(whole) == 1 else None), electrons


def _is_whole(electrons: float, most: int) -> bool:
    """Whether a number of electrons is whole and not more than the nuclei's charge (and a few for an anion)."""
    nearest = round(electrons)
    return 1 <= nearest <= most + 4 and abs(electrons - nearest) <= max(1e-4, 1e-5 * nearest)


def _faces(values: NDArray[Any]) -> str:
    """GENERAL (far faces equal to the near ones), PERIODIC (others), "damaged" (others in few points) or "flat"."""
    limit = FACE_TOLERANCE * float(np.abs(values).max())
    differing = compared = 0
    flat = True
    for axis in range(3):
        near, far = np.take(values, 0, axis), np.take(values, -1, axis)
        off = np.abs(near - far)
        weight = np.maximum(np.abs(near), np.abs(far))
        matters = weight > max(limit, 0.01 * float(weight.max()))
        differing += int((off > limit).sum())
        compared += int(matters.sum())
        if values.shape[axis] > 2:
            flat &= float(np.abs(far - np.take(values, -2, axis)).max()) <= limit
    if flat:
        return "flat"
    if not differing:
        return GENERAL
    return PERIODIC if differing > MOST_POINTS * compared else "damaged"
