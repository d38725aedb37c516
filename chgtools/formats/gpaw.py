"""GPAW's .gpw, with the PAW data sets of its run, which it names but does not hold.

A .gpw is a ULM file of ASE with the tag GPAW: "- of Ulm", a tag of 16 bytes, then int64: version, number of items, and
where the places of the items' texts stand. A text is JSON behind its length; "name.": {"ndarray": [shape, type, place]}
says where an array stands. There are

    atoms.cell, positions (Å), numbers, pbc;  parameters.xc, setups, mode, charge
    density.density                  (nspins, nx, ny, nz) pseudo density with the smooth cores, up and down, 1/Å³
    density.atomic_density_matrices  (nspins, n) upper triangles of D_ij, atom after atom, off the diagonal twice

Plane waves hold a smooth core within a sphere of G, of twice the energy cutoff of the wave functions. The other modes
sample it at the points of the grid, made to have its integral, and leave out the plane of points at the face where a
cell is not periodic.

Sources: ase.io.ulm; Density.write and Density.initialize_directly_from_arrays of GPAW 22.8, and files made with it.
"""

from __future__ import annotations

import json
import math
import mmap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning, FormatError
from chgtools.formats import archives
from chgtools.formats.gpaw_setups import find_setup, folders, read_setup
from chgtools.formats.single_field import structure_of
from chgtools.formats.streams import compression_of, read_bytes, reading
from chgtools.fourier.paw_density import smooth_cores, valence_density
from chgtools.units import BOHR_ANGSTROM, HARTREE_EV
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.paw_dataset import PawDataset

SUFFIX = ".gpw"
_HEAD = b"- of UlmGPAW"
_MEND = "write it again in GPAW"
_ECUT = 340.0  # eV, of GPAW's plane waves where the run names none
_CHARGE = 1e-4  # share of the electrons that may be missing: 2e-6 with the setups of a run, 3e-4 and more with others
_AFTERWARDS = ("PBE", "LDA")  # whose setups functionals without own ones are run with
_SETUPS = "install them (pip install gpaw-data) or name their folder in GPAW_SETUP_PATH"


@dataclass(frozen=True)
class _Run:
    """What a .gpw holds.

    spins : (nspins, nx, ny, nz), 1/Å³, of the whole cell; matrices : (nspins, n), packed
    g_max : 1/Å, up to where plane waves hold a smooth core; None for the other modes
    """

    lattice: NDArray[np.float64]
    elements: list[str]
    positions: NDArray[np.float64]
    spins: NDArray[np.float64]
    matrices: NDArray[np.float64]
    parameters: Mapping[str, Any]
    charge: float
    g_max: float | None


def holds_one(path: str | Path) -> bool:
    """Whether a file is a .gpw, by its first bytes. Raises FormatError for one that is not there."""
    with reading(path) as file:
        return file.read(len(_HEAD)) == _HEAD


def read(path: str | Path) -> VolumetricData:
    """The valence density as a CHGCAR: electrons/Å³ and μ_B/Å³, (nx, ny, nz) in Fortran order, on GPAW's fine grid.

    Says in an AssumptionWarning which setups were taken.
    Raises FormatError for a damaged file, a non-collinear run, and where the setups are not at hand or do not give the
    electrons of the run.
    """
    run = _run_of(path)
    structure = structure_of(run.lattice, run.elements, run.positions, "", path)
    setups = _setups_of(run, path)
    moments = _moments(run.matrices, setups, path)
    shape = run.spins.shape[1:]
    valence = run.spins - smooth_cores(structure, setups, shape, run.g_max) / len(run.spins)
    if len(valence) == 2:
        valence, moments = (np.stack([each[0] + each[1], each[0] - each[1]]) for each in (valence, moments))
    blocks: list[NDArray[np.floating[Any]]] = [
        valence_density(structure, setups, *each, run.g_max) for each in zip(valence, moments, strict=True)
    ]
    data = VolumetricData("CHGCAR", structure.with_changes(comment=structure.formula), blocks, source=str(path))
    wanted = sum(own.zval for own in setups) - run.charge
    if abs(data.integral() - wanted) > _CHARGE * wanted:
        raise FormatError(
            f"gives {data.integral():.4f} electrons with the setups at hand, which have {wanted:g}: they are others "
            "than the run's; name the folder of its own in GPAW_SETUP_PATH",
            path,
        )
    return data


