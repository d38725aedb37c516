"""The course of a training run as a table and a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from chgtools.training.trainer import Progress

FEWEST_TICKS = 3


def write_curves(folder: Path, members: Sequence[Sequence[Progress]]) -> None:
    """curves.csv (a row for each evaluation) and curves.png in a folder. members : the evaluations of each."""
    kinds = sorted({kind for history in members for progress in history for kind in progress.validation})
    with replacing(folder / "curves.csv") as temporary, open(temporary, "w", newline="") as file:
        table = csv.writer(file)
        head = ["member", "step", "learning_rate", "gradient", "train_percent"]
        table.writerow([*head, *(f"validation_{kind}" for kind in kinds)])
        for member, history in enumerate(members):
            for p in history:
                aside = [p.validation.get(kind, float("nan")) for kind in kinds]
                numbers = [p.learning_rate, p.gradient, p.train, *aside]
                table.writerow([member, p.step, *(f"{x:.5g}" for x in numbers)])
    if any(members):
        _draw(folder / "curves.png", members)


def _draw(path: Path, members: Sequence[Sequence[Progress]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    draw_curves(figure.subplots(), members)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def draw_curves(axes: Axes, members: Sequence[Sequence[Progress]]) -> None:
    """Errors against steps, those of training and of the structures kept aside."""
    for index, history in enumerate(members):
        steps = [p.step for p in history]
        first = index == 0
        axes.plot(steps, [p.train for p in history], color="#4477aa", lw=1.2, label="training" if first else None)
        if any("all" in p.validation for p in history):
            values = [p.validation.get("all", float("nan")) for p in history]
            axes.plot(steps, values, color="#cc6644", lw=1.2, label="kept aside" if first else None)
    axes.set(xlabel="step", ylabel="error / % of the electrons", yscale="log")
    axes.minorticks_off()
    limits = axes.get_ylim()
    ticks = ticks_between(*limits)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(limits)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def ticks_between(low: float, high: float) -> list[float]:
    """Three round numbers or more between two positive ones, however near: 1, 2, 5 of each decade, else even steps."""
    from matplotlib.ticker import MaxNLocator

    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) < FEWEST_TICKS:
        inside = [float(f"{tick:.6g}") for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]
    return inside
