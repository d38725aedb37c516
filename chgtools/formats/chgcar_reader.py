"""The sections of a file of the CHGCAR family, read in the order in which they come (see chgcar.py for a picture)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.formats import poscar
from chgtools.formats.chgcar_layout import IMAGINARY, MOMENT_FIELDS, RECORD, RECORD_FIELDS, Fields, Layout
from chgtools.formats.grid_block import BlockLayout, read_block
from chgtools.formats.streams import LineReader
from chgtools.volumetric import DENSITY_KINDS, Augmentation, VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure


def _shape(reader: LineReader, line: bytes) -> tuple[int, int, int]:
    tokens = line.split()
    if len(tokens) != 3 or not all(re.fullmatch(rb"\d{1,6}", token) for token in tokens):
        shown = line.decode("ascii", "replace").strip()[:60]
        raise reader.fail(f"found {shown!r} where the grid line (three integers NGXF NGYF NGZF) is wanted")
    shape = tuple(int(token) for token in tokens)
    if min(shape) < 1:
        raise reader.fail(f"found the grid {shape}; wanted three positive integers")
    return shape  # type: ignore[return-value]


def read_grid_line(reader: LineReader) -> tuple[tuple[int, int, int], bytes]:
    """(nx, ny, nz) and the text of the next grid line, over blank lines."""
    line = reader.readline()
    while line is not None and not line.strip():
        line = reader.readline()
    if line is None:
        raise reader.fail("the file ends before its grid line; it holds a structure and no data", reader.line + 1)
    return _shape(reader, line), line


class Parser:
    """The sections of one file, in the order in which they come."""

    def __init__(self, reader: LineReader, kind: str, dtype: Any) -> None:
        self.reader, self.kind, self.dtype = reader, kind, dtype
        self.fields: dict[Fields, tuple[int, int]] = {}

    def parse(self) -> VolumetricData:
        reader = self.reader
        structure, header = self._header()
        self.n_atoms = structure.n_atoms
        self.shape, grid_text = read_grid_line(reader)
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
            shape, _ = read_grid_line(reader)
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
        if line is None or not line.lstrip().startswith(RECORD):
            return None
        real = [self._record(ion, b"") for ion in range(1, self.n_atoms + 1)]
        line = self._peek_record()
        imaginary = None
        if line is not None and line.lstrip().startswith(RECORD + IMAGINARY):
            imaginary = [self._record(ion, IMAGINARY) for ion in range(1, self.n_atoms + 1)]
            line = self._peek_record()
        if line is not None and line.lstrip().startswith(RECORD):
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
            if ahead.startswith(RECORD):
                self._blank_lines()
                line = self.reader.peek()
        return line

    def _record(self, ion: int, part: bytes) -> NDArray[np.float64]:
        reader = self.reader
        line = self._peek_record()
        name = (RECORD + part).decode()
        text = b"" if line is None else line.lstrip()
        tail = text[len(RECORD + part) :]
        if not text.startswith(RECORD + part) or (not part and tail.startswith(IMAGINARY)):
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
        from chgtools.kernels.fields import POWERS
        from chgtools.kernels.parse import BAD, DONE, parse_fixed, parse_free

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
                f"{self.n_atoms} ions, a grid line or the end of the file"
                + (
                    " (a CHG of molecular dynamics holds many densities: cut it into files of one)"
                    * (self.kind == "CHG")
                ),
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
