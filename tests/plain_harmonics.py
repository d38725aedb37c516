"""Real spherical harmonics the plain way: what the recurrences of the package are held against."""

from __future__ import annotations

import numpy as np
from scipy.special import sph_harm_y


def reference(l_max, u):
    """The same harmonics from scipy's complex ones, by angles."""
    theta, phi = np.arccos(np.clip(u[:, 2], -1, 1)), np.arctan2(u[:, 1], u[:, 0])
    rows = []
    for ell in range(l_max + 1):
        for m in range(-ell, ell + 1):
            value = (-1) ** m * sph_harm_y(ell, abs(m), theta, phi)  # without the Condon-Shortley phase
            rows.append(value.real if m == 0 else np.sqrt(2) * (value.imag if m < 0 else value.real))
    return np.array(rows)
