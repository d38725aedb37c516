"""A start density predicted, written and checked: one operation, with one policy, for every way in.

What the inputs cannot give (no POTCAR, so no occupancies) or do not ask for (an ICHARG that reads no file) is a finding
that is said, and with it the file is not ready for ICHARG = 11. A finding that the prediction should have avoided is a
fault of chgtools: nothing is written, and FaultError is raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.check import against_incar, against_potcar
from chgtools.check.charge_file import examine
from chgtools.check.findings import DROPPED, NOTE, REFUSED
from chgtools.errors import ChgtoolsError
from chgtools.files import replacing
from chgtools.formats import chgcar
from chgtools.kernels.ahead import compiled_ahead
from chgtools.run.folder import POTCAR
from chgtools.start.prediction import predict
from chgtools.start.verdict import Held, Verdict, verdict_of

if TYPE_CHECKING:
    from chgtools.check.findings import Finding
    from chgtools.check.inputs import Inputs
    from chgtools.libraries.choice import Source
    from chgtools.models.model import DensityModel
    from chgtools.run.grid import GridOptions
    from chgtools.start.prediction import Prediction

FIXED, START = 11, 1  # the ICHARGs that read the CHGCAR: it is kept, it is what self-consistency starts from
NO_RECORDS = "record-missing"
STATEMENT = "incar-statement"
IN_NOTES = (NO_RECORDS, STATEMENT)  # what a note of the prediction says as well
# what the INCAR or the POTCAR says, whatever density is made for them
OF_THE_INPUTS = (
    "icharg", "lmaxmix", "taucar", "potcar-order", STATEMENT, "hybrid", "fixed-ions", "line-mode",
)  # fmt: skip
# of them, what a run with ICHARG = 11 has not, or does not mind; and one with ICHARG = 1
NOT_OF_FIXED = ("icharg", STATEMENT, "line-mode")
NOT_OF_START = ("icharg", STATEMENT, "fixed-ions", "hybrid", "lmaxmix", "taucar")


class FaultError(ChgtoolsError):
    """chgtools made a file that its own check refuses: a fault of chgtools, not of the input."""


@dataclass(frozen=True)
class StartOptions:
    """What can be asked of a start density: the arguments of chgtools.predict."""

    source: Source | None = None
    incar: Path | None = None
    grid: GridOptions | None = None
    nelect: float | None = None
    model: str | Path | DensityModel = "auto"
    prior: str = "auto"
    occupancies: str = "auto"
    device: str = "cpu"


@dataclass(frozen=True)
class Start:
    """A start density that was written.

    path : the file; prediction : what is in it and how it came about
    findings : what VASP will refuse, drop or misread of it, by the inputs of the run; notes are left out
    not_ready : one sentence for each thing that keeps it from a run with ICHARG = 11, whatever ICHARG the INCAR has;
        () when it is ready
    held : the file against runs with ICHARG = 11 and 1, from which ``verdict`` is made
    """

    path: Path
    prediction: Prediction
    findings: tuple[Finding, ...]
    not_ready: tuple[str, ...]
    held: Held

    @property
    def verdict(self) -> Verdict:
        """What it is and what it is good for, with the lines of an INCAR that go with it."""
        return verdict_of(self.path, self.prediction, self.held)

    @property
    def useless(self) -> tuple[str, ...]:
        """Codes of the findings by which VASP refuses the file or drops a part of it, whatever ICHARG the INCAR has."""
        codes = (each.code for each in self.findings if each.severity in (REFUSED, DROPPED) and each.code != "icharg")
        return tuple(dict.fromkeys(codes))

    def facts(self) -> dict[str, Any]:
        """What there is to say of it, for JSON."""
        return {
            **facts_of(self.prediction),
            "ready_for_icharg_11": not self.not_ready,
            "not_ready": list(self.not_ready),
            "refused_or_dropped": list(self.useless),
        }


def write_start(structure: Any, output: Path | str, options: StartOptions | None = None) -> Start:
    """Predict the start density of a run, write it and check it; the file is complete and checked, or not there.

    structure : path, pymatgen Structure, ASE Atoms or chgtools Structure; output : compressed by its suffix
    Raises ChgtoolsError as chgtools.predict does, and FaultError for a file that chgtools' own check refuses.
    """
    output = Path(output)
    with replacing(output) as temporary:
        start = write_under(structure, temporary, output, options)
    return replace(start, path=output)


def write_under(structure: Any, path: Path, name: Path, options: StartOptions | None = None) -> Start:
    """:func:`write_start` into ``path``, for a caller that will give it the name ``name``, which messages use."""
    options = options or StartOptions()
    with compiled_ahead():
        prediction = predict(
            structure,
            source=options.source,
            incar=options.incar,
            grid=options.grid,
            nelect=options.nelect,
            model=options.model,
            prior=options.prior,
            occupancies=options.occupancies,
            device=options.device,
        )
        chgcar.write(prediction.data, path, kind="CHGCAR")
        report, kept, started, inputs = _findings(path, prediction, options)
    findings, fixed, first = (
        [_renamed(finding, path, name) for finding in each if finding.severity != NOTE]
        for each in (report, kept, started)
    )
    faults = [finding for finding in findings if not _of_the_input(finding, prediction, options)]
    if faults:
        raise FaultError(
            f"{name}: chgtools made a file that its own check refuses, and did not keep it; please report this: "
            + "; ".join(f"{finding.found} [{finding.code}]" for finding in faults)
        )
    moved = [finding for finding in fixed if finding.code != "fixed-ions"]  # a run that relaxes has another ICHARG
    held = Held(
        fixed=_once((*findings, *moved), NOT_OF_FIXED),
        start=_once((*findings, *first), NOT_OF_START),
        lmaxmix=against_potcar.wanted_lmaxmix(inputs),
        grid_given=options.grid is not None and any(value is not None for value in vars(options.grid).values()),
    )
    return Start(path, prediction, tuple(findings), tuple(each.found for each in held.fixed), held)


def _once(findings: Sequence[Finding], but: Sequence[str]) -> tuple[Finding, ...]:
    """The findings of other codes, each thing found once."""
    found: dict[str, Finding] = {}
    for finding in findings:
        if finding.code not in but:
            found.setdefault(finding.found, finding)
    return tuple(found.values())


def _findings(
    path: Path, prediction: Prediction, options: StartOptions
) -> tuple[Sequence[Finding], Sequence[Finding], Sequence[Finding], Inputs]:
    """What the check of the file finds; what the run's tags would add with ICHARG = 11, and with 1; and its inputs."""
    run = prediction.settings.run
    potcar = options.source.potcar if options.source is not None else None
    if potcar is not None and potcar.is_file():
        run = run.with_named({POTCAR: potcar})
    report, scanned, inputs = examine(path, run)

    def with_icharg(icharg: int) -> list[Finding]:
        other = replace(inputs, tags=replace(run.tags, icharg=icharg))
        found = against_potcar.check(scanned, other, [])
        return found + (against_incar.check(scanned, other, []) if run.incar is not None else [])

    return report.findings, with_icharg(FIXED), with_icharg(START), inputs


