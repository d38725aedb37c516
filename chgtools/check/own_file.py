"""The check of a file that `predict` has just written, against the inputs it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.check.charge_file import check_file
from chgtools.check.findings import NOTE
from chgtools.prediction import beside, find_source

if TYPE_CHECKING:
    from chgtools.atoms.choice import Source
    from chgtools.check.findings import Finding


def check_written(path: Path, poscar: Path, source: Source | None, incar: Path | None) -> tuple[Finding, ...]:
    """What VASP will refuse, drop or misread in a file made from these inputs; notes are left out.

    path : the file; poscar : that it was made from; source, incar : as given to chgtools.prediction.predict
    Inputs that were found beside the POSCAR are held against the file as those that were named.
    """
    potcar = find_source(poscar, source).potcar
    report = check_file(
        path,
        poscar=poscar,
        potcar=potcar if potcar is not None and potcar.is_file() else None,
        incar=incar or beside(poscar, "INCAR"),
    )
    return tuple(finding for finding in report.findings if finding.severity != NOTE)
