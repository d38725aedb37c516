"""How much the choice of reference atoms matters: SAED of the pseudopotentials' own atoms against the built-in ones.

    python benchmarks/atoms/reference_atoms.py STORE.h5... --upf FOLDER [--limit 40]

The weights learn SCF − SAED with the atoms of the training potentials (PP_RHOATOM) and are added to other atoms. What
differs is 100 Σ|SAED_UPF − SAED_built-in| / electrons, in the whole cell (the cores are made smooth in different ways)
and farther than 0.6 Å and 1 Å from every nucleus: with the labels' own configurations, and with ground states (see
chgtools.libraries.ground_state), as a prediction has them. Structures without a label of the same ZVAL are left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from chgtools.atoms.labels import label_facts, labels_of
from chgtools.libraries.choice import Source, choose
from chgtools.libraries.ground_state import ground_state_change
from chgtools.start.superposition import superpose
from chgtools.stores.store import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import distance_to_nuclei


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", type=Path)
    parser.add_argument("--upf", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=40)
    arguments = parser.parse_args()
    rows = []
    for path in arguments.stores:
        store = Store.open(path)
        for name in list(store)[:: max(1, len(store) // arguments.limit)][: arguments.limit]:
            entry = store[name]
            structure = entry.structure.with_changes(labels=())
            own = choose(structure, Source(upf=arguments.upf)).densities
            labels = {d.element: same_valence(d.element, d.zval) for d in own}
            if None in labels.values():
                continue
            built_in = choose(structure, Source(labels=labels)).densities
            changes = [ground_state_change(density) for density in built_in]
            ground = [d if change is None else change[0] for d, change in zip(built_in, changes, strict=True)]
            a, b, c = (superpose(structure, entry.shape, densities) for densities in (own, built_in, ground))
            distance = distance_to_nuclei(structure, entry.shape)
            errors = []
            for other in (b, c):
                for radius in (0.0, 0.6, 1.0):
                    outside = distance >= radius
                    errors.append(100 * np.abs(a - other)[outside].sum() / a[outside].sum())
            rows.append([*errors, float(entry.attributes["saed_eps_mae_percent"])])
    values = np.array(rows)
    print(f"{len(rows)} structures    as labelled: cell, > 0.6 Å, > 1 Å     ground states: the same   (DCD)   %")
    for word, take in (("median", 50), ("95th percentile", 95), ("largest", 100)):
        print(f"{word:18s}" + " ".join(f"{x:9.3f}" for x in np.percentile(values, take, axis=0)))


def same_valence(element: str, zval: float) -> str | None:
    """A label whose ZVAL is that of the pseudopotential, the default one first."""
    names = [name for name in labels_of(element) if abs(label_facts(name).zval - zval) < 1e-6]
    return min(names, key=lambda n: (not label_facts(n).is_mp_default, n)) if names else None


if __name__ == "__main__":
    main()
