"""What commands print for people: tables and notes that break between words, with colour on a terminal.

Width: that of the terminal (COLUMNS goes before it), 80 in a pipe or a file. Colour: on a terminal alone, and not where
NO_COLOR is set (no-color.org). ``TAG = value`` is never broken.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import TextIO

import click

WIDEST, NARROWEST = 100, 40
NOTE, WARNING, ERROR, SUCCESS, HEADING = "note", "warning", "error", "success", "heading"
_STYLES = {
    NOTE: {"dim": True},
    WARNING: {"fg": "yellow"},
    ERROR: {"fg": "red", "bold": True},
    SUCCESS: {"fg": "green", "bold": True},
    HEADING: {"bold": True},
}
_STATEMENT = re.compile(r"(?<=\w) = (?=\S)")


def width() -> int:
    """Columns to print in."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, NARROWEST), WIDEST)


def coloured(stream: TextIO) -> bool:
    """Whether what goes to a stream is seen by somebody."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def styled(text: str, style: str | None, stream: TextIO | None = None) -> str:
    """The text in a style on a terminal, as it is elsewhere. stream : where it goes, stdout by default"""
    if style is None or not coloured(stream or sys.stdout):
        return text
    return click.style(text, **_STYLES[style])  # type: ignore[arg-type]


def broken(text: str, first: str = "", later: str = "") -> list[str]:
    """A text in lines that fit; first, later : what they begin with."""
    kept = _STATEMENT.sub("\xa0=\xa0", text)
    lines = wrap(
        kept, width(), initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\xa0", " ") for line in lines] or [first.rstrip()]


def fitted(text: str, first: str = "", later: str = "", style: str | None = None, stream: TextIO | None = None) -> str:
    """A text in lines that fit, styled, on a terminal; elsewhere in one line, for programs and for searching.

    stream : where it goes, stdout by default
    """
    stream = stream or sys.stdout
    if not stream.isatty():
        return first + text
    return "\n".join(styled(line, style, stream) for line in broken(text, first, later))


def table(rows: Sequence[tuple[str, str, str | None]]) -> str:
    """Lines of (name, text, style): names in a column, texts beside it; the style is that of the text."""
    column = max((len(name) for name, _, _ in rows), default=0) + 2
    lines = []
    for name, text, style in rows:
        first, *others = broken(text, " " * column, " " * column)
        head = name.ljust(column)
        lines.append(head + styled(first[column:], style))
        lines += [" " * column + styled(line[column:], style) for line in others]
    return "\n".join(lines)


def print_notes(sentences: Iterable[str], title: str = "note", style: str = NOTE) -> None:
    """Sentences on stderr: in a pipe a line each, "note: ..."; on a terminal a list that fits it, under one heading."""
    sentences = list(sentences)
    if sentences and sys.stderr.isatty():
        click.echo(styled("notes:" if title == "note" else f"{title}:", HEADING, sys.stderr), err=True)
        title = "  - "
    for sentence in sentences:
        first = title if title == "  - " else f"{title}: "
        click.echo(fitted(sentence, first, "    ", style, sys.stderr), err=True)
