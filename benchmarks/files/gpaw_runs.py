"""Small GPAW calculations of every mode, as .gpw files and as the cubes that GPAW itself makes of them.

python benchmarks/files/gpaw_runs.py OUT     # a Python with GPAW; gpaw_reference.py calls it
"""

import sys
from pathlib import Path

from ase.build import bulk, molecule
from gpaw import GPAW, PW
from gpaw_cube import write


def runs() -> dict:
    """{name: (atoms, parameters)}"""
    silicon, iron, oxide, water = bulk("Si"), bulk("Fe"), bulk("NiO", "rocksalt", 4.2), molecule("H2O")
    silicon.positions[1] += [0.05, 0.02, -0.03]
    iron.set_initial_magnetic_moments([2.2])
    oxide.set_initial_magnetic_moments([2, 0])
    water.center(vacuum=2.5)
    points = {"kpts": (2, 2, 2), "symmetry": "off"}
    return {
        "Si": (silicon, {"mode": PW(200), "xc": "PBE", **points}),
        "Fe, spin": (iron, {"mode": PW(300), "xc": "PBE", "kpts": (3, 3, 3)}),
        "GaN, LDA": (bulk("GaN", "wurtzite", 3.19, 5.19), {"mode": PW(300), "xc": "LDA", "kpts": (2, 2, 1)}),
        "NiO, spin, U": (
            oxide,
            {"mode": PW(300), "xc": "PBE", "kpts": (2, 2, 2), "setups": {"Ni": ":d,5.0"}, "h": 0.2},
        ),
        "Ag.11": (bulk("Ag"), {"mode": PW(300), "xc": "PBE", "kpts": (2, 2, 2), "setups": {"Ag": "11"}}),
        "H2O": (water.copy(), {"mode": PW(250), "xc": "PBE"}),
        "H2O+, spin": (water.copy(), {"mode": PW(250), "xc": "PBE", "charge": 1, "spinpol": True}),
        "Si, grid": (silicon.copy(), {"mode": "fd", "h": 0.25, "xc": "PBE", **points}),
        "Si, LCAO": (silicon.copy(), {"mode": "lcao", "basis": "dzp", "h": 0.25, "xc": "LDA", **points}),
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, (atoms, parameters) in runs().items():
        atoms.calc = GPAW(txt=None, convergence={"density": 1e-2}, **parameters)
        atoms.get_potential_energy()
        atoms.calc.write(str(folder / f"{name}.gpw"))
        write(folder / f"{name}.gpw")
