"""A run folder made ready to start from a predicted density: CHGCAR, INCAR, KPOINTS; all of them changed, or none.

    bands    ICHARG = 11 on a line of k-points        static    ICHARG = 1, one self-consistent calculation
    dos      ICHARG = 11 on a mesh                    relax     ICHARG = 1, whose ions move as the INCAR says

What is to be is made in a folder of its own, checked there as `chgtools check` does it, and moved into the run when it
is in order. A CHGCAR that is there and in order is kept, so that a second call changes nothing, and bands take the
density of the self-consistent run before them. Files that are changed are kept as NAME.before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.check.charge_file import examine
from chgtools.check.findings import NOTE
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.files import move_together
from chgtools.formats.incar_edit import with_tags
from chgtools.formats.kpoints import LINE, LIST, MESH, kind_of_kpoints, line_mode_text
from chgtools.run.folder import INCAR, INPUTS, KPOINTS, POSCAR, POTCAR, RunFolder
from chgtools.start.run_tags import BANDS, KINDS, Change, changes_for, hints_for
from chgtools.start.writing import STATEMENT, StartOptions, write_start

if TYPE_CHECKING:
    from chgtools.check.findings import Finding
    from chgtools.start.writing import Start

CHARGE = "CHGCAR"
POINTS = 20  # k-points on each line of a path


class NotReadyError(ChgtoolsError):
    """The inputs can be read, and VASP would refuse, drop or misread the density that is, or can be, made for them."""


@dataclass(frozen=True)
class PrepareOptions:
    """model, prior : as in chgtools.predict; force : make the CHGCAR anew; dry_run : write nothing"""

    model: str | Path = "auto"
    prior: str = "auto"
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Preparation:
    """What was done to a run, or would be.

    folder : of the run; kind : bands, dos, static or relax
    start : the density that was made; None where the CHGCAR that is there was kept
    changes : of the INCAR; kpoints : what became of the KPOINTS, in words
    kept : file to the name that it was kept under; written : names of files, in the order they were moved
    notes : what was assumed, and what the check notes; hints : what else such a run may want
    """

    folder: Path
    kind: str
    start: Start | None
    changes: tuple[Change, ...]
    kpoints: str
    kept: dict[str, str]
    written: tuple[str, ...]
    notes: tuple[str, ...]
    hints: tuple[str, ...]

    @property
    def icharg(self) -> int:
        return KINDS[self.kind]


def prepare(folder: Path | str, kind: str, options: PrepareOptions | None = None) -> Preparation:
    """Make a run folder ready for VASP.

    folder : with POSCAR, INCAR and POTCAR; kind : "bands", "dos", "static" or "relax"
    Raises ChgtoolsError for inputs that are not there, cannot be read or ask for what VASP cannot do, NotReadyError
    where there is no density that VASP would take. Nothing is changed then.
    """
    options = options or PrepareOptions()
    if kind not in KINDS:
        raise SettingsError(f"found {kind!r}; wanted one of {', '.join(KINDS)}")
    folder = Path(folder)
    run = _run(folder)
    kpoints, said = _kpoints(run, kind)
    changes = changes_for(run, kind, line_mode=kpoints is not None or _kind_of_kpoints(folder) == LINE)
    text = _text(folder / INCAR)
    values = {change.tag: change.after for change in changes}
    made = with_tags(text, values, {change.tag: change.why for change in changes}, str(folder / INCAR))
    with _stage(folder, options.dry_run) as stage, _naming(stage, folder):
        _write(stage / INCAR, made)
        shutil.copymode(folder / INCAR, stage / INCAR)
        if kpoints is not None:
            _write(stage / KPOINTS, kpoints)
        for name in (*INPUTS, "TAUCAR"):
            if (folder / name).is_file() and not (stage / name).exists():
                (stage / name).symlink_to((folder / name).resolve())
        start, notes = _density(folder, stage, options)
        new = [CHARGE] if start is not None else []
        new += [name for name, text in ((KPOINTS, kpoints), (INCAR, made if changes else None)) if text is not None]
        kept = _keep(folder, stage, [name for name in new if name != CHARGE and (folder / name).exists()])
        written = (*kept.values(), *new)
        if not options.dry_run:
            move_together(stage, folder, written)
    hints = hints_for(run, kind, kpoints=_kind_of_kpoints(folder) if kpoints is None else LINE)
    return Preparation(folder, kind, start, changes, said, kept, written, notes, hints)


def _run(folder: Path) -> RunFolder:
    """The run. Raises ChgtoolsError where an input is not there, or not as VASP reads it."""
    if not folder.is_dir():
        raise ChgtoolsError(f"{folder}: no such folder; wanted one with POSCAR, INCAR and POTCAR")
    run = RunFolder.around(folder)
    if run.band is not None:
        raise ChgtoolsError(
            f"{folder} is an image of a band whose INCAR lies one folder up; predict each image's density "
            f"(chgtools predict {folder / POSCAR} -o {folder / CHARGE}), and set ICHARG = 1 in {run.band / INCAR}"
        )
    for name in (POSCAR, INCAR, POTCAR, KPOINTS):
        path = run.path(name)
        if path is None and name != KPOINTS:
            raise ChgtoolsError(f"{folder / name}: no such file; VASP runs with POSCAR, INCAR and POTCAR")
        if path is not None and path.name != name:
            raise ChgtoolsError(f"{path}: VASP reads no compressed file; unpack it as {folder / name}")
    return run


def _kind_of_kpoints(folder: Path) -> str:
    """ "" where there is none."""
    return kind_of_kpoints(folder / KPOINTS) if (folder / KPOINTS).is_file() else ""


def _kpoints(run: RunFolder, kind: str) -> tuple[str | None, str]:
    """The text of a KPOINTS that is to be written, None to leave what is there; and what is to be said of it."""
    assert run.folder is not None
    there = _kind_of_kpoints(run.folder)
    if kind != BANDS:
        if there == LINE:
            raise ChgtoolsError(
                f"{run.folder / KPOINTS}: is a line of k-points, as for bands; {kind} wants a regular mesh (or give "
                "--for bands)"
            )
        return None, "as it is" if there else "none: VASP takes KSPACING, 0.5 by default"
    if there in (LINE, LIST):
        what = "a line of k-points" if there == LINE else "a list of k-points, taken for the path"
        return None, f"as it is: {what}"
    if there not in (MESH, ""):
        raise ChgtoolsError(f"{run.folder / KPOINTS}: is no KPOINTS that is known here; remove it for a band path")
    from chgtools.run.band_path import STANDARD, band_path

    structure = run.structure
    assert structure is not None
    if not all(structure.species):
        assert run.potcar is not None
        structure = structure.with_changes(species=tuple(density.element for density in run.potcar))
    path = band_path(structure)
    text = line_mode_text(f"{path.text} ({path.lattice}, {STANDARD})", path.segments, POINTS)
    return text, f"band path {path.text}, {POINTS} points to a line ({path.lattice} of {STANDARD})"


@contextmanager
def _stage(folder: Path, dry_run: bool) -> Iterator[Path]:
    """A folder to make files in: within the run, so that they can be moved, or elsewhere where none will be."""
    try:
        with tempfile.TemporaryDirectory(prefix=".chgtools-", dir=None if dry_run else folder) as name:
            yield Path(name).resolve()
    except OSError as error:
        raise ChgtoolsError(f"{folder}: cannot be written ({error.strerror}); nothing was changed") from error


@contextmanager
def _naming(stage: Path, folder: Path) -> Iterator[None]:
    """What is raised of a staged file names that of the run."""
    try:
        yield
    except ChgtoolsError as error:
        if str(stage) not in str(error):
            raise
        raise ChgtoolsError(str(error).replace(str(stage), str(folder))) from error


def _density(folder: Path, stage: Path, options: PrepareOptions) -> tuple[Start | None, tuple[str, ...]]:
    """The CHGCAR of the staged run, made, or None for one that is kept; and notes.

    Raises NotReadyError for one that VASP would not take.
    """
    there = folder / CHARGE
    empty = there.is_file() and there.stat().st_size == 0

    def renamed(text: str) -> str:
        return text.replace(str(stage), str(folder))

    if there.exists() and not empty and not options.force:
        (stage / CHARGE).symlink_to(there.resolve())
        report = examine(stage / CHARGE, RunFolder.around(stage))[0]
        if serious := _serious(report.findings):
            raise NotReadyError(
                f"{there} is there already, and VASP would not take it as it is meant: {renamed(serious)} "
                "--force makes a new one"
            )
        return None, tuple(renamed(finding.found) for finding in report.findings)
    start = write_start(stage / POSCAR, stage / CHARGE, StartOptions(model=options.model, prior=options.prior))
    if serious := _serious(start.findings):
        raise NotReadyError(f"{folder} cannot be made ready: {renamed(serious)} Nothing was changed.")
    said_empty = f"{there} was empty, as VASP leaves one when it is stopped"
    assumptions = tuple(map(renamed, start.prediction.assumptions))
    start = replace(start, path=there, prediction=replace(start.prediction, assumptions=assumptions))
    return start, ((said_empty, *assumptions) if empty else assumptions)


def _serious(findings: tuple[Finding, ...]) -> str:
    """What speaks against a run, "" for nothing."""
    against = [each for each in findings if each.severity != NOTE and each.code != STATEMENT]
    return " ".join(f"{each.found}. {each.effect}. {each.mend}." for each in against)


def _keep(folder: Path, stage: Path, names: list[str]) -> dict[str, str]:
    """Copies of files that are to be replaced: NAME.before, .before.2, ... where another is there already."""
    kept = {}
    for name in names:
        number, copy = 1, f"{name}.before"
        while (folder / copy).exists() and (folder / copy).read_bytes() != (folder / name).read_bytes():
            number += 1
            copy = f"{name}.before.{number}"
        shutil.copyfile(folder / name, stage / copy)
        kept[name] = copy
    return kept


def _text(path: Path) -> str:
    """The text of a file, a character for each byte, so that all of them can be written again."""
    return path.read_bytes().decode("latin-1")


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
