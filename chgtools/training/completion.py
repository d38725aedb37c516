"""What weights are given when their networks are trained: occupancies, trust, and their errors on what was kept aside.

On at most FITTED_ON structures, and the weights are written after each of the two stages. A training ends with both;
``complete`` does one or both for weights that lie in the folder of a run. What was observed is kept beside the weights,
so that a call that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.kernels.dense import computing_on
from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.models.model import Trust
from chgtools.models.weights import load_model, save_model
from chgtools.training.calibration import FEWEST, Observation, calibrate, rank_correlation
from chgtools.training.data import read_data
from chgtools.training.members import FITTED_ON, Listener
from chgtools.training.observations import observe_kept
from chgtools.training.prior import RunFeatures
from chgtools.training.processes import is_first
from chgtools.training.readings import fit_occupancies, has_records

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel
    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Data, Entries
    from chgtools.training.members import Run

OBSERVATIONS = "observations.jsonl"


@dataclass(frozen=True)
class Known:
    """What weights are completed with.

    start : weights that the training began with, or None; features : of the prior, None for weights without
    """

    settings: TrainSettings
    data: Data
    start: DensityModel | None
    features: RunFeatures | None

    @classmethod
    def of(cls, run: Run) -> Known:
        """Of a run that has just ended."""
        return cls(run.settings, run.data, run.start, run.features)

    @property
    def learned(self) -> Entries:
        """Structures that occupancies are fitted to."""
        return self.data.train.some(FITTED_ON)

    @property
    def aside(self) -> Entries:
        """Structures that tell how far the weights are to be trusted."""
        return (self.data.validation + self.data.held_out).some(FITTED_ON)

    def knowing(self, model: DensityModel) -> DensityModel:
        """The model, which finds the features of the run's structures."""
        return model if self.features is None else replace(model, features_of=self.features)


def weights_path(folder: str | Path, settings: TrainSettings) -> Path:
    """Where a run writes its weights."""
    return Path(folder) / f"{settings.name}.safetensors"


def finish(model: DensityModel, known: Known, path: Path, listener: Listener) -> None:
    """Both stages for weights that a run has written to ``path``, as its settings ask for them."""
    if known.settings.occupancies and any(has_records(entry) for entry in known.learned):
        _give_occupancies(model, known, path, listener)
    _calibrate(model, known, path, listener)


def complete(
    settings: TrainSettings,
    folder: str | Path,
    *,
    occupancies: bool,
    calibration: bool,
    start: DensityModel | None = None,
    listener: Listener | None = None,
) -> DensityModel:
    """One stage, or both, for the weights in the folder of a run that was trained with these settings and this start.

    occupancies, calibration : which; what else the weights have stays as it is
    Raises SettingsError where there are no weights, where they are of other data or another start, and where there is
    nothing to fit or to calibrate, StoppedError when the listener stops it.
    """
    listener, path = listener or Listener(), weights_path(folder, settings)
    if not path.exists():
        raise SettingsError(f"{path}: no such file; train first, by the same command without these options")
    model = load_model(path)
    data = read_data(settings)
    _check_is_of(model, settings, data, start, path)
    known = Known(settings, data, start, None if model.prior == NO_PRIOR else RunFeatures())
    if occupancies:
        if not any(has_records(entry) for entry in known.learned):
            raise SettingsError(
                "no structure to learn from has augmentation occupancies of labels whose channels are known; wanted "
                "stores of CHGCARs with POTCARs beside them"
            )
        _give_occupancies(model, known, path, listener)
    if calibration:
        if settings.target != "dcd":
            raise SettingsError("found target = tcd; total densities are not damped, and have nothing to calibrate")
        _calibrate(model, known, path, listener)
    return model


