"""Analytic fields for tests: smooth, periodic, without any symmetry, in a triclinic cell."""

from __future__ import annotations

import numpy as np

from chgtools.cell import Structure
from chgtools.volumetric import Augmentation, VolumetricData

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])


def wave(shape: tuple[int, int, int], offset: float = 1.0) -> np.ndarray:
    """offset + three plane waves on a grid (nx, ny, nz), Fortran order; different along every axis."""
    x, y, z = (np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)]) / n for axis, n in enumerate(shape))
    values = (
        offset
        + 0.5 * np.cos(2 * np.pi * (x - 0.10))
        + 0.2 * np.cos(2 * np.pi * (2 * y - z - 0.20))
        + 0.1 * np.sin(2 * np.pi * (x + y + 2 * z))
    )
    return np.asfortranarray(values)


def skew_structure() -> Structure:
    """Three atoms in three groups, O Ti O."""
    frac = [[0.31, 0.94, 0.02], [0.5, 0.45, 0.4], [0.1, 0.2, 0.8]]
    return Structure(SKEW, ("O", "Ti", "O"), (1, 1, 1), np.array(frac), comment="skew test cell")


def density(shape: tuple[int, int, int] = (6, 5, 8), kind: str = "CHGCAR") -> VolumetricData:
    """One block, 1 electron/Å³ on average."""
    return VolumetricData(kind, skew_structure(), [wave(shape)])


def spin_density(shape: tuple[int, int, int] = (6, 5, 8)) -> VolumetricData:
    """Total and magnetisation, with records of 8 numbers and moments."""
    records = [Augmentation([np.linspace(0, 1, 8)] * 3) for _ in range(2)]
    blocks = [wave(shape), 0.1 * wave(shape, offset=0.3)]
    return VolumetricData("CHGCAR", skew_structure(), blocks, records, [np.array([1.0, 2.0, -1.0])])
