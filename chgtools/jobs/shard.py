"""Which part of a list a task of a job array does, and what its own files are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chgtools.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """Part ``index`` (from 1) of ``count`` equal parts of a list: the items index, index + count, ..."""

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

    def part(self, items: Sequence[T]) -> Sequence[T]:
        return items[self.index - 1 :: self.count]

    def file_of(self, whole: Path) -> Path:
        """all.3-of-8.h5 for all.h5; the same file where there is one part alone."""
        if self.count == 1:
            return whole
        return whole.with_name(f"{whole.stem}.{self.index}-of-{self.count}{whole.suffix}")


def files_of_shards(whole: Path) -> list[Path]:
    """The files that are there of all shards, however many they are, of any call; sorted."""
    pattern = re.compile(re.escape(whole.stem) + r"\.\d+-of-\d+" + re.escape(whole.suffix))
    return sorted(path for path in whole.parent.glob("*") if pattern.fullmatch(path.name))
