"""What a learned magnetisation takes from MAGMOM: which way each moment points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def directions(moments: ArrayLike) -> NDArray[np.float64]:
    """(n_atoms, 1 or 3) unit vectors (signs) of moments (n_atoms,) or (n_atoms, 3); 0 for an atom without moment."""
    values = np.asarray(moments, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    size = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, size, out=np.zeros_like(values), where=size > 1e-6))
