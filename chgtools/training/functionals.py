"""Which functionals the densities of a training are of, for the card of its weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chgtools.training.data import Entries

UNSAID = "PBE"  # stores of earlier versions do not say it; all that chgtools ships or describes are PBE


def functionals_of(entries: Entries) -> dict[str, Any]:
    """``functional``, all of them in one line, and ``functionals``, how many structures are of each.

    Where an entry does not say it, PBE is taken, and ``functional_assumed`` says of how many.
    """
    said = [str(place.facts.get("functional", "")) for place in entries.places]
    counts = dict(Counter(name or UNSAID for name in said).most_common())
    facts: dict[str, Any] = {"functional": ", ".join(counts), "functionals": counts}
    assumed = said.count("")
    return facts | ({"functional_assumed": assumed} if assumed else {})
