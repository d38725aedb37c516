"""Gaussian cube: one field on a grid, with the atoms.

::

    Si2                                         title
    chgtools: CHGCAR, block total, electrons/bohr^3
        2    0.000000    0.000000    0.000000   atoms, origin (bohr); a negative count: a line of orbitals follows
       24    0.210891    0.210891    0.000000   points and step (bohr) along the first axis; negative: this axis in Å
       24    0.000000    0.210891    0.210891
       24    0.210891    0.000000    0.210891
       14   14.000000    0.000000    0.000000    0.000000    atomic number, charge, position (bohr)
       14   14.000000    2.530689    2.530689    2.530689
      0.21E+00 ...                              values, the third axis fastest, six to a line

The grid spans the periodic cell, far faces not repeated. Densities are in electrons/bohr³, magnetisations in
μ_B/bohr³; LOCPOT stays in eV and ELFCAR without unit, as the second line says. More digits than the usual %13.5E
are printed, so that a CHGCAR's numbers survive; readers that split at blanks take them.
Source: Gaussian's documentation of cubegen; files of ASE, CP2K and Quantum ESPRESSO follow it. That a sign holds for
its own axis is P. Bourke's description (paulbourke.net/dataformats/cube); atoms go with the first axis.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning
from chgtools.formats.single_field import (
    chosen,
    element_of,
    integer_of,
    named_in,
    numbers_of,
    read_line,
    read_numbers,
    structure_of,
    write_rows,
)
from chgtools.formats.streams import LineReader, reading, writing
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import VolumetricData

GRID_SUFFIXES = (".cube", ".cub")


def holds_one(path: str | Path) -> bool:
    """Whether a file of such a name has a field: it always does. Raises FormatError for one that is not there."""
    with reading(path):
        return True


def read(path: str | Path) -> VolumetricData:
    """The field of a cube file as VolumetricData with one block (nx, ny, nz), densities in electrons/Å³.

    Positions are taken relative to the file's origin. A file of another program is taken as a density in
    electrons/bohr³, with an AssumptionWarning. Raises FormatError with file and line for damaged files, and for
    several values per point (orbitals).
    """
    with LineReader(path) as reader:
        title, second = read_line(reader, "a title"), read_line(reader, "a second title line")
        line = read_line(reader, "the number of atoms")
        head = numbers_of(reader, line, 4, "the number of atoms and the origin")
        n_atoms = integer_of(reader, head[0], "the number of atoms")
        if len(line.split()) > 4 and line.split()[4] != "1":
            raise reader.fail(f"found {line.split()[4]} values per point; wanted a file with one")
        counts, steps = [], []
        for axis in "xyz":
            line = read_line(reader, f"the {axis} axis of the grid")
            values = numbers_of(reader, line, 4, "the points and the step of a grid axis")
            counts.append(integer_of(reader, values[0], "the number of points"))
            steps.append(values[1:])
        grid_line = reader.line
        if 0 in counts:
            raise reader.fail(f"found {counts} points along the axes; wanted at least one along each")
        units = np.where(np.array(counts) > 0, BOHR_ANGSTROM, 1.0)
        length = units[0]  # of origin and atoms
        if len(set(units)) > 1:
            _note_mixed_units(path, counts)
        shape = tuple(abs(count) for count in counts)
        lattice = np.array(shape)[:, None] * np.array(steps) * units[:, None]
        if abs(np.linalg.det(lattice)) < 1e-9:
            raise reader.fail("the three axes of the grid lie in one plane, so that the cell has no volume")
        elements, positions = [], []
        for _ in range(abs(n_atoms)):
            line = read_line(reader, f"an atom of {abs(n_atoms)}")
            values = numbers_of(reader, line, 5, "an atom (number, charge, position)")
            elements.append(element_of(reader, line.split()[0]))
            positions.append((np.array(values[2:]) - head[1:]) * length)
        if n_atoms < 0:
            _skip_orbitals(reader)
        field = named_in((title, second), path)
        n_points = shape[0] * shape[1] * shape[2]
        what = f"the {' x '.join(map(str, shape))} grid"
        values_of_grid = read_numbers(reader, n_points, 1 / field.to_file, what, grid_line)
        rest = reader.readline()
        while rest is not None and not rest.strip():
            rest = reader.readline()
        if rest is not None:
            raise reader.fail(f"numbers or text go on behind the {n_points} numbers of {what} (line {grid_line})")
    structure = structure_of(lattice, elements, np.array(positions), title, path)
    block = np.asfortranarray(values_of_grid.reshape(shape))
    return VolumetricData(field.kind, structure, [block], source=str(path))


def _note_mixed_units(path: str | Path, counts: list[int]) -> None:
    units = ", ".join("bohr" if count > 0 else "Å" for count in counts)
    found = (
        f"{counts} points along the axes: by their signs the steps are taken in {units}, the atoms in the first's unit"
    )
    warnings.warn(AssumptionWarning(f"{path}: {found}"), stacklevel=3)


def _skip_orbitals(reader: LineReader) -> None:
    """The list behind a negative atom count: how many values per point, and the number of each."""
    line = read_line(reader, "the list of orbitals")
    count = integer_of(reader, numbers_of(reader, line, 1, "the number of orbitals")[0], "the number of orbitals")
    if count != 1:
        raise reader.fail(f"found {count} orbitals; wanted a file with one value per point")
    if len(line.split()) < 2:
        read_line(reader, "the number of the orbital")


def write(data: VolumetricData, path: str | Path, block: int = 0) -> None:
    """Write one block; compressed by suffix. Raises SettingsError for a block that is not there."""
    field, values = chosen(data, block)
    structure = data.structure
    lines = [structure.comment.strip() or structure.formula, field.comment]
    lines.append(f"{structure.n_atoms:5d}" + "".join(f"{0:16.10f}" for _ in range(3)))
    for points, vector in zip(data.shape, structure.lattice, strict=True):
        lines.append(f"{points:5d}" + "".join(f"{x:16.10f}" for x in vector / points / BOHR_ANGSTROM))
    positions = structure.frac @ structure.lattice / BOHR_ANGSTROM
    for element, position in zip(structure.elements, positions, strict=True):
        number = SYMBOLS.index(element) + 1 if element in SYMBOLS else 0
        lines.append(f"{number:5d}{number:12.6f}" + "".join(f"{x:16.10f}" for x in position))
    with writing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
        for plane in values:
            write_rows(file, plane, field.to_file, str(field.block))
