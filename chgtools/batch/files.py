"""The files of a batch: its list of structures, and where each CHGCAR goes.

The list has one structure to a line: a file, or a run folder that holds a POSCAR; every structure of an XDATCAR or an
xyz file is one of the batch, FILE:12 is its twelfth alone. The manifest has one JSON object to a
line, one line for each structure that was done or failed; a job array writes one manifest for each shard:

    structures.txt   structures.txt.manifest.jsonl   structures.txt.manifest.2-of-8.jsonl
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chgtools.errors import FormatError
from chgtools.formats.streams import stem
from chgtools.formats.structure_files import count_at_once, split_frame
from chgtools.jobs.listing import lines_of
from chgtools.run.folder import POSCAR, RunFolder

_PLAIN = ("POSCAR", "CONTCAR")  # their density is called CHGCAR; that of other names CHGCAR.NAME


@dataclass(frozen=True)
class Item:
    """One structure of a batch.

    name : as the list has it, normalised, FILE:N of a file of several; the manifest knows the structure by it
    structure : the POSCAR, or FILE:N
    output : the CHGCAR to write
    line : in the list
    """

    name: str
    structure: Path
    output: Path
    line: int


def read_list(path: Path, folder: Path | None = None) -> list[Item]:
    """The structures of a list; relative paths count from the current folder.

    folder : where CHGCARs go, in subfolders named as in the list; by default each goes beside its POSCAR
    Raises FormatError for a list that is none, is empty, or has two lines that mean the same CHGCAR.
    """
    items: list[Item] = []
    written: dict[Path, int] = {}
    for number, name in lines_of(path, "one POSCAR or run folder"):
        try:
            found = list(_items(os.path.normpath(name), number, folder))
        except (OSError, ValueError) as error:  # a name that is too long, or holds zero bytes
            raise FormatError(
                f"found {name[:40]!r}; wanted the name of a POSCAR or of a run folder", path, number
            ) from error
        for item in found:
            place = item.output.absolute()
            if place in written:
                raise FormatError(
                    f"{name} would be written to {item.output}, as line {written[place]} is; remove one of the two",
                    path,
                    number,
                )
            written[place] = number
            items.append(item)
    if not items:
        raise FormatError("names no structure; wanted one POSCAR or run folder to a line", path)
    return items


def _items(name: str, line: int, folder: Path | None) -> Iterator[Item]:
    """What a line of the list means: one structure, or all those of an XDATCAR or an xyz file."""
    given = Path(name)
    if given.is_dir():
        yield _item(name, RunFolder.around(given).path(POSCAR) or given / POSCAR, None, line, folder)
        return
    file, frame = split_frame(given)
    # the usual names are not looked into: a list may have many thousands of them on a slow disk
    count = 1 if frame is not None or stem(file) in _PLAIN or not file.is_file() else count_at_once(file)
    if count == 1:
        yield _item(name, file, frame, line, folder)
        return
    for number in range(1, count + 1):
        yield _item(f"{name}:{number}", file, number, line, folder)


def _item(name: str, file: Path, frame: int | None, line: int, folder: Path | None) -> Item:
    word = stem(file)
    output = file.parent / ("CHGCAR" if word in _PLAIN else f"CHGCAR.{word.removeprefix('POSCAR.')}")
    structure = file
    if frame is not None:
        structure, output = Path(f"{file}:{frame}"), output.with_name(f"{output.name}-{frame:04d}")
    if folder is not None:
        # A path that leads out of the current folder is written out, so that every CHGCAR stays inside the folder
        inside = output.absolute() if output.is_absolute() or output.parts[0] == ".." else output
        output = folder / os.path.normpath(inside).lstrip("/")
    return Item(name, structure, output, line)
