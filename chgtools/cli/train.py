"""``chgtools train``: weights from stores of difference densities."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, json_option

if TYPE_CHECKING:
    from chgtools.training.trainer import Progress


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
@click.option("--member", type=click.IntRange(min=0), metavar="I",
              help="Train member I of the ensemble alone, from 0, as a task of a job array.")  # fmt: skip
@click.option("--requeue", is_flag=True, help="When a signal ends the run, put its Slurm job into the queue again.")
@click.option("--restart", is_flag=True, help="Begin anew; by default a run that was stopped goes on.")
@click.option("--show-defaults", is_flag=True, is_eager=True, expose_value=False, callback=_show_defaults,
              help="Print a CONFIG.yaml with all names and defaults.")  # fmt: skip
@json_option
def train(
    config: Path,
    folder: Path,
    start: str | None,
    member: int | None,
    requeue: bool,
    restart: bool,
    as_json: bool,
) -> None:
    """Train weights for `chgtools predict --model` on stores of difference densities (`chgtools dataset`).

    CONFIG.yaml names the stores and what differs from the defaults. The weights are FOLDER/NAME.safetensors. With
    torchrun several processes share each batch.

    SIGTERM and SIGUSR1 end a run with its state kept, exit code 143 and 138; the same command goes on with it. A call
    without --member puts together the members that tasks of their own have trained.
    """
    from chgtools.models.weights import load_model
    from chgtools.training import processes
    from chgtools.training.config import read_settings
    from chgtools.training.members import Listener, StoppedError
    from chgtools.training.run import train as run
    from chgtools.training.run import train_member, weights_path

    settings = read_settings(config)
    processes.join(settings.device)
    first = processes.is_first()
    shown = first and sys.stderr.isatty()
    total = settings.steps
    state: dict[str, Any] = {"bar": None, "member": -1}

    def says(sentence: str) -> None:
        if first:
            click.echo(f"note: {sentence}", err=True)

    def steps(member: int, step: int) -> None:
        if not shown:
            return
        if state["member"] != member:
            _close(state)
            state["bar"] = click.progressbar(length=total, label=f"member {member}", file=sys.stderr)
            state["bar"].__enter__()
            state["member"] = member
            state["bar"].update(step - 1)
        state["bar"].update(1)

    def evaluated(member: int, progress: Progress) -> None:
        if first and not shown:
            click.echo(
                f"member {member}, step {progress.step} of {total}: training {progress.train:.3f} %, kept aside "
                + ", ".join(f"{kind} {value:.3f} %" for kind, value in progress.validation.items()),
                err=True,
            )

    beginning = None if start is None else load_model(start)
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda caught, _frame: signals.append(caught))
    listener = Listener(says, steps, evaluated, lambda: bool(signals))
    options: dict[str, Any] = {"start": beginning, "restart": restart, "listener": listener}
    try:
        if member is not None:
            train_member(settings, folder, member, **options)
            model = None
        else:
            model = run(settings, folder, **options)
    except StoppedError as stopped:
        _close(state)
        if first:
            click.echo(f"note: {signal.Signals(signals[0]).name}: {stopped}", err=True)
            if requeue:
                _requeue()
        sys.exit(128 + signals[0])
    _close(state)
    processes.leave()
    if not first:
        return
    if model is None:
        click.echo(
            f"{folder}: member {member} of {settings.members}; the same command without --member puts them together"
        )
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


def _requeue() -> None:
    """Ask Slurm for the job once more. Raises ChgtoolsError where there is no job, or Slurm will not."""
    from chgtools.errors import ChgtoolsError

    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        raise ChgtoolsError("found no SLURM_JOB_ID; --requeue is for jobs of Slurm")
    done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
    if done.returncode:
        raise ChgtoolsError(f"scontrol requeue {job} failed: {done.stderr.strip() or done.stdout.strip()}")


def _close(state: dict[str, Any]) -> None:
    if state["bar"] is not None:
        state["bar"].__exit__(None, None, None)
        state["bar"] = None
