"""The barrier of a vacancy's hop from Harris-Foulkes energies at a predicted density, against that of SCFs.

    python benchmarks/learned/barrier.py Si Al LiF --tools DFT/tools --model base -o FOLDER [--spacing 0.45]

Needs pw.x on the PATH and the tools (density.py, run_qe.py, fixed_density.py). A cell of REPEATS primitive cells along
each vector lacks one atom of the crystal's first element; the nearest atom of that element goes into the hole on a
straight line. Nothing is relaxed, neither the ends nor the images between them, so that every density is asked for the
energies of the same structures; such a barrier is higher than the real one. The second half of the path is the first
one mirrored. FOLDER/barrier.json keeps what was run: the same command goes on where it was stopped. Times are CPU
seconds, those of predictions included.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from textbook import CRYSTALS, Cell, Kept, crystal, parser_of

from chgtools.pictures.drawing import picture

if TYPE_CHECKING:
    import pymatgen.core

    from chgtools.models.model import DensityModel

REPEATS = {"Si": 2, "Al": 3, "LiF": 2}
OF_NO_WEIGHTS = ("SCF", "atoms")
HALF = np.linspace(0, 0.5, 4)  # of the way; seven images of the whole path
SHOWN = {
    "SCF": ("SCF", "#222222", "o-"),
    "atoms": ("superposed atoms", "#d08c3a", "s:"),
    "predicted": ("predicted density", "#c03028", "x--"),
}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--spacing", type=float, default=0.45, help="of k-points, 1/Å with 2π")
    arguments = parser.parse_args()
    if unknown := set(arguments.crystals) - set(REPEATS):
        parser.error(f"no cell is known for {', '.join(sorted(unknown))}; there are {', '.join(REPEATS)}")
    kept = Kept(arguments, "barrier.json")
    shown = {}
    for formula in arguments.crystals:
        runs = kept.runs(formula, f"{arguments.spacing:g}", OF_NO_WEIGHTS)
        for number, way in enumerate(HALF):
            runs += [{}] if number == len(runs) else []
            if missing := [name for name in SHOWN if name not in runs[number]]:
                runs[number] |= run(image(formula, float(way)), kept.model, arguments.spacing, missing)
                kept.save()
        shown[formula] = report(formula, [{name: each[name] for name in SHOWN} for each in runs])
    draw(shown, arguments.output / "barrier.png")


def image(formula: str, way: float) -> pymatgen.core.Structure:
    """The cell with the hole, its atom at a share of its way into it."""
    cell = crystal(formula)
    cell.make_supercell(REPEATS[formula])
    hole, *others = (i for i, site in enumerate(cell) if site.specie.symbol == CRYSTALS[formula][2][0])
    nearest = min(others, key=lambda other: cell.get_distance(hole, other))
    step = cell[nearest].frac_coords - cell[hole].frac_coords
    step -= np.round(step)
    cell.replace(nearest, cell[nearest].specie, cell[hole].frac_coords + (1 - way) * step)
    cell.remove_sites([hole])
    return cell.get_sorted_structure()


def run(structure: pymatgen.core.Structure, model: DensityModel, spacing: float, wanted: list[str]) -> dict[str, Any]:
    """Energies (eV) and seconds of each density wanted."""
    from run_qe import kmesh

    with tempfile.TemporaryDirectory(prefix="barrier") as folder:
        cell = Cell(structure, kmesh(structure.lattice.matrix, spacing), Path(folder))
        found = {}
        if "SCF" in wanted:
            found["SCF"] = cell.scf(), 0.0
        if "predicted" in wanted:
            waves, seconds = cell.predicted(model)
            found["predicted"] = cell.at(waves), seconds
        if "atoms" in wanted:
            found["atoms"] = cell.at(cell.superposed()), 0.0
    return {
        name: {"energy": result.energy, "seconds": result.seconds + prediction}
        for name, (result, prediction) in found.items()
    }


def report(formula: str, runs: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Print what they say; (7,) eV from the energy of the path's ends, of each density."""
    found = {}
    n = len(image(formula, 0.0))
    for name in runs[0]:
        energies = np.array([each[name]["energy"] for each in runs])
        off = 1000 * np.abs(energies - [each["SCF"]["energy"] for each in runs]).mean() / n
        half = energies - energies[0]
        found[name] = np.concatenate([half, half[-2::-1]])
        apart = 1000 * np.abs(found[name] - found["SCF"])[1:-1].mean()
        seconds = sum(each[name]["seconds"] for each in runs)
        print(f"{formula:5s}{n:3d} atoms  {name:10s}barrier {1000 * half.max():7.0f} meV, path {apart:6.0f} meV off, "
              f"energies {off:8.2f} meV/atom off, {seconds:.0f} s", flush=True)  # fmt: skip
    return found


def draw(shown: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Energy along the way."""
    with picture(path, 2.5 * len(shown) + 0.3, 3.0) as figure:
        for number, (formula, found) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), number + 1)
            for name, (label, colour, style) in SHOWN.items():
                way = np.linspace(0, 1, len(found[name]))
                axes.plot(way, found[name], style, color=colour, linewidth=1, markersize=4, label=label)
            axes.set(xlabel="way into the vacancy", title=formula)
            axes.set_ylim(top=1.55 * max(energies.max() for energies in found.values()))  # room for the legend
            if number == 0:
                axes.set_ylabel("eV")
        axes.legend(frameon=False, fontsize=8, loc="upper center")
        figure.tight_layout()


if __name__ == "__main__":
    main()
