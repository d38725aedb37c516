"""``chgtools make-dcd`` on a large CHGCAR, as a process of its own: CPU seconds, with start-up and without.

python benchmarks/speed/make_dcd_speed.py [--grid 200]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import chgtools
from chgtools.formats import chgcar, poscar
from chgtools.volumetric import VolumetricData


def cpu_seconds(*arguments: str | Path) -> float:
    """User and system seconds of a chgtools command."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "chgtools", *map(str, arguments)], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=int, default=200)
    n = parser.parse_args().grid
    frac = np.random.default_rng(0).uniform(size=(8, 3))
    atoms = chgtools.Structure(np.eye(3) * 12.0, ("Si",), (8,), frac)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poscar.write(atoms, folder / "POSCAR")
        for size in (8, n):
            (folder / str(size)).mkdir()
            data = VolumetricData("CHGCAR", atoms, [chgtools.saed(atoms, (size,) * 3, source=chgtools.Source())])
            chgcar.write(data, folder / str(size) / "CHGCAR")
        times = {}
        for size in (8, n):
            job = ("make-dcd", folder / str(size) / "CHGCAR", folder / "POSCAR", "--force")
            times[size] = sorted(cpu_seconds(*job) for _ in range(3))[1]
    print(f"make-dcd on {n}³ points: {times[n]:.2f} CPU s; start-up (8³ points) {times[8]:.2f}; "
          f"the work {times[n] - times[8]:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
