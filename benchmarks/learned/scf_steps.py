"""What a predicted density saves: iterations of a whole SCF in Quantum ESPRESSO from it, and from superposed atoms.

    python benchmarks/learned/scf_steps.py --tools DFT/tools --model base -o steps.json STORE.h5[:KEY,KEY...] ...
        [--aside] [--atoms 6] [--cost 40] [--limit 20] [--damped 0.5] [--longest 4]
        [--mixing-mode local-TF] [--mixing-beta 0.3] [--starts SAED model]

``tools`` holds density.py, run_qe.py and scf_steps.py, whose method this is: every start is given to pw.x as a file and
run to the same accuracy (1e-7 Ry/atom), by default with Quantum ESPRESSO's own mixing; a file of results is of one
mixing. Starts: the superposition of the potentials' atoms (SAED), that and the predicted difference density, that and
the stored one (which no prediction can beat). ``--damped`` adds the prediction times a factor, ``--longest`` the
prediction's waves with |G| up to so many 1/Å. Beside the iterations: diagonalisation steps (the work), CPU seconds of
pw.x, the error of the start and what Quantum ESPRESSO estimates of it after the first iteration. What the output file
holds is not computed again, and with other weights only what they change. Structures come in an order by the hash of
their names, so that the first ones are a fair sample; those of whose elements the weights know none, for which nothing
is predicted, are left out. Without ``--aside`` the weights must have learned from none of the stores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.basis import expand
from chgtools.libraries.choice import Source, choose
from chgtools.models.weights import find_weights, load_model
from chgtools.start.superposition import superpose
from chgtools.stores.store import Store
from chgtools.training.calibration import rank_correlation
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import density_errors, seen, waves_at, write_json
from textbook import cpu_seconds

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel
    from chgtools.stores.entry import Entry

DEFAULT_BETA = 0.7  # of pw.x, and of the tools' method
SAME_ENERGY = 0.1  # meV/atom; what differs by more has ended in another state
RYDBERG_MEV = 13605.693


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="STORE.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--aside", action="store_true", help="only what the training of the model kept aside")
    parser.add_argument("--atoms", type=int, default=6, help="most atoms of a cell")
    parser.add_argument("--cost", type=float, default=40, help="pass over what is estimated to take more seconds")
    parser.add_argument("--limit", type=int, default=10**6, help="most structures")
    parser.add_argument("--damped", type=float, nargs="+", default=[], metavar="FACTOR")
    parser.add_argument("--longest", type=float, nargs="+", default=[], metavar="G_MAX", help="1/Å")
    parser.add_argument("--mixing-mode", choices=("plain", "TF", "local-TF"), default="plain")
    parser.add_argument("--mixing-beta", type=float, default=DEFAULT_BETA)
    parser.add_argument("--starts", nargs="+", choices=("SAED", "model", "stored"), default=["SAED", "model", "stored"])
    arguments = parser.parse_args()
    if "SAED" not in arguments.starts:
        parser.error("the others are held against SAED: --starts wants it")
    if not (arguments.tools / "scf_steps.py").is_file():
        sys.exit(f"{arguments.tools} does not hold scf_steps.py; wanted a folder like dft/tools")
    sys.path.insert(0, str(arguments.tools))
    model = load_model(arguments.model)
    weights = hashlib.sha256(find_weights(arguments.model).read_bytes()).hexdigest()
    mixing = mixing_of(arguments.mixing_beta, arguments.mixing_mode)
    done = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    if done and (found := done.get("mixing", mixing_of())) != mixing:
        sys.exit(f"{arguments.output} holds results with {found}; wanted {mixing}: name another file")
    if done.get("weights") != weights:  # what starts from no prediction would be the same
        old = {key: {"starts": of_no_weights(kept["starts"])} for key, kept in done.get("structures", {}).items()}
        done = {"weights": weights, "structures": old}
    done["mixing"] = mixing
    results: list[dict[str, Any]] = []
    for path, key in chosen(arguments, model):
        result = done["structures"].setdefault(key, {"starts": {}})
        starts = candidates(path, key, model, arguments)
        missing = {name: start for name, start in starts.items() if name not in result["starts"]}
        if missing:
            result |= run(path, key, missing, result["starts"], mixing)
            write_json(arguments.output, done)
        if lacking := set(starts) - set(result["starts"]):
            print(f"{key}: left out, pw.x was stopped from {', '.join(sorted(lacking))}", flush=True)
            continue
        if not results:
            heading(list(starts))
        results.append(result | {"starts": {name: result["starts"][name] for name in starts}})
        show(key, results[-1])
    if results:
        summary(results)


def of_no_weights(starts: dict[str, Any]) -> dict[str, Any]:
    return {name: starts[name] for name in ("SAED", "stored") if name in starts}


def mixing_of(beta: float = DEFAULT_BETA, mode: str = "plain") -> str:
    """As pw.x has it in &electrons; by default its own."""
    return f"mixing_beta={beta:g} mixing_mode='{mode}'"


def chosen(arguments: argparse.Namespace, model: DensityModel) -> list[tuple[str, str]]:
    """(store, key) of what is not magnetic, small and cheap enough and not wholly unknown to the weights, in an order
    that tells nothing about it."""
    from density import Atoms
    from pymatgen.core import Lattice, Structure
    from run_qe import estimated_seconds

    atoms, found = Atoms(), []
    for argument in arguments.stores:
        path, _, keys = argument.partition(":")
        store = Store.open(path)
        for key, facts in store.facts():
            if (keys and key not in keys.split(",")) or len(facts["elements"]) > arguments.atoms or "moment" in facts:
                continue
            if not set(facts["elements"]) & set(model.elements):
                continue
            entry = store[key]
            structure = Structure(Lattice(entry.structure.lattice), entry.structure.elements, entry.structure.frac)
            if estimated_seconds(structure, [int(n) for n in facts["kmesh"]], 1, atoms) > arguments.cost:
                continue
            if not (arguments.aside and seen(model.card, entry)):
                found.append((path, key))
    return sorted(found, key=lambda item: hashlib.sha256(item[1].encode()).digest())[: arguments.limit]


class Start:
    """The potentials' atoms and a difference density on a grid of any size, as far as it is wanted."""

    def __init__(self, entry: Entry, dcd: Callable[[tuple], np.ndarray], factor: float = 1.0, longest: float = np.inf):
        self.entry, self.dcd, self.factor, self.longest = entry, dcd, factor, longest
        self.fine = tuple(2 * n for n in entry.shape)  # holds every wave of the code's sphere

    def waves(self, miller: np.ndarray) -> np.ndarray:
        """(n,) n_G of the difference density in electrons/bohr³."""
        length = np.linalg.norm(miller @ reciprocal(self.entry.structure.lattice), axis=1)
        return self.factor * np.where(length <= self.longest, waves_at(self.dcd(self.fine), miller), 0)

    def errors(self, total: np.ndarray) -> dict[str, float]:
        """On the entry's grid, against its own difference density."""
        from chgtools.fourier.half_sphere import to_grid

        entry = self.entry
        values = self.waves(entry.miller) / BOHR_ANGSTROM**3  # what lies beyond was found to be next to nothing
        return density_errors(entry, to_grid(entry.miller, values, 0.0, entry.shape), total)


