"""``chgtools check``: what VASP will refuse, drop or misread in a CHGCAR; and whether it read the file, after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, force_option, json_option, output_option, refuse_to_replace

if TYPE_CHECKING:
    from chgtools.check.findings import Finding, Report
    from chgtools.check.mend import Mending

FOUND = 3  # exit code when something was found


@click.command()
@click.argument("chgcar", type=PATH, required=False)
@click.option("--poscar", type=PATH, help="POSCAR of the run that is to read it; by default the one beside it.")
@click.option("--potcar", type=PATH, help="POTCAR of that run; by default the one beside it.")
@click.option("--incar", type=PATH, help="INCAR of that run; by default the one beside it.")
@click.option("--fix", is_flag=True, help="Mend what can be mended without a guess, into -o or (--force) in place.")
@output_option(required=False, help="Mended file of --fix.")
@force_option
@click.option("--run", "run_folder", type=PATH, metavar="DIR", help="Tell whether the job in DIR read its CHGCAR.")
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    chgcar: Path | None,
    poscar: Path | None,
    potcar: Path | None,
    incar: Path | None,
    fix: bool,
    output: Path | None,
    force: bool,
    run_folder: Path | None,
    as_json: bool,
) -> None:
    """Print what VASP will refuse, drop or misread in CHGCAR, and how to mend it.

    The file is read to its end and held against the POSCAR, INCAR and POTCAR of the run that is to read it. With --run
    the output of a finished or running job is read instead.

    Exit code 0: in order (there may be notes); 3: something was found; 1: a file cannot be read.
    """
    if (chgcar is None) == (run_folder is None):
        raise click.UsageError("give a CHGCAR, or --run DIR")
    inputs = {"poscar": poscar, "potcar": potcar, "incar": incar}
    if run_folder is not None:
        if fix or output is not None or any(inputs.values()):
            raise click.UsageError("--run reads the output of a job; it goes with --json alone")
        ctx.exit(_run(run_folder, as_json))
    assert chgcar is not None
    if fix:
        if output is None and not force:
            raise click.UsageError("--fix needs -o FILE, or --force to replace the file itself")
        if output is not None:
            refuse_to_replace(output, force)
        ctx.exit(_fix(chgcar, output or chgcar, inputs, as_json))
    if output is not None or force:
        raise click.UsageError("-o and --force go with --fix")
    from chgtools.check import check_file

    report = check_file(chgcar, **inputs)
    _notes(report)
    click.echo(json.dumps(_facts(report), indent=1) if as_json else _text(report))
    ctx.exit(0 if report.ok else FOUND)


def _run(folder: Path, as_json: bool) -> int:
    from chgtools.check import check_run
    from chgtools.check.findings import NOTE

    report = check_run(folder)
    if as_json:
        facts = {"folder": str(folder), "read": report.read, "reason": report.reason}
        click.echo(json.dumps({**facts, "findings": [each.as_dict() for each in report.findings]}, indent=1))
    else:
        from chgtools.cli.screen import ERROR, SUCCESS, WARNING, fitted

        answer, style = {True: ("yes", SUCCESS), False: ("no", ERROR), None: ("not known", WARNING)}[report.read]
        first = fitted(f"density read: {answer}. {report.reason}", later="  ", style=style)
        click.echo("\n".join([first, *map(_lines, report.findings)]))
    return FOUND if any(finding.severity != NOTE for finding in report.findings) else 0


def _fix(chgcar: Path, output: Path, inputs: dict[str, Any], as_json: bool) -> int:
    from chgtools.check import mend_file

    mending = mend_file(chgcar, output, **inputs)
    _notes(mending.report)
    for note in mending.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(json.dumps(_mending_facts(mending), indent=1) if as_json else _mending_text(chgcar, mending))
    return 0 if mending.report.ok else FOUND


def _notes(report: Report) -> None:
    from chgtools.cli.screen import print_notes

    used = [f"held against {sentence}" for sentence in report.inputs]
    print_notes([*used, *(f"not checked: {sentence}" for sentence in report.not_checked)])


def _facts(report: Report) -> dict[str, Any]:
    return {
        "file": report.path,
        "ok": report.ok,
        **(report.facts or {}),
        "inputs": list(report.inputs),
        "findings": [finding.as_dict() for finding in report.findings],
        "not_checked": list(report.not_checked),
    }


def _mending_facts(mending: Mending) -> dict[str, Any]:
    return {
        "output": mending.output,
        "mended": [finding.as_dict() for finding in mending.mended],
        "put_in": list(mending.notes),
        "left": _facts(mending.report),
    }


def _lines(finding: Finding) -> str:
    """A finding in four pieces; in a pipe each is one line."""
    from chgtools.check.findings import MISREAD
    from chgtools.check.findings import NOTE as REMARK
    from chgtools.cli.screen import ERROR, NOTE, WARNING, fitted

    style = {REMARK: NOTE, MISREAD: WARNING}.get(finding.severity, ERROR)
    title = fitted(f"{finding.place}: {finding.severity} [{finding.code}]", later="  ", style=style)
    fix = " (`chgtools check --fix` does it)" if finding.fixable else ""
    pieces = [("found", finding.found, ""), ("VASP", finding.effect, ""), ("mend", finding.mend, fix)]
    lines = [fitted(text + more, f"  {name + ':':7s}", " " * 9) for name, text, more in pieces if text]
    return "\n".join([title, *lines])


def _summary(report: Report) -> str:
    facts = report.facts or {}
    if facts.get("grid") is None or facts.get("electrons") is None:
        return ""
    grid = " x ".join(map(str, facts["grid"]))
    return f" (grid {grid}, blocks {facts['blocks']}, {facts['electrons']:.6f} electrons)"


def _text(report: Report) -> str:
    from chgtools.check.findings import NOTE
    from chgtools.cli.screen import SUCCESS, WARNING, fitted

    lines = [_lines(finding) for finding in report.findings]
    serious = sum(finding.severity != NOTE for finding in report.findings)
    style = WARNING if serious else SUCCESS
    notes = len(report.findings) - serious
    counted = [f"{serious} finding{'s' * (serious != 1)}"] if serious else ["in order"]
    counted += [f"{notes} note{'s' * (notes != 1)}"] if notes else []
    last = fitted(f"{report.path}: {', '.join(counted)}{_summary(report)}", later="  ", style=style)
    return "\n".join([*lines, last])


def _mending_text(chgcar: Path, mending: Mending) -> str:
    if mending.output is None:
        return "\n".join([f"{chgcar}: nothing that --fix could mend; nothing was written", _text(mending.report)])
    lines = [f"mended {finding.place}: {finding.found} [{finding.code}]" for finding in mending.mended]
    return "\n".join([*lines, _text(mending.report)])
