"""``chgtools evaluate``: how good weights are on the entries of stores."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, device_option, json_option

if TYPE_CHECKING:
    from chgtools.training.evaluation import Row
    from chgtools.training.evaluation_run import Evaluation


@click.command()
@click.argument("model", metavar="si|base|PATH")
@click.argument("stores", type=PATH, nargs=-1, required=True, metavar="STORE.h5...")
@click.option("--split", metavar="NAME", help="Only entries of this split, such as test (`chgtools dataset split`).")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind; * matches; once for each.")
@click.option("--aside", is_flag=True, help="Only entries that the training of these weights kept aside.")
@click.option("--pictures", type=PATH, metavar="DIR", help="Draw histogram, parity and trust as PNG files.")
@click.option("--summary", "short", is_flag=True, help="Leave out the line of each structure.")
@device_option
@json_option
def evaluate(
    model: str,
    stores: tuple[Path, ...],
    split: str | None,
    kinds: tuple[str, ...],
    aside: bool,
    pictures: Path | None,
    short: bool,
    device: str,
    as_json: bool,
) -> None:
    """Print the errors of weights on stores: of each structure, by kind, by element.

    ε_mae and ε_rms in percent, the Coulomb self-energy of the error in meV/atom, the smallest density in e/Å³, and
    the SAED's errors beside. Names and formulas decide what --aside means, as in the training.
    """
    from chgtools.models.weights import load_model
    from chgtools.training.evaluation_run import Selection, evaluate_stores

    weights = load_model(model)
    listed = not (short or as_json)
    bar: Any = None
    with ExitStack() as stack:

        def begins(count: int) -> None:
            nonlocal bar
            if listed:
                click.echo(_HEAD)
            elif sys.stderr.isatty():
                bar = stack.enter_context(click.progressbar(length=count, label=weights.name, file=sys.stderr))

        def told(row: Row) -> None:
            if listed:
                click.echo(_line(row))
            elif bar is not None:
                bar.update(1)

        chosen = Selection(split, kinds, aside)
        evaluation = evaluate_stores(weights, stores, chosen, device=device, begins=begins, told=told)
    if pictures is not None:
        from chgtools.training.evaluation_pictures import draw

        for path in draw(evaluation.rows, pictures):
            click.echo(f"note: {path} written", err=True)
    if as_json:
        click.echo(json.dumps(evaluation.as_dict()))
    else:
        _print_summary(evaluation)


def _print_summary(evaluation: Evaluation) -> None:
    for title, table in evaluation.tables.items():
        click.echo(f"\n{title:24s}" + _TABLE)
        for row in table:
            click.echo(
                f"{row['name']:24s}{row['structures']:5d}{row['mean']:8.3f}{row['median']:8.3f}{row['p95']:8.3f}"
                f"{row['largest']:8.3f}{row['saed_mean']:8.3f}{row['coulomb_mean']:10.3f}{row['better_percent']:10.1f}"
            )
    better, count = evaluation.better, len(evaluation.rows)
    click.echo(f"\nbetter than SAED on {better} of {count} ({100 * better / count:.1f} %)")
    if evaluation.magnetisation is not None:
        from chgtools.training.evaluation import NEAR

        magnetic = evaluation.magnetisation
        click.echo(
            f"magnetisation of {magnetic['structures']:.0f}: ∫|Δm| {magnetic['mean']:.3f} % of the electrons "
            f"(∫|m| {magnetic['none_mean']:.3f} %), moment off by {magnetic['moment_mae']:.3f} μ_B "
            f"(mean {magnetic['moment_mean']:.3f}), within {NEAR} on {magnetic['moment_near_percent']:.0f} %"
        )
    if evaluation.occupancies is not None:
        occupancies = evaluation.occupancies
        click.echo(
            f"occupancies of {occupancies['structures']:.0f}: off by {occupancies['mean']:.2f} % of the records "
            f"(the labels' mean by {occupancies['labels_mean']:.2f} %)"
        )
    trust = evaluation.trust_rank_correlation
    if trust == trust:
        click.echo(f"rank correlation of expected and true error: {trust:.2f}")


_TABLE = f"{'n':>5s}{'mean':>8s}{'median':>8s}{'p95':>8s}{'max':>8s}{'SAED':>8s}{'meV/atom':>10s}{'better %':>10s}"
_HEAD = (
    f"{'structure':36s}{'atoms':>6s}{'ε_mae %':>9s}{'SAED':>8s}{'expected':>9s}{'ε_rms %':>9s}{'meV/atom':>10s}"
    f"{'SAED':>9s}{'minimum':>10s}"
)


def _line(row: Row) -> str:
    expected = "" if row.expected != row.expected else f"{row.expected:.2f}"
    unseen = f"  not seen: {', '.join(row.unseen)}" if row.unseen else ""
    return (
        f"{row.name[:35]:36s}{row.atoms:6d}{row.eps_mae:9.3f}{row.eps_mae_saed:8.2f}{expected:>9s}{row.eps_rms:9.3f}"
        f"{row.coulomb:10.3f}{row.coulomb_saed:9.2f}{row.minimum:10.2g}{unseen}"
    )
