"""Samples that are too many for the memory: made when a step needs them, by processes that are ahead of it.

A structure is named by where its store lies, so that what goes to the processes is small, however many structures there
are. Each process keeps the files that it has read from open.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from torch.utils.data import DataLoader, Dataset

from chgtools.models.encoder_settings import NO_PRIOR
from chgtools.stores.store import entry_in, opened
from chgtools.training.prior import features_of_entry
from chgtools.training.reference import from_ground_state
from chgtools.training.samples import sample_of

if TYPE_CHECKING:
    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.stores.entry import Entry
    from chgtools.tightbinding.features import PriorFeatures
    from chgtools.training.data import Entries
    from chgtools.training.samples import Sample

Draw = tuple[int, ...]  # what the waves of a structure are drawn by
Key = tuple[Path, str, Draw]  # file, name of the entry in it
FIRST_DRAW: Draw = (0,)
AHEAD = 4  # batches of each process


@dataclass
class Maker(Dataset["Sample"]):
    """Samples by Key. elements : of the model; waves, total : see chgtools.training.samples.sample_of"""

    elements: tuple[str, ...]
    encoder: EncoderSettings
    basis: RadialBasis
    waves: int
    total: bool

    def __getitem__(self, key: Key) -> Sample:
        path, name, draw = key
        entry = from_ground_state(entry_in(_file(os.getpid(), path)[1], name, path))
        prior = None if self.encoder.prior == NO_PRIOR else features_of_entry(entry, self.encoder)
        return self.sample(entry, prior, draw)

    def sample(self, entry: Entry, prior: PriorFeatures | None, draw: Draw = FIRST_DRAW) -> Sample:
        """Of an entry with the prior's features, where the encoder takes any."""
        return sample_of(
            entry, self.elements, self.encoder, self.basis, self.waves, total=self.total, prior=prior, seed=draw
        )


@dataclass
class Streamed(Sequence["Sample"]):
    """Samples of entries. workers : processes that make them, 0 for none beside this one"""

    entries: Entries
    maker: Maker
    workers: int

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Streamed: ...
    def __getitem__(self, index: int | slice) -> Sample | Streamed:
        if isinstance(index, slice):
            return Streamed(self.entries[index], self.maker, self.workers)
        return self.maker[self._key(index, FIRST_DRAW)]

    def __len__(self) -> int:
        return len(self.entries)

    def batches(self, plan: Iterable[tuple[Sequence[int], Draw]]) -> Iterator[list[Sample]]:
        """The samples of each part of a plan, (numbers, draw), in its order."""
        keys = ([self._key(number, draw) for number in numbers] for numbers, draw in plan)
        if not self.workers:
            for part in keys:
                yield [self.maker[key] for key in part]
            return
        loader: DataLoader[Sample] = DataLoader(
            self.maker, batch_sampler=keys, num_workers=self.workers, prefetch_factor=AHEAD, collate_fn=list
        )
        yield from loader

    def _key(self, number: int, draw: Draw) -> Key:
        place = self.entries.places[number]
        return *place.store.where(place.name), draw if draw == FIRST_DRAW else (*draw, number)


@atexit.register
def _close() -> None:
    """Before the interpreter ends, which takes away what closing a file needs."""
    _file.cache_clear()


@lru_cache(maxsize=64)
def _file(process: int, path: Path) -> tuple[ExitStack, Any]:
    """What keeps the file of a store open, and the file. process : this one; those that come of it share no file"""
    stack = ExitStack()
    return stack, stack.enter_context(opened(path))


def batches(samples: Sequence[Sample], plan: Iterable[tuple[Sequence[int], Draw]]) -> Iterator[list[Sample]]:
    """The samples of each part of a plan, (numbers, draw); those in memory have been drawn once and for ever."""
    if isinstance(samples, Streamed):
        yield from samples.batches(plan)
        return
    for numbers, _ in plan:
        yield [samples[number] for number in numbers]
