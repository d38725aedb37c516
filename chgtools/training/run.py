"""A whole training run: data, samples, the members one after the other, weights, occupancies, calibration.

Everything goes to one folder: member-0.safetensors, ... (checkpoints), curves.csv, curves.png, NAME.safetensors. The
weights are written as soon as the members are there, and again with occupancies and with what they may be trusted
(chgtools.training.completion): what comes last may take long, and fail. A run that was stopped goes on with what is
missing when it is called again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.files import package_version
from chgtools.models.model import DensityModel, Trust
from chgtools.models.weights import element_zvals, save_model
from chgtools.training.completion import Known, finish, weights_path
from chgtools.training.curves import write_curves
from chgtools.training.functionals import functionals_of
from chgtools.training.members import Listener, Run
from chgtools.training.processes import is_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.models.network import Network
    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Data
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
    finish(model, Known.of(run), path, listener)
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