def candidates(path: str, key: str, model: DensityModel, arguments: argparse.Namespace) -> dict[str, Start]:
    entry = Store.open(path)[key]
    structure = entry.structure.with_changes(labels=())
    values = model.predict(structure).coefficients

    def predicted(shape: tuple) -> np.ndarray:
        return expand(structure, values, model.basis, shape)

    starts = {"SAED": Start(entry, np.zeros), "model": Start(entry, predicted), "stored": Start(entry, entry.on_grid)}
    starts = {name: starts[name] for name in arguments.starts}
    starts |= {f"model x {factor:g}": Start(entry, predicted, factor=factor) for factor in arguments.damped}
    return starts | {f"model < {g_max:g}": Start(entry, predicted, longest=g_max) for g_max in arguments.longest}


def run(path: str, key: str, starts: dict[str, Start], before: dict[str, Any], mixing: str) -> dict[str, Any]:
    """What there is to say about a structure, with the starts that were run before."""
    import scf_steps as method  # the one of the tools
    from density import Atoms, load

    with h5py.File(path) as file:
        theirs = load(file[key])
    atoms, outputs, plain = Atoms(), [], method.run_pw

    def plus(start: Start) -> Callable[[np.ndarray], np.ndarray]:
        place = theirs["lattice"], theirs["species"], theirs["fractional"]
        return lambda miller: atoms.superposition(*place, miller) + start.waves(miller)

    def kept(text: str, *arguments: Any) -> str:
        outputs.append(plain(text.replace(f"mixing_beta={DEFAULT_BETA:g}", mixing), *arguments))
        return outputs[-1]

    method.run_pw = kept  # its rows do not have the accuracy of each iteration
    try:
        rows = method.count(theirs, {name: plus(start) for name, start in starts.items()})
    finally:
        method.run_pw = plain
    entry = next(iter(starts.values())).entry
    structure = entry.structure.with_changes(labels=())
    total = superpose(structure, entry.shape, choose(structure, Source()).densities) + entry.on_grid()
    for row, output in zip(rows, outputs[1:], strict=True):  # the first made the file to write into
        row["ended"] = row["iterations"] is not None or "convergence NOT achieved" in output
        each = re.findall(r"estimated scf accuracy\s+<\s+([-+.\dEe]+) Ry", output)
        row["accuracy"] = [float(value) * RYDBERG_MEV / structure.n_atoms for value in each]
        row["seconds"] = cpu_seconds(output) if row["ended"] else None
        row |= starts[row["name"]].errors(total)
    return {
        "kind": str(entry.attributes.get("kind", "")),
        "atoms": structure.n_atoms,
        # a run that was killed says nothing of its start
        "starts": before | {row.pop("name"): row for row in rows if row.pop("ended")},
    }


