"""How far VASP's self-consistent densities are from the SAED of the built-in atoms: ε_mae(SAED) of real CHGCARs.

    python benchmarks/files/dcd_corpus.py [--data ../shared/corpus] [--xc PBE]

Labels are those of the run where they are known, else those whose valences give the file's electrons (the label's ZVAL
is what counts). Three figures: the whole cell, and the points farther than 0.6 Å and 1.0 Å from every nucleus; near the
nuclei a CHGCAR holds pseudo-densities with compensation charges, which no other code's atoms share.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from chgtools.formats import chgcar
from chgtools.libraries.choice import Source, choose
from chgtools.start.superposition import superpose

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS, distance_to_nuclei, labels_by_electrons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
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
