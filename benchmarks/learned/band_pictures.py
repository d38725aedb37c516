"""Bands and densities of states at a predicted density over those of SCFs, crystals of textbooks in one picture.

    python benchmarks/learned/band_pictures.py Si MgO NaCl GaAs Cu --tools DFT/tools --model base -o FOLDER

Needs pw.x on the PATH and the tools (density.py, run_qe.py, fixed_density.py). Each crystal is run to self-consistency
once; then bands on a path, and on a mesh for the density of states, at its density, at the
predicted one and at that of superposed atoms. No energy is shifted on its own: all have the SCF's zero, the highest
occupied state. FOLDER/bands.json keeps what was run. Errors: of the occupied bands on the mesh, of the gap on the path.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from textbook import Cell, Kept, crystal, parser_of

from chgtools.pictures.drawing import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from chgtools.models.model import DensityModel

SPACING, FINE_SPACING = 0.3, 0.2  # of k-points, 1/Å with 2π: of the SCF, of the density of states
POINTS = 12  # of the path, to 1/Å
PATH = [r"\Gamma", "X", "W", "K", r"\Gamma", "L"]  # of face-centred cubic cells
EMPTY = 4  # bands
WINDOW = (-8.0, 8.0)  # eV
WIDTH = 0.15  # eV, of the Gaussians
COLOURS = {"atoms": "#e3b27c", "SCF": "#222222", "predicted": "#c03028"}
LABELS = {"SCF": "SCF", "atoms": "superposed atoms", "predicted": "predicted density"}


def main() -> None:
    arguments = parser_of(__doc__).parse_args()
    kept = Kept(arguments, "bands.json")
    shown = {}
    for formula in arguments.crystals:
        runs = kept.runs(formula)
        if not runs:
            runs.append(run(formula, kept.model))
            kept.save()
        shown[formula] = runs[0]
        report(formula, runs[0])
    draw(shown, arguments.output / "bands.png")


def run(formula: str, model: DensityModel) -> dict[str, Any]:
    """The path, and eigenvalues (eV) of each density on it and on a mesh."""
    from density import read_qe
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
    from pymatgen.symmetry.bandstructure import HighSymmKpath
    from run_qe import kmesh

    structure = SpacegroupAnalyzer(crystal(formula)).get_primitive_standard_structure()
    path = HighSymmKpath(structure)
    path.kpath["path"] = [PATH]
    points, labels = path.get_kpoints(POINTS, coords_are_cartesian=False)
    mesh = [kmesh(structure.lattice.matrix, spacing) for spacing in (SPACING, FINE_SPACING)]
    with tempfile.TemporaryDirectory(prefix="bands") as folder:
        cell = Cell(structure, mesh[0], Path(folder))
        cell.scf()
        scf = read_qe(cell.original)[2][0]
        electrons = round(sum(cell.atoms.zval(site.specie.symbol) for site in structure))
        count = (electrons + 1) // 2 + EMPTY
        densities = {"SCF": lambda miller: scf, "predicted": cell.predicted(model)[0], "atoms": cell.superposed()}
        found = {
            name: {
                "path": cell.bands_at(waves, np.array(points), count).tolist(),
                "mesh": cell.bands_at(waves, mesh[1], count).tolist(),
            }
            for name, waves in densities.items()
        }
    return {"points": np.array(points).tolist(), "labels": labels, "electrons": electrons, "bands": found,
            "reciprocal": structure.lattice.reciprocal_lattice.matrix.tolist()}  # fmt: skip


def fermi(entry: dict[str, Any]) -> float:
    """The highest occupied state (eV) of the SCF's bands: that of the mesh, or of the path where there is a gap."""
    states = np.sort(np.ravel(entry["bands"]["SCF"]["mesh"]))
    if gap_of(entry, "SCF") is None:
        return float(states[entry["electrons"] * len(entry["bands"]["SCF"]["mesh"]) // 2 - 1])
    return float(np.array(entry["bands"]["SCF"]["path"])[:, entry["electrons"] // 2 - 1].max())


def gap_of(entry: dict[str, Any], name: str) -> float | None:
    """Of the path, in eV; None for a metal."""
    if entry["electrons"] % 2:
        return None
    bands, count = np.array(entry["bands"][name]["path"]), entry["electrons"] // 2
    gap = float(bands[:, count].min() - bands[:, count - 1].max())
    return gap if gap > 0 else None


def report(formula: str, entry: dict[str, Any]) -> None:
    true = np.array(entry["bands"]["SCF"]["mesh"])
    occupied = true <= fermi(entry) + 1e-6
    for name in ("predicted", "atoms"):
        error = 1000 * np.abs(np.array(entry["bands"][name]["mesh"]) - true)[occupied].mean()
        gaps = gap_of(entry, "SCF"), gap_of(entry, name)
        gap = f"  gap {gaps[1] or 0:.3f} eV, SCF {gaps[0]:.3f}" if gaps[0] else ""
        print(f"{formula:6s}{LABELS[name]:18s}occupied bands {error:7.1f} meV off{gap}", flush=True)


def draw(shown: dict[str, dict[str, Any]], path: Path) -> None:
    """Two panels for each crystal, three crystals in a row."""
    rows = -(-len(shown) // 3)
    depth = 2.5 * rows + 0.4
    with picture(path, 7.4, depth) as figure:
        grid = figure.add_gridspec(rows, 3, wspace=0.2, hspace=0.25)
        grid.update(left=0.07, right=0.99, top=1 - 0.5 / depth, bottom=0.25 / depth)
        for number, (formula, entry) in enumerate(shown.items()):
            draw_crystal(figure, grid[number // 3, number % 3], formula, entry)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, frameon=False, fontsize=9, loc="upper right", ncols=3)


def draw_crystal(figure: Figure, place: Any, formula: str, entry: dict[str, Any]) -> None:
    left, right = (figure.add_subplot(part) for part in place.subgridspec(1, 2, width_ratios=(3, 1), wspace=0.06))
    zero, energies = fermi(entry), np.linspace(*WINDOW, 400)
    points = np.array(entry["points"]) @ np.array(entry["reciprocal"])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    for name in ("atoms", "SCF", "predicted"):
        style = {"linestyle": (0, (4, 3)), "linewidth": 1.0} if name == "predicted" else {"linewidth": 0.8}
        lines = left.plot(along, np.array(entry["bands"][name]["path"]) - zero, color=COLOURS[name], **style)
        lines[0].set_label(LABELS[name])
        states = np.array(entry["bands"][name]["mesh"]) - zero
        near = states[(states > WINDOW[0] - 1) & (states < WINDOW[1] + 1)]
        dos = np.exp(-(((energies[:, None] - near) / WIDTH) ** 2) / 2).sum(axis=1) / len(states)
        right.plot(dos, energies, color=COLOURS[name], **style)
    ends = {where: label for where, label in zip(along, entry["labels"], strict=True) if label}
    left.set_xticks(list(ends), [label.replace("\\Gamma", "Γ") for label in ends.values()], fontsize=8)
    left.vlines(list(ends)[1:-1], *WINDOW, color="#cccccc", linewidth=0.5, zorder=0)
    left.set(xlim=(0, along[-1]), ylim=WINDOW)
    left.set_title(formula, pad=4)
    left.tick_params(axis="x", length=0)
    right.set(ylim=WINDOW, yticks=[], xticks=[], xlim=(0, None))
    for axes in (left, right):
        axes.axhline(0, color="#cccccc", linewidth=0.5, zorder=0)
    if place.colspan.start == 0:
        left.set_ylabel("eV")


if __name__ == "__main__":
    main()
