"""The members of a run: what they learn from, and the training of each with checkpoints."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.kernels.dense import computing_on, device_of
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import NO_PRIOR, EncoderSettings
from chgtools.models.prior import PriorScales
from chgtools.training.batching import Batching
from chgtools.training.checkpoint import digest, read_checkpoint, write_checkpoint
from chgtools.training.config import FEW
from chgtools.training.curves import write_curves
from chgtools.training.data import Data, read_data
from chgtools.training.free_atoms import fit_free_atoms
from chgtools.training.functionals import functionals_of
from chgtools.training.kept_features import stale_sentences
from chgtools.training.prior import RunFeatures
from chgtools.training.processes import is_first
from chgtools.training.streaming import Maker, Streamed
from chgtools.training.trainer import Progress, Trainer

if TYPE_CHECKING:
    from torch import Tensor

    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.model import DensityModel
    from chgtools.training.config import TrainSettings
    from chgtools.training.data import Entries
    from chgtools.training.samples import Sample

FITTED_ON = 2000  # structures that scales, occupancies, free atoms and trust are found on, of more than these


@dataclass
class Listener:
    """What a run tells while it goes on.

    says : a sentence; steps : (member, step, loss in percent), after each step; evaluated : (member, Progress)
    stops : asked after each step, whether the run is to end here, its state kept
    """

    says: Callable[[str], None] = lambda _: None
    steps: Callable[[int, int, float], None] = lambda _member, _step, _loss: None
    evaluated: Callable[[int, Progress], None] = lambda _member, _progress: None
    stops: Callable[[], bool] = lambda: False


class StoppedError(ChgtoolsError):
    """The run was told to stop; the same call goes on with it."""


@dataclass
class Run:
    """What all members have in common.

    start : weights that they begin with, or None; elements, encoder, basis : of the networks
    features : of the prior, or None; scales : what they are counted by, None where the weights to begin with say it
    samples : to train on, and kept aside; known : (n_elements, n_properties); atoms : free ones, or None
    digest : of all that a member's course follows from
    """

    settings: TrainSettings
    start: DensityModel | None
    listener: Listener
    data: Data
    elements: tuple[str, ...]
    encoder: EncoderSettings
    basis: RadialBasis
    features: RunFeatures | None
    scales: PriorScales | None
    samples: tuple[Sequence[Sample], Sequence[Sample]]
    known: Tensor
    atoms: Tensor | None
    digest: str

    @classmethod
    def of(cls, settings: TrainSettings, start: DensityModel | None, listener: Listener) -> Run:
        """Read the data and make ready what is learned from. Raises SettingsError, FormatError."""
        if settings.steps == 0 and start is None:
            raise SettingsError("found steps = 0 and no weights to begin with; wanted --from, or 1 step or more")
        device_of(settings.device)  # before the data are read
        if settings.threads:
            torch.set_num_threads(settings.threads)
        data = read_data(settings)
        elements, encoder, known = _network(settings, data, start)
        basis = settings.basis if start is None else start.basis
        listener.says(
            f"{len(data.train)} structures to train on, {len(data.validation)} kept aside, {len(data.held_out)} held "
            f"out; {len(elements)} elements"
        )
        if len(several := functionals_of(data.train)["functionals"]) > 1:
            told = ", ".join(f"{name} {count}" for name, count in several.items())
            listener.says(f"they are densities of several functionals ({told}), which the network cannot tell apart")
        features, scales = _prior(encoder, data, start, settings.device, listener)
        maker = Maker(elements, encoder, basis, settings.waves, settings.target == "tcd")
        samples = (
            _samples(data.train, maker, settings, features),
            _samples(data.validation, maker, settings, features),
        )
        atoms = None
        if encoder.free_atoms and start is None:
            some = samples[0] if data.train.kept else _samples(data.train.some(FITTED_ON), maker, settings, features)
            atoms = fit_free_atoms(some, len(elements), basis.n_max)
        run = digest(
            settings, data.sources, "" if start is None else weights_digest(start), streamed=not data.train.kept
        )
        return cls(
            settings, start, listener, data, elements, encoder, basis, features, scales, samples, known, atoms, run
        )

    @property
    def members(self) -> int:
        """How many there are."""
        return self.settings.members if self.start is None else len(self.start.members)

    def train_member(
        self, member: int, folder: Path, restart: bool, earlier: Sequence[Sequence[Progress]] | None
    ) -> Trainer:
        """Train a member to its end, with a checkpoint after each evaluation and now and then between.

        earlier : evaluations of the members before, for the curves; None where these are trained elsewhere
        Raises StoppedError when the listener stops it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        begin = None if self.start is None else self.start.members[member]
        # without structures kept aside nothing tells when it is enough
        learned = len(self.data.train) if len(self.data.validation) else FEW + 1
        trainer = Trainer(
            self.settings, self.encoder, self.basis, self.known, member, begin, self.atoms, self.scales, learned,
            Batching.of(self.settings, self.data.train.places),
        )  # fmt: skip
        path = folder / f"member-{member}.safetensors"
        if path.exists() and not restart:
            self._go_on(trainer, path, member)
        saved = time.monotonic()

        def save() -> None:
            nonlocal saved
            if is_first():
                write_checkpoint(path, *trainer.state(), self.digest)
            saved = time.monotonic()

        def told(progress: Progress) -> None:
            save()
            if is_first() and earlier is not None:
                write_curves(path.parent, [*earlier, trainer.history])
            self.listener.evaluated(member, progress)

        def stepped(loss: float) -> None:
            self.listener.steps(member, trainer.step, loss)
            stops = self.listener.stops()
            if stops or time.monotonic() - saved > 60 * trainer.settings.checkpoint_minutes:
                save()
            if stops:
                raise StoppedError(
                    f"member {member} was stopped at step {trainer.step}; the same command goes on with it"
                )

        trainer.run(*self.samples, told, stepped)
        return trainer

    def _go_on(self, trainer: Trainer, path: Path, member: int) -> None:
        """Take up the state of a member."""
        tensors, facts = read_checkpoint(path, self.digest)
        trainer.load(tensors, facts)
        self.listener.says(f"member {member} goes on at step {trainer.step}")
        before, now = int(facts.get("steps", trainer.settings.steps)), trainer.settings.steps
        if before != now:
            self.listener.says(
                f"its run of {before} steps has become one of {now}; the learning rate follows the new length"
            )


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
    encoder: EncoderSettings, data: Data, start: DensityModel | None, device: str, listener: Listener
) -> tuple[RunFeatures | None, PriorScales | None]:
    """The prior's features of the structures, and what they are counted by; None where there is nothing to say.

    Of structures that are kept in memory all are had ready; of more, those that are needed at the start, and the
    others are found by the processes that read. Weights that a run starts from go on to count as they did.
    """
    if encoder.prior == NO_PRIOR:
        return None, None
    for sentence in stale_sentences({id(each.store): each.store for each in data.train.places}.values()):
        listener.says(sentence)
    features = RunFeatures()
    entries = [*data.train, *data.validation, *data.held_out] if data.train.kept else data.train.some(FITTED_ON)
    with computing_on(device):
        features.compute(entries, encoder, listener.says)
    if start is not None:
        return features, None
    return features, PriorScales.of([features.of(entry, encoder) for entry in data.train.some(FITTED_ON)])


def _samples(entries: Entries, maker: Maker, settings: TrainSettings, features: RunFeatures | None) -> Sequence[Sample]:
    """In memory, or made when they are needed."""
    if not entries.kept:
        return Streamed(entries, maker, settings.workers)
    return [maker.sample(entry, None if features is None else features.of(entry, maker.encoder)) for entry in entries]


def weights_digest(model: DensityModel) -> str:
    """Of all numbers of the networks."""
    sha = hashlib.sha256()
    for member in model.members:
        for value in member.tensors.values():
            sha.update(value.astype(np.float32).tobytes())
    return sha.hexdigest()
