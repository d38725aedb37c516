"""What a predicted density is worth: one diagonalisation at fixed density in Quantum ESPRESSO, against SCF.

    python benchmarks/learned/fixed_density.py --tools DFT/tools --model si -o rows.jsonl STORE.h5[:KEY,KEY...] ...
        [--tcd PATH] [--damped 0.95] [--aside] [--limit 8] [--forces]

``tools`` holds density.py, run_qe.py and fixed_density.py, whose method this is; pw.x must be on the PATH. The density
given to pw.x is the superposition of its own atoms (PP_RHOATOM) and the predicted difference density; of a model of
total densities, its prediction less the built-in atoms, so that its error is the same and the cores are those of the
potentials. Rows: the SCF density itself (the method's noise), the stored difference density, the SAED, the models,
and the stored difference density times ``--damped``, which needs no model.
Errors of occupied bands (meV), of the gap on the k-points where there is one (meV), of the Harris-Foulkes energy
(meV/atom) and of forces (meV/Å), beside ε_mae, ε_rms and the Coulomb self-energy of the density's error. What the
output file holds of the same rows and weights is not computed again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import h5py
import numpy as np

from chgtools.fourier.basis import expand
from chgtools.libraries.choice import Source, choose
from chgtools.models.weights import find_weights, load_model
from chgtools.start.superposition import superpose
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store
from chgtools.training.calibration import rank_correlation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import density_errors, seen, waves_at

SMALLEST_GAP_EV = 0.05  # what is less may be the mesh of k-points of a metal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="STORE.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--tcd")
    parser.add_argument("--damped", type=float, metavar="FACTOR")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--aside", action="store_true", help="only what the training of the model kept aside")
    parser.add_argument("--limit", type=int, default=10**6, help="most structures of each store, the cheapest first")
    parser.add_argument("--forces", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.tools / "run_qe.py").is_file():
        sys.exit(f"{arguments.tools} does not hold run_qe.py and fixed_density.py; wanted a folder like dft/tools")
    if arguments.aside and not arguments.model:
        sys.exit("--aside asks what a model was trained on; give --model")
    sys.path.insert(0, str(arguments.tools))
    weights = {"DCD model": arguments.model, "TCD model": arguments.tcd}
    weights = {name: path for name, path in weights.items() if path}
    models = {name: load_model(path) for name, path in weights.items()}
    sums = {name: hashlib.sha256(find_weights(path).read_bytes()).hexdigest() for name, path in weights.items()}
    done = {}
    if arguments.output.exists():
        done = {row["structure"]: row for row in map(json.loads, arguments.output.read_text().splitlines())}
    results = []
    for name in arguments.stores:
        path, _, keys = name.partition(":")
        store = Store.open(path)
        facts = dict(store.facts())
        names = keys.split(",") if keys else sorted(store, key=lambda key: float(facts[key].get("seconds", 0)))
        if arguments.aside:
            names = [key for key in names if not seen(models["DCD model"].card, store[key])]
        names = [key for key in names if "magnetisation_0" not in facts[key] and "moment" not in facts[key]]
        for key in names[: arguments.limit]:
            result = done.get(key)
            if result is None or not same(result, sums, arguments.damped, arguments.forces):
                result = one(path, store[key], models, arguments.damped, arguments.forces) | {"weights": sums}
                with open(arguments.output, "a") as file:
                    file.write(json.dumps(result) + "\n")
            results.append(result)
            show(result)
    if results:
        summary(results)


def damped_name(factor: float) -> str:
    return f"stored × {factor:g}"


def same(result: dict, sums: dict[str, str], damped: float | None, forces: bool) -> bool:
    """Whether a result of the output file has the rows that are asked for, from the same weights."""
    names = {"scf", "stored DCD", "SAED", *sums} | ({damped_name(damped)} if damped else set())
    rows = result["rows"]
    return (
        {row["name"] for row in rows} == names
        and result.get("weights") == sums
        and all(("force_mae_mev_per_a" in row) == forces for row in rows)
    )


def one(path: str, entry: Entry, models: dict, damped: float | None, forces: bool) -> dict:
    """All rows of one structure."""
    import fixed_density as method  # the one of the tools
    from density import Atoms, load

    with h5py.File(path) as file:
        theirs = load(file[entry.name])
    atoms = Atoms()
    fine = tuple(2 * n for n in entry.shape)  # holds every wave of the code's sphere
    structure = entry.structure.with_changes(labels=())

    def plus(grid: np.ndarray):
        def make(miller: np.ndarray) -> np.ndarray:
            superposed = atoms.superposition(theirs["lattice"], theirs["species"], theirs["fractional"], miller)
            return waves_at(grid, miller) + superposed

        return make

    densities = choose(structure, Source()).densities
    zvals = sum(d.zval * n for d, n in zip(densities, structure.counts, strict=True))
    makers = {"stored DCD": entry.on_grid, "SAED": np.zeros}
    if damped:
        makers[damped_name(damped)] = lambda shape: damped * entry.on_grid(shape)
    for name, model in models.items():
        estimate = model.predict(structure, zvals if model.target == "tcd" else 0.0)

        def predicted(shape, model=model, estimate=estimate):
            grid = expand(structure, estimate.coefficients, model.basis, shape)
            return grid - superpose(structure, shape, densities) if model.target == "tcd" else grid

        makers[name] = predicted
    candidates = {name: plus(make(fine)) for name, make in makers.items()}
    read, bands = method.bands, []

    def kept(folder: Path) -> tuple:
        bands.append(read(folder))
        return bands[-1]

    method.bands = kept  # its rows have no gap: the bands of each run are kept to find it
    try:
        rows = method.evaluate(theirs, candidates, with_forces=forces)
    finally:
        method.bands = read
    true_bands = bands[0][0]
    total = superpose(structure, entry.shape, densities) + entry.on_grid()
    for row, (values, _, _) in zip(rows, bands[1:], strict=True):
        row["gap_error_mev"] = gap_error(true_bands, float(entry.attributes["nelectrons"]), values)
        if row["name"] in makers:
            row |= density_errors(entry, makers[row["name"]](entry.shape), total)
    return {"structure": entry.name, "kind": str(entry.attributes.get("kind", "")), "rows": rows}


def gap_error(true: np.ndarray, electrons: float, values: np.ndarray) -> float | None:
    """Error in meV of the gap between the occupied and the empty bands of the k-points; None for a metal.

    true, values : (nk, n) eV; electrons : two in each band (the Fermi energy of smeared states can lie in a band)
    """
    count = round(electrons) // 2
    if round(electrons) % 2 or count >= true.shape[1]:
        return None
    gaps = [float(bands[:, count].min() - bands[:, count - 1].max()) for bands in (true, values)]
    return 1000 * (gaps[1] - gaps[0]) if gaps[0] > SMALLEST_GAP_EV else None


def show(result: dict) -> None:
    print(f"{result['structure']} ({result['kind']})")
    for row in result["rows"]:
        density = f"  ε_mae {row['eps_mae']:7.3f} %, {row['coulomb']:9.3f} meV/atom" if "eps_mae" in row else ""
        force = f"  forces {row['force_mae_mev_per_a']:8.2f} meV/Å" if "force_mae_mev_per_a" in row else ""
        gap = "" if row.get("gap_error_mev") is None else f"  gap {row['gap_error_mev']:+8.2f} meV"
        print(f"    {row['name']:14s} bands {row['band_mae_mev']:9.2f} meV{gap}  energy "
              f"{row['energy_error_mev_per_atom']:+10.3f} meV/atom{force}{density}", flush=True)  # fmt: skip


def summary(results: list[dict]) -> None:
    """Means and medians of each density, and which error of the density goes with those of bands and energy."""
    named = [{row["name"]: row for row in result["rows"]} for result in results]
    keys = ("band_mae_mev", "energy_error_mev_per_atom", "gap_error_mev", "force_mae_mev_per_a")
    heads = ("bands meV", "|energy| meV/atom", "|gap| meV", "forces meV/Å")
    print(f"\n{'mean, median of ' + str(len(results)):18s}" + "".join(f"{head:>20s}" for head in heads))
    for name in named[0]:
        line = ""
        for key in keys:
            # forces that symmetry makes zero are right with any density and would only lower the mean
            used = [rows for rows in named if not key.startswith("force") or rows["SAED"].get(key, 0) > 0.1]
            values = np.abs([rows[name][key] for rows in used if rows[name].get(key) is not None])
            line += f"{values.mean():11.3f}{np.median(values):9.3f}" if len(values) else f"{'-':>20s}"
        print(f"{name:18s}{line}")
    predicted = [name for name in named[0] if name.endswith("model") or name.startswith("stored ×")]
    for name in predicted:
        errors = [[abs(rows[n]["energy_error_mev_per_atom"]) for rows in named] for n in (name, "SAED")]
        print(f"{name}: energy worse than SAED's on {sum(np.greater(*errors))} of {len(named)}")
    if len(results) < 3 or not predicted:
        return
    for name in predicted:
        rows = [each[name] for each in named]
        print(f"rank correlation over the {len(rows)} structures, {name:14s}     bands    |energy|")
        for key in ("eps_mae", "eps_rms", "coulomb"):
            values = [row[key] for row in rows]
            bands = rank_correlation(values, [row["band_mae_mev"] for row in rows])
            energy = rank_correlation(values, [abs(row["energy_error_mev_per_atom"]) for row in rows])
            print(f"    {key:50s}{bands:10.2f}{energy:12.2f}")


if __name__ == "__main__":
    main()
