"""Rows of Parquet files with a density each: emmet's volumetric archives and LeMat-Rho. ``x.parquet:12`` is a row.

emmet (materialsproject/emmet, emmet-archival: VolumetricArchive.to_arrow, VaspVolumetricArchive, CrystalArchive.
What pymatgen's VolumetricData holds: density x volume, nested as [x][y][z]; ions' records without their numbers)::

    data_total, data_diff, data_diff_x, ...       list of list of list of double, in newer files in one list more
    data_aug_total, data_aug_diff, ...            list of {label, data}, a record each
    structure_lattice, structure_atomic_num, structure_direct_coords    Å, rows; numbers; fractional
    structure                                     in older files: JSON of pymatgen's Structure
    file_name, identifier                         of archives of whole runs: "CHGCAR", "AECCAR0", ..., and an id

LeMat-Rho (Hugging Face, LeMaterial/LeMat-Rho; LeMaterial/lematerial-fetcher writes it)::

    charge_density                                list of float: density x volume, the last axis fastest
    charge_density_grid_shape                     nx ny nz
    lattice_vectors, cartesian_site_positions     Å
    species_at_sites, immutable_id                symbols; an id

Its compressed_charge_density is smoothed by pyrho (σ = 0.2 Å), and no density of VASP: it is refused.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.formats.archives import kind_of, split
from chgtools.formats.pymatgen_fields import assemble
from chgtools.formats.structures import as_structure
from chgtools.volumetric import DENSITY_KINDS, KINDS, VolumetricData, put_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEYS = ("total", "diff", "diff_x", "diff_y", "diff_z")
_EMMET = ("data_total", *(f"data_{key}" for key in _KEYS[1:]), *(f"data_aug_{key}" for key in _KEYS))
_EMMET_ATOMS = ("structure", "structure_lattice", "structure_atomic_num", "structure_direct_coords", "file_name")
_LEMAT, _SMOOTHED = "charge_density", "compressed_charge_density"
_LEMAT_ATOMS = ("charge_density_grid_shape", "lattice_vectors", "cartesian_site_positions", "species_at_sites")
_IDS = ("identifier", "immutable_id", "material_id", "task_id", "mp_id", "id")
_ROWS_AT_ONCE = 4  # a row may be a grid of millions of points


def is_one(path: str | Path) -> bool:
    """Whether a path is a Parquet file, or a row of one."""
    return kind_of(split(path)[0]) == "parquet"


def holds_one(path: str | Path) -> bool:
    """Whether its columns hold densities. Raises FormatError for a damaged file."""
    with _opened(path) as file:
        return bool({"data_total", _LEMAT, _SMOOTHED} & set(file.schema_arrow.names))


def rows(path: str | Path) -> list[int]:
    """Numbers from 1 of the rows that are total densities; all where the file does not say what each is.

    Raises FormatError for a damaged file.
    """
    with _opened(path) as file:
        if "file_name" not in file.schema_arrow.names:
            return list(range(1, file.metadata.num_rows + 1))
        kinds = file.read(columns=["file_name"], use_threads=False).column("file_name").to_pylist()
        return [number for number, kind in enumerate(kinds, 1) if kind in (None, "CHGCAR", "CHG")]


def digest(path: str | Path) -> str:
    """SHA-256 of the numbers of a row; the file itself may hold a hundred thousand."""
    data = read(path)
    sha = hashlib.sha256()
    for numbers in (data.structure.lattice, data.structure.frac, *data.blocks):
        sha.update(np.ascontiguousarray(numbers).tobytes())
    sha.update(" ".join(data.structure.elements).encode())
    return sha.hexdigest()


def read(path: str | Path) -> VolumetricData:
    """The density of a row, FILE:12 by its number from 1 or FILE:mp-149 by its id; without either of the only one.

    Returns densities in electrons/Å³, arrays (nx, ny, nz) in Fortran order.
    Raises FormatError for a file without densities, a row that is not there, and a smoothed density.
    Warns AssumptionWarning of what a CHGCAR of the run would hold and the row does not.
    """
    with _opened(path) as file:
        names = set(file.schema_arrow.names)
        number = _number(path, file, names)
        row = _row(file, number, [name for name in (*_EMMET, *_EMMET_ATOMS, _LEMAT, *_LEMAT_ATOMS) if name in names])
        if "data_total" in names:
            made = _of_emmet(row, path)
        elif _LEMAT in names:
            made = _of_lemat(row, path)
        elif _SMOOTHED in names:
            raise FormatError(
                f"holds {_SMOOTHED}, which is smoothed and no density of VASP; take files with the column {_LEMAT}",
                path,
            )
        else:
            raise FormatError("is Parquet without densities; wanted the columns of emmet or of LeMat-Rho", path)
    made.source = str(path)
    put_moments(made)
    return made


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """The pyarrow.parquet.ParquetFile; what it raises of a damaged file is one sentence."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise FormatError(
            "Parquet is read by pyarrow, which is not there: pip install 'chgtools[parquet]'", path
        ) from error
    try:
        with pyarrow.parquet.ParquetFile(split(path)[0], pre_buffer=False, memory_map=False) as file:
            yield file
    except ChgtoolsError as error:
        raise error if isinstance(error, FormatError) else FormatError(str(error), path) from error
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, LookupError, MemoryError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FormatError(f"is damaged Parquet, or none as it should be ({reason}); copy it again", path) from error