def heading(names: list[str]) -> None:
    print("iterations (diagonalisation steps), ε_mae in percent, meV/atom: Coulomb self-energy of the error")
    print(f"{'':34s}" + "".join(f"{name:>32s}" for name in names))


def show(key: str, result: dict[str, Any]) -> None:
    line = ""
    for row in result["starts"].values():
        if row["iterations"] is None:
            line += f"{'not converged':>32s}"
        else:
            line += f"{row['iterations']:6d} ({row['work']:5.1f}){row['eps_mae']:7.2f} %{row['coulomb']:9.2f}"
    energies = [row["energy"] for row in result["starts"].values() if row["energy"] is not None]
    apart = max(energies) - min(energies) if energies else 0.0
    note = f"  energies {apart:.1f} meV/atom apart" if apart > SAME_ENERGY else ""
    print(f"{key:34s}{line}{note}", flush=True)


def summary(results: list[dict[str, Any]]) -> None:
    """Means, how many structures take fewer iterations than from the SAED, and what goes with the iterations."""
    names = list(results[0]["starts"])
    whole = [r["starts"] for r in results if all(row["iterations"] is not None for row in r["starts"].values())]
    for name in names:
        failed = sum(result["starts"][name]["iterations"] is None for result in results)
        if failed:
            print(f"{name}: does not converge on {failed}")
    head = "iterations   work   fewer / equal / more than SAED    less work   ε_mae   coulomb"
    print(f"\nmean of {len(whole):3d}   {head}")
    for name in names:
        keys = ("iterations", "work", "eps_mae", "coulomb")
        values = {key: np.array([rows[name][key] for rows in whole]) for key in keys}
        saed = np.array([[rows["SAED"]["iterations"], rows["SAED"]["work"]] for rows in whole]).T
        saved = values["iterations"] - saed[0]
        print(f"{name:14s}{values['iterations'].mean():9.2f}{values['work'].mean():9.1f}"
              f"{(saved < 0).sum():12d} /{(saved == 0).sum():4d} /{(saved > 0).sum():4d}"
              f"{100 * (values['work'] < saed[1]).mean():20.0f} %{values['eps_mae'].mean():8.2f}"
              f"{values['coulomb'].mean():10.2f}")  # fmt: skip
    times = np.array([[rows[name].get("seconds", np.nan) for name in names] for rows in whole])
    times = times[~np.isnan(times).any(axis=1)]
    for name, ratios in zip(names, (times / times[:, :1]).T if len(times) else [], strict=False):
        print(f"CPU time of pw.x from {name:10s}{100 * ratios.mean():6.0f} % of the SAED's, on {len(times)} cells")
    if len(whole) < 3 or "model" not in names:
        return
    print("\nrank correlation with the iterations that the model saves, of log(model / SAED) of")
    saved = [rows["SAED"]["iterations"] - rows["model"]["iterations"] for rows in whole]
    for key in ("eps_mae", "eps_rms", "coulomb"):
        ratios = [-np.log(rows["model"][key] / rows["SAED"][key]) for rows in whole]
        print(f"    {key:20s}{rank_correlation(ratios, saved):6.2f}")
    ratios = [-np.log(rows["model"]["accuracy"][0] / rows["SAED"]["accuracy"][0]) for rows in whole]
    print(f"    {'first accuracy':20s}{rank_correlation(ratios, saved):6.2f}")


if __name__ == "__main__":
    main()
