"""Entries of stores as tensors to train on: the neighbours of the atoms, and the waves of basis and target.

V·n_G of the functions around one atom at the origin is real for even l and imaginary for odd l. So a structure needs
one real table (n_G, n_lm, n_max), whatever its number of atoms, and cosines and sines of G·R.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from chgtools.cell import reciprocal
from chgtools.models.batch import Batch, graph, merge, to_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from chgtools.models.basis import RadialBasis
    from chgtools.models.encoder import EncoderSettings
    from chgtools.training.entry import Entry


__all__ = ["Sample", "graph", "merge", "sample_of"]


@dataclass
class Sample:
    """A structure and its target.

    atoms : its Batch
    even, odd : (n_G, n_even), (n_G, n_odd) waves of the functions of even and odd l, signs of (-i)^l included
    cosine, sine : (n_G, n_atoms) of G·R
    target : (n_G, 2) real and imaginary part of V·n_G; weight : (n_G,) of each wave in a sum over half the sphere
    norm : Σ weight |target|²; electrons; scale : percent of the electrons (ε_mae) that the target is
    """

    name: str
    atoms: Batch
    even: Tensor
    odd: Tensor
    cosine: Tensor
    sine: Tensor
    target: Tensor
    weight: Tensor
    inverse_square: Tensor
    norm: float
    scale: float
    total: float


def sample_of(
    entry: Entry, elements: Sequence[str], settings: EncoderSettings, basis: RadialBasis, most_waves: int, seed: int = 0
) -> Sample:
    """Of at most ``most_waves`` waves, drawn by the size of the target around them where there are more."""
    from chgtools.kernels.harmonics import harmonics

    structure, miller, wanted = entry.structure, entry.miller, entry.dcd
    g = miller @ reciprocal(structure.lattice)
    q = np.linalg.norm(g, axis=1)
    weight = np.ones(len(q))
    norm = float((np.abs(wanted) ** 2).sum())
    if len(q) > most_waves:
        chance = np.minimum(1, _chances(q, np.abs(wanted) ** 2, most_waves))
        chosen = np.random.default_rng(seed).random(len(q)) < chance
        miller, g, q, wanted, weight = miller[chosen], g[chosen], q[chosen], wanted[chosen], 1 / chance[chosen]
    degrees = np.repeat(np.arange(settings.l_max + 1), 2 * np.arange(settings.l_max + 1) + 1)
    sign = np.array([1, -1, -1, 1, 1])[degrees]  # (-i)^l = 1, -i, -1, i, 1
    angular = harmonics(settings.l_max, g / q[:, None]) * sign[:, None]
    radial = basis.transforms(q)
    even, odd = (
        np.concatenate([angular[k][:, None] * radial[degrees[k]].T for k in np.flatnonzero(degrees % 2 == part)], 1)
        for part in (0, 1)
    )
    angle = 2 * np.pi * (miller @ structure.frac.T)
    return Sample(
        name=entry.name,
        atoms=graph(structure, elements, settings),
        even=to_tensor(even),
        odd=to_tensor(odd),
        cosine=to_tensor(np.cos(angle)),
        sine=to_tensor(np.sin(angle)),
        target=to_tensor(np.stack([wanted.real, wanted.imag], 1)),
        weight=to_tensor(weight),
        inverse_square=to_tensor(q**-2.0),
        norm=norm,
        scale=float(entry.attributes["saed_eps_mae_percent"]),
        total=entry.dcd_0,
    )


def _chances(q: NDArray[np.float64], square: NDArray[np.float64], wanted: int) -> NDArray[np.float64]:
    """(n_G,) expected number of times a wave is drawn, of ``wanted`` in all: by the rms of the target in its shell."""
    shell = np.minimum((q / 0.5).astype(int), 200)
    count = np.bincount(shell, minlength=201)
    rms = np.sqrt(np.bincount(shell, square, 201) / np.maximum(count, 1))[shell]
    rms += 0.02 * rms.max()
    chance = rms * wanted / rms.sum()
    for _ in range(20):  # those above one are drawn once; the others share what is left
        full = chance >= 1
        rest = (wanted - full.sum()) / chance[~full].sum() if (~full).any() else 1.0
        chance = np.where(full, 1.0, chance * rest)
    return np.asarray(chance)
