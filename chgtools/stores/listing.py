"""Sources of a build from a list: one to a line, and its POSCAR behind a tab where it is not the one beside it."""

from __future__ import annotations

from pathlib import Path

from chgtools.errors import FormatError
from chgtools.formats import densities_in
from chgtools.jobs.listing import lines_of


def read_sources(path: Path) -> list[tuple[Path, Path | None]]:
    """(source, its POSCAR or None) of each line; relative paths count from the current folder.

    A line without a POSCAR that is an archive or a Parquet file stands for the densities in it, as does a pattern of
    members (see chgtools.formats.densities_in); nothing else is opened.
    Raises FormatError for a list that is none or is empty, or a line with more than two names.
    """
    sources: list[tuple[Path, Path | None]] = []
    for number, line in lines_of(path, "a CHGCAR, a target of make-dcd or a store"):
        names = [name.strip() for name in line.split("\t")]
        if len(names) > 2 or not all(names):
            found = f"found {len(names)} names with tabs between them"
            raise FormatError(f"{found}; wanted a CHGCAR, and its POSCAR behind a tab", path, number)
        if len(names) == 2:
            sources.append((Path(names[0]), Path(names[1])))
        else:
            sources += [(path, None) for path in densities_in(names[0]) or [Path(names[0])]]
    if not sources:
        raise FormatError("names no source; wanted a CHGCAR, a target of make-dcd or a store to a line", path)
    return sources
