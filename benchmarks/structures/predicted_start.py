"""SCF of Quantum ESPRESSO from a predicted density, and the error of that prediction once the true density is known.

    from predicted_start import PredictedStart, scf_facts
    start = PredictedStart("base")
    result = start.compute(structure, nspin, limit, spacing, folder, atoms)  # as compute() of the tools' run_qe.py
    facts = scf_facts(result) | start.facts(structure, result, atoms)

pw.x writes its superposed atoms without an iteration, the predicted difference density is added to that file, and pw.x
starts from it. A magnetisation is the predicted one where the weights know all magnetic elements and predict a moment
of LEAST_MOMENT; else it stays the one that pw.x starts from by itself, half of the valence electrons of these elements,
which is always large enough to find a magnetic state. Where a structure says in its site property ``magmom`` which way
moments point, the atoms of an element that point down are a species of their own for pw.x. Where the weights fail, the
SCF from their density does not converge or loses its moment, it is computed from superposed atoms as usual.

The errors are those of weights that have not learned from the structure: kept with it in the store they show, over the
data sets, how much learning from more helps (learning_log.py).
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
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

LEAST_MOMENT = 1.0  # μ_B per magnetic atom; from less, an SCF may miss a magnetic state
LOST_MOMENT = 0.1  # μ_B per magnetic atom; an SCF that ends with less is begun again from pw.x's own magnetisation

Waves = Callable[[np.ndarray], np.ndarray]  # of (n, 3) Miller indices (n,) n_G in electrons/bohr³


class NoPrediction(Exception):
    """Why a structure is computed from superposed atoms."""


@dataclass(frozen=True)
class Prediction:
    """A difference density, and a magnetisation where one large enough is predicted; (n_atoms,) ways of the moments."""

    density: Waves
    magnetisation: Waves | None
    signs: np.ndarray


class PredictedStart:
    """Weights that say from what density an SCF starts."""

    def __init__(self, weights: str) -> None:
        self.model = load_model(weights)
        self.sum = hashlib.sha256(find_weights(weights).read_bytes()).hexdigest()[:12]

    def predict(self, structure: Structure, nspin: int) -> Prediction:
        """What the weights predict; elements that they do not know add nothing. Raises NoPrediction."""
        cell, basis = as_structure(structure), self.model.basis
        signs = _ways(structure, nspin)

        def on_waves(values: np.ndarray) -> Waves:
            grid = expand(cell, values, basis, holding_shape(cell.lattice, basis.q_max))
            return lambda miller: waves_at(grid, miller)

        try:
            estimate = self.model.predict(cell, 0.0, signs[:, None])
            magnetisation, spins = None, estimate.magnetisation
            known = {symbol for symbol, sign in zip(cell.elements, signs, strict=True) if sign} <= set(self.model.spins)
            if known and spins is not None:
                along = signs @ (spins[0][:, 0] @ basis.charges)
                magnetisation = on_waves(spins[0]) if along >= LEAST_MOMENT * np.abs(signs).sum() else None
            return Prediction(on_waves(estimate.coefficients), magnetisation, signs)
        except (ChgtoolsError, RuntimeError, ValueError) as error:
            raise NoPrediction(f"the weights fail: {error}") from error

    def spread(self, structure: Structure, nspin: int) -> float:
        """How far the networks differ on a structure, percent of the electrons; NaN where the weights fail."""
        try:
            signs = _ways(structure, nspin)
            return float(self.model.predict(as_structure(structure), 0.0, signs[:, None]).spread_percent)
        except (ChgtoolsError, RuntimeError, ValueError):
            return float("nan")

    def compute(
        self, structure: Structure, nspin: int, limit: float, spacing: float, folder: Path, atoms: Any
    ) -> dict[str, Any]:
        """What compute() of run_qe.py gives, with ``prediction`` and ``why_atoms``.

        prediction is None where the weights fail, why_atoms "" where the SCF started from them. Raises RuntimeError as
        that compute does.
        """
        import run_qe

        prediction = None
        try:
            prediction = self.predict(structure, nspin)
            result, why = compute_from(prediction, structure, nspin, limit, spacing, folder), ""
        except NoPrediction as error:
            if signs_of(structure) is not None:
                raise RuntimeError(f"{error}, and run_qe.py knows no moments that point down") from None
            result, why = run_qe.compute(structure, nspin, limit, spacing, folder, atoms), str(error)
        return result | {"prediction": prediction, "why_atoms": why}

    def facts(self, structure: Structure, result: dict[str, Any], atoms: Any) -> dict[str, Any]:
        """Attributes for the store: the weights and the ε_mae of their prediction in percent; {} where they fail."""
        if result["prediction"] is None:
            return {}
        from density import BOHR

        species = [site.specie.symbol for site in structure]
        miller, shape = result["miller"], result["shape"]
        density = atoms.superposition(structure.lattice.matrix, species, structure.frac_coords, miller)
        density += result["prediction"].density(miller)
        field = np.zeros(shape, complex)
        field[tuple((miller % shape).T)] = density - result["coefficients"][0]
        error = float(np.abs(np.fft.ifftn(field, norm="forward").real).mean())  # electrons/bohr³
        electrons = sum(atoms.zval(symbol) for symbol in species)
        percent = 100 * error * structure.volume / BOHR**3 / electrons
        return {"base_eps_mae_percent": percent, "base_weights": self.sum}


def compute_from(
    prediction: Prediction, structure: Structure, nspin: int, limit: float, spacing: float, folder: Path
) -> dict[str, Any]:
    """The SCF from the superposed atoms and a prediction, as compute() of run_qe.py gives it.

    Raises RuntimeError where time is up, NoPrediction where pw.x does not take the density, does not converge from it,
    or comes to a state without the moment that was predicted.
    """
    from density import read_qe, write_qe
    from run_qe import kmesh, pw_input, run_pw

    mesh = kmesh(structure.lattice.matrix, spacing)
    text, ecutwfc = pw_input(structure, folder, mesh, nspin)
    text = with_signs(text, signs_of(structure))
    file, original = folder / "x.save" / "charge-density.dat", folder / "atoms.dat"
    try:
        run_pw(text.replace("electron_maxstep=80", "electron_maxstep=0"), folder, limit)
        if not file.exists():
            raise NoPrediction("pw.x wrote no superposed atoms")
        original.write_bytes(file.read_bytes())
        _, miller, blocks = read_qe(file)
        blocks[0] += prediction.density(miller)
        if prediction.magnetisation is not None:
            blocks[1] = prediction.magnetisation(miller)
        write_qe(file, original, blocks)
        output = run_pw(text.replace("electron_maxstep=80", "electron_maxstep=80 startingpot='file'"), folder, limit)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"over {limit} s") from None
    if "convergence has been achieved" not in output:
        raise NoPrediction("the SCF from the predicted density does not converge")
    _, miller, blocks = read_qe(file)
    if prediction.magnetisation is not None:
        moment = float(re.findall(r"absolute magnetization\s+=\s+([\d.]+)", output)[-1])
        if moment < LOST_MOMENT * np.abs(prediction.signs).sum():
            raise NoPrediction("the predicted moment is lost")
    shape = re.search(r"FFT dimensions:\s*\(\s*(\d+),\s*(\d+),\s*(\d+)\)", output)
    assert shape is not None, "pw.x names no FFT grid"
    return {
        "output": output, "miller": miller, "coefficients": blocks, "shape": tuple(map(int, shape.groups())),
        "ecutwfc": ecutwfc, "mesh": mesh,
    }  # fmt: skip


def signs_of(structure: Structure) -> np.ndarray | None:
    """(n_atoms,) +1, -1 or 0, which way moments start; None of a structure that does not say it."""
    given = structure.site_properties.get("magmom")
    return None if given is None else np.sign(np.array(given, dtype=float))


def _ways(structure: Structure, nspin: int) -> np.ndarray:
    """(n_atoms,) which way the moments start that pw.x is given: all up where the structure says nothing."""
    from structures import MAGNETIC  # of the tools: what pw.x gets start moments for

    signs = signs_of(structure)
    if signs is not None:
        return signs
    return np.array([float(nspin == 2 and site.specie.symbol in MAGNETIC) for site in structure])


def with_signs(text: str, signs: np.ndarray | None) -> str:
    """An input of run_qe.py whose atoms with moments that point down are species of their own: Mn and Mn2."""
    if signs is None or not (signs < 0).any():
        return text
    lines = text.splitlines()
    kinds, places = lines.index("ATOMIC_SPECIES"), lines.index("ATOMIC_POSITIONS crystal")
    atoms = lines[places + 1 : places + 1 + len(signs)]
    turned = sorted({line.split()[0] for line, sign in zip(atoms, signs, strict=True) if sign < 0})
    kept = lines[kinds + 1 : lines.index("CELL_PARAMETERS angstrom")]
    for number, symbol in enumerate(turned, len(kept) + 1):
        lines.insert(kinds + number, f"{symbol}2 1.0 {symbol}.upf")
    start = places + 1 + len(turned)
    lines[start : start + len(signs)] = [
        re.sub(r"^[A-Z][a-z]?", r"\g<0>2", line) if sign < 0 else line for line, sign in zip(atoms, signs, strict=True)
    ]
    moments = " ".join(f"starting_magnetization({n})=-0.5" for n in range(len(kept) + 1, len(kept) + len(turned) + 1))
    found = "\n".join(lines).replace(f"ntyp={len(kept)} ", f"ntyp={len(kept) + len(turned)} ")
    return found.replace("nspin=2 ", f"nspin=2 {moments} ") + "\n"


def scf_facts(result: dict[str, Any]) -> dict[str, Any]:
    """Attributes for the store: how many iterations the SCF took, and from what.

    scf_start : "atoms", "predicted", or "predicted density" where the magnetisation was pw.x's own
    """
    start, prediction = "atoms", result.get("prediction")
    if prediction is not None and not result["why_atoms"]:
        own = len(result["coefficients"]) == 2 and prediction.magnetisation is None
        start = "predicted density" if own else "predicted"
    return {"scf_iterations": len(re.findall(r"iteration #", result["output"])), "scf_start": start}
