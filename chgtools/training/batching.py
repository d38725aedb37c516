"""Which structures each step of a training learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Place


@dataclass(frozen=True, eq=False)
class Batching:
    """Batches of an epoch, and of the next, in an order that is drawn for each.

    atoms : (n,) of each structure; size : most structures of a batch; most_atoms : and most atoms, 0 for any number; a
        structure of more stands alone
    chances : (n,) with which structures are drawn, as many as there are, again and again; None for each once

    Where atoms are not bounded all batches have ``size`` structures, and what is left of an epoch takes no part in it.
    """

    atoms: NDArray[np.int64]
    size: int
    most_atoms: int = 0
    chances: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, settings: TrainSettings, places: Sequence[Place]) -> Batching:
        """Of structures to train on."""
        atoms = np.array([len(each.facts["elements"]) for each in places], dtype=np.int64)
        chances = _chances(places, settings.balance) if settings.balance else None
        return cls(atoms, settings.batch, settings.batch_atoms, chances)

    def steps(self, seed: int, first: int = 0) -> Iterator[tuple[int, list[int]]]:
        """(epoch, numbers of the structures) of each step from the step ``first`` on, without an end."""
        done = 0
        for epoch in count():
            batches = self._epoch(np.random.default_rng([seed, epoch]))
            for numbers in batches[max(0, first - done) :]:
                yield epoch, numbers
            done += len(batches)

    def _epoch(self, rng: np.random.Generator) -> list[list[int]]:
        total = len(self.atoms)
        order = rng.permutation(total) if self.chances is None else rng.choice(total, total, p=self.chances)
        if not self.most_atoms:
            size = min(self.size, total)
            return [order[start : start + size].tolist() for start in range(0, total - size + 1, size)]
        batches: list[list[int]] = []
        held = 0
        for number in order.tolist():
            atoms = int(self.atoms[number])
            if not batches or len(batches[-1]) == self.size or held + atoms > self.most_atoms:
                batches.append([])
                held = 0
            batches[-1].append(number)
            held += atoms
        return batches


def _chances(places: Sequence[Place], balance: float) -> NDArray[np.float64]:
    """(n,) by the number of structures that have the rarest of a structure's elements, or its kind, to -balance."""
    groups = [each.elements | {f"kind {each.facts.get('kind', '')}"} for each in places]
    counts = Counter(group for own in groups for group in own)
    weights = np.array([min(counts[group] for group in own) for own in groups], dtype=float) ** -balance
    return np.asarray(weights / weights.sum())
