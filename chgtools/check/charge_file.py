"""Check a CHGCAR: what is wrong with the file by itself, and what does not go with the inputs of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chgtools.check.codes import FIXABLE, finding
from chgtools.check.findings import Finding, Report
from chgtools.check.inputs import Inputs, find_inputs, label_facts_of
from chgtools.check.scan import Scan, scan
from chgtools.check.walk import Trouble
from chgtools.errors import SettingsError
from chgtools.formats.chgcar import kind_of
from chgtools.run.folder import RunFolder

MOST_LINES = 6  # of one finding, to be named


def check_file(
    path: Path | str,
    *,
    poscar: Path | str | None = None,
    potcar: Path | str | None = None,
    incar: Path | str | None = None,
) -> Report:
    """What VASP will refuse, drop or misread in a CHGCAR.

    path : the file, plain or compressed; read to its end whatever is wrong with it
    poscar, potcar, incar : inputs of the run that is to read it; by default those beside the file
    Raises ChgtoolsError for a file, or an input that was named, which cannot be read at all.
    """
    report, _, _ = examine(Path(path), RunFolder.around(path, poscar=poscar, potcar=potcar, incar=incar))
    return report


def examine(path: Path, run: RunFolder) -> tuple[Report, Scan, Inputs]:
    """:func:`check_file` for a run that is known, with the scan and the inputs that the report is made of."""
    kind = kind_of(path)
    if kind in ("LOCPOT", "ELFCAR"):
        raise SettingsError(f"{path} is a {kind} by its name; VASP starts from a CHGCAR, so give one")
    inputs = find_inputs(path, run)
    result = scan(path)
    inputs.labels = label_facts_of(inputs.structure) or label_facts_of(result.structure)
    if inputs.potcar is not None and not result.has_records and all(d.occupancies is None for d in inputs.potcar):
        result.troubles = [trouble for trouble in result.troubles if trouble.code != "record-missing"]
    findings = _of_the_file(result, inputs.icharg)
    not_checked = list(inputs.not_checked)
    if result.stopped:
        not_checked.append(f"{path}: {result.stopped}")
    if kind not in (None, "CHGCAR"):
        not_checked.append(f"{path}: a {kind} by its name, checked as the CHGCAR it would be copied to")
    if result.structure is not None and result.shape is not None:
        from chgtools.check import against_electrons, against_incar, against_poscar, against_potcar, against_spheres

        findings += against_poscar.check(result, inputs, not_checked)
        findings += against_incar.check(result, inputs, not_checked)
        if any(finding.code == "atom-count" for finding in findings):
            not_checked.append("records and number of electrons, because the POSCAR has another number of atoms")
        else:
            findings += against_potcar.check(result, inputs, not_checked)
            if all(finding.code != "potcar-order" for finding in findings):
                findings += against_spheres.check(result, inputs, not_checked)
            findings += against_electrons.check(result, inputs, not_checked)
    report = Report(str(path), tuple(findings), tuple(not_checked), tuple(inputs.used), _facts(result))
    return report, result, inputs


def _of_the_file(result: Scan, icharg: int | None) -> list[Finding]:
    """One finding for all troubles of a kind."""
    if result.compressed:
        result.troubles.insert(0, Trouble("compressed", 0, "the file is compressed"))
    groups: dict[tuple[str, bool, bool], list[Trouble]] = {}
    for trouble in result.troubles:
        groups.setdefault((trouble.code, trouble.block > 0, trouble.fixable), []).append(trouble)
    findings = []
    for (code, later, fixable), troubles in groups.items():
        first = troubles[0]
        place = f"{result.path}:{first.line}" if first.line else str(result.path)
        found = first.found + _others(troubles)
        assert not fixable or code in FIXABLE
        findings.append(finding(code, place, found, icharg=icharg, later_block=later, fixable=fixable))
    return findings


def _others(troubles: list[Trouble]) -> str:
    lines = sorted({trouble.line for trouble in troubles[1:]} - {troubles[0].line})
    if not lines:
        return ""
    named = ", ".join(str(line) for line in lines[:MOST_LINES])
    return f"; {len(lines)} more of the kind in line{'s' * (len(lines) > 1)} {named}" + (
        ", ..." if len(lines) > MOST_LINES else ""
    )


def _facts(result: Scan) -> dict[str, Any]:
    """Grid, blocks, electrons and records, as far as they were read; None for a mean that is no number."""
    means = [round(block.mean, 8) if block.mean == block.mean else None for block in result.blocks]
    lengths = [len(values) for _, values in sorted(result.records[0].values.items())] if result.records else []
    return {
        "atoms": None if result.structure is None else result.structure.n_atoms,
        "grid": None if result.shape is None else list(result.shape),
        "blocks": len(result.blocks),
        "electrons": means[0] if means else None,
        "moments": means[1:],
        "augmentation_lengths": lengths,
    }
