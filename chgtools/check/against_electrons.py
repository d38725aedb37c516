"""The number of electrons in a file against NELECT, or the sum of ZVAL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chgtools.check.codes import finding
from chgtools.check.findings import NOTE, Finding

if TYPE_CHECKING:
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan

# The largest deviation in 33 real files is 1.4e-4 of 76 electrons, 1.8e-6 of them
TOLERANCE_ELECTRONS, TOLERANCE_SHARE = 1e-3, 3e-5


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """A finding where the mean of the first block is not the run's number of electrons."""
    if not result.blocks or not result.blocks[0].complete or result.blocks[0].mean != result.blocks[0].mean:
        not_checked.append("the number of electrons, because the total density is damaged")
        return []
    wanted, origin, certain = _wanted(result, inputs)
    if wanted is None:
        not_checked.append("the number of electrons: no NELECT, no POTCAR and no label for each species")
        return []
    electrons = result.blocks[0].mean
    if abs(electrons - wanted) <= max(TOLERANCE_ELECTRONS, TOLERANCE_SHARE * wanted):
        return []
    found = f"the density holds {electrons:.6f} electrons, {origin} says {wanted:g}"
    severity = None if certain else NOTE
    return [finding("electrons", f"{result.path}:{result.grid_line}", found, severity=severity)]


def _wanted(result: Scan, inputs: Inputs) -> tuple[float | None, str, bool]:
    """(electrons, where the number comes from, whether it is certain)."""
    tags = inputs.tags
    if tags is not None and tags.nelect is not None:
        return tags.nelect, f"NELECT ({tags.place('NELECT')})", True
    structure = inputs.structure if inputs.structure is not None else result.structure
    assert structure is not None
    if inputs.potcar is not None and len(inputs.potcar) == len(structure.counts):
        zvals = [density.zval for density in inputs.potcar]
        total = sum(z * count for z, count in zip(zvals, structure.counts, strict=True))
        return total, f"the sum of ZVAL ({inputs.potcar_path})", True
    if inputs.labels and None not in inputs.labels:
        known = [facts.zval for facts in inputs.labels if facts is not None]
        total = sum(z * count for z, count in zip(known, structure.counts, strict=True))
        return total, "the sum of ZVAL of the labels", False
    return None, "", False
