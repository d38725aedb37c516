"""What is known of the items of a job, one JSON object to a line, and kept through whatever kills the job.

A job array writes one file for each shard, ``NAME.2-of-8.jsonl`` beside ``NAME.jsonl``, and reads them all.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.jobs.shard import Shard, files_of_shards

FAILED = "failed"


class Manifest:
    """What is known of a job, and the one file that this process adds to.

    path : the file of this shard; known : {name: its last record}, from this file and those of the other shards
    """

    def __init__(self, base: Path, shard: Shard, key: str) -> None:
        """base : file of a job without shards; key : what a record calls the name of its item.

        Raises FormatError when a file is no such manifest, ChgtoolsError when it cannot be read.
        """
        if not base.parent.is_dir():
            raise ChgtoolsError(f"{base}: the folder {base.parent} does not exist; make it first")
        self.path = shard.file_of(base)
        self._key = key
        self.known: dict[str, dict[str, Any]] = {}
        for path in [base, *files_of_shards(base)]:
            if path.exists():
                self._read(path)

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ChgtoolsError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
        first = f'{{"{self._key}": '.encode()  # how each line begins
        if not content.startswith(first[: len(content)]):
            raise FormatError(f"is there and is no manifest with one {self._key} to a line; move it away", path, 1)
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
            if isinstance(record, dict) and isinstance(record.get(self._key), str) and "status" in record:
                of_this_file[record[self._key]] = record
        for name, record in of_this_file.items():
            # Another shard, of an earlier call, may know older things of an item; of two as old, the done one holds
            if name not in self.known or _age(record) > _age(self.known[name]):
                self.known[name] = record

    def add(self, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Append a record, on disk when this returns. Raises ChgtoolsError when it cannot be written."""
        full = {self._key: name, **record}
        line = json.dumps(full).encode() + b"\n"
        try:
            with self.path.open("ab") as file:
                if file.tell() and not self._ends_well():
                    line = b"\n" + line  # after half a line of a killed job
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ChgtoolsError(f"{self.path}: writing failed ({error.strerror}); the job cannot go on") from error
        self.known[name] = full
        return full

    def _ends_well(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"


def _age(record: Mapping[str, Any]) -> tuple[str, bool]:
    return str(record.get("finished", "")), record["status"] != FAILED
