"""One module per file format; :func:`read` and :func:`write` find the right one by a file's name."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING

from chgtools.errors import AssumptionWarning, FormatError, SettingsError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from chgtools.cell import Structure
    from chgtools.volumetric import DifferenceDensity, VolumetricData


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
    """The module of Parquet, of JSON, of HDF5, Quantum ESPRESSO, SIESTA or GPAW, whatever the name of the file."""
    from chgtools.formats import gpaw, hdf5, parquet, pymatgen_fields, quantum_espresso, siesta, siesta_grid, vaspwave
    from chgtools.formats.compression import HEAD
    from chgtools.formats.streams import reading
    from chgtools.formats.structure_files import content_of

    if parquet.is_one(path):
        return parquet
    if content_of(path) == "JSON":
        return pymatgen_fields
    with reading(path) as file:
        if b"\0" not in file.read(HEAD):  # a text, which is opened no more often than it must be
            return None
    for program in (quantum_espresso, siesta, siesta_grid, gpaw):
        if program.holds_one(path):
            return program
    return vaspwave if hdf5.is_hdf5(path) else None


def holds_density(path: str | Path) -> bool | None:
    """Whether a file is one of the CHGCAR family, pymatgen's JSON of one, Parquet with densities, or another program's.

    None for a file that is neither that nor a structure of VASP. Raises FormatError for one that is not there.
    """
    from chgtools.formats import chgcar

    module = _by_content(path) or _module(path)
    return chgcar.holds_grid(path) if module is None else module.holds_one(path) or None


def density_in(path: str | Path) -> Path:
    """The path of the one density in a tar or zip archive that is named without a member; any other path as it is.

    The member counts whose name is a density's, or the only one there is; said in an AssumptionWarning.
    Raises FormatError for an archive with none or several, and for a damaged one.
    """
    from chgtools.formats import archives

    kind = archives.kind_of(path)
    if kind not in ("tar", "zip"):
        return Path(path)
    members = archives.names(path)
    found = members if len(members) == 1 else [name for name in members if _named_as_density(name)]
    if len(found) != 1:
        number = len(found) or "none"
        raise FormatError(
            f"is {archives.said(path, found[0] if found else '')}, {number} of which {'are' if found else 'is'} "
            "densities by name; name one of them"
            if members
            else f"is {archives.said(path)}",
            path,
        )
    chosen = Path(f"{path}:{found[0]}")
    warnings.warn(AssumptionWarning(f"{path}: read {chosen}, its only density by name"), stacklevel=3)
    return chosen


def densities_in(path: str | Path) -> list[Path]:
    """The densities of self-consistent runs in an archive or Parquet file, in its order; [] for any other path.

    path : a tar or zip archive with several densities by name, of which a CHG beside a CHGCAR is left out; one with a
        pattern of members, ``runs.tar:*/CHGCAR.gz``; a Parquet file with several rows, or ``x.parquet:*``. Where no
        member that fits a pattern is a density by name all are taken.
    A damaged archive is []: whoever reads it says so.
    """
    from fnmatch import fnmatchcase

    from chgtools.formats import archives, parquet

    file, pattern = archives.split(path)
    several = any(letter in pattern for letter in "*?[")
    if pattern and not several:
        return []
    try:
        kind = archives.kind_of(file)
        if kind == "parquet":
            rows = parquet.rows(file) if pattern in ("", "*") else []
            return [Path(f"{file}:{row}") for row in rows] if pattern or len(rows) > 1 else []
        if not kind or archives.holds(path):
            return []
        members = [name for name in archives.names(file) if not pattern or fnmatchcase(name, pattern)]
    except FormatError:
        return []
    found = [name for name in members if _named_as_total(name)]
    found = _without_copies(found) or (members if pattern else [])
    return [Path(f"{file}:{name}") for name in found] if pattern or len(found) > 1 else []


def _named_as_total(member: str) -> bool:
    """Whether a member is a total density by its name: no potential, no core and no partial density."""
    from chgtools.formats import chgcar

    return _named_as_density(member) and chgcar.kind_of(member) in ("CHGCAR", "CHG", None)


def _without_copies(members: list[str]) -> list[str]:
    """Members without the CHG beside a CHGCAR, which has the same density with fewer digits."""
    from chgtools.formats import chgcar

    def as_chgcar(name: str) -> str:
        folder, _, base = name.rpartition("/")
        return f"{folder}/{base.replace('CHG', 'CHGCAR', 1)}" if folder else base.replace("CHG", "CHGCAR", 1)

    known = set(members)
    return [name for name in members if chgcar.kind_of(name) != "CHG" or as_chgcar(name) not in known]


def _named_as_density(member: str) -> bool:
    from chgtools.formats import chgcar, gpaw, quantum_espresso, siesta, siesta_grid
    from chgtools.formats.streams import stem

    name = stem(member)
    other = Path(name).suffix.lower() in (".h5", ".hdf5", ".png", ".pdf", ".svg")
    return (
        name in ("vaspwave.h5", siesta_grid.NAME, *quantum_espresso.NAMES)
        or name.endswith((siesta.SUFFIX, gpaw.SUFFIX))
        or _module(member) is not None
        or (chgcar.kind_of(member) is not None and not other)
    )


def digest(path: str | Path) -> str:
    """SHA-256 of a density as it lies there: of the file or member, compressed or not; of the numbers of a row.

    Raises FormatError where it cannot be read.
    """
    from chgtools.formats import parquet, streams

    return parquet.digest(path) if parquet.is_one(path) else streams.digest(path)


def is_there(path: str | Path) -> bool:
    """Whether a path is a file, a member of an archive or (by its file alone) a row of a Parquet file."""
    from chgtools.formats import parquet, streams

    return streams.is_there(path) or parquet.is_one(path)


def read_header(path: str | Path) -> tuple[Structure, tuple[int, int, int]]:
    """Structure and grid (nx, ny, nz) of whatever :func:`read` takes; of the CHGCAR family without its data."""
    from chgtools.formats import chgcar

    path = density_in(path)
    if _module(path) is None and _by_content(path) is None:
        return chgcar.read_header(path)
    data = read(path)
    nx, ny, nz = data.shape
    return data.structure, (nx, ny, nz)


def grid_of(path: str | Path) -> tuple[int, int, int] | None:
    """(nx, ny, nz) of a file of the CHGCAR family, from its first lines; None for any other, and for a damaged one."""
    from chgtools.formats import chgcar

    try:
        return chgcar.read_header(path)[1] if (_module(path) or _by_content(path)) is None else None
    except FormatError:  # whoever reads it says so
        return None


def read(
    path: str | Path, kind: str | None = None, dtype: DTypeLike | None = None, grid: str | None = None
) -> VolumetricData:
    """Read a volumetric file, plain or compressed: CHGCAR and its family, Gaussian cube or XSF (told by the name),
    pymatgen's JSON of a Chgcar, VASP's vaspwave.h5, Quantum ESPRESSO's charge-density.dat and .hdf5, SIESTA's .RHO and
    Rho.grid.nc and Parquet (told by the content); or a member of a tar or zip archive ("runs.tar.gz:mp-149/CHGCAR"), or
    a row of a Parquet file ("densities.parquet:12").

    kind : "CHGCAR", "LOCPOT", ... where the name does not say it
    dtype : np.float64 (default) or np.float32
    grid : of an XSF file, "general" or "periodic", where the file does not tell (see chgtools.formats.xsf.read)
    Returns arrays (nx, ny, nz) in Fortran order; densities in electrons/Å³. Raises FormatError for damaged files.
    """
    import numpy as np

    from chgtools.formats import chgcar

    dtype = np.float64 if dtype is None else dtype
    path = density_in(path)
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


def write(
    data: VolumetricData | DifferenceDensity, path: str | Path, kind: str | None = None, block: int | None = None
) -> None:
    """Write a volumetric file in the format its name says; CHGCAR's layout where the name says nothing.

    data : a difference density goes into HDF5 (.h5, all of it; chgtools.dcd.read opens it), cube or XSF
    block : the one block of a cube or XSF file (these hold one); by default the first
    Raises SettingsError for a format that cannot hold the data, ChgtoolsError for values that are not finite.
    """
    from chgtools.formats import chgcar
    from chgtools.volumetric import DifferenceDensity, VolumetricData

    module = _module(path)
    if isinstance(data, DifferenceDensity):
        if Path(path).suffix.lower() in (".h5", ".hdf5"):
            from chgtools.formats import difference_density

            difference_density.write(data, path)
            return
        if module is None:
            raise SettingsError(
                f"{path}: a difference density goes into a file .h5, .cube or .xsf; as a CHGCAR it would be taken for "
                "a density"
            )
        data = VolumetricData("CHG", data.structure, data.blocks)
    if module is not None:
        module.write(data, path, block=block or 0)
        return
    if block is not None:
        raise SettingsError("--block goes with cube and XSF files; a CHGCAR holds all blocks")
    chgcar.write(data, path, kind or chgcar.kind_of(path) or data.kind)
