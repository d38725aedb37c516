"""What a start density is good for, and the lines of an INCAR that go with it: data, for people and for JSON.

Two runs read a CHGCAR: ICHARG = 11 keeps its density (bands, DOS), ICHARG = 1 makes it self-consistent. Each gets an
answer, made from what the check finds for such a run, whatever ICHARG the INCAR has. What a line of the INCAR mends
(LMAXMIX, NGXF, NSW) is told by the line. How it looks on a screen is chgtools.cli.screen's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.check.findings import DROPPED, REFUSED, Finding
from chgtools.fourier.grids import fft_friendly
from chgtools.run.tags import LMAXMIX
from chgtools.start.expected_error import NOT_KNOWN

if TYPE_CHECKING:
    from chgtools.start.prediction import Prediction

PLAIN, GOOD, CAUTION, BAD = "plain", "good", "caution", "bad"  # how serious a row is
LARGE_ERROR = 2.0  # percent; twice the mean of what was kept aside from training (docs/benchmarks.md)
FIXED, START = 11, 1
# of a file that was just made, in place of what `check` says of any file
_MENDS = {
    "record-missing": "Give the run's POTCAR, beside the POSCAR or by --potcar: it has the occupancies of the atoms "
    "(potentials without PAW sets have none and need none)",
}


@dataclass(frozen=True)
class Held:
    """A written file against the runs that may read it.

    fixed, start : findings other than notes for a run with ICHARG = 11, and with 1
    lmaxmix : that a run with ICHARG = 11 wants of these potentials
    grid_given : whether an option gave the grid, or the cutoff that it follows from
    """

    fixed: tuple[Finding, ...] = ()
    start: tuple[Finding, ...] = ()
    lmaxmix: int = LMAXMIX
    grid_given: bool = False


@dataclass(frozen=True)
class Row:
    """name : such as "model"; text : what there is to say; level : one of PLAIN, GOOD, CAUTION, BAD"""

    name: str
    text: str
    level: str = PLAIN


@dataclass(frozen=True)
class Line:
    """A statement of an INCAR, and half a sentence on what it is for."""

    tag: str
    value: str
    why: str


@dataclass(frozen=True)
class Answer:
    """Whether a run with one ICHARG has use of the file.

    yes : as the INCAR is, but for its ICHARG
    because : one sentence for each thing against it; mend : what to do about those that no line of the INCAR mends
    lines : of the INCAR, with which it is of use; () where nothing in the INCAR would make it so
    """

    icharg: int
    yes: bool
    because: tuple[str, ...] = ()
    mend: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()

    @property
    def text(self) -> str:
        """In words: "yes", "no, because ..."."""
        reasons = "; ".join(self.because)
        if self.icharg == FIXED:
            if not self.yes:
                return f"no, because {reasons}" + ("; the INCAR lines below mend it" if self.lines else "")
            ions = any(line.tag == "NSW" for line in self.lines)
            return "yes, with ions that stay where they are (NSW = 0)" if ions else "yes"
        if self.yes:
            return "VASP starts its self-consistency from this density"
        return f"of no use, because {reasons}" + ("; the INCAR lines below mend it" if self.lines else "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        lines = {line.tag: line.value for line in self.lines}
        return {"yes": self.yes, "because": list(self.because), "mend": list(self.mend), "incar": lines}


@dataclass(frozen=True)
class Verdict:
    """rows : facts on the file; fixed, start : the answers for ICHARG = 11 and ICHARG = 1"""

    rows: tuple[Row, ...]
    fixed: Answer
    start: Answer

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = {row.name: row.text for row in self.rows}
        return {**rows, "icharg_11": self.fixed.as_dict(), "icharg_1": self.start.as_dict()}


def verdict_of(path: Path | str, prediction: Prediction, held: Held) -> Verdict:
    """The verdict on a prediction that was written as ``path`` and held against its run."""
    rows = (
        _file(path, prediction),
        _grid(prediction, held),
        _atoms(prediction),
        _model(prediction),
        _error(prediction),
        _occupancies(prediction),
        _magnetisation(prediction),
    )
    return Verdict(rows, _fixed(prediction, held), _start(prediction, held))


def _file(path: Path | str, prediction: Prediction) -> Row:
    structure, minimum = prediction.settings.structure, prediction.minimum
    charge = prediction.electrons_of_atoms - (prediction.data.electrons or 0.0)
    charged = f" (the atoms' {prediction.electrons_of_atoms:g}: charge {charge:+.6g})" if abs(charge) > 1e-3 else ""
    text = f"{path}: {structure.formula}, {prediction.data.electrons:.6f} electrons{charged}"
    return Row("file", f"{text}, minimum {minimum:.3g} e/Å³")


def _grid(prediction: Prediction, held: Held) -> Row:
    shape, blocks = prediction.settings.grid.ngf, len(prediction.data.blocks)
    text = " x ".join(map(str, shape)) + f", {blocks} block{'s' * (blocks > 1)}"
    wrong = any(finding.code == "grid" for finding in held.fixed)
    return Row("grid", f"{text}; not the grid that VASP will use" if wrong else text, CAUTION if wrong else PLAIN)


def _atoms(prediction: Prediction) -> Row:
    sources = dict.fromkeys(density.source for density in prediction.settings.choice.densities)
    labels = ", ".join(dict.fromkeys(prediction.settings.choice.labels))
    builtin = any(source.startswith("built-in") for source in sources)
    if builtin:
        return Row("atoms", f"{labels}: chgtools' built-in ones; within the cores they are not a POTCAR's", CAUTION)
    return Row("atoms", f"{labels}: {_said(prediction, 'atomic densities: ') or ', '.join(sources)}")


def _model(prediction: Prediction) -> Row:
    if prediction.model == "none":
        said = "none, so that the density is that of superposed atoms (SAED), from which VASP starts by itself"
        return Row("model", f"{said} ({prediction.model_reason})", CAUTION)
    prior = "" if prediction.prior == "none" else f" with {prediction.prior}"
    return Row("model", f"{prediction.model}{prior} ({prediction.model_reason})")


def _error(prediction: Prediction) -> Row:
    if prediction.model == "none":
        return Row("expected error", "not known: no model was used")
    estimate = prediction.estimate
    if prediction.error_percent is None or estimate is None:
        why = _said(prediction, NOT_KNOWN).partition(": ")[2]
        return Row("expected error", f"not known{': ' * bool(why)}{why}", CAUTION)
    text = f"{prediction.error_percent:.2g} % of the electrons (ε_mae of the difference density, outside the cores), "
    if estimate.unseen:
        text += f"weakly founded: the weights have not seen {', '.join(estimate.unseen)}"
        return Row("expected error", text, CAUTION)
    level = CAUTION if prediction.error_percent > LARGE_ERROR else PLAIN
    return Row("expected error", f"{text}told by how far the networks of the weights differ", level)


def _occupancies(prediction: Prediction) -> Row:
    none = prediction.occupancies == "none"
    return Row("occupancies", prediction.occupancies, BAD if none else PLAIN)


def _magnetisation(prediction: Prediction) -> Row:
    blocks = len(prediction.data.blocks)
    if blocks == 1:
        return Row("magnetisation", "none: no spin polarisation")
    net = " ".join(f"{prediction.data.integral(block):.2f}" for block in range(1, blocks))
    if _said(prediction, "magnetisation: ").startswith("learned"):
        return Row("magnetisation", f"learned; {net} μ_B in the cell")
    text = f"of the atoms, by MAGMOM; {net} μ_B in the cell"
    if not any(block.any() for block in prediction.data.blocks[1:]):
        return Row("magnetisation", text)
    return Row("magnetisation", f"{text}; ICHARG = 11 keeps it so", CAUTION)


def _said(prediction: Prediction, beginning: str) -> str:
    """What a sentence on an assumption says behind its beginning, "" where there is none."""
    said = (text.removeprefix(beginning) for text in prediction.assumptions if text.startswith(beginning))
    return next(said, "")


def _fixed(prediction: Prediction, held: Held) -> Answer:
    """For a run that keeps the density."""
    grid, mended = _grid_lines(prediction, held, held.fixed)
    lines = [Line("ICHARG", "11", "the density of the CHGCAR is kept")]
    if prediction.settings.run.tags.nsw > 0:
        lines.append(Line("NSW", "0", "the ions stay where the density is theirs"))
    if held.lmaxmix > LMAXMIX:
        lines.append(Line("LMAXMIX", str(held.lmaxmix), f"{'d' if held.lmaxmix == 4 else 'f'} electrons"))
    lines += [*grid, Line("LCHARG", ".FALSE.", "VASP does not write over the CHGCAR")]
    return _answer(FIXED, held.fixed, lines, (*mended, "lmaxmix", "fixed-ions"))


def _start(prediction: Prediction, held: Held) -> Answer:
    """For a run that starts its self-consistency from the density."""
    grid, mended = _grid_lines(prediction, held, held.start)
    lines = [Line("ICHARG", "1", "self-consistency starts from the CHGCAR"), *grid]
    return _answer(START, held.start, lines, mended)


def _answer(icharg: int, findings: Sequence[Finding], lines: Sequence[Line], mended: Sequence[str]) -> Answer:
    left = [finding for finding in findings if finding.code not in mended]
    because = [finding.found for finding in findings]
    if icharg == START and any(finding.severity in (DROPPED, REFUSED) for finding in findings):
        because[-1] += ": VASP falls back to its own atoms"
    mend = tuple(dict.fromkeys(_MENDS.get(finding.code, finding.mend) for finding in left))
    return Answer(icharg, not findings, tuple(because), mend, () if left else tuple(lines))


def _grid_lines(
    prediction: Prediction, held: Held, findings: Sequence[Finding]
) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """NGXF, NGYF, NGZF where VASP may not find the grid by itself; and the code of the finding that they mend."""
    grid = prediction.settings.grid.ngf
    other = any(finding.code == "grid" for finding in findings)
    no_incar = prediction.settings.run.incar is None
    guessed = any(text.startswith("ENCUT = ") for text in prediction.assumptions) and not _of_potcar(prediction)
    if not (other or guessed or (no_incar and held.grid_given)) or any(fft_friendly(n) != n for n in grid):
        return (), ()
    why = "the grid of the CHGCAR"
    return tuple(Line(f"NG{axis}F", str(n), why) for axis, n in zip("XYZ", grid, strict=True)), ("grid",)


def _of_potcar(prediction: Prediction) -> bool:
    """Whether the cutoff that VASP takes by default is known from the run's POTCAR."""
    return prediction.settings.run.path("POTCAR") is not None
