"""The course of a run as event files, which TensorBoard shows while it goes on: the extra ``tensorboard``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.errors import ChgtoolsError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from chgtools.training.trainer import Progress

FOLDER = "tensorboard"


class Board:
    """Scalars of each member, FOLDER/tensorboard/member-I.

    loss : of every step, percent of the electrons; error/training, error/KIND of what is kept aside, learning_rate and
    gradient : of each evaluation, as in curves.csv. A member that goes on at a checkpoint hides what an earlier call
    wrote beyond it.
    Raises ChgtoolsError where tensorboard is not there.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ChgtoolsError(
                "event files need tensorboard, which is not there: pip install 'chgtools[tensorboard]'"
            ) from error
        self._make, self._folder = SummaryWriter, Path(folder) / FOLDER
        self._member = -1
        self._writer: SummaryWriter | None = None

    def steps(self, member: int, step: int, loss: float) -> None:
        """Take the loss of a step, percent."""
        self._of(member, step).add_scalar("loss", loss, step)

    def evaluated(self, member: int, progress: Progress) -> None:
        """Take an evaluation, so that it can be seen at once."""
        writer, step = self._of(member, progress.step), progress.step
        writer.add_scalar("error/training", progress.train, step)
        for kind, value in progress.validation.items():
            writer.add_scalar(f"error/{kind}", value, step)
        writer.add_scalar("learning_rate", progress.learning_rate, step)
        writer.add_scalar("gradient", progress.gradient, step)
        writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _of(self, member: int, step: int) -> SummaryWriter:
        if self._writer is None or member != self._member:
            self.close()
            self._member = member
            self._writer = self._make(str(self._folder / f"member-{member}"), purge_step=step)
        return self._writer
