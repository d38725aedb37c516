"""charge-density.dat and charge-density.hdf5 of Quantum ESPRESSO's PREFIX.save, with the data-file-schema.xml beside.

Since version 6.4; n(r) = Σ_G n_G exp(iG·r) with n_G in electrons/bohr³ over the G sphere of the density, half of it
where gamma_only. The .dat is Fortran's unformatted records, each between two marks of its length::

    gamma_only, ngm, nspin        three integers of 4 bytes; nspin = 1, 2 or 4
    b1, b2, b3                    (3, 3) float64, 1/bohr
    Miller indices                (ngm, 3) integers of 4 bytes
    n_G                           (ngm,) complex128, a record for each of: total; total, up - down; total, mx, my, mz

The HDF5 file has the same as MillerIndices (attributes bg1, bg2, bg3), rhotot_g, rhodiff_g or m_x, m_y, m_z, with real
and imaginary parts in turn, and gamma_only, ngm_g, nspin as attributes of the file. The schema has the cell and the
atoms in bohr and the FFT grid. Augmentation charges of ultrasoft and PAW pseudopotentials are part of n_G.

Sources: Modules/io_base.f90 (write_rhog) and the qes schema of Quantum ESPRESSO; files of pw.x 6.7.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from chgtools.cell import Structure, reciprocal
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError
from chgtools.formats import archives, hdf5
from chgtools.formats.single_field import structure_of
from chgtools.formats.streams import is_there, read_bytes, reading, stem
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("charge-density.dat", "charge-density.hdf5")
SCHEMA = "data-file-schema.xml"
_MEND = "copy the folder again or rerun pw.x"
_BLOCKS = {1: ("rhotot_g",), 2: ("rhotot_g", "rhodiff_g"), 4: ("rhotot_g", "m_x", "m_y", "m_z")}
_SAME_CELL = 1e-5  # 1/bohr
_LARGEST_BOX = 500  # points of the grid to each wave: 1.9 in a cubic cell, times how skew one may be
_IMAGINARY = 1e-6  # of the largest value, that a real field may have


def holds_one(path: str | Path) -> bool:
    """Whether a file is such a density, by its content. Raises FormatError for one that is not there."""
    if hdf5.is_hdf5(path):
        with hdf5.foreign(path) as file, hdf5.sense(path, _MEND):
            return "rhotot_g" in file and "MillerIndices" in file
    with reading(path) as opened:
        head = opened.read(24)
    if len(head) < 24:
        return False
    first, _, count, nspin, end, second = np.frombuffer(head, "<i4")
    return bool(first == end == 12 and second == 72 and count > 0 and nspin in _BLOCKS)


def holds_run_with_upf(folder: Path) -> bool:
    """Whether a folder is a PREFIX.save that has the UPF files of its run."""
    if not (folder / SCHEMA).is_file():
        return False
    return any(stem(path).lower().endswith(".upf") for path in folder.iterdir())


def read(path: str | Path) -> VolumetricData:
    """The density as a CHGCAR: electrons/Å³ and μ_B/Å³, arrays (nx, ny, nz) in Fortran order on pw.x's FFT grid.

    Raises FormatError for a damaged file, one without its data-file-schema.xml, and where the two contradict.
    """
    structure, shape = _schema(path)
    gamma_only, b, miller, series = _of_hdf5(path) if hdf5.is_hdf5(path) else _of_records(path)
    own = reciprocal(structure.lattice) * BOHR_ANGSTROM
    if not np.allclose(b, own, rtol=0, atol=_SAME_CELL):
        raise FormatError(f"is of another cell than the {SCHEMA} beside it; {_MEND}", path)
    if math.prod(shape) > _LARGEST_BOX * (len(miller) + 100) or (2 * np.abs(miller) >= shape).any():
        found = " x ".join(map(str, shape))
        raise FormatError(f"has {len(miller)} waves, which do not go with the grid {found} of {SCHEMA}; {_MEND}", path)
    blocks = [_on_grid(miller, coefficients, shape, gamma_only, path) for coefficients in series]
    return VolumetricData("CHGCAR", structure, blocks, source=str(path))


def _on_grid(
    miller: NDArray[np.int64],
    coefficients: NDArray[np.complex128],
    shape: tuple[int, int, int],
    gamma_only: bool,
    path: str | Path,
) -> NDArray[np.floating[Any]]:
    """(nx, ny, nz), Fortran order, 1/Å³."""
    x, y, z = (miller % shape).T
    full = np.zeros(shape[::-1], complex)  # x last, which is Fortran's order once transposed
    full[z, y, x] = coefficients
    if gamma_only:
        others = miller.any(axis=1)
        x, y, z = (-miller[others] % shape).T
        full[z, y, x] = coefficients[others].conj()
    field = np.fft.ifftn(full) * (full.size / BOHR_ANGSTROM**3)
    if not np.isfinite(field).all() or np.abs(field.imag).max() > _IMAGINARY * np.abs(field).max() + 1e-12:
        raise FormatError(f"holds coefficients that are of no real density; {_MEND}", path)
    return np.ascontiguousarray(field.real).T


def _schema(path: str | Path) -> tuple[Structure, tuple[int, int, int]]:
    """The atoms at the end of the run and the FFT grid, of the schema beside a density."""
    beside = archives.folder_of(path) if archives.is_member(path) else Path(path).parent
    place = beside / SCHEMA
    if not is_there(place):
        raise FormatError(f"has no {SCHEMA} beside it, which has its cell and atoms; name it within its .save", path)
    try:
        root = ElementTree.fromstring(read_bytes(place))
        output = _child(root, "output")
        atoms, grid = _child(output, "atomic_structure"), _child(output, "basis_set/fft_grid")
        cell = [_numbers(_child(atoms, f"cell/a{axis}")) for axis in "123"]
        listed = list(_child(atoms, "atomic_positions"))
        names, positions = [_element(atom.get("name", "")) for atom in listed], [_numbers(atom) for atom in listed]
        nx, ny, nz = (int(grid.get(f"nr{axis}", "0")) for axis in "123")
    except FormatError:
        raise
    except (ElementTree.ParseError, LookupError, ValueError, MemoryError) as error:
        raise FormatError(f"is damaged or of a version that is not known ({error}); {_MEND}", place) from error
    if min(nx, ny, nz) < 1 or not names:
        raise FormatError(f"has a grid {nx} x {ny} x {nz} and {len(names)} atoms; {_MEND}", place)
    lattice = np.array(cell) * BOHR_ANGSTROM
    if abs(np.linalg.det(lattice)) < 1e-9:
        raise FormatError(f"has a cell without a volume; {_MEND}", place)
    structure = structure_of(lattice, names, np.array(positions) * BOHR_ANGSTROM, "", path)
    return structure.with_changes(comment=structure.formula), (nx, ny, nz)


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element:
    found = element.find(name)
    if found is None:
        raise LookupError(f"no {name}")
    return found


def _numbers(element: ElementTree.Element) -> list[float]:
    numbers = [float(word) for word in (element.text or "").split()]
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{element.tag} holds no three numbers")
    return numbers


def _element(label: str) -> str:
    """Of a species of pw.x: Fe of Fe, Fe1, Fe_up and FE2."""
    match = re.match(r"[A-Za-z]{1,2}", label)
    for length in (2, 1):
        if match is not None and (symbol := match[0][:length].capitalize()) in SYMBOLS:
            return symbol
    raise ValueError(f"the species {label!r} names no element")


_Read = tuple[bool, "NDArray[np.float64]", "NDArray[np.int64]", "list[NDArray[np.complex128]]"]


def _of_hdf5(path: str | Path) -> _Read:
    with hdf5.foreign(path) as file, hdf5.sense(path, _MEND):
        nspin = int(file.attrs["nspin"])
        if nspin not in _BLOCKS:
            raise ValueError(f"nspin = {nspin}")
        group = file["MillerIndices"]
        b = np.array([group.attrs[f"bg{axis}"] for axis in "123"], dtype=float)
        miller = hdf5.numbers(file, "MillerIndices", ndim=2).astype(np.int64)
        pairs = [hdf5.numbers(file, name).reshape(-1, 2).astype(float) for name in _BLOCKS[nspin]]
        if miller.shape[1] != 3 or b.shape != (3, 3) or any(len(each) != len(miller) for each in pairs):
            raise ValueError(
                f"{len(miller)} Miller indices, {', '.join(str(len(each)) for each in pairs)} coefficients"
            )
        return _is_true(file.attrs["gamma_only"]), b, miller, [each[:, 0] + 1j * each[:, 1] for each in pairs]


def _is_true(value: Any) -> bool:
    """Of a logical as Fortran prints it, ".TRUE." """
    return (value.decode() if isinstance(value, bytes) else str(value)).strip(" .").upper().startswith("T")


def _of_records(path: str | Path) -> _Read:
    raw = memoryview(read_bytes(path))
    at = 0

    def record(length: int, what: str) -> memoryview:
        nonlocal at
        body = raw[at + 4 : at + 4 + length]
        ends = (raw[at : at + 4], raw[at + 4 + length : at + 8 + length])
        if len(body) != length or any(bytes(end) != length.to_bytes(4, "little") for end in ends):
            raise FormatError(f"ends or breaks off within {what}; {_MEND}", path)
        at += length + 8
        return body

    gamma_only, count, nspin = (int(n) for n in np.frombuffer(record(12, "its first record"), "<i4"))
    if count < 1 or nspin not in _BLOCKS:
        raise FormatError(f"says that it has {count} waves and {nspin} spin components; {_MEND}", path)
    b = np.frombuffer(record(72, "the reciprocal cell"), "<f8").reshape(3, 3)
    miller = np.frombuffer(record(12 * count, "the Miller indices"), "<i4").reshape(count, 3).astype(np.int64)
    series = [np.frombuffer(record(16 * count, name), "<c16") for name in _BLOCKS[nspin]]
    if at != len(raw):
        raise FormatError(f"goes on behind its {nspin} spin components; {_MEND}", path)
    return gamma_only != 0, b, miller, series
