"""One diagonalisation for each row that prior_fixed_density.py hands over; for the system's python, which has GPAW.

    /usr/bin/python3 benchmarks/gpaw/fixed_rows.py TOOLS STORE.h5 KEY ROWS.h5 NX NY NZ

ROWS.h5 has a group for each row, in order: ``grid`` (nx, ny, nz) of nt + nhat, electrons/bohr³, or nothing for that of
the SCF; matrices ``0``, ``1``, ... of the atoms, or nothing for the starting atoms'. NX NY NZ: k-points. Prints JSON:
row to errors of the occupied bands, meV, with and without one common shift, and of the energy, meV/atom.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    tools, store, key, rows, *mesh = sys.argv[1:]
    sys.path.insert(0, str(Path(tools)))
    import density
    import h5py
    from gpaw_fixed_density import Fixed

    with h5py.File(store, "r") as file:
        entry = density.load(file[key])
    entry["attrs"] = dict(entry["attrs"], kmesh=mesh)
    fixed, found = Fixed(entry), {}
    with h5py.File(rows, "r") as file:
        for name in sorted(file, key=lambda name: file[name].attrs["place"]):
            group = file[name]
            grid = group["grid"][()].astype(float) if "grid" in group else fixed.scf[0]
            count = len(entry["species"])
            matrices = [group[str(a)][()].astype(float) for a in range(count)] if "0" in group else fixed.atoms[1]
            row = fixed.evaluate(name, grid, matrices)
            found[name] = [row[x] for x in ("band_mae_mev", "band_mae_aligned_mev", "energy_error_mev_per_atom")]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
