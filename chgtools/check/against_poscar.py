"""A file's header against the POSCAR of the run: atoms, species, lattice and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import (
    LATTICE_TOLERANCE_ANGSTROM,
    POSITION_TOLERANCE_ANGSTROM,
    displacements,
    lattice_difference,
    other_atoms,
)
from chgtools.check.codes import finding
from chgtools.check.findings import NOTE, Finding

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan

ROUNDING = 1.5e-6  # a header has six decimals, half a unit of the last on either side and a little
FIRST_LATTICE_LINE = 3


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """Findings of a header that is not the POSCAR's, to the six decimals of a header."""
    ours, theirs = result.structure, inputs.structure
    assert ours is not None
    if theirs is None:
        return _handed(f"{result.path}:{FIRST_LATTICE_LINE}", ours)
    if ours.n_atoms != theirs.n_atoms:
        found = f"the header has {ours.n_atoms} atoms, {theirs.source} has {theirs.n_atoms}"
        return [finding("atom-count", f"{result.path}:1", found, icharg=inputs.icharg)]
    findings = _species(result, ours, theirs)
    lattice = _handed(theirs.source, theirs) + _lattice(result, ours, theirs)
    return findings + lattice + _positions(result, inputs, ours, theirs)


def _handed(place: str, structure: Structure) -> list[Finding]:
    product = float(np.linalg.det(structure.lattice))
    return (
        [finding("left-handed", place, f"the lattice vectors' triple product is {product:.6g} Å³")]
        if product < 0
        else []
    )


def _species(result: Scan, ours: Structure, theirs: Structure) -> list[Finding]:
    found = other_atoms(ours, theirs)
    return [finding("species", f"{result.path}:6", found)] if found else []


def _lattice(result: Scan, ours: Structure, theirs: Structure) -> list[Finding]:
    difference = lattice_difference(ours, theirs)
    # Rows are printed before the scale is applied, so its rounding is scaled too
    if difference <= ROUNDING * max(1.0, _scale(result)):
        return []
    found = f"lattice vectors differ from {theirs.source} by up to {difference:.2g} Å"
    severity = NOTE if difference <= LATTICE_TOLERANCE_ANGSTROM else None
    return [finding("lattice", f"{result.path}:{FIRST_LATTICE_LINE}", found, severity=severity)]


def _scale(result: Scan) -> float:
    """The scale factor in the header."""
    from chgtools.formats.streams import LineReader

    with LineReader(result.path) as reader:
        reader.readline()
        words = (reader.readline() or b"").split()
    try:
        return abs(float(words[0]))
    except (IndexError, ValueError):
        return 1.0


def _positions(result: Scan, inputs: Inputs, ours: Structure, theirs: Structure) -> list[Finding]:
    shift = ours.frac - theirs.frac
    shift -= np.round(shift)
    if np.abs(shift).max(initial=0.0) <= ROUNDING:
        return []
    distance = displacements(theirs, ours)
    worst = int(np.argmax(distance))
    moved = int((np.abs(shift).max(axis=1) > ROUNDING).sum())
    line = result.grid_line - 1 - ours.n_atoms + worst
    found = (
        f"{moved} of {ours.n_atoms} atoms lie elsewhere than in {theirs.source}, atom {worst + 1} by "
        f"{distance[worst]:.2g} Å"
    )
    severity = NOTE if distance[worst] <= POSITION_TOLERANCE_ANGSTROM else None
    return [finding("positions", f"{result.path}:{line}", found, severity=severity)]
