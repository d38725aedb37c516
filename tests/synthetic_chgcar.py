"""Small files of the CHGCAR family as VASP would print them, for tests that need no real data."""

from __future__ import annotations

import numpy as np

from chgtools.cell import Structure
from chgtools.volumetric import Augmentation, VolumetricData

LATTICE = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])


def structure(counts: tuple[int, ...] = (2, 1), species: tuple[str, ...] = ("Si", "O")) -> Structure:
    frac = np.random.default_rng(3).uniform(0, 1, (sum(counts), 3)).round(6)
    return Structure(LATTICE, species, counts, frac, comment="synthetic")


def charge(
    kind: str = "CHGCAR",
    shape: tuple[int, int, int] = (6, 5, 7),
    blocks: int = 1,
    records: bool = True,
    counts: tuple[int, ...] = (2, 1),
) -> VolumetricData:
    """A file with invented numbers of many magnitudes, negative ones and zeros among them."""
    rng = np.random.default_rng(7)
    atoms = structure(counts)
    values = []
    for _ in range(blocks):
        block = rng.normal(size=shape) * 10.0 ** rng.integers(-9, 3, shape)
        block[0, 0, 0] = 0.0
        values.append(np.asfortranarray(block))
    augmentation = []
    if records and kind == "CHGCAR":
        for _ in range(blocks):
            lengths = [33] * counts[0] + [8] * sum(counts[1:])
            real = [rng.normal(size=n) for n in lengths]
            augmentation.append(Augmentation(real, [r * 1e-7 for r in real] if blocks == 4 else None))
    moments = [np.ones(atoms.n_atoms)] * (blocks - 1) if kind in ("CHGCAR", "LOCPOT") else []
    return VolumetricData(kind, atoms, values, augmentation, moments)
