"""Structures of silicon beyond its phases, to train on: defects, surfaces, clathrates, networks, random cells, liquids.

    from silicon_structures import silicon
    for name, kind, source, structure, nspin in silicon(seed): ...

They were computed with Quantum ESPRESSO as README.md of ``data`` says. Needs chgnet beside what chgtools needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
from pymatgen.core import Lattice, Structure

BOND = 2.35  # Å
KINDS = {"vacancy": 2, "interstitial": 1, "surface": 2, "network": 6, "random": 7, "liquid": 2, "clathrate": 0.4}


def silicon(seed: int) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever."""
    rng = np.random.default_rng(seed)
    kinds, weights = list(KINDS), np.array(list(KINDS.values()))
    makers = {
        "vacancy": vacancy, "interstitial": interstitial, "surface": surface, "network": network, "random": random,
        "liquid": liquid, "clathrate": clathrate,
    }  # fmt: skip
    while True:
        kind = str(rng.choice(kinds, p=weights / weights.sum()))
        try:
            source, structure = makers[kind](rng)
        except (ValueError, RuntimeError):
            continue
        distances = structure.distance_matrix + 9 * np.eye(len(structure))
        images = [n.nn_distance for near in structure.get_all_neighbors(2.0) for n in near]
        if distances.min() < 2.0 or images or len(structure) > 46:
            continue
        yield f"Si{len(structure)}-{kind}", kind, source, structure, 1


def diamond(rng: np.random.Generator, repeat: int = 0) -> Structure:
    """A strained cubic cell of 8 atoms, or a primitive one repeated."""
    cell = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.46), ["Si"], [[0, 0, 0]])
    if repeat:
        cell = cell.get_primitive_structure()
        cell.make_supercell([repeat, repeat, repeat])
    cell.scale_lattice(cell.volume * rng.uniform(0.92, 1.08))
    return cell


def rattle(structure: Structure, rng: np.random.Generator, amplitude: float, strain: float = 0.015) -> Structure:
    matrix = structure.lattice.matrix @ (np.eye(3) + rng.normal(scale=strain, size=(3, 3)))
    strained = Structure(matrix, structure.species, structure.frac_coords)
    shift = rng.normal(scale=amplitude, size=(len(strained), 3))
    return Structure(matrix, strained.species, strained.cart_coords + shift, coords_are_cartesian=True)


def vacancy(rng: np.random.Generator) -> tuple[str, Structure]:
    repeat = int(rng.choice([0, 0, 2]))
    cell = diamond(rng, repeat)
    removed = 2 if repeat and rng.random() < 0.3 else 1
    cell.remove_sites(list(rng.choice(len(cell), removed, replace=False)))
    if rng.random() < 0.4:
        cell = relaxed(cell, 15)
    return f"{removed} of diamond{len(cell) + removed}", rattle(cell, rng, rng.uniform(0.0, 0.12))


def interstitial(rng: np.random.Generator) -> tuple[str, Structure]:
    cell = diamond(rng, int(rng.choice([0, 2])))
    place = cell[0].frac_coords + np.array([0.5, 0.5, 0.5]) / (1 if len(cell) == 8 else 2)
    cell.append("Si", place)
    return f"diamond{len(cell) - 1}", rattle(cell, rng, rng.uniform(0.02, 0.1))


def surface(rng: np.random.Generator) -> tuple[str, Structure]:
    from pymatgen.core.surface import SlabGenerator

    miller = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 3), (2, 1, 0)][int(rng.integers(5))]
    bulk = diamond(rng)
    slabs = SlabGenerator(bulk, miller, float(rng.uniform(5, 9)), float(rng.uniform(4, 7)), primitive=True).get_slabs()
    slab = slabs[int(rng.integers(len(slabs)))]
    if len(slab) > 14:
        raise ValueError("too large")
    cell = Structure(slab.lattice.matrix, slab.species, slab.frac_coords)
    if rng.random() < 0.5:
        cell = relaxed(cell, 20, cell=False)
    return "diamond" + "".join(map(str, miller)), rattle(cell, rng, rng.uniform(0.0, 0.12), 0.01)


