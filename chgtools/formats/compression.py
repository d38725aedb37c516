"""Compressed streams: told by their first bytes when read, by a file's suffix when written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import Any, Literal

from isal import igzip, igzip_lib

HEAD = 64  # bytes that tell
SUFFIXES = {
    ".gz": "gzip",
    ".bz2": "bzip2",
    ".xz": "xz",
    ".zst": "zstd",
    ".lz4": "lz4",
    ".lzma": "lzma",
    ".zz": "zlib",
    ".zlib": "zlib",
}
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
}
_PIECE = 1 << 16
_GZIP_LEVEL = 3  # igzip's smallest: CHGCARs of 0.36 to 0.39 of their text in 1/12 of zlib's time for 0.32 to 0.36
_MOST_MEMORY = 1 << 30  # bytes that LZMA may want for its dictionary; xz -9 wants 65 MiB


def by_content(head: bytes, name: str | Path = "") -> str | None:
    """Compression by the first bytes; ``name`` helps where these could be text (zlib) or have no mark (lzma)."""
    for magic, compression in _MAGIC.items():
        if head.startswith(magic):
            return compression
    named = SUFFIXES.get(Path(name).suffix.lower())
    if _is_lzma(head, named == "lzma"):
        return "lzma"
    return "zlib" if _is_zlib(head, named == "zlib") else None


def _is_zlib(head: bytes, named: bool) -> bool:
    """RFC 1950: two bytes that 31 divides, method 8. "x^" are such and may begin a text, so that more is asked for."""
    if len(head) < 2 or head[0] & 15 != 8 or head[0] >> 4 > 7 or (head[0] << 8 | head[1]) % 31 or head[1] & 32:
        return False
    if not any(byte < 9 or byte > 126 for byte in head[2:]):
        return False
    if named:
        return True
    if head[0] >> 4 != 7:
        return False
    try:
        zlib.decompressobj().decompress(head)
    except zlib.error:
        return False
    return True


def _is_lzma(head: bytes, named: bool) -> bool:
    """The header of LZMA alone: properties (0x5d by default), dictionary and unpacked size in thirteen bytes."""
    if len(head) < 13 or head[0] >= 225 or not (named or head[:3] == b"\x5d\x00\x00"):
        return False
    return head[5:13] == b"\xff" * 8 or int.from_bytes(head[5:13], "little") < 1 << 40


def opened(file: Any, mode: Literal["rb", "wb"], compression: str | None) -> Any:
    """A path or a binary file as what it holds unpacked, a binary file as what packs; a plain path is not buffered.

    What is packed depends on the content alone: no time and no name go into a gzip stream.
    """
    if compression == "gzip":
        if mode == "wb":
            return igzip.IGzipFile("", mode, _GZIP_LEVEL, file, mtime=0)
        return igzip.open(file, mode)
    if compression == "bzip2":
        return bz2.open(file, mode)
    if compression == "xz":
        return lzma.open(file, mode, format=lzma.FORMAT_XZ)
    if compression in ("lzma", "zlib") and mode == "rb":
        return _OneStream(opened(file, mode, None), compression)
    if compression == "lzma":
        return lzma.open(file, mode, format=lzma.FORMAT_ALONE)
    if compression == "zlib":
        return _ZlibWriter(opened(file, mode, None))
    if compression == "zstd":
        import zstandard

        if mode == "wb":
            return zstandard.open(file, mode)
        plain = opened(file, mode, None)
        # pzstd and `cat a.zst b.zst` make several frames
        return zstandard.ZstdDecompressor().stream_reader(plain, read_across_frames=True)
    if compression == "lz4":
        import lz4.frame

        return lz4.frame.open(file, mode)
    return open(file, mode, buffering=0 if mode == "rb" else -1) if isinstance(file, (str, Path)) else file


def is_damage(error: Exception) -> bool:
    """Whether an exception is what one of these libraries raises of a damaged stream."""
    ours = (zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)
    return isinstance(error, ours) or type(error).__module__.split(".")[0] in ("zstandard", "lz4", "igzip_lib")


class _OneStream(io.RawIOBase):
    """What a stream of zlib (RFC 1950) or LZMA alone holds, behind which nothing may follow; the file goes with it."""

    def __init__(self, file: Any, compression: str) -> None:
        self._file = file
        self._stream: Any = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_ZLIB)
        if compression == "lzma":
            self._stream = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MOST_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, view: Any) -> int:
        while len(view):
            if self._stream.eof:
                if self._stream.unused_data or self._file.read(1):
                    raise zlib.error("it goes on behind its end")
                return 0
            packed = b""
            if self._stream.needs_input:
                packed = self._file.read(_PIECE)
                if not packed:
                    raise EOFError("it ends before its end mark")
            plain = self._stream.decompress(packed, len(view))
            if plain:
                view[: len(plain)] = plain
                return len(plain)
        return 0

    def close(self) -> None:
        self._file.close()
        super().close()


class _ZlibWriter(io.RawIOBase):
    """A zlib stream (RFC 1950) of what is written; the file goes with it."""

    def __init__(self, file: Any) -> None:
        self._file, self._stream = file, zlib.compressobj()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(self._stream.compress(data))
        return memoryview(data).nbytes

    def close(self) -> None:
        if not self.closed:
            self._file.write(self._stream.flush())
            self._file.close()
        super().close()
