"""Members of tar (packed or not) and zip archives, and rows of Parquet files, as paths: ``ARCHIVE:MEMBER``.

    runs.tar.gz:mp-149/CHGCAR.xz    a member, itself packed or not; ./mp-149/CHGCAR.xz is the same one
    densities.parquet:12            a row, told apart here and read by parquet.py

Nothing is unpacked to disk: a member is read as it passes. What lies where is found once for each archive, and then the
whole of it is read once, so that a damaged archive is refused whichever member is wanted. Of members with one name the
last counts, as tar and unzip take it. Sources: POSIX pax and ustar by Python's tarfile, PKWARE's APPNOTE by zipfile.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from chgtools.errors import FormatError
from chgtools.formats import tars
from chgtools.formats.compression import HEAD, by_content, opened
from chgtools.formats.tars import Place, compression_of, go_forward, worded

PARQUET_MARK = b"PAR1"
_BLOCK = 512  # of a tar
_ENCRYPTED = 1  # flag bit 0 of a zip's member
_MOST_PACKED = 1032  # bytes for one by deflate; other methods of zip pack more
_held: ContextVar[tuple[str, Mapping[str, bytes]] | None] = ContextVar("_held", default=None)
_TAR = re.compile(r"\.(?:tar(?:\.\w+)?|t[gbx]z\w*|tzst)$", re.IGNORECASE)


def split(path: str | Path) -> tuple[Path, str]:
    """(archive, member) of "runs.tar:a/CHGCAR", (Parquet file, row) of "x.parquet:12"; (path, "") of any other."""
    file, inside = _at_colon(path)
    return (Path(file), inside) if inside and kind_of(file) else (Path(path), "")


def _at_colon(path: str | Path) -> tuple[str, str]:
    """What stands before and behind the first colon that has a file before it; ("", "") for a path without one."""
    text = str(path)
    if ":" not in text or os.path.exists(text):
        return "", ""
    places = [at for at, letter in enumerate(text) if letter == ":"]
    return next(((text[:at], text[at + 1 :]) for at in places if os.path.isfile(text[:at])), ("", ""))


def absent(path: str | Path) -> FormatError:
    """The error for a path that is no file, to be raised by the caller."""
    file, inside = _at_colon(path)
    if not inside:
        return FormatError("no such file; check the name and the folder", path)
    return FormatError(f"is no tar or zip archive, so that there is no {inside[:200]} in it; check the name", file)


def is_member(path: str | Path) -> bool:
    """Whether a path names a member of a tar or zip archive that is there."""
    file, inside = split(path)
    return inside != "" and kind_of(file) in ("tar", "zip")


def kind_of(path: str | Path) -> str:
    """ "tar" (packed or not), "zip" or "parquet" by a file's first bytes; "" for any other and for none."""
    try:
        return _kind(str(path), *_stamp(path))
    except OSError:
        return ""


def _stamp(path: str | Path) -> tuple[int, int]:
    facts = os.stat(path)
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=64)
def _kind(path: str, *stamp: int) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        head = file.read(_BLOCK)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(PARQUET_MARK):
        return "parquet"
    compression = by_content(head[:HEAD], path)
    if compression is not None:
        if _TAR.search(path):  # a damaged one may unpack to nothing: whoever reads it says so
            return "tar"
        try:
            with opened(path, "rb", compression) as file:
                head = io.BufferedReader(file).read(_BLOCK)
        except Exception:
            return ""
    try:  # the sum of its bytes stands in a tar's header, and no text has one
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return ""
    return "tar"


def names(path: str | Path) -> list[str]:
    """The files in an archive, in its order. Raises FormatError for a damaged one."""
    return list(_index(path))


def readable_in(path: str | Path) -> list[str]:
    """The same without links, devices and what else cannot be read."""
    return [name for name, place in _index(path).items() if not place.why_not]


def holds(path: str | Path) -> bool:
    """Whether a member is there; False for a path that is none, and in a damaged archive."""
    file, inside = split(path)
    try:
        return bool(inside) and kind_of(file) in ("tar", "zip") and plain_name(inside) in _index(file)
    except FormatError:
        return False


def folder_of(path: str | Path) -> Path:
    """The folder of a member within its archive, so that ``folder / "INCAR"`` is the member beside it."""
    file, inside = split(path)
    return Path(f"{file}:{PurePosixPath(plain_name(inside)).parent}")


def is_packed_tar(path: str | Path) -> bool:
    """Whether an archive can only be read from its beginning."""
    return kind_of(path) == "tar" and compression_of(path) is not None


