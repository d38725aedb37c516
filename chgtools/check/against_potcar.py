"""Augmentation records against the potentials: their lengths, and LMAXMIX against their channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chgtools.check.codes import finding
from chgtools.check.findings import MISREAD, NOTE, Finding
from chgtools.paw.records import record_entries, record_length

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.check.inputs import Inputs
    from chgtools.check.scan import Scan

WANTED_LMAXMIX = {0: 2, 1: 2, 2: 4, 3: 6}  # of the highest l of the valence (VASP wiki, LMAXMIX)


def check(result: Scan, inputs: Inputs, not_checked: list[str]) -> list[Finding]:
    """Findings of records that are not those of the POTCAR, or (as notes) of the labels a header names."""
    structure = inputs.structure if inputs.structure is not None else result.structure
    assert structure is not None
    findings = _uniform(result, structure)
    if inputs.potcar is not None:
        wrong = _order(inputs, structure)
        if wrong:
            not_checked.append("record lengths and LMAXMIX, because the POTCAR is not the structure's")
            return findings + wrong
        channels = [density.channels or () for density in inputs.potcar]
        paw = [density.occupancies is not None for density in inputs.potcar]  # others have no records of their own
        wanted = [record_length(c) if is_paw else None for c, is_paw in zip(channels, paw, strict=True)]
        findings += _lengths(result, structure, wanted, inputs.potcar_path, None)
        return findings + _lmaxmix(result, inputs, structure, channels)
    if inputs.labels is None:
        not_checked.append("no POTCAR and no labels in the headers: record lengths were compared within a species only")
        return findings
    lengths = [None if facts is None else facts.aug_record_length for facts in inputs.labels]
    unknown = [str(i + 1) for i, length in enumerate(lengths) if length is None]
    if unknown:
        not_checked.append(f"no POTCAR, and no known label: record lengths of group {', '.join(unknown)}")
    findings += _lengths(result, structure, lengths, "the facts on labels", NOTE)
    known = [() if facts is None else facts.channels or () for facts in inputs.labels]
    return findings + _lmaxmix(result, inputs, structure, known)


def _groups(structure: Structure) -> list[range]:
    """Ions of each group, from 1."""
    ranges, first = [], 1
    for count in structure.counts:
        ranges.append(range(first, first + count))
        first += count
    return ranges


def _uniform(result: Scan, structure: Structure) -> list[Finding]:
    """Ions of one group have one potential, so records of one length."""
    findings = []
    for part in (*result.records, *result.imaginary):
        for ions in _groups(structure):
            lengths = {ion: len(part.values[ion]) for ion in ions if ion in part.values}
            odd = [ion for ion, length in lengths.items() if length != next(iter(lengths.values()))]
            if odd:
                first = next(iter(lengths))
                found = (
                    f"the record of ion {odd[0]} has {lengths[odd[0]]} numbers, that of ion {first} of the same "
                    f"species {lengths[first]}"
                )
                findings.append(finding("record-length", f"{result.path}:{part.lines[odd[0]]}", found))
    return findings[:1]


def _order(inputs: Inputs, structure: Structure) -> list[Finding]:
    """Data sets that are not the structure's groups."""
    assert inputs.potcar is not None
    elements = [density.element for density in inputs.potcar]
    named = list(structure.group_elements) if all(structure.species) else None
    if named == elements or (named is None and len(elements) == len(structure.counts)):
        return []
    wanted = " ".join(named) if named else f"{len(structure.counts)} groups"
    found = f"data sets of {' '.join(elements)}, the structure has {wanted}"
    return [finding("potcar-order", inputs.potcar_path, found)]


def _lengths(
    result: Scan, structure: Structure, wanted: Sequence[int | None], origin: str, severity: str | None
) -> list[Finding]:
    findings = []
    for ions, length, name in zip(_groups(structure), wanted, structure.species, strict=True):
        for part in (*result.records, *result.imaginary):
            odd = [ion for ion in ions if length is not None and ion in part.values and len(part.values[ion]) != length]
            if odd:
                which = f"ion {odd[0]}" if len(odd) == 1 else f"{len(odd)} ions, first {odd[0]},"
                found = (
                    f"the record of {which} ({name or '?'}) has {len(part.values[odd[0]])} numbers, {origin} "
                    f"want{'s' * (severity is None)} {length}"
                )
                effect = (
                    None if severity is None else "Potentials of one label differ between sets, so this may be right"
                )
                findings.append(
                    finding(
                        "record-length", f"{result.path}:{part.lines[odd[0]]}", found, severity=severity, effect=effect
                    )
                )
                break
    return findings


