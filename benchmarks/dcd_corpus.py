"""How far VASP's self-consistent densities are from the SAED of the built-in atoms: ε_mae(SAED) of real CHGCARs.

    python benchmarks/dcd_corpus.py [--data ../shared/corpus] [--xc PBE]

Labels are those of the run where they are known, else those whose valences give the file's electrons (the label's ZVAL
is what counts). Three figures: the whole cell, and the points farther than 0.6 Å and 1.0 Å from every nucleus; near the
nuclei a CHGCAR holds pseudo-densities with compensation charges, which no other code's atoms share.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from chgtools.atoms.labels import label_facts, labels_of
from chgtools.cell import Structure
from chgtools.formats import chgcar
from chgtools.libraries.choice import Source, choose
from chgtools.start.superposition import superpose

DATA = Path(__file__).resolve().parents[2] / "shared" / "corpus"


def distance_to_nuclei(structure: Structure, shape: tuple[int, int, int]) -> np.ndarray:
    """(nx, ny, nz) distance in Å from each grid point to the nearest nucleus; right up to half the cell's width."""
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    nearest = np.full(shape, np.inf)
    for atom in structure.frac:
        shift = fractions - atom
        shift -= np.round(shift)
        for image in product((-1, 0, 1), repeat=3):
            nearest = np.minimum(nearest, np.linalg.norm((shift + image) @ structure.lattice, axis=-1))
    return nearest


def labels_by_electrons(structure: Structure, electrons: float) -> dict[str, str] | None:
    """The first labels, defaults first, whose ZVALs add up to the file's electrons."""
    options = []
    for element in dict.fromkeys(structure.species):
        names = sorted(
            labels_of(element), key=lambda n: (not label_facts(n).is_mp_default, label_facts(n).kind == "GW")
        )
        options.append([(element, name) for name in names])
    for combination in product(*options):
        chosen = dict(combination)
        total = sum(n * label_facts(chosen[e]).zval for e, n in zip(structure.species, structure.counts, strict=True))
        if abs(total - electrons) < 1e-2:
            return chosen
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--xc", default="PBE")
    arguments = parser.parse_args()
    print(f"{'file':46s} {'labels':16s} {'electrons':>10s} {'cell':>7s} {'>0.6 Å':>7s} {'>1.0 Å':>7s}  (%)")
    for record in json.loads((arguments.data / "index.json").read_text()):
        if record["kind"] != "CHGCAR" or record["written_by"] != "vasp" or "stripped" in record["path"]:
            continue
        data = chgcar.read(arguments.data / record["path"])
        structure = data.structure
        if not all(structure.species):
            print(f"{record['path']:46s} no species in the file (VASP 4)")
            continue
        assert data.electrons is not None
        labels = None
        if record["labels"]:
            named = [title.split()[1] for title in record["labels"]]
            labels = dict(zip(structure.species, named, strict=True))
        labels = labels or labels_by_electrons(structure, data.electrons)
        if labels is None:
            print(f"{record['path']:46s} no labels give {data.electrons:.3f} electrons")
            continue
        choice = choose(structure, Source(labels=labels, xc=arguments.xc))
        reference = superpose(structure, data.shape, choice.densities)
        difference = np.abs(data.total - reference)
        distance = distance_to_nuclei(structure, data.shape)
        figures = []
        for radius in (0.0, 0.6, 1.0):
            outside = distance >= radius
            figures.append(100 * difference[outside].sum() / np.abs(data.total[outside]).sum())
        print(
            f"{record['path']:46s} {' '.join(choice.labels):16s} {data.electrons:10.4f} "
            + " ".join(f"{figure:7.2f}" for figure in figures)
        )


if __name__ == "__main__":
    main()
