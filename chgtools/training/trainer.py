"""Training of one member of an ensemble: AdamW, a running mean of the weights, checkpoints that go on exactly.

Under ``torchrun`` each process takes its part of every batch, and what is minimised is the mean over the whole batch,
however it is parted: the result is that of one process up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from chgtools.errors import SettingsError
from chgtools.kernels.dense import device_of
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.training.batching import Batching
from chgtools.training.config import FEW
from chgtools.training.losses import loss_of, magnetic_percent, neutral, residual, rms_percent
from chgtools.training.padded import Padded, alike
from chgtools.training.processes import gathered, rank, sum_gradients, total, world
from chgtools.training.streaming import FIRST_DRAW, batches
from chgtools.training.torch_network.conversion import encoder_of, network_of
from chgtools.training.torch_network.encoder import Encoder
from chgtools.training.torch_network.graph import merge, with_foreign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.network import Network
    from chgtools.models.prior import PriorScales
    from chgtools.training.config import TrainSettings
    from chgtools.training.samples import Sample

WARM_UP = 50  # steps
BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Progress:
    """One evaluation.

    train : mean loss since the last one, percent; validation : mean rms error by kind; gradient : mean norm of the
    gradients since the last one, before it is cut to ``clip``
    """

    step: int
    train: float
    validation: Mapping[str, float]
    learning_rate: float
    gradient: float = math.nan

    @property
    def score(self) -> float:
        return self.validation.get("all", self.train)


class Trainer:
    """One member. ``state`` and ``load`` hold all that a run needs to go on as if it had never stopped."""

    def __init__(
        self,
        settings: TrainSettings,
        encoder: EncoderSettings,
        basis: RadialBasis,
        properties: Tensor,
        member: int,
        start: Network | None = None,
        free_atoms: Tensor | None = None,
        prior: PriorScales | None = None,
        structures: int = FEW + 1,
        batching: Batching | None = None,
    ) -> None:
        """structures : to learn from, of which ``patience`` follows where it is left open
        start : the network to begin with, in place of a random one; free_atoms : (n_elements, n_max) spheres
        prior : what the prior's features are counted by, where the weights to begin with do not say it
        batching : what steps learn from; None for batches of structures of any size
        """
        self.settings, self.seed, self.batching = settings, settings.seed + member, batching
        self.patience = settings.patience_for(structures)
        self.device = device_of(settings.device)
        torch.manual_seed(self.seed)
        self.encoder = Encoder(encoder, basis.n_max, properties) if start is None else encoder_of(start)
        if free_atoms is not None:
            with torch.no_grad():
                self.encoder.atoms.copy_(free_atoms)
        if prior is not None:
            self.encoder.prior.set_scales(prior)
        self.encoder.to(self.device)
        self.even = torch.as_tensor([ell % 2 == 0 for ell in range(basis.l_max + 1) for _ in range(2 * ell + 1)])
        self.charges = torch.as_tensor(basis.charges, dtype=torch.float32, device=self.device)
        named = dict(self.encoder.named_parameters())
        trained = _trained(named, settings.trained)
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS)
        self.mean = {name: p.detach().clone() for name, p in named.items()}
        self.best = {name: value.clone() for name, value in self.mean.items()}
        self.best_score, self.step, self.without_better = math.inf, 0, 0
        self.history: list[Progress] = []
        self.losses: list[tuple[float, float]] = []  # and norms of gradients, since the last evaluation

    def run(
        self,
        train: Sequence[Sample],
        validation: Sequence[Sample],
        told: Callable[[Progress], None] = lambda _: None,
        each_step: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Train to the last step, or until nothing has got better for ``patience`` evaluations.

        told : is called after each evaluation, when the state is complete; each_step : after each step, with its
            loss in percent
        """
        settings = self.settings
        every = max(1, settings.steps // settings.evaluations)
        for count, numbers, batch in self._batches(train):
            if self._is_enough():
                break
            hidden = [self._with_some_hidden(*each) for each in zip(batch, numbers, strict=True)]
            self.losses.append(self._step(hidden, count))
            each_step(self.losses[-1][0])
            if self.step % every == 0 or self.step == settings.steps:
                mean, gradient = (float(value) for value in np.mean(self.losses, axis=0))
                mean = total(mean, self.device)
                progress = Progress(self.step, mean, self.errors(validation), self._learning_rate(), gradient)
                self.losses = []
                self.history.append(progress)
                if progress.score < self.best_score:
                    self.best = {name: value.clone() for name, value in self.mean.items()}
                    self.best_score, self.without_better = progress.score, 0
                else:
                    self.without_better += 1
                told(progress)

    def _batches(self, train: Sequence[Sample]) -> Iterator[tuple[int, list[int], list[Sample]]]:
        """Of each step that is left: structures of the whole batch; numbers and samples of this process's part."""
        batching = self.batching or Batching(np.ones(len(train), dtype=np.int64), self.settings.batch)

        def plan() -> Iterator[tuple[int, list[int]]]:
            return islice(batching.steps(self.seed, self.step), self.settings.steps - self.step)

        # processes that read are ahead in a plan of their own
        parts = ((numbers[rank() :: world()], (self.seed, epoch)) for epoch, numbers in plan())
        for (_, numbers), samples in zip(plan(), batches(train, parts), strict=True):
            yield len(numbers), numbers[rank() :: world()], samples

    def _step(self, batch: Sequence[Sample], count: int) -> tuple[float, float]:
        """One step of the optimiser; this process's part of the mean loss, and the norm of the gradients.

        batch : this process's part of it, perhaps none; count : structures of the whole batch
        """
        settings = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.zero_grad()
        loss = torch.zeros(())
        if batch:
            terms = []
            for part, coefficients, spins in self._parts(batch):
                terms.append(loss_of(part, residual(part, coefficients, self.even), settings.loss).sum())
                if spins is not None:
                    magnetic = magnetic_percent(part, spins, self.even, self.charges)
                    terms.append(settings.loss.magnetisation * magnetic.sum())
            loss = torch.stack(terms).sum() / count
            loss.backward()
        sum_gradients(self.encoder)
        norm = torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), settings.clip)
        self.optimiser.step()
        self.step += 1
        self._update_mean()
        return float(loss.detach()), float(norm)

    def errors(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Mean rms error in percent by kind and of "all", with the running mean of the weights.

        Each process takes its part of the samples, and all know the means.
        """
        found: list[tuple[str, float]] = []
        own = {name: p.detach().clone() for name, p in self.encoder.named_parameters()}
        self._put(self.mean)
        mine = range(rank(), len(samples), world())
        size = self.settings.batch
        plan = [(mine[start : start + size], FIRST_DRAW) for start in range(0, len(mine), size)]
        with torch.no_grad():
            for part in batches(samples, plan):
                found += self._errors_of(part)
        self._put(own)
        by_kind: dict[str, list[float]] = {}
        for kind, error in gathered(found):
            by_kind.setdefault(kind, []).append(error)
        return {kind: float(np.mean(values)) for kind, values in by_kind.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain numbers of a checkpoint."""
        tensors = {f"encoder.{name}": p.detach() for name, p in self.encoder.named_parameters()}
        tensors |= {f"mean.{name}": value for name, value in self.mean.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for index, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in values.items()}
        history = [[p.step, p.train, dict(p.validation), p.learning_rate, p.gradient] for p in self.history]
        facts = {
            "step": self.step,
            "best_score": self.best_score,
            "without_better": self.without_better,
            "history": history,
            "losses": self.losses,
            "steps": self.settings.steps,
        }
        return {name: value.contiguous().cpu() for name, value in tensors.items()}, facts

    def load(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from a state. Raises KeyError, RuntimeError when it is not of this run."""
        part: dict[str, dict[str, Tensor]] = {"encoder": {}, "mean": {}, "best": {}, "adam": {}}
        for name, value in tensors.items():
            key, rest = name.split(".", 1)
            part[key][rest] = value.to(self.device)
        self._put(part["encoder"])
        self.mean, self.best = part["mean"], part["best"]
        saved = self.optimiser.state_dict()
        saved["state"] = {}
        for name, value in part["adam"].items():
            index, key = name.split(".")
            saved["state"].setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict(saved)
        if int(facts["step"]) > self.settings.steps:
            raise SettingsError(
                f"found steps = {self.settings.steps} and a member that has made {facts['step']}; wanted as many or "
                "more, or --restart"
            )
        self.step, self.best_score = int(facts["step"]), float(facts["best_score"])
        self.without_better = int(facts["without_better"])
        self.history = [
            Progress(int(s), float(t), dict(v), *(float(x) for x in rest)) for s, t, v, *rest in facts["history"]
        ]
        self.losses = [(float(loss), float(norm)) for loss, norm in facts.get("losses", [])]

    def result(self) -> Network:
        """What was trained: with early stopping the best weights, else the last, so that none are picked by the
        structures that were kept aside."""
        self._put(self.best if self.patience else self.mean)
        return network_of(self.encoder)

    def _parts(self, samples: Sequence[Sample]) -> Iterator[tuple[Padded, Tensor, Tensor | None]]:
        """Samples of like size on the device, with what the network has for them.

        (n_structures, n_atoms, n_lm, n_max) coefficients of the density, 0 for atoms that are padding, and
        (n_components, ...) of the magnetisation, None for samples without one.
        """
        counts = [len(sample.atoms.element) for sample in samples]
        starts, most = np.cumsum([0, *counts[:-1]]), sum(counts)
        density, magnetisation = self._coefficients(samples, np.repeat(np.arange(len(counts)), counts))
        nothing = density.new_zeros(1, *density.shape[1:])
        density = torch.cat([density, nothing])
        magnetisation = torch.cat([magnetisation, nothing.expand(len(magnetisation), *nothing.shape)], 1)
        for numbers in alike(samples):
            part = Padded.of([samples[i] for i in numbers], self.device)
            atoms = part.atoms([int(starts[i]) for i in numbers], most)
            # a collinear sample beside non-collinear ones is along z, the last
            spins = None if part.magnetic is None else magnetisation[len(magnetisation) - len(part.magnetic) :, atoms]
            yield part, density[atoms], spins

    def _coefficients(self, samples: Sequence[Sample], structure: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Of the density, and of the magnetisation, of the atoms of all samples; structure : (n_atoms,) of each."""
        batch = merge([sample.atoms for sample in samples]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16) if self._is_half() else nullcontext():
            described = self.encoder.describe(batch)
            density = self.encoder.density(described, batch)
            magnetisation = self.encoder.magnetisation(described, batch)
        totals = torch.tensor([sample.total for sample in samples], dtype=torch.float32, device=self.device)
        places = torch.as_tensor(structure, device=self.device)
        return neutral(density.float(), self.charges, totals, places), magnetisation.float()

    def _is_half(self) -> bool:
        """Whether the network is computed in half precision: in steps, not in evaluations."""
        return self.settings.precision == "bf16" and torch.is_grad_enabled()

    def _errors_of(self, samples: Sequence[Sample]) -> Iterator[tuple[str, float]]:
        """(kind, rms error in percent) of the samples of one batch, each under its own kind and under "all"."""
        for part, coefficients, spins in self._parts(samples):
            errors = rms_percent(part, residual(part, coefficients, self.even)).tolist()
            for sample, error in zip(part.samples, errors, strict=True):
                yield sample.kind, error
                yield "all", error
            if spins is not None:
                for error in magnetic_percent(part, spins, self.even, self.charges).tolist():
                    yield "magnetisation", error

    def _with_some_hidden(self, sample: Sample, number: int) -> Sample:
        """A structure as this step sees it: now and then one of its elements is hidden (``encoder.unknown``).

        number : of the structure. What is drawn follows from it, the seed and the step: whoever has the structure in
        its part of the batch, and wherever a run was begun again, draws the same.
        """
        chance = self.encoder.settings.unknown
        if not chance:
            return sample
        rng = np.random.default_rng([self.seed, self.step, 1 + number])
        if rng.random() >= chance:
            return sample
        element = int(rng.choice(sample.atoms.element.unique()))
        return replace(sample, atoms=with_foreign(sample.atoms, element, self.encoder.properties.cpu()))

    def _learning_rate(self) -> float:
        done = self.step / self.settings.steps
        return self.settings.learning_rate * min(1.0, (self.step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done))

    def _update_mean(self) -> None:
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, p in self.encoder.named_parameters():
                self.mean[name].lerp_(p, 1 - keep)

    def _put(self, weights: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, p in self.encoder.named_parameters():
                p.copy_(weights[name])

    def _is_enough(self) -> bool:
        return 0 < self.patience <= self.without_better


def _trained(named: Mapping[str, Parameter], wanted: Sequence[str]) -> list[Parameter]:
    """The parameters of the parts wanted, all where there is none; the others are frozen."""
    parts = {name.split(".")[0] for name in named}
    if unknown := sorted(set(wanted) - parts):
        raise SettingsError(
            f"found trained = {', '.join(unknown)}, no part of this network; known are {', '.join(sorted(parts))}"
        )
    for name, p in named.items():
        p.requires_grad_(not wanted or name.split(".")[0] in wanted)
    return [p for p in named.values() if p.requires_grad]
