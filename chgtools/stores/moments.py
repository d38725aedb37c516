"""Which atoms of a spin-polarised entry had a moment at the start of its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# Stores that name no start moments come from runs with one on each atom of these, all up
MAGNETIC = ("Cr", "Mn", "Fe", "Co", "Ni")


def elements_with_moments(elements: Sequence[str], start_moments: Any) -> tuple[str, ...]:
    """Sorted. elements : one per atom; start_moments : (1 or 3, n_atoms) μ_B, None where the store does not say them

    Moments of another shape are passed over: whoever reads the entry refuses them.
    """
    if start_moments is None:
        return tuple(sorted(set(elements) & set(MAGNETIC)))
    moments = np.atleast_2d(np.asarray(start_moments, dtype=float))
    if moments.ndim != 2 or moments.shape[1] != len(elements):
        return ()
    return tuple(sorted({symbol for symbol, moment in zip(elements, moments.T, strict=True) if moment.any()}))
