"""The atom solver's PBE valence densities against the tables of norm-conserving pseudopotentials, element by element.

Each UPF file (ONCVPSP, PBE, scalar relativistic) names its configuration and its core radii in PP_INPUTFILE. The same
atom is solved here without a pseudopotential. Outside the largest core radius of the occupied valence shells both
must have the same density. Two measures, over the radii of the UPF mesh beyond that core radius:

  area   ∫ |4πr²(n - n_UPF)| dr as % of the valence electrons that lie there
  local  largest |n/n_UPF - 1| in % where the radial density 4πr²n is above 1e-3 electrons/bohr

usage: python benchmarks/atoms/atom_densities.py [--upf FOLDER] [ELEMENT ...]
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from pathlib import Path

import numpy as np

from chgtools.radial_atom.configurations import atomic_number
from chgtools.radial_atom.solver import Shell, solve_atom

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import SHARED


def section(text: str, tag: str) -> np.ndarray:
    """Numbers of one UPF section."""
    return np.array(re.search(rf"<{tag}\b[^>]*>([^<]*)</{tag}>", text).group(1).split(), dtype=float)


def read_input(text: str) -> tuple[list[Shell], list[Shell], dict[int, float]]:
    """Core shells, valence shells and core radius (bohr) by l, of ONCVPSP's input in PP_INPUTFILE."""
    rows = [line.split() for line in text.split("<PP_INPUTFILE>")[1].split("</PP_INPUTFILE>")[0].splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    n_core, n_valence = int(rows[0][2]), int(rows[0][3])
    shells = [Shell(int(row[0]), int(row[1]), float(row[2])) for row in rows[1 : 1 + n_core + n_valence]]
    l_max = int(rows[1 + len(shells)][0])
    radii = {int(row[0]): float(row[1]) for row in rows[2 + len(shells) : 3 + len(shells) + l_max]}
    return shells[:n_core], shells[n_core:], radii


def compare(path: Path) -> tuple[float, float, float, float]:
    """Core radius (bohr), electrons beyond it, area and local difference (%) of one UPF file."""
    text = gzip.decompress(path.read_bytes()).decode()
    core, valence, radii = read_input(text)
    element = path.name.split(".")[0]
    atom = solve_atom(atomic_number(element), [*core, *valence], "PBE")
    r_core = max(radii[shell.ell] for shell in valence)
    r, table = section(text, "PP_R"), section(text, "PP_RHOATOM")
    size = min(r.size, table.size)
    outside = np.arange(size)[(r[:size] > r_core) & (r[:size] < atom.mesh.r_max)]
    r, table = r[outside], table[outside]
    ours = np.interp(np.log(r), np.log(atom.mesh.r), np.log(atom.density_of(valence) + 1e-300))
    ours = np.exp(ours) * 4.0 * np.pi * r**2
    beyond = np.trapezoid(table, r)
    area = 100.0 * np.trapezoid(np.abs(ours - table), r) / beyond
    dense = table > 1e-3
    return r_core, beyond, area, 100.0 * np.abs(ours[dense] / table[dense] - 1.0).max()


def main() -> None:
    """Print one row per element and the worst of each column."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elements", nargs="*", help="elements (default: all of the folder)")
    parser.add_argument("--upf", type=Path, default=SHARED / "dft" / "upf")
    arguments = parser.parse_args()
    paths = sorted(arguments.upf.glob("*.upf.gz"), key=lambda path: atomic_number(path.name.split(".")[0]))
    worst = {"area": (0.0, ""), "local": (0.0, "")}
    areas = []
    print("      r_core/bohr  electrons beyond   area %   local %")
    for path in paths:
        element = path.name.split(".")[0]
        if arguments.elements and element not in arguments.elements:
            continue
        r_core, beyond, area, local = compare(path)
        areas.append(area)
        print(f"{element:3s} {r_core:12.2f} {beyond:17.4f} {area:8.3f} {local:9.3f}", flush=True)
        worst["area"] = max(worst["area"], (area, element))
        worst["local"] = max(worst["local"], (local, element))
    print(f"{len(areas)} elements; area: median {np.median(areas):.3f} %, largest {worst['area'][0]:.3f} % ", end="")
    print(f"({worst['area'][1]}); local: largest {worst['local'][0]:.3f} % ({worst['local'][1]})")


if __name__ == "__main__":
    main()
