"""The atoms of the built-in library, before smoothing, against VASP's own: AECCAR1 of real runs.

    python benchmarks/aeccar1.py [--data ../shared/corpus]

AECCAR1 is the superposition of VASP's all-electron atomic valence densities, so outside the cores it is what our
radial Kohn-Sham atoms should give. Both are compared at the grid points farther than 1 Å from every nucleus.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from dcd_corpus import DATA, distance_to_nuclei

from chgtools.atoms.labels import label_facts
from chgtools.atoms.valence import ValenceDensity, solve_label
from chgtools.cell import Structure
from chgtools.formats import chgcar

REACH_ANGSTROM = 9.0


def superposed(structure: Structure, shape: tuple[int, int, int], atoms: list[ValenceDensity]) -> np.ndarray:
    """Sum of unsmoothed atoms and their images within REACH_ANGSTROM, point by point, electrons/Å³."""
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    radii = np.linspace(0, REACH_ANGSTROM, 6001)
    widths = 1 / np.linalg.norm(np.linalg.inv(structure.lattice), axis=0)
    images = [range(-int(np.ceil(REACH_ANGSTROM / w)) - 1, int(np.ceil(REACH_ANGSTROM / w)) + 2) for w in widths]
    total = np.zeros(shape)
    for group, atom in enumerate(atoms):
        table = np.log(atom(np.maximum(radii, 1e-3)) + 1e-30)
        for position in structure.frac[structure.group_of_atom == group]:
            for image in product(*images):
                distance = np.linalg.norm((fractions - position - image) @ structure.lattice, axis=-1)
                near = distance < REACH_ANGSTROM
                if near.any():
                    total[near] += np.exp(np.interp(distance[near], radii, table))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data
    print(f"{'file':46s} {'labels':8s} {'points':>8s} {'ε_mae %':>8s} {'mean %':>8s} {'worst %':>8s}   beyond 1 Å of the nuclei")
    for record in json.loads((data / "index.json").read_text()):
        if record["kind"] != "AECCAR1":
            continue
        theirs = chgcar.read(data / record["path"])
        labels = [title.split()[1] for title in record["labels"]]
        atoms = [solve_label(label_facts(label), "PBE") for label in labels]
        ours = superposed(theirs.structure, theirs.shape, atoms)
        outside = distance_to_nuclei(theirs.structure, theirs.shape) > 1.0
        a, b = ours[outside], theirs.total[outside]
        print(
            f"{record['path']:46s} {' '.join(labels):8s} {outside.sum():8d} {100 * np.abs(a - b).sum() / b.sum():8.3f} "
            f"{100 * (a.sum() / b.sum() - 1):+8.3f} {100 * np.abs(a / b - 1).max():8.3f}"
        )


if __name__ == "__main__":
    main()
