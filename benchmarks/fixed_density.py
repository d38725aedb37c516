"""What a predicted density is worth: one diagonalisation at fixed density in Quantum ESPRESSO, against SCF.

    python benchmarks/fixed_density.py --tools DFT/tools --model si -o rows.jsonl STORE.h5[:KEY,KEY...] ... [--tcd PATH]
        [--aside] [--kind 'Si*'] [--limit 8] [--forces]

``tools`` holds density.py, run_qe.py and fixed_density.py, whose method this is; pw.x must be on the PATH. The density
given to pw.x is the superposition of its own atoms (PP_RHOATOM) and the predicted difference density; of a model of
total densities, its prediction less the built-in atoms, so that its error is the same and the cores are those of the
potentials. Rows: the SCF density itself (the method's noise), the stored difference density, the SAED, the models.
Errors of occupied bands (meV), of the Harris-Foulkes energy (meV/atom) and of forces (meV/Å), beside ε_mae, ε_rms and
the Coulomb self-energy of the density's error. What the output file holds is not computed again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import h5py
import numpy as np

from chgtools.atoms.choice import Source, choose
from chgtools.grid import coefficients
from chgtools.half_sphere import take
from chgtools.models.basis import expand
from chgtools.models.model import load_model
from chgtools.superposition import saed
from chgtools.training.calibration import rank_correlation
from chgtools.training.data import split_of
from chgtools.training.evaluation import as_dict, evaluate_entry
from chgtools.training.settings import TrainSettings, Validation
from chgtools.training.store import Store
from chgtools.units import BOHR_ANGSTROM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="STORE.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tcd")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--aside", action="store_true", help="only what the training of the model kept aside")
    parser.add_argument("--limit", type=int, default=10**6, help="most structures of each store, the cheapest first")
    parser.add_argument("--forces", action="store_true")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.tools))
    models = {"DCD model": load_model(arguments.model)}
    if arguments.tcd:
        models["TCD model"] = load_model(arguments.tcd)
    done = {}
    if arguments.output.exists():
        done = {row["structure"]: row for row in map(json.loads, arguments.output.read_text().splitlines())}
    for name in arguments.stores:
        path, _, keys = name.partition(":")
        store = Store.open(path)
        facts = dict(store.facts())
        names = keys.split(",") if keys else sorted(store, key=lambda key: float(facts[key].get("seconds", 0)))
        if arguments.aside:
            names = [key for key in names if kept_aside(models["DCD model"].card, store[key])]
        names = [key for key in names if "magnetisation_0" not in facts[key] and "moment" not in facts[key]]
        for key in names[: arguments.limit]:
            if key not in done:
                done[key] = one(path, store[key], models, arguments.forces)
                with open(arguments.output, "a") as file:
                    file.write(json.dumps(done[key]) + "\n")
            show(done[key])
    correlations(list(done.values()))


def one(path: str, entry, models: dict, forces: bool) -> dict:
    """All rows of one structure."""
    from density import Atoms, load
    from fixed_density import evaluate as at_fixed_density

    with h5py.File(path) as file:
        theirs = load(file[entry.name])
    atoms = Atoms()
    shape = tuple(2 * n for n in entry.shape)  # holds every wave of the code's sphere
    structure = entry.structure.with_changes(labels=())

    def plus(grid: np.ndarray):
        half = coefficients(grid)

        def make(miller: np.ndarray) -> np.ndarray:
            sign = np.where(miller[:, 0] < 0, -1, 1)
            values = take(half, shape, miller * sign[:, None])
            values = np.where(sign < 0, values.conj(), values) * BOHR_ANGSTROM**3
            return values + atoms.superposition(theirs["lattice"], theirs["species"], theirs["fractional"], miller)

        return make

    densities = choose(structure, Source()).densities
    candidates, errors = {"stored DCD": plus(entry.on_grid(shape)), "SAED": plus(np.zeros(shape))}, {}
    for name, model in models.items():
        if model.target == "tcd":
            zvals = sum(d.zval * n for d, n in zip(densities, structure.counts, strict=True))
            grid = expand(structure, model.predict(structure, zvals).coefficients, model.basis, shape)
            grid -= saed(structure, shape, densities)
        else:
            grid = expand(structure, model.predict(structure).coefficients, model.basis, shape)
        candidates[name] = plus(grid)
        errors[name] = as_dict(evaluate_entry(model, entry))
    rows = at_fixed_density(theirs, candidates, with_forces=forces)
    first = next(iter(errors.values()))
    for row in rows:
        found = errors.get(row["name"])
        if row["name"] == "SAED":
            found = {key: first[key + "_saed"] for key in ("eps_mae", "eps_rms", "coulomb")}
        if found:
            row |= {key: found[key] for key in ("eps_mae", "eps_rms", "coulomb")}
    return {"structure": entry.name, "kind": str(entry.attributes.get("kind", "")), "rows": rows}


def show(result: dict) -> None:
    print(f"{result['structure']} ({result['kind']})")
    for row in result["rows"]:
        density = f"  ε_mae {row['eps_mae']:7.3f} %, {row['coulomb']:9.3f} meV/atom" if "eps_mae" in row else ""
        force = f"  forces {row['force_mae_mev_per_a']:8.2f} meV/Å" if "force_mae_mev_per_a" in row else ""
        print(f"    {row['name']:12s} bands {row['band_mae_mev']:9.2f} meV  energy "
              f"{row['energy_error_mev_per_atom']:+10.3f} meV/atom{force}{density}", flush=True)  # fmt: skip


def correlations(results: list[dict]) -> None:
    """Means of each density, and which error of the density goes with the errors of bands and energy."""
    names = [row["name"] for row in results[0]["rows"]]
    print(f"\nmean of {len(results):<6d}  bands meV   median  |energy|   median   forces")
    for name in names:
        rows = [row for result in results for row in result["rows"] if row["name"] == name]
        bands = [row["band_mae_mev"] for row in rows]
        energy = np.abs([row["energy_error_mev_per_atom"] for row in rows])
        force = [row["force_mae_mev_per_a"] for row in rows if "force_mae_mev_per_a" in row]
        tail = f"{np.mean(force):9.2f}" if force else ""
        print(
            f"{name:14s}{np.mean(bands):11.2f}{np.median(bands):9.2f}{energy.mean():10.3f}{np.median(energy):9.3f}{tail}"
        )
    for name in [name for name in names if name.endswith("model")]:
        pairs = [({r["name"]: r for r in result["rows"]}) for result in results]
        worse = sum(
            abs(p[name]["energy_error_mev_per_atom"]) > abs(p["SAED"]["energy_error_mev_per_atom"]) for p in pairs
        )
        print(f"{name}: energy worse than SAED's on {worse} of {len(pairs)}")
    rows = [row for result in results for row in result["rows"] if "eps_mae" in row and row["name"] != "SAED"]
    print("rank correlation over the models' rows with      bands    |energy|")
    for key in ("eps_mae", "eps_rms", "coulomb"):
        values = [row[key] for row in rows]
        bands = rank_correlation(values, [row["band_mae_mev"] for row in rows])
        energy = rank_correlation(values, [abs(row["energy_error_mev_per_atom"]) for row in rows])
        print(f"    {key:42s}{bands:8.2f}{energy:10.2f}")


def kept_aside(card: dict, entry) -> bool:
    settings = card["settings"]
    rule = Validation(**{**settings["validation"], "hold_out": tuple(settings["validation"]["hold_out"])})
    run = TrainSettings(data=("-",), validation=rule, fraction=settings["fraction"])
    return split_of(entry, run) in ("validation", "held-out")


if __name__ == "__main__":
    main()
