"""Difference densities learned with Quantum ESPRESSO (norm-conserving) on the atoms of GPAW (PAW).

    python benchmarks/gpaw/transfer_gpaw.py GPAW.h5 [--model auto] [--qe QE.h5 ...] [--atoms whole|start] [--json FILE]
    python benchmarks/gpaw/transfer_gpaw.py GPAW.h5 --store OUT.h5
    python benchmarks/gpaw/transfer_gpaw.py GPAW.h5 --model base --tune 10 30 -o FOLDER

Percent, 100 Σ|n - n_GPAW| / Σ|n_GPAW|, in the whole cell and farther than 0.6 Å and 1 Å from every nucleus: of GPAW's
atoms alone, with the prediction, and with Quantum ESPRESSO's own difference density where a store of ``--qe`` has the
structure (so much of the error is the codes', not the model's). Structures whose difference density the weights may
have been trained on are marked "seen" and have medians of their own. Atoms: free ones with whole tails, or those that
GPAW starts from.

``--store`` writes GPAW's own difference densities as a store for ``chgtools train --from base``. ``--tune N ...`` does
that for N structures at a time (those of fewer are among those of more) and tests all models on the same others.
The layout of GPAW.h5 is that of its tools: Fourier coefficients over half a sphere, form factors of the atoms.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.basis import expand
from chgtools.fourier.half_sphere import to_grid
from chgtools.models.choice import choose_model
from chgtools.models.model import DensityModel
from chgtools.models.weights import load_model
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store, opened, writable, write_entry
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.run import train
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import Regions, cells, seen, write_json

TUNED = ("sphere", "embedding")  # parts of the network that few structures can teach
FORMS = {"whole": "atom_form_whole", "start": "atom_form"}
FORM_STEP_PER_BOHR = 0.05  # mesh of the form factors
KIND = "gpaw-"  # before the kind that the structure has in the store of Quantum ESPRESSO


@dataclass(frozen=True)
class Pair:
    """entry : GPAW's density less its atoms; atoms : (nx, ny, nz) these atoms on the entry's grid, electrons/Å³"""

    entry: Entry
    atoms: np.ndarray

    @property
    def kind(self) -> str:
        return str(self.entry.attributes["kind"]).removeprefix(KIND)


def gpaw_entries(path: str | Path, atoms: str = "whole") -> list[Entry]:
    """GPAW's difference densities as entries of a store, cut where the file's series are."""
    return [pair.entry for pair in gpaw_pairs(path, atoms)]


def gpaw_pairs(path: str | Path, atoms: str, keys: Sequence[str] | None = None) -> list[Pair]:
    """All structures of a store, in its order, or those of ``keys`` in theirs."""
    from scipy.interpolate import CubicSpline

    store, tables, pairs = Store.open(path), {}, []
    with opened(path) as file:
        for element, group in file["setups"].items():
            form = group[FORMS[atoms]][()]
            tables[element] = CubicSpline(FORM_STEP_PER_BOHR * np.arange(len(form)) / BOHR_ANGSTROM, form)
        started = {name: file[name]["saed"][()].astype(float) @ [1, 1j] for name in keys or store}
    for name in started:
        entry = store[name]
        structure, electrons = entry.structure, float(entry.attributes["nelectrons"])
        q = np.linalg.norm(entry.miller @ reciprocal(structure.lattice), axis=1)
        superposed = np.zeros(len(q), complex)
        for symbol, position in zip(structure.elements, structure.frac, strict=True):
            superposed += tables[symbol](q) * np.exp(-2j * np.pi * (entry.miller @ position))
        difference = entry.dcd + started[name] - superposed if atoms == "whole" else entry.dcd
        if atoms == "start":
            superposed = started[name]
        own = replace(entry, dcd=difference, attributes={})
        facts = {
            "kind": KIND + str(entry.attributes["kind"]),
            "formula": str(entry.attributes["formula"]),
            "nelectrons": electrons,
            "saed_eps_mae_percent": 100 * float(np.abs(own.on_grid()).mean()) * structure.volume / electrons,
        }
        grid = to_grid(entry.miller, superposed / structure.volume, electrons / structure.volume, entry.shape)
        pairs.append(Pair(replace(own, attributes=facts), grid))
    return pairs


def write_store(path: Path, entries: Sequence[Entry]) -> None:
    """Add entries to a store; those that it has are left as they are."""
    with writable(path) as file:
        for entry in entries:
            if entry.name not in file:
                write_entry(file, entry)


def measure(pair: Pair, model: DensityModel, qe: Sequence[Store]) -> dict[str, Any]:
    """Errors of one structure, three regions each."""
    entry, structure, atoms = pair.entry, pair.entry.structure, pair.atoms
    wanted, regions = atoms + entry.on_grid(), Regions(structure, entry.shape)
    estimate = model.predict(structure)
    predicted = expand(structure, estimate.coefficients, model.basis, entry.shape)
    theirs = next((store[entry.name] for store in qe if entry.name in store), None)
    own_kind = None if model.card.get("started_from") else pair.kind
    return {
        "name": entry.name,
        "kind": pair.kind,
        "silicon": set(structure.species) == {"Si"},
        "model": model.name,
        "seen": seen(model.card, entry, own_kind),
        "unseen_elements": estimate.unseen,
        "electrons": float(entry.attributes["nelectrons"]),
        "electrons_qe": None if theirs is None else float(theirs.attributes["nelectrons"]),
        "expected": estimate.error_percent,
        "atoms": regions.errors(atoms, wanted),
        "predicted": regions.errors(atoms + predicted, wanted),
        "qe": None if theirs is None else regions.errors(atoms + theirs.on_grid(entry.shape), wanted),
    }


HEAD = f"{'structure':30s}{'model':>8s}{'':6s}{'atoms: cell  > 0.6  > 1.0 Å':>28s}{'+ predicted':>24s}{'+ QE':>24s}"


def show(row: dict[str, Any]) -> None:
    note = f"  elements not seen: {', '.join(row['unseen_elements'])}" if row["unseen_elements"] else ""
    qe = cells(row["qe"]) if row["qe"] else ""
    print(f"{row['name'][:29]:30s}{row['model'][:7]:>8s}{' seen' if row['seen'] else '':6s}    {cells(row['atoms'])}"
          f"{cells(row['predicted'])}{qe:24s}{note}", flush=True)  # fmt: skip


def medians(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By group: number, medians of the three regions, share of structures nearer than the atoms in the whole cell."""
    compounds = [row for row in rows if not row["silicon"]]
    groups = {
        "silicon, not seen": [row for row in rows if row["silicon"] and not row["seen"]],
        "silicon, seen": [row for row in rows if row["silicon"] and row["seen"]],
        "others, not seen": [row for row in compounds if not row["seen"]],
        "others, seen": [row for row in compounds if row["seen"]],
        "others, same valence": [row for row in compounds if row["electrons"] == row["electrons_qe"]],
        "others, other valence": [row for row in compounds if row["electrons_qe"] not in (None, row["electrons"])],
        "all": list(rows),
    }
    result = {}
    for name, group in groups.items():
        if not group:
            continue
        line: dict[str, Any] = {"structures": len(group)}
        for density in ("atoms", "predicted", "qe"):
            held = [row[density] for row in group if row[density]]
            line[density] = [
                float(np.median(values)) if (values := [f[i] for f in held if f[i] is not None]) else None
                for i in range(3)
            ]
        line["better_percent"] = 100 * float(np.mean([row["predicted"][0] < row["atoms"][0] for row in group]))
        result[name] = line
        print(f"median of {len(group):2d}, {name:31s}    {cells(line['atoms'])}{cells(line['predicted'])}"
              f"{cells(line['qe'])}  better on {line['better_percent']:.0f} %", flush=True)  # fmt: skip
    return result


