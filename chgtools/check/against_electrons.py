"""The number of electrons in a file against NELECT, or the sum of ZVAL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chgtools.check.codes import finding
from chgtools.check.findings import NOTE, Finding
from chgtools.errors import SettingsError
from chgtools.run.tags import weights

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan
    from chgtools.run.tags import Tags

# The largest deviation in 33 real files is 1.4e-4 of 76 electrons, 1.8e-6 of them
TOLERANCE_ELECTRONS, TOLERANCE_SHARE = 1e-3, 3e-5


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """A finding where the mean of the first block is not the run's number of electrons."""
    if not result.blocks or not result.blocks[0].complete or result.blocks[0].mean != result.blocks[0].mean:
        not_checked.append("the number of electrons, because the total density is damaged")
        return []
    try:
        wanted, origin, certain = _wanted(result, inputs)
    except SettingsError as error:
        not_checked.append(f"the number of electrons: {error}")
        return []
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
        return _total(zvals, structure, tags), f"the sum of ZVAL ({inputs.potcar_path})", True
    if inputs.labels and None not in inputs.labels:
        known = [facts.zval for facts in inputs.labels if facts is not None]
        return _total(known, structure, tags), "the sum of ZVAL of the labels", False
    return None, "", False


def _total(zvals: list[float], structure: Structure, tags: Tags | None) -> float:
    """ΣZVAL of all atoms, weighted by VCA. Raises SettingsError for a VCA of another length."""
    weighted = None if tags is None else weights(structure, tags)
    factors = weighted or [1.0] * len(zvals)
    return float(sum(z * w * count for z, w, count in zip(zvals, factors, structure.counts, strict=True)))
