"""PREFIX.save of Quantum ESPRESSO, of a density that is given: the schema with its cell, and either kind of file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from chgtools.cell import Structure
from chgtools.units import BOHR_ANGSTROM

NAMES = {1: ("rhotot_g",), 2: ("rhotot_g", "rhodiff_g"), 4: ("rhotot_g", "m_x", "m_y", "m_z")}


def sphere(shape) -> np.ndarray:
    """Miller indices that the grid holds once each."""
    axes = [np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def half(miller):
    """One of each pair and G = 0, as gamma_only has it."""
    h, k, m = miller.T
    return miller[(h > 0) | ((h == 0) & (k > 0)) | ((h == 0) & (k == 0) & (m >= 0))]


def series(blocks, miller):
    """n_G in electrons/bohr³ by the definition, a sum over the points of the grid."""
    nx, ny, nz = blocks[0].shape
    waves = [np.exp(-2j * np.pi * np.outer(miller[:, axis], np.arange(n)) / n) for axis, n in enumerate((nx, ny, nz))]
    return [
        np.einsum("gx,gy,gz,xyz->g", *waves, block, optimize=True) / block.size * BOHR_ANGSTROM**3 for block in blocks
    ]


def write_save(
    folder: Path, structure: Structure, blocks: list[np.ndarray], kind: str = "dat", gamma_only: bool = False
) -> Path:
    """The path of the density. blocks : electrons/Å³ on the FFT grid, without waves at the edge of an even grid"""
    folder.mkdir(parents=True, exist_ok=True)
    miller = sphere(blocks[0].shape)
    miller = half(miller) if gamma_only else miller
    cell = structure.lattice / BOHR_ANGSTROM
    b = 2 * np.pi * np.linalg.inv(cell).T
    values = series(blocks, miller)
    write_schema(folder, structure, blocks[0].shape)
    path = folder / f"charge-density.{'dat' if kind == 'dat' else 'hdf5'}"
    if kind == "dat":
        records = [np.array([gamma_only, len(miller), len(blocks)], "<i4"), b.astype("<f8"), miller.astype("<i4")]
        content = b""
        for record in [*records, *(each.astype("<c16") for each in values)]:
            mark = np.array([record.nbytes], "<i4").tobytes()
            content += mark + record.tobytes() + mark
        path.write_bytes(content)
        return path
    with h5py.File(path, "w") as file:
        file.attrs["gamma_only"] = np.bytes_(".TRUE." if gamma_only else ".FALSE.")
        file.attrs["ngm_g"], file.attrs["nspin"] = np.int32(len(miller)), np.int32(len(blocks))
        file["MillerIndices"] = miller.astype(np.int32)
        for axis, row in zip("123", b, strict=True):
            file["MillerIndices"].attrs[f"bg{axis}"] = row
        for name, each in zip(NAMES[len(blocks)], values, strict=True):
            file[name] = np.stack([each.real, each.imag], axis=-1).ravel()
    return path


def write_schema(folder: Path, structure: Structure, shape) -> None:
    cell = structure.lattice / BOHR_ANGSTROM
    text = ["<?xml version='1.0'?>", "<qes:espresso xmlns:qes='http://www.quantum-espresso.org/ns/qes/qes-1.0'>"]
    text += ["<input><atomic_structure/></input><output>", f"<atomic_structure nat='{structure.n_atoms}'>"]
    text.append("<atomic_positions>")
    for number, (name, frac) in enumerate(zip(structure.elements, structure.frac, strict=True), 1):
        text.append(f"<atom name='{name}1' index='{number}'>{' '.join(f'{x:.16e}' for x in frac @ cell)}</atom>")
    text.append("</atomic_positions><cell>")
    text += [f"<a{i}>{' '.join(f'{x:.16e}' for x in row)}</a{i}>" for i, row in enumerate(cell, 1)]
    text.append("</cell></atomic_structure>")
    nx, ny, nz = shape
    text.append(f"<basis_set><fft_grid nr1='{nx}' nr2='{ny}' nr3='{nz}'/></basis_set></output></qes:espresso>")
    (folder / "data-file-schema.xml").write_text("\n".join(text))
