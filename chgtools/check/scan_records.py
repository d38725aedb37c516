"""The augmentation records behind one block, each held to the columns VASP reads: A24,2I4."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from chgtools.check.number_list import Report, read_list
from chgtools.check.walk import Edit, Walk
from chgtools.formats.chgcar_end import (
    bad_record_header,
    header_is_cut,
    is_numbers,
    no_record,
    record_of,
    short_record,
    shown,
)
from chgtools.formats.chgcar_layout import IMAGINARY, RECORD, RECORD_FORMS, Form, first_form, record_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LENGTH = 100_000  # of a record; more is damage
LAST_INDEX = 9999  # that fits I4


@dataclass
class Records:
    """Records of one block and part, by ion from 1; lines : of their headers; form : fields of their numbers."""

    values: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    lines: dict[int, int] = field(default_factory=dict)


def is_record(line: bytes | None) -> bool:
    return line is not None and line.lstrip().startswith(RECORD)


def is_imaginary(line: bytes | None) -> bool:
    return line is not None and line.lstrip().startswith(RECORD + IMAGINARY)


def columns(line: bytes, title: bytes) -> tuple[int, int] | None:
    """The two numbers that Fortran's 2I4 reads behind a title (blanks count nothing), None where it fails."""
    if not line.startswith(title):
        return None
    texts = [line[len(title) + i : len(title) + i + 4].rstrip(b"\r").replace(b" ", b"") for i in (0, 4)]
    if not all(text.isdigit() or not text for text in texts):
        return None
    return int(texts[0] or 0), int(texts[1] or 0)


@dataclass
class _Piece:
    """One record as it stands in the file: its part, its ion, and its bytes."""

    part: bytes
    ion: int
    begin: int
    end: int


def scan_records(walk: Walk, n_atoms: int, form: Form | None) -> tuple[Records, Records, Form | None]:
    """Read the records behind a block, ordinary and imaginary; the reader is left behind the last one.

    form : fields that earlier records have shown. Returns ordinary records, imaginary ones, and fields.
    """
    parts = {b"": Records(), IMAGINARY: Records()}
    expected = {b"": 1, IMAGINARY: 1}
    pieces: list[_Piece] = []
    while is_record(line := _next_header(walk, len(pieces) % n_atoms != 0)) and not header_is_cut(walk.reader):
        part = IMAGINARY if is_imaginary(line) else b""
        begin = walk.position
        ion, form = _scan_record(walk, expected[part], n_atoms, part, parts[part], form)
        pieces.append(_Piece(part, ion, begin, walk.position))
        if ion == expected[part]:
            expected[part] += 1
        elif expected[part] < ion <= n_atoms:
            _missing(walk, expected[part], ion - 1, part)
            expected[part] = ion + 1
    short = [part for part, following in expected.items() if following <= n_atoms and parts[part].values]
    for part in short:
        walk.meet(no_record(walk.reader, expected[part], n_atoms, part))
    if short and header_is_cut(walk.reader):
        walk.reader.readline()
    _order(walk, pieces, n_atoms)
    return parts[b""], parts[IMAGINARY], form


def _order(walk: Walk, pieces: list[_Piece], n_atoms: int) -> None:
    """Imaginary records must stand behind the ordinary ones of all ions (pymatgen writes both ion by ion)."""
    sorted_pieces = sorted(pieces, key=lambda piece: piece.part)
    if sorted_pieces == pieces:
        return
    found = "an imaginary record before the ordinary records of all ions; wanted it behind them"
    line = walk.reader.line
    ions = list(range(1, n_atoms + 1))
    if [piece.ion for piece in sorted_pieces] != ions + ions:
        walk.report("record-order", line, found)
        return
    order = tuple((piece.begin, piece.end) for piece in sorted_pieces)
    walk.fixable("record-order", line, found, Edit(pieces[0].begin, pieces[-1].end, b"", "record-order", order=order))


def _missing(walk: Walk, first: int, last: int, part: bytes) -> None:
    ions = f"ion {first}" if first == last else f"ions {first} to {last}"
    kind = "imaginary record" if part else "record"
    walk.report("record-missing", walk.reader.line + 1, f"block {walk.block + 1} has no {kind} of {ions}")


