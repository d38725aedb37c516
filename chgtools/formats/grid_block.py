"""One block of grid numbers as text: the fields VASP prints, read back and printed again.

VASP prints ``5(1X,E17.11)`` (CHGCAR, AECCAR, LOCPOT) or ``10(1X,G11.5)`` (CHG, PARCHG, ELFCAR). A block whose first
lines look so is held to its columns: every number must stand in its field, because a number that has lost a digit
is still a number. A line that leaves its columns with all digits there (a compiler that printed 10.0000, a blank more
or less) is read as a list, and so is a block of any other layout, by count.
"""

from __future__ import annotations

import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats.chgcar_end import cut_line, numbers_at_end, room_behind, short_block
from chgtools.formats.chgcar_layout import BlockLayout, Form, Shape, block_form, is_grid_line
from chgtools.formats.list_directed import is_padding, real, words_of
from chgtools.formats.streams import MARGIN, LineReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

PARALLEL_FROM = 500_000  # numbers: below, starting a second thread costs more than it saves
CHUNK_LINES = 40_000


@dataclass(frozen=True)
class BlockText:
    """A block as it was read, and how it was laid out.

    values : (nx, ny, nz), Fortran order
    number_format : "E" (1X,E17.11), "G" (1X,G11.5), or "free" where any line kept to no such columns
    columns : numbers to a line; tail : the text between the last number and its newline
    padding : zeros behind the last number that fill its line
    """

    values: NDArray[Any]
    number_format: str
    columns: int
    tail: bytes = b""
    padding: int = 0


def read_block(reader: LineReader, shape: Shape, scale: float, dtype: Any, grid_line: int, what: str) -> BlockText:
    """The numbers of one block, each multiplied by ``scale``.

    reader : stands behind the grid line, whose number in the file is ``grid_line``
    what : the block's name for messages, such as "the total density"
    Raises FormatError for a block that is short, overfull, garbled or not finite.
    """
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.parse import BAD, DONE, parse_fixed, parse_free

    n_points = shape[0] * shape[1] * shape[2]
    block = _Block(reader, what, shape, grid_line, room_behind(reader), block_form(reader))
    values = block.values(dtype)
    form = block.form
    columns = max(len(reader.peek_lines(1)[0].split()), 1) if form is None else form.columns
    done = padding = 0
    if form == Form(18, 11, 5) and reader.compression is None and values.size >= PARALLEL_FROM:
        done = _read_two_threads(reader, values, scale)
    allow_integers = listed = False
    last_line = b""
    while done < values.size:
        text, stop = reader.buffer[reader.start :], reader.stop - reader.start
        if form is None:
            used, done, lines, status = parse_free(text, stop, values, done, scale, POWERS, allow_integers)
        else:
            used, done, lines, status = parse_fixed(
                text, stop, values, done, form.width, form.decimals, form.columns, scale, POWERS
            )
        if status == DONE:
            last_line = _last_line(text, used)
        reader.consume(used, lines)
        if status == BAD:
            line = reader.peek() or b""
            if form is None and not allow_integers and _only_integers_new(line, shape):
                allow_integers = True
                continue
            numbers, padding = block.by_list(line, done, columns)
            values[done : done + len(numbers)] = np.multiply(numbers, scale)
            done += len(numbers)
            reader.readline()
            listed = True
        elif status != DONE and not reader.fill():
            raise block.short(done)
    values = values.reshape(shape, order="F")
    if form is None or listed:
        return BlockText(values, "free", columns, padding=padding)
    in_last = n_points - (n_points - 1) // columns * columns
    tail = last_line.rstrip(b"\n")[in_last * form.width :]
    return BlockText(values, "G" if form.width == 12 else "E", columns, tail)


def _last_line(text: NDArray[np.uint8], used: int) -> bytes:
    tail = text[max(0, used - 400) : used].tobytes()
    return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]


def _read_two_threads(reader: LineReader, values: NDArray[Any], scale: float) -> int:
    """Parse the full 91-byte lines of a plain file in two halves at once.

    Returns how many numbers were read, with the reader behind them: all full lines, or 0 with the reader left where it
    was when any line differs from VASP's layout (the sequential reader then finds out where and why).
    """
    n_lines = values.size // 5
    begin = reader.position

    def half(first: int, last: int) -> bool:
        buffer = np.empty(CHUNK_LINES * 91 + MARGIN, np.uint8)
        with open(reader.path, "rb", buffering=0) as file:
            for line in range(first, last, CHUNK_LINES):
                part = values[line * 5 : min(line + CHUNK_LINES, last) * 5]
                if not _read_lines(file, begin + line * 91, part, buffer, scale):
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


def _read_lines(file: IO[bytes], begin: int, values: NDArray[Any], buffer: NDArray[np.uint8], scale: float) -> bool:
    """Fill ``values`` from full lines that begin at a byte; False where they are not in VASP's layout."""
    from chgtools.kernels.fields import E_DIGITS, E_WIDTH, POWERS
    from chgtools.kernels.parse import DONE, parse_fixed

    lines = values.size // 5
    file.seek(begin)
    wanted, got = lines * 91, 0
    while got < wanted:
        count = file.readinto(memoryview(buffer)[got:wanted])  # type: ignore[attr-defined]
        if not count:
            return False
        got += count
    used, _, parsed, status = parse_fixed(buffer, wanted, values, 0, E_WIDTH, E_DIGITS, 5, scale, POWERS)
    return bool(status == DONE and parsed == lines and used == wanted)


