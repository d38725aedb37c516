"""Densities of small systems by GPAW with its own Hirshfeld charges, for charges_reference.py: runs in GPAW's Python.

Writes OUT/NAME.npz: lattice (3, 3) Å, fractional (n, 3), numbers (n,), density (nx, ny, nz) electrons/Å³ (pseudo
density and compensation charges, what a CHGCAR holds), charges (n,) of gpaw.analyse.hirshfeld: all-electron density and
all-electron atoms, cores included. OUT/atoms/ELEMENT.npy is (2, n_q), q in 1/Å and the form factor of GPAW's free atom,
pseudo density and compensation charges, as its own partition has it: made of the confined orbitals of the basis, whose
tails end at 3 Å. What is there already is kept.

usage: /usr/bin/python3 benchmarks/files/charges_gpaw.py OUT
"""

import sys
from pathlib import Path

import numpy as np
from ase.build import bulk, molecule
from ase.data import atomic_numbers
from ase.units import Bohr
from gpaw import GPAW
from gpaw.analyse.hirshfeld import HirshfeldPartitioning
from gpaw.setup import Setups
from gpaw.xc import XC

BASIS = "dzp"


def systems():
    for name in ("H2O", "CO", "CH3OH", "LiF", "NaCl"):
        atoms = molecule(name)
        atoms.set_cell([8.64] * 3)
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


def form_factor(setup):
    """(2, n_q): q in 1/Å, and the spherical starting atom of GPAW, electrons."""
    radius = np.linspace(0, 12, 3001)  # bohr
    occupations = setup.calculate_initial_occupation_numbers(0, False, 0, 1)
    density, i = np.zeros_like(radius), 0
    for wave in setup.phit_j:
        ell = wave.get_angular_momentum_number()
        density += occupations[0, i] * (2 * ell + 1) * (wave.map(radius) * radius**ell) ** 2 / (4 * np.pi)
        i += 2 * ell + 1
    matrix = setup.initialize_density_matrix(occupations).sum(0)
    compensation = float((matrix @ setup.Delta_pL)[0]) * np.sqrt(4 * np.pi)
    q = 0.01 * np.arange(1600)  # 1/bohr
    shells = 4 * np.pi * radius**2 * density * radius[1]
    waves = np.array([shells @ np.sinc(k * radius / np.pi) for k in q])
    gauss = np.exp(-((q * setup.data.shape_function["rc"]) ** 2) / 4)
    return np.array([q / Bohr, waves * (setup.Nv - compensation) / waves[0] + compensation * gauss])


def main(out):
    for element in ("H", "Li", "C", "O", "F", "Na", "Mg", "Si", "Cl"):
        setup = Setups([atomic_numbers[element]], {}, {None: BASIS}, XC("PBE"))[0]
        np.save(out / "atoms" / element, form_factor(setup))
    for name, atoms, k in systems():
        file = out / f"{name}.npz"
        if file.exists():
            continue
        atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
        atoms.pbc = True
        calc = GPAW(
            mode="lcao",
            basis=BASIS,
            xc="PBE",
            h=0.18,
            kpts=(k, k, k),
            txt=None,
            occupations={"name": "fermi-dirac", "width": 0.05},
        )
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
