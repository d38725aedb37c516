"""The valence density of a GPAW calculation as a cube file, added up by GPAW itself: the reference of its reader.

    python benchmarks/files/gpaw_cube.py X.gpw ...     # a Python with GPAW; makes X.cube

The pseudo density without the smooth cores, plus the compensation charges, on the fine grid. Tried with GPAW 22.8, in
plane waves and on periodic grids (cubes of cells that are not periodic lack a face), with and without spin; of the spin
components the sum is written.
"""

import sys
from pathlib import Path

import numpy as np
from ase.io.cube import write_cube
from gpaw import restart


def write(path: Path) -> None:
    atoms, calc = restart(str(path), txt=None)
    calc.initialize_positions(atoms)
    density = calc.density
    density.interpolate_pseudo_density()
    spins = density.nspins
    # electrons of the compensation charges alone: Delta_pL without the Delta0 of nuclei and cores
    moments = {
        atom: np.ascontiguousarray(matrix[:spins].sum(axis=0) @ density.setups[atom].Delta_pL)
        for atom, matrix in density.D_asp.items()
    }
    if hasattr(density, "pd3"):  # plane waves
        waves = density.pd3.zeros()
        density.ghat.add(waves, moments)
        compensation = density.pd3.ifft(waves)
        core = density.pd2.interpolate(density.nct_G * spins, density.pd3)[0]
    else:
        compensation, core = density.finegd.zeros(), density.finegd.zeros()
        density.ghat.add(compensation, moments)
        density.interpolator.apply(density.nct_G * spins, core)
    total = density.nt_sg[:spins].sum(axis=0) - core + compensation  # electrons/bohr³
    with path.with_suffix(".cube").open("w") as file:
        write_cube(file, atoms, total)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        write(Path(name))