def _check_is_of(
    model: DensityModel, settings: TrainSettings, data: Data, start: DensityModel | None, path: Path
) -> None:
    """Raises SettingsError unless the weights' card names this data, this rule of what is kept aside and this start."""
    card = model.card
    trained_on = {(row["sha256"], row["structures"]) for row in card.get("data", {}).values()}
    rule = card.get("settings", {}).get("validation")
    now = settings.validation
    same_rule = rule is not None and (rule["share"], rule["by"], rule["seed"], tuple(rule["hold_out"])) == (
        now.share, now.by, now.seed, now.hold_out,
    )  # fmt: skip
    if trained_on != set(data.sources.values()) or not same_rule:
        raise SettingsError(
            f"{path} was trained on other data, or with another rule of what is kept aside; wanted the settings and "
            "the stores of its training"
        )
    before, given = card.get("started_from"), None if start is None else start.name
    if before != given:
        found = "no --from" if given is None else f"--from with the weights {given!r}"
        wanted = "none" if before is None else f"the weights {before!r}, as in the training"
        raise SettingsError(f"found {found}; wanted {wanted}")


def _give_occupancies(model: DensityModel, known: Known, path: Path, listener: Listener) -> None:
    with computing_on(known.settings.device):
        model.occupancies = fit_occupancies(known.knowing(model), known.learned)
    listener.says(f"occupancies of {len(model.occupancies)} labels: {', '.join(model.occupancies)}")
    if is_first():
        save_model(model, path)


def _calibrate(model: DensityModel, known: Known, path: Path, listener: Listener) -> None:
    data, start, aside = known.data, known.start, known.aside
    observations: list[Observation] = []
    if known.settings.target == "dcd":
        with computing_on(known.settings.device):
            observations = observe_kept(known.knowing(model), aside, path.parent / OBSERVATIONS, listener)
    model.trust = _trust(model, observations, data, start, listener)
    errors = _errors(model, aside, observations) if observations else {}
    before = start if start is not None and not aside and _goes_on(data, start) else None
    if before is not None:
        errors = dict(before.card.get("validation_eps_mae_percent", {}))
    model.card = {**model.card, "validation_eps_mae_percent": errors}
    if before is not None:
        # nothing is aside now; what the weights were before these last steps is not what they are, and is named so
        model.card = {**model.card, "validation_of": f"the weights {before.name!r} that these steps began with"}
    if is_first():
        save_model(model, path)


def _trust(
    model: DensityModel,
    observations: Sequence[Observation],
    data: Data,
    start: DensityModel | None,
    listener: Listener,
) -> Trust:
    """How far the model is to be trusted: found on what was kept aside, or kept from the weights that it goes on from.

    Of weights trained on other data, and of too few structures, nothing is known.
    """
    old = Trust() if start is None else start.trust
    if len(model.members) > 1 and len(observations) >= FEWEST:
        # structures kept aside hold no unseen elements: what is known of these is from elsewhere
        listener.says(
            f"spread and error of {len(observations)} structures: rank correlation "
            f"{rank_correlation([o.spread for o in observations], [o.errors[-1] for o in observations]):.2f}"
        )
        return replace(calibrate(observations), unseen=old.unseen)
    if start is not None and _goes_on(data, start):
        return old
    if len(model.members) > 1:
        listener.says(
            f"{len(observations)} structures were kept aside, fewer than {FEWEST}: predictions will not say how large "
            f"an error is expected"
        )
    return replace(old, structures=0)


def _goes_on(data: Data, start: DensityModel) -> bool:
    """Whether all that the weights were trained on is among the data: they learn on, and nothing else."""
    before = {row["sha256"] for row in start.card.get("data", {}).values()}
    return bool(before) and before <= {sha for sha, _ in data.sources.values()}


def _errors(model: DensityModel, entries: Entries, observations: list[Observation]) -> dict[str, dict[str, float]]:
    """By kind: number, mean ε_mae of SAED and of the damped prediction."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for entry, o in zip(entries, observations, strict=True):
        factor = model.trust.factor(o.spread, o.norm) if len(model.members) > 1 else 1.0
        for kind in (str(entry.attributes.get("kind", "unknown")), "all"):
            rows.setdefault(kind, []).append((o.saed_error, o.error(factor)))
    return {
        kind: {"structures": len(values), "saed": float(np.mean(values, 0)[0]), "model": float(np.mean(values, 0)[1])}
        for kind, values in sorted(rows.items())
    }