def _number(path: str | Path, file: Any, names: set[str]) -> int:
    """Number from 0 of the row that is meant."""
    whole, wanted = split(path)
    count = file.metadata.num_rows
    if not wanted:
        if count == 1:
            return 0
        example = f"; name one, {path}:1 to {path}:{count}" if count else ""
        by_id = next((f", or by its {name}" for name in _IDS if name in names and count), "")
        raise FormatError(f"holds {count or 'no'} densities{example}{by_id}", path)
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 10 and 1 <= int(wanted) <= count:
        return int(wanted) - 1
    found = [index for index, known in enumerate(_known(file, names)) if wanted in known]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(f"{whole}:{index + 1}" for index in found[:5])
        raise FormatError(f"is {len(found)} rows by its id ({several}); name one by its number", path)
    what = ", ".join(name for name in _IDS if name in names)
    raise FormatError(
        f"no such row: the file has {count}, counted from 1{f', or named by their {what}' if what else ''}", path
    )


def _known(file: Any, names: set[str]) -> Iterator[set[str]]:
    """What each row may be called: its ids, its file name, and both as "mp-149/CHGCAR"."""
    ids, named = [name for name in _IDS if name in names], "file_name" in names
    for batch in file.iter_batches(columns=[*ids, *(["file_name"] if named else [])], use_threads=False):
        for row in batch.to_pylist():
            values = {str(row[name]) for name in ids if row[name] is not None}
            file_name = {str(row["file_name"])} if named and row["file_name"] is not None else set()
            yield values | file_name | {f"{value}/{name}" for value in values for name in file_name}


def _row(file: Any, number: int, columns: list[str]) -> dict[str, Any]:
    """The scalars of a row that are not null, by column; no more than a few rows are in memory."""
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if number >= rows:
            number -= rows
            continue
        for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=columns, use_threads=False):
            if number < batch.num_rows:
                values = {name: batch.column(name)[number] for name in batch.schema.names}
                return {name: value for name, value in values.items() if value.is_valid}
            number -= batch.num_rows
    raise ChgtoolsError("its pieces have fewer rows than it says; copy it again")


def _array(value: Any, name: str) -> NDArray[Any] | None:
    """Nested lists as an array; None for a list of nothing but nulls. Raises ChgtoolsError for ragged ones."""
    import pyarrow
    import pyarrow.compute

    is_list = (pyarrow.types.is_list, pyarrow.types.is_large_list, pyarrow.types.is_fixed_size_list)
    if not any(check(value.type) for check in is_list):
        raise ChgtoolsError(f"{name} is {value.type}; wanted lists of numbers")
    array = value.values
    shape = [len(array)]
    while len(array) and any(check(array.type) for check in is_list):
        if array.null_count:
            if array.null_count == len(array):
                return None
            raise ChgtoolsError(f"{name} has rows of points that are missing")
        lengths = pyarrow.compute.unique(pyarrow.compute.list_value_length(array)).to_pylist()
        if len(lengths) != 1:
            raise ChgtoolsError(f"{name} has rows of {' and '.join(map(str, lengths[:3]))} points; wanted one grid")
        shape.append(lengths[0])
        array = array.flatten()
    if array.null_count == len(array):
        return None
    numeric = pyarrow.types.is_floating(array.type) or pyarrow.types.is_integer(array.type)
    if array.null_count or not numeric:
        raise ChgtoolsError(f"{name} holds {'gaps' if numeric else str(array.type)}; wanted numbers")
    made = array.to_numpy(zero_copy_only=False)
    if made.size != int(np.prod(shape, dtype=object)):
        raise ChgtoolsError(f"{name} holds {made.size} numbers; wanted {' x '.join(map(str, shape))}")
    return np.asarray(made, dtype=float).reshape(shape)


def _wanted(row: Mapping[str, Any], name: str, *shape: int) -> NDArray[Any]:
    """An array of a column that must be there; -1 in ``shape`` is any length."""
    values = _array(row[name], name) if name in row else None
    if values is None:
        raise ChgtoolsError(f"the row has no {name}")
    fits = values.ndim == len(shape) and all(n in (-1, m) for n, m in zip(shape, values.shape, strict=True))
    if not fits or not np.isfinite(values).all():
        raise ChgtoolsError(f"{name} has the shape {values.shape}; wanted finite numbers of the shape {shape}")
    return values


