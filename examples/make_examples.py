"""Write the POSCARs of this folder again: python examples/make_examples.py [FOLDER]. Needs ASE."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from chgtools.formats import poscar
from chgtools.formats.structures import as_structure

RATTLE_ANGSTROM = 0.05
SEED = 7


def silicon() -> Atoms:
    """Diamond, primitive cell, a = 5.431 Å."""
    return bulk("Si", "diamond", a=5.431)


def perovskite() -> Atoms:
    """SrTiO3, a = 3.905 Å, 2 x 2 x 2 cells, every atom moved by a normal deviate of 0.05 Å along each axis."""
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)]
    cell = crystal(("Sr", "Ti", "O"), sites, spacegroup=221, cellpar=[3.905] * 3 + [90] * 3)
    atoms = make_supercell(cell, 2 * np.eye(3))
    atoms.rattle(RATTLE_ANGSTROM, seed=SEED)
    return atoms


def slab() -> Atoms:
    """NH3 over a Mg atom of MgO(001): 4 x 4 surface cells, 3 layers (96 atoms), 15 Å of vacuum; 100 atoms."""
    side, layer = 4.212 / np.sqrt(2), 4.212 / 2
    symbols, positions = [], []
    for k in range(3):
        for i in range(4):
            for j in range(4):
                corner, middle = (i * side, j * side), ((i + 0.5) * side, (j + 0.5) * side)
                mg, o = (corner, middle) if k % 2 == 0 else (middle, corner)
                symbols += ["Mg", "O"]
                positions += [(*mg, k * layer), (*o, k * layer)]
    top = 2 * layer
    nitrogen = np.array([2 * side, 2 * side, top + 2.25])
    symbols += ["N", "H", "H", "H"]
    positions.append(tuple(nitrogen))
    for angle in np.radians([90, 210, 330]):
        positions.append(tuple(nitrogen + np.array([0.94 * np.cos(angle), 0.94 * np.sin(angle), 0.38])))
    atoms = Atoms(symbols, positions, cell=[4 * side, 4 * side, top + 15.0], pbc=True)
    atoms.positions[:, 2] += 1.0
    return atoms


def main(folder: Path) -> None:
    for name, atoms, title in (
        ("si", silicon(), "Si, diamond, primitive cell"),
        ("perovskite", perovskite(), "SrTiO3, 2x2x2, rattled by 0.05 A"),
        ("slab", slab(), "NH3 on MgO(001), 3 layers, 15 A of vacuum"),
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        symbols = atoms.get_chemical_symbols()
        by_species = atoms[sorted(range(len(atoms)), key=lambda index: symbols.index(symbols[index]))]
        structure = as_structure(by_species)
        frac = np.round(structure.frac, 14) + 0.0  # no negative zeros
        poscar.write(structure.with_changes(comment=title, frac=frac), folder / name / "POSCAR")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
