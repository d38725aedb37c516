"""The sections of a file of the CHGCAR family, read in the order in which they come (see chgcar.py for a picture)."""

from __future__ import annotations

import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, ChgtoolsError
from chgtools.formats import poscar
from chgtools.formats.chgcar_end import (
    Damage,
    bad_record_header,
    cut_between,
    header_is_cut,
    no_record,
    numbers_at_end,
    other_grid,
    parse_grid_line,
    record_of,
    short_record,
    some_without,
    wrong_count,
)
from chgtools.formats.chgcar_layout import (
    IMAGINARY,
    MOMENT_FORMS,
    RECORD,
    RECORD_FORMS,
    BlockLayout,
    Form,
    Layout,
    Shape,
    first_form,
    form_of,
    record_numbers,
)
from chgtools.formats.grid_block import read_block
from chgtools.formats.list_directed import real, words_of
from chgtools.formats.streams import LineReader
from chgtools.volumetric import DENSITY_KINDS, Augmentation, VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure


def read_grid_line(reader: LineReader) -> tuple[Shape, bytes]:
    """(nx, ny, nz) and the text of the next grid line, over blank lines."""
    line = reader.readline()
    while line is not None and not line.strip():
        line = reader.readline()
    shape = parse_grid_line(line)
    if line is None or isinstance(shape, str):
        raise reader.fail(str(shape), reader.line + (line is None))
    return shape, line


def _out_of_columns(reader: LineReader, form: Form | None, wanted: int) -> list[float]:
    """The numbers of the next line, where it is a full one that has left its columns and lost nothing; else [].

    Moments, which have more digits, are none of a record that has lost its last line before them.
    """
    line = reader.peek()
    if line is None or form is None or not form.holds_whole_numbers(line):
        return []
    if form not in MOMENT_FORMS and any(moments.holds_whole_numbers(line) for moments in MOMENT_FORMS):
        return []
    numbers = [real(word) for word in words_of(line, wanted)]
    good = [number for number in numbers if number is not None and math.isfinite(number)]
    full = len(numbers) == wanted or (len(numbers) < wanted and len(numbers) == form.columns)
    return good if full and len(good) == len(numbers) else []


def _note_padding(reader: LineReader, count: int) -> None:
    zeros = "a zero" if count == 1 else f"{count} zeros"
    found = f"the last line of a block is filled up with {zeros}, as chgsum.pl does; left out"
    warnings.warn(AssumptionWarning(f"{reader.path}: {found}"), stacklevel=4)


