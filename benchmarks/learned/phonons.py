"""Phonons from forces at a predicted density, against those of SCFs: pictures of dispersions, errors, time saved.

    python benchmarks/learned/phonons.py Si MgO NaCl GaAs --tools DFT/tools --model base -o FOLDER
        [--spacing 0.45] [--noise]

Needs ``pip install phonopy seekpath``, pw.x and pp.x on the PATH, and the tools (density.py, run_qe.py,
fixed_density.py). Each displacement that phonopy asks for in the 2x2x2 cell (16 atoms) is run to self-consistency, and
with one diagonalisation at each density: "atoms", the superposition of the potentials' atoms; "predicted", that and the
predicted difference density, with pw.x's forces; "moving", the same with the force of the difference density's moving
with the atoms, which pw.x leaves out (:meth:`textbook.Cell.moving_difference`). ``--noise`` adds the self-consistent
density itself. No correction for the field of polar waves (LO-TO) is made, in none of them. FOLDER/forces.json keeps
what was run: the same command goes on where it was stopped, and with other weights computes only what they change.
Times are CPU seconds, those of predictions included.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from textbook import Cell, Kept, crystal, parser_of

from chgtools.pictures.drawing import picture

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel

REPEATS = 2
MESH = 12  # of wave vectors, for errors
OF_NO_WEIGHTS = ("SCF", "atoms", "SCF density")
LABELS = {"SCF": "SCF", "atoms": "superposed atoms", "moving": "predicted density"}  # of what is drawn
COLOURS = {"SCF": "#222222", "atoms": "#d08c3a", "moving": "#c03028"}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--spacing", type=float, default=0.45, help="of k-points, 1/Å with 2π")
    parser.add_argument("--noise", action="store_true", help="at the self-consistent density, too")
    arguments = parser.parse_args()
    kept = Kept(arguments, "forces.json")
    wanted = ["SCF", "atoms", "predicted", "moving"] + (["SCF density"] if arguments.noise else [])
    for formula in arguments.crystals:
        phonons = displacements(formula)
        runs = kept.runs(formula, f"{arguments.spacing:g}", OF_NO_WEIGHTS)
        for number, cell in enumerate(phonons.supercells_with_displacements):
            runs += [{}] if number == len(runs) else []
            if missing := [density for density in wanted if density not in runs[number]]:
                runs[number] |= run(cell, kept.model, arguments.spacing, missing)
                kept.save()
        report(formula, phonons, [{density: each[density] for density in wanted} for each in runs], arguments.output)


def displacements(formula: str) -> Any:
    """phonopy's object, with the displaced cells."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    unit = crystal(formula)
    atoms = PhonopyAtoms([s.symbol for s in unit.species], cell=unit.lattice.matrix, scaled_positions=unit.frac_coords)
    phonons = Phonopy(atoms, supercell_matrix=np.eye(3, dtype=int) * REPEATS, primitive_matrix=np.eye(3))
    phonons.generate_displacements(distance=0.01)
    return phonons


def run(displaced: Any, model: DensityModel, spacing: float, wanted: list[str]) -> dict[str, Any]:
    """Forces (eV/Å) and seconds of each density wanted on one displaced cell."""
    from density import read_qe
    from pymatgen.core import Structure
    from run_qe import kmesh

    structure, found = Structure(displaced.cell, displaced.symbols, displaced.scaled_positions), {}
    with tempfile.TemporaryDirectory(prefix="phonons") as folder:
        cell = Cell(structure, kmesh(structure.lattice.matrix, spacing), Path(folder))
        if {"SCF", "SCF density"} & set(wanted):
            found["SCF"] = cell.scf(), 0.0
        if "SCF density" in wanted:
            scf = read_qe(cell.original)[2][0]
            found["SCF density"] = cell.at(lambda miller: scf, forces=True), 0.0
        if "atoms" in wanted:
            found["atoms"] = cell.at(cell.superposed(), forces=True), 0.0
        if {"predicted", "moving"} & set(wanted):
            waves, seconds = cell.predicted(model)
            at_once = cell.at(waves, forces=True)
            found["predicted"] = at_once, seconds
        if "moving" in wanted:
            lacking, more = cell.moving_difference(model, waves)
            found["moving"] = replace(at_once, forces=at_once.forces + lacking), seconds + more
    return {
        name: {"forces": result.forces.tolist(), "seconds": result.seconds, "prediction": prediction}
        for name, (result, prediction) in found.items()
    }


