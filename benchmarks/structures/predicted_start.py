"""SCF of Quantum ESPRESSO from a predicted density, and the error of that prediction once the true density is known.

    from predicted_start import PredictedStart
    start = PredictedStart("base")
    result = start.compute(structure, nspin, limit, spacing, folder, atoms)  # as compute() of the tools' run_qe.py
    facts = scf_facts(result) | start.facts(structure, result, atoms)

pw.x writes its superposed atoms without an iteration, the predicted difference density is added to that file, and pw.x
starts from it. A magnetisation stays the one that pw.x starts from by itself (half of the valence electrons of the
magnetic elements): the weights know the moments of few materials, and where they predict none a magnetic state would
not be found. Where the weights fail, or the SCF from their density does not converge, it is computed from superposed
atoms as usual.

The errors are those of weights that have not learned from the structure: kept with it in the store they show, over the
data sets, how much learning from more helps (learning_log.py).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.formats.structures import as_structure
from chgtools.fourier.basis import expand, holding_shape
from chgtools.models.weights import find_weights, load_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import waves_at

if TYPE_CHECKING:
    from pymatgen.core import Structure

Waves = Callable[[np.ndarray], np.ndarray]  # of (n, 3) Miller indices (n,) n_G in electrons/bohr³


class NoPrediction(Exception):
    """Why a structure is computed from superposed atoms."""


class PredictedStart:
    """Weights that say from what density an SCF starts."""

    def __init__(self, weights: str) -> None:
        self.model = load_model(weights)
        self.sum = hashlib.sha256(find_weights(weights).read_bytes()).hexdigest()[:12]

    def waves(self, structure: Structure) -> Waves:
        """The predicted difference density, to which elements that the weights do not know add nothing.

        Raises NoPrediction.
        """
        cell, basis = as_structure(structure), self.model.basis
        try:
            values = self.model.predict(cell).coefficients
            grid = expand(cell, values, basis, holding_shape(cell.lattice, basis.q_max))
        except (ChgtoolsError, RuntimeError, ValueError) as error:
            raise NoPrediction(f"the weights fail: {error}") from error
        return lambda miller: waves_at(grid, miller)

    def compute(
        self, structure: Structure, nspin: int, limit: float, spacing: float, folder: Path, atoms: Any
    ) -> dict[str, Any]:
        """What compute() of run_qe.py gives, with ``waves`` of the prediction and ``why_atoms``.

        waves is None where the weights fail, why_atoms "" where the SCF started from them. Raises RuntimeError as that
        compute does.
        """
        import run_qe

        waves = None
        try:
            waves = self.waves(structure)
            result, why = compute_from(waves, structure, nspin, limit, spacing, folder), ""
        except NoPrediction as error:
            result, why = run_qe.compute(structure, nspin, limit, spacing, folder, atoms), str(error)
        return result | {"waves": waves, "why_atoms": why}

    def facts(self, structure: Structure, result: dict[str, Any], atoms: Any) -> dict[str, Any]:
        """Attributes for the store: the weights and the ε_mae of their prediction in percent; {} where they fail."""
        if result["waves"] is None:
            return {}
        from density import BOHR

        species = [site.specie.symbol for site in structure]
        miller, shape = result["miller"], result["shape"]
        density = atoms.superposition(structure.lattice.matrix, species, structure.frac_coords, miller)
        density += result["waves"](miller)
        field = np.zeros(shape, complex)
        field[tuple((miller % shape).T)] = density - result["coefficients"][0]
        error = float(np.abs(np.fft.ifftn(field, norm="forward").real).mean())  # electrons/bohr³
        electrons = sum(atoms.zval(symbol) for symbol in species)
        percent = 100 * error * structure.volume / BOHR**3 / electrons
        return {"base_eps_mae_percent": percent, "base_weights": self.sum}


def compute_from(
    waves: Waves, structure: Structure, nspin: int, limit: float, spacing: float, folder: Path
) -> dict[str, Any]:
    """The SCF from the superposed atoms and these waves, as compute() of run_qe.py gives it.

    Raises RuntimeError where time is up, NoPrediction where pw.x does not take the density or does not converge.
    """
    from density import read_qe, write_qe
    from run_qe import kmesh, pw_input, run_pw

    mesh = kmesh(structure.lattice.matrix, spacing)
    text, ecutwfc = pw_input(structure, folder, mesh, nspin)
    file, original = folder / "x.save" / "charge-density.dat", folder / "atoms.dat"
    try:
        run_pw(text.replace("electron_maxstep=80", "electron_maxstep=0"), folder, limit)
        if not file.exists():
            raise NoPrediction("pw.x wrote no superposed atoms")
        original.write_bytes(file.read_bytes())
        _, miller, coefficients = read_qe(file)
        write_qe(file, original, [coefficients[0] + waves(miller), *coefficients[1:]])
        output = run_pw(text.replace("electron_maxstep=80", "electron_maxstep=80 startingpot='file'"), folder, limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"over {limit} s") from None
    if "convergence has been achieved" not in output:
        raise NoPrediction("the SCF from the predicted density does not converge")
    _, miller, coefficients = read_qe(file)
    shape = re.search(r"FFT dimensions:\s*\(\s*(\d+),\s*(\d+),\s*(\d+)\)", output)
    assert shape is not None, "pw.x names no FFT grid"
    return {
        "output": output, "miller": miller, "coefficients": coefficients, "shape": tuple(map(int, shape.groups())),
        "ecutwfc": ecutwfc, "mesh": mesh,
    }  # fmt: skip


def scf_facts(result: dict[str, Any]) -> dict[str, Any]:
    """Attributes for the store: how many iterations the SCF took, and from what."""
    start = "atoms" if result.get("why_atoms", "asked for") else "predicted"
    return {"scf_iterations": len(re.findall(r"iteration #", result["output"])), "scf_start": start}
