"""Gzip by igzip: valid for zlib, the same bytes each time, damage told as zlib tells it, memory bounded."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from chgtools.errors import FormatError
from chgtools.formats import streams

TEXT = b"".join(b" 0.%011dE+02\n" % (i * 7919 % 99991) for i in range(60_000))


def packed(path: Path, text: bytes = TEXT, piece: int = 1 << 16) -> bytes:
    with streams.writing(path) as file:
        for at in range(0, len(text), piece):
            file.write(np.frombuffer(text[at : at + piece], np.uint8))
    return path.read_bytes()


def test_what_is_written_depends_on_the_content_alone(tmp_path):
    """Neither the time (bytes 4 to 7 of RFC 1952) nor the temporary name goes into it."""
    first, other = packed(tmp_path / "a.gz"), packed(tmp_path / "b.gz")
    assert first == other
    assert first[3] == 0
    assert first[4:8] == bytes(4)
    assert gzip.decompress(first) == TEXT


def test_it_is_nearly_as_small_as_by_zlib(tmp_path):
    assert len(packed(tmp_path / "a.gz")) < 1.25 * len(gzip.compress(TEXT, 6))


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_every_level_of_zlib_is_read(level, tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(TEXT, level))
    assert streams.read_bytes(tmp_path / "a.gz") == TEXT


def test_several_streams_and_zeros_behind_them(tmp_path):
    """As `cat a.gz b.gz`, pigz and bgzip make them, and as tapes fill them up."""
    pieces = [TEXT[at : at + 100_001] for at in range(0, len(TEXT), 100_001)]
    (tmp_path / "a.gz").write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(700))
    assert streams.read_bytes(tmp_path / "a.gz") == TEXT


@pytest.mark.parametrize("suffix", ["gz", "zz"])
@pytest.mark.parametrize("damage", ["cut", "cut in the check sum", "check sum", "data", "garbage behind"])
def test_damage_is_told(damage, suffix, tmp_path):
    whole = gzip.compress(TEXT) if suffix == "gz" else zlib.compress(TEXT)
    at = {"check sum": len(whole) - (8 if suffix == "gz" else 2), "data": len(whole) // 2}.get(damage, 0)
    damaged = {
        "cut": whole[: len(whole) // 2],
        "cut in the check sum": whole[:-2],
        "garbage behind": whole + b"garbage behind it",
    }.get(damage, whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(damaged)
    with pytest.raises(FormatError, match=rf"a\.{suffix}: the (gzip|zlib) stream is damaged or cut short"):
        streams.read_bytes(path)


@pytest.mark.parametrize("suffix", ["gz", "zz"])
def test_little_of_a_large_stream_is_in_memory(suffix, tmp_path):
    zeros = bytes(256 << 20)  # 256 kB packed
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(zeros) if suffix == "gz" else zlib.compress(zeros))
    del zeros
    tracemalloc.start()
    with streams.reading(path) as file:
        total = sum(len(file.read(1 << 20)) for _ in range(256))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 256 << 20
    assert peak < 32 << 20
