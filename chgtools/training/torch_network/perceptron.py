"""The small networks of invariants that all parts of the model are made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


class Perceptron(nn.Sequential):
    """Layers with SiLU between them."""

    def __init__(self, *widths: int) -> None:
        layers: list[nn.Module] = []
        for index, (a, b) in enumerate(pairwise(widths)):
            layers += [nn.Linear(a, b)] if index == len(widths) - 2 else [nn.Linear(a, b), nn.SiLU()]
        super().__init__(*layers)
