"""What scripts of several rooms share: where the data lie, errors, waves for other codes, what weights have seen.

A script of a room puts this folder on its path (``sys.path.insert``) and imports from ``common``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.labels import label_facts, labels_of
from chgtools.cell import Structure
from chgtools.comparison import coulomb_self_energy
from chgtools.files import replacing
from chgtools.fourier.half_sphere import take
from chgtools.fourier.resampling import coefficients
from chgtools.stores.store import Store, writable, write_entry
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from chgtools.stores.entry import Entry

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("CHGTOOLS_SHARED", ROOT.parent / "shared"))  # as in the tests
CORPUS = SHARED / "corpus"  # real files of VASP and of other programs
RADII = (0.0, 0.6, 1.0)  # Å, from every nucleus; 0 is the whole cell
ROUNDING = 5e-4  # of the root mean square of a difference density: the error that rounding a store may make


def distance_to_nuclei(structure: Structure, shape: tuple[int, int, int]) -> np.ndarray:
    """(nx, ny, nz) distance in Å from each grid point to the nearest nucleus; right up to half the cell's width."""
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    nearest = np.full(shape, np.inf)
    for atom in structure.frac:
        shift = fractions - atom
        shift -= np.round(shift)
        for image in product((-1, 0, 1), repeat=3):
            nearest = np.minimum(nearest, np.linalg.norm((shift + image) @ structure.lattice, axis=-1))
    return nearest


def labels_by_electrons(structure: Structure, electrons: float) -> dict[str, str] | None:
    """The first labels, defaults first, whose ZVALs add up to the file's electrons."""
    options = []
    for element in dict.fromkeys(structure.species):
        names = sorted(
            labels_of(element), key=lambda n: (not label_facts(n).is_mp_default, label_facts(n).kind == "GW")
        )
        options.append([(element, name) for name in names])
    for combination in product(*options):
        chosen = dict(combination)
        total = sum(n * label_facts(chosen[e]).zval for e, n in zip(structure.species, structure.counts, strict=True))
        if abs(total - electrons) < 1e-2:
            return chosen
    return None


class Regions:
    """The points of a grid farther than each of RADII from every nucleus."""

    def __init__(self, structure: Structure, shape: tuple[int, int, int]) -> None:
        distance = distance_to_nuclei(structure, shape)
        self.masks = [distance >= radius for radius in RADII]

    def errors(self, density: np.ndarray, wanted: np.ndarray) -> list[float | None]:
        """100 Σ|n - wanted| / Σ|wanted| in each region, percent; None where it has less than 1 % of the points."""
        difference, size = np.abs(density - wanted), np.abs(wanted)
        return [
            float(100 * difference[mask].sum() / size[mask].sum()) if mask.mean() > 0.01 else None
            for mask in self.masks
        ]


def cells(figures: list[float | None]) -> str:
    """Figures of a row of a table, eight characters each."""
    return "".join("       -" if figure is None else f"{figure:8.2f}" for figure in figures)


def density_errors(entry: Entry, dcd: np.ndarray, total: np.ndarray) -> dict[str, float]:
    """ε_mae and ε_rms in percent, Coulomb self-energy of the error in meV/atom, as ``chgtools evaluate`` has them.

    dcd, total : on the entry's own grid, electrons/Å³: a difference density, and the true total for ε_rms
    """
    structure, error = entry.structure, np.asfortranarray(dcd - entry.on_grid())
    electrons = float(entry.attributes["nelectrons"])
    return {
        "eps_mae": 100 * float(np.abs(error).mean()) * structure.volume / electrons,
        "eps_rms": 100 * float(np.linalg.norm(error) / np.linalg.norm(total)),
        "coulomb": 1000 / structure.n_atoms * coulomb_self_energy(error, structure.lattice),
    }


def waves_at(grid: np.ndarray, miller: np.ndarray) -> np.ndarray:
    """(n,) n_G in electrons/bohr³, as Quantum ESPRESSO has them, of a density on a grid (electrons/Å³).

    miller : (n, 3), of either half space; 0 for waves that the grid does not hold
    """
    sign = np.where(miller[:, 0] < 0, -1, 1)
    values = take(coefficients(grid), grid.shape, miller * sign[:, None])
    return np.where(sign < 0, values.conj(), values) * BOHR_ANGSTROM**3


def seen(card: Mapping[str, Any], entry: Entry, kind: str | None = None) -> bool:
    """Whether weights may have been trained on this structure, or on its formula: what their split says.

    kind : of the entry in the stores that the weights were trained on, where it is another
    """
    from chgtools.training.config import TrainSettings, Validation
    from chgtools.training.data import split_of

    settings = card["settings"]
    rule = Validation(**{**settings["validation"], "hold_out": tuple(settings["validation"]["hold_out"])})
    run = TrainSettings(data=("-",), validation=rule, fraction=settings["fraction"])
    if kind is not None:
        entry = replace(entry, attributes={**entry.attributes, "kind": kind})
    return split_of(entry, run) == "train"


def without_elements(stores: Iterable[Path], elements: Collection[str], kept: Path) -> list[Entry]:
    """Write the entries of stores that hold none of some elements to a new store; those that hold one are returned."""
    holding = []
    with writable(kept) as file:
        for store in map(Store.open, stores):
            for name, facts in store.facts():
                if set(elements) & set(facts["elements"]):
                    holding.append(store[name])
                else:
                    write_entry(file, store[name])
    return holding


def write_json(path: Path, values: Any) -> None:
    """A complete file or none."""
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(values, indent=1))
