"""The atom solver against VASP's own atoms: the AECCAR1 files of the corpus.

AECCAR1 is the sum of VASP's all-electron atomic valence densities on the grid. Here the same sum is made from the
solver's true (not smoothed) valence densities, and from the smoothed ones of the built-in library, at random grid
points. Printed for the points farther from all nuclei than a distance: eps_mae = 100 Σ|n - n_VASP| / Σ n_VASP, and
the largest |n/n_VASP - 1|, in percent.

usage: python benchmarks/atoms/atom_aeccar1.py [--corpus FOLDER] [--points N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from chgtools.atoms.labels import label_facts
from chgtools.formats import read
from chgtools.libraries.library import DensityLibrary
from chgtools.radial_atom.valence import solve_label

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS

FILES = {
    "mp_workshop__Si8-8": {"Si": "Si"},
    "MatMethods__Si2-2": {"Si": "Si"},
    "GaN-pydefect-tutorial__Ga2N2-4_dos": {"Ga": "Ga_d", "N": "N"},
}
REACH = 11.0  # Å, beyond which an atom's density is left out


def superposed(points: np.ndarray, cell: np.ndarray, atoms: list[tuple[np.ndarray, np.ndarray]]) -> tuple:
    """Density at Cartesian points, and their distance to the nearest atom.

    atoms : (fractional position, density at radii 0 ... REACH)
    """
    reach = np.ceil(REACH * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int) + 1
    shifts = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    total, nearest = np.zeros(len(points)), np.full(len(points), np.inf)
    for frac, table in atoms:
        radii = np.linspace(0.0, REACH, table.size)
        for centre in (frac + shifts) @ cell:
            distance = np.linalg.norm(points - centre, axis=1)
            np.minimum(nearest, distance, out=nearest)
            total += np.interp(distance, radii, table, right=0.0)
    return total, nearest


def compare(folder: Path, labels: dict[str, str], count: int) -> list[tuple[float, float, float, float]]:
    """Rows of distance (Å), eps_mae of the true and of the smoothed atoms, largest local difference of the true."""
    data = read(folder / "AECCAR1.gz")
    structure, density = data.structure, data.total
    index = np.random.default_rng(1).integers(0, density.shape, (count, 3))
    expected = density[tuple(index.T)]
    points = index / np.array(density.shape) @ structure.lattice
    radii = np.linspace(0.0, REACH, 11001)
    library = DensityLibrary.builtin("PBE")
    true = {element: solve_label(label_facts(label))(radii) for element, label in labels.items()}
    smooth = {element: library[label].density(radii) for element, label in labels.items()}
    made = []
    for tables in (true, smooth):
        atoms = [(frac, tables[element]) for frac, element in zip(structure.frac, structure.elements, strict=True)]
        total, nearest = superposed(points, structure.lattice, atoms)
        made.append(total)
    rows = []
    for distance in (0.8, 1.0, 1.2, 1.5):
        far = nearest > distance
        errors = [100.0 * np.abs(total - expected)[far].sum() / expected[far].sum() for total in made]
        rows.append((distance, errors[0], errors[1], 100.0 * np.abs(made[0] / expected - 1.0)[far].max()))
    return rows


def main() -> None:
    """Print one row per file and distance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--points", type=int, default=15000)
    arguments = parser.parse_args()
    print(f"{'file':36s} beyond/Å  eps_mae %: true  smoothed   local % (true)")
    for name, labels in FILES.items():
        for distance, true, smooth, local in compare(arguments.corpus / name, labels, arguments.points):
            print(f"{name:36s} {distance:8.1f} {true:16.4f} {smooth:9.4f} {local:16.3f}", flush=True)


if __name__ == "__main__":
    main()
