"""Where a file of the CHGCAR family ends before its time: one count of its numbers and one sentence for each damage.

The reader raises these sentences, `chgtools check` reports them. A number counts when it is known to be whole: in
fixed fields when it fills its field, in a list when a blank or the line's end stands behind it. Fortran would read
``0.12345678901E+0`` too, cut from ``0.12345678901E+01``, and take another number than was written. A list whose last
number wanted is the file's last word is complete, because many programs leave out the last newline.
The line of a damage is the one in which the next number or section is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chgtools.formats.chgcar_layout import IMAGINARY, MOMENT_FORMS, RECORD, Form, Shape, is_grid_line
from chgtools.formats.list_directed import REAL

if TYPE_CHECKING:
    from chgtools.errors import FormatError
    from chgtools.formats.streams import LineReader

_BEGUN = re.compile(rb" *[+-]?\d*\.?\d*(?:[EeDd]?[+-]?\d*)?")  # a number, as far as it goes
_GRID_LINE = re.compile(rb"\s*\d{1,6}\s+\d{1,6}\s+\d{1,6}\s*")


@dataclass(frozen=True)
class Damage:
    """code : by which `chgtools check` knows it; found : the sentence; advice : how the reader's sentence goes on"""

    code: str
    line: int
    found: str
    advice: str = ""

    def error(self, reader: LineReader) -> FormatError:
        return reader.fail(self.found + self.advice, self.line)


def shown(line: bytes | None, length: int = 40) -> str:
    """A line for a message."""
    if line is None:
        return "the end of the file"
    text = line.decode("ascii", "replace").strip()
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def is_numbers(line: bytes) -> bool:
    """Whether a line consists of numbers a list-directed read accepts."""
    words = line.split()
    return bool(words) and all(REAL.fullmatch(word) for word in words)


def cut_line(reader: LineReader) -> bytes | None:
    """The next line if the file ends in it, without a newline; else None."""
    line = reader.peek()
    last = line is not None and reader.lacks_newline and reader.start + len(line) + 1 == reader.stop
    return line if last else None


def numbers_at_end(
    reader: LineReader, form: Form | None, done: int, wanted: int, integers: bool = False
) -> tuple[int, int] | None:
    """(whole numbers, line of the next) where the file ends among ``wanted`` numbers, None where it does not.

    form : fields of the numbers, None for a list; done : numbers in the lines that were read;
    integers : whether a list may end in a number without a point (elsewhere it is one that was cut)
    Nothing is consumed; only a last line that lacks numbers at its end counts as cut, not one with another damage.
    """
    if reader.peek() is None:
        cut = done > 0 and reader.lacks_newline and _ends_in_a_number(_line_before(reader), form)
        return done - cut, reader.line + (not cut)
    line = cut_line(reader)
    if line is None:
        return None
    if form is None:
        whole = _whole_words(line, wanted - done, integers)
    else:
        whole = form.whole(line, min(form.columns, wanted - done))
        rest = line[whole * form.width :].rstrip()
        if len(rest) >= form.width or not _BEGUN.fullmatch(rest):
            return None
    return None if whole is None or done + whole == wanted else (done + whole, reader.line + 1)


def _line_before(reader: LineReader) -> bytes:
    """The last line of a file that has been read to its end, as far as it is still in the window."""
    return reader.buffer[max(0, reader.start - 4096) : max(0, reader.start - 1)].tobytes().rpartition(b"\n")[2]


