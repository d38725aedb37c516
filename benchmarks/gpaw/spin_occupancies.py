"""Occupancies of the magnetisation: ways to have them without any training, against those of GPAW.

    /usr/bin/python3 benchmarks/gpaw/spin_occupancies.py compute OUT.h5      bcc Fe, fcc Co and Ni, ferromagnetic MnO
    python benchmarks/gpaw/spin_occupancies.py show OUT.h5

|found − true| / |true| of what up less down has in orthonormal waves of each sphere (gpaw_setups.py), at GPAW's moment
of the atom:
    all electrons    the atom's matrix times moment/ZVAL
    open shell       its open shell alone, as ``predict`` writes (chgtools.paw.records.polarised_record)
    prior            tight binding's orbitals of both spins, scaled to the moment; and as they are
"""

from __future__ import annotations

import sys

import numpy as np

FCC = 0.5 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
BCC = 0.5 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
# elements, cell in Å, start moments in μ_B, cutoff in eV, k-points along each axis
CRYSTALS = {
    "Fe": (["Fe"], 2.866 * BCC, [2.3], 400, 8),
    "Co": (["Co"], 3.54 * FCC, [1.6], 400, 8),
    "Ni": (["Ni"], 3.524 * FCC, [0.7], 400, 8),
    "MnO": (["Mn", "O"], 4.44 * FCC, [4.7, 0.0], 500, 5),
}


def compute(path: str) -> None:
    import h5py
    from ase import Atoms
    from gpaw import GPAW, PW, Davidson
    from gpaw.utilities import unpack2

    for name, (elements, cell, moments, cutoff, count) in CRYSTALS.items():
        places = [[0.5 * i] * 3 for i in range(len(elements))]
        atoms = Atoms(elements, cell=cell, scaled_positions=places, pbc=True, magmoms=moments)
        atoms.calc = GPAW(
            mode=PW(cutoff), xc="PBE", kpts={"size": [count] * 3, "gamma": True}, nbands=-(3 + len(elements)),
            occupations={"name": "marzari-vanderbilt", "width": 0.1}, symmetry={"symmorphic": False}, maxiter=80,
            eigensolver=Davidson(2), convergence={"density": 1e-4, "eigenstates": 1e-6, "energy": 1e-3}, txt=None,
        )  # fmt: skip
        atoms.get_potential_energy()
        with h5py.File(path, "a") as file:
            group = file.create_group(name)
            group["moments"] = atoms.get_magnetic_moments()
            for a, setup in enumerate(atoms.calc.setups):
                group[f"D/{a}"] = [unpack2(spin) for spin in atoms.calc.density.D_asp[a]]
                occupied = setup.calculate_initial_occupation_numbers(0, False, 0, 1)
                group[f"D_atoms/{a}"] = unpack2(setup.initialize_density_matrix(occupied).sum(0))


def show(path: str) -> None:
    import h5py
    from gpaw_setups import setup
    from prior_waves import to_channels

    from chgtools.cell import Structure
    from chgtools.paw.records import matrix_from_record, occupancies_of_record, polarised_record, record_from_matrix
    from chgtools.tightbinding.electrons import filling, solve

    print(f"{'':10s}{'moment':>10s}{'all electrons':>16s}{'open shell':>12s}{'prior, scaled':>15s}{'prior':>8s}"
          "   its moment")  # fmt: skip
    for name, (elements, cell, starts, _, _) in CRYSTALS.items():
        places = np.array([[0.5 * i] * 3 for i in range(len(elements))])
        structure = Structure(cell, tuple(elements), (1,) * len(elements), places)
        electrons = solve(structure, np.sign(np.array(starts))[:, None], polarised=False)
        with h5py.File(path) as file:
            moments = file[name]["moments"][()]
            pairs = [(file[name][f"D/{a}"][()], file[name][f"D_atoms/{a}"][()]) for a in range(len(elements))]
        for element, moment, block, (spins, atomic) in zip(
            elements, moments, electrons.spin_blocks(filling), pairs, strict=True
        ):
            own = setup(element)
            channels, turn, zval = tuple(own.ell.tolist()), own.to_orthonormal, float(own.electrons.sum())
            record = record_from_matrix(channels, atomic)
            shell = polarised_record(channels, record, occupancies_of_record(channels, record), zval)
            orbitals = to_channels(element, False)[:, : block.shape[1]]
            prior, its_moment = orbitals @ block[0] @ orbitals.T, float(np.trace(block[0]))
            true = turn @ (spins[0] - spins[1]) @ turn.T
            ways = [
                turn @ atomic @ turn.T * moment / zval,
                moment * turn @ matrix_from_record(channels, shell) @ turn.T,
                prior * moment / its_moment,
                prior,
            ]
            errors = [float(np.linalg.norm(way - true) / np.linalg.norm(true)) for way in ways]
            label = element if len(elements) == 1 else f"{name}, {element}"
            print(f"{label:10s}{moment:10.2f}{errors[0]:16.2f}{errors[1]:12.2f}{errors[2]:15.2f}{errors[3]:8.2f}"
                  f"{its_moment:13.2f}")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("compute", "show"):
        sys.exit(__doc__)
    {"compute": compute, "show": show}[sys.argv[1]](sys.argv[2])
