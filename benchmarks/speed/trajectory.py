"""Start densities for the frames of a trajectory, in one call: seconds for a frame.

    python benchmarks/speed/trajectory.py [--frames 50] [--repeat 2] [--model base]

Makes an XDATCAR by ASE's EMT (aluminium at 600 K; 32 atoms with ``--repeat 2``, every tenth step of 5 fs) and predicts
all frames with ``chgtools predict --batch``; for comparison the first frames, each by a call of its own. Wall and CPU
seconds of whole processes, imports included, beside the ε_mae between neighbouring frames' densities.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from chgtools.formats import read

SINGLE = 5  # frames by calls of their own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=2, help="of the cubic cell of four atoms, along each axis")
    parser.add_argument("--model", default="base")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        atoms = write_trajectory(folder / "XDATCAR", arguments.frames, arguments.repeat)
        predict(folder, "XDATCAR:1", "-o", "warm", "--model", arguments.model)  # compiles, if the cache is empty
        (folder / "list.txt").write_text("XDATCAR\n")
        wall, cpu = predict(folder, "--batch", "list.txt", "-o", "starts", "--model", arguments.model)
        files = sorted((folder / "starts").glob("CHGCAR*"))
        if len(files) != arguments.frames:
            sys.exit(f"{len(files)} CHGCARs were written, wanted {arguments.frames}")
        grids = [read(file).total for file in files]
        single = [
            predict(folder, f"XDATCAR:{n + 1}", "-o", f"one-{n}", "--model", arguments.model) for n in range(SINGLE)
        ]
    apart = [100 * np.abs(a - b).sum() / b.sum() for a, b in zip(grids[1:], grids, strict=False)]
    shape = " x ".join(map(str, grids[0].shape))
    print(f"{arguments.frames} frames, {atoms} atoms, {shape}; neighbouring frames {np.mean(apart):.1f} % apart")
    print("seconds          wall, all   a frame   CPU a frame")
    print(f"one batch       {wall:10.1f}{wall / arguments.frames:10.2f}{cpu / arguments.frames:14.2f}")
    walls, cpus = np.mean(single, axis=0)
    print(f"a call for each {walls * arguments.frames:10.1f}{walls:10.2f}{cpus:14.2f}   (from {SINGLE} of them)")


def write_trajectory(path: Path, frames: int, repeat: int) -> int:
    """An XDATCAR of molecular dynamics; how many atoms it has."""
    from ase import units
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.io import write
    from ase.md.langevin import Langevin

    rng = np.random.default_rng(0)
    atoms = bulk("Al", "fcc", a=4.05, cubic=True) * (repeat, repeat, repeat)
    atoms.calc = EMT()
    dynamics = Langevin(atoms, 5 * units.fs, temperature_K=600, friction=0.02 / units.fs, fixcm=False, rng=rng)
    dynamics.run(100)  # from rest
    images = []
    for _ in range(frames):
        dynamics.run(10)
        images.append(atoms.copy())
    write(path, images, format="vasp-xdatcar")
    return len(atoms)


def predict(folder: Path, *arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one ``chgtools predict``."""
    before, start = os.times(), time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "chgtools", "predict", *arguments], cwd=folder, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - start, os.times()
    if ended.returncode not in (0, 3):
        sys.exit(f"chgtools predict {' '.join(arguments)}: {ended.stderr.strip()}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu


if __name__ == "__main__":
    main()
