"""What a predicted density with atoms' occupancies saves in a PAW code: iterations of a whole SCF in GPAW.

    python benchmarks/gpaw/gpaw_scf_steps.py GPAW.h5:KEY,KEY,... --tools DFT/tools [--model auto] [--json FILE]

Starts: GPAW's own superposed atoms; the same handed in as a file (no difference is allowed); the grid that
chgtools.predict makes of GPAW's free atoms and the difference density learned with Quantum ESPRESSO, with the density
matrices of the free atoms ("predicted"); what the first run ended with ("scf"), which no prediction can beat. GPAW
makes its first orbitals in the density given and keeps it for three iterations. Grids and matrices go as a CHGCAR and
its records, as in gpaw_occupancies.py; the runs are those of gpaw_starts.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from gpaw_occupancies import Handed
from gpaw_paw import Calculation, atoms_library, calculations, channels_of

from chgtools.libraries.choice import Source
from chgtools.run.grid import GridOptions
from chgtools.start.occupancies import start_occupancies
from chgtools.start.prediction import predict
from chgtools.volumetric import VolumetricData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

SAME_ENERGY = 0.5  # meV/atom, of runs that end at GPAW's usual convergence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", metavar="GPAW.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--python", default="/usr/bin/python3", help="that has GPAW (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="what it holds is not computed again")
    arguments = parser.parse_args()
    if not (arguments.tools / "gpaw_fixed_density.py").is_file():
        sys.exit(f"{arguments.tools} does not hold gpaw_fixed_density.py; wanted a folder like dft/tools")
    path, _, keys = arguments.store.partition(":")
    store = Path(path)
    done = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "atoms.h5"
        atoms_library([store]).write(library)
        for calculation in calculations(store, keys.split(",") if keys else None):
            key = calculation.entry.name
            if key not in done:
                done[key] = run(calculation, store, library, Path(folder) / key, arguments)
                if arguments.json:
                    write_json(arguments.json, done)
            show(key, done[key])
    summary(list(done.values()))


def run(
    calculation: Calculation, store: Path, library: Path, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Rows of gpaw_starts.py."""
    entry = calculation.entry
    made = predict(entry.structure, source=Source(library=library), grid=GridOptions(ngf=entry.shape),
                   model=arguments.model)  # fmt: skip
    occupancies = start_occupancies(entry.structure, made.settings.choice.densities).blocks
    handed = Handed(folder, entry.structure.elements, channels_of(store))
    handed.complete("predicted", VolumetricData("CHGCAR", entry.structure, made.data.blocks, occupancies))
    start = f"predicted={folder / 'CHGCAR.predicted'},{folder / 'predicted.h5'}"
    script = str(Path(__file__).with_name("gpaw_starts.py"))
    command = [arguments.python, script, str(store), entry.name, "--tools", str(arguments.tools), "--start", start]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{entry.name}: gpaw_starts.py: {(ended.stderr.strip().splitlines() or ['no message'])[-1]}")
    rows: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return rows


def show(key: str, rows: dict[str, Any]) -> None:
    energies = [row["energy"] for row in rows.values()]
    note = f"  energies {np.ptp(energies):.2f} meV/atom apart" if np.ptp(energies) > SAME_ENERGY else ""
    counts = "".join(f"{name} {row['iterations']:3d} ({row['seconds']:5.1f} s)  " for name, row in rows.items())
    print(f"{key:28s}{counts}{note}", flush=True)


def summary(results: list[dict[str, Any]]) -> None:
    own = np.array([rows["own"]["iterations"] for rows in results])
    print(f"\nmean of {len(results)}: iterations, fewer / equal / more than GPAW's own, CPU time of it")
    for name in results[0]:
        found = np.array([rows[name]["iterations"] for rows in results])
        time = np.mean([rows[name]["seconds"] / rows["own"]["seconds"] for rows in results])
        print(f"{name:12s}{found.mean():6.1f}   {(found < own).sum()} / {(found == own).sum()} / {(found > own).sum()}"
              f"   {100 * time:.0f} %")  # fmt: skip


if __name__ == "__main__":
    main()
