"""``chgtools prepare``: a run folder made ready to start from a predicted density."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli import Sentence
from chgtools.cli.options import PATH, json_option
from chgtools.cli.verdict import STYLE_OF_LEVEL

if TYPE_CHECKING:
    from chgtools.start.preparation import Preparation
    from chgtools.start.run_tags import Change

Shown = tuple[str, str, str | None]  # a row of a table: name, text, style


class NotReady(Sentence):
    """VASP would refuse or drop the density."""

    exit_code = 3  # as that of `check`


@click.command()
@click.argument("run", type=PATH)
@click.option("--for", "kind", required=True, type=click.Choice(["bands", "dos", "static", "relax"]),
              help="bands, dos: the density is kept (ICHARG = 11); static, relax: it is the start (1).")  # fmt: skip
@click.option("--model", default="auto", show_default=True, metavar="auto|si|base|none|PATH",
              help="Weights of the learned difference density; none writes the SAED.")  # fmt: skip
@click.option("--prior", default="auto", show_default=True, type=click.Choice(["auto", "none"]),
              help="Whether weights with a tight-binding prior are used.")  # fmt: skip
@click.option("--force", is_flag=True, help="Make the CHGCAR anew, though there is one that VASP would take.")
@click.option("--dry-run", is_flag=True, help="Write nothing, and show what would be done.")
@json_option
def prepare(run: Path, kind: str, model: str, prior: str, force: bool, dry_run: bool, as_json: bool) -> None:
    """Make the run folder RUN ready for VASP: CHGCAR, tags of the INCAR, and for bands a KPOINTS.

    RUN holds POSCAR, INCAR and POTCAR. A CHGCAR that is there is kept where `chgtools check` finds nothing against it,
    else one is predicted. Of the INCAR those tags are set that such a run needs, each with its reason; all else of it
    stays, and the file as it was is INCAR.before. --for bands writes the band path of Setyawan and Curtarolo where
    there is no KPOINTS, or a mesh (kept as KPOINTS.before), and refuses cells that the path is not of; a KPOINTS with
    lines or a list of k-points stays.

    All is done, or nothing; a second call changes nothing. Exit code 0: ready; 1: an input is missing, cannot be read,
    or asks for what VASP cannot do; 3: VASP would refuse, drop or misread the density.
    """
    from chgtools.cli.screen import print_notes
    from chgtools.start.preparation import NotReadyError, PrepareOptions
    from chgtools.start.preparation import prepare as prepared

    try:
        done = prepared(run, kind, PrepareOptions(model, prior, force, dry_run))
    except NotReadyError as error:
        raise NotReady(str(error)) from error
    print_notes(done.notes)
    click.echo(json.dumps(_facts(done, dry_run)) if as_json else _text(done, dry_run))


def _facts(done: Preparation, dry_run: bool) -> dict[str, Any]:
    return {
        "folder": str(done.folder),
        "for": done.kind,
        "icharg": done.icharg,
        "dry_run": dry_run,
        "charge": "kept" if done.start is None else "predicted",
        "incar": {each.tag: {"before": each.before, "after": each.after, "why": each.why} for each in done.changes},
        "kpoints": done.kpoints,
        "written": list(done.written),
        "kept_as": done.kept,
        "hints": list(done.hints),
        "prediction": None if done.start is None else done.start.facts(),
    }


def _text(done: Preparation, dry_run: bool) -> str:
    from chgtools.cli.screen import HEADING, SUCCESS, WARNING, broken, styled, table

    rows = _charge(done)
    kept = {name: f"; as it was: {copy}" for name, copy in done.kept.items()}
    number = len(done.changes)
    changed = f"{number} tag{'s' * (number != 1)} set{kept.get('INCAR', '')}" if number else "as it is: nothing to set"
    rows += [("INCAR", changed, None), *_changes(done.changes)]
    rows.append(("KPOINTS", done.kpoints + kept.get("KPOINTS", ""), None))
    verb = "would be prepared" if dry_run else "prepared" if done.written else "is prepared already"
    title = f"{done.folder} {verb} for {done.kind} (ICHARG = {done.icharg})"
    pieces = [styled(title, HEADING), table(rows)]
    pieces += ["\n".join(styled(line, WARNING) for line in broken(hint, "hint: ", "  ")) for hint in done.hints]
    last = "nothing was written (--dry-run)" if dry_run else "ready: start VASP in this folder"
    return "\n".join([*pieces, styled(last, WARNING if dry_run else SUCCESS)])


def _charge(done: Preparation) -> list[Shown]:
    """What became of the CHGCAR."""
    if done.start is None:
        return [("CHGCAR", "kept: it is there, and check finds nothing against it (--force makes a new one)", None)]
    file, *others = done.start.verdict.rows
    facts = [(f"  {row.name}", row.text, STYLE_OF_LEVEL[row.level]) for row in others]
    return [("CHGCAR", f"predicted: {file.text.partition(': ')[2]}", None), *facts]


def _changes(changes: tuple[Change, ...]) -> list[Shown]:
    """A row for each tag that was set."""
    rows: list[Shown] = []
    for change in changes:
        was = "not set before" if change.before is None else f"was {change.before}"
        rows.append((f"  {change.tag}", f"{change.after} ({was}): {change.why}", None))
    return rows
