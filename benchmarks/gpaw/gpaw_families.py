"""Structures of four families for GPAW, as a user of one material would have them: MgO, GaAs, Cu-Al, TiN.

    python benchmarks/gpaw/gpaw_families.py STRUCTURES.h5 --count 25 [--seed 1]
    /usr/bin/python3 DFT/tools/run_gpaw.py GPAW.h5 STRUCTURES.h5

STRUCTURES.h5 has no densities: lattice, species, positions and k-mesh, in the layout that run_gpaw.py reads. The
families come in turn, so that a run that is stopped has some of each; each structure is strained by up to 5 % and has
its atoms moved by up to 0.15 Å, one in four is the ideal one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from pymatgen.core import Lattice, Structure

SPACING = 0.50  # of k-points, 1/Å with 2π
DISTORTED = 0.75  # share


def fcc(species: list[str], a: float, places: list[list[float]], group: str = "Fm-3m") -> Structure:
    return Structure.from_spacegroup(group, Lattice.cubic(a), species, places).get_primitive_structure()


def binary(cation: str, anion: str, bond: float) -> list[tuple[str, Structure]]:
    """Cells of two and four atoms with bonds of about ``bond`` Å (that of rocksalt)."""
    pair = [cation, anion]
    small = 0.93 * bond
    a = small * np.sqrt(8 / 3)
    wurtzite = Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(a, 1.633 * a), pair, [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.375]]
    )
    nias = Structure.from_spacegroup(
        "P6_3/mmc",
        Lattice.hexagonal(bond * 1.41, 1.4 * bond * 1.41),
        pair,
        [[0, 0, 0], [1 / 3, 2 / 3, 0.25]],
    )
    return [
        ("rocksalt", fcc(pair, 2 * bond, [[0, 0, 0], [0.5, 0.5, 0.5]])),
        ("zincblende", fcc(pair, 4 * small / np.sqrt(3), [[0, 0, 0], [0.25, 0.25, 0.25]], "F-43m")),
        ("CsCl", Structure(Lattice.cubic(2.12 * bond / np.sqrt(3)), pair, [[0, 0, 0], [0.5, 0.5, 0.5]])),
        ("wurtzite", wurtzite),
        ("NiAs", nias),
        ("rocksalt-layered", fcc(pair, 2 * bond, [[0, 0, 0], [0.5, 0.5, 0.5]]) * (1, 1, 2)),
    ]


def alloy(first: str, second: str, a: float, b: float) -> list[tuple[str, Structure]]:
    """Elements and alloys on close-packed and body-centred lattices; a, b : Å, of the fcc elements."""
    middle = (a + b) / 2
    found = []
    for symbol, edge in ((first, a), (second, b)):
        found += [
            (f"fcc-{symbol}", fcc([symbol], edge, [[0, 0, 0]])),
            (f"bcc-{symbol}", fcc([symbol], edge * 0.794, [[0, 0, 0]], "Im-3m") * (1, 1, 2)),
        ]
    tetragonal = Structure(
        Lattice.tetragonal(middle / np.sqrt(2), middle), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    found += [
        ("L1_0", tetragonal),
        ("B2", Structure(Lattice.cubic(middle * 0.794), [first, second], [[0, 0, 0], [0.5, 0.5, 0.5]])),
    ]
    for minor, major in ((first, second), (second, first)):
        places = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
        found.append((f"L1_2-{minor}", Structure(Lattice.cubic(middle), [minor, major, major, major], places)))
    return found


def families() -> dict[str, list[tuple[str, Structure]]]:
    return {
        "MgO": binary("Mg", "O", 2.11),
        "GaAs": binary("Ga", "As", 2.63),
        "CuAl": alloy("Cu", "Al", 3.63, 4.04),
        "TiN": binary("Ti", "N", 2.12),
    }


def changed(structure: Structure, rng: np.random.Generator) -> tuple[Structure, bool]:
    """A structure at another volume, and in most cases strained and rattled; whether it was."""
    ideal = structure.copy()
    ideal.scale_lattice(ideal.volume * rng.uniform(0.93, 1.07))
    if rng.random() > DISTORTED:
        return ideal, False
    matrix = ideal.lattice.matrix @ (np.eye(3) + rng.normal(scale=0.025, size=(3, 3)))
    strained = Structure(matrix, ideal.species, ideal.frac_coords)
    shift = rng.normal(scale=rng.uniform(0.03, 0.09), size=(len(strained), 3))
    return Structure(matrix, strained.species, strained.cart_coords + shift, coords_are_cartesian=True), True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--count", type=int, default=25, help="of each family")
    parser.add_argument("--families", nargs="+", default=list(families()))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with h5py.File(arguments.store, "w") as file:
        for number in range(arguments.count):
            for family in arguments.families:
                members = families()[family]
                source, start = members[number % len(members)]
                structure, distorted = changed(start.get_sorted_structure(), rng)
                group = file.create_group(f"{family}-{source}-f{arguments.seed}n{number}")
                group["lattice"], group["fractional"] = structure.lattice.matrix, structure.frac_coords % 1
                group["species"] = np.array([s.specie.symbol.encode() for s in structure])
                group["dcd"], group["shape"] = np.zeros((0, 2), "f4"), np.ones(3, int)
                b = np.linalg.norm(structure.lattice.reciprocal_lattice.matrix, axis=1)
                group.attrs["kmesh"] = [max(1, int(np.ceil(x / SPACING))) for x in b]
                kind = f"{family}-distorted" if distorted else family
                group.attrs.update({"g_max": 0.1, "formula": structure.composition.reduced_formula, "kind": kind})
                group.attrs.update({"source": source, "nelectrons": 0.0, "seconds": float(number)})


if __name__ == "__main__":
    main()
