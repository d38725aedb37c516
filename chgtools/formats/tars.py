"""Tar archives, packed or not, read forward: what lies where, and the members as they pass.

Sources: POSIX pax and ustar, by Python's tarfile.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chgtools.errors import FormatError
from chgtools.formats.compression import HEAD, by_content, opened

_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 24  # bytes of one header: names and attributes, which tarfile keeps in memory
_MEND = "copy the archive again"


@dataclass(frozen=True)
class Place:
    """Where a member lies. size : its bytes as the archive holds it; why_not : "" or why it cannot be read"""

    name: str
    size: int
    begin: int = 0
    why_not: str = ""


@contextmanager
def worded(path: str, kind: str) -> Iterator[None]:
    try:
        yield
    except FormatError:
        raise
    except MemoryError as error:
        raise FormatError(f"the {kind} archive has headers that do not fit into memory; {_MEND}", path) from error
    except Exception as error:  # tarfile and zipfile raise whatever a damaged header brings about
        if isinstance(error, OSError) and error.errno and not isinstance(error, tarfile.TarError):
            raise
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise FormatError(f"the {kind} archive is damaged or cut short ({reason}); {_MEND}", path) from error


def index(path: str, plain_name: Callable[[str], str]) -> dict[str, Place]:
    """{name: where it lies} of the members, of those with one name the last. Raises FormatError for a damaged one."""
    found: dict[str, Place] = {}
    with worded(path, "tar"), opened(path, "rb", compression_of(path)) as file:
        forward = _Forward(file)
        archive = tarfile.TarFile(fileobj=forward, mode="r")  # type: ignore[arg-type]
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # a hundred thousand would be kept
            if info.isdir():
                continue
            found[plain_name(info.name)] = Place(info.name, info.size, info.offset_data, _no_file(info))
        if any(forward.last):  # where tarfile finds no header it takes the archive for ended
            raise tarfile.ReadError(f"no header behind member {len(found)}")
        while file.read(_CHUNK):  # to the check sum of the stream
            pass
    return found


def _no_file(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"is a link to {info.linkname} in the archive; name that one"
    if info.sparse is not None:
        return "is stored with holes (sparse), which no density needs; pack it again without"
    return "" if info.isreg() else "is no file (a device or a pipe)"


def compression_of(path: str | Path) -> str | None:
    with open(path, "rb") as file:
        return by_content(file.read(HEAD), path)


def go_forward(file: Any, count: int) -> None:
    """Step over bytes; packed streams go by reading."""
    if isinstance(file, io.FileIO):
        file.seek(count, os.SEEK_CUR)
        return
    while count:
        passed = len(file.read(min(count, _CHUNK)))
        if not passed:
            raise EOFError("it ends before the member")
        count -= passed


def _exactly(file: Any, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        piece = file.read(min(count - len(content), _CHUNK))
        if not piece:
            raise EOFError("it ends within the member")
        content += piece
    return bytes(content)


class _Forward:
    """A file for tarfile that goes forward only, and reads no header that would fill the memory."""

    def __init__(self, file: Any) -> None:
        self._file, self._at = file, 0
        self.last = b""

    def tell(self) -> int:
        return self._at

    def seek(self, to: int) -> int:
        if to < self._at:
            raise tarfile.ReadError("a header that points back")
        try:
            go_forward(self._file, to - self._at)
        except EOFError as error:
            raise tarfile.ReadError("it ends within a member") from error
        self._at = to
        return to

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {count} bytes")
        pieces, left = [], count
        while left and (piece := self._file.read(left)):
            pieces.append(piece)
            left -= len(piece)
        self.last = b"".join(pieces)
        self._at += len(self.last)
        return self.last


def passing(path: str | Path, places: Iterable[tuple[str, Place]]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the members at these places, in the order of the tar, by one pass over it.

    Raises FormatError for a damaged archive.
    """
    with worded(str(path), "tar"), opened(path, "rb", compression_of(path)) as file:
        at = 0
        for name, place in sorted(places, key=lambda pair: pair[1].begin):
            go_forward(file, place.begin - at)
            at = place.begin + place.size
            yield name, _exactly(file, place.size)
