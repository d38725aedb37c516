"""Charge densities for VASP: CHGCAR to training target, POSCAR to CHGCAR.

Everything named here is loaded when it is first used, so that ``import chgtools`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.check.charge_file import check_file as check
    from chgtools.comparison import compare
    from chgtools.dcd.difference import difference_density
    from chgtools.errors import ChgtoolsError
    from chgtools.formats import read, write
    from chgtools.formats.pymatgen_fields import from_pymatgen
    from chgtools.formats.structures import StructureLike, as_structure
    from chgtools.fourier.grids import fft_grid
    from chgtools.fourier.resampling import resample
    from chgtools.libraries.choice import Source
    from chgtools.libraries.library import DensityLibrary
    from chgtools.pictures.plot import plot
    from chgtools.run.grid import GridOptions
    from chgtools.start.many import predict_many
    from chgtools.start.prediction import Prediction, predict, saed
    from chgtools.volumetric import DifferenceDensity, VolumetricData

    __version__: str

_HOME = {
    "AtomicDensity": "chgtools.atoms.density",
    "ChgtoolsError": "chgtools.errors",
    "DensityLibrary": "chgtools.libraries.library",
    "DifferenceDensity": "chgtools.volumetric",
    "GridOptions": "chgtools.run.grid",
    "Prediction": "chgtools.start.prediction",
    "Source": "chgtools.libraries.choice",
    "Structure": "chgtools.cell",
    "StructureLike": "chgtools.formats.structures",
    "VolumetricData": "chgtools.volumetric",
    "as_structure": "chgtools.formats.structures",
    "compare": "chgtools.comparison",
    "difference_density": "chgtools.dcd.difference",
    "fft_grid": "chgtools.fourier.grids",
    "from_pymatgen": "chgtools.formats.pymatgen_fields",
    "plot": "chgtools.pictures.plot",
    "predict": "chgtools.start.prediction",
    "predict_many": "chgtools.start.many",
    "read": "chgtools.formats",
    "resample": "chgtools.fourier.resampling",
    "saed": "chgtools.start.prediction",
    "write": "chgtools.formats",
}

__all__ = [
    "AtomicDensity",
    "ChgtoolsError",
    "DensityLibrary",
    "DifferenceDensity",
    "GridOptions",
    "Prediction",
    "Source",
    "Structure",
    "StructureLike",
    "VolumetricData",
    "__version__",
    "as_structure",
    "check",
    "compare",
    "difference_density",
    "fft_grid",
    "from_pymatgen",
    "plot",
    "predict",
    "predict_many",
    "read",
    "resample",
    "saed",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("chgtools.files").package_version()
    if name == "check":
        return import_module("chgtools.check")  # the room itself, which is called as check_file
    if name not in _HOME:
        raise AttributeError(f"module 'chgtools' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
