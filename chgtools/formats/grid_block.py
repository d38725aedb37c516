"""One block of grid numbers as text: the fields VASP prints, read back and printed again.

VASP prints ``5(1X,E17.11)`` (CHGCAR, AECCAR, LOCPOT) or ``10(1X,G11.5)`` (CHG, PARCHG, ELFCAR). A block whose first
lines look so is held to its columns: every number must stand in its field, because a number that has lost a digit
is still a number. Anything else is read as a list, by count.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats.streams import MARGIN, LineReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

_E_FIELD = rb"(?: [ 0-]\.\d{11}(?:E[+-]\d\d|[+-]\d{3}))"
_E_LINE = re.compile(_E_FIELD + rb"{1,5}\s*")
_G_FIELD = re.compile(rb" {1,7}-?\d*\.\d*(?: {4}|E[+-]\d\d|[+-]\d{3})")
PARALLEL_FROM = 500_000  # numbers: below, starting a second thread costs more than it saves
CHUNK_LINES = 40_000


@dataclass(frozen=True)
class BlockLayout:
    """How the numbers of a block were printed.

    number_format : "E" (1X,E17.11), "G" (1X,G11.5) or "free"
    columns : numbers to a line
    tail : what stands between the last number and the next section
    """

    number_format: str
    columns: int
    tail: bytes

    @property
    def width(self) -> int:
        return 12 if self.number_format == "G" else 18


def vasp_layout(kind: str, n_points: int) -> BlockLayout:
    """The layout VASP uses for a kind of file; a last line that is not full ends in two blanks."""
    if kind in ("CHG", "PARCHG", "ELFCAR"):
        return BlockLayout("G", 10, b"\n" if n_points % 10 == 0 else b"  \n")
    return BlockLayout("E", 5, b"\n" if n_points % 5 == 0 else b"  \n")


def _detect(reader: LineReader) -> tuple[str, int]:
    """Number format and columns from the first two lines of a block (two, so that one may be damaged)."""
    first, second = (*reader.peek_lines(2), b"", b"")[:2]
    for line in (first, second):
        if _E_LINE.fullmatch(line):
            return "E", len(line.rstrip()) // 18 if line is first else 5
        if _is_g_line(line):
            return "G", -(-len(line.rstrip()) // 12) if line is first else 10
    return "free", len(first.split())


def _is_g_line(line: bytes) -> bool:
    """Whether a line is up to ten fields of 1X,G11.5; blanks at its end may be missing."""
    text = line.rstrip()
    count = -(-len(text) // 12)
    padded = text.ljust(count * 12)
    return 0 < count <= 10 and all(_G_FIELD.fullmatch(padded, i * 12, i * 12 + 12) for i in range(count))


def read_block(
    reader: LineReader, shape: tuple[int, int, int], scale: float, dtype: Any, grid_line: int, what: str
) -> tuple[NDArray[Any], str, int, bytes]:
    """The numbers of one block, each multiplied by ``scale``.

    reader : stands behind the grid line, whose number in the file is ``grid_line``
    what : the block's name for messages, such as "the total density"
    Returns the (nx, ny, nz) Fortran-order array, the number format, the columns and the text between the last
    number and its newline. Raises FormatError for a block that is short, overfull, garbled or not finite.
    """
    from chgtools.kernels import fields
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.parse import BAD, DONE, parse_fixed, parse_free

    n_points = shape[0] * shape[1] * shape[2]
    if n_points > reader.unread_size() // 2 + 1:
        raise reader.fail(
            f"{what}'s grid {_grid(shape)} needs {n_points} numbers, the rest of the file has room for "
            f"{reader.unread_size() // 2} at most; the grid line is damaged or the file was cut short: copy it again",
            grid_line,
        )
    try:
        values = np.empty(n_points, dtype)
    except MemoryError as error:
        gigabytes = n_points * np.dtype(dtype).itemsize / 1e9
        raise reader.fail(f"{what}'s grid {_grid(shape)} needs {gigabytes:.1f} GB of memory", grid_line) from error
    number_format, columns = _detect(reader)
    columns = max(columns, 1)
    width, digits = fields.E_WIDTH, fields.E_DIGITS
    if number_format == "G":
        width, digits = fields.G_WIDTH, fields.G_DIGITS
    done = 0
    if number_format == "E" and columns == 5 and reader.compression is None and n_points >= PARALLEL_FROM:
        done = _read_two_threads(reader, values, scale)
    allow_integers = False
    last_line = b""
    while True:
        text, stop = reader.buffer[reader.start :], reader.stop - reader.start
        if number_format == "free":
            used, done, lines, status = parse_free(text, stop, values, done, scale, POWERS, allow_integers)
        else:
            used, done, lines, status = parse_fixed(text, stop, values, done, width, digits, columns, scale, POWERS)
        if status == DONE:
            last_line = _last_line(text, used)
            reader.consume(used, lines)
            break
        reader.consume(used, lines)
        if status == BAD:
            line = reader.peek() or b""
            if number_format == "free" and not allow_integers and _only_integers_new(line, shape):
                allow_integers = True
                continue
            raise _explain(reader, line, shape, done, grid_line, what, columns, number_format)
        if not reader.fill():
            raise _short(reader, shape, done, grid_line, what)
    in_last = n_points - (n_points - 1) // columns * columns
    tail = b"" if number_format == "free" else last_line.rstrip(b"\n")[in_last * width :]
    return values.reshape(shape, order="F"), number_format, columns, tail


def _last_line(text: NDArray[np.uint8], used: int) -> bytes:
    tail = text[max(0, used - 400) : used].tobytes()
    return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]


def _read_two_threads(reader: LineReader, values: NDArray[Any], scale: float) -> int:
    """Parse the full 91-byte lines of a plain file in two halves at once.

    Returns how many numbers were read, with the reader behind them: all full lines, or 0 with the reader left where it
    was when any line differs from VASP's layout (the sequential reader then finds out where and why).
    """
    from chgtools.kernels.fields import E_DIGITS, E_WIDTH, POWERS
    from chgtools.kernels.parse import DONE, parse_fixed

    n_lines = values.size // 5
    begin = reader.position

    def half(first: int, last: int) -> bool:
        buffer = np.empty(CHUNK_LINES * 91 + MARGIN, np.uint8)
        with open(reader.path, "rb", buffering=0) as file:
            for line in range(first, last, CHUNK_LINES):
                lines = min(CHUNK_LINES, last - line)
                file.seek(begin + line * 91)
                wanted, got = lines * 91, 0
                while got < wanted:
                    count = file.readinto(memoryview(buffer)[got:wanted])
                    if not count:
                        return False
                    got += count
                part = values[line * 5 : (line + lines) * 5]
                used, _, parsed, status = parse_fixed(buffer, wanted, part, 0, E_WIDTH, E_DIGITS, 5, scale, POWERS)
                if status != DONE or parsed != lines or used != wanted:
                    return False
        return True

    if os.path.getsize(reader.path) < begin + n_lines * 91:
        return 0
    middle = n_lines // 2
    with ThreadPoolExecutor(2) as pool:
        good = list(pool.map(half, (0, middle), (middle, n_lines)))
    if not all(good):
        return 0
    reader.seek(begin + n_lines * 91, n_lines)
    return n_lines * 5


def _grid(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(n) for n in shape)


def _is_grid_line(line: bytes, shape: tuple[int, int, int]) -> bool:
    return line.split() == [str(n).encode() for n in shape]


def _only_integers_new(line: bytes, shape: tuple[int, int, int]) -> bool:
    """Whether a refused line is numbers after all, some without a decimal point, and not the next grid line."""
    if _is_grid_line(line, shape):
        return False
    return bool(re.fullmatch(rb"[\s\d.eEdD+-]+", line)) and bool(re.search(rb"(?:^|\s)[+-]?\d+(?:\s|$)", line))


def _short(reader: LineReader, shape: tuple[int, int, int], done: int, grid_line: int, what: str) -> FormatError:
    n_points = shape[0] * shape[1] * shape[2]
    return reader.fail(
        f"{what} has {done} numbers, its {_grid(shape)} grid (line {grid_line}) needs {n_points}; the file was cut "
        "short (full disk, killed job): copy it again, or rerun VASP with LCHARG = .TRUE.",
        reader.line + 1,
    )


def _explain(
    reader: LineReader,
    line: bytes,
    shape: tuple[int, int, int],
    done: int,
    grid_line: int,
    what: str,
    columns: int,
    number_format: str,
) -> FormatError:
    """Why a parse kernel stopped before ``line``."""
    n_points = shape[0] * shape[1] * shape[2]
    at = reader.line + 1
    shown = repr(line.decode("ascii", "replace").strip()[:40])
    lower = line.lower()
    if b"*" in line:
        return reader.fail(f"{what} holds a number too large for its field, printed as stars ({shown}); it cannot be "
                           "restored: rerun VASP", at)  # fmt: skip
    if b"nan" in lower or b"inf" in lower:
        return reader.fail(f"{what} holds a value that is no finite number ({shown}); rerun the calculation", at)
    at_end = reader.lacks_newline and reader.start + len(line) + 1 == reader.stop
    if b"augmentation" in lower or _is_grid_line(line, shape) or not line.strip() or at_end:
        return _short(reader, shape, done, grid_line, what)
    wanted = min(columns, n_points - done)
    if number_format != "free":
        field = "1X,G11.5" if number_format == "G" else "1X,E17.11"
        return reader.fail(
            f"found {shown} ({len(line.rstrip())} characters) where {what} goes on with {wanted} "
            f"number{'s' * (wanted > 1)} in VASP's fields ({field}); {done} of {n_points} were read. The line was "
            "damaged or edited: copy the file again",
            at,
        )
    if re.fullmatch(rb"[\s\d.eEdD+-]+", line):
        return reader.fail(f"{what} goes on behind the {n_points} numbers of its {_grid(shape)} grid (line "
                           f"{grid_line}), or holds a garbled one: found {shown}", at)  # fmt: skip
    return reader.fail(f"found {shown} where {what} goes on; {done} of {n_points} numbers were read. "
                       "The line was damaged: copy the file again", at)  # fmt: skip


def write_block(file: IO[bytes], values: NDArray[Any], scale: float, layout: BlockLayout, what: str) -> None:
    """Print a block, every value multiplied by ``scale``; one thread formats while the other writes.

    values : (nx, ny, nz); written x fastest. Raises ChgtoolsError for a value that is not finite.
    """
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.printing import EXPONENTS, format_e17, format_g

    flat = values.reshape(-1, order="F")
    lines = CHUNK_LINES // 2
    size = lines * layout.columns
    room = lines * (layout.columns * layout.width + 1) + MARGIN
    buffers = [np.empty(room, np.uint8) for _ in range(2)]

    def text(index: int) -> memoryview:
        part = flat[index * size : (index + 1) * size]
        buffer = buffers[index % 2]
        if layout.number_format == "G":
            used = format_g(part, scale, layout.columns, buffer, POWERS)
        else:
            used = format_e17(part, scale, layout.columns, buffer, POWERS, EXPONENTS)
        if used < 0:
            i, j, k = np.unravel_index(index * size - used - 1, values.shape, order="F")
            raise ChgtoolsError(f"{what} is not finite at grid point ({i}, {j}, {k}); nothing was written")
        return memoryview(buffer)[:used]

    n_chunks = -(-flat.size // size)
    if n_chunks == 1:
        file.write(text(0)[:-1])
    else:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(text, 0)
            for index in range(n_chunks):
                ready = coming.result()
                if index + 1 < n_chunks:
                    coming = pool.submit(text, index + 1)
                file.write(ready if index + 1 < n_chunks else ready[:-1])
    file.write(layout.tail)
