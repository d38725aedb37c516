"""One structure of a store and its group in the file; the layout is described in chgtools.stores.store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import FormatError
from chgtools.formats import hdf5
from chgtools.fourier.half_sphere import half_sphere, to_grid
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import Augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINEST_ANGSTROM = 1e-3  # step of a grid; VASP's finest are ten times wider
LARGEST_BOX = 500  # Miller indices to each number: two, times how skew a cell may be
_ARRAYS = ("lattice", "species", "fractional", "shape", "dcd")


def g_max_per_angstrom(g_max_per_bohr: float) -> float:
    """1/Å of a cutoff in 1/bohr, as it is stored."""
    return float(g_max_per_bohr) / BOHR_ANGSTROM


@dataclass(frozen=True, eq=False)
class Entry:
    """One structure of a store.

    name : its key
    structure : atoms and cell
    shape : (nx, ny, nz) of the grid the density came on
    g_max : 1/Å
    miller : (n, 3) half_sphere(lattice, g_max)
    dcd : (n,) complex128, V·n_G of the difference density, electrons
    dcd_0 : V·n_0, electrons: NELECT − ΣZVAL of a charged cell, else 0
    magnetisation : (1 or 3, n) complex128, V·m_G in μ_B, or None; magnetisation_0 : (1 or 3,) μ_B
    records : augmentation records of each block, or [] where the file had none
    channels : of each group, l of the projectors its records belong to; () where they are not known
    attributes : what else the file says: formula, kind, source, nelectrons, saed_eps_mae_percent, ...
    """

    name: str
    structure: Structure
    shape: tuple[int, int, int]
    g_max: float
    miller: NDArray[np.int64]
    dcd: NDArray[np.complex128]
    dcd_0: float = 0.0
    magnetisation: NDArray[np.complex128] | None = None
    magnetisation_0: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    records: list[Augmentation] = field(default_factory=list)
    channels: tuple[tuple[int, ...], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def on_grid(self, shape: Sequence[int] | None = None) -> NDArray[np.float64]:
        """The difference density in electrons/Å³, (nx, ny, nz) Fortran order; on its own grid by default.

        A grid that is too coarse for g_max loses the waves it cannot hold. Raises ChgtoolsError for a bad shape.
        """
        volume = self.structure.volume
        return to_grid(self.miller, self.dcd / volume, self.dcd_0 / volume, self.shape if shape is None else shape)

    def magnetisation_on_grid(self, shape: Sequence[int] | None = None) -> list[NDArray[np.float64]]:
        """The blocks of the magnetisation in μ_B/Å³, as :meth:`on_grid`; [] where there is none."""
        if self.magnetisation is None:
            return []
        sizes, volume = self.shape if shape is None else shape, self.structure.volume
        return [
            to_grid(self.miller, block / volume, mean / volume, sizes)
            for block, mean in zip(self.magnetisation, self.magnetisation_0, strict=True)
        ]


def fill_group(group: Any, entry: Entry) -> None:
    """Write an entry into a new group."""
    structure = entry.structure
    compressed = {"compression": "gzip", "shuffle": True}
    group["lattice"], group["fractional"] = structure.lattice, structure.frac
    group["species"] = np.array([name.encode() for name in structure.elements])
    group["shape"] = np.array(entry.shape)
    group.create_dataset("dcd", data=_pairs(entry.dcd), **compressed)
    if entry.magnetisation is not None:
        pairs = _pairs(entry.magnetisation)
        group.create_dataset("magnetisation", data=pairs[0] if len(pairs) == 1 else pairs, **compressed)
        group.attrs["magnetisation_0"] = entry.magnetisation_0
    if entry.records:
        group["records_length"] = np.array(entry.records[0].lengths)
        hdf5.write_channels(group, entry.channels)
        for name, parts in (("records", [b.real for b in entry.records]), ("records_imaginary", _imaginary(entry))):
            if parts:
                values = np.array([np.concatenate(part) for part in parts], dtype=np.float32)
                group.create_dataset(name, data=values, **compressed)
    group.attrs["g_max"] = entry.g_max * BOHR_ANGSTROM
    group.attrs["dcd_0"] = entry.dcd_0
    for key, value in entry.attributes.items():
        group.attrs[key] = value


def _imaginary(entry: Entry) -> list[list[NDArray[np.float64]]]:
    return [block.imaginary for block in entry.records if block.imaginary is not None]


def _read_records(group: Any) -> list[Augmentation]:
    if "records" not in group:
        return []
    lengths = hdf5.numbers(group, "records_length", ndim=1)
    ends = np.cumsum(lengths)[:-1]
    if hdf5.numbers(group, "records", ndim=2).shape[1] != lengths.sum() or lengths.min() < 0:
        raise ValueError("its records do not have the length that records_length says")
    real, imaginary = (
        [np.split(row.astype(float), ends) for row in hdf5.numbers(group, name, ndim=2)] if name in group else None
        for name in ("records", "records_imaginary")
    )
    assert real is not None
    return [Augmentation(part, None if imaginary is None else imaginary[i]) for i, part in enumerate(real)]


def _pairs(values: NDArray[np.complex128]) -> NDArray[np.float32]:
    return np.stack([values.real, values.imag], axis=-1).astype(np.float32)


def read_entry(group: Any, path: str | Path) -> Entry:
    """The entry of a group. Raises FormatError when something is missing or does not fit together."""
    name = group.name.strip("/")
    with hdf5.sense(path, "build it again", f"entry {name}"):
        return _entry(group, name, path)


def _entry(group: Any, name: str, path: str | Path) -> Entry:
    for wanted in _ARRAYS:
        if wanted not in group:
            raise FormatError(f"entry {name} has no {wanted!r}; it is damaged, build it again", path)
    if "g_max" not in group.attrs:
        raise FormatError(f"entry {name} has no attribute g_max (1/bohr); it is damaged, build it again", path)
    attributes = dict(group.attrs)
    structure = _structure(group, path)
    g_max, shape = g_max_per_angstrom(hdf5.real(attributes.pop("g_max"))), _shape(group, structure.lattice)
    _require_bounded(structure.lattice, g_max, hdf5.numbers(group, "dcd").size)
    miller = half_sphere(structure.lattice, g_max)
    magnetisation, magnetisation_0 = None, np.zeros(0)
    if "magnetisation" in group:
        magnetisation = np.atleast_2d(_complex(group, "magnetisation", len(miller), name, path))
        mean = attributes.pop("magnetisation_0", attributes.get("moment", np.zeros(len(magnetisation))))
        magnetisation_0 = np.atleast_1d(np.asarray(mean, dtype=float))
        if magnetisation_0.shape != (len(magnetisation),) or not np.isfinite(magnetisation_0).all():
            raise ValueError(f"its magnetisation_0 is {mean}, wanted {len(magnetisation)} numbers")
    dcd_0 = hdf5.real(attributes.pop("dcd_0", 0.0))
    if not np.isfinite(dcd_0):
        raise ValueError(f"its dcd_0 is {dcd_0}")
    return Entry(
        name=name,
        structure=structure,
        shape=shape,
        g_max=g_max,
        miller=miller,
        dcd=_complex(group, "dcd", len(miller), name, path),
        dcd_0=dcd_0,
        magnetisation=magnetisation,
        magnetisation_0=magnetisation_0,
        records=_read_records(group),
        channels=hdf5.read_channels(group),
        attributes=attributes,
    )


def _shape(group: Any, lattice: NDArray[np.float64]) -> tuple[int, int, int]:
    """(nx, ny, nz). Raises ValueError for a grid that no program makes, which would fill the memory."""
    nx, ny, nz = (int(n) for n in hdf5.numbers(group, "shape", ndim=1))
    steps = np.linalg.norm(lattice, axis=1) / np.maximum((nx, ny, nz), 1)
    if min(nx, ny, nz) < 1 or steps.min() < FINEST_ANGSTROM:
        raise ValueError(f"a grid of {nx} x {ny} x {nz} points over this cell")
    return nx, ny, nz


def _require_bounded(lattice: NDArray[np.float64], g_max: float, found: int) -> None:
    """Raises ValueError for waves that are beyond what a file with ``found`` numbers can hold, before they are made."""
    box = 2.0 * g_max * np.linalg.norm(lattice, axis=1) / (2 * np.pi) + 1
    if not (g_max >= 0 and np.prod(box) <= LARGEST_BOX * (found + 100)):
        raise ValueError(f"its lattice and g_max need far more coefficients than the {found // 2} that it has")


def _complex(group: Any, key: str, count: int, name: str, path: str | Path) -> NDArray[np.complex128]:
    pairs = hdf5.numbers(group, key).astype(float)
    if pairs.ndim < 2:
        raise ValueError(f"{key} has the shape {pairs.shape}")
    if pairs.shape[-2:] != (count, 2):
        raise FormatError(
            f"entry {name}: its lattice and g_max need {count} coefficients, found {pairs.shape[-2]}; build it again",
            path,
        )
    return np.asarray(pairs[..., 0] + 1j * pairs[..., 1])


def identity_of(group: Any) -> str:
    """The SHA-256 of an entry's source, or of its numbers where the source is not known."""
    if "source_sha256" in group.attrs:
        return str(group.attrs["source_sha256"])
    digest = hashlib.sha256()
    for name in ("lattice", "species", "fractional", "dcd"):
        digest.update(np.ascontiguousarray(group[name][()]).tobytes())
    return digest.hexdigest()


def elements_of(group: Any) -> list[str]:
    return list(hdf5.words(group, "species"))


def _structure(group: Any, path: str | Path) -> Structure:
    elements = elements_of(group)
    frac, counts = hdf5.numbers(group, "fractional", ndim=2), group.attrs.get("counts")
    if len(frac) != len(elements):
        raise FormatError(f"entry {group.name.strip('/')}: {len(elements)} species, {len(frac)} positions", path)
    if counts is None:
        counts = [len(list(run)) for _, run in groupby(elements)]
    first = np.cumsum([0, *counts[:-1]])
    return Structure(
        hdf5.numbers(group, "lattice"),
        tuple(elements[i] for i in first),
        tuple(int(n) for n in counts),
        frac,
        tuple(str(label) for label in group.attrs.get("labels", ())),
        str(group.attrs.get("formula", "")),
        source=str(path),
    )
