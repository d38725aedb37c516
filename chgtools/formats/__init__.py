"""One module per file format; :func:`read` and :func:`write` find the right one by a file's name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from chgtools.errors import SettingsError

if TYPE_CHECKING:
    from chgtools.volumetric import VolumetricData


@cache
def _grid_formats() -> dict[str, ModuleType]:
    """Suffix to module, of every module here that says by GRID_SUFFIXES that it reads and writes fields on grids."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return {suffix: module for module in modules for suffix in getattr(module, "GRID_SUFFIXES", ())}


def _module(path: str | Path) -> ModuleType | None:
    """The module of a grid format other than VASP's own, by suffix."""
    from chgtools.formats.streams import stem

    suffix = Path(stem(path)).suffix.lower()
    return _grid_formats().get(suffix) if suffix else None


def _by_content(path: str | Path) -> ModuleType | None:
    """The module of JSON or of HDF5, whatever the name of the file."""
    from chgtools.formats import hdf5, pymatgen_fields, vaspwave
    from chgtools.formats.structure_files import content_of

    if content_of(path) == "JSON":
        return pymatgen_fields
    return vaspwave if hdf5.is_hdf5(path) else None


def holds_density(path: str | Path) -> bool | None:
    """Whether a file is one of the CHGCAR family, pymatgen's JSON of one or VASP's HDF5.

    None for a file that is neither that nor a structure of VASP. Raises FormatError for one that is not there.
    """
    from chgtools.formats import chgcar

    module = _by_content(path)
    return chgcar.holds_grid(path) if module is None else module.holds_one(path) or None


def grid_of(path: str | Path) -> tuple[int, int, int] | None:
    """(nx, ny, nz) of a file of the CHGCAR family, from its first lines; None for any other, and for a damaged one."""
    from chgtools.errors import FormatError
    from chgtools.formats import chgcar

    try:
        return chgcar.read_header(path)[1] if (_module(path) or _by_content(path)) is None else None
    except FormatError:  # whoever reads it says so
        return None


def read(path: str | Path, kind: str | None = None, dtype: Any = None, grid: str | None = None) -> VolumetricData:
    """Read a volumetric file, plain or compressed: CHGCAR and its family, Gaussian cube or XSF (told by the name),
    pymatgen's JSON of a Chgcar and VASP's vaspwave.h5 (told by the content).

    kind : "CHGCAR", "LOCPOT", ... where the name does not say it
    dtype : np.float64 (default) or np.float32
    grid : of an XSF file, "general" or "periodic", where the file does not tell (see chgtools.formats.xsf.read)
    Returns arrays (nx, ny, nz) in Fortran order; densities in electrons/Å³. Raises FormatError for damaged files.
    """
    import numpy as np

    from chgtools.formats import chgcar

    dtype = np.float64 if dtype is None else dtype
    module = _module(path) or _by_content(path)
    if grid is not None and ".xsf" not in getattr(module, "GRID_SUFFIXES", ()):
        raise SettingsError(f"--grid {grid} goes with XSF files, {path} is none by its name")
    if module is None:
        return chgcar.read(path, kind, dtype)
    data: VolumetricData = module.read(path) if grid is None else module.read(path, grid)
    data.blocks = [block.astype(dtype, copy=False) for block in data.blocks]
    if kind is not None:
        data.kind = kind
    return data


def write(data: VolumetricData, path: str | Path, kind: str | None = None, block: int | None = None) -> None:
    """Write a volumetric file in the format its name says; CHGCAR's layout where the name says nothing.

    block : the one block of a cube or XSF file (these hold one); by default the first
    Raises SettingsError for a format that cannot hold the data, ChgtoolsError for values that are not finite.
    """
    from chgtools.formats import chgcar

    module = _module(path)
    if module is not None:
        module.write(data, path, block=block or 0)
        return
    if block is not None:
        raise SettingsError("--block goes with cube and XSF files; a CHGCAR holds all blocks")
    chgcar.write(data, path, kind or chgcar.kind_of(path) or data.kind)
