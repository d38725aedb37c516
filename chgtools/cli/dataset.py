"""``chgtools dataset``: stores of difference densities to train on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, density_options, failed_sentence, json_option, output_option

if TYPE_CHECKING:
    from chgtools.stores.build import Outcome

store_argument = click.argument("store", type=PATH, metavar="STORE.h5")
SHARE = click.FloatRange(min=0, max=1)


@click.group()
def dataset() -> None:
    """Build, split and list stores of difference densities to train on.

    A store is one HDF5 file with a group for each structure: the Fourier coefficients of its difference density.
    """


@dataset.command()
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILES...")
@output_option(help="Store to write or to go on with, STORE.h5.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Processes that compute; one writes.")  # fmt: skip
@click.option("--truncation", type=click.FloatRange(min=0, max=100, min_open=True, max_open=True), default=0.06,
              show_default=True, metavar="PERCENT",
              help="Largest part of the electrons that cutting the Fourier series may misplace.")  # fmt: skip
@click.option("--kind", default="vasp", show_default=True, metavar="KIND",
              help="What these structures are, such as surface; for `split --hold-out`.")  # fmt: skip
@click.option("--nelect", type=click.FloatRange(min=0, min_open=True), metavar="N",
              help="Electrons of charged cells, in place of NELECT in the INCAR beside each CHGCAR.")  # fmt: skip
@density_options
@json_option
def build(
    files: tuple[Path, ...],
    output: Path,
    jobs: int,
    truncation: float,
    kind: str,
    nelect: float | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Add FILES to a store: targets of make-dcd (.h5), other stores (.h5), or CHGCARs.

    A CHGCAR may be a member of an archive (runs.tar:a/CHGCAR) or a row of a Parquet file (x.parquet:12), and may be
    followed by the POSCAR of its run, as in make-dcd; the options on atomic densities are for CHGCARs. What is in the
    store already is passed over, so a build that was stopped goes on when it is called again. A bad file stops no
    other.
    """
    from chgtools.cli.run_options import source_of
    from chgtools.cli.screen import print_notes
    from chgtools.stores.build import BuildOptions, sources_of
    from chgtools.stores.build import build as build_store

    sources = sources_of(files)
    settings = BuildOptions(truncation, kind, source_of(options), nelect)
    counts: Counter[str] = Counter()
    structures: Counter[str] = Counter()
    bar: Any = nullcontext()
    if shown := sys.stderr.isatty():
        bar = click.progressbar(length=len(sources), label=str(output), file=sys.stderr)
    with bar:
        for outcome in build_store(output, sources, settings, jobs):
            counts[outcome.status] += 1
            structures[outcome.status] += len(outcome.names)
            if shown and (outcome.notes or outcome.error):
                click.echo(err=True)  # off the line of the bar
            print_notes(f"{outcome.path}: {sentence}" for sentence in outcome.notes)
            if outcome.error:
                click.echo(f"Error: {_located(outcome)}", err=True)
            elif as_json:
                facts = {"file": str(outcome.path), "status": outcome.status, "entries": outcome.names}
                click.echo(json.dumps(facts))
            if shown:
                bar.update(1)
    if not as_json:
        click.echo(
            f"{output}: {structures['added']} structures added from {counts['added']} of {len(sources)} files, "
            f"{counts['present']} files there already, {counts['failed']} failed"
        )
    if counts["failed"]:
        click.echo(failed_sentence(counts["failed"], len(sources), "files"), err=True)
        sys.exit(1)


def _located(outcome: Outcome) -> str:
    """The sentence with its file in front, unless it names it."""
    return outcome.error if str(outcome.path) in outcome.error else f"{outcome.path}: {outcome.error}"


@dataset.command()
@store_argument
@click.option("--by", type=click.Choice(["structure", "formula"]), default="structure", show_default=True,
              help="What stays together: one structure, or all of one reduced formula.")  # fmt: skip
@click.option("--validation", type=SHARE, default=0.1, show_default=True, metavar="SHARE",
              help="Share of the validation split, 0 to 1.")  # fmt: skip
@click.option("--test", type=SHARE, default=0.1, show_default=True, metavar="SHARE",
              help="Share of the test split, 0 to 1.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Another seed, another split.")
@click.option("--hold-out", multiple=True, metavar="KIND",
              help="Kind that goes to the split held-out; * matches; may be given several times.")  # fmt: skip
@json_option
def split(
    store: Path, by: str, validation: float, test: float, seed: int, hold_out: tuple[str, ...], as_json: bool
) -> None:
    """Split a store into train, validation and test; the split is kept in the file.

    A hash of the name or formula with the seed decides, so entries that are added later move no other.
    """
    from chgtools.stores.splits import split as split_store

    if validation + test > 1:
        raise click.UsageError(f"--validation {validation:g} and --test {test:g} leave nothing; their sum is above 1")
    fractions = {"train": 1 - validation - test, "validation": validation, "test": test}
    counts = split_store(store, fractions, by, seed, hold_out)
    if as_json:
        click.echo(json.dumps({"file": str(store), "splits": counts}))
    else:
        click.echo(f"{store}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


@dataset.command("list")
@store_argument
@json_option
def list_command(store: Path, as_json: bool) -> None:
    """List the kinds of structure in a store: number, elements, error of SAED alone, splits."""
    from chgtools.stores.kinds import kinds_of
    from chgtools.stores.store import Store

    kinds = kinds_of(Store.open(store))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in kinds], indent=1))
        return
    click.echo(f"{'kind':24s}{'entries':>8s}{'SAED ε_mae %':>14s}  splits; elements")
    for each in kinds:
        error = each.mean_saed_eps_mae_percent
        splits = ", ".join(f"{name} {count}" for name, count in each.splits.items())
        click.echo(
            f"{each.kind:24s}{each.entries:8d}{'unknown' if error is None else f'{error:.2f}':>14s}  "
            f"{splits}; {' '.join(each.elements)}"
        )
