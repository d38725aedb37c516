"""Molecules beyond ase's G2 set, to train on: its closed-shell molecules with some hydrogens replaced by groups, and
some atoms at their ends by those one row below.

    from molecule_structures import molecules
    for name, kind, source, structure, nspin in molecules(seed): ...

They were computed with Quantum ESPRESSO as README.md of ``data`` says. Needs ase.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pymatgen.core import Structure

ELEMENTS = {"H", "C", "N", "O", "F", "S", "Cl", "Si", "P"}
# group: atoms as (symbol, position along and across the bond in Å, the first bound to the molecule)
GROUPS = {
    "F": [("F", (1.36, 0, 0))],
    "Cl": [("Cl", (1.76, 0, 0))],
    "OH": [("O", (1.41, 0, 0)), ("H", (1.71, 0.91, 0))],
    "SH": [("S", (1.81, 0, 0)), ("H", (1.95, 1.33, 0))],
    "NH2": [("N", (1.45, 0, 0)), ("H", (1.80, 0.81, 0.5)), ("H", (1.80, -0.81, 0.5))],
    "CH3": [("C", (1.52, 0, 0)), ("H", (1.89, 1.03, 0)), ("H", (1.89, -0.51, 0.89)), ("H", (1.89, -0.51, -0.89))],
    "CN": [("C", (1.46, 0, 0)), ("N", (2.62, 0, 0))],
    "CHO": [("C", (1.51, 0, 0)), ("O", (2.12, 1.04, 0)), ("H", (2.03, -0.98, 0))],
}
NEAREST = 1.3  # Å, of a new atom to those it is not bound to
BELOW = {"C": "Si", "N": "P", "O": "S", "F": "Cl"}
LONGER = {"C": 0.36, "N": 0.40, "O": 0.40, "F": 0.38}  # Å, bonds of the atom below to a heavy atom
TO_HYDROGEN = {"C": 0.39, "N": 0.40, "O": 0.38, "F": 0.36}  # Å, likewise to hydrogen
BONDS = {"C": 0.0, "N": -0.06, "O": -0.09, "S": 0.3, "Si": 0.35, "P": 0.3}  # Å more than from carbon


def molecules(seed: int, vacuum: float = 2.6, most_atoms: int = 11) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever."""
    from ase import Atoms
    from ase.collections import g2
    from pymatgen.io.ase import AseAtomsAdaptor

    rng = np.random.default_rng(seed)
    names = [name for name in g2.names if _fits(g2[name])]
    while True:
        name = str(rng.choice(names))
        atoms, source = g2[name], name
        for _ in range(int(rng.integers(1, 3))):
            changed = _substituted(atoms, str(rng.choice(list(GROUPS))), rng)
            if changed is not None:
                atoms, group = changed
                source += "-" + group
        if rng.random() < 0.6:
            changed = _one_row_below(atoms, rng)
            if changed is not None:
                atoms, below = changed
                source += "-" + below
        distances = atoms.get_all_distances() + 9 * np.eye(len(atoms))
        if source == name or len(atoms) > most_atoms or distances.min() < 0.9:
            continue
        atoms = Atoms(atoms.symbols, atoms.positions)
        atoms.rotate(float(rng.uniform(0, 180)), rng.normal(size=3))
        atoms.rattle(0.04, seed=int(rng.integers(1 << 30)))
        atoms.center(vacuum)
        atoms.pbc = True
        yield f"{atoms.get_chemical_formula()}-{source}", "molecule", source, AseAtomsAdaptor.get_structure(atoms), 1


def _fits(atoms) -> bool:
    symbols = atoms.get_chemical_symbols()
    open_shell = sum(atoms.numbers) % 2 or abs(atoms.get_initial_magnetic_moments()).sum() > 0
    heavy = [s for s in symbols if s in BONDS]
    return set(symbols) <= ELEMENTS and "H" in symbols and bool(heavy) and not open_shell and len(atoms) > 3


def _substituted(atoms, group: str, rng: np.random.Generator):
    """The molecule with one hydrogen replaced, and the group; None where it has none on a heavy atom or no room."""
    positions, symbols = atoms.positions, atoms.get_chemical_symbols()
    hydrogens = [i for i, s in enumerate(symbols) if s == "H"]
    if not hydrogens:
        return None
    leaving = int(rng.choice(hydrogens))
    others = [i for i in range(len(atoms)) if i != leaving]
    root = min(others, key=lambda i: np.linalg.norm(positions[i] - positions[leaving]))
    if symbols[root] not in BONDS:
        return None
    along = positions[leaving] - positions[root]
    along /= np.linalg.norm(along)
    across = np.cross(along, rng.normal(size=3))
    across /= np.linalg.norm(across)
    frame = np.array([along, across, np.cross(along, across)])
    result = atoms.copy()
    del result[leaving]
    shift = np.array([BONDS[symbols[root]], 0.0, 0.0])
    added = [(symbol, positions[root] + (np.array(place) + shift) @ frame) for symbol, place in GROUPS[group]]
    rest = np.delete(positions, [leaving, root], axis=0)
    if min(np.linalg.norm(rest - place, axis=1).min() for _, place in added) < NEAREST:
        return None
    for symbol, place in added:
        result.append(symbol)
        result.positions[-1] = place
    return result, group


def _one_row_below(atoms, rng: np.random.Generator):
    """The molecule with an atom that has one heavy neighbour at most replaced by that below it, and its symbol.

    None where there is none. The atom's hydrogens go with it, on longer bonds.
    """
    symbols, positions = atoms.get_chemical_symbols(), atoms.positions
    bonded = [
        [j for j in range(len(atoms)) if j != i and np.linalg.norm(positions[j] - positions[i]) < _reach(symbols, i, j)]
        for i in range(len(atoms))
    ]
    ends = [
        i
        for i, symbol in enumerate(symbols)
        if symbol in BELOW and sum(symbols[j] != "H" for j in bonded[i]) == 1 and len(bonded[i]) > 0
    ]
    if not ends:
        return None
    place = int(rng.choice(ends))
    symbol = symbols[place]
    root = next(j for j in bonded[place] if symbols[j] != "H")
    away = positions[place] - positions[root]
    away *= LONGER[symbol] / np.linalg.norm(away)
    result = atoms.copy()
    for j in bonded[place]:
        if symbols[j] == "H":
            bond = positions[j] - positions[place]
            result.positions[j] += away + bond * TO_HYDROGEN[symbol] / np.linalg.norm(bond)
    result.positions[place] += away
    result.symbols[place] = BELOW[symbol]
    return result, BELOW[symbol]


def _reach(symbols, i: int, j: int) -> float:
    """Å within which two atoms of a molecule are bonded."""
    if "H" in (symbols[i], symbols[j]):
        return 1.25 if {symbols[i], symbols[j]} & {"H", "C", "N", "O", "F"} == {symbols[i], symbols[j]} else 1.65
    small = {symbols[i], symbols[j]} <= {"C", "N", "O", "F"}
    return 1.75 if small else 2.35
