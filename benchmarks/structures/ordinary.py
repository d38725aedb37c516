"""Small cells of the compounds that are computed most, those pairs of elements first that the training lacks.

    from ordinary import ordinary
    for name, kind, source, structure, nspin in ordinary(seed, stores): ...

Real Li2O was off by 2.2 % when two of 1400 structures held lithium and oxygen, and none aluminium and oxygen: elements
had been covered, bonds had not. So a pair of elements is drawn by how often the two are met in inorganic compounds
(POPULAR, rough) and by how few structures of the stores hold both, then a prototype of prototypes.py where they are
cation and anion (seldom one where they are no ions), small ones first, and its other elements likewise.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from materials import LARGEST, MAGNETIC, Choice, Relaxer, at_hand, available, pick, relaxed, scaled
from pymatgen.core import Structure

from chgtools.stores.store import Store

# How often an element stands in the inorganic compounds that people compute, oxygen 10; an estimate, to draw by.
POPULAR = {
    "O": 10, "S": 3.5, "F": 3, "Cl": 2.5, "N": 2.5, "Se": 2.2, "P": 2, "H": 2, "C": 2, "Si": 2, "B": 1.5, "Te": 1.5,
    "Br": 1.5, "I": 1.5, "As": 1.2, "Sb": 1.2, "Ge": 1.2, "Li": 3, "Na": 2.5, "K": 2.2, "Rb": 1, "Cs": 1.3, "Be": 0.5,
    "Mg": 2.5, "Ca": 2.2, "Sr": 1.8, "Ba": 2, "Sc": 0.7, "Y": 1, "Ti": 2.5, "Zr": 1.5, "Hf": 0.7, "V": 1.8, "Nb": 1.2,
    "Ta": 1, "Cr": 1.5, "Mo": 1.5, "W": 1.2, "Mn": 2.5, "Re": 0.4, "Fe": 3, "Ru": 0.6, "Os": 0.2, "Co": 2.5, "Rh": 0.5,
    "Ir": 0.5, "Ni": 2.3, "Pd": 0.7, "Pt": 0.8, "Cu": 2.3, "Ag": 1.2, "Au": 0.7, "Zn": 2, "Cd": 1, "Hg": 0.6, "Al": 3,
    "Ga": 1.7, "In": 1.3, "Tl": 0.6, "Sn": 1.6, "Pb": 1.3, "Bi": 1.3,
}  # fmt: skip
MOST_ATOMS = 10  # corundum
NO_IONS = 0.02  # the weight of two elements in a prototype where they have no opposite charges


def ordinary(
    seed: int, stores: Sequence[Path] = (), relax: Relaxer | None = relaxed
) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever; no formula comes twice in one prototype."""
    warnings.filterwarnings("ignore")
    rng, seen, held = np.random.default_rng(seed), set(), counted(stores)
    choices = [c for c in available(tuple(POPULAR)) if len(c.prototype.cell()) <= MOST_ATOMS]
    pairs = possible(choices)
    while True:
        names = sorted(pairs)
        weights = [wanted(p, pairs[p], held[p]) for p in names]
        choice, symbols = drawn(rng, choices, names[pick(rng, range(len(names)), weights)], held)
        own = np.random.default_rng(rng.integers(1 << 62))  # what comes next does not depend on the relaxation
        name = choice.prototype.name
        start = scaled(choice.prototype.decorated(symbols))
        formula = start.composition.reduced_formula
        if len(set(symbols)) < len(symbols) or (formula, name) in seen or start.volume > LARGEST:
            continue
        seen.add((formula, name))
        held.update(pairs_of(symbols))
        if (found := at_hand(start, "ordinary", own, relax)) is None:
            continue
        structure, kind = found
        yield f"{formula}-{name}", kind, f"{choice.prototype.family} {name}", structure, 1 + bool(MAGNETIC & {*symbols})


def counted(stores: Sequence[Path]) -> Counter:
    """How many structures hold both elements of a pair, (element, element) in alphabetical order."""
    return Counter(
        pair for store in map(Store.open, stores) for _, facts in store.facts() for pair in pairs_of(facts["elements"])
    )


def pairs_of(symbols: Sequence[str]) -> list[tuple[str, str]]:
    return list(combinations(sorted(set(symbols)), 2))


def possible(choices: Sequence[Choice]) -> dict[tuple[str, str], float]:
    """Pairs that some prototype holds: 1 where they are ions of opposite charges in one, else NO_IONS."""
    found: dict[tuple[str, str], float] = {}
    for choice in choices:
        for (left, one), (right, other) in combinations(choice.sites, 2):
            weight = 1.0 if (one or 0) * (other or 0) < 0 else NO_IONS
            for pair in {tuple(sorted((a, b))) for a in left for b in right if a != b}:
                found[pair] = max(found.get(pair, 0.0), weight)
    return found


def wanted(pair: tuple[str, str], ions: float, count: int) -> float:
    """The weight of a pair that ``count`` structures hold; ions : that of :func:`possible`"""
    return ions * POPULAR[pair[0]] * POPULAR[pair[1]] / (1 + count)


def drawn(
    rng: np.random.Generator, choices: Sequence[Choice], pair: tuple[str, str], held: Counter
) -> tuple[Choice, list[str]]:
    """A prototype that has both elements and, for its other roles, popular elements that are lacking beside them."""
    fitting, weights = [], []
    for choice in choices:
        for i, j in combinations(range(len(choice.sites)), 2):
            for first, second in ((i, j), (j, i)):
                if pair[0] in choice.sites[first][0] and pair[1] in choice.sites[second][0]:
                    ions = (choice.sites[i][1] or 0) * (choice.sites[j][1] or 0) < 0
                    fitting.append((choice, first, second))
                    weights.append((1.0 if ions else NO_IONS) / len(choice.prototype.cell()))
    choice, first, second = fitting[pick(rng, range(len(fitting)), weights)]
    symbols = {first: pair[0], second: pair[1]}
    for role, (names, _) in enumerate(choice.sites):
        if role not in symbols:
            likely = [
                POPULAR[e] * float(np.mean([1 / (1 + held[tuple(sorted((e, other)))]) for other in symbols.values()]))
                for e in names
            ]
            symbols[role] = pick(rng, names, likely)
    return choice, [symbols[role] for role in range(len(choice.sites))]
