"""Pictures of an evaluation: errors as a histogram, against the SAED's, and against what the model expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.files import replacing

if TYPE_CHECKING:
    from chgtools.training.evaluation import Row

COLOURS = ("#4477aa", "#cc6644", "#228833", "#aa3377", "#66ccee", "#bbaa33", "#777777")
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw(rows: Sequence[Row], folder: Path) -> list[Path]:
    """histogram.png, parity.png and, for an ensemble, trust.png in a folder, which is made; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"histogram": _histogram, "parity": _parity}
    if any(np.isfinite(row.expected) for row in rows):
        pictures["trust"] = _trust
    paths = []
    for name, paint in pictures.items():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.6, 4.4), layout="constrained")
        paint(figure.subplots(), rows)
        path = folder / f"{name}.png"
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=130)
        paths.append(path)
    return paths


def _histogram(axes: Any, rows: Sequence[Row]) -> None:
    values = [[row.eps_mae for row in rows], [row.eps_mae_saed for row in rows]]
    low, high = min(map(min, values)), max(map(max, values))
    bins = np.geomspace(0.9 * max(low, 1e-3), 1.1 * high, 36)
    for errors, colour, name in zip(values, COLOURS, ("SAED + model", "SAED"), strict=False):
        axes.hist(errors, bins, color=colour, alpha=0.65, label=f"{name}, mean {np.mean(errors):.2f} %")
    _percent_axis(axes, "x")
    axes.set(xlabel="ε_mae / %", ylabel="structures")
    axes.legend(frameon=False)


def _parity(axes: Any, rows: Sequence[Row]) -> None:
    for kind, colour, group in _groups(rows):
        x, y = [row.eps_mae_saed for row in group], [row.eps_mae for row in group]
        axes.scatter(x, y, s=14, color=colour, alpha=0.75, lw=0, label=kind)
    _diagonal(axes, [row.eps_mae_saed for row in rows], [row.eps_mae for row in rows])
    axes.set(xlabel="ε_mae of the SAED / %", ylabel="ε_mae of SAED + model / %")
    axes.legend(frameon=False, fontsize=8, loc="best")


def _trust(axes: Any, rows: Sequence[Row]) -> None:
    for kind, colour, group in _groups([row for row in rows if np.isfinite(row.expected)]):
        x, y = [row.expected for row in group], [row.eps_mae for row in group]
        axes.scatter(x, y, s=14, color=colour, alpha=0.75, lw=0, label=kind)
    _diagonal(axes, [row.expected for row in rows], [row.eps_mae for row in rows])
    axes.set(xlabel="expected ε_mae / %", ylabel="ε_mae / %")
    axes.legend(frameon=False, fontsize=8, loc="best")


def _groups(rows: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """(kind, colour, rows): the most frequent kinds, the others together."""
    frequent = [kind for kind, _ in Counter(row.kind for row in rows).most_common(len(COLOURS) - 1)]
    if len({row.kind for row in rows}) == len(COLOURS):
        frequent = [kind for kind, _ in Counter(row.kind for row in rows).most_common()]
    groups = [(kind, [row for row in rows if row.kind == kind]) for kind in frequent]
    groups.append(("others", [row for row in rows if row.kind not in frequent]))
    return [(kind, colour, group) for (kind, group), colour in zip(groups, COLOURS, strict=False) if group]


def _diagonal(axes: Any, x: Sequence[float], y: Sequence[float]) -> None:
    values = [v for v in (*x, *y) if np.isfinite(v) and v > 0]
    ends = [0.8 * min(values), 1.25 * max(values)]
    axes.plot(ends, ends, color="0.6", lw=0.9, zorder=0)
    for name in "xy":
        _percent_axis(axes, name)
    axes.set(xlim=ends, ylim=ends, aspect="equal")


def _percent_axis(axes: Any, name: str) -> None:
    axis = axes.xaxis if name == "x" else axes.yaxis
    (axes.set_xscale if name == "x" else axes.set_yscale)("log")
    axis.set_ticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axis.set_ticks([], minor=True)
