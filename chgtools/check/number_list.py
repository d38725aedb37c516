"""Numbers read as a Fortran program reads a list, on past damage: what cannot be read is reported and stepped over."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from chgtools.formats.chgcar_end import numbers_at_end, shown
from chgtools.formats.list_directed import is_padding, real, words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chgtools.formats.chgcar_layout import Form
    from chgtools.formats.streams import LineReader

_TOUCHING = re.compile(rb"[\d.][+-]\d*\.")  # 0.1E+00-0.2E+00: one word to Fortran, and no number

# (code, line, what was found)
Report = Callable[[str, int, str], None]


def read_list(
    reader: LineReader,
    values: NDArray[np.float64],
    form: Form | None,
    ends: Callable[[bytes], bool],
    report: Report,
    integers: bool = False,
    padded: bool = False,
) -> tuple[int, int | None]:
    """Fill ``values`` from whole lines; returns how many numbers there were, with the reader behind them, and the line
    in which the file ends among them, None where it does not.

    form : fields that the numbers must keep to (a number that has lost a digit is still a number), or None
    ends : whether a line belongs to the next section; integers : whether the last number may lack its point
    padded : whether zeros may fill the last line, as chgsum.pl prints it
    What is no number counts as one, because that is how far a reader that counts would have come; it is reported as
    damaged-number, not-finite, number-field, surplus-numbers, stray-blank-line, padding or layout.
    """
    from chgtools.kernels.fields import POWERS
    from chgtools.kernels.parse import DONE, NEED_MORE, parse_fixed, parse_free

    done = 0
    tidy = form is not None
    columns = 0 if not padded else len((reader.peek() or b"").split()) if form is None else form.columns
    while done < values.size:
        text, stop = reader.buffer[reader.start :], reader.stop - reader.start
        if form is None:
            used, done, lines, status = parse_free(text, stop, values, done, 1.0, POWERS, False)
            _report_touching(text[:used].tobytes(), reader.line, report)
        else:
            used, done, lines, status = parse_fixed(
                text, stop, values, done, form.width, form.decimals, form.columns, 1.0, POWERS
            )
        reader.consume(used, lines)
        if status == DONE:
            break
        if status == NEED_MORE:
            if not reader.fill():
                return numbers_at_end(reader, form, done, values.size, integers) or (done, None)
            continue
        line = reader.peek()
        if line is None or ends(line):
            break
        end = numbers_at_end(reader, form, done, values.size, integers)
        if end is not None:
            _take_whole(line, form, values, done, end[0])
            reader.readline()
            return end
        done, good = _by_hand(line, reader.line + 1, values, done, form, report, columns)
        if good and tidy:
            report("layout", reader.line + 1, f"numbers not in the columns and lines that VASP prints: {shown(line)}")
        tidy = False  # behind a damage the lines may end elsewhere
        reader.readline()
    return done, None


def _take_whole(line: bytes, form: Form | None, values: NDArray[np.float64], done: int, end: int) -> None:
    """The whole numbers of a line that is cut."""
    words = line.split() if form is None else [line[i * form.width :][: form.width] for i in range(end - done)]
    for index, word in enumerate(words[: end - done], done):
        values[index] = real(word.strip()) or 0.0


def _report_touching(text: bytes, line: int, report: Report) -> None:
    for match in _TOUCHING.finditer(text):
        report("damaged-number", line + 1 + text.count(b"\n", 0, match.start()), "two numbers that touch")


def _by_hand(
    line: bytes,
    number: int,
    values: NDArray[np.float64],
    done: int,
    form: Form | None,
    report: Report,
    columns: int,
) -> tuple[int, bool]:
    """Take the words of a line that a kernel refused: (numbers so far, whether nothing is wrong with them)."""
    left = values.size - done
    words = words_of(line, max(left, columns))
    if not words:
        report("stray-blank-line", number, "")
        return done, False
    troubles: set[str] = set()
    if is_padding(words, left, columns):
        troubles.add("padding")
    elif len(words) > left:
        troubles.add("surplus-numbers")
    for word in words[:left]:
        value = real(word)
        if value is None:
            troubles.add("damaged-number")
        elif not math.isfinite(value):
            troubles.add("not-finite")
        values[done] = math.nan if value is None else value
        done += 1
    if not troubles and form is not None and not form.holds_whole_numbers(line):
        troubles.add("number-field")
    for code in sorted(troubles):
        report(code, number, shown(line))
    return done, not troubles
