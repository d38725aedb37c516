"""A whole training run: data, samples, the members one after the other, calibration, weights.

Everything goes to one folder: member-0.safetensors, ... (checkpoints), curves.csv, curves.png, NAME.safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from chgtools.errors import SettingsError
from chgtools.files import package_version
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import NO_PRIOR, EncoderSettings
from chgtools.models.model import DensityModel, Trust
from chgtools.models.prior import PriorScales
from chgtools.models.weights import element_zvals, save_model
from chgtools.training.calibration import FEWEST, Observation, calibrate, observe, rank_correlation
from chgtools.training.checkpoint import digest, read_checkpoint, write_checkpoint
from chgtools.training.curves import write_curves
from chgtools.training.data import Data, read_data
from chgtools.training.free_atoms import fit_free_atoms
from chgtools.training.prior import RunFeatures
from chgtools.training.processes import is_first
from chgtools.training.readings import fit_occupancies, has_records
from chgtools.training.spins import elements_with_moments
from chgtools.training.streaming import Maker, Streamed
from chgtools.training.trainer import Progress, Trainer, device_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.network import Network
    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Entries
    from chgtools.training.samples import Sample


FITTED_ON = 2000  # structures that scales, occupancies, free atoms and trust are found on, of more than these


@dataclass
class Listener:
    """What a run tells while it goes on.

    says : a sentence; steps : (member, step), after each step; evaluated : (member, Progress)
    """

    says: Callable[[str], None] = lambda _: None
    steps: Callable[[int, int], None] = lambda _member, _step: None
    evaluated: Callable[[int, Progress], None] = lambda _member, _progress: None


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
    Raises SettingsError, FormatError (see chgtools.training.data, chgtools.training.checkpoint).
    """
    listener = listener or Listener()
    if settings.steps == 0 and start is None:
        raise SettingsError("found steps = 0 and no weights to begin with; wanted --from, or 1 step or more")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    data = read_data(settings)
    elements, encoder, known = _network(settings, data, start)
    basis = settings.basis if start is None else start.basis
    listener.says(
        f"{len(data.train)} structures to train on, {len(data.validation)} kept aside, {len(data.held_out)} held out; "
        f"{len(elements)} elements"
    )
    features, scales = _prior(encoder, data, start, listener)
    maker = Maker(elements, encoder, basis, settings.waves, settings.target == "tcd")
    train_set, validation = (_samples(entries, maker, settings, features) for entries in (data.train, data.validation))
    atoms = None
    if encoder.free_atoms and start is None:
        some = train_set if data.train.kept else _samples(data.train.some(FITTED_ON), maker, settings, features)
        atoms = fit_free_atoms(some, len(elements), basis.n_max)
    run = digest(settings, data.sources, "" if start is None else _sha(start))
    count = settings.members if start is None else len(start.members)
    members: list[Network] = []
    curves: list[list[Progress]] = []
    for member in range(count):
        begin = None if start is None else start.members[member]
        trainer = Trainer(settings, encoder, basis, known, member, begin, atoms, scales)
        path = folder / f"member-{member}.safetensors"
        if path.exists() and not restart:
            trainer.load(*read_checkpoint(path, run))
            listener.says(f"member {member} goes on at step {trainer.step}")
        _run_member(member, trainer, (train_set, validation), path, run, curves, listener)
        curves.append(trainer.history)
        members.append(trainer.result())
    model = _model(settings, data, elements, members, basis, start, features, listener)
    if is_first():
        write_curves(folder, curves)
        save_model(model, weights_path(folder, settings))
    return model


def weights_path(folder: str | Path, settings: TrainSettings) -> Path:
    """Where a run writes its weights."""
    return Path(folder) / f"{settings.name}.safetensors"


def _run_member(
    member: int,
    trainer: Trainer,
    samples: tuple[Sequence[Sample], Sequence[Sample]],
    path: Path,
    run: str,
    earlier: Sequence[Sequence[Progress]],
    listener: Listener,
) -> None:
    """Train one member, with a checkpoint and the curves after each evaluation.

    samples : to train on, and kept aside; run : digest of the run; earlier : evaluations of the members before
    """

    def told(progress: Progress) -> None:
        if is_first():
            write_checkpoint(path, *trainer.state(), run)
            write_curves(path.parent, [*earlier, trainer.history])
        listener.evaluated(member, progress)

    trainer.run(*samples, told, lambda: listener.steps(member, trainer.step))


