"""Time and memory of chgtools.fourier.basis.expand: 100 atoms on 120³ and 1000 atoms on 240³, at 10 Å³ per atom.

Each case runs in a fresh process: seconds of the tables (once per basis), CPU and wall seconds of ``expand`` after one
call to compile, and the peak memory of the process beyond what it held before (Linux). Then the time for 25 to 200
atoms in one cell, and for one set of atoms on finer grids, by CPU seconds: linear in atoms and points.
Set OMP_NUM_THREADS=1 for one thread.

usage: python benchmarks/speed/expansion_speed.py [--case ATOMS POINTS]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np

from chgtools.cell import Structure
from chgtools.fourier.basis import RadialBasis, expand, holding_shape, sum_on_grid

BASIS = RadialBasis()


def atoms(count: int, volume: float) -> Structure:
    rng = np.random.default_rng(count)
    lattice = np.eye(3) + 0.1 * rng.random((3, 3))
    lattice *= (volume / abs(np.linalg.det(lattice))) ** (1 / 3)
    return Structure(lattice, ("Si",), (count,), rng.random((count, 3)))


def coefficients(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, BASIS.n_lm, BASIS.n_max))


def peak() -> float:
    """Largest resident memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def case(count: int, points: int) -> None:
    start = time.perf_counter()
    _ = BASIS.tables
    tables = time.perf_counter() - start
    expand(atoms(1, 10.0), coefficients(1), BASIS, (8, 8, 8))
    structure, values = atoms(count, 10.0 * count), coefficients(count)
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    result = expand(structure, values, BASIS, (points,) * 3)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    coarse = "x".join(map(str, holding_shape(structure.lattice, BASIS.q_max)))
    print(
        f"{count:5d} atoms {points}³ (sum on {coarse}): tables {tables:.2f} s, wall {wall:.2f} s, cpu {cpu:.2f} s, "
        f"memory {peak() - before:.2f} GiB, of it the result {result.nbytes / 2**30:.2f}",
        flush=True,
    )


def linearity() -> None:
    for count, points in ((25, 64), (50, 64), (100, 64), (200, 64), (50, 48), (50, 96), (50, 128)):
        structure, values = atoms(count, 1000.0), coefficients(count)
        start = time.process_time()
        sum_on_grid(structure, values, BASIS, (points,) * 3)
        cpu = time.process_time() - start
        inside = count * points**3 * 4 / 3 * np.pi * BASIS.cutoff**3 / 1000.0
        print(f"{count:5d} atoms {points:4d}³: {cpu:7.3f} s, {1e9 * cpu / inside:5.1f} ns per point in a sphere")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs=2, type=int, metavar=("ATOMS", "POINTS"))
    options = parser.parse_args()
    if options.case:
        case(*options.case)
        return
    for count, points in ((100, 120), (1000, 240)):
        subprocess.run([sys.executable, __file__, "--case", str(count), str(points)], check=True)
    sum_on_grid(atoms(1, 1000.0), coefficients(1), BASIS, (8, 8, 8))
    linearity()


if __name__ == "__main__":
    main()