def _next_header(walk: Walk, inside: bool) -> bytes | None:
    """The next line, over blank lines if a record stands behind them, and over surplus numbers.

    inside : whether more records are to come, so that numbers cannot be moments
    """
    reader = walk.reader
    while True:
        line = reader.peek()
        if line is None or is_record(line):
            return line
        if not line.strip():
            ahead = reader.peek_lines(64)
            following = next((text for text in ahead if text.strip()), b"")
            if not is_record(following):
                return line
            walk.skip_blank_lines("blank-line", "a blank line where the header of an augmentation record is wanted")
        elif inside and is_numbers(line):
            _, number, _, _ = walk.take_line()
            walk.report("record-values", number, f"numbers go on behind a record: {shown(line)}")
        else:
            return line


def _scan_record(
    walk: Walk, expected: int, n_atoms: int, part: bytes, records: Records, form: Form | None
) -> tuple[int, Form | None]:
    """One record; returns the ion it is of, and the fields of its numbers."""
    title = RECORD + part
    line, number, begin, end = walk.take_line()
    index, count = record_numbers(line.strip()[len(title) :].rstrip())
    if count is None or count > MAX_LENGTH:
        walk.meet(bad_record_header(number, line, expected, part))
        _skip_numbers(walk)
        return expected, form
    ion = expected if index is None and expected > LAST_INDEX else index or 0
    if ion != expected:
        wanted = (
            f"the record of ion {expected} of {n_atoms}" if expected <= n_atoms else f"no more than {n_atoms} records"
        )
        walk.report("record-order", number, f"found {shown(line)}; wanted {wanted}")
    values, good, form = _scan_values(walk, ion, count, form)
    if ion not in records.values:
        records.values[ion], records.lines[ion] = values, number
    printed = title + (b"%4d" % ion if ion <= LAST_INDEX else b"****") + b"%4d" % count
    if line.rstrip() == printed:
        return ion, form
    if ion > LAST_INDEX or columns(line, title) != (ion, count):
        found = f"found {shown(line)}; wanted {printed.decode()!r}"
        read = columns(line, title)
        if read:
            found += f": by columns it says ion {read[0]}, {read[1]} numbers"
        if good and ion == expected:
            newline = b"\r\n" if line.endswith(b"\r") else b"\n"
            walk.fixable("record-header", number, found, Edit(begin, end, printed + newline, "record-header"))
        else:
            walk.report("record-header", number, found)
    return ion, form


def _scan_values(walk: Walk, ion: int, count: int, form: Form | None) -> tuple[NDArray[np.float64], bool, Form | None]:
    """The numbers of a record, whether they are as they should be, and their fields."""
    reader = walk.reader
    if count == 0:
        line = reader.peek()  # VASP prints an empty line, and reads one
        if line is not None and not line.strip():
            reader.readline()
        else:
            walk.report(
                "record-values",
                reader.line + 1,
                f"the record of ion {ion} has no numbers; VASP reads a line all the same",
            )
        return np.empty(0), True, form
    if form is None:
        form = first_form(reader.peek_lines(2), RECORD_FORMS)
    values = np.empty(count)
    before = len(walk.troubles)
    done, end = read_list(reader, values, form, _ends, _reporter(walk, ion))
    good = all(trouble.code in ("stray-blank-line", "layout") for trouble in walk.troubles[before:])
    if done < count:
        walk.meet(short_record(record_of(ion), done, count, end or reader.line + 1, reader.peek()))
        good = False
    return values[:done], good, form


def _ends(line: bytes) -> bool:
    words = line.split()
    return b"augmentation" in line.lower() or (len(words) == 3 and all(word.isdigit() for word in words))


def _reporter(walk: Walk, ion: int) -> Report:
    """Troubles among a record's numbers, under the code of records."""

    def report(code: str, line: int, found: str) -> None:
        if code == "stray-blank-line":
            begin = walk.position
            end = begin + len(walk.reader.peek() or b"") + 1
            walk.fixable(code, line, "among the numbers of a record", Edit(begin, end, b"", code))
            return
        if code == "layout":
            walk.report(code, line, f"the record of ion {ion} has {found}")
            return
        what = {
            "damaged-number": "no number",
            "not-finite": "no finite number",
            "number-field": "a number that has lost or gained characters",
            "surplus-numbers": "more numbers than its header says",
        }[code]
        walk.report("record-values", line, f"the record of ion {ion} holds {what}: {found}")

    return report


def _skip_numbers(walk: Walk) -> None:
    """Step over the numbers of a record whose length is not known."""
    while (line := walk.reader.peek()) is not None and not _ends(line) and is_numbers(line):
        walk.reader.readline()
