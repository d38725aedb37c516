"""XCrySDen's XSF: the cell, the atoms and one field on a general grid.

::

    # Si2
    # chgtools: CHGCAR, block total, electrons/bohr^3
    CRYSTAL
    PRIMVEC                     lattice vectors, Å
      0.000  2.715  2.715
      2.715  0.000  2.715
      2.715  2.715  0.000
    PRIMCOORD                   atoms, Å
      2 1
      Si  0.000  0.000  0.000
      Si  1.357  1.357  1.357
    BEGIN_BLOCK_DATAGRID_3D
      chgtools
      BEGIN_DATAGRID_3D_total
        25 25 25                points: a general grid repeats its first points on the far faces (others: xsf_grid.py)
        0.0 0.0 0.0             origin
        0.000  2.715  2.715     spanning vectors
        ...
        0.21E+00 ...            values, the first axis fastest
      END_DATAGRID_3D
    END_BLOCK_DATAGRID_3D

XCrySDen leaves the unit of the values to the writer. Densities are written in electrons/bohr³, as Quantum ESPRESSO's
pp.x does; the comment says so. Source: XCrySDen's description of the format.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import AssumptionWarning, SettingsError
from chgtools.formats.single_field import (
    Field,
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
from chgtools.formats.xsf_grid import (
    GENERAL,
    PERIODIC,
    Decision,
    UnsettledError,
    by_values,
    by_vectors,
    without_repeated,
)
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID_SUFFIXES = (".xsf",)
_SKIPPED = {"CONVVEC": 3, "CRYSTAL": 0, "SLAB": 0, "POLYMER": 0}


def holds_one(path: str | Path) -> bool:
    """Whether a file has a field, and not atoms alone. Raises FormatError for one that is not there."""
    with reading(path) as file:
        return any(b"DATAGRID_3D" in line for line in file)


def read(path: str | Path, grid: str | None = None) -> VolumetricData:
    """The first data grid of an XSF file as VolumetricData with one block (nx, ny, nz), densities in electrons/Å³.

    grid : "general" where the file repeats its first points on the far faces, as the format has it, "periodic" where
        it repeats none; by default told by the file (see chgtools.formats.xsf_grid), with an AssumptionWarning where
        that is not the format's
    Repeated far faces are left out. Positions are taken relative to the grid's origin. A file of another program is
    taken as a density in electrons/bohr³, with an AssumptionWarning.
    Raises FormatError with file and line for damaged files, for grids that do not span the cell, and where nothing
    tells whether the far faces are repeated. Raises SettingsError for another ``grid``.
    """
    if grid not in (None, GENERAL, PERIODIC):
        raise SettingsError(f"found grid = {grid!r}; wanted {GENERAL!r} or {PERIODIC!r}")
    with LineReader(path) as reader:
        comments: list[str] = []
        lattice, elements, positions = _crystal(reader, comments)
        comments.append(read_line(reader, "the data grid's name"))
        field = named_in(comments, path)
        block, origin = _data_grid(reader, lattice, elements, field, grid)
        following = _section(reader, comments, "END_BLOCK_DATAGRID_3D")
        if not following.startswith("END_BLOCK"):
            warnings.warn(AssumptionWarning(f"{path} holds several data grids; the first is taken"), stacklevel=2)
    title = comments[0] if "chgtools:" not in comments[0] else ""
    structure = structure_of(lattice, elements, positions - origin, title, path)
    return VolumetricData(field.kind, structure, [block], source=str(path))


def _section(
    reader: LineReader, comments: list[str], wanted: str = "the next section (PRIMVEC, PRIMCOORD, ...)"
) -> str:
    """The next line that is neither blank nor a comment; comments are collected."""
    while True:
        line = read_line(reader, wanted)
        if line.startswith("#"):
            comments.append(line.lstrip("# "))
        elif line:
            return line


def _crystal(reader: LineReader, comments: list[str]) -> tuple[NDArray[np.float64], list[str], NDArray[np.float64]]:
    """(lattice, elements, Cartesian positions) of the sections before the block of data grids."""
    lattice: NDArray[np.float64] | None = None
    elements: list[str] = []
    positions: list[list[float]] = []
    while True:
        line = _section(reader, comments)
        keyword = line.split()[0]
        if keyword == "PRIMVEC":
            lattice = _vectors(reader, comments, "a lattice vector")
            if abs(np.linalg.det(lattice)) < 1e-9:
                raise reader.fail("the three lattice vectors lie in one plane, so that the cell has no volume")
        elif keyword == "CONVVEC":
            _vectors(reader, comments, "a vector of the conventional cell")
        elif keyword in ("PRIMCOORD", "CONVCOORD"):
            line = _section(reader, comments)
            count = integer_of(reader, numbers_of(reader, line, 1, "the number of atoms")[0], "the number of atoms")
            atoms = [_atom(reader, comments, count) for _ in range(count)]
            if keyword == "PRIMCOORD":
                elements, positions = [name for name, _ in atoms], [position for _, position in atoms]
        elif keyword == "BEGIN_BLOCK_DATAGRID_3D":
            if lattice is None:
                raise reader.fail("found a data grid before PRIMVEC; wanted the lattice vectors first")
            return lattice, elements, np.array(positions, dtype=float).reshape(-1, 3)
        elif keyword not in ("CRYSTAL", "SLAB", "POLYMER"):
            raise reader.fail(f"found {line[:40]!r}; wanted an XSF file of a periodic crystal with a 3D data grid")


def _vectors(reader: LineReader, comments: list[str], wanted: str) -> NDArray[np.float64]:
    return np.array([numbers_of(reader, _section(reader, comments, wanted), 3, wanted) for _ in range(3)])


def _atom(reader: LineReader, comments: list[str], count: int) -> tuple[str, list[float]]:
    line = _section(reader, comments, f"an atom of {count}")
    position = numbers_of(reader, line, 3, f"an atom of {count} (element, position)", first=1)
    return element_of(reader, line.split()[0]), position


def _data_grid(
    reader: LineReader, lattice: NDArray[np.float64], elements: list[str], field: Field, grid: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(values without repeated faces, origin) of the data grid that begins at the next line."""
    line = read_line(reader, "BEGIN_DATAGRID_3D")
    if not line.startswith(("BEGIN_DATAGRID_3D", "DATAGRID_3D")):
        raise reader.fail(f"found {line[:40]!r} where BEGIN_DATAGRID_3D is wanted")
    numbers = numbers_of(reader, read_line(reader, "the grid's points"), 3, "the grid's points (three integers)")
    points = [integer_of(reader, number, "a number of points") for number in numbers]
    grid_line = reader.line
    if min(points) < 1:
        raise reader.fail(f"found {points} points; wanted three positive numbers")
    origin = np.array(numbers_of(reader, read_line(reader, "the grid's origin"), 3, "the grid's origin"))
    vectors = _vectors(reader, [], "a vector that spans the grid")
    try:
        decision = by_vectors(points, origin, vectors, lattice)
    except UnsettledError as error:
        raise reader.fail(str(error)) from error
    decision = Decision(grid) if grid else decision
    if min(points) < 2 and (decision is None or decision.grid == GENERAL):
        raise reader.fail(
            f"found {points} points; a general grid has at least 2 along each axis, the last repeated", grid_line
        )
    what = f"the {points[0]} x {points[1]} x {points[2]} grid"
    values = read_numbers(reader, points[0] * points[1] * points[2], 1 / field.to_file, what, grid_line)
    end = _section(reader, [], "END_DATAGRID_3D")
    if not end.startswith("END_DATAGRID"):
        raise reader.fail(f"found {end[:40]!r} behind the numbers of {what} where END_DATAGRID_3D is wanted")
    block = values.reshape(points, order="F")
    if decision is None and field.block is not None:  # ours
        decision = Decision(GENERAL)
    try:
        decision = decision or by_values(block, lattice, elements)
    except UnsettledError as error:
        raise reader.fail(f"{what}: {error}", grid_line) from error
    if decision.note:
        warnings.warn(AssumptionWarning(f"{reader.path}: {what}: {decision.note}"), stacklevel=3)
    return without_repeated(block, decision.grid), origin


