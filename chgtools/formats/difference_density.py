"""Difference densities (DCD) as HDF5.

/                    attributes format, format_version, electrons, and what is known of the source
/dcd, /saed          (nz, ny, nx) electrons/Å³, C order as in VASP's own HDF5 files: transpose to get (nx, ny, nz)
/magnetisation       (1 or 3, nz, ny, nx) μ_B/Å³, where spin-polarised
/structure           lattice (rows, Å), fractional positions, species, counts, labels, zvals, channels
/augmentation        BLOCK/(real|imaginary)/ION as in the CHGCAR; /moments likewise
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.formats import hdf5
from chgtools.volumetric import Augmentation, DifferenceDensity

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND = hdf5.Kind("chgtools difference charge density", 1, "difference density", "chgtools make-dcd")


def write(difference: DifferenceDensity, path: str | Path, keep_saed: bool = True) -> None:
    """Store a DCD as HDF5.

    ``dcd`` and ``saed`` (nz, ny, nx) in electrons/Å³, ``magnetisation`` (1 or 3, nz, ny, nx) in μ_B/Å³: C order as in
    VASP's own HDF5 files, so transpose to get (nx, ny, nz). ``structure`` holds lattice (rows, Å), fractional
    positions, species, counts, labels, zvals, channels; ``augmentation/<block>/<real|imaginary>/<ion>`` and ``moments``
    are as in the CHGCAR. Units and provenance are attributes.
    """
    with hdf5.writing(path, KIND) as file:
        file.attrs["electrons"] = difference.electrons
        for key, value in difference.provenance.items():
            file.attrs[key] = value
        fields = {"dcd": difference.dcd}
        if keep_saed and difference.saed is not None:
            fields["saed"] = difference.saed
        for name, values in fields.items():
            _describe(file.create_dataset(name, data=values.T), "electrons/angstrom^3")
        if len(difference.blocks) > 1:
            shape = (len(difference.blocks) - 1, *difference.dcd.shape[::-1])
            magnetisation = file.create_dataset("magnetisation", shape, difference.dcd.dtype)
            for index, block in enumerate(difference.blocks[1:]):
                magnetisation[index] = block.T
            _describe(magnetisation, "mu_B/angstrom^3")
        _write_structure(file.create_group("structure"), difference)
        _write_augmentation(file, difference.augmentation)
        if difference.moments:
            file["moments"] = np.array(difference.moments)


def _describe(dataset: Any, unit: str) -> None:
    dataset.attrs["unit"], dataset.attrs["axes"] = unit, "z, y, x (transpose for x, y, z)"


def _write_structure(group: Any, difference: DifferenceDensity) -> None:
    structure = difference.structure
    group["lattice"] = structure.lattice
    group["lattice"].attrs["unit"] = "angstrom, lattice vectors as rows"
    group["fractional"] = structure.frac
    group["counts"] = np.array(structure.counts)
    group["zvals"] = np.array(difference.zvals)
    for name, values in (("species", structure.species), ("labels", difference.labels)):
        group[name] = [value.encode() for value in values]
    if difference.channels:
        hdf5.write_channels(group, difference.channels)
    group.attrs["comment"] = structure.comment


def _write_augmentation(file: Any, blocks: Sequence[Augmentation]) -> None:
    for number, occupancies in enumerate(blocks, 1):
        for part, records in (("real", occupancies.real), ("imaginary", occupancies.imaginary)):
            for ion, record in enumerate(records or (), 1):
                file[f"augmentation/{number}/{part}/{ion}"] = record


def read(path: str | Path) -> DifferenceDensity:
    """Open a DCD written by :func:`write`.

    Raises FormatError when the file is no such thing, is of a newer version, damaged, or contradicts itself.
    """
    with hdf5.reading(path, KIND) as file, hdf5.sense(path, f"make it again with {KIND.made_by}"):
        group = file["structure"]
        labels = hdf5.words(group, "labels")
        structure = Structure(
            hdf5.numbers(group, "lattice"), hdf5.words(group, "species"),
            tuple(int(n) for n in hdf5.numbers(group, "counts", ndim=1)), hdf5.numbers(group, "fractional", ndim=2),
            labels, str(group.attrs["comment"]), source=str(path),
        )  # fmt: skip
        blocks = [hdf5.numbers(file, "dcd", ndim=3).T]
        if "magnetisation" in file:
            blocks += [block.T for block in hdf5.numbers(file, "magnetisation", ndim=4)]
        saed = hdf5.numbers(file, "saed", ndim=3).T if "saed" in file else None
        if not blocks[0].size or any(
            block.shape != blocks[0].shape for block in [*blocks, *([] if saed is None else [saed])]
        ):
            raise ValueError("its densities are on different grids, or on none")
        electrons = hdf5.real(file.attrs["electrons"])
        zvals = tuple(float(z) for z in hdf5.numbers(group, "zvals", ndim=1))
        if len(zvals) != len(labels) or not np.isfinite(electrons):
            raise ValueError(f"{len(zvals)} ZVALs for {len(labels)} labels, and {electrons:g} electrons")
        reserved = ("format", "format_version", "electrons")
        return DifferenceDensity(
            structure=structure,
            blocks=blocks,
            saed=saed,
            labels=labels,
            zvals=zvals,
            electrons=electrons,
            augmentation=_read_augmentation(file, structure.n_atoms),
            moments=_read_moments(file, structure.n_atoms),
            channels=hdf5.read_channels(group),
            provenance={key: str(value) for key, value in file.attrs.items() if key not in reserved},
        )


def _read_moments(file: Any, n_atoms: int) -> list[NDArray[np.float64]]:
    if "moments" not in file:
        return []
    moments = hdf5.numbers(file, "moments", ndim=2)
    if moments.shape[1] != n_atoms:
        raise ValueError(f"moments of {moments.shape[1]} atoms, the structure has {n_atoms}")
    return list(moments)


def _read_augmentation(file: Any, n_atoms: int) -> list[Augmentation]:
    if "augmentation" not in file:
        return []
    blocks = []
    for index in range(1, len(file["augmentation"]) + 1):
        parts = {
            part: [hdf5.numbers(group, str(ion), ndim=1) for ion in range(1, n_atoms + 1)]
            for part, group in file[f"augmentation/{index}"].items()
        }
        blocks.append(Augmentation(parts["real"], parts.get("imaginary")))
    return blocks
