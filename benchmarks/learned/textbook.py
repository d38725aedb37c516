"""Crystals of the textbooks, and Quantum ESPRESSO on them: whole SCFs, and one diagonalisation at a density given.

What ``phonons.py``, ``equation_of_state.py``, ``band_pictures.py`` and ``barrier.py`` share. The method is that of
``fixed_density.py`` of the tools (dft/tools), whose folder must be on Python's path before a :class:`Cell` is made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from chgtools.formats.structures import as_structure
from chgtools.fourier.basis import expand
from chgtools.models.weights import find_weights, load_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import waves_at, write_json

if TYPE_CHECKING:
    import pymatgen.core
    from numpy.typing import NDArray

    from chgtools.models.model import DensityModel

RYDBERG_EV = 13.605693122994
STEP = 0.001  # Å
Waves = Callable[["NDArray[np.int_]"], "NDArray[np.complex128]"]  # (n, 3) Miller indices -> n_G in electrons/bohr³
# space group, cubic lattice constant (Å) near that of PBE, species and where they are
CRYSTALS: dict[str, tuple[str, float, list[str], list[list[float]]]] = {
    "Si": ("Fd-3m", 5.47, ["Si"], [[0, 0, 0]]),
    "MgO": ("Fm-3m", 4.26, ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "NaCl": ("Fm-3m", 5.70, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "GaAs": ("F-43m", 5.76, ["Ga", "As"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "Cu": ("Fm-3m", 3.63, ["Cu"], [[0, 0, 0]]),
    "Al": ("Fm-3m", 4.04, ["Al"], [[0, 0, 0]]),
    "LiF": ("Fm-3m", 4.06, ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
}


def crystal(formula: str, scale: float = 1.0) -> pymatgen.core.Structure:
    """The primitive cell, its lattice vectors times ``scale``."""
    from pymatgen.core import Lattice, Structure

    group, a, species, places = CRYSTALS[formula]
    return Structure.from_spacegroup(group, Lattice.cubic(scale * a), species, places).get_primitive_structure()


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that the scripts have in common. doc : the script's own text"""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crystals", nargs="+", choices=list(CRYSTALS))
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--model", default="base")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser


class Kept:
    """What has been computed, in a file of the output folder; results are by crystal and weights.

    arguments : of :func:`parser_of`; name : of the file
    """

    def __init__(self, arguments: argparse.Namespace, name: str) -> None:
        use_tools(arguments.tools)
        arguments.output.mkdir(parents=True, exist_ok=True)
        self.model = load_model(arguments.model)
        self._path, self._of = arguments.output / name, f"{arguments.model} {checksum(arguments.model)[:8]}"
        self._done: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def runs(self, formula: str, settings: str = "", of_no_weights: tuple[str, ...] = ()) -> list[Any]:
        """Those of a crystal, to be added to.

        settings : what else they depend on; of_no_weights : the parts of a run that are taken from the latest one with
            other weights, since they would be the same
        """
        of_others = re.compile(re.escape(formula) + r" .+ [0-9a-f]{8}" + re.escape(f" {settings}".rstrip()))
        others = [runs for name, runs in self._done.items() if runs and of_others.fullmatch(name)]
        kept = [{part: run[part] for part in of_no_weights if part in run} for run in others[-1]] if others else []
        return self._done.setdefault(f"{formula} {self._of} {settings}".rstrip(), kept if of_no_weights else [])

    def save(self) -> None:
        write_json(self._path, self._done)


def use_tools(folder: Path) -> None:
    """Put the tools on Python's path; exits with a sentence where they are not there."""
    if not (folder / "run_qe.py").is_file():
        sys.exit(f"{folder} does not hold run_qe.py and fixed_density.py; wanted a folder like dft/tools")
    sys.path.insert(0, str(folder))


def checksum(model: str) -> str:
    return hashlib.sha256(find_weights(model).read_bytes()).hexdigest()