def _of_emmet(row: Mapping[str, Any], path: str | Path) -> VolumetricData:
    name = str(row["file_name"].as_py()) if "file_name" in row else ""
    kind = name or "CHGCAR"
    if kind not in KINDS:
        raise ChgtoolsError(f"the row is a {name}; wanted one of {', '.join(KINDS)}")
    if not name:
        sentence = f"{path}: the row does not say what it is of; read as a CHGCAR"
        warnings.warn(AssumptionWarning(sentence), stacklevel=4)
    grids = {key: grid for key in _KEYS if (grid := _grid(row, f"data_{key}")) is not None}
    if "total" not in grids:
        raise ChgtoolsError("the row has no data_total")
    structure = _atoms_of_emmet(row)
    records = {key: _records(row, f"data_aug_{key}", structure.n_atoms, path) for key in grids}
    cls = "Chgcar" if kind in DENSITY_KINDS else kind.capitalize()
    return assemble(cls, kind, structure, grids, {key: value for key, value in records.items() if value})


def _grid(row: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    values = _array(row[name], name) if name in row else None
    if values is not None and values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values is not None and (values.ndim != 3 or not values.size):
        raise ChgtoolsError(f"{name} has the shape {values.shape}; wanted a grid of nx x ny x nz points")
    return values


def _atoms_of_emmet(row: Mapping[str, Any]) -> Structure:
    if "structure" in row:
        from pymatgen.core import Structure as PymatgenStructure

        text = row["structure"].as_py()
        try:
            return as_structure(PymatgenStructure.from_dict(json.loads(text)))
        except ChgtoolsError:
            raise
        except Exception as error:  # pymatgen raises whatever a damaged dictionary brings about
            reason = " ".join(str(error).split())[:100]
            raise ChgtoolsError(f"its structure is none of pymatgen's ({type(error).__name__}: {reason})") from error
    numbers = _wanted(row, "structure_atomic_num", -1)
    if not all(1 <= number <= len(SYMBOLS) and number == int(number) for number in numbers):
        raise ChgtoolsError("structure_atomic_num holds what are no atomic numbers")
    frac = _wanted(row, "structure_direct_coords", len(numbers), 3)
    return _structure(_wanted(row, "structure_lattice", 3, 3), [SYMBOLS[int(number) - 1] for number in numbers], frac)


def _structure(lattice: NDArray[Any], symbols: list[str], frac: NDArray[Any]) -> Structure:
    groups = [(name, len(list(group))) for name, group in groupby(symbols)]
    names, counts = tuple(name for name, _ in groups), tuple(count for _, count in groups)
    comment = "".join(f"{name}{count}" for name, count in groups)
    return Structure(lattice, names, counts, frac, comment=comment)


def _records(row: Mapping[str, Any], name: str, n_atoms: int, path: str | Path) -> dict[int, NDArray[Any]]:
    """{ion: record}; imaginary parts stand behind the real ones of all ions, as in the CHGCAR. {} for none."""
    given = [each for each in (row[name].as_py() if name in row else []) or [] if each is not None]
    found = [np.asarray(each["data"], dtype=float).reshape(-1) for each in given]
    if not found:
        return {}
    lengths = [len(record) for record in found]
    if len(found) == n_atoms:
        return dict(enumerate(found, 1))
    if len(found) == 2 * n_atoms and lengths[:n_atoms] == lengths[n_atoms:]:
        return {ion + 1: found[ion] + 1j * found[ion + n_atoms] for ion in range(n_atoms)}
    sentence = f"{path}: {name} holds {len(found)} records for {n_atoms} ions and does not say whose; left out"
    warnings.warn(AssumptionWarning(sentence), stacklevel=5)
    return {}


def _of_lemat(row: Mapping[str, Any], path: str | Path) -> VolumetricData:
    if _LEMAT not in row:
        raise ChgtoolsError(f"the row has no {_LEMAT} (the data set has none of this material); name another row")
    shape = _wanted(row, "charge_density_grid_shape", 3)
    values = _wanted(row, _LEMAT, -1)
    if any(n < 1 or n != int(n) for n in shape) or len(values) != np.prod(shape):
        times = " x ".join(f"{n:g}" for n in shape)
        raise ChgtoolsError(f"{_LEMAT} holds {len(values)} numbers, charge_density_grid_shape is {times}")
    lattice = _wanted(row, "lattice_vectors", 3, 3)
    symbols = row["species_at_sites"].as_py() if "species_at_sites" in row else None
    if not symbols or not all(symbol in SYMBOLS for symbol in symbols):
        raise ChgtoolsError("species_at_sites holds what are no elements")
    positions = _wanted(row, "cartesian_site_positions", len(symbols), 3)
    if abs(np.linalg.det(lattice)) < 1e-9:
        raise ChgtoolsError("lattice_vectors lie in one plane, so that the cell has no volume")
    structure = _structure(lattice, list(symbols), positions @ np.linalg.inv(lattice))
    nx, ny, nz = (int(n) for n in shape)
    block = np.asfortranarray(values.reshape(nx, ny, nz) / structure.volume)
    sentence = f"{path}: LeMat-Rho keeps the total density alone: no magnetisation and no augmentation occupancies"
    warnings.warn(AssumptionWarning(sentence), stacklevel=3)
    return VolumetricData("CHGCAR", structure, [block])