def _network(
    settings: TrainSettings, data: Data, start: DensityModel | None
) -> tuple[tuple[str, ...], EncoderSettings, Tensor]:
    if start is None:
        elements = data.elements
        return elements, EncoderSettings(**asdict(settings.encoder)), torch.tensor(properties(elements)).float()
    if unseen := sorted(set(data.elements) - set(start.elements)):
        raise SettingsError(
            f"the weights {start.name!r} have not seen {', '.join(unseen)}, which the data hold; leave these "
            "structures out (kinds), or train from nothing"
        )
    if start.target != settings.target:
        raise SettingsError(f"the weights {start.name!r} are for the target {start.target}, not {settings.target}")
    return start.elements, start.members[0].settings, torch.tensor(start.members[0].properties).float()


def _prior(
    encoder: EncoderSettings, data: Data, start: DensityModel | None, listener: Listener
) -> tuple[RunFeatures | None, PriorScales | None]:
    """The prior's features of the structures, and what they are counted by; None where there is nothing to say.

    Of structures that are kept in memory all are had ready; of more, those that are needed at the start, and the
    others are found by the processes that read. Weights that a run starts from go on to count as they did.
    """
    if encoder.prior == NO_PRIOR:
        return None, None
    features = RunFeatures()
    entries = [*data.train, *data.validation, *data.held_out] if data.train.kept else data.train.some(FITTED_ON)
    features.compute(entries, encoder, listener.says)
    if start is not None:
        return features, None
    return features, PriorScales.of([features.of(entry, encoder) for entry in data.train.some(FITTED_ON)])


def _samples(entries: Entries, maker: Maker, settings: TrainSettings, features: RunFeatures | None) -> Sequence[Sample]:
    """In memory, or made when they are needed."""
    device = device_of(settings.device)
    if not entries.kept:
        return Streamed(entries, maker, device, settings.workers)
    return [
        maker.sample(entry, None if features is None else features.of(entry, maker.encoder)).to(device)
        for entry in entries
    ]


def _model(
    settings: TrainSettings,
    data: Data,
    elements: tuple[str, ...],
    members: list[Network],
    basis: RadialBasis,
    start: DensityModel | None,
    features: RunFeatures | None,
    listener: Listener,
) -> DensityModel:
    model = DensityModel(
        name=settings.name,
        elements=elements,
        zvals=_zvals(data, elements, start),
        basis=basis,
        target=settings.target,
        members=members,
        spins=_spins(members[0], data, start),
        labels=_labels(settings, data, start),
    )
    # the same model, which knows the features of the run's structures
    known = model if features is None else replace(model, features_of=features)
    learned = data.train.some(FITTED_ON)
    if settings.occupancies and any(has_records(entry) for entry in learned):
        model.occupancies = fit_occupancies(known, learned)
        listener.says(f"occupancies of {len(model.occupancies)} labels: {', '.join(model.occupancies)}")
    aside = (data.validation + data.held_out).some(FITTED_ON)
    observations = observe(known, aside) if settings.target == "dcd" else []
    model.trust = _trust(model, observations, data, start, listener)
    errors = _errors(model, aside, observations) if observations else {}
    before = start if start is not None and not aside and _goes_on(data, start) else None
    if before is not None:
        errors = dict(before.card.get("validation_eps_mae_percent", {}))
    model.card = {
        "description": f"learned {settings.target} of {len(elements)} elements, {len(members)} members",
        "functional": "PBE",
        "licence": "MIT",
        "chgtools_version": package_version(),
        "started_from": None if start is None else start.name,
        "settings": json.loads(json.dumps(asdict(replace(settings, data=tuple(data.sources))))),
        "data": {name: {"sha256": sha, "structures": count} for name, (sha, count) in data.sources.items()},
        "training_structures": len(data.train),
        "validation_eps_mae_percent": errors,
    }
    if before is not None:
        # nothing is aside now; what the weights were before these last steps is not what they are, and is named so
        model.card["validation_of"] = f"the weights {before.name!r} that these steps began with"
    return model


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
        symbols |= elements_with_moments(each.facts)
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


def _sha(model: DensityModel) -> str:
    sha = hashlib.sha256()
    for member in model.members:
        for value in member.tensors.values():
            sha.update(value.astype(np.float32).tobytes())
    return sha.hexdigest()
