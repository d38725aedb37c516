"""A CHGCAR read to its end, whatever is wrong with it, as VASP would read it: by count, lists and columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.check.scan_between import Between, Numbers
from chgtools.check.scan_block import BlockFacts, scan_block
from chgtools.check.scan_records import LAST_INDEX, Records, is_record, scan_records
from chgtools.check.walk import Edit, Trouble, Walk
from chgtools.errors import FormatError
from chgtools.formats import poscar
from chgtools.formats.chgcar_end import is_numbers, parse_grid_line, shown, some_without, wrong_count
from chgtools.formats.chgcar_layout import Form, Shape
from chgtools.formats.streams import LineReader

if TYPE_CHECKING:
    from chgtools.cell import Structure

MOST_BLOCKS = 4


@dataclass
class Scan:
    """What a file holds, as far as it could be read.

    blocks, records, imaginary : one of each per block; records without entries where there are none
    """

    path: Path
    structure: Structure | None = None
    shape: Shape | None = None
    grid_line: int = 0
    blocks: list[BlockFacts] = field(default_factory=list)
    records: list[Records] = field(default_factory=list)
    imaginary: list[Records] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    carriage_returns: bool = False
    compressed: bool = False
    stopped: str = ""

    @property
    def has_records(self) -> bool:
        return any(records.values for records in self.records)


def scan(path: Path | str) -> Scan:
    """Read a file of the CHGCAR layout. Raises FormatError for a file that cannot be read at all."""
    path = Path(path)
    walk = Walk(path, LineReader(path))
    try:
        return _Scanner(walk).scan()
    finally:
        walk.close()


class _Scanner:
    """The sections of one file, in the order in which they come."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.result = Scan(walk.path, compressed=walk.reader.compression is not None)
        self.form: Form | None = None

    def scan(self) -> Scan:
        result, walk = self.result, self.walk
        first = walk.reader.peek() or b""
        result.carriage_returns = first.endswith(b"\r")
        if result.carriage_returns:
            walk.troubles.append(Trouble("crlf", 1, "lines end in carriage return and newline", 0, True))
        if self._header():
            self._blocks()
            self._count()
        result.troubles, result.edits = walk.troubles, walk.edits
        return result

    def _header(self) -> bool:
        """Structure and grid line; False where they cannot be read."""
        walk, result = self.walk, self.result
        try:
            structure = poscar.parse(walk.reader)
        except FormatError as error:
            if error.line is None:
                raise
            walk.report("header", error.line, str(error).partition(f":{error.line}: ")[2])
            result.stopped = "the header cannot be read, so nothing behind it was checked"
            return False
        self._header_numbers(walk.reader.line, structure.n_atoms)
        line = walk.reader.peek()
        if line is not None and line.strip():
            walk.fixable(
                "separator",
                walk.reader.line + 1,
                f"no blank line between the positions and the grid line ({shown(line)})",
                Edit(walk.position, walk.position, b" \n", "separator"),
            )
        elif line is not None:
            walk.reader.readline()
        walk.skip_blank_lines("stray-blank-line", "a second blank line before the grid line")
        result.structure = structure
        return self._first_grid_line()

    def _header_numbers(self, last: int, n_atoms: int) -> None:
        """Lattice vectors and positions as a list-directed read takes them: three numbers, none touching the next."""
        lines = {*range(3, 6), *range(last - n_atoms + 1, last + 1)}
        with LineReader(self.walk.path) as reader:
            while reader.line < last and (line := reader.readline()) is not None:
                if reader.line in lines and not is_numbers(b" ".join(line.replace(b",", b" ").split()[:3])):
                    self.walk.report("header-number", reader.line, f"found {shown(line)}; wanted three numbers apart")

    def _first_grid_line(self) -> bool:
        walk, result = self.walk, self.result
        line = walk.reader.readline()
        number = walk.reader.line + (line is None)
        shape = parse_grid_line(line)
        if not isinstance(shape, str):
            result.shape, result.grid_line = shape, number
            return True
        walk.report("grid-line", number, shape)
        result.stopped = "the grid line cannot be read, so nothing behind it was checked"
        return False

    def _blocks(self) -> None:
        walk, result = self.walk, self.result
        assert result.structure is not None
        assert result.shape is not None
        n_atoms = result.structure.n_atoms
        between = Between(walk, result.shape, n_atoms)
        while True:
            walk.block = len(result.blocks)
            result.blocks.append(scan_block(walk, result.shape))
            between.cut(False)
            before = between.numbers()
            if self._record_ahead() and before.count:
                between.surplus(before)
                before = Numbers()
            real, imaginary = Records(), Records()
            if self._record_ahead():
                real, imaginary, self.form = scan_records(walk, n_atoms, self.form)
            result.records.append(real)
            result.imaginary.append(imaginary)
            between.cut(bool(real.values))
            if real.values or imaginary.values:
                before = between.numbers()
            if not between.next_block(before, bool(real.values)):
                result.stopped = between.stopped
                break
            if len(result.blocks) == MOST_BLOCKS:
                result.stopped = f"a fifth block begins in line {walk.reader.line}; it was not read"
                walk.report("trailing-text", walk.reader.line, "a fifth block, which no run of VASP reads")
                break

    def _record_ahead(self) -> bool:
        """Whether a record comes next; blank lines before it are stepped over."""
        reader = self.walk.reader
        line = reader.peek()
        if line is not None and not line.strip():
            following = next((text for text in reader.peek_lines(64) if text.strip()), b"")
            if not is_record(following):
                return False
            self.walk.skip_blank_lines(
                "blank-line", "a blank line where the header of an augmentation record is wanted"
            )
            line = reader.peek()
        return is_record(line)

    def _count(self) -> None:
        """What only the whole file shows: number of blocks, and which of them have records."""
        walk, result = self.walk, self.result
        blocks, line = len(result.blocks), walk.reader.line
        assert result.structure is not None
        walk.block = 0
        present = [bool(records.values) for records in result.records]
        with_imaginary = [bool(records.values) for records in result.imaginary]
        imaginary = some_without(line, with_imaginary, "imaginary ")
        for damage in (wrong_count(line, blocks), some_without(line, present)):
            if damage is not None:
                walk.meet(damage)
        if blocks < 3 and any(with_imaginary):
            found = f"imaginary records, which non-collinear files of 4 blocks have, and {blocks} blocks"
            walk.report("block-count", line, found)
        if not any(present):
            walk.report("record-missing", line, "no augmentation records")
        elif blocks == 4 and not any(with_imaginary):
            walk.report("imaginary-missing", line, "no imaginary records behind block 1, 2, 3, 4 of 4")
        elif imaginary is not None and all(present):
            walk.meet(imaginary)
        if result.structure.n_atoms > LAST_INDEX and all(present):
            walk.report("ion-index", line, f"records of {result.structure.n_atoms} ions")
