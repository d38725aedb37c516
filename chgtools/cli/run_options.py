"""From command-line options to the library's settings."""

from __future__ import annotations

from typing import Any

from chgtools.libraries.choice import Source
from chgtools.run.grid import GridOptions


def source_of(options: dict[str, Any]) -> Source:
    """Source of the shared density options."""
    names = ("potcar", "library", "upf", "labels", "convention", "xc")
    return Source(**{name: options[name] for name in names})


def grid_of(options: dict[str, Any]) -> GridOptions:
    """GridOptions of the shared grid options."""
    return GridOptions(**{name: options[name] for name in ("encut", "prec", "enaug", "ngf", "like")})
