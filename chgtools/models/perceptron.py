"""The small networks of invariants that all parts of the model are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Layers with SiLU between them, two or more. layers : weight (n_out, n_in) and bias (n_out,) of each"""

    layers: tuple[tuple[Array, Array], ...]

    @classmethod
    def of(cls, tensors: Mapping[str, Array], name: str) -> Perceptron:
        """That of a network's tensors NAME.0.weight, NAME.0.bias, NAME.2.weight, ...: the odd numbers are SiLU's."""
        layers: list[tuple[Array, Array]] = []
        while (start := f"{name}.{2 * len(layers)}") + ".weight" in tensors:
            layers.append((tensors[f"{start}.weight"], tensors[f"{start}.bias"]))
        return cls(tuple(layers))

    def __call__(self, inputs: Array) -> Array:
        """(n, n_out) of (n, n_in)."""
        first, last = self.layers[0], self.layers[-1]
        return self.inner(inputs @ first[0].T + first[1]) @ last[0].T + last[1]

    def inner(self, first: Array) -> Array:
        """What the last layer takes, of what the first one gives."""
        values = silu(first)
        for weight, bias in self.layers[1:-1]:
            values = silu(values @ weight.T + bias)
        return values


def silu(x: Array) -> Array:
    """x / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # far below 0 the quotient is 0, as it should be
        divisor = np.exp(-x)
    divisor += 1
    return np.divide(x, divisor, out=divisor)
