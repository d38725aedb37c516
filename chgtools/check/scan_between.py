"""What stands between the sections of a file: moments, blank lines, foreign text, the next grid line, the end."""

from __future__ import annotations

from dataclasses import dataclass

from chgtools.check.scan_records import is_record
from chgtools.check.walk import Edit, Walk
from chgtools.formats.chgcar_end import cut_between, is_numbers, other_grid, shown
from chgtools.formats.chgcar_layout import MOMENT_FORMS, Shape, is_grid_line

MOMENT_WIDTH = MOMENT_FORMS[0].width
MOST_BLOCKS = 4


@dataclass
class Numbers:
    """Lines of numbers between sections: how many, where and how they begin; whether the last line is surplus.

    in_fields : whether they stand in the 20 columns each that VASP prints moments in
    """

    count: int = 0
    line: int = 0
    text: str = ""
    enough_before_last: bool = False
    in_fields: bool = True


class Between:
    """Steps from one section to the next. stopped : why the rest of the file cannot be read, "" while it can"""

    def __init__(self, walk: Walk, shape: Shape, n_atoms: int) -> None:
        self.walk, self.shape, self.n_atoms = walk, shape, n_atoms
        self.stopped = ""

    def cut(self, has_records: bool) -> bool:
        """Whether the file is cut here; the rest of it is stepped over."""
        walk = self.walk
        damage = cut_between(walk.reader, self.shape, self.n_atoms, walk.block + 1, has_records)
        if damage is None:
            return False
        walk.meet(damage)
        while walk.reader.readline() is not None:
            pass
        return True

    def numbers(self) -> Numbers:
        """Step over lines of numbers up to a grid line or anything else."""
        reader, n_atoms = self.walk.reader, self.n_atoms
        seen = Numbers()
        while (line := reader.peek()) is not None and is_numbers(line) and not self._is_grid(line, seen.count):
            if not seen.count:
                seen.line, seen.text = reader.line + 1, shown(line)
            seen.enough_before_last = seen.count >= n_atoms
            seen.count += len(line.split())
            seen.in_fields &= len(line.rstrip()) == MOMENT_WIDTH * len(line.split())
            reader.readline()
        return seen

    def _is_grid(self, line: bytes, before: int) -> bool:
        """Whether a line is a grid line, this file's or another; three moments may look like one."""
        shape = self.shape
        if is_grid_line(line, shape):
            return True
        words = line.split()
        if len(words) != 3 or not all(word.isdigit() and len(word) < 18 and int(word) > 0 for word in words):
            return False
        following = (*self.walk.reader.peek_lines(2), b"", b"")[1]
        return not is_grid_line(following, shape)

    def next_block(self, before: Numbers, has_records: bool) -> bool:
        """Go to the numbers of the next block; False at the end of what VASP could read.

        before : the numbers that stand between the last section and here: moments, or surplus ones
        """
        walk, reader, n_atoms = self.walk, self.walk.reader, self.n_atoms
        begin, first = walk.position, reader.line + 1
        blank = walk.take_blank_lines()
        if blank and (reader.peek() is None):
            self._delete(begin, first, "blank lines")
            return False
        if blank and self.cut(has_records):
            self._end(Numbers(), has_records, n_atoms)
            return False
        while blank and is_numbers(reader.peek() or b""):
            for number, edit in blank:
                walk.fixable("stray-blank-line", number, "a blank line before the next block", edit)
            more = self.numbers()
            before = more if more.count else before
            blank = walk.take_blank_lines() if more.count else []
        line = reader.peek()
        if line is None:
            self._end(before, has_records, n_atoms)
            return False
        if not (is_numbers(line) and self._is_grid(line, before.count)):
            return self._foreign(line, before, (begin, first) if blank else (walk.position, reader.line + 1))
        self._moments(before, has_records, n_atoms)
        _, number, _, _ = walk.take_line()
        if not is_grid_line(line, self.shape):
            nx, ny, nz = (int(word) for word in line.split())
            walk.meet(other_grid(number, walk.block + 2, (nx, ny, nz), self.shape))
            self.stopped = f"block {walk.block + 2} has another grid; what follows line {number} was not checked"
            return False
        return True

    def _moments(self, before: Numbers, has_records: bool, n_atoms: int) -> None:
        walk, reader = self.walk, self.walk.reader
        if not before.count:
            found = f"no line of moments before block {walk.block + 2}; wanted {n_atoms} numbers, one for each ion"
            edit = Edit(walk.position, walk.position, None, "moments-missing", walk.block + 1)
            # Behind a damaged section numbers would be taken for its own
            if all(trouble.fixable for trouble in walk.troubles if trouble.block == walk.block):
                walk.fixable("moments-missing", reader.line + 1, found, edit)
            else:
                walk.report("moments-missing", reader.line + 1, found)
        elif before.count < n_atoms or before.enough_before_last:
            if has_records or before.count < n_atoms:
                found = (
                    f"found {before.count} moments before block {walk.block + 2}; wanted {n_atoms}, one for each ion"
                )
                walk.report("moments-count", before.line, found)
            else:
                self.surplus(before)
        elif not before.in_fields and walk.block + 2 <= MOST_BLOCKS:
            walk.report("layout", before.line, f"the moments do not stand in VASP's fields: {before.text}")

    def surplus(self, before: Numbers) -> None:
        found = f"numbers go on behind block {self.walk.block + 1}: {before.text}"
        self.walk.report("surplus-numbers", before.line, found)

    def _end(self, before: Numbers, has_records: bool, n_atoms: int) -> None:
        """The file ends here."""
        walk, reader = self.walk, self.walk.reader
        if before.count and not has_records and before.count != n_atoms:
            self.surplus(before)
        elif before.count == n_atoms:
            found = f"the moments of {n_atoms} ions, and no block behind them: the file was cut"
            walk.report("block-count", before.line, found)
        elif before.count:
            walk.report("trailing-text", before.line, f"{before.count} numbers behind the last record: {before.text}")
        if reader.lacks_newline:
            walk.fixable(
                "final-newline",
                reader.line,
                "the last line has no newline",
                Edit(walk.position, walk.position, b"\n", "final-newline"),
            )

    def _foreign(self, line: bytes, before: Numbers, start: tuple[int, int]) -> bool:
        """Text where moments or the end are wanted: up to the next block, or to the end of the file.

        start : byte and line at which it begins, blank lines included
        """
        walk, reader = self.walk, self.walk.reader
        begin, number = start
        content = bool(before.count)
        while (following := reader.readline()) is not None:
            if is_grid_line(following, self.shape):
                walk.report("text-between", number, f"found {shown(line)} where block {walk.block + 2} is wanted")
                return True
            content = content or is_numbers(following) or is_record(following)
        if content:
            found = f"found {before.text or shown(line)}, more numbers or records, and no grid line before them"
            walk.report("grid-between", before.line or number, found)
        else:
            self._delete(begin, number, shown(line))
        return False

    def _delete(self, begin: int, number: int, text: str) -> None:
        """Delete all from here to the end of the file, which has been read."""
        edit = Edit(begin, self.walk.position, b"", "trailing-text")
        self.walk.fixable("trailing-text", number, f"text behind the last section: {text}", edit)
