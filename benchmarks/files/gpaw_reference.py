"""Is the density read of a .gpw the one that GPAW itself adds up?

    python benchmarks/files/gpaw_reference.py [--python /usr/bin/python3] [--keep FOLDER]

Nine small calculations in GPAW (gpaw_runs.py) in plane waves, on a grid and with orbitals, two setups of one element,
spin, a Hubbard U, a charge. Columns: electrons that are read; ∫|read - GPAW's| in percent of them, where GPAW's is a
cube with six digits of the pseudo density without smooth cores plus its compensation charges.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

import chgtools
from chgtools.errors import AssumptionWarning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="/usr/bin/python3", help="GPAW's Python (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where the runs stay, and are found again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not list(folder.glob("*.gpw")):
            script = str(Path(__file__).with_name("gpaw_runs.py"))
            subprocess.run([arguments.python, script, str(folder)], check=True, stdout=sys.stderr)
        print(f"{'run':16s}{'electrons':>12s}{'off by %':>12s}")
        for path in sorted(folder.glob("*.gpw")):
            show(path)


def show(path: Path) -> None:
    """A line for a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        read, wanted = chgtools.read(path), chgtools.read(path.with_suffix(".cube"))
    electrons = read.integral()
    off = float(np.abs(read.total - wanted.total).mean()) * read.structure.volume / electrons
    print(f"{path.stem:16s}{electrons:12.5f}{100 * off:12.5f}", flush=True)


if __name__ == "__main__":
    main()