def write(data: VolumetricData, path: str | Path, block: int = 0) -> None:
    """Write one block; compressed by suffix. Raises SettingsError for a block that is not there."""
    field, values = chosen(data, block)
    structure = data.structure
    vectors = [" " + "".join(f"{x:18.12f}" for x in vector) for vector in structure.lattice]
    lines = [
        f"# {structure.comment.strip() or structure.formula}",
        f"# {field.comment}",
        "CRYSTAL",
        "PRIMVEC",
        *vectors,
    ]
    lines += ["PRIMCOORD", f" {structure.n_atoms} 1"]
    for element, position in zip(structure.elements, structure.frac @ structure.lattice, strict=True):
        lines.append(f" {element or 'X':<2s}" + "".join(f"{x:18.12f}" for x in position))
    lines += ["BEGIN_BLOCK_DATAGRID_3D", " chgtools", f" BEGIN_DATAGRID_3D_{str(field.block).replace(' ', '_')}"]
    lines += [" " + " ".join(str(n + 1) for n in data.shape), " 0.0 0.0 0.0", *vectors]
    with writing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())
        for k in range(data.shape[2] + 1):
            plane = np.pad(values[:, :, k % data.shape[2]], ((0, 1), (0, 1)), mode="wrap")
            write_rows(file, plane.T, field.to_file, str(field.block))
        file.write(b" END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n")
