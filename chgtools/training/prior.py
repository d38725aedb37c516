"""The prior's features of the structures of a run: those beside its stores, or computed once and kept in the user's
cache folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chgtools.errors import ChgtoolsError
from chgtools.tightbinding.features import PRIOR, WITH_MOMENTS, PriorFeatures
from chgtools.tightbinding.features_cache import cached_features, structure_key
from chgtools.training.kept_features import read_features
from chgtools.training.spins import start_directions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.stores.entry import Entry

    Array = NDArray[np.float64]

SECONDS = 30.0  # between two sentences on how far it is


def features_of_entry(entry: Entry, encoder: EncoderSettings) -> PriorFeatures:
    """Those of an entry, beside its store or in the user's cache folder, or computed; 0 where that fails."""
    try:
        return _ready(entry.structure, _directions(entry, encoder), encoder.prior)
    except ChgtoolsError:
        return PriorFeatures.zeros(entry.structure.n_atoms)


def _ready(structure: Structure, directions: Array | None, version: str) -> PriorFeatures:
    found = read_features(structure, directions, version)
    return cached_features(structure, directions, version) if found is None else found


def _directions(entry: Entry, encoder: EncoderSettings) -> Array | None:
    """Start moments, where encoders with these settings know of moments."""
    return start_directions(entry) if encoder.prior in WITH_MOMENTS and encoder.spin_channels > 0 else None


class RunFeatures:
    """What a DensityModel takes for its ``features_of``: 0 for all atoms where the calculation fails.

    failed : a sentence for each structure without features
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._known: dict[tuple[str, str], PriorFeatures] = {}

    def __call__(self, structure: Structure, directions: Array | None = None, version: str = PRIOR) -> PriorFeatures:
        key = (version, structure_key(structure, directions))
        if key not in self._known:
            self._known[key] = self._found(structure, directions, version)
        return self._known[key]

    def of(self, entry: Entry, encoder: EncoderSettings) -> PriorFeatures:
        """Those of an entry, with its start moments where encoders with these settings know of moments."""
        return self(entry.structure, _directions(entry, encoder), encoder.prior)

    def compute(self, entries: Sequence[Entry], encoder: EncoderSettings, says: Callable[[str], None]) -> None:
        """Have those of all entries ready. says : is told how far it is, and what has failed"""
        said = time.monotonic()
        for done, entry in enumerate(entries):
            if time.monotonic() - said > SECONDS:
                said = time.monotonic()
                says(f"tight binding: {done} of {len(entries)} structures")
            self.of(entry, encoder)
        if self.failed:
            says(self.sentence)

    @property
    def sentence(self) -> str:
        """What there is to say of those that failed, "" where there are none."""
        if not self.failed:
            return ""
        return f"tight binding fails for {len(self.failed)} structures, whose features are 0; first {self.failed[0]}"

    def _found(self, structure: Structure, directions: Array | None, version: str) -> PriorFeatures:
        try:
            return _ready(structure, directions, version)
        except ChgtoolsError as error:
            self.failed.append(str(error))
            return PriorFeatures.zeros(structure.n_atoms)
