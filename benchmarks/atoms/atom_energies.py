"""The atom solver against converged reference energies of all atoms from H to U.

Non-relativistic: LDA (VWN) total energies and eigenvalues, which must agree to 1e-5 hartree. Scalar-relativistic: the
same functional with relativistic exchange against the eigenvalues of Dirac's equation, averaged over j with weights
2j + 1. These two differ by spin-orbit coupling, which the average takes out in first order only; s shells of atoms
without p electrons are the same in both.

usage: python benchmarks/atoms/atom_energies.py [--reference FILE.json] [--step STEP] [ELEMENT ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from chgtools.elements import SYMBOLS
from chgtools.radial_atom.configurations import Shell, ground_state
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.radial_atom.solver import solve_atom

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import SHARED

REFERENCE = SHARED / "atoms_lda.json"


def averaged_over_j(eigenvalues: list[float], shells: tuple[Shell, ...]) -> np.ndarray:
    """One value per shell from the list with j = l - 1/2 before j = l + 1/2."""
    left = iter(eigenvalues)
    result = []
    for shell in shells:
        if shell.ell == 0:
            result.append(next(left))
        else:
            low, high = next(left), next(left)
            result.append((2 * shell.ell * low + (2 * shell.ell + 2) * high) / (4 * shell.ell + 2))
    return np.array(result)


def main() -> None:
    """Print one row per element and the largest errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("elements", nargs="*", help="elements (default: H to U)")
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    parser.add_argument("--step", type=float, default=RadialMesh.step, help="step of ln r")
    arguments = parser.parse_args()
    reference = json.loads(arguments.reference.read_text())
    light_speed = reference["speed_of_light"]
    mesh = RadialMesh(step=arguments.step)
    names = arguments.elements or SYMBOLS[:92]
    print("errors in hartree; scalar-relativistic minus j-averaged Dirac by shell")
    print("     non-relativistic              | scalar-relativistic - Dirac")
    print("     total energy     eigenvalues  | all shells, relative   outermost s, p, d, f shells")
    started = time.perf_counter()
    totals, values, outer = {}, {}, {}
    for name in names:
        number = str(SYMBOLS.index(name) + 1)
        shells = ground_state(name)
        atom = solve_atom(float(number), shells, "VWN", relativistic=False, mesh=mesh)
        expected = reference["nonrelativistic"][number]
        totals[name] = abs(atom.energy - expected["etot"])
        values[name] = np.abs(atom.eigenvalues - expected["eigenvalues"]).max()
        scalar = solve_atom(float(number), shells, "RVWN", mesh=mesh, light_speed=light_speed)
        dirac = averaged_over_j(reference["dirac"][number]["eigenvalues"], shells)
        difference = scalar.eigenvalues - dirac
        last = {shell.ell: (shell, change) for shell, change in zip(shells, difference, strict=True)}
        outer[name] = max(abs(change) for _, change in last.values())
        text = "  ".join(f"{shell.name} {change:+.1e}" for _, (shell, change) in sorted(last.items()))
        relative = np.abs(difference / dirac).max()
        print(f"{name:3s} {totals[name]:14.1e} {values[name]:15.1e}  | {relative:20.1e}   {text}", flush=True)
    for title, errors in (("total energy", totals), ("eigenvalues", values)):
        worst = max(errors, key=errors.__getitem__)
        print(f"non-relativistic, {title}: largest error {errors[worst]:.1e} hartree ({worst}), wanted 1e-5")
    worst = max(outer, key=outer.__getitem__)
    print(
        f"scalar-relativistic, outermost shell of each l: largest difference {outer[worst]:.1e} hartree ({worst}), ",
        end="",
    )
    print(f"median {np.median(list(outer.values())):.1e}")
    print(f"{len(names)} atoms, two solutions each: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