def report(formula: str, phonons: Any, runs: list[dict[str, Any]], folder: Path) -> None:
    """Print errors over a mesh of wave vectors and the time, draw the dispersion."""
    frequencies, lines = {}, {}
    for name in runs[0]:
        phonons.forces = np.array([each[name]["forces"] for each in runs])
        phonons.produce_force_constants()
        phonons.symmetrize_force_constants()
        phonons.run_mesh([MESH] * 3, is_gamma_center=True)
        frequencies[name], weights = phonons.mesh.frequencies, phonons.mesh.weights
        phonons.auto_band_structure(npoints=51)
        lines[name] = phonons.band_structure
    true = frequencies["SCF"]
    highest = float(true.max())
    cost = sum(each["SCF"]["seconds"] for each in runs)
    print(f"{formula}: {len(runs)} displaced cells, highest frequency {highest:.3f} THz, SCF {cost:.0f} s")
    for name in [name for name in frequencies if name != "SCF"]:
        error = np.abs(frequencies[name] - true)
        mean = float((error * weights[:, None]).sum() / weights.sum() / true.shape[1])
        forces = [np.abs(np.subtract(each[name]["forces"], each["SCF"]["forces"])).mean() for each in runs]
        size = np.mean([np.abs(each["SCF"]["forces"]).mean() for each in runs])
        seconds = sum(each[name]["seconds"] + each[name]["prediction"] for each in runs)
        print(f"    {name:14s}mean error {mean:.3f} THz, {100 * mean / highest:6.2f} % of the highest; largest "
              f"{error.max():.3f} THz; forces {100 * np.mean(forces) / size:6.2f} % off; {seconds:.0f} s, "
              f"{100 * (1 - seconds / cost):.0f} % less", flush=True)  # fmt: skip
    draw(formula, lines, folder / f"phonons-{formula}.png")


def ticks(path: Any) -> list[str]:
    """Labels of the ends of the path's segments, two where it jumps."""
    plain = (re.sub(r"\\mathrm|[${}]", "", label).replace("\\Gamma", "Γ") for label in path.labels)
    found = [next(plain)]
    for joined in path.path_connections:
        found.append(next(plain))
        if not joined and (other := next(plain, None)):
            found[-1] += "|" + other
    return found


def draw(formula: str, lines: dict[str, Any], path: Path) -> None:
    """Dispersions along the path of seekpath, over each other."""
    with picture(path, 4.6, 3.2) as figure:
        axes = figure.add_axes((0.125, 0.1, 0.86, 0.79))
        for name in LABELS:
            for distances, values in zip(lines[name].distances, lines[name].frequencies, strict=True):
                style = {"linestyle": (0, (4, 3)), "linewidth": 1.1} if name == "moving" else {"linewidth": 0.9}
                axes.plot(distances, values, color=COLOURS[name], **style)
            axes.plot([], [], color=COLOURS[name], label=LABELS[name], **style)
        path = lines["SCF"]
        ends = [float(part[0]) for part in path.distances] + [float(path.distances[-1][-1])]
        axes.set_xticks(ends, ticks(path))
        axes.vlines(ends[1:-1], 0, 1, transform=axes.get_xaxis_transform(), color="#bbbbbb", linewidth=0.5)
        axes.axhline(0, color="#bbbbbb", linewidth=0.5)
        axes.set(xlim=(ends[0], ends[-1]), ylabel="THz")
        axes.tick_params(axis="x", length=0)
        axes.set_title(formula, pad=6)
        axes.legend(
            frameon=False,
            fontsize=8,
            ncols=3,
            loc="lower right",
            bbox_to_anchor=(1.01, 1),
            borderaxespad=0.2,
            columnspacing=1.4,
        )


if __name__ == "__main__":
    main()
