"""The prior's features of the structures of a run: computed once, kept in the user's cache folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chgtools.errors import ChgtoolsError
from chgtools.tightbinding.features import PriorFeatures
from chgtools.tightbinding.features_cache import cached_features, structure_key

if TYPE_CHECKING:
    from chgtools.cell import Structure

SECONDS = 30.0  # between two sentences on how far it is


class RunFeatures:
    """What a DensityModel takes for its ``features_of``: 0 for all atoms where the calculation fails.

    failed : a sentence for each structure without features
    """

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._known: dict[str, PriorFeatures] = {}

    def __call__(self, structure: Structure) -> PriorFeatures:
        key = structure_key(structure)
        if key not in self._known:
            self._known[key] = self._found(structure)
        return self._known[key]

    def compute(self, structures: Sequence[Structure], says: Callable[[str], None]) -> None:
        """Have those of all structures ready. says : is told how far it is, and what has failed"""
        said = time.monotonic()
        for done, structure in enumerate(structures):
            if time.monotonic() - said > SECONDS:
                said = time.monotonic()
                says(f"tight binding: {done} of {len(structures)} structures")
            self(structure)
        if self.failed:
            says(self.sentence)

    @property
    def sentence(self) -> str:
        """What there is to say of those that failed, "" where there are none."""
        if not self.failed:
            return ""
        return f"tight binding fails for {len(self.failed)} structures, whose features are 0; first {self.failed[0]}"

    def _found(self, structure: Structure) -> PriorFeatures:
        try:
            return cached_features(structure)
        except ChgtoolsError as error:
            self.failed.append(str(error))
            return PriorFeatures.zeros(structure.n_atoms)
