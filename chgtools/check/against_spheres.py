"""Occupancies against the data sets they are to be used with: how many electrons they put near each nucleus.

A matrix ρ_ij means ρ_ij φ_i φ_j, so the same numbers are another density with another data set's waves, though channels
and lengths are the same (releases under one TITEL, data sets exchanged). Within the sphere of a data set an atom has
nearly what superposed atoms have there: its own electrons and the tails of its neighbours
(benchmarks/gpaw/sphere_electrons.py). What is far from that is of another data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import neighbours
from chgtools.check.codes import finding
from chgtools.check.findings import Finding
from chgtools.errors import ChgtoolsError
from chgtools.paw.records import occupancies_of_record, record_length
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.atoms.paw_dataset import PawDataset
    from chgtools.cell import Structure
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan

OFF, SHARE = 0.5, 0.1  # electrons, and of those expected: GPAW's 488 atoms reach half of both
TAIL = 4.0  # Å, from a sphere to the nuclei whose tails reach into it


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """A finding for each data set whose ions have far too few or too many electrons within its sphere."""
    from chgtools.formats.potcar_paw import read_paw_datasets

    structure = inputs.structure if inputs.structure is not None else result.structure
    if inputs.potcar is None or structure is None or not result.has_records:
        return []
    if inputs.tags is not None and inputs.tags.vca is not None:
        not_checked.append("the electrons that occupancies put near the nuclei, because VCA weighs the atoms")
        return []
    try:
        known = read_paw_datasets(inputs.potcar_path)
        tails = neighbours_tails(structure, known, inputs.potcar)
    except ChgtoolsError as error:
        not_checked.append(f"the electrons that occupancies put near the nuclei: {error}")
        return []
    findings, first = [], 0
    for count, density, own in zip(structure.counts, inputs.potcar, known, strict=True):
        if own is not None and density.occupancies is not None:
            findings += _of_group(result, tails[first : first + count], first, density, own)
        first += count
    return findings


def plausible(electrons: float, expected: float) -> bool:
    """Whether so many electrons within a sphere are near those expected, which superposed atoms have there."""
    return abs(electrons - expected) <= OFF + SHARE * expected


def neighbours_tails(
    structure: Structure, known: Sequence[PawDataset | None], densities: Sequence[AtomicDensity]
) -> NDArray[np.float64]:
    """(n_atoms,) electrons of all other free atoms within the sphere of each atom.

    known, densities : one for each group of atoms; without a data set there is no sphere, and 0.
    Raises MismatchError for atoms that are closer than 0.3 Å.
    """
    radii = [0.0 if own is None else BOHR_ANGSTROM * own.sphere for own in known]
    pairs, group = neighbours(structure, max(radii) + TAIL), structure.group_of_atom
    found = np.zeros(structure.n_atoms)
    for (here, radius), (there, density) in product(enumerate(radii), enumerate(densities)):
        chosen = (group[pairs.centre] == here) & (group[pairs.other] == there) & (pairs.distance < radius + TAIL)
        apart, which = np.unique(pairs.distance[chosen].round(3), return_inverse=True)
        found += np.bincount(pairs.centre[chosen], density.electrons_within(radius, apart)[which], structure.n_atoms)
    return found


def _of_group(
    result: Scan, tails: NDArray[np.float64], first: int, density: AtomicDensity, own: PawDataset
) -> list[Finding]:
    """first : ion of the group, from 0"""
    assert density.channels is not None
    assert density.occupancies is not None
    atom, odd = own.electrons_within(density.occupancies), []
    for ion, tail in enumerate(tails, start=first + 1):
        record = result.records[0].values.get(ion)
        if record is None or len(record) != record_length(density.channels):
            continue
        electrons = own.electrons_within(occupancies_of_record(density.channels, record))
        if not plausible(electrons, atom + tail):
            odd.append((ion, electrons, atom + tail))
    if not odd:
        return []
    ion, electrons, expected = odd[0]
    others = f" ({len(odd) - 1} more ions of it likewise)" if len(odd) > 1 else ""
    found = (
        f"with the partial waves of {density.label} the occupancies of ion {ion} are {electrons:.2f} electrons within "
        f"{own.sphere:.2f} bohr, superposed atoms have {expected:.2f} there{others}: they seem to be another data set's"
    )
    return [finding("occupancies-foreign", f"{result.path}:{result.records[0].lines[ion]}", found)]
