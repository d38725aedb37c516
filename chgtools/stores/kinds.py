"""What a store holds, kind by kind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chgtools.stores.store import Store


@dataclass(frozen=True)
class KindSummary:
    """The entries of one kind.

    kind : its name, or "all"; entries : how many; elements : sorted
    mean_saed_eps_mae_percent : mean error of the SAED over the entries that say it; None where none does
    splits : {split, or "none": number of entries}, sorted
    """

    kind: str
    entries: int
    elements: tuple[str, ...]
    mean_saed_eps_mae_percent: float | None
    splits: dict[str, int]


def kinds_of(store: Store) -> list[KindSummary]:
    """One summary for each kind of a store, in alphabetical order, and one for all, the last."""
    facts_by_kind: dict[str, list[dict[str, Any]]] = {}
    for _, facts in store.facts():
        for kind in (str(facts.get("kind", "unknown")), "all"):
            facts_by_kind.setdefault(kind, []).append(facts)
    ordered = sorted(facts_by_kind.items(), key=lambda item: (item[0] == "all", item[0]))
    return [_summary(kind, entries) for kind, entries in ordered]


def _summary(kind: str, entries: list[dict[str, Any]]) -> KindSummary:
    errors = [float(facts["saed_eps_mae_percent"]) for facts in entries if "saed_eps_mae_percent" in facts]
    splits = Counter(str(facts.get("split", "none")) for facts in entries)
    return KindSummary(
        kind=kind,
        entries=len(entries),
        elements=tuple(sorted({symbol for facts in entries for symbol in facts["elements"]})),
        mean_saed_eps_mae_percent=sum(errors) / len(errors) if errors else None,
        splits=dict(sorted(splits.items())),
    )
