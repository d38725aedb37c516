"""Bytes of plain and compressed files and of members of archives: read by lines and by blocks, written in chunks.

The compression of a file to be read is told by its first bytes, of a file to be written by its suffix.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import FormatError, SettingsError
from chgtools.files import replacing
from chgtools.formats import archives
from chgtools.formats.compression import HEAD, SUFFIXES, by_content, is_damage, opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 4 << 20
MARGIN = 16  # kernels may load a word that begins in the text and ends behind it

OLD_LINE_ENDS = (
    "its lines end in carriage returns alone, which Fortran takes for no ends of lines; write newlines instead"
)


def has_old_line_ends(head: bytes) -> bool:
    """Whether a text's first bytes have carriage returns and no newline, as programs before Mac OS X wrote it."""
    return b"\r" in head.rstrip(b"\r") and b"\n" not in head


def stem(path: str | Path) -> str:
    """Name of a file or member without a compression suffix: CHGCAR of run/CHGCAR.gz and of a.tar:run/CHGCAR.xz."""
    name = Path(archives.split(path)[1] or path).name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def is_there(path: str | Path) -> bool:
    """Whether a path is a file, or a member of an archive."""
    return Path(path).is_file() or archives.holds(path)


@dataclass(frozen=True)
class _Raw:
    """A file or a member as it lies there. container : "tar" or "zip" of a member, else "" """

    file: Any
    size: int
    container: str
    compression: str | None


def _raw(path: str | Path) -> _Raw:
    """Raises FormatError when it is not there or cannot be read."""
    if archives.is_member(path):
        container = archives.kind_of(archives.split(path)[0])
        try:
            file, size = archives.open_member(path)
            return _Raw(file, size, container, by_content(file.peek(HEAD)[:HEAD], path))
        except Exception as error:
            raise _reading_error(error, path, container) from error
    try:
        plain = opened(path, "rb", None)
        head = plain.read(HEAD)
        plain.seek(0)
        return _Raw(plain, os.path.getsize(path), "", by_content(head, path))
    except FileNotFoundError as error:
        raise archives.absent(path) from error
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror})", path) from error


class _Unpacked(io.RawIOBase):
    """What a raw file holds; both are closed together."""

    def __init__(self, raw: _Raw) -> None:
        self._raw, self._file = raw.file, opened(raw.file, "rb", raw.compression)

    def readable(self) -> bool:
        return True

    def readinto(self, view: Any) -> int:
        count: int = self._file.readinto(view)
        return count

    def close(self) -> None:
        self._file.close()
        self._raw.close()
        super().close()


def compression_of(path: str | Path) -> str | None:
    """Compression by the first bytes of a file or a member. Raises FormatError when it cannot be read."""
    raw = _raw(path)
    raw.file.close()
    return raw.compression


@contextmanager
def reading(path: str | Path) -> Iterator[IO[bytes]]:
    """The decompressed content as a file. Raises FormatError as :class:`LineReader` does."""
    raw = _raw(path)
    try:
        with io.BufferedReader(_Unpacked(raw), CHUNK) as file:
            yield file
    except Exception as error:
        raise _reading_error(error, path, raw.compression or raw.container) from error


def read_bytes(path: str | Path) -> bytes:
    """The whole decompressed content. Raises FormatError as :class:`LineReader` does."""
    with reading(path) as file:
        return file.read()


def digest(path: str | Path) -> str:
    """SHA-256 of a file or a member as it lies there, compressed or not. Raises FormatError where it cannot be read."""
    raw = _raw(path)
    sha = hashlib.sha256()
    try:
        while data := raw.file.read(CHUNK):
            sha.update(data)
    except Exception as error:
        raise _reading_error(error, path, raw.container) from error
    finally:
        raw.file.close()
    return sha.hexdigest()


def _reading_error(error: Exception, path: str | Path, packed: str | None) -> Exception:
    """The same failure as one sentence; anything that no damaged file can cause is passed through."""
    damaged = is_damage(error) or isinstance(error, (zipfile.BadZipFile, tarfile.TarError))
    if isinstance(error, FormatError):
        return error
    if packed and (damaged or isinstance(error, (OSError, RuntimeError))):
        return FormatError(f"the {packed} stream is damaged or cut short ({error}); copy the file again", path)
    if isinstance(error, OSError):
        return FormatError(f"cannot be read ({error.strerror or error})", path)
    return error


class _Prefetch:
    """Decompress in a thread of its own, a few chunks ahead of the parser."""

    def __init__(self, file: IO[bytes] | io.RawIOBase) -> None:
        self._file = file
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(maxsize=2)
        self._stop = threading.Event()
        self._rest = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        item: bytes | Exception | None = b" "
        while item and not isinstance(item, Exception) and not self._stop.is_set():
            try:
                item = self._file.read(CHUNK)
            except Exception as error:  # handed to the reader, which words it
                item = error
            while not self._stop.is_set():
                try:
                    self._chunks.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue

    def readinto(self, view: memoryview) -> int:
        if not self._rest:
            item = self._chunks.get()
            if isinstance(item, Exception):
                raise item
            self._rest = item
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._file.close()