def tune(
    pairs: Sequence[Pair], start: DensityModel, counts: Sequence[int], folder: Path, steps: int, rate: float
) -> Any:
    """Fine-tune on the first N of a fixed order, for each N, and test all on what the largest N leaves."""
    known = [pair for pair in pairs if set(pair.entry.structure.species) <= set(start.elements)]
    order = sorted(known, key=lambda pair: hashlib.sha256(pair.entry.name.encode()).hexdigest())
    others = order[max(counts) :]
    if not others:
        sys.exit(
            f"{len(known)} structures have only elements that {start.name} knows; --tune {max(counts)} leaves none"
        )
    results = {}
    folder.mkdir(parents=True, exist_ok=True)
    for count in (0, *counts):
        model = start
        if count:
            store, path = folder / f"gpaw-{count}.h5", folder / f"tuned-{count}" / "tuned.safetensors"
            write_store(store, [pair.entry for pair in order[:count]])
            settings = TrainSettings(
                data=(str(store),), name="tuned", target=start.target, basis=start.basis, steps=steps,
                learning_rate=rate, weight_decay=0.0, trained=TUNED, batch=min(8, count), evaluations=1, patience=0,
                threads=1, validation=Validation(share=0.0, by="structure"),
            )  # fmt: skip
            model = load_model(path) if path.is_file() else train(settings, path.parent, start=start)
        # seen: what the weights that all began from have seen; none of these was fine-tuned on
        rows = [measure(pair, model, ()) | {"seen": seen(start.card, pair.entry, pair.kind)} for pair in others]
        print(f"\nfine-tuned on {count}, tested on {len(others)} others\n{HEAD}")
        results[str(count)] = {"medians": medians(rows), "rows": rows}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gpaw", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--qe", nargs="+", default=(), metavar="QE.h5")
    parser.add_argument("--atoms", choices=tuple(FORMS), default="whole")
    parser.add_argument("--keys", nargs="+", help="these structures alone")
    parser.add_argument("--store", type=Path, help="write GPAW's difference densities there, and end")
    parser.add_argument("--tune", type=int, nargs="+", metavar="N")
    parser.add_argument("-o", "--output", type=Path, help="folder of --tune")
    parser.add_argument("--steps", type=int, default=150, help="of --tune (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of --tune (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not arguments.gpaw.is_file():
        sys.exit(f"{arguments.gpaw} is not there; wanted a store of GPAW densities, such as shared/dft/gpaw.h5")
    if arguments.tune and not arguments.output:
        sys.exit("--tune needs -o FOLDER for its stores and weights")
    pairs = gpaw_pairs(arguments.gpaw, arguments.atoms)
    if arguments.store:
        write_store(arguments.store, [pair.entry for pair in pairs])
        print(f"{arguments.store}: {len(pairs)} structures")
        return
    if arguments.tune:
        results = tune(pairs, load_model(arguments.model), arguments.tune, arguments.output, arguments.steps,
                       arguments.rate)  # fmt: skip
    else:
        stores = [Store.open(path) for path in arguments.qe]
        print(HEAD)
        rows = []
        for pair in pairs:
            choice = choose_model(pair.entry.structure, arguments.model)
            if choice.model is None or (arguments.keys and pair.entry.name not in arguments.keys):
                continue
            rows.append(measure(pair, choice.model, stores))
            show(rows[-1])
        results = {"medians": medians(rows), "rows": rows}
    if arguments.json:
        write_json(arguments.json, results)


if __name__ == "__main__":
    main()
