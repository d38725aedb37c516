"""``chgtools train``: weights from stores of difference densities."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, json_option

if TYPE_CHECKING:
    from chgtools.training.trainer import Progress

SMOOTH = 20  # steps over which the loss on the terminal is averaged


def _show_defaults(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from chgtools.training.config import defaults_text

        click.echo(defaults_text(), nl=False)
        ctx.exit()


@click.command()
@click.argument("config", type=PATH, metavar="CONFIG.yaml")
@click.option("-o", "--output", "folder", type=PATH, required=True, metavar="FOLDER",
              help="Folder for weights, checkpoints and curves.")  # fmt: skip
@click.option("--from", "start", metavar="si|base|PATH", help="Weights to begin with, to fine-tune them.")
@click.option("--restart", is_flag=True, help="Begin anew; by default a run that was stopped goes on.")
@click.option("--show-defaults", is_flag=True, is_eager=True, expose_value=False, callback=_show_defaults,
              help="Print a CONFIG.yaml with all names and defaults.")  # fmt: skip
@json_option
def train(config: Path, folder: Path, start: str | None, restart: bool, as_json: bool) -> None:
    """Train weights for `chgtools predict --model` on stores of difference densities (`chgtools dataset`).

    CONFIG.yaml names the stores and what differs from the defaults. The weights are FOLDER/NAME.safetensors. With
    torchrun several processes share each batch.
    """
    from chgtools.models.weights import load_model
    from chgtools.training import processes
    from chgtools.training.config import read_settings
    from chgtools.training.run import Listener, weights_path
    from chgtools.training.run import train as run

    settings = read_settings(config)
    processes.join(settings.device)
    first = processes.is_first()
    shown = first and sys.stderr.isatty()
    total = settings.steps
    state: dict[str, Any] = {"bar": None, "member": -1}

    def says(sentence: str) -> None:
        if first:
            click.echo(f"note: {sentence}", err=True)

    def steps(member: int, step: int, loss: float) -> None:
        if not shown:
            return
        if state["member"] != member:
            _close(state)
            state.update(bar=_bar(total, member, state), member=member, loss=loss, aside="")
            state["bar"].__enter__()
            state["bar"].update(step - 1)
        state["loss"] += (loss - state["loss"]) / SMOOTH
        state["bar"].update(1, step)

    def evaluated(member: int, progress: Progress) -> None:
        if shown:
            state["aside"] = f", kept aside {progress.validation['all']:.2f} %" if progress.validation else ""
        elif first:
            click.echo(
                f"member {member}, step {progress.step} of {total}: training {progress.train:.3f} %, kept aside "
                + ", ".join(f"{kind} {value:.3f} %" for kind, value in progress.validation.items()),
                err=True,
            )

    beginning = None if start is None else load_model(start)
    model = run(settings, folder, start=beginning, restart=restart, listener=Listener(says, steps, evaluated))
    _close(state)
    processes.leave()
    if not first:
        return
    path, errors = weights_path(folder, settings), model.card["validation_eps_mae_percent"]
    if as_json:
        click.echo(json.dumps({"file": str(path), "elements": model.elements, "validation": errors}))
        return
    click.echo(f"{path}: {len(model.members)} members, {len(model.elements)} elements")
    if errors:
        click.echo(f"{'kept aside':24s}{'structures':>11s}{'SAED %':>9s}{'model %':>9s}")
        for kind, row in errors.items():
            click.echo(f"{kind:24s}{row['structures']:11d}{row['saed']:9.3f}{row['model']:9.3f}")


def _bar(total: int, member: int, state: dict[str, Any]) -> Any:
    """A bar on the terminal with the loss: its running mean, and the last error of what was kept aside."""

    def text(_: Any) -> str:
        return f"{state['loss']:.2f} %{state['aside']}"

    return click.progressbar(
        length=total, label=f"member {member}", file=sys.stderr, show_percent=False, show_pos=True, width=12,
        item_show_func=text,
    )  # fmt: skip


def _close(state: dict[str, Any]) -> None:
    if state["bar"] is not None:
        state["bar"].__exit__(None, None, None)
        state["bar"] = None
