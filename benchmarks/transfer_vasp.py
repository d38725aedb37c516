"""Difference densities learned with Quantum ESPRESSO on real VASP files.

    python benchmarks/transfer_vasp.py [--data ../shared/corpus] [--model auto]

1. AECCAR1 (VASP's own overlapping atoms) alone and with the predicted difference density, against AECCAR2 (VASP's
   self-consistent valence density, both all-electron).
2. SAED of the built-in atoms alone and with the predicted difference density, against the CHGCARs that VASP wrote; in
   the cores a CHGCAR holds pseudo-densities with compensation charges, which no other code's density shares.
Percent, 100 Σ|n - n_VASP| / Σ|n_VASP|, in the whole cell and farther than 0.6 Å and 1 Å from every nucleus.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from dcd_corpus import DATA, distance_to_nuclei, labels_by_electrons

from chgtools.atoms.choice import Source, choose
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar, read
from chgtools.models.basis import expand
from chgtools.models.choice import choose_model
from chgtools.superposition import saed

AECCAR = ("MatMethods__Si2-2", "mp_workshop__Si8-8", "GaN-pydefect-tutorial__Ga2N2-4_dos")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="auto")
    arguments = parser.parse_args()
    print(f"{'file':44s} {'model':8s} {'atoms alone: cell > 0.6 > 1.0 Å':>32s} {'with the prediction':>24s}  expected")
    for folder in AECCAR:
        first, second = (read(arguments.data / folder / f"AECCAR{i}.gz") for i in (1, 2))
        report(folder + "/AECCAR", first.structure, first.total, second.total, arguments.model)
    for record in json.loads((arguments.data / "index.json").read_text()):
        if record["kind"] != "CHGCAR" or record["written_by"] != "vasp" or "stripped" in record["path"]:
            continue
        data = chgcar.read(arguments.data / record["path"])
        if not all(data.structure.species):
            continue
        labels = None
        if record["labels"]:
            labels = dict(zip(data.structure.species, [title.split()[1] for title in record["labels"]], strict=True))
        labels = labels or labels_by_electrons(data.structure, data.electrons)
        if labels is None:
            continue
        try:
            densities = choose(data.structure, Source(labels=labels)).densities
        except ChgtoolsError as error:
            print(f"{record['path']:44s} {error}")
            continue
        atoms = saed(data.structure, data.shape, densities)
        report(record["path"], data.structure, atoms, data.total, arguments.model)


def report(name: str, structure, atoms: np.ndarray, wanted: np.ndarray, model: str) -> None:
    choice = choose_model(structure, model)
    if choice.model is None:
        print(f"{name:44s} {choice.reason}")
        return
    estimate = choice.model.predict(structure)
    with_model = atoms + expand(structure, estimate.coefficients, choice.model.basis, wanted.shape)
    distance = distance_to_nuclei(structure, wanted.shape)
    figures = []
    for density in (atoms, with_model):
        for radius in (0.0, 0.6, 1.0):
            outside = distance >= radius
            figures.append(100 * np.abs(density - wanted)[outside].sum() / np.abs(wanted)[outside].sum())
    note = f"  not seen: {', '.join(estimate.unseen)}" if estimate.unseen else ""
    alone, added = (" ".join(f"{f:7.2f}" for f in part) for part in (figures[:3], figures[3:]))
    print(f"{name:44s} {choice.name:8s} {alone}         {added}  {estimate.error_percent:7.2f}{note}", flush=True)


if __name__ == "__main__":
    main()
