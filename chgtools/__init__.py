"""Charge densities for VASP: CHGCAR to training target, POSCAR to CHGCAR.

Everything named here is loaded when it is first used, so that ``import chgtools`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chgtools.atoms.choice import Source
    from chgtools.atoms.density import AtomicDensity
    from chgtools.atoms.library import DensityLibrary
    from chgtools.cell import Structure
    from chgtools.comparison import compare
    from chgtools.dcd import DifferenceDensity, difference_density
    from chgtools.errors import ChgtoolsError
    from chgtools.formats import read, write
    from chgtools.grid import fft_grid, resample
    from chgtools.prediction import predict, saed
    from chgtools.settings import GridOptions
    from chgtools.structure import as_structure
    from chgtools.volumetric import VolumetricData

_HOME = {
    "AtomicDensity": "chgtools.atoms.density",
    "ChgtoolsError": "chgtools.errors",
    "DensityLibrary": "chgtools.atoms.library",
    "DifferenceDensity": "chgtools.dcd",
    "GridOptions": "chgtools.settings",
    "Source": "chgtools.atoms.choice",
    "Structure": "chgtools.cell",
    "VolumetricData": "chgtools.volumetric",
    "as_structure": "chgtools.structure",
    "compare": "chgtools.comparison",
    "difference_density": "chgtools.dcd",
    "fft_grid": "chgtools.grid",
    "predict": "chgtools.prediction",
    "read": "chgtools.formats",
    "resample": "chgtools.grid",
    "saed": "chgtools.prediction",
    "write": "chgtools.formats",
}

__all__ = [
    "AtomicDensity",
    "ChgtoolsError",
    "DensityLibrary",
    "DifferenceDensity",
    "GridOptions",
    "Source",
    "Structure",
    "VolumetricData",
    "as_structure",
    "compare",
    "difference_density",
    "fft_grid",
    "predict",
    "read",
    "resample",
    "saed",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chgtools' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