class Parser:
    """The sections of one file, in the order in which they come."""

    def __init__(self, reader: LineReader, kind: str, dtype: Any) -> None:
        self.reader, self.kind, self.dtype = reader, kind, dtype
        self.forms: dict[tuple[Form, ...], Form] = {}

    def parse(self) -> VolumetricData:
        reader = self.reader
        structure, header = self._header()
        self.n_atoms = structure.n_atoms
        self.shape, grid_text = read_grid_line(reader)
        self.n_points = self.shape[0] * self.shape[1] * self.shape[2]
        scale = 1.0 / structure.volume if self.kind in DENSITY_KINDS else 1.0
        blocks: list[NDArray[Any]] = []
        layouts: list[BlockLayout] = []
        moments: list[NDArray[np.float64]] = []
        augmentation: list[Augmentation | None] = []
        trailing = b""
        padding = 0
        while True:
            what = f"block {len(blocks) + 1}"
            block = read_block(reader, self.shape, scale, self.dtype, reader.line, what)
            blocks.append(block.values)
            padding = padding or block.padding
            blank = self._blank_lines()
            self._refuse(cut_between(reader, self.shape, self.n_atoms, len(blocks), False))
            augmentation.append(self._records())
            trailing = b"" if augmentation[-1] is None else self._blank_lines()
            self._refuse(cut_between(reader, self.shape, self.n_atoms, len(blocks), augmentation[-1] is not None))
            layouts.append(BlockLayout(block.number_format, block.columns, block.tail + b"\n" + blank))
            if reader.peek() is None:
                break
            moment = self._moments(len(blocks))
            if moment is not None:
                moments.append(moment)
            shape, _ = read_grid_line(reader)
            if shape != self.shape:
                raise other_grid(reader.line, len(blocks) + 1, shape, self.shape).error(reader)
        self._check_blocks(len(blocks), augmentation, len(moments))
        if padding:
            _note_padding(reader, padding)
        records = [each for each in augmentation if each is not None]
        if reader.lacks_newline:
            trailing = trailing[:-1] if trailing else trailing
            last = layouts[-1]
            if not records and not trailing:
                layouts[-1] = BlockLayout(last.number_format, last.columns, last.tail[:-1])
        newline = b"\r\n" if header.endswith(b"\r\n") else b"\n"
        layout = Layout(structure, self.shape, header, grid_text.rstrip(b"\r"), tuple(layouts), newline, trailing)
        return VolumetricData(self.kind, structure, blocks, records, moments, layout=layout, source=str(reader.path))

    def _refuse(self, damage: Damage | None) -> None:
        if damage is not None:
            raise damage.error(self.reader)

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
        if line is not None and line.lstrip().startswith(RECORD) and not header_is_cut(self.reader):
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
        text = b"" if line is None else line.lstrip()
        tail = text[len(RECORD + part) :]
        other = not text.startswith(RECORD + part) or (not part and tail.startswith(IMAGINARY))
        if other or header_is_cut(reader):
            raise no_record(reader, ion, self.n_atoms, part).error(reader)
        reader.readline()
        index, count = record_numbers(tail.rstrip())
        if count is None or (index is not None and index != ion):
            raise bad_record_header(reader.line, text, ion, part).error(reader)
        values = np.empty(count, np.float64)
        self._fill(values, record_of(ion), RECORD_FORMS)
        return values

    def _fill(self, values: NDArray[np.float64], what: str, known: tuple[Form, ...]) -> None:
        """Read exactly ``values.size`` numbers from whole lines.

        known : fields that programs print these numbers in, five to a line. Once a line of the file has shown such
        fields every number must have all their digits, because one that has lost a digit is still a number; where it
        stands in its line is free, as VASP reads a list.
        """
        from chgtools.kernels.fields import POWERS
        from chgtools.kernels.parse import BAD, DONE, parse_fixed, parse_free

        reader = self.reader
        if values.size == 0:
            line = reader.peek()  # VASP prints an empty line for a record without numbers
            if line is not None and not line.strip():
                reader.readline()
            return
        if known not in self.forms:
            seen = first_form(reader.peek_lines(2), known)
            if seen is not None:
                self.forms[known] = seen
        form = self.forms.get(known)
        done = 0
        while True:
            text, stop = reader.buffer[reader.start :], reader.stop - reader.start
            if form is not None:
                used, done, lines, status = parse_fixed(
                    text, stop, values, done, form.width, form.decimals, form.columns, 1.0, POWERS
                )
            else:
                used, done, lines, status = parse_free(text, stop, values, done, 1.0, POWERS, False)
            reader.consume(used, lines)
            if status == DONE:
                return
            numbers = _out_of_columns(reader, form, values.size - done) if status == BAD else []
            if numbers:
                values[done : done + len(numbers)] = numbers
                done += len(numbers)
                reader.readline()
                if done == values.size:
                    return
            elif status == BAD or not reader.fill():
                end = numbers_at_end(reader, form, done, values.size)
                done, at = end or (done, reader.line + 1)
                raise short_record(what, done, values.size, at, None if end else reader.peek()).error(reader)

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
        vasp = form_of(line, MOMENT_FORMS) or MOMENT_FORMS[0].holds_whole_numbers(line)
        if re.search(rb"[eEdD]", line) and not vasp:
            raise reader.fail(
                f"numbers go on behind the {self.n_points} of block {n_blocks}'s grid ({shown}), and they are "
                f"not the moments of the {self.n_atoms} ions (5E20.12)",
                reader.line + 1,
            )
        values = np.empty(self.n_atoms, np.float64)
        first = reader.line + 1
        try:
            self._fill(values, "the line of moments", MOMENT_FORMS)
        except ChgtoolsError as error:
            raise reader.fail(
                f"numbers go on behind the {self.n_points} of block {n_blocks}'s grid ({shown}), and they are "
                f"not the moments of the {self.n_atoms} ions with a grid line behind them",
                first,
            ) from error
        following = reader.peek()
        if following is None or not re.fullmatch(rb"\s*\d+\s+\d+\s+\d+\s*", following):
            found = "the end of the file" if following is None else repr(following.decode("ascii", "replace")[:40])
            raise reader.fail(
                f"numbers go on behind the {self.n_points} of block {n_blocks}'s grid ({shown}): "
                f"no grid line follows them, but {found}",
                first,
            )
        return values

    def _check_blocks(self, n_blocks: int, augmentation: list[Augmentation | None], n_moments: int) -> None:
        line = self.reader.line
        self._refuse(wrong_count(line, n_blocks))
        self._refuse(some_without(line, [each is not None for each in augmentation]))
        if n_moments and n_moments != n_blocks - 1:
            raise self.reader.fail(
                f"found moments before {n_moments} of {n_blocks - 1} further blocks; wanted all or none"
            )
        with_imaginary = [each is not None and each.imaginary is not None for each in augmentation]
        self._refuse(some_without(line, with_imaginary, "imaginary "))
