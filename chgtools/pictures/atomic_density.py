"""A picture of one atomic density: in real space and as a form factor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.pictures.drawing import picture

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity

SHOWN = 0.999  # share of the electrons that the radial axis shows
NEGLIGIBLE = 1e-3  # the q axis ends where |f| stays below this share of ZVAL
COLOUR = "#28508c"


def draw_density(density: AtomicDensity, path: str | Path) -> None:
    """Draw 4πr² n(r), with the electrons inside r, and f(q); .png, .pdf or .svg by the name.

    Raises SettingsError for another name, ChgtoolsError when the file cannot be written.
    """
    r_end = 1.3 * density.radius_of(SHOWN)
    r = np.linspace(0, r_end, 600)
    shell = 4 * np.pi * r**2 * density.density(r)
    inside = density.electrons_within(r)
    above = np.flatnonzero(np.abs(density.form) > NEGLIGIBLE * density.zval)
    q = np.linspace(0, min(1.3 * density.q[above[-1]], density.q[-1]), 600)
    with picture(path, 7.2, 3.1) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(r, shell, color=COLOUR, linewidth=1.4)
        left.plot(r, inside * shell.max() / density.zval, color="#b0b0b0", linewidth=1.0, zorder=0)
        left.annotate(
            f"electrons inside r, up to {density.zval:g}",
            (r_end, shell.max()),
            (0, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=7.5,
            color="#8a8a8a",
        )
        left.set(xlim=(0, r_end), xlabel="r (Å)", ylabel="4πr² n(r) (electrons/Å)")
        right.plot(q, density.form_factor(q), color=COLOUR, linewidth=1.4)
        right.set(xlim=(0, q[-1]), xlabel="q (1/Å)", ylabel="f(q) (electrons)")
        for axes in (left, right):
            axes.axhline(0, color="#aaaaaa", linewidth=0.6, zorder=0)
            axes.spines[["top", "right"]].set_visible(False)
        figure.text(0.085, 0.94, density.label, size=10, va="center", color="#222222")
        figure.text(0.99, 0.94, density.source, size=6.5, va="center", ha="right", color="#8a8a8a")
        figure.subplots_adjust(left=0.085, right=0.985, bottom=0.15, top=0.86, wspace=0.24)
