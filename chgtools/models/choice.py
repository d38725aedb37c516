"""Which weights a structure gets, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.models.prior import has_prior
from chgtools.models.weights import (
    PACKAGED,
    find_weights,
    load_model,
    packaged,
    read_facts,
    without_prior,
)
from chgtools.tightbinding.features import LARGEST_ORBITALS, work_orbitals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel

AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class ModelChoice:
    """model : the weights, or None for the SAED alone; reason : why these; name : for people and JSON.

    sentences : on weights that are not those that were asked for
    """

    model: DensityModel | None
    reason: str
    sentences: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return NONE if self.model is None else self.model.name

    @property
    def prior(self) -> str:
        """Name of the prior that the weights take features of, "none" without."""
        return NO_PRIOR if self.model is None else self.model.prior


def choose_model(
    structure: Structure,
    wanted: str | Path | DensityModel = AUTO,
    prior: str = AUTO,
    directions: NDArray[np.float64] | None = None,
) -> ModelChoice:
    """The model for a structure.

    wanted : "auto" (the packaged weights that have seen most of the atoms' elements; of two that have seen all, the
        narrower; where none has seen any, those whose prior has features of all of them), "none", the name of packaged
        weights, the path of a file, or a DensityModel
    prior : "auto", or "none" for weights without one. Where the prior is not wanted, would take too long or has no
        features of the structure, weights that need it are replaced by those that lie beside them for that
    directions : (n_atoms, 1 or 3) of the start moments, which the prior's features depend on
    Raises SettingsError for another prior, ChgtoolsError, FormatError for weights that are not there or not understood,
    ChgtoolsError where weights need a prior and none lie beside them.
    """
    if prior not in (AUTO, NONE):
        raise SettingsError(f"found prior {prior!r}; wanted one of {AUTO}, {NONE}")
    choice, path = _chosen(structure, wanted)
    if choice.model is None or choice.prior == NO_PRIOR:
        return choice
    hindrance = "as asked for" if prior == NONE else _hindrance(structure, choice.model, directions)
    return _replaced(choice, path, hindrance) if hindrance else choice


def _chosen(structure: Structure, wanted: str | Path | DensityModel) -> tuple[ModelChoice, Path | None]:
    """What is wanted, whether it has a prior or not, and the file of the weights."""
    from chgtools.models.model import DensityModel

    if isinstance(wanted, DensityModel):
        return ModelChoice(wanted, "given"), None
    if str(wanted) == NONE:
        return ModelChoice(None, "asked for"), None
    if str(wanted) != AUTO:
        return _of_file(wanted, "asked for")
    return _packaged_for(structure.elements)


def _packaged_for(symbols: Sequence[str]) -> tuple[ModelChoice, Path | None]:
    """The packaged weights of a structure with these elements, one for each atom."""
    ranked = []
    for name in filter(lambda name: packaged(name).is_file(), PACKAGED):
        facts = read_facts(name)
        elements = facts["elements"]
        seen = sum(symbol in elements for symbol in symbols)
        with_prior = facts["encoder"].get("prior", NO_PRIOR) != NO_PRIOR
        if seen or (with_prior and all(map(has_prior, symbols))):
            # what was not seen is said from what was: there the more elements the better
            wide = with_prior and seen < len(symbols)
            ranked.append((seen, len(elements) if wide else -len(elements), name))
    if not ranked:
        return ModelChoice(None, "no packaged weights know an element of this structure"), None
    seen, width, name = max(ranked)
    if seen == len(symbols):
        return _of_file(name, f"the structure is all {symbols[0]}" if width == -1 else "it knows all elements")
    if seen == 0:
        return _of_file(name, "none has seen an element of this structure; tight binding has features of all")
    return _of_file(name, f"it knows {seen} of {len(symbols)} atoms' elements")


def _of_file(name: str | Path, reason: str) -> tuple[ModelChoice, Path]:
    path = find_weights(name)
    return ModelChoice(_loaded(path), reason), path


def _hindrance(structure: Structure, model: DensityModel, directions: NDArray[np.float64] | None) -> str:
    """Why the prior cannot be had, "" where it can; its features are remembered for the prediction."""
    try:
        pointing = model.prior_pointing(structure, directions)
        work = work_orbitals(structure, 0 if pointing is None else pointing.shape[1], model.prior)
        if work > LARGEST_ORBITALS:
            return f"tight binding has the work of {work:.0f} orbitals here, and is done up to {LARGEST_ORBITALS:.0f}"
        model.features(structure, directions)
    except ChgtoolsError as error:
        return str(error)
    return ""


def _replaced(choice: ModelChoice, path: Path | None, hindrance: str) -> ModelChoice:
    """The weights beside those chosen that do without a prior."""
    other = None if path is None else without_prior(path)
    model = _loaded(other) if other is not None and other.is_file() else None
    if model is None or model.prior != NO_PRIOR:
        place = "" if other is None else f" as {other}"
        raise ChgtoolsError(
            f"the weights {choice.name!r} need the tight-binding prior, which is not used here ({hindrance}), and "
            f"weights without it do not go with them{place}; take other weights, or --model none for the SAED"
        )
    sentence = f"weights without the tight-binding prior, {model.name!r} for {choice.name!r}: {hindrance}"
    return ModelChoice(model, choice.reason, (sentence,))


def _loaded(path: Path) -> DensityModel:
    """Weights, read once for as long as their file stays the same: a batch asks for them once for each structure."""
    facts = path.stat()
    return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=2 * len(PACKAGED) + 1)
def _read(path: Path, mtime_ns: int, size: int) -> DensityModel:
    return load_model(path)