def _ends_in_a_number(line: bytes, form: Form | None) -> bool:
    """Whether a line without newline may have been cut in its last number: in a list, or a G field short of blanks."""
    if form is None:
        return not line[-1:].isspace()
    return form.width == 12 and -(-len(line.rstrip()) // 12) * 12 > len(line.rstrip(b"\r"))


def _whole_words(line: bytes, wanted: int, integers: bool) -> int | None:
    """Numbers of a list's last line that have something behind them; None if it holds what is none, or all wanted."""
    words = line.split()
    last = words.pop() if words and not line[-1:].isspace() else b""
    complete = REAL.fullmatch(last) is not None and len(words) + 1 >= wanted and (integers or b"." in last)
    if complete or not _BEGUN.fullmatch(last) or not all(REAL.fullmatch(word) for word in words):
        return None
    return len(words)


def parse_grid_line(line: bytes | None) -> Shape | str:
    """(nx, ny, nz), or what is wrong with the line (None: the file has ended) as the file's first grid line."""
    if line is None:
        return "the file ends before its grid line; it holds a structure and no data"
    if not _GRID_LINE.fullmatch(line):
        return f"found {shown(line, 60)} where the grid line (three integers NGXF NGYF NGZF) is wanted"
    nx, ny, nz = (int(word) for word in line.split())
    if min(nx, ny, nz) < 1:
        return f"found the grid {nx, ny, nz}; wanted three positive integers"
    return nx, ny, nz


def other_grid(line: int, block: int, shape: Shape, first: Shape) -> Damage:
    found = f"block {block} has the grid {shape}, the first block {first}"
    return Damage("grid-between", line, found, "; all must agree")


def room_behind(reader: LineReader) -> int:
    """How many numbers the rest of a file has room for, at most."""
    return reader.unread_size() // 2 + 1


def short_block(what: str, shape: Shape, grid_line: int, done: int, line: int, room: int | None) -> Damage:
    """A block that lacks numbers behind ``done`` of them, before ``line``.

    room : for so many numbers the file has room behind the grid line; None where it ends among them
    """
    n_points = shape[0] * shape[1] * shape[2]
    grid = " x ".join(str(n) for n in shape)
    if room is not None and n_points > room:
        return Damage(
            "short-block",
            grid_line,
            f"{what}'s grid {grid} needs {n_points} numbers, the rest of the file has room for {room} at most",
            "; the grid line is damaged or the file was cut short: copy it again",
        )
    return Damage(
        "short-block",
        line,
        f"{what} has {done} numbers, its {grid} grid (line {grid_line}) needs {n_points}",
        "; the file was cut short (full disk, killed job): copy it again, or rerun VASP with LCHARG = .TRUE.",
    )


def short_record(what: str, done: int, wanted: int, line: int, text: bytes | None) -> Damage:
    """A record, or another list, that lacks numbers; text : what stands there instead, None at the file's end."""
    return Damage(
        "record-values",
        line,
        f"found {shown(text)} where {what} goes on: {done} of {wanted} numbers were read",
        "; the file was cut or edited: copy it again",
    )


def record_of(ion: int) -> str:
    return f"the augmentation record of ion {ion}"


def no_record(reader: LineReader, ion: int, n_atoms: int, part: bytes) -> Damage:
    """Something else, or the end, where the header of a record is wanted."""
    name, line = (RECORD + part).decode(), reader.peek()
    found = f"found {shown(line)} where the record '{name}' of ion {ion} of {n_atoms} is wanted"
    return Damage("record-missing", reader.line + 1, found, "; the file was cut or edited")


def bad_record_header(line: int, text: bytes, ion: int, part: bytes) -> Damage:
    name = (RECORD + part).decode()
    found = f"found the record header {shown(text, 60)}; wanted '{name}', ion {ion} and the record's length"
    return Damage("record-header", line, found)


def header_is_cut(reader: LineReader) -> bool:
    """Whether the file ends within the title of a record."""
    text = (cut_line(reader) or b"").strip()
    return bool(text) and (RECORD + IMAGINARY).startswith(text)


def cut_between(reader: LineReader, shape: Shape, n_atoms: int, block: int, has_records: bool) -> Damage | None:
    """What is cut where the file ends between the sections behind ``block`` (counted from 1); None if nothing is.

    That is a record's title, the moments, or the grid line behind them. Nothing is consumed.
    """
    if header_is_cut(reader):
        return no_record(reader, 1, n_atoms, IMAGINARY if has_records else b"")
    rest = _rest(reader, 24 * n_atoms + 256)
    if rest is None or not rest.strip():
        return None
    *lines, last = rest.split(b"\n")
    at = reader.line + 1 + len(lines)
    in_fields = all(MOMENT_FORMS[0].holds(line) for line in lines)
    if not in_fields and not (has_records and all(is_numbers(line) for line in lines)):
        return None
    count = sum(len(line.split()) for line in lines)
    if count in (0, n_atoms) and last.strip() and _begins_grid_line(last, shape):
        return Damage("grid-between", at, f"found {shown(last)} where the grid line of block {block + 1} is wanted")
    whole = _moments_begun(last, n_atoms - count, in_fields, has_records)
    if whole is None:
        return None
    count += whole
    if count == n_atoms:
        found = f"found the end of the file where the grid line of block {block + 1} is wanted"
        return Damage("block-count", at, found, f", behind the moments of {n_atoms} ions; the file was cut")
    found = short_record(f"the line of moments before block {block + 1}", count, n_atoms, at, None).found
    return Damage("block-count", at, found, "; the file was cut")


def _moments_begun(last: bytes, wanted: int, in_fields: bool, as_list: bool) -> int | None:
    """Whole moments in a file's last line (empty behind a newline), None where it holds something else or too many.

    as_list : whether moments in other fields than VASP's may be meant, because records stand before them
    """
    form = MOMENT_FORMS[0]
    whole = form.whole(last, 5)
    begun = last[whole * form.width :].rstrip()
    if in_fields and len(begun) < form.width and re.fullmatch(rb"(?: %s)?" % _BEGUN.pattern, begun):
        return None if whole > wanted or (whole == wanted and begun) else whole
    if not last.strip():
        return 0 if wanted == 0 else None
    words = len(last.split())
    if not as_list or words > wanted:
        return None
    return words if words == wanted and is_numbers(last) else _whole_words(last, wanted, True)


def _rest(reader: LineReader, most: int) -> bytes | None:
    """The bytes up to the end of the file, None if they are more than ``most``."""
    while reader.stop - reader.start <= most and reader.fill():
        pass
    if reader.stop - reader.start > most:
        return None
    return reader.buffer[reader.start : reader.stop - reader.lacks_newline].tobytes()


def _begins_grid_line(line: bytes, shape: Shape) -> bool:
    """Whether a line is a grid line whose end is missing."""
    words, grid = line.split(), [str(n).encode() for n in shape]
    begun = 0 < len(words) <= 3 and words[:-1] == grid[: len(words) - 1] and grid[len(words) - 1].startswith(words[-1])
    return begun and not is_grid_line(line, shape)


def wrong_count(line: int, n_blocks: int) -> Damage | None:
    if n_blocks in (1, 2, 4):
        return None
    return Damage("block-count", line, f"found {n_blocks} blocks; VASP writes 1, 2 (ISPIN = 2) or 4 (non-collinear)")


def some_without(line: int, present: Sequence[bool], kind: str = "") -> Damage | None:
    """Records, of a kind ("": ordinary ones, "imaginary "), behind some blocks and not behind others."""
    if all(present) or not any(present):
        return None
    without = ", ".join(str(block) for block, there in enumerate(present, 1) if not there)
    return Damage(
        "imaginary-missing" if kind else "record-missing",
        line,
        f"found {kind}augmentation records behind {sum(present)} of {len(present)} blocks, none behind block {without}",
        "; wanted them behind all or none: the file was cut or edited",
    )
