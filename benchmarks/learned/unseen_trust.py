"""How much less sure is an ensemble of an element that it never saw? Elements left out together, and the factor.

    python benchmarks/learned/unseen_trust.py --stores STORE.h5 ... [--elements S Ti Cl Mg] [--weights FILE ...]

An ensemble with the tight-binding prior learns from all structures that hold none of the elements; its own trust is
calibrated on formulas kept aside from these, then ``unseen``, what the spread on atoms of unseen elements is
multiplied by, on all structures that hold some (chgtools.training.calibration). Prints a line for each element and the
factor; --weights sets it in files of weights that were trained likewise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.weights import load_model, save_model
from chgtools.tightbinding.features import PRIOR
from chgtools.training.calibration import Observation, calibrate_unseen, observe
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.members import Listener
from chgtools.training.prior import RunFeatures
from chgtools.training.reference import from_ground_state
from chgtools.training.run import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import without_elements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", nargs="+", required=True, type=Path, metavar="STORE.h5")
    parser.add_argument("--elements", nargs="+", default=["S", "Ti", "Cl", "Mg"], metavar="SYMBOL")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--weights", nargs="*", default=[], type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unseen") as folder:
        kept = Path(folder) / "kept.h5"
        holding = [from_ground_state(e) for e in without_elements(arguments.stores, arguments.elements, kept)]
        settings = TrainSettings(
            data=(str(kept),), steps=arguments.steps, members=arguments.members, evaluations=1, patience=0,
            waves=1500, threads=1, learning_rate=5e-3, weight_decay=0.1, occupancies=False,
            validation=Validation(by="formula", share=0.1),
            encoder=EncoderSettings(prior=PRIOR, state=64, unknown=0.1),
        )  # fmt: skip
        model = train(settings, Path(folder) / "run", listener=Listener(says=lambda text: print(text, flush=True)))
    found = observe(replace(model, features_of=RunFeatures()), holding)
    trust = calibrate_unseen(model.trust, found)
    print(f"{'':8}{'structures':>10}{'SAED %':>9}{'model %':>9}{'damped %':>9}{'expected %':>11}{'better':>8}")
    for element in (*arguments.elements, "all"):
        rows = [o for o, e in zip(found, holding, strict=True) if element in (*e.structure.elements, "all")]
        damped = [o.error(trust.factor(o.spread, o.norm, o.unseen_share)) for o in rows]
        expected = [trust.error(o.spread, o.unseen_share) for o in rows]
        better = 100 * np.mean([d < o.errors[0] for d, o in zip(damped, rows, strict=True)])
        print(
            f"{element:8}{len(rows):10d}{_mean(rows, 0):9.2f}{_mean(rows, -1):9.2f}{np.mean(damped):9.2f}"
            f"{np.mean(expected):11.2f}{better:7.0f}%"
        )
    print(f"unseen = {trust.unseen:.3f}")
    for path in arguments.weights:
        weights = load_model(path)
        save_model(replace(weights, trust=replace(weights.trust, unseen=trust.unseen)), path)
        print(f"{path}: unseen {weights.trust.unseen:.3f} -> {trust.unseen:.3f}")


def _mean(rows: list[Observation], which: int) -> float:
    """Of the errors with none (0) or all (-1) of the difference density."""
    return float(np.mean([o.errors[which] for o in rows]))


if __name__ == "__main__":
    main()
