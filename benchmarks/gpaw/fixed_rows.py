"""One diagonalisation for each row that prior_fixed_density.py hands over; for the system's python, which has GPAW.

    python benchmarks/gpaw/fixed_rows.py TOOLS ROWS.h5 [ROWS.h5 ...]

ROWS.h5 is of one structure, with attributes ``store``, ``key`` and ``mesh`` (k-points), and has a group for each row,
with its ``place``: ``grid`` (nx, ny, nz) of nt + nhat, electrons/bohr³, or nothing for that of the SCF; matrices ``0``,
``1``, ... of the atoms, or nothing for the starting atoms'. Prints a line of JSON for each: key, and row to errors of
the occupied bands, meV, with and without one common shift, and of the energy, meV/atom.
"""

import json
import sys


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import density
    import h5py
    from gpaw_fixed_density import Fixed

    for path in sys.argv[2:]:
        found = {}
        with h5py.File(path, "r") as file:
            key = str(file.attrs["key"])
            with h5py.File(file.attrs["store"], "r") as store:
                entry = density.load(store[key])
            entry["attrs"] = dict(entry["attrs"], kmesh=file.attrs["mesh"])
            fixed = Fixed(entry)
            for name in sorted(file, key=lambda name: file[name].attrs["place"]):
                group, count = file[name], len(entry["species"])
                grid = group["grid"][()].astype(float) if "grid" in group else fixed.scf[0]
                matrices = [group[str(a)][()].astype(float) for a in range(count)] if "0" in group else fixed.atoms[1]
                row = fixed.evaluate(name, grid, matrices, limit=15)
                found[name] = [row[x] for x in ("band_mae_mev", "band_mae_aligned_mev", "energy_error_mev_per_atom")]
        print(json.dumps([key, found]), flush=True)


if __name__ == "__main__":
    main()
