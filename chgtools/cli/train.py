"""``chgtools train``: weights from stores of difference densities."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import DEVICES, PATH, json_option

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel
    from chgtools.training.boards import Board
    from chgtools.training.members import Listener
    from chgtools.training.trainer import Progress

SMOOTH = 20  # steps over which the loss on the terminal is averaged
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


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
@click.option("--device", type=click.Choice(DEVICES),
              help="Where to train, in place of what CONFIG.yaml says; auto: a GPU where there is one.")  # fmt: skip
@click.option("--member", type=click.IntRange(min=0), metavar="I",
              help="Train member I of the ensemble alone, from 0, as a task of a job array.")  # fmt: skip
@click.option("--occupancies", is_flag=True,
              help="Train nothing: fit the augmentation occupancies of the weights in FOLDER.")  # fmt: skip
@click.option("--calibrate", is_flag=True,
              help="Train nothing: find how far the weights in FOLDER are to be trusted.")  # fmt: skip
@click.option("--tensorboard", is_flag=True, help="Write FOLDER/tensorboard as well, for TensorBoard.")
@click.option("--requeue", is_flag=True, help="When a signal ends the run, put its Slurm job into the queue again.")
@click.option("--restart", is_flag=True, help="Begin anew; by default a run that was stopped goes on.")
@click.option("--show-defaults", is_flag=True, is_eager=True, expose_value=False, callback=_show_defaults,
              help="Print a CONFIG.yaml with all names and defaults.")  # fmt: skip
@json_option
def train(
    config: Path,
    folder: Path,
    start: str | None,
    device: str | None,
    member: int | None,
    occupancies: bool,
    calibrate: bool,
    tensorboard: bool,
    requeue: bool,
    restart: bool,
    as_json: bool,
) -> None:
    """Train weights for `chgtools predict --model` on stores of difference densities (`chgtools dataset`).

    CONFIG.yaml names the stores and what differs from the defaults. The weights are FOLDER/NAME.safetensors. With
    torchrun several processes share each batch.

    SIGTERM and SIGUSR1 end a run with its state kept, exit code 143 and 138; the same command goes on with it. A call
    without --member puts together the members that tasks of their own have trained.

    A training ends with the occupancies and the calibration. With --occupancies, --calibrate or both the same command
    does that alone, for weights that are trained, and goes on where it was stopped.
    """
    from chgtools.models.weights import load_model
    from chgtools.training import processes
    from chgtools.training.boards import Board
    from chgtools.training.completion import weights_path
    from chgtools.training.config import read_settings

    if (occupancies or calibrate) and (member is not None or restart or tensorboard):
        raise click.UsageError(
            "--occupancies and --calibrate train nothing; leave out --member, --restart, --tensorboard"
        )
    settings = read_settings(config)
    if device is not None:
        settings = replace(settings, device=device)
    processes.join(settings.device)
    first = processes.is_first()
    signals = _caught()
    screen = _Screen(settings.steps, first)
    beginning = None if start is None else load_model(start)
    work = _work(member, occupancies, calibrate, restart)
    with ExitStack() as stack:
        board = stack.enter_context(closing(Board(folder))) if tensorboard and first else None
        stack.enter_context(_ending(screen, signals, requeue))
        model = work(settings, folder, start=beginning, listener=_listener(screen, board, signals))
    processes.leave()
    if not first:
        return
    if model is None:
        click.echo(f"{folder}: member {member} is trained; the same command without --member puts all together")
    else:
        _print(model, weights_path(folder, settings), as_json)


@contextmanager
def _ending(screen: _Screen, signals: list[int], requeue: bool) -> Iterator[None]:
    """The screen is closed; a run that a signal has stopped says so, and ends with the signal's exit code."""
    from chgtools.training.members import StoppedError

    try:
        yield
    except StoppedError as stopped:
        screen.close()
        screen.says(f"{signal.Signals(signals[0]).name}: {stopped}")
        if requeue and screen.first:
            _requeue()
        sys.exit(128 + signals[0])
    screen.close()


def _work(member: int | None, occupancies: bool, calibrate: bool, restart: bool) -> Callable[..., DensityModel | None]:
    """What is to be done with settings, folder, start and listener; a member alone makes no weights."""
    from chgtools.training.completion import complete
    from chgtools.training.run import train, train_member

    if occupancies or calibrate:
        return partial(complete, occupancies=occupancies, calibration=calibrate)
    if member is None:
        return partial(train, restart=restart)
    return partial(train_member, member=member, restart=restart)


def _caught() -> list[int]:
    """Signals of ``SIGNALS`` from now on, as they come."""
    signals: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda caught, _frame: signals.append(caught))
    return signals


def _listener(screen: _Screen, board: Board | None, signals: list[int]) -> Listener:
    """One who tells the screen, and TensorBoard where there is a board; a run ends when a signal has come."""
    from chgtools.training.members import Listener

    def steps(member: int, step: int, loss: float) -> None:
        screen.steps(member, step, loss)
        if board:
            board.steps(member, step, loss)

    def evaluated(member: int, progress: Progress) -> None:
        screen.evaluated(member, progress)
        if board:
            board.evaluated(member, progress)

    return Listener(screen.says, steps, evaluated, lambda: bool(signals))


def _print(model: DensityModel, path: Path, as_json: bool) -> None:
    errors = model.card["validation_eps_mae_percent"]
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


class _Screen:
    """What a training shows on stderr: a bar for each member on a terminal, elsewhere a line for each evaluation.

    total : steps of a member; first : whether this process is the one that speaks
    """

    def __init__(self, total: int, first: bool) -> None:
        self.total, self.first, self.shown = total, first, first and sys.stderr.isatty()
        self.member, self.loss, self.aside = -1, 0.0, ""
        self.bar: Any = None
        self.since, self.done = time.monotonic(), 0

    def says(self, sentence: str) -> None:
        if self.first:
            click.echo(f"note: {sentence}", err=True)

    def steps(self, member: int, step: int, loss: float) -> None:
        self.done += 1
        if not self.shown:
            return
        if self.member != member:
            self.close()
            self.member, self.loss, self.aside = member, loss, ""
            self.bar = click.progressbar(
                length=self.total, label=f"member {member}", file=sys.stderr, show_percent=False, show_pos=True,
                width=12, item_show_func=lambda _: f"{self.loss:.2f} %{self.aside}",
            )  # fmt: skip
            self.bar.__enter__()
            self.bar.update(step - 1)
        self.loss += (loss - self.loss) / SMOOTH
        self.bar.update(1, step)

    def evaluated(self, member: int, progress: Progress) -> None:
        if self.shown:
            self.aside = f", kept aside {progress.validation['all']:.2f} %" if progress.validation else ""
        elif self.first:
            now = time.monotonic()
            rate = self.done / max(now - self.since, 1e-9)
            left = (self.total - progress.step) / rate
            self.since, self.done = now, 0
            aside = ", ".join(f"{kind} {value:.3f} %" for kind, value in progress.validation.items())
            speed = f"{rate:.3g} steps/s, {_short(left)} left, gradient {progress.gradient:.3g}"
            click.echo(
                f"member {member}, step {progress.step} of {self.total}, {speed}: training {progress.train:.3f} %"
                + (f", kept aside {aside}" if aside else ""),
                err=True,
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.__exit__(None, None, None)
            self.bar = None


def _short(seconds: float) -> str:
    """40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