def _only_integers_new(line: bytes, shape: Shape) -> bool:
    """Whether a refused line is numbers after all, some without a decimal point, and not the next grid line."""
    if is_grid_line(line, shape):
        return False
    return bool(re.fullmatch(rb"[\s\d.eEdD+-]+", line)) and bool(re.search(rb"(?:^|\s)[+-]?\d+(?:\s|$)", line))


@dataclass(frozen=True)
class _Block:
    """A block that is being read, and why it cannot be. room : numbers that the file has room for, at most"""

    reader: LineReader
    what: str
    shape: Shape
    grid_line: int
    room: int
    form: Form | None

    @property
    def n_points(self) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def grid(self) -> str:
        return " x ".join(str(n) for n in self.shape)

    def values(self, dtype: Any) -> NDArray[Any]:
        """Room for the numbers; where the file cannot hold them, for one more than it can, so that they are counted."""
        try:
            return np.empty(min(self.n_points, self.room + 1), dtype)
        except MemoryError as error:
            gigabytes = self.n_points * np.dtype(dtype).itemsize / 1e9
            found = f"{self.what}'s grid {self.grid} needs {gigabytes:.1f} GB of memory"
            raise self.reader.fail(found, self.grid_line) from error

    def by_list(self, line: bytes, done: int, columns: int) -> tuple[list[float], int]:
        """The numbers of a line that a parse kernel refused, and how many zeros pad it behind them.

        A list-directed READ takes any layout. So is it taken here where nothing can have been lost: full lines, joined
        or not, of whole numbers. Raises the FormatError of :meth:`explain` for any other.
        """
        left = self.n_points - done
        words = words_of(line, left + columns)
        padding = len(words) - left if is_padding(words, left, columns) else 0
        numbers = [real(word) for word in words[: len(words) - padding]]
        whole = len(numbers) == left or (self.form is None and len(numbers) < left) or len(numbers) % columns == 0
        if self.form is not None:
            whole = whole and self.form.holds_whole_numbers(line)
        good = [number for number in numbers if number is not None and math.isfinite(number)]
        if not 0 < len(good) == len(numbers) <= left or not whole or is_grid_line(line, self.shape):
            raise self.explain(line, done)
        if self.n_points > self.room:
            raise self.short(done)
        return good, padding

    def short(self, done: int) -> FormatError:
        """The file ends, or goes on with something else, behind so many numbers."""
        reader = self.reader
        end = numbers_at_end(reader, self.form, done, self.n_points, integers=True)
        ends_here = end is not None or cut_line(reader) is not None
        done, line = end or (done, reader.line + 1)
        damage = short_block(self.what, self.shape, self.grid_line, done, line, None if ends_here else self.room)
        return damage.error(reader)

    def explain(self, line: bytes, done: int) -> FormatError:
        """Why a parse kernel stopped before ``line``."""
        reader, what, n_points = self.reader, self.what, self.n_points
        at = reader.line + 1
        shown = repr(line.decode("ascii", "replace").strip()[:40])
        lower = line.lower()
        if n_points > self.room:
            return self.short(done)
        if re.search(rb"(?<!\d)\*|\*(?![\d.+-])", line):  # not 3*0.0
            return reader.fail(f"{what} holds a number too large for its field, printed as stars ({shown}); it cannot "
                               "be restored: rerun VASP", at)  # fmt: skip
        if b"nan" in lower or b"inf" in lower:
            return reader.fail(f"{what} holds a value that is no finite number ({shown}); rerun the calculation", at)
        next_section = b"augmentation" in lower or is_grid_line(line, self.shape)
        if next_section or not line.strip() or cut_line(reader) is not None:
            return self.short(done)
        if self.form is not None:
            wanted = min(self.form.columns, n_points - done)
            field = "1X,G11.5" if self.form.width == 12 else "1X,E17.11"
            return reader.fail(
                f"found {shown} ({len(line.rstrip())} characters) where {what} goes on with {wanted} "
                f"number{'s' * (wanted > 1)} in VASP's fields ({field}); {done} of {n_points} were read. The line was "
                "damaged or edited: copy the file again",
                at,
            )
        if re.fullmatch(rb"[\s\d.eEdD+-]+", line):
            return reader.fail(f"{what} goes on behind the {n_points} numbers of its {self.grid} grid (line "
                               f"{self.grid_line}), or holds a garbled one: found {shown}", at)  # fmt: skip
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

    last = -(-flat.size // size) - 1
    if last == 0:
        file.write(text(0)[:-1])
    else:
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(text, 0)
            for index in range(last):
                ready = coming.result()
                coming = pool.submit(text, index + 1)
                file.write(ready)
            file.write(coming.result()[:-1])
    file.write(layout.tail)
