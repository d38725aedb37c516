"""Atomic densities that are Gaussians."""

from __future__ import annotations

import numpy as np

from chgtools.atoms.density import AtomicDensity


def atom(label: str, zval: float, channels=None, occupancies=None) -> AtomicDensity:
    q = np.linspace(0, 30, 601)
    element = label.split("_")[0]
    form = zval * np.exp(-(q**2) / 8)
    return AtomicDensity(label, element, zval, q, form, "test", channels=channels, occupancies=occupancies, enmax=300.0)
