"""What the tight-binding prior buys: the same network, data, split and steps without and with it.

    python benchmarks/learned/prior_table.py DFT_FOLDER OUT [--sets molecules compounds] [--members 1]

DFT_FOLDER holds molecules.h5 and compounds.h5, beside which go the stores of benchmarks/data that there were when this
table was first made, so that it stays the same one; OUT is a folder for the weights, and runs that are there are gone
on with. Formulas are kept aside by a hash (15 %), molecules learn for 600
steps, compounds for 800. Two errors of the structures kept aside, percent of the electrons: that which is minimised
(root mean square, scaled so that the SAED's is its ε_mae), and ε_mae.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.tightbinding.features import PRIOR
from chgtools.training.config import Loss, TrainSettings, Validation
from chgtools.training.run import train

DATA = Path(__file__).resolve().parents[1] / "data"
STEPS = {"molecules": 600, "compounds": 800}
SEEDS = {"molecules": (201, 301, 302, 303, 311), "compounds": (101, 201, 401, 402, 403, 404, 405)}
ENCODERS = {
    "without": EncoderSettings(state=64, channels=48),
    "with": EncoderSettings(state=64, channels=48, prior=PRIOR),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dft", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", choices=tuple(STEPS), default=list(STEPS))
    parser.add_argument("--members", type=int, default=1, help="networks of an ensemble")
    arguments = parser.parse_args()
    print(f"{'set':10} {'prior':8} {'kind':12} {'structures':>10} {'SAED':>7} {'minimised':>9} {'eps_mae':>8}")
    for name in arguments.sets:
        stores = (arguments.dft / f"{name}.h5", *(DATA / f"{name}_{seed}.h5" for seed in SEEDS[name]))
        settings = TrainSettings(
            data=tuple(map(str, stores)), name=name, steps=STEPS[name], members=arguments.members, evaluations=2,
            patience=0,  # of equal steps; small sets would stop early
            learning_rate=5e-3, weight_decay=0.1, waves=1500, loss=Loss(rms=1.0, magnetisation=0.0), threads=1,
            validation=Validation(by="formula", share=0.15), occupancies=False,
        )  # fmt: skip
        for prior, encoder in ENCODERS.items():
            show(name, prior, replace(settings, encoder=encoder), arguments.out / f"{name}-{prior}-{arguments.members}")


def show(name: str, prior: str, settings: TrainSettings, folder: Path) -> None:
    """Train, unless it is done, and print a line for each kind."""
    card = train(settings, folder).card
    with open(folder / "curves.csv") as file:
        rows = [row for row in csv.DictReader(file) if int(row["step"]) == settings.steps]
    for kind, row in card["validation_eps_mae_percent"].items():
        minimised = np.mean([float(last[f"validation_{kind}"]) for last in rows])
        of = f"{name:10} {prior:8} {kind:12} {row['structures']:10d} {row['saed']:7.2f}"
        print(f"{of} {minimised:9.3f} {row['model']:8.3f}", flush=True)


if __name__ == "__main__":
    main()
