"""Equations of state from Harris-Foulkes energies at a predicted density, against those of SCFs.

    python benchmarks/learned/equation_of_state.py Si MgO --tools DFT/tools --model base -o FOLDER

Needs pw.x on the PATH and the tools (density.py, run_qe.py, fixed_density.py). Seven volumes from 94 to 106 % of each
crystal, with the same cutoff and k-points; lattice constant and bulk modulus by a fit of Birch and Murnaghan.
FOLDER/energies.json keeps what was run: the same command goes on where it was stopped. Times are CPU seconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from textbook import Cell, Kept, crystal, parser_of

from chgtools.pictures.drawing import picture

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel

VOLUMES = np.linspace(0.94, 1.06, 7)
SPACING = 0.3  # of k-points, 1/Å with 2π
COLOURS = {"SCF": "#222222", "predicted": "#c03028"}


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    kept = Kept(arguments, "energies.json")
    shown = {}
    for formula in arguments.crystals:
        runs = kept.runs(formula)
        for volume in VOLUMES[len(runs) :]:
            runs.append(run(formula, float(volume), kept.model))
            kept.save()
        shown[formula] = report(formula, runs)
    draw(shown, arguments.output / "equation-of-state.png")


def run(formula: str, volume: float, model: DensityModel) -> dict[str, Any]:
    """Volume (Å³ per atom), energies (eV per atom) and seconds of each density."""
    from run_qe import kmesh

    structure = crystal(formula, volume ** (1 / 3))
    with tempfile.TemporaryDirectory(prefix="eos") as folder:
        cell = Cell(structure, kmesh(crystal(formula).lattice.matrix, SPACING), Path(folder))
        found = {"SCF": (cell.scf(), 0.0)}
        waves, seconds = cell.predicted(model)
        found["predicted"] = cell.at(waves), seconds
        found["atoms"] = cell.at(cell.superposed()), 0.0
    n = len(structure)
    energies = {name: result.energy / n for name, (result, _) in found.items()}
    times = {name: result.seconds + prediction for name, (result, prediction) in found.items()}
    return {"volume": structure.volume / n, "energies": energies, "seconds": times}


def report(formula: str, runs: list[dict[str, Any]]) -> dict[str, tuple]:
    """Print what the fits say; (volumes, energies, fit) of each density."""
    from pymatgen.analysis.eos import EOS

    volumes, found = np.array([each["volume"] for each in runs]), {}
    n_cubic = crystal(formula).to_conventional().num_sites
    for name in runs[0]["energies"]:
        energies = np.array([each["energies"][name] for each in runs])
        fit = EOS("birch_murnaghan").fit(volumes, energies)
        found[name] = volumes, energies, fit
        error = 1000 * np.abs(energies - found["SCF"][1]).mean()
        seconds = sum(each["seconds"][name] for each in runs)
        print(f"{formula:6s}{name:10s}  a = {(n_cubic * fit.v0) ** (1 / 3):.4f} Å  B = {fit.b0_GPa:7.2f} GPa  "
              f"energies {error:8.2f} meV/atom off  {seconds:.0f} s", flush=True)  # fmt: skip
    return found


def draw(shown: dict[str, dict[str, tuple]], path: Path) -> None:
    """Energy against volume, from the lowest of the SCFs; superposed atoms lie far off and are left out."""
    with picture(path, 2.9 * len(shown) + 0.2, 2.7) as figure:
        for number, (formula, found) in enumerate(shown.items()):
            axes = figure.add_subplot(1, len(shown), number + 1)
            lowest = float(found["SCF"][2].e0)
            for name, colour in COLOURS.items():
                volumes, energies, fit = found[name]
                line = np.linspace(volumes[0], volumes[-1], 100)
                scf = name == "SCF"
                axes.plot(line, 1000 * (fit.func(line) - lowest), "-" if scf else "--", color=colour, linewidth=1)
                axes.plot(volumes, 1000 * (energies - lowest), "o" if scf else "x", color=colour, markersize=4,
                          label=name if scf else "predicted density")  # fmt: skip
            axes.set(xlabel="Å³ per atom", title=formula)
            if number == 0:
                axes.set_ylabel("meV per atom")
                axes.legend(frameon=False, fontsize=8, loc="upper center")
        figure.tight_layout()


if __name__ == "__main__":
    main()
