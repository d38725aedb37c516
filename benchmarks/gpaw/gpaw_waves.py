"""Wave functions of crystals as plane waves, for projected_waves.py: runs in GPAW's Python.

    python benchmarks/gpaw/gpaw_waves.py NAME OUT.npz

NAME is one of CRYSTALS. OUT holds, for each k-point, (n_G, 3) wave vectors in 1/bohr, (n_bands, n_G) amplitudes of
ψ(r) = Σ c exp(i q·r), (n_bands,) occupations with the point's weight and both spins; positions in bohr, and the density
matrix of each atom as GPAW makes it of these functions. No symmetry is used.
"""

from __future__ import annotations

import sys

import numpy as np

CRYSTALS = {"Si": ("diamond", 5.43), "MgO": ("rocksalt", 4.212), "GaAs": ("zincblende", 5.653), "Cu": ("fcc", 3.615)}


def main() -> None:
    from ase.build import bulk
    from ase.units import Bohr
    from gpaw import GPAW, PW
    from gpaw.utilities import unpack2

    name, out = sys.argv[1:]
    prototype, edge = CRYSTALS[name]
    atoms = bulk(name, prototype, a=edge)
    atoms.rattle(0.05, seed=1)
    calc = GPAW(mode=PW(400), xc="PBE", kpts=(2, 2, 2), symmetry="off", txt=None,
                occupations={"name": "fermi-dirac", "width": 0.1}, convergence={"density": 1e-4})  # fmt: skip
    atoms.calc = calc
    atoms.get_potential_energy()
    wfs = calc.wfs
    values = {"positions": atoms.positions / Bohr}
    for number, kpt in enumerate(wfs.kpt_u):
        points = np.prod(wfs.pd.gd.N_c)
        values[f"q{number}"] = wfs.pd.get_reciprocal_vectors(kpt.q)
        values[f"c{number}"] = np.array([kpt.psit_nG[n] for n in range(wfs.bd.nbands)]) / points
        values[f"f{number}"] = kpt.f_n
    wfs.calculate_atomic_density_matrices(calc.density.D_asp)  # not those that were mixed
    for atom, packed in calc.density.D_asp.items():
        values[f"D{atom}"] = unpack2(packed[0])
    np.savez(out, symbols=atoms.get_chemical_symbols(), points=len(wfs.kpt_u), **values)


if __name__ == "__main__":
    main()
