"""What became of each source of a build, kept beside the store, so that a build goes on without reading what is done.

One line for each source that was computed, of the manifest STORE.h5.manifest.jsonl (a shard's has its number):

    file, size, mtime_ns     the source, and how to tell that it is still the same
    sha256                   of the source, or of the CHGCAR that it was made from
    status                   "added", "present" (the store had it, from another file) or "failed"
    store, entries           where it went
    error, notes             why it failed; what was assumed
    cpu_seconds, finished    of hashing and computing; when, UTC
    asked                    a digest of the options: what failed with others is tried again
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from chgtools.formats import archives
from chgtools.jobs.manifest import FAILED, Manifest
from chgtools.jobs.shard import Shard
from chgtools.stores.store import opened

Stamp = tuple[int, int] | None


def stamp_of(path: Path) -> Stamp:
    """(size in bytes, time of the last change in ns) of a source, or of the archive it lies in; None for none."""
    with suppress(OSError):
        status = archives.split(path)[0].stat()
        return status.st_size, status.st_mtime_ns
    return None


class Progress:
    """The manifest of a build. path : its file; store : that of this shard; asked : a digest of the options"""

    def __init__(self, store: Path, options: Any, shard: Shard | None = None, retry_failed: bool = False) -> None:
        """store : of the whole build; options : what is asked of every source, with a repr that says all of it.

        Raises FormatError, ChgtoolsError for a manifest that cannot be used.
        """
        shard = shard or Shard()
        self.store = shard.file_of(store)
        self._manifest = Manifest(store.with_name(f"{store.name}.manifest.jsonl"), shard, "file")
        self.path = self._manifest.path
        self.asked = hashlib.sha256(repr(options).encode()).hexdigest()[:12]
        self._retry_failed = retry_failed

    def settled(self, path: Path, stamp: Stamp) -> Mapping[str, Any] | None:
        """The record of a source that nothing is to be done for; it is not read, nor is its entry."""
        record = self._manifest.known.get(str(path))
        if record is None or stamp is None or (record.get("size"), record.get("mtime_ns")) != stamp:
            return None
        if record["status"] == FAILED:
            return None if self._retry_failed or record.get("asked") != self.asked else record
        names, store = record.get("entries"), str(record.get("store", ""))
        if not names:
            return None
        if store == self.store.name:
            return record if self._names.issuperset(names) else None
        return record if self.store.with_name(store).is_file() else None  # of a call with another number of shards

    def add(self, path: Path, stamp: Stamp, facts: Mapping[str, Any]) -> None:
        """Keep what became of a source, once its entry is in the store. Raises ChgtoolsError when that fails."""
        size, mtime = stamp or (None, None)
        self._manifest.add(
            str(path),
            {
                "size": size,
                "mtime_ns": mtime,
                **facts,
                "store": self.store.name,
                "asked": self.asked,
                "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    @cached_property
    def _names(self) -> set[str]:
        """What the store of this shard held when the build began; names alone, which is quick."""
        if not self.store.is_file():
            return set()
        with opened(self.store) as file:
            return set(file)
