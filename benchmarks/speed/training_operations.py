"""How many operations a step of a training is: what a GPU has to launch, however small they are.

    python benchmarks/speed/training_operations.py benchmarks/training/base.yaml [--fraction 0.16] [--batches 1 4 16]

Counted are the operations of network, loss and gradients on tensors that compute something: views are left out, and so
are the copies that put a batch together and the optimiser, which are the same for any network. A line for each size of
batch: operations, structures with a magnetisation among them, groups of like size, and milliseconds of one core, the
least and the median of 20 steps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from chgtools.training import padded, trainer
from chgtools.training.config import read_settings
from chgtools.training.members import Listener, Run
from chgtools.training.padded import alike
from chgtools.training.samples import Sample
from chgtools.training.trainer import Trainer

VIEWS = {
    "_local_scalar_dense", "_unsafe_view", "alias", "as_strided", "detach", "diagonal", "expand", "permute", "select",
    "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unsqueeze", "view", "view_as_complex",
    "view_as_real",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml")
    parser.add_argument("--fraction", type=float, default=0.16, help="of the training structures")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4, 16])
    arguments = parser.parse_args()
    settings = replace(read_settings(arguments.config), fraction=arguments.fraction, members=1, threads=1, device="cpu")
    run = Run.of(settings, None, Listener())
    samples = run.samples[0]
    print(f"{'batch':>6} {'operations':>11} {'magnetic':>9} {'groups':>7} {'ms, least':>10} {'median':>7}")
    for size in arguments.batches:
        one = Trainer(settings, run.encoder, run.basis, run.known, 0, None, run.atoms, run.scales)
        batch = chosen(samples, size, 5)
        one._step(batch, size)
        counted = operations(one, batch)
        times = []
        for number in range(20):
            step = chosen(samples, size, number)
            started = time.process_time()
            one._step(step, size)
            times.append(1000 * (time.process_time() - started))
        magnetic = sum(sample.magnetic is not None for sample in batch)
        counts = f"{size:6d} {counted:11d} {magnetic:9d} {len(alike(batch)):7d}"
        print(f"{counts} {min(times):10.1f} {np.median(times):7.1f}", flush=True)


def chosen(samples: Sequence[Sample], size: int, seed: int) -> list[Sample]:
    return [samples[i] for i in np.random.default_rng(seed).permutation(len(samples))[:size]]


class Count(TorchDispatchMode):
    """Counts while ``on``."""

    def __init__(self) -> None:
        super().__init__()
        self.number, self.on = 0, True

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += self.on and function._schema.name.split("::")[1] not in VIEWS
        return function(*args, **(kwargs or {}))


def operations(one: Trainer, batch: Sequence[Sample]) -> int:
    """Of a step up to its gradients."""
    count = Count()

    def ending(*_: Any) -> torch.Tensor:
        count.on = False
        return torch.zeros(())

    kept = padded._stacked, trainer.merge, torch.nn.utils.clip_grad_norm_
    padded._stacked, trainer.merge = (unseen(count, each) for each in kept[:2])
    torch.nn.utils.clip_grad_norm_ = ending
    try:
        with count:
            one._step(batch, len(batch))
    finally:
        padded._stacked, trainer.merge, torch.nn.utils.clip_grad_norm_ = kept
    return count.number


def unseen(count: Count, function: Any) -> Any:
    """The same function, whose operations are not counted."""

    def called(*arguments: Any) -> Any:
        count.on = False
        try:
            return function(*arguments)
        finally:
            count.on = True

    return called


if __name__ == "__main__":
    main()
