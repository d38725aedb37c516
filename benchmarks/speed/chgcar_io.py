"""Reading and writing a CHGCAR: chgtools against pymatgen and ASE, on one file, in one run.

Each job runs in a process of its own; the figure is CPU time (user + system) of the job without imports and compiling,
and the peak memory beyond what the imports took. Rates are MB of file per CPU-second; compare them by their ratio.

    python benchmarks/speed/chgcar_io.py [--grid 200] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def make(path: Path, n: int) -> None:
    """A CHGCAR of eight atoms, smooth and positive, with magnitudes as real ones have."""
    from chgtools.cell import Structure
    from chgtools.formats import chgcar
    from chgtools.volumetric import Augmentation, VolumetricData

    rng = np.random.default_rng(0)
    atoms = Structure(np.eye(3) * 12.0, ("Si",), (8,), rng.uniform(size=(8, 3)), comment="benchmark")
    x = np.arange(n) / n
    wave = 1 + np.cos(2 * np.pi * x) * 0.98
    grid = (wave[:, None, None] * wave[None, :, None] * wave[None, None, :]) ** 3
    grid += 1e-4 * rng.random((n, n, n))
    data = VolumetricData("CHGCAR", atoms, [np.asfortranarray(grid)], [Augmentation([rng.normal(size=33)] * 8)])
    chgcar.write(data, path)


def jobs(path: Path, out: Path) -> dict[str, tuple[Callable[[], object], Callable[[object], object]]]:
    """name: (preparation, the job itself on what was prepared)."""

    def ours_warm(write: bool) -> Callable[[], object]:
        def prepare() -> object:
            from chgtools.formats import chgcar

            small = path.with_name("small_CHGCAR")
            chgcar.write(chgcar.read(small), path.with_name("warm_CHGCAR"))
            return chgcar.read(path) if write else None

        return prepare

    def ours_read(_: object) -> object:
        from chgtools.formats import chgcar

        return chgcar.read(path)

    def ours_write(data: object) -> object:
        from chgtools.formats import chgcar

        return chgcar.write(data, out)  # type: ignore[arg-type]

    def pymatgen_class() -> object:
        from pymatgen.io.vasp.outputs import Chgcar

        return Chgcar

    def ase_class() -> object:
        from ase.calculators.vasp import VaspChargeDensity

        return VaspChargeDensity

    return {
        "read chgtools": (ours_warm(False), ours_read),
        "read pymatgen": (pymatgen_class, lambda cls: cls.from_file(str(path))),  # type: ignore[attr-defined]
        "read ASE": (ase_class, lambda cls: cls(str(path))),  # type: ignore[operator]
        "write chgtools": (ours_warm(True), ours_write),
        "write pymatgen": (lambda: pymatgen_class().from_file(str(path)), lambda data: data.write_file(str(out))),  # type: ignore[attr-defined]
        "write ASE": (lambda: ase_class()(str(path)), lambda data: data.write(str(out))),  # type: ignore[operator]
    }


def status(field: str) -> int:
    """A field of /proc/self/status in bytes (VmRSS, VmHWM)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024


def run_job(name: str, path: Path, out: Path) -> None:
    prepare, job = jobs(path, out)[name]
    # The kernel hands out memory and file cache slowly the first time; every job finds both in use already.
    out.write_bytes(path.read_bytes())
    np.ones(3 * path.stat().st_size // 8)
    prepared = prepare()
    Path("/proc/self/clear_refs").write_text("5")  # peak memory counts from here
    before_memory = status("VmRSS")
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter()
    kept = job(prepared)
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": status("VmHWM") - before_memory}))
    del kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=200, help="points along each axis")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each job, in turn; the median counts")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        folder = Path(arguments.folder)
        run_job(arguments.job, folder / "CHGCAR", folder / "out_CHGCAR")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "CHGCAR", arguments.grid)
        make(folder / "small_CHGCAR", 12)
        size = os.path.getsize(folder / "CHGCAR")
        array = arguments.grid**3 * 8
        print(f"CHGCAR {arguments.grid}^3: {size / 1e6:.1f} MB of text, {array / 1e6:.1f} MB as an array")
        results: dict[str, list[dict[str, float]]] = {}
        names = list(jobs(folder, folder))
        for turn in range(arguments.repeat):
            for job in names:
                if turn and job in ("write pymatgen", "write ASE", "read ASE"):
                    continue  # many seconds each, and far away: once is enough
                command = [sys.executable, __file__, "--job", job, "--folder", name]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results.setdefault(job, []).append(json.loads(output))
    median = {job: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for job, rows in results.items()}
    print(f"{'':16s} {'CPU s':>8s} {'wall s':>8s} {'MB/CPU-s':>9s} {'chgtools is':>12s} {'peak beyond imports':>24s}")
    for job in names:
        row, ours = median[job], median[job.split()[0] + " chgtools"]
        print(
            f"{job:16s} {row['cpu']:8.3f} {row['wall']:8.3f} {size / 1e6 / row['cpu']:9.0f} "
            f"{row['cpu'] / ours['cpu']:10.1f} x {row['memory'] / 1e6:12.0f} MB = {row['memory'] / array:.2f} arrays"
        )
    limit, peak = size + 1.3 * array, median["read chgtools"]["memory"]
    print(f"peak of a read: {peak / 1e6:.0f} MB; file + 1.3 x array is {limit / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
