"""``chgtools dataset``: stores of difference densities to train on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    device_option,
    failed_sentence,
    force_option,
    json_option,
    output_option,
    refuse_to_replace,
    shard_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chgtools.jobs.shard import Shard
    from chgtools.stores.build import Outcome
    from chgtools.stores.progress import Progress

store_argument = click.argument("store", type=PATH, metavar="STORE.h5")
SHARE = click.FloatRange(min=0, max=1)


@click.group()
def dataset() -> None:
    """Build, join, split and list stores of difference densities to train on.

    A store is one HDF5 file with a group for each structure: the Fourier coefficients of its difference density. An
    index of several stores (`join`) is taken wherever a store is.
    """


@dataset.command()
@click.argument("files", type=PATH, nargs=-1, metavar="[FILES]...")
@output_option(help="Store to write or to go on with, STORE.h5.")
@click.option("--list", "listed", type=PATH, metavar="LIST",
              help="File with a source to a line, its POSCAR behind a tab.")  # fmt: skip
@shard_option(help="Do part I of N into STORE.I-of-N.h5, for job arrays; `dataset join` makes one of all.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Processes that compute; one writes.")  # fmt: skip
@click.option("--difference", is_flag=True,
              help="FILES are difference densities from these atoms (pp.x, plot_num = 9; DeltaRho).")  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Try again what has failed in an earlier call.")
@click.option("--max-points", type=click.IntRange(min=1), metavar="N",
              help="Take no grid of more points; by default whatever fits into the memory.")  # fmt: skip
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
    listed: Path | None,
    shard: Shard | None,
    jobs: int,
    retry_failed: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Add FILES to a store: targets of make-dcd (.h5), other stores (.h5), or CHGCARs.

    A CHGCAR may be a member of an archive (runs.tar:a/CHGCAR) or a row of a Parquet file (x.parquet:12), and may be
    followed by the POSCAR of its run, as in make-dcd; the options on atomic densities are for CHGCARs. An archive or a
    Parquet file by itself stands for every density in it, 'runs.tar:*/CHGCAR.gz' for the members of such names. A bad
    file or member stops no other. A build that was stopped goes on when it is called again: what became of each file
    stands in STORE.h5.manifest.jsonl, and a file that is there with the same size and time is not read again.
    """
    from chgtools.cli.run_options import source_of
    from chgtools.stores.build import BuildOptions, sources_of
    from chgtools.stores.build import build as build_store
    from chgtools.stores.listing import read_sources
    from chgtools.stores.progress import Progress

    if not files and listed is None:
        raise click.UsageError("found nothing to build from; wanted FILES, or --list LIST")
    sources = (sources_of(files) if files else []) + (read_sources(listed) if listed else [])
    if shard is not None:
        sources = list(shard.part(sources))
    names = ("truncation", "kind", "nelect", "max_points", "difference")
    settings = BuildOptions(source=source_of(options), **{name: options[name] for name in names})
    progress = Progress(output, settings, shard, retry_failed)
    # what is to run for hours must outlive the file that fills the memory: it is computed in another process
    processes = jobs if jobs > 1 or listed or shard else 0
    outcomes = build_store(progress.store, sources, settings, processes, progress)
    told = _told(outcomes, len(sources), progress.store, as_json, listed is None)
    if not as_json:
        click.echo(told.sentence(progress, len(sources)))
    if told.failed:
        before = told.counts["failed before"]
        earlier = f", {before} of them in an earlier call (--retry-failed tries them again)" if before else ""
        click.echo(failed_sentence(told.failed, len(sources), "files", earlier), err=True)
        sys.exit(1)


@dataclass
class _Told:
    """What a build has told of: files by status, entries by status, files with notes that were not printed."""

    counts: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    with_notes: int = 0

    @property
    def failed(self) -> int:
        return self.counts["failed"] + self.counts["failed before"]

    def sentence(self, progress: Progress, total: int) -> str:
        noted = f"; notes on {self.with_notes} of them (--json, {progress.path})" if self.with_notes else ""
        return (
            f"{progress.store}: {self.entries['added']} structures added from {self.counts['added']} of {total} files, "
            f"{self.counts['present']} files there already, {self.failed} failed{noted}"
        )


