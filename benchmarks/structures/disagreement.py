"""What to compute next: of some candidates at a time the one on which the networks of an ensemble disagree most.

Where they differ they have learned least (query by committee; Seung, Opper and Sompolinsky, COLT 1992). The spread that
a structure was chosen by stays with it in the store, so that learning_log.py can be asked whether the choice was good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Candidate = TypeVar("Candidate")


def most_disputed(
    candidates: Iterable[Candidate], spread: Callable[[Candidate], float], of: int
) -> Iterator[tuple[Candidate, float]]:
    """(candidate, spread) of the one with the largest spread among each ``of`` that follow each other.

    spread : in percent of the electrons; NaN where the weights fail, which is the most that they can say
    """
    rows = iter(candidates)
    while group := list(islice(rows, of)):
        rated = [(each, spread(each)) for each in group]
        yield max(rated, key=lambda pair: float("inf") if pair[1] != pair[1] else pair[1])