def _moments(matrices: NDArray[np.float64], setups: Sequence[PawDataset], path: str | Path) -> NDArray[np.float64]:
    """(nspins, n_atoms, 9) multipole moments of the atoms' compensation charges."""
    sizes = [own.size * (own.size + 1) // 2 for own in setups]
    if matrices.shape[1] != sum(sizes):
        raise FormatError(
            f"has density matrices of {matrices.shape[1]} numbers, the setups at hand make {sum(sizes)}; name the "
            "folder of the run's own setups in GPAW_SETUP_PATH",
            path,
        )
    parts = np.split(matrices, np.cumsum(sizes)[:-1], axis=1)
    found = [[own.moments(_unpacked(row, own.size)) for row in part] for own, part in zip(setups, parts, strict=True)]
    return np.array(found).transpose(1, 0, 2)


def _unpacked(row: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(n_m, n_m) of its upper triangle, row after row, where what is off the diagonal stands twice."""
    half = np.zeros((size, size))
    half[np.triu_indices(size)] = row
    return np.asarray((half + half.T) / 2)


def _setups_of(run: _Run, path: str | Path) -> list[PawDataset]:
    """One for each atom."""
    functional = run.parameters.get("xc") or "LDA"
    functional = str(functional.get("name", "")) if isinstance(functional, dict) else str(functional)
    kinds = run.parameters.get("setups") or {}
    places = folders(Path(archives.split(path)[0]).parent)
    found: dict[tuple[str, str], Path] = {}
    for index, element in enumerate(run.elements):
        kind = _kind(kinds, index, element)
        if (element, kind) not in found:
            wanted = dict.fromkeys((functional, *_AFTERWARDS))
            setup = find_setup(element, kind, list(wanted), places)
            if setup is None:
                name = ".".join(filter(None, (element, kind, functional)))
                raise FormatError(f"needs GPAW's setup {name}, and none is at hand; {_SETUPS}", path)
            found[element, kind] = setup
    names = ", ".join(sorted({each.name for each in found.values()}))
    where = ", ".join(sorted({str(each.parent) for each in found.values()}))
    warnings.warn(f"GPAW's setups {names} are taken from {where}", AssumptionWarning, stacklevel=3)
    return [read_setup(found[element, _kind(kinds, i, element)]) for i, element in enumerate(run.elements)]


def _kind(kinds: Any, index: int, element: str) -> str:
    """Which setup an atom has, "" for the default: of the whole run, an element or an atom; ":d,4" is a Hubbard U."""
    if isinstance(kinds, dict):
        default = kinds.get("default", "")
        kinds = kinds.get(str(index), kinds.get(index, kinds.get(element, default)))
    kind = str(kinds).split(":")[0]
    return "" if kind == "paw" else kind


def _run_of(path: str | Path) -> _Run:
    raw = _content(path)
    try:
        facts, order = _text(raw)
        atoms, parameters, density = facts["atoms."], facts.get("parameters.", {}), facts["density."]
        numbers = _array(raw, atoms, "numbers", order)
        lattice, positions = np.array(atoms["cell"], float), _array(raw, atoms, "positions", order)
        spins, matrices = (_array(raw, density, name, order) for name in ("density", "atomic_density_matrices"))
        if numbers.min() < 1:
            raise ValueError("an atom without an element")
        elements = [SYMBOLS[int(number) - 1] for number in numbers]
        charge = float(parameters.get("charge") or 0)
        g_max = _largest_wave(parameters)
        if spins.ndim != 4 or matrices.ndim != 2 or len(spins) != len(matrices) or positions.shape != (len(numbers), 3):
            raise ValueError(f"a density of shape {spins.shape}, matrices of {matrices.shape}")
        if lattice.shape != (3, 3) or not all(np.isfinite(x).all() for x in (lattice, positions, spins, matrices)):
            raise ValueError("a cell that is none, or numbers that are not finite")
        bounded = [axis for axis, periodic in enumerate(atoms["pbc"]) if not periodic and g_max is None]
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError(
            f"is a .gpw that is damaged or of a version that is not known ({error}); {_MEND}", path
        ) from error
    if len(spins) not in (1, 2):
        raise FormatError(f"has {len(spins)} spin components; wanted 1, or 2 of a collinear run", path)
    if abs(np.linalg.det(lattice)) < 1e-9:
        raise FormatError("has a cell without a volume; give the run's atoms a cell in three dimensions", path)
    faces = [(0, 0), *((int(axis in bounded), 0) for axis in range(3))]
    return _Run(lattice, elements, positions, np.pad(spins, faces), matrices, parameters, charge, g_max)


def _largest_wave(parameters: Mapping[str, Any]) -> float | None:
    """1/Å, of the density's plane waves: twice the energy cutoff of the wave functions, or what a spacing h holds."""
    mode = parameters.get("mode", "fd")
    mode = mode if isinstance(mode, dict) else {"name": mode}
    if mode.get("name") != "pw":
        return None
    if parameters.get("h"):
        found = np.pi / float(parameters["h"])
    else:
        found = np.sqrt(max(4 * float(mode.get("ecut", _ECUT)) / HARTREE_EV, 0.0)) / BOHR_ANGSTROM
    if not found > 0:
        raise ValueError(f"plane waves up to {found}/Å")
    return float(found)


def _content(path: str | Path) -> Any:
    """The bytes of a file; of a plain one, which may hold wave functions too, no more than are looked at."""
    if archives.is_member(path) or compression_of(path) is not None:
        return read_bytes(path)
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _text(raw: Any) -> tuple[dict[str, Any], str]:
    """The JSON of the first item, and the order of bytes of its arrays."""
    for order in "<>":
        version, items, places = np.frombuffer(raw[24:48], f"{order}i8").tolist()
        if 0 < version < 100 and items > 0:
            break
    else:
        raise ValueError("no version")
    (place,) = np.frombuffer(raw[places : places + 8], f"{order}i8").tolist()
    (length,) = np.frombuffer(raw[place : place + 8], f"{order}i8").tolist()
    facts = json.loads(raw[place + 8 : place + 8 + length])
    return facts, "<" if facts.get("_little_endian", True) else ">"


def _array(raw: Any, facts: Mapping[str, Any], name: str, order: str) -> NDArray[np.float64]:
    shape, kind, place = facts[f"{name}."]["ndarray"]
    dtype = np.dtype(kind).newbyteorder(order)
    count = math.prod(map(int, shape))
    if min(shape) < 1 or dtype.kind not in "fi" or not 0 < place <= len(raw) - count * dtype.itemsize:
        raise ValueError(f"{name} of shape {shape} lies outside the file")
    return np.frombuffer(raw, dtype, count, place).reshape(shape).astype(float)
