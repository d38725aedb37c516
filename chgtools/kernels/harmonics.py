"""Real spherical harmonics of unit vectors by recurrence, without trigonometric functions.

Order: l = 0, 1, ..., and m = -l, ..., l in each l; index l² + l + m. So l = 1 is y, z, x and l = 2 is xy, yz,
3z² - 1, xz, x² - y², all with positive factors (no Condon-Shortley phase), as in VASP's augmentation occupancies.
Each is normalised to one on the sphere.

Y_lm = Q_l|m|(z) · {√2 Im (x + iy)^|m| (m < 0), 1, √2 Re (x + iy)^m (m > 0)}, with the normalised associated Legendre
functions P_lm(z) = Q_lm(z) sin^m, which follow from
    Q_mm = √((2m + 1)/2m) Q_m-1,m-1,   Q_lm = a_lm z Q_l-1,m - b_lm Q_l-2,m
(W. H. Press et al., Numerical Recipes, 3rd edition, section 6.7).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chgtools.kernels import kernel

AT_ONCE = 2048  # points, whose rows stay in the processor's cache


def recurrence(l_max: int) -> Any:
    """(2, l_max + 1, l_max + 1) factors a_lm and b_lm; a_mm is Q_mm itself, with the √2 of m > 0."""
    factors = np.zeros((2, l_max + 1, l_max + 1))
    diagonal = math.sqrt(0.25 / math.pi)
    for m in range(l_max + 1):
        if m > 0:
            diagonal *= math.sqrt((2 * m + 1) / (2 * m))
        factors[0, m, m] = diagonal * (math.sqrt(2.0) if m > 0 else 1.0)
        for ell in range(m + 1, l_max + 1):
            a = math.sqrt((4 * ell * ell - 1) / (ell * ell - m * m))
            factors[0, ell, m] = a
            factors[1, ell, m] = a * math.sqrt(((ell - 1) ** 2 - m * m) / (4 * (ell - 1) ** 2 - 1))
    return factors


# deep: m, l and points; the innermost loop is what becomes vector code
@kernel
def fill(factors: Any, x: Any, y: Any, z: Any, count: int, work: Any, values: Any) -> None:
    """Y_lm of the first ``count`` unit vectors; every loop runs over points, so that it is done four at a time.

    factors : (2, l_max + 1, l_max + 1), of :func:`recurrence`
    x, y, z : (>= count,) components
    work : (2, >= count) float64; values : (>= (l_max + 1)², >= count), overwritten
    """
    l_max = factors.shape[1] - 1
    for p in range(count):
        work[0, p] = 1.0
        work[1, p] = 0.0
    for m in range(l_max + 1):
        # Q_lm into the row of +m, l rising; the row of -m follows from it, then both get their part of (x + iy)^m.
        # Indices into whole arrays: rows cut out of them take longer to compile
        start = factors[0, m, m]
        for p in range(count):
            values[m * m + 2 * m, p] = start
        for ell in range(m + 1, l_max + 1):
            a, b = factors[0, ell, m], factors[1, ell, m]
            target = ell * ell + ell + m
            one = target - 2 * ell
            two = one - 2 * (ell - 1) if ell > m + 1 else one  # b is 0 there
            for p in range(count):
                values[target, p] = a * z[p] * values[one, p] - b * values[two, p]
        if m > 0:
            for p in range(count):
                rotated = work[0, p] * x[p] - work[1, p] * y[p]
                work[1, p] = work[0, p] * y[p] + work[1, p] * x[p]
                work[0, p] = rotated
            for ell in range(m, l_max + 1):
                plus, minus = ell * ell + ell + m, ell * ell + ell - m
                for p in range(count):
                    values[minus, p] = values[plus, p] * work[1, p]
                    values[plus, p] *= work[0, p]


# deep: blocks of points, m and l
def harmonics(l_max: int, vectors: Any) -> Any:
    """((l_max + 1)², n) Y_lm of the unit vectors ``vectors`` (n, 3).

    :func:`fill` in NumPy, to the last bit: where nothing is added to a grid, nothing has to be compiled.
    """
    factors = recurrence(l_max)
    values = np.empty(((l_max + 1) ** 2, len(vectors)))
    for start in range(0, len(vectors), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        x, y, z = np.ascontiguousarray(vectors[part].T)
        real, imaginary = np.ones_like(x), np.zeros_like(x)
        for m in range(l_max + 1):
            before, now = np.zeros_like(x), np.full_like(x, factors[0, m, m])
            if m > 0:
                real, imaginary = real * x - imaginary * y, imaginary * x + real * y
            for ell in range(m, l_max + 1):
                if ell == m + 1:
                    before, now = now, factors[0, ell, m] * z * now
                elif ell > m:
                    before, now = now, factors[0, ell, m] * z * now - factors[1, ell, m] * before
                np.multiply(now, real, out=values[ell * ell + ell + m, part])
                if m > 0:
                    np.multiply(now, imaginary, out=values[ell * ell + ell - m, part])
    return values
