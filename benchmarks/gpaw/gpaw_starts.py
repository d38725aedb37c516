"""Self-consistency in GPAW from given densities, for gpaw_scf_steps.py: runs in GPAW's Python.

    python benchmarks/gpaw/gpaw_starts.py STORE.h5 KEY --tools DFT/tools [--start NAME=CHGCAR,OCCUPANCIES.h5 ...]

One line of JSON: of each start its iterations, CPU seconds and energy. "own" is GPAW's superposed atoms; "own again"
the same density taken out and handed in as any other one, which must take as many iterations; then the starts given;
"scf" what the first run ended with. A density (grid and density matrices) is put in the place of the atoms' before GPAW
makes its first orbitals from it, and the mixer begins with it. Convergence is that of the tools' stores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np


def replace(calc, entry, grid, matrices):
    """Put grid (nt + nhat, electrons/bohr³, fine) and full density matrices in place of what the calculator has."""
    from gpaw.utilities import pack
    from gpaw_fixed_density import Fixed, coarse

    density = calc.density
    fixed = object.__new__(Fixed)  # its nhat needs the calculator alone
    fixed.calc, fixed.entry = calc, entry
    grid = grid * (float(calc.setups.nvalence) / (grid.mean() * entry["volume"]))
    smooth = coarse(grid - fixed.nhat(matrices), density.nt_sG.shape[1:])
    for atom, matrix in enumerate(matrices):
        density.D_asp[atom][0] = pack(np.ascontiguousarray((matrix + matrix.T) / 2))
    density.nt_sG[0] = smooth + density.nct_G
    density.mixer.reset()
    density.calculate_normalized_charges_and_mix()


def run(entry, given=None):
    """Row of one start, and the densities (grid, matrices) that it began and ended with."""
    from ase import Atoms
    from run_gpaw import calculator, cutoff, fine_density

    atoms = Atoms(list(entry["species"]), cell=entry["lattice"], scaled_positions=entry["fractional"], pbc=True)
    calc = calculator([int(n) for n in entry["attrs"]["kmesh"]], len(atoms), cutoff(entry["species"]))
    atoms.calc = calc
    calc.initialize(atoms)
    begun, original = [], calc.density.initialize_from_atomic_densities

    def first(basis):
        original(basis)
        if given is not None:
            replace(calc, entry, *given)
        begun.append(fine_density(calc))

    calc.density.initialize_from_atomic_densities = first
    started = time.process_time()
    energy = atoms.get_potential_energy(force_consistent=True)
    row = {"iterations": calc.get_number_of_iterations(), "seconds": time.process_time() - started}
    return row | {"energy": 1000 * energy / len(atoms)}, begun[0], fine_density(calc)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("key")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--start", action="append", default=[], metavar="NAME=CHGCAR,OCCUPANCIES.h5")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.tools))
    import density
    from gpaw_fixed_density import read_chgcar, read_occupancies, resample
    from run_gpaw import open_store

    with open_store(arguments.store) as store:
        entry = density.load(store[arguments.key])
    rows = {}
    rows["own"], begun, ended = run(entry)
    rows["own again"], _, _ = run(entry, begun)
    for start in arguments.start:
        name, _, files = start.partition("=")
        chgcar, occupancies = files.split(",")
        grid = resample(read_chgcar(chgcar) / entry["volume"], begun[0].shape, begun[0])
        rows[name], _, _ = run(entry, (grid, read_occupancies(occupancies, len(entry["species"]))))
    rows["scf"], _, _ = run(entry, ended)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
