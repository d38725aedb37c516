"""Which POSCAR belongs to which CHGCAR in a list of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chgtools import formats
from chgtools.errors import FormatError, SettingsError
from chgtools.formats import archives, chgcar


def pair_files(files: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """(CHGCAR, its POSCAR or None) of a list in which a POSCAR stands behind its CHGCAR.

    Their contents tell which is which, their names where a file is not there or is neither; of exactly two files that
    tell nothing the first is the charge density. An archive with one density stands for that.
    Raises SettingsError for a POSCAR without a CHGCAR before it.
    """
    files = [_settled(file) for file in files]
    charges = [_is_charge(file) for file in files]
    if charges in ([None], [False], [None, None], [None, False]):
        charges[0] = True
    pairs: list[tuple[Path, Path | None]] = []
    for index, (file, charge) in enumerate(zip(files, charges, strict=True)):
        if charge:
            pairs.append((file, None))
        elif pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], file)
        else:
            behind = files[index + 1] if charges[index + 1 : index + 2] == [True] else None
            swapped = f": give {behind} first" if behind else ""
            raise SettingsError(
                f"{file}: is no CHGCAR, and no CHGCAR without a POSCAR stands before it{swapped}; wanted each CHGCAR, "
                "then the POSCAR of its run"
            )
    return pairs


def _settled(file: Path) -> Path:
    """The one density in an archive; any other path as it is."""
    try:
        return formats.density_in(file)
    except FormatError:  # whoever reads it says so
        return file


def _is_charge(file: Path) -> bool | None:
    """None where neither content nor name tells."""
    try:
        holds = formats.holds_density(file)
    except FormatError:  # not there, or no text: whoever reads it says so
        holds = None
    if holds is None and archives.kind_of(file):
        return True  # with several densities, or damaged: it is told when it is read
    return (chgcar.kind_of(file) is not None or None) if holds is None else holds
