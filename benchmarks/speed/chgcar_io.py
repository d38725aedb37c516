"""Reading and writing a CHGCAR: chgtools against pymatgen and ASE, on one file, in one run.

Each job runs in a process of its own; the figure is CPU time (user + system) of the job without imports and compiling,
and the peak memory beyond what the imports took. Rates are MB of text per CPU-second; compare them by their ratio.
With --packed the same for .gz, and chgtools alone for .zst and .lz4, which the others do not take.

    python benchmarks/speed/chgcar_io.py [--grid 200] [--repeat 3] [--packed]
"""

from __future__ import annotations

import argparse
import gzip
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


def pack(folder: Path, suffix: str) -> int:
    """The file packed by chgtools but for .gz, which is as gzip packs by default; the bytes of what chgtools packs."""
    from chgtools.formats import streams

    content, packed = (folder / "CHGCAR").read_bytes(), folder / f"CHGCAR{suffix}"
    with streams.writing(packed) as file:
        file.write(content)
    size = packed.stat().st_size
    if suffix == ".gz":
        packed.write_bytes(gzip.compress(content, 6))
    return size


PACKED = (".gz", ".zst", ".lz4")


def jobs(folder: Path, suffix: str) -> dict[str, tuple[Callable[[], object], Callable[[object], object]]]:
    """name: (preparation, the job itself on what was prepared)."""
    path, out = folder / f"CHGCAR{suffix}", folder / f"out_CHGCAR{suffix}"

    def ours_warm(write: bool) -> Callable[[], object]:
        def prepare() -> object:
            from chgtools.formats import chgcar

            small = folder / "small_CHGCAR"
            chgcar.write(chgcar.read(small), folder / f"warm_CHGCAR{suffix}")
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

    found: dict[str, tuple[Callable[[], object], Callable[[object], object]]] = {
        "read chgtools": (ours_warm(False), ours_read),
        "read pymatgen": (pymatgen_class, lambda cls: cls.from_file(str(path))),  # type: ignore[attr-defined]
        "read ASE": (ase_class, lambda cls: cls(str(path))),  # type: ignore[operator]
        "write chgtools": (ours_warm(True), ours_write),
        "write pymatgen": (lambda: pymatgen_class().from_file(str(path)), lambda data: data.write_file(str(out))),  # type: ignore[attr-defined]
        "write ASE": (lambda: ase_class()(str(path)), lambda data: data.write(str(out))),  # type: ignore[operator]
    }
    able = {"": ("chgtools", "pymatgen", "ASE"), ".gz": ("chgtools", "pymatgen")}.get(suffix, ("chgtools",))
    return {f"{name} {suffix}".strip(): job for name, job in found.items() if name.split()[1] in able}


def status(field: str) -> int:
    """A field of /proc/self/status in bytes (VmRSS, VmHWM)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) * 1024


def run_job(name: str, folder: Path) -> None:
    suffix = next((suffix for suffix in PACKED if name.endswith(suffix)), "")
    prepare, job = jobs(folder, suffix)[name]
    path, out = folder / "CHGCAR", folder / "out_CHGCAR"
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
    parser.add_argument("--packed", action="store_true", help="compressed files too")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        folder = Path(arguments.folder)
        run_job(arguments.job, folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "CHGCAR", arguments.grid)
        make(folder / "small_CHGCAR", 12)
        size = os.path.getsize(folder / "CHGCAR")
        array = arguments.grid**3 * 8
        print(f"CHGCAR {arguments.grid}^3: {size / 1e6:.1f} MB of text, {array / 1e6:.1f} MB as an array")
        results: dict[str, list[dict[str, float]]] = {}
        names, sizes = list(jobs(folder, "")), dict[str, int]()
        for suffix in PACKED if arguments.packed else ():
            sizes[suffix] = pack(folder, suffix)
            names += jobs(folder, suffix)
        for turn in range(arguments.repeat):
            for job in names:
                if turn and (job.startswith("write pymatgen") or job.endswith("ASE")):
                    continue  # many seconds each, and far away: once is enough
                command = [sys.executable, __file__, "--job", job, "--folder", name]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results.setdefault(job, []).append(json.loads(output))
    median = {job: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for job, rows in results.items()}
    print(f"{'':19s} {'CPU s':>8s} {'wall s':>8s} {'MB/CPU-s':>9s} {'chgtools is':>12s} {'peak beyond imports':>24s}")
    for job in names:
        verb, _, *suffix = job.split()
        row, ours = median[job], median[" ".join([verb, "chgtools", *suffix])]
        print(
            f"{job:19s} {row['cpu']:8.3f} {row['wall']:8.3f} {size / 1e6 / row['cpu']:9.0f} "
            f"{row['cpu'] / ours['cpu']:10.1f} x {row['memory'] / 1e6:12.0f} MB = {row['memory'] / array:.2f} arrays"
        )
    for suffix in PACKED if arguments.packed else ():
        told = [f"{sizes[suffix] / size:.2f} of the text"]
        for verb in ("read", "write"):
            theirs, ours = median[f"{verb} pymatgen .gz"], median[f"{verb} chgtools {suffix}"]
            cpu, wall = (theirs[key] / ours[key] for key in ("cpu", "wall"))
            told.append(f"{verb} {cpu:.1f} x by CPU time, {wall:.1f} x by the clock")
        print(f"{suffix} against pymatgen's .gz: {'; '.join(told)}")
    limit, peak = size + 1.3 * array, median["read chgtools"]["memory"]
    print(f"peak of a read: {peak / 1e6:.0f} MB; file + 1.3 x array is {limit / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
