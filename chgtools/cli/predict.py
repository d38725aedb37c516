"""``chgtools predict``: a start density for VASP, or many."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    device_option,
    failed_sentence,
    force_option,
    grid_options,
    incar_option,
    json_option,
    output_option,
    refuse_to_replace,
    shard_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chgtools.batch import Outcome
    from chgtools.jobs.shard import Shard


USELESS = 3  # exit code of a batch that wrote files which VASP refuses or drops, as that of `check`


@click.command()
@click.argument("poscar", type=PATH, required=False)
@output_option(required=False, help="CHGCAR to write (.gz and others compress); with --batch a folder.")
@click.option("--batch", "structures", type=PATH, metavar="LIST",
              help="File with a POSCAR or run folder to a line, in place of POSCAR.")  # fmt: skip
@shard_option(help="With --batch: do part I of N, for job arrays.")
@click.option("--manifest", type=PATH, metavar="FILE",
              help="With --batch: what is done, one JSON line each; by default LIST.manifest.jsonl.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="With --batch: structures at once, each in a process; they share a GPU.")  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="With --batch: try again what has failed in an earlier call.")
@click.option("--model", default="auto", show_default=True, metavar="auto|si|base|none|PATH",
              help="Weights of the learned difference density; none writes the SAED.")  # fmt: skip
@click.option("--prior", default="auto", show_default=True, type=click.Choice(["auto", "none"]),
              help="Whether weights with a tight-binding prior are used; none takes those without.")  # fmt: skip
@click.option("--occupancies", default="auto", show_default=True,
              type=click.Choice(["auto", "learned", "mean", "atoms", "none"]),
              help="Augmentation occupancies; auto takes those that belong to the grid.")  # fmt: skip
@incar_option
@click.option("--nelect", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Electrons of a charged cell.")
@grid_options
@density_options
@device_option
@force_option
@json_option
@click.pass_context
def predict(
    ctx: click.Context,
    poscar: Path | None,
    output: Path | None,
    structures: Path | None,
    shard: Shard | None,
    manifest: Path | None,
    jobs: int,
    retry_failed: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the start density of POSCAR as a CHGCAR: SAED + learned difference density, with the INCAR's spin blocks.

    POSCAR may be any file with a structure that chgtools, pymatgen or ASE reads (CIF, extended xyz, ...); of several in
    a file, such as an XDATCAR, XDATCAR:12 is the twelfth. INCAR and POTCAR beside it are used unless others are named.
    With a POTCAR the file holds augmentation occupancies too. The file is checked as `chgtools check` does it; what
    that finds is printed on stderr. The table on stdout tells what it is, whether runs with ICHARG = 11 and 1 have use
    of it, and which lines go into their INCAR.

    With --batch LIST in place of POSCAR: a CHGCAR beside each POSCAR of the list (or, with -o, in that folder), and for
    every structure of an XDATCAR or an xyz file (CHGCAR.XDATCAR-0001, ...). A batch that was stopped goes on when it is
    called again; a structure that fails stops no other. --jobs N does so many at once. Exit code 3 with --batch: all
    are written, and VASP would refuse or drop some.
    """
    if structures is not None:
        if poscar is not None:
            raise click.UsageError(f"found both POSCAR ({poscar}) and --batch {structures}; give one of the two")
        _many(structures, output, shard, manifest, jobs, retry_failed, force, as_json, options)
        return
    if shard is not None or manifest is not None or retry_failed or jobs > 1:
        raise click.UsageError("--shard, --manifest, --jobs and --retry-failed go with --batch LIST")
    if poscar is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'POSCAR'", param_type="argument")
    if output is None:
        raise click.MissingParameter(ctx=ctx, param_hint="'-o' / '--output'", param_type="option")
    _one(poscar, output, force, as_json, options)


