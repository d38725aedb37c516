"""Sums over the half-complex Fourier coefficients of a grid (see chgtools.fourier.grids for their layout)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chgtools.kernels import kernel
from chgtools.kernels.geometry import FormFactors


# deep: rows, their mirror images, species and points, in short loops that become vector code
@kernel
def add_structure_factors(
    plane: Any, parts: Any, kz: int, metric: Any, factors: FormFactors, q: Any, form: Any
) -> None:
    """Add Σ_s f_s(|G|) S_s(G) to one plane of coefficients, for |ky| < ky_count and 0 <= kx < kx_count.

    plane : (ny, >= kx_count) complex128
    parts : (n_species, 2 ky_count, kx_count) complex128, first the even, then the odd sums: S at ±ky is even ∓ i odd
    kz : Miller index of the plane
    metric : (3, 3) b_i · b_j in 1/Å², order x, y, z
    q, form : (kx_count,) float64 work space
    """
    ny = plane.shape[0]
    n_species, rows, kx_count = parts.shape
    ky_count = rows // 2
    for j in range(ky_count):
        for sign in range(1 if j == 0 else 2):
            ky = j if sign == 0 else -j
            side = 1.0 if sign == 0 else -1.0
            line = plane[ky] if ky >= 0 else plane[ny + ky]
            constant = metric[1, 1] * ky * ky + 2 * metric[1, 2] * ky * kz + metric[2, 2] * kz * kz
            linear = 2 * (metric[0, 1] * ky + metric[0, 2] * kz)
            square = metric[0, 0]
            for i in range(kx_count):
                q[i] = math.sqrt(abs(constant + i * (linear + i * square)))
            # Short loops without branches, which the compiler turns into vector code: three times as fast as one loop
            for s in range(n_species):
                inverse = 1 / factors.steps[s]
                end = factors.intervals[s] + 0.5
                table = factors.tables[s]
                for i in range(kx_count):
                    x = min(q[i] * inverse, end)
                    n = np.int32(x)
                    t = x - n
                    form[i] = table[n, 0] + t * (table[n, 1] + t * (table[n, 2] + t * table[n, 3]))
                even, odd = parts[s, j], parts[s, ky_count + j]
                for i in range(kx_count):
                    f = form[i]
                    line[i] += complex(f * (even[i].real + side * odd[i].imag), f * (even[i].imag - side * odd[i].real))


# deep: the three axes and the edges of the half-complex one
@kernel
def coulomb_sum(half: Any, nx: int, metric: Any) -> float:
    """Σ_{G≠0} |c_G|²/G² in Å² over all G of the grid, from half-complex coefficients (nz, ny, nx//2 + 1).

    metric : (3, 3) b_i · b_j in 1/Å²; n/2 of an even axis counts as a positive index
    """
    nz, ny, n_half = half.shape
    total = 0.0
    for m in range(nz):
        kz = m if 2 * m <= nz else m - nz
        for j in range(ny):
            ky = j if 2 * j <= ny else j - ny
            constant = metric[1, 1] * ky * ky + 2 * metric[1, 2] * ky * kz + metric[2, 2] * kz * kz
            linear = 2 * (metric[0, 1] * ky + metric[0, 2] * kz)
            line = 0.0
            for i in range(n_half):
                if i == 0 and ky == 0 and kz == 0:
                    continue
                c = half[m, j, i]
                term = (c.real * c.real + c.imag * c.imag) / (constant + i * (linear + i * metric[0, 0]))
                # Each coefficient stands for its conjugate too, but those of the edges are their own
                line += term if i == 0 or 2 * i == nx else 2 * term
            total += line
    return total


@kernel
def difference_sums(values: Any, reference: Any) -> tuple[float, float, float, float, float]:
    """Σ|a - b|, Σ|b|, Σ(a - b)², Σb² and max|a - b| of two flat arrays, summed in blocks in double precision."""
    absolute = norm = square = norm_square = largest = 0.0
    block = 4096
    for start in range(0, values.size, block):
        s0 = s1 = s2 = s3 = 0.0
        for i in range(start, min(start + block, values.size)):
            b = float(reference[i])
            d = float(values[i]) - b
            s0 += abs(d)
            s1 += abs(b)
            s2 += d * d
            s3 += b * b
            largest = max(largest, abs(d))
        absolute += s0
        norm += s1
        square += s2
        norm_square += s3
    return absolute, norm, square, norm_square, largest
