"""Files that list what is to be done, one thing to a line."""

from __future__ import annotations

from pathlib import Path

from chgtools.errors import FormatError


def lines_of(path: Path, holds: str) -> list[tuple[int, str]]:
    """(number, text) of the lines of a list, without empty lines and those that begin with ``#``.

    holds : what a line has, such as "one POSCAR or run folder"
    Raises FormatError for a file that is not there or is no text.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise FormatError(f"no such file; wanted a list with {holds} to a line", path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"cannot be read as a list with {holds} to a line ({error})", path) from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]