def _one(poscar: Path, output: Path, force: bool, as_json: bool, options: dict[str, Any]) -> None:
    refuse_to_replace(output, force)
    import time

    from chgtools.kernels.ahead import compiled_ahead

    with compiled_ahead():  # beside the imports too
        from chgtools.cli.screen import WARNING, print_notes
        from chgtools.cli.verdict import in_words
        from chgtools.start.writing import IN_NOTES, StartOptions, write_start

        started = time.perf_counter()
        start = write_start(poscar, output, StartOptions(**_start_options(options)))
    print_notes(start.prediction.assumptions)
    print_notes((str(each) for each in start.findings if each.code not in IN_NOTES), "check", WARNING)
    verdict = start.verdict
    seconds = time.perf_counter() - started
    if as_json:
        checked = [finding.as_dict() for finding in start.findings]
        facts = {"file": str(output), **start.facts(), "check": checked, "verdict": verdict.as_dict()}
        click.echo(json.dumps({**facts, "seconds": round(seconds, 3)}))
        return
    click.echo(in_words(verdict, seconds))


def _start_options(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of chgtools.start.writing.StartOptions."""
    from chgtools.cli.run_options import grid_of, source_of

    names = ("incar", "nelect", "model", "prior", "occupancies", "device")
    return {"source": source_of(options), "grid": grid_of(options), **{name: options[name] for name in names}}


def _many(
    structures: Path,
    output: Path | None,
    shard: Shard | None,
    manifest: Path | None,
    jobs: int,
    retry_failed: bool,
    force: bool,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    if output is not None and output.exists() and not output.is_dir():
        raise click.UsageError(f"{output} is a file; with --batch, -o names a folder")
    from chgtools.batch import FAILED, Batch, BatchOptions, Shard

    batch = Batch(
        structures,
        BatchOptions(
            output=output,
            manifest=manifest,
            shard=shard or Shard(),
            force=force,
            jobs=jobs,
            retry_failed=retry_failed,
            **_start_options(options),
        ),
    )
    outcomes = []
    bar: Any = nullcontext()
    if shown := sys.stderr.isatty():
        bar = click.progressbar(length=len(batch.items), label=str(structures), file=sys.stderr)
    with bar:
        for outcome in batch.run():
            outcomes.append(outcome)
            if outcome.status == FAILED:
                # off the line of the bar
                click.echo(("\n" if shown else "") + f"Error: {outcome.error}", err=True)
            if as_json:
                click.echo(json.dumps({**outcome.record, "outcome": outcome.status}))
            if shown:
                bar.update(1)
    if not as_json:
        from chgtools.cli.screen import fitted

        summary = f"{structures}: {_counted(outcomes)}; {batch.manifest.path} says what each was made with"
        click.echo(fitted(summary, later="  "))
    if exit_code := _faults(outcomes):
        sys.exit(exit_code)


def _counted(outcomes: Sequence[Outcome]) -> str:
    from chgtools.batch import DONE, FAILED, FAILED_BEFORE, PRESENT

    counts = Counter(outcome.status for outcome in outcomes)
    not_ready = sum(outcome.record.get("ready_for_icharg_11") is False for outcome in outcomes)
    return f"{counts[DONE]} done, {counts[PRESENT]} there already, {counts[FAILED] + counts[FAILED_BEFORE]} failed" + (
        f", {not_ready} not ready for ICHARG = 11" if not_ready else ""
    )


def _faults(outcomes: Sequence[Outcome]) -> int:
    """Say what failed and what VASP would not take; the exit code."""
    from chgtools.batch import FAILED, FAILED_BEFORE
    from chgtools.cli.screen import ERROR, fitted
    from chgtools.start.writing import NO_RECORDS

    codes = [outcome.record.get("refused_or_dropped", []) for outcome in outcomes]
    if useless := sum(map(bool, codes)):
        counts = Counter(code for each in codes for code in each)
        why = ", ".join(f"{code}: {count}" for code, count in counts.items())
        potcar = "; a POTCAR beside each POSCAR, or --potcar, has the occupancies" if counts[NO_RECORDS] else ""
        sentence = f"Error: {useless} of {len(outcomes)} files are such that VASP refuses or drops them ({why}){potcar}"
        click.echo(fitted(sentence, later="  ", style=ERROR, stream=sys.stderr), err=True)
    counts = Counter(outcome.status for outcome in outcomes)
    before, failed = counts[FAILED_BEFORE], counts[FAILED] + counts[FAILED_BEFORE]
    if failed:
        earlier = f", {before} of them in an earlier call (--retry-failed tries them again)" if before else ""
        click.echo(failed_sentence(failed, len(outcomes), "structures", earlier), err=True)
    return 1 if failed else USELESS if useless else 0
