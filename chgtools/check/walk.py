"""A walk through a file: the reader, what was found on the way, and the edits that would mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from chgtools.formats.chgcar_end import Damage
from chgtools.formats.streams import LineReader


@dataclass(frozen=True)
class Trouble:
    """Something found in the file. block : index of the block it belongs to, from 0; fixable : an edit goes with it"""

    code: str
    line: int
    found: str
    block: int = 0
    fixable: bool = False


@dataclass(frozen=True)
class Edit:
    """Bytes begin to end of the decompressed file, to be replaced by ``text``; None: by moments of block ``block``.

    order : stretches (begin, end) of these bytes, in the order in which they are to stand instead
    """

    begin: int
    end: int
    text: bytes | None
    code: str
    block: int = 0
    order: tuple[tuple[int, int], ...] = ()


@dataclass
class Walk:
    """Where the scan stands, and what it has seen."""

    path: Path
    reader: LineReader
    block: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Offset of the next unread byte in the decompressed file."""
        reader = self.reader
        return min(reader.offset, reader.position + reader.lacks_newline)

    def report(self, code: str, line: int, found: str) -> None:
        self.troubles.append(Trouble(code, line, found, self.block))

    def meet(self, damage: Damage) -> None:
        """Report a damage in the words that the ordinary reader has for it."""
        self.report(damage.code, damage.line, damage.found)

    def fixable(self, code: str, line: int, found: str, edit: Edit) -> None:
        self.troubles.append(Trouble(code, line, found, self.block, True))
        self.edits.append(edit)

    def take_line(self) -> tuple[bytes, int, int, int]:
        """(line, its number, begin, end) of the next line, which must be there."""
        begin = self.position
        line = self.reader.readline()
        assert line is not None
        return line, self.reader.line, begin, self.position

    def take_blank_lines(self) -> list[tuple[int, Edit]]:
        """Step over blank lines: (number, edit that deletes it) of each."""
        taken = []
        while (line := self.reader.peek()) is not None and not line.strip():
            _, number, begin, end = self.take_line()
            taken.append((number, Edit(begin, end, b"", "stray-blank-line")))
        return taken

    def skip_blank_lines(self, code: str, where: str) -> None:
        """Step over blank lines, and report each as ``code``."""
        for number, edit in self.take_blank_lines():
            self.fixable(code, number, where, edit)

    def go_back(self, position: int, line: int) -> None:
        """Read on from a byte of the decompressed file, with ``line`` lines before it."""
        self.reader.__exit__()
        self.reader = reader = LineReader(self.path)
        if reader.compression is None:
            reader.seek(position, line)
            return
        while reader.position < position:
            reader.consume(min(position - reader.position, reader.stop - reader.start), 0)
            if reader.position < position and not reader.fill():
                break
        reader.line = line

    def close(self) -> None:
        self.reader.__exit__()
