"""The atoms of a batch as tensors, and what a training does with them: put together, some elements hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from chgtools.models.graph import FOREIGN

if TYPE_CHECKING:
    from chgtools.models.graph import AtomGraph


@dataclass
class TensorGraph:
    """Atoms of several structures, one after the other, and their pairs; fields of chgtools.models.graph.AtomGraph."""

    element: Tensor
    foreign: Tensor
    centre: Tensor
    other: Tensor
    radial: Tensor
    envelope: Tensor
    harmonics: Tensor
    spin: Tensor
    onsite: Tensor
    tensors: Tensor
    spins: Tensor

    @classmethod
    def of(cls, atoms: AtomGraph, dtype: torch.dtype = torch.float32) -> TensorGraph:
        """The same atoms; dtype : of all but the indices"""
        kinds = {name: torch.int64 if values.dtype.kind == "i" else dtype for name, values in vars(atoms).items()}
        return cls(**{name: to_tensor(values, kinds[name]) for name, values in vars(atoms).items()})

    def to(self, device: torch.device | str) -> TensorGraph:
        return TensorGraph(**{name: value.to(device) for name, value in vars(self).items()})


def merge(graphs: Sequence[TensorGraph]) -> TensorGraph:
    """One graph of several: the atoms in the order given; collinear spins are along z beside non-collinear ones."""
    most = max(g.spin.shape[1] for g in graphs)
    counts = np.cumsum([0] + [len(g.element) for g in graphs[:-1]])
    return TensorGraph(
        element=torch.cat([g.element for g in graphs]),
        foreign=torch.cat([g.foreign for g in graphs]),
        centre=torch.cat([g.centre + int(n) for g, n in zip(graphs, counts, strict=True)]),
        other=torch.cat([g.other + int(n) for g, n in zip(graphs, counts, strict=True)]),
        radial=torch.cat([g.radial for g in graphs]),
        envelope=torch.cat([g.envelope for g in graphs]),
        harmonics=torch.cat([g.harmonics for g in graphs]),
        spin=torch.cat([pad(g.spin, (most - g.spin.shape[1], 0)) for g in graphs]),
        onsite=torch.cat([g.onsite for g in graphs]),
        tensors=torch.cat([g.tensors for g in graphs]),
        spins=torch.cat([pad(g.spins, (0, 0, 0, 0, most - g.spins.shape[1], 0)) for g in graphs]),
    )


def with_foreign(atoms: TensorGraph, element: int, properties: Tensor) -> TensorGraph:
    """The same atoms, those of one element made foreign. atoms : none of them foreign; properties : the encoder's"""
    chosen = atoms.element == element
    return replace(
        atoms,
        element=atoms.element.masked_fill(chosen, FOREIGN),
        foreign=properties[element].expand(int(chosen.sum()), -1),
    )


def to_tensor(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(values)).to(dtype)
