"""VASP's FFT grids against real runs: how many have all six numbers as predicted, by PREC, and the misses.

Rows of runs whose INCAR sets NGX.. or NGXF.. are left out: those grids are the user's.

usage: python benchmarks/files/fft_grids.py [--data FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from chgtools.fourier.grids import fft_grid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import SHARED

DATA = SHARED / "fft_grids.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="list of runs (default: %(default)s)")
    rows = json.loads(parser.parse_args().data.read_text())["rows"]
    runs, hits, misses = Counter(), Counter(), []
    for row in rows:
        if row["ng_set_by_user"]:
            continue
        key = (row["prec"], row["vasp_version"].partition(".")[0])
        grids = fft_grid(row["lattice"], row["encut"], row["prec"], row["enaug"], vasp=int(key[1]))
        found = [list(grid) for grid in grids] == [row["ng"], row["ngf"]]
        runs[key] += 1
        hits[key] += found
        if not found:
            misses.append((row, grids))
    print(f"{'PREC':10s}{'VASP':>5s}{'runs':>7s}{'exact':>7s}")
    for key in sorted(runs):
        print(f"{key[0]:10s}{key[1]:>5s}{runs[key]:7d}{hits[key]:7d}")
    total, exact = sum(runs.values()), sum(hits.values())
    print(f"all six numbers exact: {exact} of {total} runs ({100 * exact / total:.2f} %)")
    print(f"left out, grid set by the user: {len(rows) - total}")
    for row, (ng, ngf) in misses:
        print(f"miss: {row['source']}: run {row['ng']} {row['ngf']}, predicted {list(ng)} {list(ngf)}")


if __name__ == "__main__":
    main()
