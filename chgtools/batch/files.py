"""The files of a batch: its list of structures, where each CHGCAR goes, and the manifest of what is done.

The list has one structure to a line: a file, or a run folder that holds a POSCAR; every structure of an XDATCAR or an
xyz file is one of the batch, FILE:12 is its twelfth alone. The manifest has one JSON object to a
line, one line for each structure that was done or failed; a job array writes one manifest for each shard:

    structures.txt   structures.txt.manifest.jsonl   structures.txt.manifest.2-of-8.jsonl
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, SettingsError
from chgtools.formats.streams import stem
from chgtools.formats.structure_files import count_at_once, split_frame
from chgtools.run.folder import POSCAR, RunFolder

_FIRST = b'{"structure": '  # how each line of a manifest begins
_PLAIN = ("POSCAR", "CONTCAR")  # their density is called CHGCAR; that of other names CHGCAR.NAME


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``count`` equal parts of a batch: the structures index, index + count, ..."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise SettingsError(f"found shard {self.index}/{self.count}; wanted I/N with I from 1 to N, such as 3/8")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Shard(3, 8) of "3/8". Raises SettingsError for anything else."""
        parts = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
        if parts is None:
            raise SettingsError(f"found shard {text!r}; wanted I/N with I from 1 to N, such as 3/8")
        return cls(int(parts[1]), int(parts[2]))


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
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise FormatError("no such file; wanted a list with one POSCAR or run folder to a line", path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"cannot be read as a list of structures ({error})", path) from error
    items: list[Item] = []
    lines_of: dict[Path, int] = {}
    for number, line in enumerate(lines, 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        try:
            found = list(_items(os.path.normpath(name), number, folder))
        except (OSError, ValueError) as error:  # a name that is too long, or holds zero bytes
            raise FormatError(
                f"found {name[:40]!r}; wanted the name of a POSCAR or of a run folder", path, number
            ) from error
        for item in found:
            place = item.output.absolute()
            if place in lines_of:
                raise FormatError(
                    f"{name} would be written to {item.output}, as line {lines_of[place]} is; remove one of the two",
                    path,
                    number,
                )
            lines_of[place] = number
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


class Manifest:
    """What is known of a batch, and the one file that this process adds to.

    path : the file of this shard; known : {name: its last record}, from this file and those of the other shards
    """

    def __init__(self, base: Path, shard: Shard) -> None:
        """base : file of an unsharded batch. Raises FormatError when a file is no manifest, ChgtoolsError when it
        cannot be read."""
        if not base.parent.is_dir():
            raise ChgtoolsError(f"{base}: the folder {base.parent} does not exist; make it first")
        self.path = base
        if shard.count > 1:
            self.path = base.with_name(f"{base.stem}.{shard.index}-of-{shard.count}{base.suffix}")
        self.known: dict[str, dict[str, Any]] = {}
        others = re.compile(re.escape(base.stem) + r"\.\d+-of-\d+" + re.escape(base.suffix))
        shards = [path for path in base.parent.glob("*") if others.fullmatch(path.name)]
        for path in [base, *sorted(shards)]:
            if path.exists():
                self._read(path)

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ChgtoolsError(f"{path}: cannot be read ({error.strerror}); name another --manifest") from error
        if not content.startswith(_FIRST[: len(content)]):
            raise FormatError("is there and is no manifest of a batch; name another --manifest", path, 1)
        of_this_file: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(content.split(b"\n"), 1):
            try:
                record = json.loads(line) if line else None
            except (ValueError, RecursionError):
                warnings.warn(
                    f"{path}:{number}: is half a line, as a killed job leaves it; it is passed over",
                    AssumptionWarning,
                    stacklevel=2,
                )
                continue
            if isinstance(record, dict) and isinstance(record.get("structure"), str) and "status" in record:
                of_this_file[record["structure"]] = record
        for name, record in of_this_file.items():
            # Another shard, of an earlier call, may know older things of a structure; of two as old, the done one holds
            if name not in self.known or _age(record) > _age(self.known[name]):
                self.known[name] = record

    def add(self, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Append a record, on disk when this returns. Raises ChgtoolsError when it cannot be written."""
        full = {"structure": name, **record}
        line = json.dumps(full).encode() + b"\n"
        try:
            with self.path.open("ab") as file:
                if file.tell() and not self._ends_well():
                    line = b"\n" + line  # after half a line of a killed job
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ChgtoolsError(f"{self.path}: writing failed ({error.strerror}); the batch cannot go on") from error
        self.known[name] = full
        return full

    def _ends_well(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def _age(record: Mapping[str, Any]) -> tuple[str, bool]:
    return str(record.get("finished", "")), record["status"] == "done"