def _lmaxmix(result: Scan, inputs: Inputs, structure: Structure, channels: Sequence[Sequence[int]]) -> list[Finding]:
    """LMAXMIX of the INCAR, and the one the file was written with, against the channels."""
    highest = max((ell for group in channels for ell in group), default=0)
    if not result.has_records or highest == 0:
        return []
    findings = []
    # Occupancies of spherical atoms end at L = 0, whatever LMAXMIX was
    if _beyond(result, structure, channels, 2) is False and _beyond(result, structure, channels, 0):
        found = f"all occupancies beyond L = 2 are zero, the channels go to l = {highest}, so L to {2 * highest}"
        findings.append(finding("lmaxmix-of-file", f"{result.path}:{min(result.records[0].lines.values())}", found))
    tags = inputs.tags
    if tags is None or not tags.reads_chgcar:
        return findings
    wanted = _wanted_lmaxmix(inputs, channels)
    if tags.lmaxmix >= wanted and (tags.lmaxmix >= 2 * highest or not tags.fixed_density):
        return findings
    lost = _beyond(result, structure, channels, tags.lmaxmix)
    serious = tags.fixed_density and tags.lmaxmix < wanted
    content = "are not zero" if lost else "are zero"
    found = (
        f"LMAXMIX = {tags.lmaxmix}, and channels to l = {highest} have occupancies up to L = {2 * highest}; those "
        f"beyond LMAXMIX {content} in the file"
    )
    mend = f"Set LMAXMIX = {max(wanted, min(6, 2 * highest))}, in the run that makes the density too"
    place = tags.place("LMAXMIX")
    return [*findings, finding("lmaxmix", place, found, severity=MISREAD if serious else NOTE, mend=mend)]


def wanted_lmaxmix(inputs: Inputs) -> int:
    """The LMAXMIX that a run with these potentials wants where it keeps a density: 4 with d electrons, 6 with f."""
    groups = inputs.potcar if inputs.potcar is not None else inputs.labels or []
    return _wanted_lmaxmix(inputs, [() if facts is None else facts.channels or () for facts in groups])


def _wanted_lmaxmix(inputs: Inputs, channels: Sequence[Sequence[int]]) -> int:
    return WANTED_LMAXMIX.get(_valence_ell(inputs, channels), 6)


def _valence_ell(inputs: Inputs, channels: Sequence[Sequence[int]]) -> int:
    """Highest l with electrons in the valence; by the facts on labels, else by the channels."""
    from chgtools.atoms.labels import UnknownLabelError, label_facts

    highest = 0
    for index, group in enumerate(channels):
        label = inputs.potcar[index].label if inputs.potcar is not None else ""
        facts = inputs.labels[index] if inputs.labels is not None and not label else None
        try:
            facts = facts or (label_facts(label) if label else None)
        except UnknownLabelError:
            facts = None
        shells = [ell for _, ell, electrons in facts.valence if electrons > 0] if facts else list(group)
        highest = max(highest, *shells, 0)
    return highest


def _beyond(result: Scan, structure: Structure, channels: Sequence[Sequence[int]], lmaxmix: int) -> bool | None:
    """Whether any occupancy with L > lmaxmix is not zero; None where there is none."""
    seen = None
    for ions, group in zip(_groups(structure), channels, strict=True):
        places: list[int] = []
        position = 0
        for _, _, big_l in record_entries(group):
            if big_l > lmaxmix:
                places += range(position, position + 2 * big_l + 1)
            position += 2 * big_l + 1
        for ion in ions if places else ():
            values = result.records[0].values.get(ion)
            if values is None or len(values) != position:
                continue
            seen = bool(seen) or bool(values[places].any())
            if seen:
                return True
    return seen
