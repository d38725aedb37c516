"""Building a store from an archive in one pass, against the same files in folders and one member by itself.

The archives are made here: run folders (POSCAR, INCAR, CHGCAR) in a tar.gz, and the layout of the QM9 deposit, one flat
folder of NAME.CHGCAR.lz4 in a plain tar. Each build is a process of its own with one worker; CPU time of both, and the
largest memory of either.

    python benchmarks/speed/archives.py [--files 300] [--grid 32]
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import lz4.frame
import numpy as np


def densities(folder: Path, count: int, grid: int) -> list[Path]:
    """Run folders of silicon, the atoms moved from where they were."""
    from chgtools.cell import Structure
    from chgtools.formats import chgcar, poscar
    from chgtools.libraries.choice import Source, choose
    from chgtools.start.superposition import superpose
    from chgtools.volumetric import VolumetricData

    rng, made = np.random.default_rng(0), []
    cell = np.array([[0.0, 2.7, 2.7], [2.7, 0.0, 2.7], [2.7, 2.7, 0.0]])
    for number in range(count):
        atoms = Structure(cell, ("Si",), (2,), np.array([[0.0] * 3, [0.25] * 3]) + rng.normal(0, 0.01, (2, 3)))
        density = superpose(atoms, (grid,) * 3, choose(atoms, Source()).densities)
        run = folder / f"{number:06d}"
        run.mkdir()
        chgcar.write(VolumetricData("CHGCAR", atoms, [np.asfortranarray(density)]), run / "CHGCAR")
        poscar.write(atoms, run / "POSCAR")
        (run / "INCAR").write_text("ENCUT = 300\n")
        made.append(run / "CHGCAR")
    return made


def archives(folder: Path, runs: list[Path]) -> None:
    with tarfile.open(folder / "runs.tar.gz", "w:gz", compresslevel=6) as packed:
        for run in runs:
            packed.add(run.parent, f"runs/{run.parent.name}")
    with tarfile.open(folder / "qm9.tar", "w") as plain:
        for run in runs:
            content = lz4.frame.compress(run.read_bytes())
            info = tarfile.TarInfo(f"{run.parent.name}.CHGCAR.lz4")
            info.size = len(content)
            plain.addfile(info, io.BytesIO(content))


def build(folder: Path, name: str, sources: list[str]) -> None:
    (folder / "list").write_text("".join(f"{source}\n" for source in sources))
    command = [sys.executable, "-m", "chgtools", "dataset", "build", "-o", f"{name}.h5", "--list", "list"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    added = said.split(": ")[1].split(",")[0]
    print(f"{name:24s}{len(sources):8d}{wall:9.1f}{cpu:9.1f}{after.ru_maxrss / 1024:10.0f}  {added}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--grid", type=int, default=32, help="points along each axis")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = densities(folder, arguments.files, arguments.grid)
        archives(folder, runs)
        sizes = [f"{path} {(folder / path).stat().st_size / 1e6:.0f} MB" for path in ("runs.tar.gz", "qm9.tar")]
        print(f"{len(runs)} CHGCARs of {runs[0].stat().st_size / 1e6:.2f} MB; {', '.join(sizes)}")
        print(f"{'':24s}{'lines':>8s}{'wall s':>9s}{'CPU s':>9s}{'peak MB':>10s}")
        build(folder, "folders", [str(run) for run in runs])
        build(folder, "qm9.tar", ["qm9.tar"])
        build(folder, "runs.tar.gz", ["runs.tar.gz"])
        build(folder, "its last member alone", [f"runs.tar.gz:runs/{runs[-1].parent.name}/CHGCAR"])


if __name__ == "__main__":
    main()
