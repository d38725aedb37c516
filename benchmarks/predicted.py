"""What the benchmarks of predicted densities share: errors by distance from the nuclei, and what weights have seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dcd_corpus import distance_to_nuclei

from chgtools.cell import Structure
from chgtools.files import replacing
from chgtools.stores.entry import Entry
from chgtools.training.data import split_of
from chgtools.training.settings import TrainSettings, Validation

RADII = (0.0, 0.6, 1.0)  # Å, from every nucleus; 0 is the whole cell


class Regions:
    """The points of a grid farther than each of RADII from every nucleus."""

    def __init__(self, structure: Structure, shape: tuple[int, int, int]) -> None:
        distance = distance_to_nuclei(structure, shape)
        self.masks = [distance >= radius for radius in RADII]

    def errors(self, density: np.ndarray, wanted: np.ndarray) -> list[float | None]:
        """100 Σ|n - wanted| / Σ|wanted| in each region, percent; None where it has less than 1 % of the points."""
        difference, size = np.abs(density - wanted), np.abs(wanted)
        return [
            float(100 * difference[mask].sum() / size[mask].sum()) if mask.mean() > 0.01 else None
            for mask in self.masks
        ]


def cells(figures: list[float | None]) -> str:
    return "".join("       -" if figure is None else f"{figure:8.2f}" for figure in figures)


def seen(card: Mapping[str, Any], entry: Entry, kind: str | None = None) -> bool:
    """Whether weights may have been trained on this structure, or on its formula: what their split says.

    kind : of the entry in the stores that the weights were trained on, where it is another
    """
    settings = card["settings"]
    rule = Validation(**{**settings["validation"], "hold_out": tuple(settings["validation"]["hold_out"])})
    run = TrainSettings(data=("-",), validation=rule, fraction=settings["fraction"])
    if kind is not None:
        entry = replace(entry, attributes={**entry.attributes, "kind": kind})
    return split_of(entry, run) == "train"


def write_json(path: Path, values: Any) -> None:
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(values, indent=1))
