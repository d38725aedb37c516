"""What `check` reports: findings, and the reports that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chgtools.display.shown import Shown

REFUSED, DROPPED, MISREAD, NOTE = "refused", "dropped", "misread", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that VASP will not take as it was meant.

    code : stable name, such as "record-header" (docs/reference/commands/check.md lists them)
    severity : "refused" (VASP stops), "dropped" (VASP goes on without the file, or without a part of it), "misread"
        (VASP takes other numbers than were meant, or the result is not what it seems) or "note" (worth knowing; a
        file with notes alone is in order)
    place : FILE or FILE:LINE
    found : what is there, and what was wanted
    effect : what VASP will do
    mend : what to do about it
    fixable : whether `chgtools check --fix` mends it
    """

    code: str
    severity: str
    place: str
    found: str
    effect: str
    mend: str
    fixable: bool = False

    def __str__(self) -> str:
        fix = " (--fix does it)" if self.fixable else ""
        return f"{self.place}: {self.severity}: {self.found}. {self.effect}. {self.mend}{fix}. [{self.code}]"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "place": self.place,
            "found": self.found,
            "effect": self.effect,
            "mend": self.mend,
            "fixable": self.fixable,
        }


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """What the check of a file found.

    path : the file
    findings : in the order of the file, then of the inputs
    not_checked : sentences on what could not be checked, and why
    inputs : the POSCAR, INCAR and POTCAR that were used, with how they were found
    facts : grid, blocks, electrons and the like, as far as they were read
    """

    path: str
    findings: tuple[Finding, ...]
    not_checked: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    facts: dict[str, Any] | None = None

    def shown(self) -> dict[str, object]:
        """For people: in order or not, and the codes of what was found."""
        codes = ", ".join(f"{each.code} ({each.severity})" for each in self.findings)
        return {"file": self.path, "in order": "yes" if self.ok else "no", "findings": codes}

    def details(self) -> list[str]:
        """Each finding with what VASP does about it and how to mend it."""
        return [str(finding) for finding in self.findings]

    @property
    def ok(self) -> bool:
        """True when there is no finding but notes."""
        return all(finding.severity == NOTE for finding in self.findings)


@dataclass(frozen=True)
class RunReport:
    """Whether VASP read the density.

    read : True (it did), False (it did not) or None (cannot be told, or not yet)
    reason : one sentence
    findings : what the run's output tells beyond that, such as a magnetisation that was not read
    """

    read: bool | None
    reason: str
    findings: tuple[Finding, ...] = ()
