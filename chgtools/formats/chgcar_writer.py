"""A file of the CHGCAR family printed section by section, as VASP prints it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.formats.chgcar_layout import IMAGINARY, RECORD, BlockLayout, block_names, vasp_layout
from chgtools.formats.grid_block import write_block
from chgtools.formats.poscar import GROUPS_PER_LINE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.volumetric import VolumetricData


def check_sections(data: VolumetricData) -> None:
    """Raise ChgtoolsError unless blocks, records and moments fit each other and the atoms, and a header holds these."""
    n_blocks, n_atoms = len(data.blocks), data.structure.n_atoms
    _check_atoms(data)
    if n_blocks not in (1, 2, 4):
        raise ChgtoolsError(f"a {data.kind} has 1, 2 or 4 blocks, found {n_blocks}")
    if len({block.shape for block in data.blocks}) > 1:
        raise ChgtoolsError(f"the blocks differ in shape: {[block.shape for block in data.blocks]}")
    if data.augmentation and len(data.augmentation) != n_blocks:
        raise ChgtoolsError(f"found augmentation records for {len(data.augmentation)} of {n_blocks} blocks")
    for augmentation in data.augmentation:
        for records in (augmentation.real, augmentation.imaginary):
            if records is not None and len(records) != n_atoms:
                raise ChgtoolsError(f"found {len(records)} augmentation records for {n_atoms} atoms; wanted one each")
    if data.moments and (len(data.moments) != n_blocks - 1 or any(len(m) != n_atoms for m in data.moments)):
        raise ChgtoolsError(f"moments are wanted for each of {n_atoms} atoms before each block after the first")


def _check_atoms(data: VolumetricData) -> None:
    """Raise ChgtoolsError for atoms that the header of a CHGCAR cannot hold: none, or some without an element."""
    source, elements = data.source or "the data", data.structure.elements
    if not elements:
        raise ChgtoolsError(f"{source} has no atoms, and a {data.kind} cannot be without; write a cube or XSF file")
    nameless = [number for number, name in enumerate(elements, 1) if not name]
    if 0 < len(nameless) < len(elements):
        raise ChgtoolsError(
            f"atom {nameless[0]} of {source} has no element (a ghost atom), and the header of a {data.kind} names "
            "all or none; take it out, give it an element, or write a cube or XSF file"
        )


def write_sections(data: VolumetricData, kind: str, file: IO[bytes]) -> None:
    """Print header, blocks, records and moments; the sections are those that ``kind`` has."""
    scale = data.structure.volume if data.is_density else 1.0
    n_points = data.blocks[0].size
    plain = vasp_layout(kind, n_points)
    layout = data.layout
    if layout is None or layout.structure is not data.structure or layout.shape != data.shape or kind != data.kind:
        layout = None
    newline = b"\n" if layout is None else layout.newline
    header = header_text(data.structure) if layout is None else layout.header
    grid_line = "".join(f"{n:5d}" for n in data.shape).encode() if layout is None else layout.grid_line
    with_records = bool(data.augmentation) and kind == "CHGCAR"
    if newline == b"\r\n":
        file = _CarriageReturns(file)  # type: ignore[assignment]
        header = header.replace(b"\r\n", b"\n")
    file.write(header)
    names = block_names(kind, len(data.blocks))
    for index, values in enumerate(data.blocks):
        if index and data.moments and kind in ("CHGCAR", "LOCPOT"):
            file.write(print_reals(data.moments[index - 1], 20, 12))
        file.write(grid_line + b"\n")
        form = plain
        if layout is not None and index < len(layout.blocks) and layout.blocks[index].number_format != "free":
            form = layout.blocks[index]
            if newline == b"\r\n":
                form = BlockLayout(form.number_format, form.columns, form.tail.replace(b"\r", b""))
        write_block(file, values, scale, form, f"the {names[index]} block")
        if with_records:
            records = data.augmentation[index]
            _write_records(file, RECORD, records.real)
            if records.imaginary is not None:
                _write_records(file, RECORD + IMAGINARY, records.imaginary)
    if layout is not None:
        file.write(layout.trailing.replace(b"\r", b"") if newline == b"\r\n" else layout.trailing)


class _CarriageReturns:
    """Text with CRLF line ends, for files that came with them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: Any) -> None:
        self._file.write(bytes(text).replace(b"\n", b"\r\n"))


def _write_records(file: IO[bytes], name: bytes, records: list[NDArray[np.float64]]) -> None:
    for ion, values in enumerate(records, 1):
        index = f"{ion:4d}" if ion <= 9999 else "****"  # Fortran's I4; VASP reads the records in order
        file.write(name + f"{index}{len(values):4d}\n".encode())
        file.write(print_reals(values, 15, 7))


def print_reals(values: NDArray[np.float64], width: int, digits: int) -> bytes:
    """5Ewidth.digits, with its newlines; an empty line for no values."""
    from chgtools.kernels.printing import field_e

    if len(values) == 0:
        return b"\n"
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        number = int(bad[0]) + 1
        raise ChgtoolsError(f"an augmentation occupancy or moment (number {number}) is not finite; nothing was written")
    fields = [field_e(value, 0, width, digits) for value in np.asarray(values, dtype=float).tolist()]
    return "".join("".join(fields[i : i + 5]) + "\n" for i in range(0, len(fields), 5)).encode()


def header_text(structure: Structure) -> bytes:
    """Header of a CHGCAR up to the line before the grid line, as VASP 5.4 to 6.3 write it.

    Positions are wrapped to [0, 1): VASP compares them with the POSCAR's when ICHARG = 1.
    """
    lines = [f"{structure.comment:40.40s}", "   1.00000000000000     "]
    lines += [" " + "".join(f"{x:12.6f}" for x in row) for row in structure.lattice]
    if any(structure.species):
        lines += _wrapped([f"   {name:<2.2s}" for name in structure.species])
    lines += [*_wrapped([f"{count:6d}" for count in structure.counts]), "Direct"]
    wrapped = np.round(structure.frac % 1.0, 6) % 1.0
    lines += ["".join(f"{x:10.6f}" for x in row) for row in wrapped]
    lines.append(" ")
    return ("\n".join(lines) + "\n").encode("ascii", "replace")


def _wrapped(fields: list[str]) -> list[str]:
    """Lines of fields of groups, as many to a line as VASP prints."""
    return ["".join(fields[i : i + GROUPS_PER_LINE]) for i in range(0, len(fields), GROUPS_PER_LINE)]
