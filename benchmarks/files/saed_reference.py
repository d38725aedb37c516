"""The superposition from UPF tables against an independent one in plain NumPy, on structures of the shared stores.

The other program is shared/dft/tools/density.py: its own reading of PP_RHOATOM, its own transform to f(q), one atom
after another in reciprocal space. Two comparisons on each structure's grid, both in electrons/Å³ (its numbers are in
electrons/bohr³):

  box     its coefficients for every G of the grid's box but the unbalanced planes: the same sum as here
  sphere  its function ``grids``, which stops at the largest sphere in the box; its cut costs up to 0.035 %

usage: python benchmarks/files/saed_reference.py [--shared FOLDER] [--each N]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np

from chgtools.cell import Structure
from chgtools.comparison import eps_mae
from chgtools.formats.upf import read_upf
from chgtools.start.superposition import superpose
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import SHARED

STORES = ("crystals", "compounds", "molecules", "si")


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("shared_density", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def structure_of(entry: dict[str, Any]) -> Structure:
    groups = [(name, len(list(members))) for name, members in groupby(entry["species"])]
    species, counts = zip(*groups, strict=True)
    return Structure(entry["lattice"], species, counts, entry["fractional"])


def box_sum(other: ModuleType, entry: dict[str, Any], atoms: Any) -> np.ndarray:
    """Electrons/bohr³ of the other program's coefficients in the whole box without the unbalanced planes."""
    shape = entry["shape"]
    index = [np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape]
    miller = np.stack(np.meshgrid(*index, indexing="ij"), axis=-1).reshape(-1, 3)
    full = np.zeros(shape, complex)
    full[tuple((miller % shape).T)] = atoms.superposition(
        entry["lattice"], entry["species"], entry["fractional"], miller
    )
    return np.fft.ifftn(full, norm="forward").real


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--each", type=int, default=10, help="structures of each store (default: %(default)s)")
    arguments = parser.parse_args()
    dft = arguments.shared / "dft"
    other = load_module(dft / "tools" / "density.py")
    atoms = other.Atoms(dft / "upf")
    tables: dict[str, Any] = {}
    worst = {"box": 0.0, "sphere": 0.0, "charge": 0.0}
    count = 0
    print(
        f"{'store':10s}{'structure':28s}{'grid':>14s}{'atoms':>6s}{'electrons':>10s}"
        f"{'box %':>12s}{'sphere %':>12s}{'charge':>10s}"
    )
    for store in STORES:
        with h5py.File(dft / f"{store}.h5") as file:
            names = list(file)
            for name in names[:: max(1, len(names) // arguments.each)][: arguments.each]:
                entry = other.load(file[name])
                structure = structure_of(entry)
                for element in structure.species:
                    tables.setdefault(element, read_upf(dft / "upf" / f"{element}.upf.gz"))
                densities = [tables[element] for element in structure.species]
                own = superpose(structure, entry["shape"], densities)
                electrons = sum(d.zval * n for d, n in zip(densities, structure.counts, strict=True))
                errors = {
                    "box": eps_mae(own, box_sum(other, entry, atoms) / BOHR_ANGSTROM**3),
                    "sphere": eps_mae(own, other.grids(entry, atoms)[0] / BOHR_ANGSTROM**3),
                    "charge": abs(own.mean() * structure.volume / electrons - 1),
                }
                worst = {key: max(worst[key], errors[key]) for key in worst}
                count += 1
                grid = "x".join(map(str, entry["shape"]))
                print(
                    f"{store:10s}{name[:27]:28s}{grid:>14s}{structure.n_atoms:6d}{electrons:10.1f}"
                    f"{errors['box']:12.2e}{errors['sphere']:12.2e}{errors['charge']:10.1e}",
                    flush=True,
                )
    print(
        f"{count} structures; worst eps_mae {worst['box']:.2e} % (box), {worst['sphere']:.2e} % (sphere); "
        f"worst relative error of the charge {worst['charge']:.1e}"
    )


if __name__ == "__main__":
    main()
