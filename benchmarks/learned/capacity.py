"""Does a larger network pay, with the tight-binding prior? One network each, at several numbers of structures.

    python benchmarks/learned/capacity.py benchmarks/training/base.yaml -o FOLDER [--fractions 0.16 0.55 1]
        [--networks shipped wide ...] [--steps 1000]

The networks differ from that of the YAML file in the settings of ``NETWORKS`` alone, and the basis has their l_max;
data, split, seed, loss and steps are the same. Errors are of the structures that the smallest fraction keeps aside, so
that the lines are of the same ones: root mean square in percent of the electrons, scaled so that the SAED's is its
ε_mae, by kind. A line that was printed before is not computed again, and a network that was stopped goes on: results
are in FOLDER/capacity.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from chgtools.training.checkpoint import digest
from chgtools.training.config import TrainSettings, read_settings
from chgtools.training.data import read_data
from chgtools.training.members import Listener, Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

NETWORKS: dict[str, dict[str, Any]] = {
    "shipped": {},
    "narrow": {"channels": 16, "hidden": 32},
    "wide": {"channels": 64, "hidden": 128},
    "no products": {"order": 1},
    "two rounds": {"passes": 2},
    "finer distances": {"radial": 20},
    "equivariant messages": {"message_l_max": 2},
    "l_max 6": {"l_max": 6},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--fractions", nargs="+", type=float, default=[0.16, 0.55, 1.0])
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--waves", type=int, default=1500)
    arguments = parser.parse_args()
    base = replace(
        read_settings(arguments.config), steps=arguments.steps, waves=arguments.waves, members=1, evaluations=1,
        patience=0, occupancies=False, threads=1,
    )  # fmt: skip
    smallest = read_data(replace(base, fraction=min(arguments.fractions)))
    aside = {entry.name for entry in smallest.validation}
    path = arguments.output / "capacity.json"
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for fraction in arguments.fractions:
        run = None
        for name in arguments.networks:
            key = f"{name}, {fraction:g}, {arguments.steps} steps"
            if key not in rows:
                encoder = replace(base.encoder, **NETWORKS[name])
                basis = replace(base.basis, l_max=encoder.l_max)
                settings = replace(base, fraction=fraction, encoder=encoder, basis=basis)
                run = run_of(settings, run)
                rows[key] = measured(run, aside, arguments.output / f"{name}-{fraction:g}".replace(" ", "-"))
                write_json(path, rows)
            show(name, rows[key])


def run_of(settings: TrainSettings, before: Run | None) -> Run:
    """A run, with the samples of the one before where they are the same for both networks."""
    own = (settings.encoder.radial, settings.basis)
    if before is not None and own == (before.encoder.radial, before.basis):
        own = digest(settings, before.data.sources, "", streamed=not before.data.train.kept)
        return replace(before, settings=settings, encoder=settings.encoder, digest=own)
    return Run.of(settings, None, Listener(says=lambda text: print(text, file=sys.stderr, flush=True)))


def measured(run: Run, aside: set[str], folder: Path) -> dict[str, Any]:
    """Of one network: structures learned from, parameters, seconds a step and errors by kind."""
    started = time.perf_counter()
    trainer = run.train_member(0, folder, False, None)
    seconds = (time.perf_counter() - started) / run.settings.steps
    errors = trainer.errors([sample for sample in run.samples[1] if sample.name in aside])
    parameters = sum(p.numel() for p in trainer.encoder.parameters())
    return {"structures": len(run.data.train), "parameters": parameters, "seconds": seconds, "errors": errors}


def show(name: str, row: dict[str, Any]) -> None:
    errors = ", ".join(f"{kind} {value:.3f}" for kind, value in sorted(row["errors"].items()))
    figures = f"{row['structures']:5d} structures {row['parameters']:8d} parameters {row['seconds']:6.3f} s/step"
    print(f"{name:16s}{figures}  {errors}", flush=True)


if __name__ == "__main__":
    main()
