"""Numbers of atoms as bars: one panel for each quantity, one bar for each atom, coloured by element."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.pictures.fields import picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

# dark enough for white paper, and told apart by people with colour-blindness (M. Okabe, K. Ito 2008)
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#555555")
BAR_INCHES, PANEL_INCHES = 0.14, 1.9
NARROWEST, WIDEST = 4.0, 11.0
ROUNDING = 5e-4
NAMED = 24  # more atoms get their number alone, and not every one


def draw_atoms(structure: Structure, panels: Mapping[str, NDArray[np.float64]], path: str | Path) -> None:
    """Draw (n_atoms,) numbers as bars, in the order of the file; .png, .pdf or .svg by the name.

    panels : label of the y axis to the numbers, such as {"net charge (e)": charges}
    Raises SettingsError for another name, ChgtoolsError when the file cannot be written.
    """
    elements = np.array([name or "atoms" for name in structure.elements])
    kinds = list(dict.fromkeys(elements.tolist()))
    numbers = np.arange(1, structure.n_atoms + 1)
    width = float(np.clip(1.2 + BAR_INCHES * 2 * structure.n_atoms, NARROWEST, WIDEST))
    depth = PANEL_INCHES * len(panels) + 0.9
    with picture(path, width, depth) as figure:
        rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, values) in zip(rows, panels.items(), strict=True):
            for index, kind in enumerate(kinds):
                mine = elements == kind
                axes.bar(numbers[mine], values[mine], 0.7, color=COLOURS[index % len(COLOURS)], label=kind)
            axes.axhline(0, color="#666666", linewidth=0.6)
            axes.set_ylabel(label)
            if np.abs(values).max(initial=0.0) < ROUNDING:
                axes.set_ylim(-0.1, 0.1)  # no axis that makes rounding look like something
            else:
                axes.margins(y=0.12)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.tick_params(axis="x", length=0)
        if structure.n_atoms <= NAMED:
            names = [f"{kind}\n{number}" for kind, number in zip(elements, numbers, strict=True)]
            rows[-1].set_xticks(numbers, names, fontsize=7.5)
        else:
            rows[-1].set_xlabel("atom, in the order of the file")
        rows[-1].set_xlim(0.3, structure.n_atoms + 0.7)
        figure.legend(
            *rows[0].get_legend_handles_labels(),
            loc="upper left",
            bbox_to_anchor=(0.7 / width, 1.0),
            ncols=min(len(kinds), 8),
            frameon=False,
            fontsize=8,
            handlelength=0.9,
            columnspacing=1.2,
        )
        figure.align_ylabels(rows)
        figure.subplots_adjust(
            left=0.85 / width, right=1 - 0.15 / width, bottom=0.5 / depth, top=1 - 0.4 / depth, hspace=0.18
        )
