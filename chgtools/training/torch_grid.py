"""The expansion of chgtools.fourier.basis on a GPU: the same sum, in Fourier space, with torch.

Each wave of the coarsest grid that holds the basis gets Σ_a exp(-iG·R_a) Σ_lm (-i)^l Y_lm(G) Σ_n c_a,lm,n t_ln(|G|),
in pieces that fit in memory; then one inverse FFT to the grid asked for. On a CPU ``basis.expand`` is faster: its time
does not grow with atoms times waves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from chgtools.cell import reciprocal
from chgtools.fourier.basis import DQ_PER_ANGSTROM, RadialBasis, check_coefficients, holding_shape, total_charge
from chgtools.fourier.grids import check_shape

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from chgtools.cell import Structure

_WAVES_AT_ONCE = 1 << 15


def expand_on(
    device: str | torch.device,
    structure: Structure,
    coefficients: ArrayLike,
    basis: RadialBasis,
    shape: Sequence[int],
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """The expansion as a tensor (nx, ny, nz) on ``device``, electrons/Å³; arguments as in ``basis.expand``.

    Waves that ``shape`` cannot hold are left out; those with an index of exactly half an even axis as well.
    """
    values = torch.as_tensor(check_coefficients(coefficients, structure.n_atoms, basis), dtype=dtype, device=device)
    sizes = check_shape(shape)
    coarse = holding_shape(structure.lattice, basis.q_max)
    limits = [(min(a, b) - 1) // 2 for a, b in zip(coarse, sizes, strict=True)]
    axes = [torch.arange(-n, n + 1, device=device) for n in limits[:2]]
    axes.append(torch.arange(0, limits[2] + 1, device=device))
    miller = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    b = torch.as_tensor(reciprocal(structure.lattice), dtype=dtype, device=device)
    frac = torch.as_tensor(structure.frac, dtype=dtype, device=device)
    table = torch.as_tensor(basis.tables.transforms, dtype=dtype, device=device)
    # as n x (lm of one l) x atoms, so that each l is one product of matrices
    by_l = [values[:, el**2 : (el + 1) ** 2].permute(2, 1, 0).flatten(1) for el in range(basis.l_max + 1)]
    half = torch.zeros((sizes[0], sizes[1], sizes[2] // 2 + 1), dtype=torch.complex128, device=device).to(
        torch.complex128 if dtype == torch.float64 else torch.complex64
    )
    for start in range(0, len(miller), _WAVES_AT_ONCE):
        part = miller[start : start + _WAVES_AT_ONCE]
        g = part.to(dtype) @ b
        q = g.norm(dim=1)
        inside = q <= basis.q_max * 4 / 3
        part, g, q = part[inside], g[inside], q[inside]
        angular = harmonics(basis.l_max, g / q.clamp_min(1e-30)[:, None])
        radial = _interpolate(table, q)
        angle = 2 * np.pi * (part.to(dtype) @ frac.T)
        total = torch.zeros(len(q), dtype=half.dtype, device=device)
        for el, matrix in enumerate(by_l):
            width = 2 * el + 1
            amplitude = (radial[el].T @ matrix).view(len(q), width, -1)
            amplitude = (amplitude * angular[:, el**2 : (el + 1) ** 2, None]).sum(1)
            total += (-1j) ** el * torch.complex((amplitude * angle.cos()).sum(1), -(amplitude * angle.sin()).sum(1))
        x, y, z = part.unbind(1)
        half[x % sizes[0], y % sizes[1], z] = total / structure.volume
    half[0, 0, 0] = total_charge(values.cpu().double().numpy(), basis) / structure.volume
    return torch.fft.irfftn(half, s=sizes, norm="forward")


def harmonics(l_max: int, directions: Tensor) -> Tensor:
    """(n, n_lm) real spherical harmonics of unit vectors (n, 3), in the order of chgtools.kernels.harmonics."""
    from chgtools.kernels.harmonics import recurrence

    factors = recurrence(l_max)
    x, y, z = directions.unbind(1)
    values: list[Any] = [None] * (l_max + 1) ** 2
    real, imaginary = torch.ones_like(x), torch.zeros_like(x)
    for m in range(l_max + 1):
        before, now = torch.zeros_like(x), torch.full_like(x, float(factors[0, m, m]))
        for el in range(m, l_max + 1):
            if el > m:
                before, now = now, factors[0, el, m] * z * now - factors[1, el, m] * before
            values[el * el + el + m] = now * real
            if m:
                values[el * el + el - m] = now * imaginary
        real, imaginary = real * x - imaginary * y, real * y + imaginary * x
    return torch.stack(values, 1)


def _interpolate(table: Tensor, q: Tensor) -> Tensor:
    """(l_max + 1, n_max, n) of a table on a uniform mesh, by the cubic through the four points around each q."""
    last = table.shape[2] - 1
    place = (q / DQ_PER_ANGSTROM).clamp(max=last)
    index = place.long().clamp(1, last - 2)
    t = place - index
    weights = (
        -t * (t - 1) * (t - 2) / 6,
        (t + 1) * (t - 1) * (t - 2) / 2,
        -(t + 1) * t * (t - 2) / 2,
        (t + 1) * t * (t - 1) / 6,
    )
    values = torch.zeros(*table.shape[:2], len(q), dtype=table.dtype, device=table.device)
    for shift, weight in zip((-1, 0, 1, 2), weights, strict=True):
        values += table[:, :, index + shift] * weight
    return torch.where(place < last, values, 0.0)
