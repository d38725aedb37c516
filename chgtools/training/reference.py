"""Entries counted from ground-state atoms, as the weights are.

Stores made from CHGCARs count from the atoms of their POTCAR labels; those of other codes, which name no labels, from
atoms in the ground state already. See chgtools.libraries.ground_state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.phases import structure_factors
from chgtools.libraries.ground_state import OWN_CONFIGURATION, change_of_form

if TYPE_CHECKING:
    from chgtools.stores.entry import Entry


def from_ground_state(entry: Entry) -> Entry:
    """The entry with its difference density counted from ground-state atoms; itself where that is the same.

    ``saed_eps_mae_percent`` becomes the error of those atoms.
    """
    labels = entry.structure.labels
    if not any(labels):
        return entry
    from chgtools.libraries.library import DensityLibrary

    library = DensityLibrary.builtin("PBE")
    sources = entry.attributes.get("density_sources", [""] * len(labels))
    if any(str(source).startswith(OWN_CONFIGURATION) for source in sources):
        return entry
    names = [label.split("/")[0] for label in labels]
    q = np.linalg.norm(entry.miller @ reciprocal(entry.structure.lattice), axis=1)
    known = [library[name] for name in names if name in library]
    if len(known) < len(names):
        return entry
    changes = change_of_form(known, q)
    if all(change is None for change in changes):
        return entry
    dcd = entry.dcd.copy()
    for factor, change in zip(structure_factors(entry.miller, entry.structure), changes, strict=True):
        if change is not None:
            dcd -= factor * change
    counted = replace(entry, dcd=dcd)
    electrons = float(entry.attributes["nelectrons"])
    error = 100 * float(np.abs(counted.on_grid()).mean()) * entry.structure.volume / electrons
    return replace(counted, attributes=dict(entry.attributes) | {"saed_eps_mae_percent": error})
