"""Occupancies and cores that no training saw, at fixed density in GPAW: one diagonalisation against self-consistency.

    python benchmarks/gpaw/prior_fixed_density.py GPAW.h5[:KEY,KEY] [...] --tools DFT/tools --matrices FOLDER
        [--spacing 0.8] [--json FILE]

``--matrices``: of prior_occupancies.py (FOLDER/grid and FOLDER/mean). Rows, grid + occupancies:
    true + atoms, + mean, + prior      the SCF's grid
    predicted + atoms, + prior         what ``predict`` writes: free atoms and the shipped weights' density
    cores + prior                      the cores of that grid made from these occupancies, see ``with_cores``
    true cores + true                  the same with the SCF's occupancies
    true, true cores                   the SCF's grid with cores made from its occupancies, and these: what
                                       making cores from occupancies costs
Mean absolute error of the occupied bands, meV, and of the energy (Harris functional), meV/atom, at k-points at most
``--spacing`` (1/Å) apart. With ``--json`` what
is in the file already is kept, and only other structures are computed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from gpaw_paw import Calculation, calculations
from gpaw_setups import setup
from scipy.special import spherical_jn
from transfer_gpaw import Pair, gpaw_pairs

from chgtools.cell import Structure, reciprocal
from chgtools.fourier.basis import expand
from chgtools.kernels.harmonics import harmonics
from chgtools.models.choice import choose_model
from chgtools.paw.records import record_entries, record_from_matrix
from chgtools.stores.store import Store
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

ROWS = ("true + atoms", "true + mean", "true + prior", "predicted + atoms", "predicted + prior", "cores + prior",
        "true cores + true", "true, true cores")  # fmt: skip
L_MAX, POINTS = 4, 40  # of densities in a sphere
POWER = 6  # of r, with which what the channels lack goes inwards
Rows = dict[str, tuple[np.ndarray | None, list[np.ndarray] | None]]


def own_density(element: str, matrix: np.ndarray, r: np.ndarray) -> np.ndarray:
    """(n_lm, n_r) smooth density and compensation charge of a density matrix of the channels, electrons/bohr³."""
    own = setup(element)
    channels = tuple(own.ell.tolist())
    record, moments = record_from_matrix(channels, matrix), own.moments(matrix)
    found = np.zeros(((L_MAX + 1) ** 2, len(r)))
    waves, position = np.array([np.interp(r, own.r, wave) for wave in own.smooth_waves]), 0
    for a, b, big_l in record_entries(channels):
        values, lm = record[position : position + 2 * big_l + 1], slice(big_l**2, (big_l + 1) ** 2)
        found[lm] += values[:, None] * (waves[a] * waves[b])
        position += 2 * big_l + 1
    for big_l in range(3):
        lm = slice(big_l**2, (big_l + 1) ** 2)
        found[lm] += moments[lm, None] * own.compensation(big_l, r)
    return found


def seen_from(structure: Structure, miller: np.ndarray, waves: np.ndarray, mean: float, place: np.ndarray,
              r: np.ndarray) -> np.ndarray:  # fmt: skip
    """(n_lm, n_r) electrons/bohr³ around a point, of V n_G on half a sphere of waves and of the mean, electrons."""
    g = miller @ reciprocal(structure.lattice) * BOHR_ANGSTROM
    length, volume = np.linalg.norm(g, axis=1), structure.volume / BOHR_ANGSTROM**3
    angular = harmonics(L_MAX, np.ascontiguousarray(g / length[:, None]))
    phased, found = waves * np.exp(2j * np.pi * (miller @ place)) / volume, np.zeros(((L_MAX + 1) ** 2, len(r)))
    for big_l in range(L_MAX + 1):
        lm = slice(big_l**2, (big_l + 1) ** 2)
        found[lm] = angular[lm] * (8 * np.pi * (1j**big_l * phased).real) @ spherical_jn(big_l, np.outer(length, r))
    found[0] += np.sqrt(4 * np.pi) * mean / volume
    return found


def with_cores(
    calculation: Calculation, grid: np.ndarray, waves: np.ndarray, matrices: Sequence[np.ndarray]
) -> np.ndarray:
    """A grid (electrons/Å³) whose spheres hold what occupancies say.

    waves : V n_G of the grid. Within the largest radius of an atom the grid becomes its bare atom's and the smooth
    density and compensation charge of the change of its matrix; what it has beyond that at the sphere's end, the
    neighbours' and what no channel holds, goes on inwards as r⁶.
    """
    structure, new = calculation.entry.structure, grid.copy()
    electrons = float(calculation.entry.attributes["nelectrons"])
    frac = np.stack(np.meshgrid(*[np.arange(n) / n for n in grid.shape], indexing="ij"), -1)
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
    for atom, (element, place) in enumerate(zip(structure.elements, structure.frac, strict=True)):
        end = setup(element).largest
        r = np.linspace(1e-3, end, POINTS)
        held = own_density(element, matrices[atom], r)
        now = seen_from(structure, calculation.entry.miller, waves, electrons, place, r)
        beyond = (now - held)[:, -1]
        change = held + beyond[:, None] * (r / end) ** POWER - now
        for image in images:
            vectors = ((frac - place - image) @ structure.lattice) / BOHR_ANGSTROM
            lengths = np.linalg.norm(vectors, axis=-1)
            inside = lengths < end
            if inside.any():
                distance = lengths[inside]
                unit = np.ascontiguousarray(vectors[inside] / np.maximum(distance, 1e-9)[:, None])
                radial = np.array([np.interp(distance, r, values) for values in change])
                new[inside] += (harmonics(L_MAX, unit) * radial).sum(axis=0) / BOHR_ANGSTROM**3
    return new


def rows_of(calculation: Calculation, pair: Pair, folder: Path) -> Rows:
    """Row to grid, electrons/bohr³, and matrices; None: the SCF's grid, the atoms' matrices."""
    entry, structure = calculation.entry, calculation.entry.structure
    prior, mean = (_matrices(folder / name / f"{entry.name}.h5") for name in ("grid", "mean"))
    model = choose_model(structure).model
    learned = expand(structure, model.predict(structure).coefficients, model.basis, entry.shape) if model else 0.0
    grid = pair.atoms + learned
    waves = (np.fft.fftn(grid) * structure.volume / grid.size)[tuple((entry.miller % entry.shape).T)]
    found: Rows = {"true + atoms": (None, None)}
    if mean:
        found["true + mean"] = (None, mean)
    found["predicted + atoms"] = (grid, None)
    if prior:
        found["true + prior"], found["predicted + prior"] = (None, prior), (grid, prior)
        found["cores + prior"] = (with_cores(calculation, grid, waves, prior), prior)
    found["true cores + true"] = (with_cores(calculation, grid, waves, calculation.matrices), calculation.matrices)
    own = calculation.grid()
    found["true, true cores"] = (
        with_cores(calculation, own, calculation.entry.dcd + calculation.start, calculation.matrices),
        calculation.matrices,
    )
    ordered = {name: found[name] for name in ROWS if name in found}
    return {k: (None if g is None else g * BOHR_ANGSTROM**3, m) for k, (g, m) in ordered.items()}


def _matrices(path: Path) -> list[np.ndarray] | None:
    if not path.is_file():
        return None
    with h5py.File(path) as file:
        return [file[str(atom)][()].astype(float) for atom in range(len(file))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", metavar="GPAW.h5[:KEY,KEY]")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--matrices", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--spacing", type=float, default=0.8, help="of k-points, 1/Å (default: %(default)s)")
    parser.add_argument("--python", default="/usr/bin/python3", help="that has GPAW (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    if arguments.json and arguments.json.is_file():
        found = json.loads(arguments.json.read_text())["structures"]
    with tempfile.TemporaryDirectory() as folder:
        handed = []
        for item in arguments.stores:
            store, _, keys = item.partition(":")
            wanted = [key for key in (keys.split(",") if keys else Store.open(store)) if key not in found]
            pairs = gpaw_pairs(store, "whole", wanted) if wanted else []
            for calculation, pair in zip(calculations(store, wanted) if wanted else (), pairs, strict=True):
                path = Path(folder) / f"{calculation.entry.name}.h5"
                rows = rows_of(calculation, pair, arguments.matrices)
                hand_over(path, store, calculation, arguments.spacing, rows)
                handed.append(str(path))
        script = str(Path(__file__).with_name("fixed_rows.py"))
        command = [arguments.python, script, str(arguments.tools), *handed]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if line.startswith("["):
                    key, found_rows = json.loads(line)
                    found[key] = found_rows
                    show(key, found_rows)
                    if arguments.json:
                        write_json(arguments.json, {"structures": found})
        if process.returncode:
            sys.exit(f"{script} ended with {process.returncode}")
    summary(found)


def hand_over(path: Path, store: str, calculation: Calculation, spacing: float, rows: Rows) -> None:
    """The file of a structure that fixed_rows.py reads."""
    lengths = np.linalg.norm(reciprocal(calculation.entry.structure.lattice), axis=1)
    with h5py.File(path, "w") as file:
        file.attrs.update(store=store, key=calculation.entry.name, mesh=np.ceil(lengths / spacing).astype(int))
        for place, (name, (grid, matrices)) in enumerate(rows.items()):
            group = file.create_group(name)
            group.attrs["place"] = place
            for atom, matrix in enumerate(matrices or ()):
                group[str(atom)] = matrix
            if grid is not None:
                group["grid"] = grid


def show(name: str, rows: dict[str, list[float]]) -> None:
    values = [f"{rows[row][0]:9.1f},{rows[row][2]:+7.1f}" if row in rows else " " * 17 for row in ROWS]
    print(f"{name:28s}" + "".join(values), flush=True)


def summary(found: dict[str, dict[str, list[float]]]) -> None:
    """Medians and the worst: bands, without one common shift, energies by size."""
    print(f"\n{'':30s}{'median':>24s}{'the worst':>24s}")
    for row in ROWS:
        sizes = np.abs([rows[row] for rows in found.values() if row in rows]).reshape(-1, 3)
        if len(sizes):
            values = "".join(f"{value:8.1f}" for value in (*np.median(sizes, 0), *sizes.max(0)))
            print(f"{f'{row}, {len(sizes)}':30s}{values}")


if __name__ == "__main__":
    main()
