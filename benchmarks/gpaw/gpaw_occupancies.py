"""What augmentation occupancies are worth: one diagonalisation at fixed grid and occupancies in GPAW, against SCF.

    python benchmarks/gpaw/gpaw_occupancies.py GPAW.h5[:KEY,KEY] --tools DFT/tools [--references GPAW.h5 ...]
        [--model auto] [--learned NAME=FOLDER ...] [--json FILE] [-o FOLDER]

GPAW plays VASP (gpaw_paw.py): every density and every set of occupancies is a CHGCAR of chgtools, read back and handed
to gpaw_fixed_density.py of ``--tools``, which the system's python runs. Rows, grid + occupancies:
    scf + scf              the method's noise
    scf + stored           the store's density matrices: float32 and a looser SCF than the one compared with
    scf + records          these by way of VASP's records: what packing loses
    scf + atoms            the starting atoms'
    scf + mean             mean of the label over ``--references`` without the structures tested (chgtools.paw.means)
    run + records          the complete CHGCAR of the store, grid and records
    atoms + atoms          free atoms, no difference density
    dcd + atoms, + mean, + scf     chgtools.predict's grid (GPAW's free atoms and the difference density learned with
                           Quantum ESPRESSO), with occupancies of atoms, means and SCF
    scf + NAME, NAME + NAME        CHGCARs FOLDER/KEY/CHGCAR of a learned head: their records, and grid with records
Mean absolute error of the occupied eigenvalues (meV), in brackets without one common shift, and error of the Harris
functional (meV/atom). ``model`` chooses the weights of the difference density; "-" leaves these rows out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gpaw_paw import (
    Calculation,
    Channels,
    atoms_library,
    calculations,
    channels_of,
    matrices_of,
    write_matrices,
    write_runs,
)

from chgtools.atoms.density import AtomicDensity
from chgtools.formats import chgcar
from chgtools.libraries.choice import Source
from chgtools.paw.means import with_mean_occupancies
from chgtools.run.grid import GridOptions
from chgtools.start.occupancies import start_occupancies
from chgtools.start.prediction import predict
from chgtools.volumetric import VolumetricData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

NAMES = {
    "scf + scf D": "scf + scf",
    "scf + stored D": "scf + stored",
    "scf + records D": "scf + records",
    "scf + atoms' D": "scf + atoms",
    "scf + mean D": "scf + mean",
    "run + its D": "run + records",
    "free atoms + atoms' D": "atoms + atoms",
    "dcd-atoms + its D": "dcd + atoms",
    "dcd-mean + its D": "dcd + mean",
    "dcd-scf + its D": "dcd + scf",
}


class Handed:
    """Files for one structure and the options that hand them to gpaw_fixed_density.py."""

    def __init__(self, folder: Path, elements: Sequence[str], channels: Channels) -> None:
        self.folder, self.elements, self.channels = folder, elements, channels
        self.options: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def matrices(self, name: str, matrices: Sequence[np.ndarray]) -> None:
        path = self.folder / f"{name}.h5"
        write_matrices(path, matrices)
        self.options += ["--occupancies", f"{name}={path}"]

    def records(self, name: str, data: VolumetricData) -> None:
        """The records of the first block."""
        self.matrices(name, matrices_of(self.elements, data.augmentation[0].real, self.channels))

    def complete(self, name: str, data: VolumetricData) -> None:
        """Grid and records; what is handed on has been written and read again."""
        path = self.folder / f"CHGCAR.{name}"
        chgcar.write(data, path, kind="CHGCAR")
        self.options += ["--chgcar", f"{name}={path}"]
        self.records(name, chgcar.read(path, kind="CHGCAR"))


def prepare(
    calculation: Calculation,
    handed: Handed,
    library: Path,
    means: Mapping[str, AtomicDensity],
    run: Path,
    model: str,
    learned: Mapping[str, Path],
) -> dict[str, Any]:
    """Write the files of all rows but those that the tool makes itself; facts on the structure."""
    structure = calculation.entry.structure
    data = chgcar.read(run, kind="CHGCAR")
    handed.matrices("stored", calculation.matrices)
    handed.records("records", data)
    handed.complete("run", data)
    facts: dict[str, Any] = {"model": None, "references": None}
    mean = None
    if all(element in means and means[element].mean_occupancies is not None for element in structure.species):
        densities = [means[element] for element in structure.species]
        mean = start_occupancies(structure, densities, wanted="mean").blocks
        assert mean is not None
        facts["references"] = {d.label: int(d.provenance["mean_atoms"]) for d in densities}
        handed.matrices("mean", matrices_of(structure.elements, mean[0].real, handed.channels))
    if model != "-":
        predicted = predict(structure, source=Source(library=library), grid=GridOptions(ngf=data.shape), model=model)
        facts["model"] = predicted.model
        grid = predicted.data.blocks
        atoms = start_occupancies(structure, predicted.settings.choice.densities).blocks
        for name, augmentation in (("atoms", atoms), ("mean", mean), ("scf", data.augmentation)):
            if augmentation is not None:
                handed.complete(f"dcd-{name}", VolumetricData("CHGCAR", structure, grid, augmentation))
    for name, folder in learned.items():
        path = next((folder / calculation.entry.name / f"CHGCAR{s}" for s in ("", ".gz")
                     if (folder / calculation.entry.name / f"CHGCAR{s}").is_file()), None)  # fmt: skip
        if path is None:
            print(f"{folder} has no {calculation.entry.name}/CHGCAR", file=sys.stderr)
            continue
        theirs = chgcar.read(path, kind="CHGCAR")
        handed.records(name, theirs)
        handed.complete(f"{name}-grid", theirs)
    return facts


def diagonalise(python: str, tools: Path, store: Path, key: str, options: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of gpaw_fixed_density.py. Ends the program when that fails."""
    command = [python, str(tools / "gpaw_fixed_density.py"), str(store), key, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{key}: gpaw_fixed_density.py ended with {done.returncode}: {last}")
    rows: list[dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    return rows


def named(rows: Sequence[Mapping[str, Any]], learned: Sequence[str]) -> dict[str, dict[str, float]]:
    names = dict(NAMES)
    for name in learned:
        names |= {f"scf + {name} D": f"scf + {name}", f"{name}-grid + its D": f"{name} + {name}"}
    return {
        names[row["name"]]: {
            "bands_mev": row["band_mae_mev"],
            "bands_aligned_mev": row["band_mae_aligned_mev"],
            "energy_mev_per_atom": row["energy_error_mev_per_atom"],
            "dropped_percent": row["dropped_percent"],
        }
        for row in rows
        if row["name"] in names
    }


def show(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    print(title)
    for name, row in rows.items():
        print(f"    {name:20s}{row['bands_mev']:9.2f} meV ({row['bands_aligned_mev']:8.2f})"
              f"{row['energy_mev_per_atom']:+10.3f} meV/atom", flush=True)  # fmt: skip


def medians(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By row: number of structures, median of the bands' errors and of the energy's size."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for result in results:
        for name, row in result["rows"].items():
            found.setdefault(name, []).append(row)
    return {
        name: {
            "structures": len(rows),
            "bands_mev": float(np.median([row["bands_mev"] for row in rows])),
            "bands_aligned_mev": float(np.median([row["bands_aligned_mev"] for row in rows])),
            "energy_mev_per_atom": float(np.median([abs(row["energy_mev_per_atom"]) for row in rows])),
        }
        for name, rows in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", metavar="GPAW.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--references", nargs="+", type=Path, default=(), metavar="GPAW.h5")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--learned", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--python", default="/usr/bin/python3", help="that has GPAW (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="folder for the files handed over (default: a temporary one)")
    arguments = parser.parse_args()
    if not (arguments.tools / "gpaw_fixed_density.py").is_file():
        sys.exit(f"{arguments.tools} does not hold gpaw_fixed_density.py; wanted a folder like dft/tools")
    learned = {name: Path(folder) for name, _, folder in (item.partition("=") for item in arguments.learned)}
    name, _, keys = arguments.store.partition(":")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.output or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = run(Path(name), keys.split(",") if keys else None, folder, learned, arguments)
    summary = medians(results)
    show(f"medians of at most {len(results)} structures, energy by size", summary)
    if arguments.json:
        write_json(arguments.json, {"medians": summary, "structures": results})


def run(
    store: Path, keys: Sequence[str] | None, folder: Path, learned: Mapping[str, Path], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    library, channels = folder / "atoms.h5", channels_of(store)
    atoms = atoms_library([store])
    atoms.write(library)
    runs = {path.parent.name: path for path in write_runs(store, folder / "runs", keys)}
    others = [run for path in arguments.references for run in write_runs(path, folder / "references" / path.stem)]
    holding = {run: set(chgcar.read_header(run)[0].species) for run in others}
    results = []
    for calculation in calculations(store, keys):
        key, elements = calculation.entry.name, set(calculation.entry.structure.species)
        used = [run for run in others if holding[run] & elements and run.parent.name not in {key, *(keys or ())}]
        known = {e: atoms[e] for e in set(atoms) & set().union(*(holding[run] for run in used))}
        used = [run for run in used if holding[run] <= set(known)]
        means, _ = with_mean_occupancies(known, used)
        handed = Handed(folder / "handed" / key, calculation.entry.structure.elements, channels)
        facts = prepare(calculation, handed, library, means, runs[key], arguments.model, learned)
        try:
            rows = diagonalise(arguments.python, arguments.tools, store, key, handed.options)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            continue
        results.append({"structure": key, "rows": named(rows, list(learned)), **facts})
        show(f"{key}  (weights {facts['model']}, atoms behind the means {facts['references']})", results[-1]["rows"])
        if arguments.json:
            write_json(arguments.json, {"structures": results})
    return results


if __name__ == "__main__":
    main()
