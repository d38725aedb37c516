"""Which weights a structure gets, and the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.models.weights import (
    PACKAGED,
    find_weights,
    load_model,
    packaged,
    read_facts,
)

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel

AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class ModelChoice:
    """model : the weights, or None for the SAED alone; reason : why these; name : for people and JSON."""

    model: DensityModel | None
    reason: str

    @property
    def name(self) -> str:
        return NONE if self.model is None else self.model.name


def choose_model(structure: Structure, wanted: str | Path | DensityModel = AUTO) -> ModelChoice:
    """The model for a structure.

    wanted : "auto" (the packaged weights that know most of the atoms' elements; of two that know all, the narrower),
        "none", the name of packaged weights, the path of a file, or a DensityModel
    Raises ChgtoolsError, FormatError for weights that are not there or not understood.
    """
    from chgtools.models.model import DensityModel

    if isinstance(wanted, DensityModel):
        return ModelChoice(wanted, "given")
    if str(wanted) == NONE:
        return ModelChoice(None, "asked for")
    if str(wanted) != AUTO:
        return ModelChoice(_loaded(wanted), "asked for")
    symbols = structure.elements
    best, most, width = "", 0, 0
    for name in PACKAGED:
        if not packaged(name).is_file():
            continue
        elements = read_facts(name)["elements"]
        known = sum(symbol in elements for symbol in symbols)
        if known > most or (known == most > 0 and len(elements) < width):
            best, most, width = name, known, len(elements)
    if not best:
        return ModelChoice(None, "no packaged weights know an element of this structure")
    if width == 1:
        return ModelChoice(_loaded(best), f"the structure is all {symbols[0]}")
    reason = "it knows all elements" if most == len(symbols) else f"it knows {most} of {len(symbols)} atoms' elements"
    return ModelChoice(_loaded(best), reason)


def _loaded(name: str | Path) -> DensityModel:
    """Weights, read once for as long as their file stays the same: a batch asks for them once for each structure."""
    path = find_weights(name)
    facts = path.stat()
    return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=len(PACKAGED) + 1)
def _read(path: Path, mtime_ns: int, size: int) -> DensityModel:
    return load_model(path)