def clathrate(rng: np.random.Generator) -> tuple[str, Structure]:
    if rng.random() < 0.7:
        name, group, a = "Si34", "Fd-3m", 14.7
        sites = [[1 / 8, 1 / 8, 1 / 8], [0.2177, 0.2177, 0.2177], [0.0671, 0.0671, 0.3714]]
    else:
        name, group, a = "Si46", "Pm-3n", 10.2
        sites = [[0.25, 0, 0.5], [0.1837, 0.1837, 0.1837], [0, 0.3085, 0.1173]]
    cell = Structure.from_spacegroup(group, Lattice.cubic(a), ["Si"] * 3, sites).get_primitive_structure()
    cell.scale_lattice(cell.volume * rng.uniform(0.94, 1.05))
    return name, rattle(cell, rng, rng.uniform(0.0, 0.02), 0.003) if rng.random() < 0.3 else cell


def network(rng: np.random.Generator) -> tuple[str, Structure]:
    """A prototype of AFLOW with silicon on its sites, or on those of the cation of an AB2 compound."""
    entry = _prototypes()[int(rng.integers(len(_prototypes())))]
    cell = entry.copy()
    cell = relaxed(scaled_to_bond(cell), 60)
    if len(cell) > 20 or not 11 < cell.volume / len(cell) < 45:
        raise ValueError("too large or not bound")
    return f"prototype{len(cell)}", rattle(cell, rng, rng.choice([0.0, 0.03, 0.1]), 0.012)


def random(rng: np.random.Generator) -> tuple[str, Structure]:
    cell = relaxed(packed(rng, int(rng.integers(2, 11)), rng.uniform(15, 26), 2.1), int(rng.choice([30, 80])))
    if not 11 < cell.volume / len(cell) < 40:
        raise ValueError("not bound")
    return "relaxed", rattle(cell, rng, rng.choice([0.0, 0.04, 0.1]), 0.015)


def liquid(rng: np.random.Generator) -> tuple[str, Structure]:
    cell = packed(rng, int(rng.integers(6, 15)), rng.uniform(15.5, 20), 2.1)
    return "packed", rattle(relaxed(cell, int(rng.choice([3, 8]))), rng, 0.05)


def packed(rng: np.random.Generator, count: int, volume_per_atom: float, shortest: float) -> Structure:
    matrix = np.eye(3) + rng.normal(scale=0.2, size=(3, 3))
    matrix *= (count * volume_per_atom / abs(np.linalg.det(matrix))) ** (1 / 3)
    lattice, places = Lattice(matrix), np.zeros((0, 3))
    for _ in range(4000):
        place = rng.random(3)
        if not len(places) or lattice.get_all_distances(place, places).min() > shortest:
            places = np.vstack([places, place])
        if len(places) == count:
            return Structure(lattice, ["Si"] * count, places)
    raise ValueError("no room")


def scaled_to_bond(structure: Structure) -> Structure:
    near = min(n.nn_distance for around in structure.get_all_neighbors(6.0) for n in around)
    return Structure(structure.lattice.matrix * (BOND / near), ["Si"] * len(structure), structure.frac_coords)


@cache
def _prototypes() -> list[Structure]:
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    found = []
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        cell = entry["snl"].structure.get_primitive_structure()
        if not cell.is_ordered or len(cell) > 36:
            continue
        counts = cell.composition.get_el_amt_dict()
        if len(counts) == 1 and len(cell) <= 20:
            found.append(cell)
        elif len(counts) == 2 and {e.symbol for e in cell.composition} & {"O", "S", "Se", "F"}:
            cation = next((e for e in counts if e not in ("O", "S", "Se", "F")), None)
            if cation and 1 < counts[cation] <= 14 and counts[cation] * 2 == len(cell) - counts[cation]:
                cell.remove_species([e for e in counts if e != cation])
                found += [cell, cell]
    return found


@cache
def _relaxer():
    from chgnet.model import StructOptimizer

    warnings.filterwarnings("ignore")
    return StructOptimizer()


def relaxed(structure: Structure, steps: int, cell: bool = True) -> Structure:
    out = _relaxer().relax(structure, verbose=False, steps=steps, fmax=0.05, relax_cell=cell)["final_structure"]
    return Structure(out.lattice.matrix, out.species, out.frac_coords)
