"""The table of Hirshfeld charges on the page of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.charges import charges_of
from chgtools.errors import ChgtoolsError
from chgtools.report.page import Table

if TYPE_CHECKING:
    from chgtools.charges import AtomicCharges
    from chgtools.libraries.choice import Source


def charges_table(path: str | Path, source: Source | None = None) -> tuple[list[Table], tuple[str, ...]]:
    """A table of the atoms' charges and moments, and no note; or no table, and why.

    path : a CHGCAR, or a file of ``chgtools make-dcd``; source : as for chgtools.charges.charges_of
    """
    try:
        return [_table(charges_of(path, source=source))], ()
    except ChgtoolsError as error:
        return [], (f"no charges of atoms: {error}",)


def _table(charges: AtomicCharges) -> Table:
    columns = ["atom", "label", "electrons", "net charge / e"]
    rows = [
        [f"{element} {number}", label, float(electrons), float(charge)]
        for number, (element, label, electrons, charge) in enumerate(
            zip(charges.structure.elements, charges.labels, charges.electrons, charges.charges, strict=True), 1
        )
    ]
    if charges.moments is not None:
        axes = ("",) if charges.moments.ndim == 1 else (" x", " y", " z")
        columns += [f"moment{axis} / μ_B" for axis in axes]
        rows = [[*row, *map(float, np.atleast_1d(moment))] for row, moment in zip(rows, charges.moments, strict=True)]
    note = "Hirshfeld's partition with the atoms of the superposition; what is shared within a PAW sphere is not exact."
    return Table("Charges of the atoms", columns, rows, note)
