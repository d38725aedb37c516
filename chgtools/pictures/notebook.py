"""Figures that a notebook shows by themselves, without pyplot, which would keep every one of them in memory."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

DPI = 110


class Picture(Figure):
    """A matplotlib Figure; Jupyter shows it as the value of a cell."""

    def _repr_png_(self) -> bytes:
        page = BytesIO()
        self.savefig(page, format="png", dpi=DPI)
        return page.getvalue()
