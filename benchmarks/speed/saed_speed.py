"""Speed of the superposition of atomic densities against the same sum written plainly in NumPy.

Three cases: 48³ with 8 atoms (a primitive cell), 120³ with 100 atoms (a supercell), 200³ with 460 atoms (a large
defect or interface cell). Each is a triclinic cell of three species at 10 Å³ per atom or so.

The reference adds f(|G|) exp(-iG·R) of one atom after another on the full box of G and makes one inverse FFT. Its time
in the largest case is that of 10 atoms, scaled to all (said in the table). Wall and CPU seconds are the best of
``--repeat`` runs after one to compile, the reference runs once (three times in the smallest case). Peak memory is what
a fresh process needed at most beyond what it held before the call (Linux only). CPU seconds add up all threads; set
OMP_NUM_THREADS=1 for one.

usage: python benchmarks/speed/saed_speed.py [--repeat N] [--case N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure, reciprocal
from chgtools.start.superposition import superpose

CASES = ((48, 8, 8), (120, 100, 100), (200, 460, 10))  # points, atoms, atoms the reference is timed with


def atom(element: str, zval: float, width: float, tail: float) -> AtomicDensity:
    """f = zval exp(-q²w²/4), to which ``tail`` adds that share of a power law, as kinks in n(r) make."""
    q = np.arange(1000) * 0.06
    form = (1 - tail) * np.exp(-((q * width) ** 2) / 4) + tail / (1 + (q / 10) ** 2) ** 2
    return AtomicDensity(element, element, zval, q, zval * form, "")


# smooth: f is below 1e-10 of ZVAL from 19/Å on, as in tables made for a plane-wave grid; the sums stop there.
# hard: never below it, so that all G of the box are summed.
KINDS = {
    kind: [atom("Si", 4.0, 0.9, tail), atom("O", 6.0, 0.6, tail), atom("Fe", 8.0, 0.5, tail)]
    for kind, tail in (("smooth", 0.0), ("hard", 1e-4))
}


def case(n_atoms: int) -> Structure:
    rng = np.random.default_rng(n_atoms)
    edge = (10.0 * n_atoms) ** (1 / 3)
    lattice = edge * (np.eye(3) + 0.15 * rng.random((3, 3)))
    counts = (n_atoms // 2, n_atoms // 4, n_atoms - n_atoms // 2 - n_atoms // 4)
    return Structure(lattice, ("Si", "O", "Fe"), counts, rng.random((n_atoms, 3)))


def reference(structure: Structure, shape: tuple[int, int, int], n_atoms: int) -> np.ndarray:
    """The superposition of the first ``n_atoms`` atoms, one by one on the full box of G."""
    index = [np.fft.fftfreq(n, 1 / n) for n in shape]
    miller = np.stack(np.meshgrid(*index, indexing="ij"), axis=-1)
    q = np.linalg.norm(miller @ reciprocal(structure.lattice), axis=-1)
    forms = [np.interp(q, density.q, density.form, right=0.0) for density in KINDS["hard"]]
    total = np.zeros(shape, complex)
    for a in range(n_atoms):
        total += forms[structure.group_of_atom[a]] * np.exp(-2j * np.pi * (miller @ structure.frac[a]))
    for axis, n in enumerate(shape):
        if n % 2 == 0:
            total[(slice(None),) * axis + (n // 2,)] = 0
    return np.fft.ifftn(total / structure.volume, norm="forward").real


def timed(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    """(wall, CPU) seconds, best of ``repeat``."""
    wall = cpu = float("inf")
    for _ in range(repeat):
        start = time.perf_counter(), time.process_time()
        work()
        wall, cpu = min(wall, time.perf_counter() - start[0]), min(cpu, time.process_time() - start[1])
    return wall, cpu


def time_reference(structure: Structure, shape: tuple[int, int, int], subset: int) -> tuple[float, float]:
    """(wall, CPU) seconds of the reference; with fewer atoms than all, those of an atom are scaled."""
    if subset == structure.n_atoms:
        return timed(lambda: reference(structure, shape, subset), 3 if subset < 10 else 1)
    fixed, some = (timed(lambda n=n: reference(structure, shape, n), 2) for n in (0, subset))
    times = structure.n_atoms / subset
    return fixed[0] + times * (some[0] - fixed[0]), fixed[1] + times * (some[1] - fixed[1])


def status(key: str) -> float:
    """A line of /proc/self/status in MiB."""
    text = Path("/proc/self/status").read_text()
    return float(text.partition(f"{key}:")[2].split()[0]) / 1024


def measure_memory(points: int, n_atoms: int, kind: str, method: str) -> None:
    """Print the MiB that a superposition needs at most beyond what the process held before."""
    structure = case(n_atoms)
    superpose(structure, (16, 16, 16), KINDS[kind], method=method)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status("VmRSS")
    superpose(structure, (points,) * 3, KINDS[kind], method=method)
    print(status("VmHWM") - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--case", type=int, choices=(1, 2, 3), help="one case only")
    parser.add_argument("--memory", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        points, n_atoms, kind, method = arguments.memory
        measure_memory(int(points), int(n_atoms), kind, method)
        return
    print(
        f"{'grid':>6s}{'atoms':>7s}  {'kernel':20s}{'wall s':>9s}{'CPU s':>9s}{'ratio':>8s}"
        f"{'MiB':>7s}{'result MiB':>12s}"
    )
    for number, (points, n_atoms, subset) in enumerate(CASES, 1):
        if arguments.case not in (None, number):
            continue
        structure, shape = case(n_atoms), (points,) * 3
        wall, cpu = time_reference(structure, shape, subset)
        note = "" if subset == n_atoms else f"  {subset} atoms, scaled to {n_atoms}"
        print(f"{points:5d}³{n_atoms:7d}  {'NumPy':20s}{wall:9.3f}{cpu:9.3f}{note}", flush=True)
        for kind, method in (("smooth", "reciprocal"), ("hard", "reciprocal"), ("smooth", "real"), ("smooth", "auto")):
            atoms = KINDS[kind]
            superpose(structure, (8, 8, 8), atoms, method=method)
            own = timed(partial(superpose, structure, shape, atoms, method=method), arguments.repeat)
            run = [sys.executable, __file__, "--memory", str(points), str(n_atoms), kind, method]
            memory = float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
            print(
                f"{'':13s}  {method + ', ' + kind:20s}{own[0]:9.4f}{own[1]:9.4f}{cpu / own[1]:7.0f}x"
                f"{memory:7.0f}{points**3 / 2**17:12.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
