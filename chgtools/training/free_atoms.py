"""Spherical densities of free atoms that fit total densities best: where a model of total densities may start.

With them a model of total densities has an atom for each element, as a model of difference densities has by the SAED.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from chgtools.training.samples import Sample


def fit_free_atoms(samples: Sequence[Sample], n_elements: int, n_max: int, ridge: float = 1e-6) -> Tensor:
    """(n_elements, n_max) coefficients of l = 0 that minimise Σ |residual|² / |target|² over all structures.

    ridge : added to the diagonal of the normal equations, in units of its mean
    """
    size = n_elements * n_max
    normal, right = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for sample in samples:
        sphere = sample.even[:n_max].T.double()  # l = 0 comes first
        weight = (sample.weight.double() / sample.norm).sqrt()[:, None]
        present = sample.atoms.element.unique()
        columns = []
        for element in present:
            own = sample.atoms.element == element
            factors = torch.stack([sample.cosine[own].sum(0), -sample.sine[own].sum(0)]).double()
            columns.append((weight * factors[:, :, None] * sphere).flatten(0, 1))
        rows = torch.cat(columns, 1)
        target = (weight * sample.target.double()).T.flatten()
        place = (present[:, None] * n_max + torch.arange(n_max)).flatten()
        normal[place[:, None], place] += rows.T @ rows
        right[place] += rows.T @ target
    normal.diagonal().add_(ridge * normal.diagonal().mean())
    return torch.linalg.solve(normal, right).view(n_elements, n_max).float()
