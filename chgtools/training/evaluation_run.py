"""A whole evaluation: the entries of stores that are asked for, the errors of weights on each, and what they sum up to.

Entries are counted from ground-state atoms, as in the training.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.errors import AssumptionWarning, SettingsError
from chgtools.kernels.dense import computing_on
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.stores.store import Store
from chgtools.training.calibration import rank_correlation
from chgtools.training.config import split_settings
from chgtools.training.data import is_of_kind, was_kept_aside
from chgtools.training.evaluation import Row, as_dict, evaluate, magnetic_summary, occupancies_summary, summary
from chgtools.training.prior import RunFeatures
from chgtools.training.reference import from_ground_state

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel


@dataclass(frozen=True)
class Selection:
    """Which entries of stores.

    split : the name of a split, such as "test", or None for all; kinds : that are wanted, * matches; none means all
    aside : those alone that the training of the weights kept aside, by its rule on names or formulas
    """

    split: str | None = None
    kinds: tuple[str, ...] = ()
    aside: bool = False


@dataclass(frozen=True)
class Evaluation:
    """The errors of weights.

    model : name of the weights; rows : one for each structure, of which there is one at least
    tables : "kinds" (the first row is "all") and "elements", as :func:`chgtools.training.evaluation.summary` has them
    magnetisation, occupancies : what the structures that have them sum up to; None where there are none
    trust_rank_correlation : of expected and true error; NaN for weights that expect none
    """

    model: str
    rows: tuple[Row, ...]
    tables: dict[str, list[dict[str, Any]]]
    magnetisation: dict[str, float] | None
    occupancies: dict[str, float] | None
    trust_rank_correlation: float

    @classmethod
    def of(cls, model: str, rows: Sequence[Row]) -> Evaluation:
        return cls(
            model=model,
            rows=tuple(rows),
            tables=summary(rows),
            magnetisation=magnetic_summary(rows),
            occupancies=occupancies_summary(rows),
            trust_rank_correlation=rank_correlation([row.expected for row in rows], [row.eps_mae for row in rows]),
        )

    @property
    def better(self) -> int:
        """Number of structures on which the model is nearer than the SAED."""
        return sum(row.better for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN, which it has not, as None."""
        trust = self.trust_rank_correlation
        return {
            "model": self.model,
            "rows": [as_dict(row) for row in self.rows],
            **self.tables,
            "magnetisation": self.magnetisation,
            "occupancies": self.occupancies,
            "trust_rank_correlation": None if trust != trust else trust,
        }


def evaluate_stores(
    model: DensityModel,
    stores: Sequence[str | Path],
    selection: Selection | None = None,
    *,
    device: str = "cpu",
    begins: Callable[[int], None] = lambda _: None,
    told: Callable[[Row], None] = lambda _: None,
) -> Evaluation:
    """The errors of weights on the entries of stores.

    device : "cpu", "cuda" or "auto", where tight binding of many atoms is computed
    begins : is called with the number of entries before the first is computed; told : with each Row as it is done
    Raises FormatError for a file that is no store, SettingsError when no entry is left, or for weights that do not say
    what was kept aside, ChgtoolsError for a split of a store that has none. Emits an AssumptionWarning where the prior
    of the weights has no features of a structure.
    """
    chosen = _chosen(model, stores, selection or Selection())
    if not chosen:
        raise SettingsError("no entry is left to evaluate; check --split, --kind and --aside")
    begins(len(chosen))
    features = RunFeatures()
    if model.prior != NO_PRIOR:
        model = replace(model, features_of=features)
    rows = []
    with computing_on(device):
        for row in evaluate(model, (from_ground_state(store[name]) for store, name in chosen)):
            rows.append(row)
            told(row)
    if features.failed:
        warnings.warn(features.sentence, AssumptionWarning, stacklevel=2)
    return Evaluation.of(model.name, rows)


def _chosen(model: DensityModel, stores: Sequence[str | Path], selection: Selection) -> list[tuple[Store, str]]:
    """(store, name) of each entry that is wanted."""
    chosen: list[tuple[Store, str]] = []
    for path in stores:
        store = Store.open(path)
        names = set(store.in_split(selection.split)) if selection.split else set(store)
        chosen += [
            (store, name)
            for name, facts in store.facts()
            if name in names and is_of_kind(str(facts.get("kind", "")), selection.kinds)
        ]
    if not selection.aside or not chosen:
        return chosen
    settings = split_settings(model.card)
    return [(store, name) for store, name in chosen if was_kept_aside(store[name], settings)]
