"""``chgtools evaluate``: how good weights are on the entries of stores."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, json_option

if TYPE_CHECKING:
    from chgtools.training.evaluation import Row


@click.command()
@click.argument("model", metavar="si|base|PATH")
@click.argument("stores", type=PATH, nargs=-1, required=True, metavar="STORE.h5...")
@click.option("--split", metavar="NAME", help="Only entries of this split, such as test (`chgtools dataset split`).")
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Only this kind; * matches; once for each.")
@click.option("--aside", is_flag=True, help="Only entries that the training of these weights kept aside.")
@click.option("--pictures", type=PATH, metavar="DIR", help="Draw histogram, parity and trust as PNG files.")
@click.option("--summary", "short", is_flag=True, help="Leave out the line of each structure.")
@json_option
def evaluate(
    model: str,
    stores: tuple[Path, ...],
    split: str | None,
    kinds: tuple[str, ...],
    aside: bool,
    pictures: Path | None,
    short: bool,
    as_json: bool,
) -> None:
    """Print the errors of weights on stores: of each structure, by kind, by element.

    ε_mae and ε_rms in percent, the Coulomb self-energy of the error in meV/atom, the smallest density in e/Å³, and
    the SAED's errors beside. Names and formulas decide what --aside means, as in the training.
    """
    from chgtools.errors import SettingsError
    from chgtools.models.weights import load_model
    from chgtools.stores.store import Store
    from chgtools.training.calibration import rank_correlation
    from chgtools.training.evaluation import (
        as_dict,
        evaluate_entry,
        magnetic_summary,
        occupancies_summary,
        summary,
    )
    from chgtools.training.reference import from_ground_state

    weights = load_model(model)
    chosen: list[tuple[Any, str]] = []
    for path in stores:
        store = Store.open(path)
        names = set(store.in_split(split)) if split else set(store)
        for name, facts in store.facts():
            fits = not kinds or any(fnmatchcase(str(facts.get("kind", "")), kind) for kind in kinds)
            if name in names and fits:
                chosen.append((store, name))
    if aside:
        chosen = [(store, name) for store, name in chosen if _kept_aside(weights.card, store[name])]
    if not chosen:
        raise SettingsError("no entry is left to evaluate; check --split, --kind and --aside")
    rows: list[Row] = []
    bar: Any = nullcontext(chosen)
    if sys.stderr.isatty() and (short or as_json):
        bar = click.progressbar(chosen, label=weights.name, file=sys.stderr)
    if not (short or as_json):
        click.echo(_HEAD)
    with bar as items:
        for store, name in items:
            rows.append(evaluate_entry(weights, from_ground_state(store[name])))
            if not (short or as_json):
                click.echo(_line(rows[-1]))
    trust = rank_correlation([row.expected for row in rows], [row.eps_mae for row in rows])
    tables, magnetic, occupancies = summary(rows), magnetic_summary(rows), occupancies_summary(rows)
    if pictures is not None:
        from chgtools.training.evaluation_pictures import draw

        for path in draw(rows, pictures):
            click.echo(f"note: {path} written", err=True)
    if as_json:
        facts = {
            "model": weights.name,
            "rows": [as_dict(row) for row in rows],
            **tables,
            "magnetisation": magnetic,
            "occupancies": occupancies,
        }
        click.echo(json.dumps(facts | {"trust_rank_correlation": None if trust != trust else trust}))
        return
    for title, table in tables.items():
        click.echo(f"\n{title:24s}" + _TABLE)
        for row in table:
            click.echo(
                f"{row['name']:24s}{row['structures']:5d}{row['mean']:8.3f}{row['median']:8.3f}{row['p95']:8.3f}"
                f"{row['largest']:8.3f}{row['saed_mean']:8.3f}{row['coulomb_mean']:10.3f}{row['better_percent']:10.1f}"
            )
    better = sum(row.better for row in rows)
    click.echo(f"\nbetter than SAED on {better} of {len(rows)} ({100 * better / len(rows):.1f} %)")
    if magnetic is not None:
        click.echo(
            f"magnetisation of {magnetic['structures']:.0f}: ∫|Δm| {magnetic['mean']:.3f} % of the electrons "
            f"(∫|m| {magnetic['none_mean']:.3f} %), moment off by {magnetic['moment_mae']:.3f} μ_B "
            f"(mean {magnetic['moment_mean']:.3f})"
        )
    if occupancies is not None:
        click.echo(
            f"occupancies of {occupancies['structures']:.0f}: off by {occupancies['mean']:.2f} % of the records "
            f"(the labels' mean by {occupancies['labels_mean']:.2f} %)"
        )
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


def _kept_aside(card: Any, entry: Any) -> bool:
    """Whether the training of the weights, whose settings are on the card, put an entry aside."""
    from chgtools.errors import SettingsError
    from chgtools.training.data import UNUSED, split_of
    from chgtools.training.settings import TrainSettings, Validation

    settings = card.get("settings")
    if not settings:
        raise SettingsError("these weights do not say what their training kept aside; leave out --aside")
    rule = Validation(**{**settings["validation"], "hold_out": tuple(settings["validation"]["hold_out"])})
    run = TrainSettings(data=("-",), validation=rule, fraction=settings["fraction"])
    return split_of(entry, run) not in ("train", UNUSED)
