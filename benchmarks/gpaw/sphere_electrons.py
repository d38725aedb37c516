"""How many electrons do occupancies put near a nucleus, beside superposed atoms? What `chgtools check` rests on.

    python benchmarks/gpaw/sphere_electrons.py GPAW.h5 [GPAW.h5 ...]

For each element of GPAW's stores: atoms, the sphere of its setup, the free atom's electrons within, and how many more
the density matrices of SCFs have there than superposed atoms: the free one and its neighbours' tails. Then the power
of the check: each matrix is given to every other setup with the same channels, as it would be with a POTCAR whose data
sets are exchanged, and the pairs that it notices are counted. Wants GPAW's setups (gpaw-data) in /usr/share, not GPAW.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import pairwise

import numpy as np
from gpaw_paw import calculations
from gpaw_setups import Setup, setup

from chgtools.check.against_spheres import OFF, SHARE, neighbours_tails, plausible
from chgtools.libraries.choice import Source, choose


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="GPAW.h5")
    found, within = defaultdict(list), {}
    for path in parser.parse_args().stores:
        for calculation in calculations(path):
            structure = calculation.entry.structure.with_changes(labels=())
            own = [setup(element) for element in structure.group_elements]
            tails = neighbours_tails(structure, own, choose(structure, Source()).densities)
            atoms = zip(structure.elements, calculation.matrices, calculation.atomic, tails, strict=True)
            for element, scf, atomic, tail in atoms:
                found[element].append((by_channel(setup(element), scf), tail, calculation.entry.name))
                within[element] = setup(element).electrons_within(by_channel(setup(element), atomic))
    print("element  atoms  sphere, bohr  free atom   more than superposed atoms: least, median, most")
    worst, wrongly = (0.0, "", ""), 0
    for element in sorted(found):
        own, free = setup(element), within[element]
        more = np.array([own.electrons_within(matrix) - free - tail for matrix, tail, _ in found[element]])
        print(f"{element:7s}{len(more):7d}{own.sphere:14.2f}{free:11.2f}{more.min():10.2f}{np.median(more):8.2f}"
              f"{more.max():8.2f}")  # fmt: skip
        for each, (_, tail, name) in zip(more, found[element], strict=True):
            worst = max(worst, (abs(each) / (OFF + SHARE * (free + tail)), element, name))
            wrongly += not plausible(each + free + tail, free + tail)
    print(f"\n{sum(map(len, found.values()))} atoms: noticed wrongly {wrongly}; "
          f"the worst, {worst[1]} in {worst[2]}, at {worst[0]:.2f} of the limit")  # fmt: skip
    exchanged(found, within)


def by_channel(own: Setup, matrix: np.ndarray) -> np.ndarray:
    """(n_j, n_j) Σ_m of a density matrix, what L = 0 of a record holds."""
    parts = [slice(*ends) for ends in pairwise(own.starts)]
    same = np.equal.outer(own.ell, own.ell)
    return np.array([[np.trace(matrix[a, b]) for b in parts] for a in parts]) * same


def exchanged(found: dict[str, list], within: dict[str, float]) -> None:
    total, noticed, pairs, seen_pairs = 0, 0, 0, 0
    for element, other in ((a, b) for a in found for b in found if a != b):
        if setup(other).ell.tolist() != setup(element).ell.tolist():
            continue
        seen = [
            not plausible(setup(other).electrons_within(matrix), within[other] + tail)
            for matrix, tail, _ in found[element]
        ]
        total, noticed, pairs, seen_pairs = total + len(seen), noticed + sum(seen), pairs + 1, seen_pairs + any(seen)
    print(f"given to another element's setup with the same channels: noticed {noticed} of {total} matrices, "
          f"{seen_pairs} of {pairs} pairs of elements")  # fmt: skip


if __name__ == "__main__":
    main()
