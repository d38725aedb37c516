"""Which POSCAR belongs to which CHGCAR in a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chgtools.errors import SettingsError
from chgtools.formats import chgcar


def pair_files(files: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """(CHGCAR, its POSCAR or None) of a list in which a POSCAR stands behind its CHGCAR.

    Names tell which is which; of exactly two files the first is the charge density. Raises SettingsError for a
    POSCAR without a CHGCAR before it.
    """
    if len(files) == 2 and chgcar.kind_of(files[1]) is None:
        return [(files[0], files[1])]
    pairs: list[tuple[Path, Path | None]] = []
    for file in files:
        if chgcar.kind_of(file) is not None or len(files) == 1:
            pairs.append((file, None))
        elif pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], file)
        else:
            raise SettingsError(f"{file}: its name is no CHGCAR's, and no CHGCAR without a POSCAR stands before it")
    return pairs
