"""Densities of small systems by GPAW with its own Hirshfeld charges, for charges_reference.py: runs in GPAW's Python.

Writes OUT/NAME.npz: lattice (3, 3) Å, fractional (n, 3), numbers (n,), valence (n,), density (nx, ny, nz) electrons/Å³
(pseudo density and compensation charges, what a CHGCAR holds), charges (n,) of gpaw.analyse.hirshfeld: all-electron
density and all-electron atoms, cores included. OUT/atoms/ELEMENT.npy is (2, n): r in Å and the free atom of that
partition there, electrons/Å³, core included; it is of the orbitals that GPAW starts with, which end at 3 to 4 Å. What
is there already is kept.

    python benchmarks/files/charges_gpaw.py OUT        (a Python that has GPAW)
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.units import Bohr
from gpaw import GPAW
from gpaw.analyse.hirshfeld import HirshfeldDensity, HirshfeldPartitioning

BOX = 8.64  # Å


def systems():
    for name in ("H2O", "CO", "CH3OH", "LiF", "NaCl"):
        atoms = molecule(name)
        atoms.set_cell([BOX] * 3)
        atoms.center()
        yield name, atoms, 1
    for name, kind, a in (("MgO", "rocksalt", 4.21), ("NaCl", "rocksalt", 5.64), ("SiC", "zincblende", 4.36)):
        yield f"{name}-crystal", bulk(name, kind, a=a, cubic=True), 2


def pseudo_density(calc):
    """(nx, ny, nz) electrons/Å³ on the fine grid, without the smooth cores."""
    density = calc.density
    compensation = density.finegd.zeros()
    moments = {a: np.ascontiguousarray(m.sum(0) @ density.setups[a].Delta_pL) for a, m in density.D_asp.items()}
    density.ghat.add(compensation, moments)
    core = density.finegd.zeros()
    density.interpolator.apply(density.nct_G * density.nspins, core)
    return (density.nt_sg.sum(0) - core + compensation) / Bohr**3


def calculator(k):
    smearing = {"name": "fermi-dirac", "width": 0.05}
    return GPAW(mode="lcao", basis="dzp", xc="PBE", h=0.18, kpts=(k, k, k), txt=None, occupations=smearing)


def free_atom(element):
    """(2, n): distances in Å up to half the box, and the density of GPAW's free atom there, electrons/Å³."""
    atoms = Atoms(element, cell=[BOX] * 3, positions=[[BOX / 2] * 3], pbc=True)
    calc = atoms.calc = calculator(1)
    calc.initialize(atoms)
    calc.set_positions(atoms)
    density = HirshfeldDensity(calc).get_density([0])[0]
    x2 = ((np.arange(len(density)) / len(density) - 0.5) * BOX) ** 2
    r = np.sqrt(x2[:, None, None] + x2[:, None] + x2).ravel()
    order = np.argsort(r)
    order = order[r[order] < BOX / 2]
    return np.array([r[order], density.ravel()[order] / Bohr**3])


def main(out):
    for element in ("H", "Li", "C", "O", "F", "Na", "Mg", "Si", "Cl"):
        if not (out / "atoms" / f"{element}.npy").exists():
            np.save(out / "atoms" / element, free_atom(element))
    for name, atoms, k in systems():
        file = out / f"{name}.npz"
        if file.exists():
            continue
        atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
        atoms.pbc = True
        calc = calculator(k)
        atoms.calc = calc
        atoms.get_potential_energy()
        charges = np.array(HirshfeldPartitioning(calc).get_charges())
        np.savez(
            file,
            lattice=atoms.cell[:],
            fractional=atoms.get_scaled_positions(),
            numbers=atoms.numbers,
            density=pseudo_density(calc),
            charges=charges,
            valence=[setup.Nv for setup in calc.setups],
        )
        print(name, atoms.get_chemical_formula(), charges.round(4).tolist(), flush=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    (out / "atoms").mkdir(parents=True, exist_ok=True)
    main(out)
