"""A whole training run: data, samples, the members one after the other, weights, occupancies, calibration.

Everything goes to one folder: member-0.safetensors, ... (checkpoints), curves.csv, curves.png, NAME.safetensors. The
weights are written as soon as the members are there, and again with occupancies and with what they may be trusted: what
comes last may take long, and fail. A run that was stopped goes on with what is missing when it is called again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.files import package_version
from chgtools.models.model import DensityModel, Trust
from chgtools.models.weights import element_zvals, save_model
from chgtools.training.calibration import FEWEST, Observation, calibrate, observe, rank_correlation
from chgtools.training.curves import write_curves
from chgtools.training.functionals import functionals_of
from chgtools.training.members import FITTED_ON, Listener, Run
from chgtools.training.processes import is_first
from chgtools.training.readings import fit_occupancies, has_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.network import Network
    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Data, Entries
    from chgtools.training.trainer import Progress


def train(
    settings: TrainSettings,
    folder: str | Path,
    *,
    start: DensityModel | None = None,
    restart: bool = False,
    listener: Listener | None = None,
) -> DensityModel:
    """Train an ensemble and write its weights to ``folder``; goes on where an earlier run of it stopped.

    start : a model whose weights, elements, basis and network are taken to begin with (fine-tuning); elements that it
        never saw are an error
    restart : begin anew whatever checkpoints are there
    Raises StoppedError when the listener stops it, SettingsError, FormatError (see chgtools.training.data,
    chgtools.training.checkpoint).
    """
    listener, folder = listener or Listener(), Path(folder)
    run = Run.of(settings, start, listener)
    members: list[Network] = []
    curves: list[list[Progress]] = []
    for member in range(run.members):
        trained = run.train_member(member, folder, restart, curves)
        curves.append(trained.history)
        members.append(trained.result())
    model = _model(run, members)
    path = weights_path(folder, settings)
    if is_first():
        write_curves(folder, curves)
        save_model(model, path)
    _complete(model, run, path)
    return model


def train_member(
    settings: TrainSettings,
    folder: str | Path,
    member: int,
    *,
    start: DensityModel | None = None,
    restart: bool = False,
    listener: Listener | None = None,
) -> None:
    """Train one member of an ensemble, from 0, as a task of its own; :func:`train` puts them together afterwards."""
    run = Run.of(settings, start, listener or Listener())
    if not 0 <= member < run.members:
        raise SettingsError(f"found the member {member}; this run has the members 0 to {run.members - 1}")
    run.train_member(member, Path(folder), restart, None)


def weights_path(folder: str | Path, settings: TrainSettings) -> Path:
    """Where a run writes its weights."""
    return Path(folder) / f"{settings.name}.safetensors"


def _model(run: Run, members: list[Network]) -> DensityModel:
    """The networks with a card; nothing is known yet of how good they are."""
    settings, data, start = run.settings, run.data, run.start
    model = DensityModel(
        name=settings.name,
        elements=run.elements,
        zvals=_zvals(data, run.elements, start),
        basis=run.basis,
        target=settings.target,
        members=members,
        spins=_spins(members[0], data, start),
        labels=_labels(settings, data, start),
    )
    model.trust = replace(Trust() if start is None else start.trust, structures=0)
    model.card = {
        "description": f"learned {settings.target} of {len(run.elements)} elements, {len(members)} members",
        **functionals_of(data.train),
        "licence": "MIT",
        "chgtools_version": package_version(),
        "started_from": None if start is None else start.name,
        "settings": json.loads(json.dumps(asdict(replace(settings, data=tuple(data.sources))))),
        "data": {name: {"sha256": sha, "structures": count} for name, (sha, count) in data.sources.items()},
        "training_structures": len(data.train),
        "validation_eps_mae_percent": {},
    }
    return model


def _complete(model: DensityModel, run: Run, path: Path) -> None:
    """Give weights that are written their occupancies, trust and errors, and write them again after each."""
    settings, data, start, features, listener = run.settings, run.data, run.start, run.features, run.listener
    # the same model, which knows the features of the run's structures
    known = model if features is None else replace(model, features_of=features)
    learned = data.train.some(FITTED_ON)
    if settings.occupancies and any(has_records(entry) for entry in learned):
        model.occupancies = fit_occupancies(known, learned)
        listener.says(f"occupancies of {len(model.occupancies)} labels: {', '.join(model.occupancies)}")
        if is_first():
            save_model(model, path)
    aside = (data.validation + data.held_out).some(FITTED_ON)
    observations = observe(known, aside) if settings.target == "dcd" else []
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


def _zvals(data: Data, elements: tuple[str, ...], start: DensityModel | None) -> NDArray[np.float64]:
    """(n_elements,) valence electrons, those of the data before those of the weights that were begun with."""
    facts = [each.facts for each in data.train.places]
    symbols, zvals = element_zvals([f["elements"] for f in facts], [float(f["nelectrons"]) for f in facts])
    if start is None:
        return zvals
    valence = start.zvals.copy()
    for symbol, zval in zip(symbols, zvals, strict=True):
        valence[elements.index(symbol)] = zval
    return valence


def _labels(settings: TrainSettings, data: Data, start: DensityModel | None) -> tuple[str, ...]:
    """Labels whose CHGCARs taught the density, in this run and those before."""
    labels = set() if start is None else set(start.labels)
    if settings.steps:
        labels |= {str(label).split("/")[0] for each in data.train.places for label in each.facts.get("labels", ())}
    return tuple(sorted(labels))


def _spins(member: Network, data: Data, start: DensityModel | None) -> tuple[str, ...]:
    """Elements that had start moments in the training data, this run's and those before."""
    symbols = set() if start is None else set(start.spins)
    for each in data.train.places if member.settings.spin_channels else ():
        symbols |= set(each.facts["moments_on"])
    return tuple(sorted(symbols))


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