def cpu_seconds(output: str) -> float:
    """What pw.x says at its end that it took."""
    time_of = r"PWSCF\s+:\s+(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)? CPU"
    hours, minutes, seconds = (float(part or 0) for part in re.findall(time_of, output)[-1])
    return 3600 * hours + 60 * minutes + seconds


@dataclass(frozen=True)
class Result:
    """What pw.x found: energy in eV, its CPU seconds, (natoms, 3) forces in eV/Å, none where it prints none."""

    energy: float
    seconds: float
    forces: NDArray[np.float64]


class Cell:
    """A cell in Quantum ESPRESSO: its SCF, and one diagonalisation at any density.

    mesh : k-points, with Γ; folder : an empty one, for pw.x
    """

    def __init__(self, structure: pymatgen.core.Structure, mesh: list[int], folder: Path) -> None:
        from density import Atoms
        from run_qe import pw_input

        self.structure, self.folder, self.atoms = structure, folder, Atoms()
        text, _ = pw_input(structure, folder, mesh, 1, electrons="diago_thr_init=1e-8")
        self.text = re.sub(r"conv_thr=\S+", "conv_thr=1e-11", text).replace("tprnfor=.false.", "tprnfor=.true.")
        self.file, self.original = folder / "x.save" / "charge-density.dat", folder / "scf.dat"

    def scf(self) -> Result:
        """To self-consistency, from pw.x's superposed atoms."""
        result = self._run(self.text)
        self.original.write_bytes(self.file.read_bytes())
        return result

    def at(self, density: Waves, forces: bool = False) -> Result:
        """One diagonalisation; the energy is that of Harris and Foulkes.

        forces : Hellmann-Feynman with pw.x's correction for a density that is not self-consistent; the energy is then
            another one. That correction takes the density to move with its atoms as superposed atoms do
        """
        self._write(density)
        once = self.text.replace("electron_maxstep=80", "electron_maxstep=1 startingpot='file'")
        # (almost) unmixed, the energy is that of Harris and Foulkes; what has "converged" gets forces
        threshold = "1e6" if forces else "1e-30"
        return self._run(re.sub(r"conv_thr=\S+ mixing_beta=\S+", f"conv_thr={threshold} mixing_beta=1e-9", once))

    def superposed(self) -> Waves:
        """The atoms of the potentials (PP_RHOATOM)."""
        place = self.structure.lattice.matrix, [s.symbol for s in self.structure.species], self.structure.frac_coords
        return lambda miller: self.atoms.superposition(*place, miller)

    def predicted(self, model: DensityModel) -> tuple[Waves, float]:
        """Those atoms and the predicted difference density, and the CPU seconds that the prediction took."""
        miller = self._miller()
        start = time.process_time()
        structure = as_structure(self.structure).with_changes(labels=())
        shape = tuple(int(n) for n in 2 * np.abs(miller).max(axis=0) + 2)  # holds every wave of the code's sphere
        grid = expand(structure, model.predict(structure).coefficients, model.basis, shape)
        seconds, superposed = time.process_time() - start, self.superposed()
        # as_structure may group the atoms by element, which moves none
        return lambda waves: superposed(waves) + waves_at(grid, waves), seconds

    def bands_at(self, density: Waves, points: NDArray[np.float64] | list[int], bands: int) -> NDArray[np.float64]:
        """(nk, bands) eigenvalues in eV on a density that stays.

        points : (nk, 3) fractional, or the three numbers of a mesh with Γ: rows as often as symmetry has the point
        """
        self._write(density)
        mesh = np.ndim(points) == 1
        text = self.text[: self.text.index("K_POINTS")].replace("tprnfor=.true.", "tprnfor=.false.")
        text = text.replace("calculation='scf'", f"calculation='{'nscf' if mesh else 'bands'}'")
        text = text.replace("&system", f"&system nbnd={bands}")
        if mesh:
            text += "K_POINTS automatic\n" + " ".join(map(str, points)) + " 0 0 0\n"
        else:
            rows = [" ".join(f"{x:.8f}" for x in point) + " 1" for point in np.asarray(points)]
            text += "\n".join(["K_POINTS crystal", str(len(rows)), *rows, ""])
        self._output(text)
        root = ElementTree.parse(self.folder / "x.save" / "data-file-schema.xml").getroot()
        found = root.findall("output/band_structure/ks_energies")
        values = np.array([np.array(p.find("eigenvalues").text.split(), float) for p in found]) * 2 * RYDBERG_EV
        weights = np.array([float(p.find("k_point").get("weight")) for p in found])
        return np.repeat(values, np.round(weights / weights.min()).astype(int), axis=0) if mesh else values

    def moving_difference(self, model: DensityModel, density: Waves) -> tuple[NDArray[np.float64], float]:
        """What forces of :meth:`at` lack, after it: the part of the predicted difference density that moves with atoms.

        Returns (natoms, 3) eV/Å and CPU seconds. The energy of Harris and Foulkes changes with its density n by
        ∫ (V_out - V_in) ∂n/∂R, V those of Hartree, exchange and correlation; pw.x has ∂n/∂R of superposed atoms alone.
        ∂/∂R of the prediction by differences of STEP.
        """
        start = os.times()
        out = self._potential()
        self._write(density)
        change = (out - self._potential()) * RYDBERG_EV
        structure = as_structure(self.structure).with_changes(labels=())

        def integral(frac: NDArray[np.float64]) -> float:
            moved = structure.with_changes(frac=frac)
            grid = expand(moved, model.predict(moved).coefficients, model.basis, change.shape)
            return float((grid * change).mean()) * structure.volume

        here, forces = integral(structure.frac), np.zeros((structure.n_atoms, 3))
        for atom, axis in np.ndindex(forces.shape):
            frac = structure.frac.copy()
            frac[atom] += np.linalg.solve(structure.lattice.T, STEP * np.eye(3)[axis])
            forces[atom, axis] = (here - integral(frac)) / STEP
        forces -= forces.mean(axis=0)  # as pw.x does with its own
        return forces, float(np.sum(np.subtract(os.times()[:4], start[:4])))

    def _miller(self) -> NDArray[np.int_]:
        """(n, 3) of the waves in pw.x's file; made by one iteration where there is none."""
        from density import read_qe

        if not self.original.exists():
            self._output(self.text.replace("electron_maxstep=80", "electron_maxstep=1"))
            self.original.write_bytes(self.file.read_bytes())
        return read_qe(self.original)[1]

    def _write(self, density: Waves) -> None:
        from density import write_qe

        waves = density(self._miller())
        write_qe(self.file, self.original, [waves])

    def _potential(self) -> NDArray[np.float64]:
        """(nx, ny, nz) Ry: the local potential of the density in the file, by pp.x."""
        lines = f"&inputpp prefix='x' outdir='{self.folder}' filplot='{self.folder / 'v'}' plot_num=1 /\n"
        ended = subprocess.run(["pp.x"], input=lines, cwd=self.folder, capture_output=True, text=True)
        if "JOB DONE" not in ended.stdout:
            sys.exit(f"pp.x stopped: {ended.stdout.strip()[-200:]}")
        numbers = (self.folder / "v").read_text().splitlines()
        *_, nx, ny, nz, atoms, species = map(int, numbers[1].split())
        head = 7 + species + atoms  # title, sizes, celldm, three vectors, cutoffs
        return np.array(" ".join(numbers[head:]).split(), float).reshape((nx, ny, nz), order="F")

    def _output(self, text: str) -> str:
        from run_qe import run_pw

        output = run_pw(text, self.folder, 7200)
        if "JOB DONE" not in output:
            sys.exit(f"pw.x stopped: {output.strip().splitlines()[-1] if output.strip() else 'no output'}")
        return output

    def _run(self, text: str) -> Result:
        import fixed_density as method  # the one of the tools

        output = self._output(text)
        energy = float(re.findall(r"^!?\s+total energy\s+=\s+([-\d.]+)", output, re.M)[-1]) * RYDBERG_EV
        found: Any = method.forces(output) if "Forces acting on atoms" in output else np.zeros((0, 3))
        return Result(energy, cpu_seconds(output), found)