@contextmanager
def held(path: str | Path, members: Mapping[str, bytes]) -> Iterator[None]:
    """Within the block an archive is taken for these members alone, {name: its bytes}; the file is not opened."""
    token = _held.set((str(path), members))
    try:
        yield
    finally:
        _held.reset(token)


def _held_of(path: str | Path) -> Mapping[str, bytes] | None:
    found = _held.get()
    return found[1] if found is not None and found[0] == str(path) else None


def passing(path: str | Path, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of the wanted members of a tar, in its order, by one pass over it; links and devices are left out.

    wanted : names as :func:`names` gives them. Raises FormatError for a damaged archive.
    """
    found = _index(path)
    return tars.passing(path, [(name, found[name]) for name in wanted if name in found and not found[name].why_not])


def open_member(path: str | Path) -> tuple[Any, int]:
    """(the member's bytes as a file, how many there are at most).

    Raises FormatError for a member that is not there, is encrypted or no file, and for a damaged archive.
    """
    file, inside = split(path)
    index, in_memory = _index(file), _held_of(file)
    place = index.get(plain_name(inside))
    if place is None:
        raise FormatError(f"no such member; the archive has {_counted(list(index), inside)}", path)
    if place.why_not:
        raise FormatError(place.why_not, path)
    if in_memory is not None:
        content: Any = io.BytesIO(in_memory[plain_name(inside)])
        return io.BufferedReader(content), place.size
    if kind_of(file) == "zip":
        return _open_in_zip(path, file, place)
    raw = opened(file, "rb", compression_of(file))
    try:
        go_forward(raw, place.begin)
    except Exception:
        raw.close()
        raise
    return io.BufferedReader(_Window(raw, place.size)), place.size


def said(path: str | Path, wanted: str = "") -> str:
    """Such as: a tar archive of 3 members, such as runs.tar:a/CHGCAR."""
    found = names(path)
    example = f", such as {path}:{_like(found, wanted)}" if found else ""
    return f"a {kind_of(path)} archive of {len(found) or 'no'} member{'s' * (len(found) != 1)}{example}"


def _counted(found: list[str], wanted: str) -> str:
    return f"{len(found)}, such as {_like(found, wanted)}" if found else "none"


def _like(found: list[str], wanted: str) -> str:
    """The member that was meant, if one has the same name elsewhere or another suffix; else the first."""
    base = PurePosixPath(wanted).name
    return next((name for name in found if base and PurePosixPath(name).name.startswith(base)), found[0])


def plain_name(name: str) -> str:
    """A member's name as :func:`names` gives it: without ./ and what else says nothing."""
    return os.path.normpath(name).lstrip("/") if name else name


def _index(path: str | Path) -> dict[str, Place]:
    if (in_memory := _held_of(path)) is not None:
        return {name: Place(name, len(content)) for name, content in in_memory.items()}
    try:
        return _index_at(str(path), *_stamp(path))
    except FileNotFoundError as error:
        raise FormatError("no such file; check the name and the folder", path) from error
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", path) from error


@lru_cache(maxsize=8)
def _index_at(path: str, *stamp: int) -> dict[str, Place]:
    return _zip_index(path) if kind_of(path) == "zip" else tars.index(path, plain_name)


def _zip_index(path: str) -> dict[str, Place]:
    found = {}
    with worded(path, "zip"), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            why_not = "is encrypted; unpack it with its password" if info.flag_bits & _ENCRYPTED else ""
            size = info.file_size
            if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                size = min(size, info.compress_size * _MOST_PACKED)
            found[plain_name(info.filename)] = Place(info.filename, size, why_not=why_not)
    return found


def _open_in_zip(path: str | Path, file: Path, place: Place) -> tuple[Any, int]:
    with worded(str(path), "zip"):
        archive = zipfile.ZipFile(file)
        try:
            member = archive.open(place.name)
        except Exception as error:
            archive.close()
            if isinstance(error, NotImplementedError):
                raise FormatError("is packed by a method that is not known here; unpack it first", path) from error
            raise
    return io.BufferedReader(_Window(member, place.size, archive)), place.size


class _Window(io.RawIOBase):
    """The next bytes of a file; what they come from is closed with it."""

    def __init__(self, file: Any, size: int, *owners: Any) -> None:
        self._file, self._left, self._owners = file, size, (file, *owners)

    def readable(self) -> bool:
        return True

    def readinto(self, view: Any) -> int:
        wanted = min(len(view), self._left)
        data = self._file.read(wanted) if wanted else b""
        if wanted and not data:
            raise EOFError("the archive ends within the member")
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        for owner in self._owners:
            owner.close()
        super().close()
