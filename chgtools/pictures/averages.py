"""Means of fields over planes along a lattice vector, several in one picture, with the atoms below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.pictures.drawing import picture
from chgtools.pictures.fields import Field, short_names, title
from chgtools.pictures.planes import height, planar_average

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from chgtools.cell import Structure

COLOURS = ("#28508c", "#c8423b", "#d99a2b", "#3a8f5c", "#8a5aa8", "#6b6b6b", "#2aa0b0", "#a05a2c")


def draw_averages(fields: Sequence[Field], axis: int, path: str | Path | None) -> Figure:
    """Draw the mean over planes along one lattice vector, against the distance along their normal, with the atoms.

    fields : one line each; of one quantity, in whatever cells; the atoms and the length shown are those of the first
    Raises SettingsError for fields of several quantities, or more of them than there are colours.
    """
    first = fields[0]
    for field in fields[1:]:
        if (field.quantity, field.unit) != (first.quantity, first.unit):
            raise SettingsError(
                f"{first.source} holds a {first.quantity} and {field.source} a {field.quantity}; one picture shows one "
                "quantity (--block chooses it)"
            )
    if len(fields) > len(COLOURS):
        raise SettingsError(f"found {len(fields)} fields; one picture shows up to {len(COLOURS)}")
    length = height(first.structure, axis)
    species = list(dict.fromkeys(first.structure.elements))
    rug_depth = 0.16 * len(species) + 0.1
    page = np.array([6.2, 0.4 + 2.4 + 0.1 + rug_depth + 0.5])
    names = short_names([field.source for field in fields])
    with picture(path, *page) as figure:
        axes = figure.add_axes((0.75 / page[0], (0.6 + rug_depth) / page[1], 5.2 / page[0], 2.4 / page[1]))
        for field, colour, name in zip(fields, COLOURS, names, strict=False):
            average = planar_average(field.values, axis)
            distance = np.arange(len(average) + 1) / len(average) * height(field.structure, axis)
            axes.plot(distance, np.append(average, average[0]), color=colour, linewidth=1.3, label=name)
        low, high = axes.get_ylim()
        if low < 0 < high:
            axes.axhline(0, color="#aaaaaa", linewidth=0.6, zorder=0)
        axes.set(ylabel=first.label if len(fields) == 1 else first.quantity_label, xlim=(0, length))
        axes.ticklabel_format(axis="y", scilimits=(-2, 4))  # long numbers would push the label off the page
        axes.tick_params(axis="x", labelbottom=False)
        axes.spines[["top", "right"]].set_visible(False)
        if len(fields) > 1:
            axes.legend(frameon=False, fontsize=8, loc="best")
        figure.text(0.75 / page[0], 1 - 0.2 / page[1], title(first, f"mean over planes along {'abc'[axis]}"), size=10,
                    va="center")  # fmt: skip
        rug = figure.add_axes((0.75 / page[0], 0.5 / page[1], 5.2 / page[0], rug_depth / page[1]), sharex=axes)
        _draw_rug(rug, first.structure, axis, species)
    return figure


def _draw_rug(axes: Axes, structure: Structure, axis: int, species: Sequence[str]) -> None:
    """A row of strokes for each element, at the heights of its atoms."""
    heights = structure.frac[:, axis] % 1.0 * height(structure, axis)
    for row, name in enumerate(species):
        mine = heights[[element == name for element in structure.elements]]
        axes.plot(mine, np.full(len(mine), -row), "|", color="#333333", markersize=6, markeredgewidth=0.8, alpha=0.6)
    axes.set(ylim=(-len(species) + 0.4, 0.6), xlabel="Å")
    axes.set_yticks([-row for row in range(len(species))], [name or "atoms" for name in species], fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