def _of_the_input(finding: Finding, prediction: Prediction, options: StartOptions) -> bool:
    """Whether a finding follows from what was given or asked for."""
    if finding.code in OF_THE_INPUTS:
        return True
    grid, source = options.grid, options.source
    # a library or UPF files may be of other atoms than the POTCAR that VASP will read
    other_atoms = source is not None and (source.library is not None or source.upf is not None)
    asked_for = {
        NO_RECORDS: not prediction.data.augmentation,
        "grid": other_atoms or (grid is not None and any(value is not None for value in vars(grid).values())),
        "electrons": other_atoms or options.nelect is not None,
        "record-length": other_atoms or options.occupancies in ("learned", "mean"),
        "occupancies-foreign": other_atoms or options.occupancies in ("learned", "mean"),
    }
    return asked_for.get(finding.code, False)


def _renamed(finding: Finding, path: Path, name: Path) -> Finding:
    place, found = (text.replace(str(path), str(name)) for text in (finding.place, finding.found))
    return replace(finding, place=place, found=found)


def facts_of(prediction: Prediction) -> dict[str, Any]:
    """What there is to say of a prediction, for JSON."""
    estimate = prediction.estimate
    return {
        "model": prediction.model,
        "model_reason": prediction.model_reason,
        "prior": prediction.prior,
        "expected_eps_mae_percent": None if prediction.error_percent is None else round(prediction.error_percent, 4),
        "atom_spread_electrons": None if estimate is None else [round(float(x), 6) for x in estimate.atom_spread],
        "damping": None if estimate is None else estimate.damping,
        "elements_not_seen": [] if estimate is None else list(estimate.unseen),
        "grid": prediction.settings.grid.ngf,
        "blocks": len(prediction.data.blocks),
        "electrons_of_atoms": prediction.electrons_of_atoms,
        "electrons": prediction.data.electrons,
        "minimum": prediction.minimum,
        "labels": prediction.settings.choice.labels,
        "augmentation_occupancies": prediction.occupancies,
        "assumptions": prediction.assumptions,
    }
