"""How long chgtools takes to start, and what a small job needs: python benchmarks/speed/startup.py

Each line is the best of several fresh processes: wall seconds, CPU seconds, peak memory. A small job is dominated by
imports, so this is what a user feels at the prompt. The kernels' cache is warm: the first run of each is left out, but
for the last lines, where each run has an empty folder for compiled kernels, as the first run on a fresh machine has.
The POTCAR is the invented one of the tests.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from synthetic_potcar import write_synthetic_potcar

REPEATS = 5
COLD_REPEATS = 3
ROOT = Path(__file__).resolve().parents[2]
CLI = "from chgtools.cli import main; main({arguments!r}, prog_name='chgtools')"


def measure(code: str, folder: str, **environment: str) -> tuple[float, float, float]:
    """(wall s, CPU s, peak MB) of one fresh Python that runs ``code``."""
    started = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", f"import os; os.chdir({folder!r})\n{code}"],
        {**os.environ, "PYTHONPATH": str(ROOT), **environment},
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"failed: {code}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def cold(code: str, folder: str) -> tuple[float, float, float]:
    """:func:`measure` with no compiled kernels there."""
    with tempfile.TemporaryDirectory() as empty:
        return measure(code, folder, NUMBA_CACHE_DIR=empty)


def best(runs: list[tuple[float, float, float]]) -> str:
    wall, cpu, peak = (min(values) for values in zip(*runs, strict=True))
    return f"{wall:9.3f}{cpu:9.3f}{peak:9.0f}"


def main() -> None:
    poscar = {name: str(ROOT / "examples" / name / "POSCAR") for name in ("si", "slab", "perovskite")}
    cases = {
        "python -c pass": "pass",  # what no package can be faster than
        "import chgtools": "import chgtools",
        "import numpy": "import numpy",
        "chgtools --help": CLI.format(arguments=["--help"]),
        "chgtools predict --help": CLI.format(arguments=["predict", "--help"]),
        "chgtools grid (Si, 2 atoms)": CLI.format(arguments=["grid", poscar["si"]]),
        "chgtools saed (Si, 2 atoms)": CLI.format(arguments=["saed", poscar["si"], "-o", "CHGCAR", "--force"]),
        "chgtools saed (slab, 100 atoms)": CLI.format(arguments=["saed", poscar["slab"], "-o", "CHGCAR", "--force"]),
        "chgtools info (the slab's CHGCAR)": CLI.format(arguments=["info", "CHGCAR"]),
    }
    first = {
        f"chgtools predict ({name}, {atoms} atoms)": CLI.format(
            arguments=["predict", poscar[name], "-o", "CHGCAR", "--force"]
        )
        for name, atoms in (("si", 2), ("perovskite", 40))
    }
    with_potcar = ["predict", poscar["si"], "-o", "CHGCAR", "--force", "--potcar", "POTCAR"]
    first["chgtools predict (si, with a POTCAR)"] = CLI.format(arguments=with_potcar)
    print(f"{'':40s}{'wall s':>9s}{'CPU s':>9s}{'peak MB':>9s}")
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic_potcar(Path(folder, "POTCAR"), [("Si", 4.0, (0, 0, 1, 1))])
        for name, code in (cases | first).items():
            measure(code, folder)
            print(f"{name:40s}{best([measure(code, folder) for _ in range(REPEATS)])}", flush=True)
        print("nothing compiled before")
        for name, code in first.items():
            print(f"{name:40s}{best([cold(code, folder) for _ in range(COLD_REPEATS)])}", flush=True)


if __name__ == "__main__":
    main()