class LineReader:
    """A text file as lines, with their numbers, and as windows of bytes for the kernels.

    buffer : uint8 array; the unread bytes are buffer[start:stop]
    line : number of lines consumed so far, so that the line just read has this number
    compression : of the file, or "tar" or "zip" of a member that lies plain in one; None where it can be sought in
    Use as a context manager. Raises FormatError when the file cannot be read or its compression is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.buffer: NDArray[np.uint8] = np.empty(CHUNK + MARGIN, np.uint8)
        self.start = self.stop = 0
        self.line = 0
        self.ended = False
        self.lacks_newline = False
        self.offset = 0  # of buffer[stop] in the file
        self._raw = raw = _raw(path)
        self.compression = raw.compression or raw.container or None
        try:
            self._file = _Unpacked(raw) if self.compression else raw.file
        except Exception as error:
            raise _reading_error(error, path, self.compression) from error
        self._source: Any = _Prefetch(self._file) if self.compression else self._file
        self.fill()
        head = self.buffer[: min(self.stop, 4096)].tobytes()
        if b"\0" in head[:64]:
            self._source.close()
            if archives.kind_of(path) == "parquet":
                raise FormatError("is Parquet, no text; `chgtools convert` writes a CHGCAR of a row", path)
            if archives.kind_of(path) in ("tar", "zip"):
                raise FormatError(f"is {archives.said(path)}; name one of them", path)
            raise FormatError("holds zero bytes and is no text; wanted a file as VASP prints it", path)
        if has_old_line_ends(head):
            self._source.close()
            raise FormatError(OLD_LINE_ENDS, path)

    def __enter__(self) -> LineReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def fail(self, message: str, line: int | None = None) -> FormatError:
        """An error at a line (by default the one just read), to be raised by the caller."""
        return FormatError(message, self.path, self.line if line is None else line)

    def fill(self) -> bool:
        """Read more bytes behind the unread ones; False at the end of the file.

        A last line without a newline gets one, noted in ``lacks_newline``.
        """
        if self.ended:
            return False
        unread = self.stop - self.start
        if unread and self.start:
            self.buffer[:unread] = self.buffer[self.start : self.stop].copy()
        self.start, self.stop = 0, unread
        if self.stop >= len(self.buffer) - MARGIN:
            self.buffer = np.concatenate([self.buffer, np.empty(len(self.buffer), np.uint8)])
        try:
            count = self._source.readinto(memoryview(self.buffer)[self.stop : len(self.buffer) - MARGIN])
        except Exception as error:
            raise _reading_error(error, self.path, self.compression) from error
        self.offset += count
        if not count:
            self.ended = True
            if unread and self.buffer[self.stop - 1] != 10:
                self.buffer[self.stop] = 10
                self.stop += 1
                self.lacks_newline = True
                return True
            return False
        self.stop += count
        return True

    def _line_end(self) -> int:
        """Index of the newline of the next line, or -1 at the end of the file."""
        searched = 0
        while True:
            window = self.buffer[self.start + searched : self.stop]
            for first in range(0, len(window), 4096):
                found = window[first : first + 4096].tobytes().find(b"\n")
                if found >= 0:
                    return self.start + searched + first + found
            searched = self.stop - self.start
            if not self.fill():
                return -1

    def peek(self) -> bytes | None:
        """The next line without its newline, not consumed; None at the end of the file."""
        end = self._line_end()
        return None if end < 0 else self.buffer[self.start : end].tobytes()

    def peek_lines(self, count: int) -> list[bytes]:
        """Up to ``count`` lines (of at most 4 kB together), not consumed."""
        while self.stop - self.start < 4096 and self.fill():
            pass
        return self.buffer[self.start : min(self.stop, self.start + 4096)].tobytes().split(b"\n")[:count]

    def readline(self) -> bytes | None:
        """The next line without its newline; None at the end of the file."""
        end = self._line_end()
        if end < 0:
            return None
        line = self.buffer[self.start : end].tobytes()
        self.consume(end + 1 - self.start, 1)
        return line

    def consume(self, count: int, lines: int) -> None:
        """Step over bytes that a kernel has taken from the window."""
        self.start += count
        self.line += lines

    def unread_size(self) -> int:
        """Upper bound of the decompressed bytes behind the current position (deflate packs at most 1032:1)."""
        size, compression = self._raw.size, self._raw.compression
        if compression is None:
            return size - self.offset + self.stop - self.start
        return size * (1032 if compression in ("gzip", "zlib") else 1 << 20)

    @property
    def position(self) -> int:
        """Offset of the next unread byte in a plain file."""
        return self.offset - (self.stop - self.start)

    def seek(self, position: int, lines: int) -> None:
        """Go on at a byte of a plain file, ``lines`` lines behind the current one."""
        self._file.seek(position)
        self.offset = position
        self.start = self.stop = 0
        self.line += lines


@contextmanager
def writing(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that appears under its name when complete, compressed by its suffix (.gz, .bz2, ...).

    Raises SettingsError for a member of an archive, which is never written into.
    """
    if archives.split(path)[1]:
        raise SettingsError(f"{path} is within an archive, and those are only read; name a file of its own")
    compression = SUFFIXES.get(Path(path).suffix)
    with replacing(path) as temporary, open(temporary, "wb") as plain, opened(plain, "wb", compression) as file:
        yield file
