"""What is a learned density worth for an element that was not in training? Each element is left out in turn.

    python benchmarks/learned/left_out_elements.py --elements Cl Na Fe --stores STORE.h5 ... [--steps 1200]

For each element, networks are trained on all structures that do not hold it, and evaluated on those that do (at most
``--most``, spread over the stores). Columns, mean ε_mae in percent of the electrons and the share of structures that
are nearer to the truth than the SAED:

SAED             atoms alone
left out         a network without the prior, whose atoms of the element keep their SAED: what weights without do
no element       the same network; the element has its tabulated properties and the mean of all learned vectors
prior, U         a network with the tight-binding prior, trained with ``encoder.unknown`` = U, for each U of --unknown;
                 0 takes the mean of all learned vectors as well

Networks without the prior have the settings of the shipped weights, those with it the settings that suit it (a longer
vector, less weight decay). Results are kept in the file of -o after each network, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.model import DensityModel
from chgtools.tightbinding.features import PRIOR
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.evaluation import evaluate
from chgtools.training.members import Listener
from chgtools.training.prior import RunFeatures
from chgtools.training.reference import from_ground_state
from chgtools.training.run import train

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import without_elements, write_json

SAED, LEFT_OUT, NO_ELEMENT = "SAED", "left out", "no element"


class ForAll(DensityModel):
    """Weights without a prior that predict for elements which they never saw, as those with one do."""

    def knows(self, element: str) -> bool:
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", required=True, metavar="SYMBOL")
    parser.add_argument("--stores", nargs="+", required=True, type=Path, metavar="STORE.h5")
    parser.add_argument("--steps", type=int, default=1200, help="of each training (default: %(default)s)")
    parser.add_argument("--unknown", nargs="+", type=float, default=[0.1], metavar="U", help="default: 0.1")
    parser.add_argument("--most", type=int, default=40, help="structures evaluated (default: %(default)s)")
    parser.add_argument("--prior-only", action="store_true", help="no network without the prior, half the time")
    parser.add_argument("-o", "--output", type=Path, default=Path("left_out_elements.json"))
    arguments = parser.parse_args()
    networks = {} if arguments.prior_only else {"without": settings_of(arguments.steps)}
    networks |= {named(u): settings_of(arguments.steps, u) for u in arguments.unknown}
    results = read(arguments.output, {"steps": arguments.steps, "most": arguments.most})
    for element in arguments.elements:
        rows = results["elements"].setdefault(element, {})
        for network, settings in networks.items():
            if network not in rows:
                rows[network] = run(element, arguments.stores, settings, arguments.most)
                write_json(arguments.output, results)
    without = [] if arguments.prior_only else [LEFT_OUT, NO_ELEMENT]
    columns = [SAED, *without, *(named(u) for u in arguments.unknown)]
    show({element: results["elements"][element] for element in arguments.elements}, columns)


def named(unknown: float) -> str:
    return f"prior, {unknown:g}"


def settings_of(steps: int, unknown: float | None = None) -> TrainSettings:
    """Of a network with the prior; unknown : None for one without."""
    common: dict[str, Any] = {
        "data": ("-",), "steps": steps, "waves": 1500, "members": 1, "evaluations": 1, "patience": 0,
        "occupancies": False, "validation": Validation(0.0), "threads": 1,
    }  # fmt: skip
    if unknown is None:
        return TrainSettings(**common, weight_decay=0.7)
    encoder = EncoderSettings(prior=PRIOR, state=48, unknown=unknown, spin_channels=4)
    return TrainSettings(**common, encoder=encoder, learning_rate=5e-3, weight_decay=0.1)


def read(path: Path, made_with: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run has done; nothing where there is none."""
    if not path.is_file():
        return {"made_with": made_with, "elements": {}}
    results: dict[str, Any] = json.loads(path.read_text())
    if results["made_with"] != made_with:
        sys.exit(f"{path} was made with {results['made_with']}, this run has {made_with}; name another file by -o")
    return results


def run(element: str, stores: Sequence[Path], settings: TrainSettings, most: int) -> dict[str, dict[str, float]]:
    """Column to entry to ε_mae in percent, of a network that never saw the element."""
    with tempfile.TemporaryDirectory(prefix="left_out") as folder:
        kept = Path(folder) / "kept.h5"
        holding = without_elements(stores, [element], kept)
        if not holding:
            sys.exit(f"no structure of the stores holds {element}")
        says = Listener(says=lambda sentence: print(f"{element}: {sentence}", file=sys.stderr, flush=True))
        model = train(replace(settings, data=(str(kept),)), Path(folder) / "run", listener=says)
    picked = np.unique(np.linspace(0, len(holding) - 1, min(most, len(holding))).round().astype(int))
    entries = [from_ground_state(holding[i]) for i in picked]
    if settings.encoder.prior == PRIOR:
        models = {named(settings.encoder.unknown): replace(model, features_of=RunFeatures())}
    else:
        models = {LEFT_OUT: model, NO_ELEMENT: ForAll(**vars(model))}
    found = {column: list(evaluate(each, entries)) for column, each in models.items()}
    errors = {column: {row.name: row.eps_mae for row in rows} for column, rows in found.items()}
    return errors | {SAED: {row.name: row.eps_mae_saed for row in next(iter(found.values()))}}


def show(results: dict[str, dict[str, dict[str, dict[str, float]]]], columns: Sequence[str]) -> None:
    """The table, a line for each element and one for the means of their lines."""
    print(f"{'':8s}{'structures':>10s}" + "".join(f"{column:>17s}" for column in columns))
    lines = []
    for element, networks in results.items():
        errors: dict[str, dict[str, float]] = {}
        for part in networks.values():
            errors |= part
        names = list(errors[SAED])
        values = np.array([[errors[column][name] for name in names] for column in columns])
        lines.append((len(names), values.mean(1), 100 * (values < values[0]).mean(1)))
        print(f"{element:8s}{_line(*lines[-1])}")
    means = [np.mean([line[i] for line in lines], axis=0) for i in (1, 2)]
    print(f"{'mean':8s}{_line(sum(line[0] for line in lines), *means)}")


def _line(count: int, means: np.ndarray, better: np.ndarray) -> str:
    cells = [f"{means[0]:17.2f}", *(f"{m:11.2f} {b:4.0f}%" for m, b in zip(means[1:], better[1:], strict=True))]
    return f"{count:10d}" + "".join(cells)


if __name__ == "__main__":
    main()
