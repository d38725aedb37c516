"""Small tar and zip archives, and streams of every compression, made by the libraries that people make them with."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import lz4.frame
import zstandard

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    ".zst": zstandard.compress,
    ".lz4": lz4.frame.compress,
    ".zz": zlib.compress,
    ".zlib": lambda data: zlib.compress(data, 1),
}
Members = Iterable[tuple[str, bytes]]


def tar_of(members: Members, fmt: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=fmt) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zip_of(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def archive(path: Path, members: Members) -> Path:
    """A tar or zip by its name, packed by its suffix."""
    name = path.name
    content = zip_of(members) if name.endswith(".zip") else tar_of(members)
    pack = PACK[path.suffix if path.suffix in PACK else ".gz" if path.suffix == ".tgz" else ""]
    path.write_bytes(content if name.endswith(".zip") else pack(content))
    return path
