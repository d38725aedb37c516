"""Entries of stores as tensors to train on: the neighbours of the atoms, and the waves of basis and target.

V·n_G of the functions around one atom at the origin is real for even l and imaginary for odd l. So a structure needs
one real table (n_lm, n_max, n_G), whatever its number of atoms, and cosines and sines of G·R. The table is a product of
two small ones, which are kept: it is made when it is needed (:func:`tables`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from chgtools.cell import reciprocal
from chgtools.fourier.grids import fft_friendly
from chgtools.fourier.phases import angles, structure_factors
from chgtools.models.graph import graph
from chgtools.training.spins import start_directions
from chgtools.training.torch_network.graph import TensorGraph, to_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from chgtools.fourier.basis import RadialBasis
    from chgtools.models.encoder_settings import EncoderSettings
    from chgtools.stores.entry import Entry
    from chgtools.tightbinding.features import PriorFeatures


@dataclass
class Sample:
    """A structure and its target.

    kind : of the structure; atoms : its TensorGraph
    radial : (l_max + 1, n_max, n_G) transforms of the radial functions
    angular : (n_lm, n_G) spherical harmonics, signs of (-i)^l included
    cosine, sine : (n_atoms, n_G) of G·R
    target : (n_G, 2) real and imaginary part of V·n_G; weight : (n_G,) of each wave in a sum over half the sphere
    inverse_square : (n_G,) 1/G², Å²
    norm, coulomb_norm : Σ |dcd|² over half the sphere, the same with 1/G²
    scale : percent of the electrons that the difference density is (ε_mae of the SAED)
    electrons, total : NELECT, and the integral of the target
    outer, outer_coulomb : (n_lm, n_max, n_max) what an atom's coefficients add to the sums of |V·n_G|² and |V·n_G|²/G²
        over the waves beyond those of the target, up to where the basis ends; there the target is 0
    transform : brings the residual onto a grid; None where some waves were left out
    magnetic : (n_components, n_G, 2) V·m_G as ``target``, moments : (n_components,) of the cell, μ_B; None without spin
    """

    name: str
    kind: str
    atoms: TensorGraph
    radial: Tensor
    angular: Tensor
    cosine: Tensor
    sine: Tensor
    target: Tensor
    weight: Tensor
    inverse_square: Tensor
    norm: float
    coulomb_norm: float
    scale: float
    electrons: float
    total: float
    outer: Tensor
    outer_coulomb: Tensor
    transform: GridTransform | None
    magnetic: Tensor | None = None
    moments: Tensor | None = None

    @property
    def even(self) -> Tensor:
        """(n_even, n_G) waves of the functions of even l."""
        return tables(self.radial, self.angular)[0]

    @property
    def odd(self) -> Tensor:
        """(n_odd, n_G) waves of the functions of odd l."""
        return tables(self.radial, self.angular)[1]


@dataclass
class GridTransform:
    """Half-sphere coefficients onto a grid: their places in the half-complex array (ny, nz, nx//2 + 1) of a real FFT.

    sizes : (ny, nz, nx); places : (n_G,) flat; again : (m,) which coefficients are needed conjugated as well, at mirror
    """

    sizes: tuple[int, int, int]
    places: Tensor
    again: Tensor
    mirror: Tensor

    def to(self, device: torch.device | str) -> GridTransform:
        return GridTransform(self.sizes, self.places.to(device), self.again.to(device), self.mirror.to(device))

    @classmethod
    def of(cls, miller: NDArray[np.int64]) -> GridTransform:
        """For the smallest grid that holds all waves and is quick to transform."""
        nx, ny, nz = (fft_friendly(2 * int(n) + 2) for n in np.abs(miller).max(axis=0))
        width = nx // 2 + 1
        h, k, m = miller.T
        again = np.flatnonzero(h == 0)
        return cls(
            (ny, nz, nx),
            to_tensor(((k % ny) * nz + m % nz) * width + h, torch.int64),
            to_tensor(again, torch.int64),
            to_tensor(((-k[again] % ny) * nz + -m[again] % nz) * width, torch.int64),
        )

    def __call__(self, values: Tensor) -> Tensor:
        """(ny, nz, nx) of (n_G, 2) coefficients: Σ_G v_G exp(iG·r) over the whole sphere."""
        ny, nz, nx = self.sizes
        flat = values.new_zeros(ny * nz * (nx // 2 + 1), 2).index_add(0, self.places, values)
        conjugated = values[self.again] * values.new_tensor([1.0, -1.0])
        flat = flat.index_add(0, self.mirror, conjugated)
        half = torch.view_as_complex(flat).view(ny, nz, nx // 2 + 1)
        return torch.fft.irfftn(half, s=self.sizes, norm="forward")


def sample_of(
    entry: Entry,
    elements: Sequence[str],
    settings: EncoderSettings,
    basis: RadialBasis,
    most_waves: int,
    *,
    total: bool = False,
    seed: int | Sequence[int] = 0,
    prior: PriorFeatures | None = None,
) -> Sample:
    """The sample of an entry.

    elements : of the model; most_waves : of more, so many are drawn by the size of the target around them
    total : whether the target is the total density, with the built-in atoms; prior : features, where settings have one
    """
    structure, miller, wanted, integral = entry.structure, entry.miller, entry.dcd, entry.dcd_0
    g = miller @ reciprocal(structure.lattice)
    q = np.linalg.norm(g, axis=1)
    weight = np.ones(len(q))
    square = np.abs(wanted) ** 2
    norm, coulomb_norm = float(square.sum()), float((square / q**2).sum())
    if total:
        atoms, zvals = atoms_density(entry, q)
        wanted, integral = wanted + atoms, integral + zvals
        square = np.abs(wanted) ** 2
    magnetic = entry.magnetisation if settings.spin_channels else None
    transform = None if len(q) > most_waves else GridTransform.of(miller)
    if len(q) > most_waves:
        chance = np.minimum(1, _chances(q, square, most_waves))
        chosen = np.random.default_rng(seed).random(len(q)) < chance
        miller, g, q, wanted, weight = miller[chosen], g[chosen], q[chosen], wanted[chosen], 1 / chance[chosen]
        magnetic = None if magnetic is None else magnetic[:, chosen]
    radial, angular = _factors(basis, settings.l_max, g, q)
    angle = angles(miller, structure.frac).T
    outer, outer_coulomb = (_beyond(basis, entry.g_max, structure.volume, power) for power in (2, 0))
    degrees = _degrees(settings.l_max)
    spin = None if magnetic is None else start_directions(entry)
    return Sample(
        name=entry.name,
        kind=str(entry.attributes.get("kind", "unknown")),
        atoms=TensorGraph.of(graph(structure, elements, settings, spin, prior)),
        radial=to_tensor(radial),
        angular=to_tensor(angular),
        cosine=to_tensor(np.cos(angle)),
        sine=to_tensor(np.sin(angle)),
        target=to_tensor(np.stack([wanted.real, wanted.imag], 1)),
        weight=to_tensor(weight),
        inverse_square=to_tensor(q**-2.0),
        norm=norm,
        coulomb_norm=coulomb_norm,
        scale=float(entry.attributes["saed_eps_mae_percent"]),
        electrons=float(entry.attributes["nelectrons"]),
        total=integral,
        outer=to_tensor(outer[degrees]),
        outer_coulomb=to_tensor(outer_coulomb[degrees]),
        transform=transform,
        magnetic=None if magnetic is None else to_tensor(np.stack([magnetic.real, magnetic.imag], 2)),
        moments=None if magnetic is None else to_tensor(entry.magnetisation_0),
    )


def _degrees(l_max: int) -> NDArray[np.int64]:
    """(n_lm,) l of each lm."""
    return np.repeat(np.arange(l_max + 1), 2 * np.arange(l_max + 1) + 1)


def _factors(
    basis: RadialBasis, l_max: int, g: NDArray[np.float64], q: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``radial`` and ``angular`` of a Sample, for waves g (n_G, 3) of length q (n_G,), 1/Å."""
    from chgtools.kernels.harmonics import harmonics

    sign = np.array([1, -1, -1, 1])[_degrees(l_max) % 4]  # (-i)^l = 1, -i, -1, i
    return basis.transforms(q), harmonics(l_max, g / q[:, None]) * sign[:, None]


def tables(radial: Tensor, angular: Tensor) -> tuple[Tensor, Tensor]:
    """(..., n_even, n_G) and (..., n_odd, n_G) waves of the functions of even and of odd l, by lm and then by n.

    radial : (..., l_max + 1, n_max, n_G), angular : (..., n_lm, n_G), as a Sample has them
    """
    *rest, n_l, n_max, n_waves = radial.shape
    found = []
    for part in (0, 1):
        degrees = range(part, n_l, 2)
        table = radial.new_empty(*rest, n_max * sum(2 * ell + 1 for ell in degrees), n_waves)
        for ell, own in zip(degrees, table.split([n_max * (2 * ell + 1) for ell in degrees], -2), strict=True):
            harmonic = angular[..., ell**2 : (ell + 1) ** 2, None, :]
            torch.mul(harmonic, radial[..., ell, None, :, :], out=own.unflatten(-2, (2 * ell + 1, n_max)))
        found.append(table)
    return found[0], found[1]


def _beyond(basis: RadialBasis, g_max: float, volume: float, power: int) -> NDArray[np.float64]:
    """(l_max + 1, n_max, n_max) ½ V/(2π)³ ∫ q^power t_ln t_ln' dq beyond g_max: the sum over half of the waves.

    The waves of other atoms come with phases that turn fast there, so what atoms have in common adds up to little.
    """
    tables = basis.tables
    step = tables.q[1]
    weight = np.clip((tables.q - g_max) / step + 0.5, 0, 1) * tables.q**power * step * volume / (16 * np.pi**3)
    return np.asarray(np.einsum("lnq,q,lmq->lnm", tables.transforms, weight, tables.transforms, optimize=True))


def atoms_density(entry: Entry, q: NDArray[np.float64]) -> tuple[NDArray[np.complex128], float]:
    """(n_G,) V·n_G of the built-in PBE atoms at the entry's waves of length q (1/Å), and ΣZVAL of these atoms."""
    from chgtools.libraries.choice import Source, choose

    structure = entry.structure
    densities = choose(structure.with_changes(labels=()), Source()).densities
    values = np.zeros(len(q), complex)
    for factor, density in zip(structure_factors(entry.miller, structure), densities, strict=True):
        values += factor * density.form_factor(q)
    return values, float(sum(d.zval * n for d, n in zip(densities, structure.counts, strict=True)))


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
