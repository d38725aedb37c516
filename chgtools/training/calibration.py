"""How sure an ensemble may be: its spread against its error on structures that it was not trained on.

The formulas are those of chgtools.models.model. ``offset`` and ``slope`` are the straight line through the logarithms
of spread and error, by least squares; ``size`` the median of SAED's error over the norm of the predicted
coefficients; ``damping`` the largest of a few values among those that make the fewest structures worse than the SAED,
where the mean error grows by no more than a hundredth: structures that the calibration has not seen may be stranger.

``unseen`` comes after these, from other ensembles: each trained without an element and observed on structures that
hold it (``calibrate_unseen``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.models.model import Trust
from chgtools.training.spins import start_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.model import DensityModel
    from chgtools.stores.entry import Entry

FEWEST = 20  # structures kept aside; of 8, an error of 0.27 % was expected where it was 1.5
MOST_UNSEEN = 100.0
DAMPINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Observation:
    """One structure: the spread and the norm of the coefficients (percent), and the error of a damped prediction.

    dampings : factors on the difference density; errors : ε_mae in percent with each
    saed_error : with none of it; unseen_share : of the electrons, on atoms of elements that the ensemble never saw
    """

    spread: float
    norm: float
    saed_error: float
    factors: NDArray[np.float64]
    errors: NDArray[np.float64]
    unseen_share: float = 0.0

    def error(self, factor: float) -> float:
        """ε_mae in percent with the difference density times ``factor``, between the ones computed."""
        return float(np.interp(factor, self.factors, self.errors))


def observe(model: DensityModel, entries: Iterable[Entry]) -> list[Observation]:
    """Spread and errors of an ensemble on entries, on the grids of the entries."""
    from chgtools.fourier.basis import expand

    plain = replace_trust(model, Trust(damping=0.0))
    observations = []
    for entry in entries:
        estimate = plain.predict(entry.structure, entry.dcd_0, start_directions(entry))
        shape = entry.shape
        wanted = entry.on_grid(shape)
        predicted = expand(entry.structure, estimate.coefficients, model.basis, shape)
        per_percent = 100 * entry.structure.volume / wanted.size / float(entry.attributes["nelectrons"])
        factors = np.linspace(0, 1, 6)
        errors = np.array([per_percent * float(np.abs(f * predicted - wanted).sum()) for f in factors])
        spread, norm, share = estimate.spread_percent, estimate.norm_percent, estimate.unseen_share
        observations.append(Observation(spread, norm, float(errors[0]), factors, errors, share))
    return observations


def replace_trust(model: DensityModel, trust: Trust) -> DensityModel:
    """The same model with another trust."""
    return replace(model, trust=trust)


def calibrate(observations: Sequence[Observation]) -> Trust:
    """The Trust that fits. Raises SettingsError for too few observations or an ensemble without spread."""
    usable = _usable(observations)
    if len(usable) < FEWEST:
        raise SettingsError(
            f"{len(usable)} structures with a spread are too few to calibrate on; wanted {FEWEST} or more that were "
            "kept aside, and two members or more"
        )
    x, y = (np.log([value(o) for o in usable]) for value in (lambda o: o.spread, lambda o: o.errors[-1]))
    slope = float(np.clip(np.cov(x, y)[0, 1] / max(float(np.var(x, ddof=1)), 1e-12), 0.25, 2.0))
    offset = float(np.mean(y - slope * x))
    size = float(np.median([o.saed_error / o.norm for o in usable]))
    choices = []
    for damping in DAMPINGS:
        trust = Trust(offset, slope, size, damping, structures=len(usable))
        errors = np.array([o.error(trust.factor(o.spread, o.norm)) for o in usable])
        worse = int(sum(error > o.saed_error for error, o in zip(errors, usable, strict=True)))
        choices.append((worse, float(errors.mean()), trust))
    best = min(mean for _, mean, _ in choices)
    cheap = [c for c in choices if c[1] <= 1.01 * best]
    fewest = min(c[0] for c in cheap)
    return [c for c in cheap if c[0] == fewest][-1][2]


def calibrate_unseen(trust: Trust, observations: Sequence[Observation]) -> Trust:
    """The trust with the ``unseen`` that makes the estimated errors of these structures right in the geometric mean.

    trust : calibrated on structures of seen elements; observations : of ensembles on elements that each left out
    Not below 1, since no ensemble is to be surer of what it never saw, and at most MOST_UNSEEN.
    Raises SettingsError for too few observations with unseen elements.
    """
    usable = [o for o in _usable(observations) if o.unseen_share > 0]
    if len(usable) < FEWEST:
        raise SettingsError(
            f"{len(usable)} structures with a spread and elements that the ensemble never saw are too few to calibrate "
            f"on; wanted {FEWEST} or more"
        )

    def too_sure(unseen: float) -> bool:
        guess = replace(trust, unseen=unseen)
        return float(np.mean([np.log(o.errors[-1] / guess.error(o.spread, o.unseen_share)) for o in usable])) > 0

    low, high = 1.0, MOST_UNSEEN
    if not too_sure(low):
        return replace(trust, unseen=low)
    while high - low > 1e-6 * low:  # the estimate grows with ``unseen``
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if too_sure(middle) else (low, middle)
    return replace(trust, unseen=high)


def _usable(observations: Sequence[Observation]) -> list[Observation]:
    return [o for o in observations if np.isfinite(o.spread) and o.spread > 0 and o.errors[-1] > 0]


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's coefficient; ties get the mean of their ranks."""
    first, second = (_ranks(np.asarray(values, dtype=float)) for values in (a, b))
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])
