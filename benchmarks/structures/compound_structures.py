"""Structures of compounds beyond the prototypes, to train on: other crystals with exchanged elements, random cells,
vacancies, slabs and strongly distorted cells.

    from compound_structures import compounds
    for name, kind, source, structure, nspin in compounds(seed, elements): ...

They are computed with compute_data.py. Needs chgnet beside what chgtools needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from pymatgen.core import Composition, Element, Lattice, Structure
from silicon_structures import rattle

KINDS = {"substituted": 5, "random": 2.5, "rattled": 1.5, "vacancy": 1, "slab": 1}
ANIONS = {
    "O": 0.30, "S": 0.12, "Se": 0.06, "F": 0.12, "Cl": 0.10, "N": 0.12, "P": 0.05, "C": 0.06, "Br": 0.04, "I": 0.03,
}  # fmt: skip
MAGNETIC = frozenset("Cr Mn Fe Co Ni".split())
MOST_ATOMS = 12
LARGEST = 200.0  # Å³


def compounds(seed: int, elements: Sequence[str]) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever."""
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(seed)
    kinds, weights = list(KINDS), np.array(list(KINDS.values()))
    makers = {
        "substituted": substituted, "random": random, "rattled": rattled, "vacancy": vacancy, "slab": slab,
    }  # fmt: skip
    while True:
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        try:
            source, structure = makers[kind](rng, list(elements))
        except Exception:  # a cell that CHGNet or pymatgen cannot take is drawn again
            continue
        if not sensible(structure):
            continue
        nspin = 2 if MAGNETIC & {e.symbol for e in structure.composition} else 1
        kind = "rattled-distorted" if kind == "rattled" else kind
        yield f"{structure.composition.reduced_formula}-{kind}", kind, source, structure, nspin


def sensible(structure: Structure) -> bool:
    """Small enough, and no two atoms nearer than 0.6 of the sum of their radii."""
    if not 1 < len(structure) <= MOST_ATOMS or structure.volume > LARGEST:
        return False
    for i, near in enumerate(structure.get_all_neighbors(2.6)):
        for other in near:
            radii = [float(e.atomic_radius or 1.4) for e in (structure[i].specie, other.specie)]
            if other.nn_distance < 0.6 * sum(radii):
                return False
    return True


def substituted(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    """A crystal of AFLOW's encyclopedia with each element exchanged for one of its kind."""
    entry = _prototypes()[int(rng.integers(len(_prototypes())))]
    cell = entry["snl"].structure.get_primitive_structure()
    if len(cell) > MOST_ATOMS:
        raise ValueError("too large")
    mapping: dict[Element, str] = {}
    for old in cell.composition:
        choices = [e for e in elements if e not in mapping.values()]
        weights = np.array([likeness(old, Element(e)) for e in choices])
        mapping[old] = str(rng.choice(choices, p=weights / weights.sum()))
    cell.replace_species(mapping)
    cell = relaxed(cell, 40)
    cell.scale_lattice(cell.volume * rng.uniform(0.96, 1.05))
    return str(entry["tags"]["aflow"]), cell


def random(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    """Atoms of a charge-balanced composition or an alloy in a random cell, relaxed a little."""
    for _ in range(200):
        composition = drawn_composition(rng, elements)
        if composition is not None:
            break
    else:
        raise ValueError("no balanced composition")
    symbols = [str(e) for e, n in composition.get_el_amt_dict().items() for _ in range(int(n))]
    radii = np.array([float(Element(s).atomic_radius or 1.4) for s in symbols])
    matrix = np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    matrix *= (5.0 * float((radii**3).sum()) * rng.uniform(1.0, 1.5) / abs(np.linalg.det(matrix))) ** (1 / 3)
    lattice, places = Lattice(matrix), np.zeros((0, 3))
    for _ in range(4000):
        place, mine = rng.random(3), radii[len(places)]
        wanted = 0.75 * (radii[: len(places)] + mine)
        if not len(places) or (lattice.get_all_distances(place, places)[0] > wanted).all():
            places = np.vstack([places, place])
        if len(places) == len(symbols):
            cell = relaxed(Structure(lattice, symbols, places), int(rng.choice([30, 80])))
            return "packed", cell
    raise ValueError("no room")


def drawn_composition(rng: np.random.Generator, elements: list[str]) -> Composition | None:
    shares = {e: p for e, p in ANIONS.items() if e in elements}
    metals = [e for e in elements if e not in ANIONS]
    cations = [str(e) for e in rng.choice(metals, int(rng.integers(1, 3)), replace=False)]
    if rng.random() < 0.2:
        return Composition({e: int(rng.integers(1, 4)) for e in cations})
    anion = str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
    amounts = {e: int(rng.integers(1, 3)) for e in cations} | {anion: int(rng.integers(1, 6))}
    composition = Composition(amounts)
    if composition.num_atoms > 9 or not composition.oxi_state_guesses(max_sites=-1):
        return None
    return composition


def prototype(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    import structures  # of the tools

    seed = int(rng.integers(1 << 30))
    _, _, source, cell, _ = next(structures.compounds(seed, elements=elements, symmetric_share=1.0))
    return source, cell


def rattled(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    source, cell = substituted(rng, elements) if rng.random() < 0.5 else prototype(rng, elements)
    return source, rattle(cell, rng, rng.uniform(0.08, 0.25), 0.03)


def vacancy(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    source, cell = prototype(rng, elements)
    while len(cell) < 6:
        shortest = int(np.argmin(cell.lattice.abc))
        cell.make_supercell([2 if i == shortest else 1 for i in range(3)])
    cell.remove_sites([int(rng.integers(len(cell)))])
    return source, rattle(cell, rng, rng.uniform(0.0, 0.08), 0.01)


def slab(rng: np.random.Generator, elements: list[str]) -> tuple[str, Structure]:
    """A few layers of a prototype and some vacuum."""
    from pymatgen.core.surface import SlabGenerator

    source, cell = prototype(rng, elements)
    miller = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0, 1)][int(rng.integers(4))]
    slabs = SlabGenerator(cell, miller, 3.0, float(rng.uniform(4, 6)), primitive=True).get_slabs()
    chosen = slabs[int(rng.integers(len(slabs)))]
    cell = Structure(chosen.lattice.matrix, chosen.species, chosen.frac_coords)
    return source, rattle(cell, rng, rng.uniform(0.0, 0.08), 0.01)


def likeness(a: Element, b: Element) -> float:
    """How well one element stands for another, by group and electronegativity; itself now and then."""
    return float(np.exp(-(((a.X or 2.5) - (b.X or 2.5)) ** 2) / 0.15) * (3.0 if a.group == b.group else 1.0))


@cache
def _prototypes() -> list[dict]:
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    return [
        entry for entry in AFLOW_PROTOTYPE_LIBRARY
        if entry["snl"].structure.is_ordered and len(entry["snl"].structure) <= 4 * MOST_ATOMS
    ]  # fmt: skip


def relaxed(structure: Structure, steps: int) -> Structure:
    from silicon_structures import relaxed as relax

    out = relax(structure, steps)
    if not 0.5 < out.volume / structure.volume < 2.2:
        raise ValueError("not bound")
    return out
