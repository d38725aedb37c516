"""CHGCAR and its family: CHG, AECCAR0/1/2, PARCHG, LOCPOT, ELFCAR.

A spin-polarised CHGCAR of VASP 5.4, each piece with its Fortran format::

    unknown system                                  A40
       1.00000000000000                             scale
         5.523145    0.000000    0.000000           1X,3F12.6
         0.000000    5.468728    0.000000
         0.000000    0.000000    5.468728
       Si                                           3X,A2 per species (VASP 4: line absent;
         8                                          6.4: 2X,A14 with Si/hash, counts I16)
    Direct
      0.250000  0.250000  0.250000                  3F10.6 (6.5: one blank more)
      ...
                                                    one blank (5.x, 6.3) or an empty line (6.4)
       48   42   42                                 3I5, NGXF NGYF NGZF
     -.30865939874E+02 -.24210611156E+02 ...        5(1X,E17.11): density x volume, x fastest; a last line
                                                    that is not full ends in two blanks
    augmentation occupancies   1  33                A24,2I4: ion, length; one record per ion
      0.4214821E+00 -0.4279461E+00 ...              5E15.7
      0.600000000000E+00  0.600000000000E+00 ...    5E20.12: MAGMOM of every ion, before each further block
       48   42   42                                 the magnetisation: grid line, numbers, records
    ...

Non-collinear files have four blocks, and behind each block's records the same number again, headed
``augmentation occupancies (imaginary part)``. CHG, PARCHG and ELFCAR print 10(1X,G11.5) and no records; LOCPOT has
moments but no records; LOCPOT and ELFCAR are not multiplied by the volume.

Sources: VASP wiki (CHGCAR, LOCPOT, ELFCAR, PARCHG) and 83 real files of VASP 4.6 to 6.4.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import AssumptionWarning, ChgtoolsError, SettingsError
from chgtools.formats import poscar
from chgtools.formats.grid_block import BlockLayout, read_block, vasp_layout, write_block
from chgtools.formats.streams import LineReader, stem, writing
from chgtools.volumetric import DENSITY_KINDS, KINDS, Augmentation, VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RECORD = b"augmentation occupancies"
_IMAGINARY = b" (imaginary part)"
RECORD_FIELDS = ((15, 7), (18, 11))  # 5E15.7 of VASP; 5(1X,E17.11) of pymatgen
MOMENT_FIELDS = ((20, 12),)  # 5E20.12
Fields = tuple[tuple[int, int], ...]
_BLOCK_NAMES = {
    1: ("total",),
    2: ("total", "magnetisation"),
    4: ("total", "magnetisation x", "magnetisation y", "magnetisation z"),
}


@dataclass(frozen=True)
class Layout:
    """The text of a file that is not numbers; holds for the structure and grid it was read with."""

    structure: Structure
    shape: tuple[int, int, int]
    header: bytes
    grid_line: bytes
    blocks: tuple[BlockLayout, ...]
    newline: bytes
    trailing: bytes


def kind_of(path: str | Path) -> str | None:
    """Kind of file by its name (AECCAR2 of run/AECCAR2.bak.gz), or None."""
    name = stem(path).upper()
    for kind in (*[k for k in KINDS if k != "CHG"], "CHG"):
        if kind in name:
            return kind
    return None


def block_names(kind: str, count: int) -> tuple[str, ...]:
    """What the blocks of a file are, for messages and tables."""
    if kind == "LOCPOT":
        names = {1: ("potential",), 2: ("spin up", "spin down"), 4: ("potential", "field x", "field y", "field z")}
        return names[count]
    if kind == "ELFCAR":
        return {1: ("ELF",), 2: ("spin up", "spin down")}.get(count, _BLOCK_NAMES[4])
    return _BLOCK_NAMES[count]


def _shape(reader: LineReader, line: bytes) -> tuple[int, int, int]:
    tokens = line.split()
    if len(tokens) != 3 or not all(re.fullmatch(rb"\d{1,6}", token) for token in tokens):
        shown = line.decode("ascii", "replace").strip()[:60]
        raise reader.fail(f"found {shown!r} where the grid line (three integers NGXF NGYF NGZF) is wanted")
    shape = tuple(int(token) for token in tokens)
    if min(shape) < 1:
        raise reader.fail(f"found the grid {shape}; wanted three positive integers")
    return shape  # type: ignore[return-value]


def _read_grid_line(reader: LineReader) -> tuple[tuple[int, int, int], bytes]:
    line = reader.readline()
    while line is not None and not line.strip():
        line = reader.readline()
    if line is None:
        raise reader.fail("the file ends before its grid line; it holds a structure and no data", reader.line + 1)
    return _shape(reader, line), line


def read_header(path: str | Path) -> tuple[Structure, tuple[int, int, int]]:
    """Structure and grid (nx, ny, nz) of a file, without its data."""
    with LineReader(path) as reader:
        return poscar.parse(reader), _read_grid_line(reader)[0]


def read(path: str | Path, kind: str | None = None, dtype: Any = np.float64) -> VolumetricData:
    """Read a CHGCAR, CHG, AECCAR0/1/2, PARCHG, LOCPOT or ELFCAR, plain or compressed (gz, bz2, xz, zst, lz4).

    kind : what the file is, when its name does not say so
    dtype : np.float64, or np.float32 for half the memory
    Returns densities in electrons/Å³ (the file's numbers divided by the cell's volume), LOCPOT in eV, ELFCAR as is;
    arrays (nx, ny, nz) in Fortran order.
    Raises FormatError, with file and line, for a file that is short, overfull or garbled, holds a value that is not
    finite, or whose pieces contradict each other. Warns AssumptionWarning when neither name nor ``kind`` says what
    the file is and it is taken for a CHGCAR.
    """
    kind = _settle_kind(path, kind)
    with LineReader(path) as reader:
        return _Parser(reader, kind, dtype).parse()


def _settle_kind(path: str | Path, kind: str | None) -> str:
    kind = kind or kind_of(path)
    if kind is None:
        warnings.warn(AssumptionWarning(f"{path}: the name tells no kind of file; read as a CHGCAR"), stacklevel=3)
        return "CHGCAR"
    if kind not in KINDS:
        raise SettingsError(f"unknown kind of file {kind!r}; wanted one of {', '.join(KINDS)}")
    return kind


class _Parser:
    """The sections of one file, in the order in which they come."""

    def __init__(self, reader: LineReader, kind: str, dtype: Any) -> None:
        self.reader, self.kind, self.dtype = reader, kind, dtype
        self.fields: dict[Fields, tuple[int, int]] = {}

    def parse(self) -> VolumetricData:
        reader = self.reader
        structure, header = self._header()
        self.n_atoms = structure.n_atoms
        self.shape, grid_text = _read_grid_line(reader)
        scale = 1.0 / structure.volume if self.kind in DENSITY_KINDS else 1.0
        blocks: list[NDArray[Any]] = []
        layouts: list[BlockLayout] = []
        moments: list[NDArray[np.float64]] = []
        augmentation: list[Augmentation] = []
        trailing = b""
        while True:
            what = f"block {len(blocks) + 1}"
            values, form, columns, end = read_block(reader, self.shape, scale, self.dtype, reader.line, what)
            blocks.append(values)
            blank = self._blank_lines()
            records = self._records()
            if records is not None:
                augmentation.append(records)
                trailing = self._blank_lines()
            else:
                trailing = b""
            layouts.append(BlockLayout(form, columns, end + b"\n" + blank))
            if reader.peek() is None:
                break
            moment = self._moments(len(blocks))
            if moment is not None:
                moments.append(moment)
            shape, _ = _read_grid_line(reader)
            if shape != self.shape:
                raise reader.fail(
                    f"block {len(blocks) + 1} has the grid {shape}, the first block {self.shape}; all must agree"
                )
        self._check_blocks(blocks, augmentation, moments)
        if reader.lacks_newline:
            trailing = trailing[:-1] if trailing else trailing
            last = layouts[-1]
            if not augmentation and not trailing:
                layouts[-1] = BlockLayout(last.number_format, last.columns, last.tail[:-1])
        newline = b"\r\n" if header.endswith(b"\r\n") else b"\n"
        layout = Layout(structure, self.shape, header, grid_text.rstrip(b"\r"), tuple(layouts), newline, trailing)
        return VolumetricData(
            self.kind, structure, blocks, augmentation, moments, layout=layout, source=str(reader.path)
        )

    def _header(self) -> tuple[Structure, bytes]:
        """The structure, and the text up to the grid line."""
        taped: list[bytes] = []
        readline = self.reader.readline

        def tape() -> bytes | None:
            line = readline()
            if line is not None:
                taped.append(line + b"\n")
            return line

        self.reader.readline = tape  # type: ignore[method-assign]
        try:
            structure = poscar.parse(self.reader)
            while (line := self.reader.peek()) is not None and not line.strip():
                tape()
        finally:
            del self.reader.readline
        return structure, b"".join(taped)

    def _blank_lines(self) -> bytes:
        """Consume blank lines; their text."""
        text = b""
        while (line := self.reader.peek()) is not None and not line.strip():
            self.reader.readline()
            text += line + b"\n"
        return text

    def _records(self) -> Augmentation | None:
        """All augmentation records behind one block, or None."""
        line = self.reader.peek()
        if line is None or not line.lstrip().startswith(_RECORD):
            return None
        real = [self._record(ion, b"") for ion in range(1, self.n_atoms + 1)]
        line = self._peek_record()
        imaginary = None
        if line is not None and line.lstrip().startswith(_RECORD + _IMAGINARY):
            imaginary = [self._record(ion, _IMAGINARY) for ion in range(1, self.n_atoms + 1)]
            line = self._peek_record()
        if line is not None and line.lstrip().startswith(_RECORD):
            raise self.reader.fail(
                f"found {line.decode('ascii', 'replace').strip()!r} behind the records of all {self.n_atoms} ions",
                self.reader.line + 1,
            )
        return Augmentation(real, imaginary)

    def _peek_record(self) -> bytes | None:
        """The next line, over blank lines if a record follows them."""
        line = self.reader.peek()
        if line is not None and not line.strip():
            ahead = self.reader.buffer[self.reader.start : self.reader.stop].tobytes()[:4096].lstrip()
            if ahead.startswith(_RECORD):
                self._blank_lines()
                line = self.reader.peek()
        return line

    def _record(self, ion: int, part: bytes) -> NDArray[np.float64]:
        reader = self.reader
        line = self._peek_record()
        name = (_RECORD + part).decode()
        text = b"" if line is None else line.lstrip()
        tail = text[len(_RECORD + part) :]
        if not text.startswith(_RECORD + part) or (not part and tail.startswith(_IMAGINARY)):
            found = "the end of the file" if line is None else repr(line.decode("ascii", "replace").strip()[:40])
            raise reader.fail(
                f"found {found} where the record '{name}' of ion {ion} of {self.n_atoms} is wanted; the file was cut "
                "or edited",
                reader.line + 1,
            )
        reader.readline()
        index, count = _record_numbers(tail.rstrip())
        if count is None or (index is not None and index != ion):
            shown = text.decode("ascii", "replace").strip()
            raise reader.fail(f"found the record header {shown!r}; wanted '{name}', ion {ion} and the record's length")
        values = np.empty(count, np.float64)
        self._fill(values, f"the augmentation record of ion {ion}", RECORD_FIELDS)
        return values

    def _fill(self, values: NDArray[np.float64], what: str, known: Fields) -> None:
        """Read exactly ``values.size`` numbers from whole lines.

        known : fields (width, decimals) that programs print these numbers in, five to a line. Once a line of the file
        has shown such fields all must keep to them, because a number that has lost a digit is still a number.
        """
        from chgtools.kernels.numbers import BAD, DONE, POWERS, parse_fixed, parse_free

        reader = self.reader
        if values.size == 0:
            line = reader.peek()  # VASP prints an empty line for a record without numbers
            if line is not None and not line.strip():
                reader.readline()
            return
        if known not in self.fields:
            for line in reader.peek_lines(2):
                seen = _fields_of(line, known)
                if seen:
                    self.fields[known] = seen
                    break
        width, decimals = self.fields.get(known, (0, 0))
        done = 0
        while True:
            text, stop = reader.buffer[reader.start :], reader.stop - reader.start
            if width:
                used, done, lines, status = parse_fixed(text, stop, values, done, width, decimals, 5, 1.0, POWERS)
            else:
                used, done, lines, status = parse_free(text, stop, values, done, 1.0, POWERS, False)
            reader.consume(used, lines)
            if status == DONE:
                return
            if status == BAD or not reader.fill():
                line = reader.peek()
                found = "the end of the file" if line is None else repr(line.decode("ascii", "replace").strip()[:40])
                raise reader.fail(
                    f"found {found} where {what} goes on: {done} of {values.size} numbers were read; the file was cut "
                    "or edited: copy it again",
                    reader.line + 1,
                )

    def _moments(self, n_blocks: int) -> NDArray[np.float64] | None:
        """The line(s) of one moment per ion before a further block, if there."""
        reader = self.reader
        line = reader.peek() or b""
        if re.fullmatch(rb"\s*\d+\s+\d+\s+\d+\s*", line):
            return None
        shown = repr(line.decode("ascii", "replace").strip()[:40])
        numeric = re.fullmatch(rb"[\s\d.eEdD+*-]+", line) and b"." in line
        if not numeric:
            raise reader.fail(
                f"found {shown} behind block {n_blocks}; wanted augmentation records, moments of the "
                f"{self.n_atoms} ions, a grid line or the end of the file",
                reader.line + 1,
            )
        # a program that prints exponents prints VASP's fields; hand-written moments look like 0.6 or 5
        if re.search(rb"[eEdD]", line) and not _fields_of(line, MOMENT_FIELDS):
            raise reader.fail(
                f"numbers go on behind the {_product(self.shape)} of block {n_blocks}'s grid ({shown}), and they are "
                f"not the moments of the {self.n_atoms} ions (5E20.12)",
                reader.line + 1,
            )
        values = np.empty(self.n_atoms, np.float64)
        first = reader.line + 1
        try:
            self._fill(values, "the line of moments", MOMENT_FIELDS)
        except ChgtoolsError as error:
            raise reader.fail(
                f"numbers go on behind the {_product(self.shape)} of block {n_blocks}'s grid ({shown}), and they are "
                f"not the moments of the {self.n_atoms} ions with a grid line behind them",
                first,
            ) from error
        following = reader.peek()
        if following is None or not re.fullmatch(rb"\s*\d+\s+\d+\s+\d+\s*", following):
            found = "the end of the file" if following is None else repr(following.decode("ascii", "replace")[:40])
            raise reader.fail(
                f"numbers go on behind the {_product(self.shape)} of block {n_blocks}'s grid ({shown}): "
                f"no grid line follows them, but {found}",
                first,
            )
        return values

    def _check_blocks(
        self, blocks: list[NDArray[Any]], augmentation: list[Augmentation], moments: list[NDArray[np.float64]]
    ) -> None:
        fail = self.reader.fail
        if len(blocks) not in (1, 2, 4):
            raise fail(f"found {len(blocks)} blocks; VASP writes 1, 2 (ISPIN = 2) or 4 (non-collinear)")
        if augmentation and len(augmentation) != len(blocks):
            raise fail(
                f"found augmentation records behind {len(augmentation)} of {len(blocks)} blocks; wanted them behind "
                "all or none: the file was cut or edited"
            )
        if moments and len(moments) != len(blocks) - 1:
            raise fail(f"found moments before {len(moments)} of {len(blocks) - 1} further blocks; wanted all or none")
        if augmentation and len({a.imaginary is None for a in augmentation}) > 1:
            raise fail("found imaginary augmentation records behind some blocks only; the file was cut or edited")


def _product(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _fields_of(line: bytes, known: Fields) -> tuple[int, int] | None:
    """Which of the known fields (width, decimals) a line of up to five numbers with exponents is made of, or None."""
    text = line.rstrip()
    for width, decimals in known:
        fields = [text[i : i + width] for i in range(0, len(text), width)]
        number = rb" *[+-]?\d?\.\d{%d}(?:[EeDd][+-]\d\d|[+-]\d{3})" % decimals
        if 0 < len(fields) <= 5 and all(len(f) == width and re.fullmatch(number, f) for f in fields):
            return width, decimals
    return None


def _record_numbers(tail: bytes) -> tuple[int | None, int | None]:
    """(ion, length) from what follows "augmentation occupancies": 2I4, which may touch or overflow to stars."""
    for pieces in ([tail[-8:-4], tail[-4:]] if len(tail) == 8 else [], tail.split()):
        if len(pieces) == 2 and pieces[1].strip().isdigit():
            if pieces[0].strip().isdigit():
                return int(pieces[0]), int(pieces[1])
            if set(pieces[0].strip()) == set(b"*"):
                return None, int(pieces[1])
    return None, None


def write(data: VolumetricData, path: str | Path, kind: str | None = None) -> None:
    """Write a file of the CHGCAR family in VASP's layout; compressed by the suffix of ``path``.

    What was read from a file and not changed keeps that file's header and number fields, so that a file of VASP
    comes back byte for byte. ``kind`` changes the kind of file (a CHGCAR written as CHG loses its records).
    The file appears under its name only when it is complete.
    Raises ChgtoolsError for values that are not finite, and for records or moments that do not fit the structure.
    """
    kind = kind or data.kind
    if kind not in KINDS:
        raise SettingsError(f"unknown kind of file {kind!r}; wanted one of {', '.join(KINDS)}")
    if (kind in DENSITY_KINDS) != data.is_density:
        raise SettingsError(f"a {data.kind} cannot be written as {kind}: one is a density and the other is not")
    _check_records(data)
    with writing(path) as file:
        _write(data, kind, file)


def _check_records(data: VolumetricData) -> None:
    n_blocks, n_atoms = len(data.blocks), data.structure.n_atoms
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


def _write(data: VolumetricData, kind: str, file: IO[bytes]) -> None:
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
            file.write(_reals(data.moments[index - 1], 20, 12))
        file.write(grid_line + b"\n")
        form = plain
        if layout is not None and index < len(layout.blocks) and layout.blocks[index].number_format != "free":
            form = layout.blocks[index]
            if newline == b"\r\n":
                form = BlockLayout(form.number_format, form.columns, form.tail.replace(b"\r", b""))
        write_block(file, values, scale, form, f"the {names[index]} block")
        if with_records:
            records = data.augmentation[index]
            _write_records(file, _RECORD, records.real)
            if records.imaginary is not None:
                _write_records(file, _RECORD + _IMAGINARY, records.imaginary)
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
        file.write(_reals(values, 15, 7))


def _reals(values: NDArray[np.float64], width: int, digits: int) -> bytes:
    """5Ewidth.digits, with its newlines; an empty line for no values."""
    from chgtools.kernels.numbers import POWERS, format_e

    if len(values) == 0:
        return b"\n"
    text = np.empty(len(values) * (width + 1) + 16, np.uint8)
    used = format_e(np.ascontiguousarray(values, dtype=float), 1.0, 0, width, digits, 5, text, POWERS)
    if used < 0:
        raise ChgtoolsError(f"an augmentation occupancy or moment (number {-used}) is not finite; nothing was written")
    return text[:used].tobytes()


def header_text(structure: Structure) -> bytes:
    """Header of a CHGCAR up to the line before the grid line, as VASP 5.4 to 6.3 write it.

    Positions are wrapped to [0, 1): VASP compares them with the POSCAR's when ICHARG = 1.
    """
    lines = [f"{structure.comment:40.40s}", "   1.00000000000000     "]
    lines += [" " + "".join(f"{x:12.6f}" for x in row) for row in structure.lattice]
    if any(structure.species):
        lines.append("".join(f"   {name:<2.2s}" for name in structure.species))
    lines += ["".join(f"{count:6d}" for count in structure.counts), "Direct"]
    wrapped = np.round(structure.frac % 1.0, 6) % 1.0
    lines += ["".join(f"{x:10.6f}" for x in row) for row in wrapped]
    lines.append(" ")
    return ("\n".join(lines) + "\n").encode("ascii", "replace")
