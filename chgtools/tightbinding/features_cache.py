"""Features of structures kept in files, so that a training does not compute them again.

They lie in the user's cache folder, by version and by a digest of the sources that they follow from: changed physics
finds none of the old ones. A file that is damaged, or cannot be written, costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.files import replacing
from chgtools.tightbinding.elements import table_path
from chgtools.tightbinding.features import N_INVARIANTS, N_SPINS, N_TENSORS, PRIOR, PriorFeatures, prior_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

    Array = NDArray[np.float64]

ROOMS = ("tightbinding", "radial_atom")  # whose sources the features follow from
STEP = 1e-8  # Å and fractions, to which structures are told apart


def cached_features(structure: Structure, directions: Array | None = None, version: str = PRIOR) -> PriorFeatures:
    """chgtools.tightbinding.features.prior_features, read from the user's cache folder or kept there."""
    path = cache_file(structure, directions, version)
    found = None if path is None else _read(path, structure.n_atoms)
    if found is None:
        found = prior_features(structure, directions, version)
        if path is not None:
            _write(path, found)
    return found


def cache_file(structure: Structure, directions: Array | None = None, version: str = PRIOR) -> Path | None:
    """Where the features of a structure are kept; None for a user without a home."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    key = structure_key(structure, directions)
    return folder / "chgtools" / version / sources_digest()[:16] / key[:2] / f"{key}.npz"


def structure_key(structure: Structure, directions: Array | None = None) -> str:
    """A digest of lattice, elements and positions, whole cells taken off, and of the moments' directions."""
    lattice, frac = (np.round(values / STEP).astype(np.int64) for values in (structure.lattice, structure.frac % 1))
    text = f"{' '.join(structure.elements)} {lattice.tolist()} {(frac % round(1 / STEP)).tolist()}"
    if directions is not None and directions.any():
        text += f" {np.round(directions / STEP).astype(np.int64).tolist()}"
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def sources_digest() -> str:
    """Of the sources of ROOMS, names and texts, and of the table of elements."""
    sha, package = hashlib.sha256(), Path(__file__).resolve().parents[1]
    for path in sorted(path for room in ROOMS for path in (package / room).rglob("*.py")):
        sha.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    sha.update(table_path().read_bytes())
    return sha.hexdigest()


def _read(path: Path, n_atoms: int) -> PriorFeatures | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = PriorFeatures(file["invariants"], file["tensors"], file["spins"])
    except Exception:  # not there, or damaged in any of the ways in which a file can be
        return None
    shapes = (found.invariants.shape, found.tensors.shape, found.spins.shape[:1] + found.spins.shape[2:])
    if shapes != ((n_atoms, N_INVARIANTS), (n_atoms, N_TENSORS, 25), (n_atoms, N_SPINS, 25)):
        return None
    return found if all(np.isfinite(values).all() for values in vars(found).values()) else None


def _write(path: Path, features: PriorFeatures) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            np.savez_compressed(temporary, **vars(features))
    except (ChgtoolsError, OSError):  # a full or read-only disk: the features are there all the same
        return
