"""Difference densities (DCD) against total densities (TCD) as targets: same network, data, steps, seed and loss.

    python benchmarks/learned/dcd_against_tcd.py STORE.h5... -o FOLDER [--steps 1500] [--by formula|structure]

Three models are trained for each share of the training structures: of DCD; of TCD, plain; of TCD with a free spherical
atom for each element, fitted to the training set before, the honest baseline. All are evaluated on the same
structures, which were kept aside. Prints the shares of structures on which DCD is better and the learning curves, and
writes results.json, scatter.png and learning.png. A training that is there already is not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.weights import load_model
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.data import read_data
from chgtools.training.evaluation import evaluate
from chgtools.training.run import train

TARGETS = {"DCD": ("dcd", False), "TCD": ("tcd", False), "TCD + atoms": ("tcd", True)}
COLOURS = {"DCD": "#4477aa", "TCD": "#cc6644", "TCD + atoms": "#228833"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--by", choices=("formula", "structure"), default="formula")
    parser.add_argument("--shares", type=float, nargs="+", default=(1.0, 0.5, 0.25))
    arguments = parser.parse_args()
    base = TrainSettings(
        data=tuple(arguments.stores), members=1, steps=arguments.steps, evaluations=3, threads=1,
        patience=0,  # of equal steps; small sets would stop early
        validation=Validation(share=0.15, by=arguments.by), encoder=EncoderSettings(),
    )  # fmt: skip
    results: dict[str, dict[str, dict[str, float]]] = {}
    counts: dict[str, int] = {}
    for share in arguments.shares:
        settings = replace(base, fraction=share)
        data = read_data(settings)
        aside = [entry.name for entry in read_data(replace(base, fraction=min(arguments.shares))).validation]
        counts[str(share)] = len(data.train)
        for name, (target, atoms) in TARGETS.items():
            folder = arguments.output / f"{name.replace(' + ', '-')}-{share:g}"
            run = replace(settings, target=target, encoder=replace(base.encoder, free_atoms=atoms))
            path = folder / "model.safetensors"
            model = load_model(path) if path.is_file() else train(run, folder)
            rows = evaluate(model, (entry for entry in data.validation if entry.name in aside))
            errors = {row.name: row.eps_mae for row in rows}
            results.setdefault(name, {})[str(share)] = errors
            print(f"{name:12s} {counts[str(share)]:4d} structures: mean {np.mean(list(errors.values())):7.3f} %, "
                  f"median {np.median(list(errors.values())):7.3f} %", flush=True)  # fmt: skip
    largest = str(max(arguments.shares))
    dcd = results["DCD"][largest]
    for name in ("TCD", "TCD + atoms"):
        other = results[name][largest]
        better = np.mean([dcd[key] < other[key] for key in dcd])
        ratio = np.median([other[key] / dcd[key] for key in dcd])
        print(f"DCD better than {name} on {100 * better:.1f} % of {len(dcd)}; median ratio of errors {ratio:.1f}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "results.json").write_text(json.dumps({"structures": counts, "eps_mae_percent": results}))
    draw(arguments.output, results, counts, largest)


def draw(folder: Path, results: dict, counts: dict[str, int], largest: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    axes = figure.subplots()
    dcd = results["DCD"][largest]
    for name in ("TCD", "TCD + atoms"):
        other = results[name][largest]
        axes.scatter(
            [other[key] for key in dcd], list(dcd.values()), s=16, lw=0, alpha=0.8, color=COLOURS[name], label=name
        )
    values = [v for errors in results.values() for v in errors[largest].values()]
    ends = [0.8 * min(values), 1.25 * max(values)]
    axes.plot(ends, ends, color="0.6", lw=0.9, zorder=0)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal")
    axes.set(xlabel="ε_mae of the TCD model / %", ylabel="ε_mae of the DCD model / %")
    plain_ticks(axes, ends, "xy")
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(folder / "scatter.png", dpi=130)
    figure = Figure(figsize=(4.8, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, shares in results.items():
        points = sorted((counts[share], np.mean(list(errors.values()))) for share, errors in shares.items())
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[name], label=name)
    axes.set(xscale="log", yscale="log", xlabel="training structures", ylabel="mean ε_mae, kept aside / %")
    axes.set_xticks(sorted(counts.values()), [str(n) for n in sorted(counts.values())])
    axes.set_xticks([], minor=True)
    plain_ticks(axes, axes.get_ylim(), "y")
    axes.legend(frameon=False)
    figure.savefig(folder / "learning.png", dpi=130)


def plain_ticks(axes, ends, names: str) -> None:
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if ends[0] <= t <= ends[1]]
    for name in names:
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_ticks([], minor=True)


if __name__ == "__main__":
    main()
