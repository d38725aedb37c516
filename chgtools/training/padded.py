"""Samples of like size put together, so that one operation serves all of them.

What a structure has less than the largest is zeros behind its own: waves without weight, atoms without density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import pad

from chgtools.training.samples import tables

if TYPE_CHECKING:
    from chgtools.training.samples import Sample

MOST = 2.0  # numbers (waves × atoms) over those that are needed


@dataclass
class Padded:
    """Fields of Sample, with an axis of the structures in front; ``magnetic`` and ``moments`` behind the components."""

    samples: tuple[Sample, ...]
    even: Tensor
    odd: Tensor
    cosine: Tensor
    sine: Tensor
    target: Tensor
    weight: Tensor
    inverse_square: Tensor
    norm: Tensor
    coulomb_norm: Tensor
    scale: Tensor
    electrons: Tensor
    outer: Tensor
    outer_coulomb: Tensor
    magnetic: Tensor | None
    moments: Tensor | None

    @classmethod
    def of(cls, samples: Sequence[Sample], device: torch.device) -> Padded:
        """All of them with a magnetisation or none; collinear ones are along z beside non-collinear ones."""

        def stacked(name: str) -> Tensor:
            return _stacked([getattr(sample, name) for sample in samples]).to(device)

        def numbers(name: str) -> Tensor:
            return torch.tensor([getattr(sample, name) for sample in samples], dtype=torch.float32).to(device)

        even, odd = tables(stacked("radial"), stacked("angular"))
        magnetic = moments = None
        if samples[0].magnetic is not None:
            most = max(len(_known(sample.magnetic)) for sample in samples)
            waves = [_known(sample.magnetic) for sample in samples]
            magnetic = _stacked([pad(m, (0, 0, 0, 0, most - len(m), 0)) for m in waves]).transpose(0, 1).to(device)
            cells = [_known(sample.moments) for sample in samples]
            moments = _stacked([pad(m, (most - len(m), 0)) for m in cells]).T.to(device)
        return cls(
            tuple(samples), even, odd, stacked("cosine"), stacked("sine"), stacked("target"), stacked("weight"),
            stacked("inverse_square"), numbers("norm"), numbers("coulomb_norm"), numbers("scale"), numbers("electrons"),
            stacked("outer"), stacked("outer_coulomb"), magnetic, moments,
        )  # fmt: skip

    def atoms(self, starts: Sequence[int], nothing: int) -> Tensor:
        """(n_structures, n_atoms) places of the atoms among those of a batch, ``nothing`` where a structure has none.

        starts : place of the first atom of each structure
        """
        counts = [len(sample.cosine) for sample in self.samples]
        rows = [
            [*range(start, start + n), *[nothing] * (max(counts) - n)] for start, n in zip(starts, counts, strict=True)
        ]
        return torch.tensor(rows, device=self.even.device)


def alike(samples: Sequence[Sample]) -> list[list[int]]:
    """Numbers of samples, in groups of like size; those with a magnetisation stand apart.

    However different they are, a group takes at most MOST times the numbers that its samples have.
    """
    sizes = [tuple(sample.cosine.shape) for sample in samples]
    spins = [sample.magnetic is not None for sample in samples]

    def is_wasteful(numbers: Sequence[int]) -> bool:
        atoms, waves = (max(sizes[i][axis] for i in numbers) for axis in (0, 1))
        return len(numbers) * waves * atoms > MOST * sum(sizes[i][0] * sizes[i][1] for i in numbers)

    groups: list[list[int]] = []
    for i in sorted(range(len(samples)), key=lambda i: (spins[i], sizes[i][0] * sizes[i][1])):
        if not groups or spins[groups[-1][0]] != spins[i] or is_wasteful([*groups[-1], i]):
            groups.append([])
        groups[-1].append(i)
    return groups


def _stacked(values: Sequence[Tensor]) -> Tensor:
    """With an axis in front, each axis as long as the longest and 0 behind the others."""
    if len(values) == 1:
        return values[0][None]
    longest = [max(sizes) for sizes in zip(*(value.shape for value in values), strict=True)]
    result = values[0].new_zeros(len(values), *longest)
    for own, value in zip(result, values, strict=True):
        own[tuple(slice(n) for n in value.shape)] = value
    return result


def _known(values: Tensor | None) -> Tensor:
    assert values is not None
    return values
