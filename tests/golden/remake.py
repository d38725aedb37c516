"""Golden numbers of the shipped weights, and the structures they belong to.

``python tests/golden/remake.py`` writes ``coefficients.npz`` beside it, from the weights of the checkout it lies in.
Remake it only where the weights change, or where a prediction was wrong and is now right: a difference says that
users' start densities change.

The file holds for each structure the coefficients that the weights predict (float32, n_atoms x n_lm x n_max), those of
the magnetisation where there are start directions, and the three scalars of an estimate.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FILE = HERE / "coefficients.npz"
UNPACKED = tempfile.TemporaryDirectory(prefix="first_weights")
SCALARS = ("spread_percent", "error_percent", "damping")

FCC = np.array([[0.0, 2.02, 2.02], [2.02, 0.0, 2.02], [2.02, 2.02, 0.0]])
ROCK_SALT = np.array([[0.0, 2.11, 2.11], [2.11, 0.0, 2.11], [2.11, 2.11, 0.0]])
SILICON = 5.43 * np.eye(3)
DIAMOND = np.array(
    [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0], [0.25, 0.25, 0.25], [0.25, 0.75, 0.75], [0.75, 0.25, 0.75], [0.75, 0.75, 0.25]]
)  # fmt: skip


def _rattled(frac: np.ndarray, seed: int) -> np.ndarray:
    """Positions off their sites by up to 1 % of the cell, so that no coefficient is zero by symmetry."""
    return np.asarray(frac, dtype=float) + np.random.default_rng(seed).uniform(-0.01, 0.01, (len(frac), 3))


@cache
def first_weights(name: str) -> Path:
    """The file of earlier weights of a name, unpacked."""
    path = Path(UNPACKED.name) / f"{name}.safetensors"
    path.write_bytes(gzip.decompress((HERE / f"{name}.safetensors.gz").read_bytes()))
    return path


def cases() -> dict[str, tuple]:
    """Name to (weights, structure, directions of the start moments or None).

    A metal, an oxide, a molecule, silicon with a vacancy and a pair of magnetic atoms in an oxide (one moment up, one
    down) for ``base``; the vacancy, a strained and a perfect crystal for ``si``, and silicon with an element that ``si``
    never saw. Those called prior_ are of the shipped weights; the others of the first ones, and of earlier ones with
    a prior, which lie beside this file: old files go on to load, and to give their numbers.
    """
    from chgtools.cell import Structure

    vacancy = Structure(SILICON, ("Si",), (7,), _rattled(DIAMOND[1:], 3))
    water = Structure(
        np.diag([5.0, 5.5, 6.0]), ("O", "H"), (1, 2), [[0.5, 0.5, 0.5], [0.5, 0.638, 0.598], [0.51, 0.362, 0.598]]
    )
    oxide = Structure(
        ROCK_SALT * [[1.0], [1.0], [2.0]] + 0.05 * np.eye(3),
        ("Mg", "Ti", "O"),
        (1, 1, 2),
        _rattled([[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75]], 2),
    )
    magnetic = Structure(
        2.16 / 2.11 * ROCK_SALT * [[1.0], [1.0], [2.0]],
        ("Fe", "Ni", "O"),
        (1, 1, 2),
        _rattled([[0, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.25], [0.5, 0.5, 0.75]], 4),
    )
    up_down = np.array([[1.0], [-1.0], [0.0], [0.0]])
    tilted = np.array([[0.6, 0.0, 0.8], [0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    metal = Structure(FCC * [[1.0], [1.0], [2.0]], ("Al", "Cu"), (1, 1), _rattled([[0, 0, 0], [0, 0, 0.5]], 1))
    strained = Structure(SILICON @ np.diag([1.02, 0.99, 1.0]) + 0.07, ("Si",), (8,), _rattled(DIAMOND, 5))
    foreign = Structure(SILICON, ("Si", "Ge"), (7, 1), _rattled(DIAMOND, 6))
    base, si = first_weights("base"), first_weights("si")
    return {
        "metal": (base, metal, None),
        "oxide": (base, oxide, None),
        "molecule": (base, water, None),
        "vacancy_base": (base, vacancy, None),
        "magnetic": (base, magnetic, up_down),
        "noncollinear": (base, magnetic, tilted),
        "vacancy": (si, vacancy, None),
        "strained": (si, strained, None),
        "foreign": (si, foreign, None),
        "first_prior_oxide": (first_weights("base_tight_binding_1"), oxide, None),
        "first_prior_magnetic": (first_weights("base_tight_binding_1"), magnetic, up_down),
        "second_prior_oxide": (first_weights("base_tight_binding_2"), oxide, None),
        "second_prior_magnetic": (first_weights("base_tight_binding_2"), magnetic, up_down),
        "prior_oxide": ("base", oxide, None),
        "prior_molecule": ("base", water, None),
        "prior_magnetic": ("base", magnetic, up_down),
        "prior_vacancy": ("si", vacancy, None),
        "prior_foreign": ("si", foreign, None),
    }


def estimate_of(name: str):
    """What the shipped weights say of a case."""
    from chgtools.models.weights import load_model

    weights, structure, directions = cases()[name]
    return load_model(weights).predict(structure, 0.0, directions)


def main() -> None:
    values: dict[str, np.ndarray] = {}
    for name in cases():
        estimate = estimate_of(name)
        values[f"{name}.coefficients"] = estimate.coefficients.astype(np.float32)
        if estimate.magnetisation is not None:
            values[f"{name}.magnetisation"] = estimate.magnetisation.astype(np.float32)
        values[f"{name}.scalars"] = np.array([getattr(estimate, field) for field in SCALARS])
        values[f"{name}.atom_spread"] = estimate.atom_spread
    np.savez_compressed(FILE, **values)
    print(f"{FILE.name}: {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    main()