def _told(outcomes: Iterable[Outcome], total: int, store: Path, as_json: bool, notes: bool) -> _Told:
    """Print what becomes of each source as it is known. notes : print them too"""
    from chgtools.cli.screen import print_notes

    told = _Told()
    bar: Any = nullcontext()
    if shown := sys.stderr.isatty():
        bar = click.progressbar(length=total, label=str(store), file=sys.stderr)
    with bar:
        for outcome in outcomes:
            told.counts[outcome.status] += 1
            told.entries[outcome.status] += len(outcome.names)
            if shown and ((outcome.notes and notes) or outcome.error):
                click.echo(err=True)  # off the line of the bar
            if notes:
                print_notes(f"{outcome.path}: {sentence}" for sentence in outcome.notes)
            else:
                told.with_notes += bool(outcome.notes)
            if outcome.status == "failed":
                click.echo(f"Error: {_located(outcome)}", err=True)
            if as_json:
                click.echo(json.dumps({"file": str(outcome.path), **outcome.facts()}))
            if shown:
                bar.update(1)
    return told


def _located(outcome: Outcome) -> str:
    """The sentence with its file in front, unless it names it."""
    return outcome.error if str(outcome.path) in outcome.error else f"{outcome.path}: {outcome.error}"


@dataset.command()
@click.argument("stores", type=PATH, nargs=-1, required=True, metavar="STORES...")
@output_option(help="Index to write, INDEX.h5.")
@force_option
@json_option
def join(stores: tuple[Path, ...], output: Path, force: bool, as_json: bool) -> None:
    """Make one data set of STORES, such as the shards of a job array, without copying them.

    INDEX.h5 says where each entry lies, and what it is; `split`, `list`, `train` and `evaluate` take it as they take a
    store. The stores stay where they are, seen from the index. What is in two of them is there once.
    """
    refuse_to_replace(output, force)
    from chgtools.stores.join import join as join_stores

    joined = join_stores(output, stores)
    if as_json:
        click.echo(json.dumps({"file": str(output), **asdict(joined)}))
    else:
        copies = f"; {joined.left_out} copies are left out" if joined.left_out else ""
        click.echo(f"{output}: {joined.entries} structures in {joined.stores} stores{copies}")


@dataset.command()
@click.argument("stores", type=PATH, nargs=-1, required=True, metavar="STORES...")
@device_option
@json_option
def features(stores: tuple[Path, ...], device: str, as_json: bool) -> None:
    """Compute what tight binding says of the structures of STORES, for a training with that prior.

    STORE.h5.features beside each store keeps it, and `train` and `evaluate` find it there; without it they look into
    the user's cache folder, and compute what is not there. A call that was stopped goes on. Of an index all its stores
    are done. About a second for each structure on one core; job arrays take a store for each task.
    """
    from chgtools.training.kept_features import write_features

    for store in stores:
        shown = sys.stderr.isatty() and not as_json
        with click.progressbar(length=1, file=sys.stderr) if shown else nullcontext() as bar:

            def told(done: int, total: int, bar: Any = bar) -> None:
                if bar is not None:
                    bar.length = total
                    bar.update(1)

            written = write_features(store, told, device=device)
        for each in written:
            for sentence in each.failed:
                click.echo(f"note: no features of {sentence}", err=True)
            if as_json:
                facts = {"new": each.new, "there": each.there, "failed": len(each.failed)}
                click.echo(json.dumps({"file": str(each.path), **facts}))
            else:
                failed = f", {len(each.failed)} failed" if each.failed else ""
                click.echo(f"{each.path}: {each.new + each.there} structures, {each.new} of them new{failed}")


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
