"""The magnetisation a run starts from: learned where the weights know it, else the atoms' scaled by MAGMOM.

VASP's own start is m(r) = Σ_a (MAGMOM_a/ZVAL_a) n_a(r). A learned magnetisation takes from MAGMOM which way a moment
points; its size, its shape and the moments induced on neighbours are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.start.superposition import saed_magnetisation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel, Estimate


@dataclass(frozen=True)
class StartMagnetisation:
    """blocks : one (nx, ny, nz) array, or three, μ_B/Å³
    moments : (n_atoms,) or (n_atoms, 3) μ_B of the atoms, as they are in the blocks
    learned : whether any of it is
    """

    blocks: list[NDArray[np.float64]]
    moments: NDArray[np.float64]
    learned: bool


def start_magnetisation(
    structure: Structure,
    shape: Sequence[int],
    densities: Sequence[AtomicDensity],
    magmom: NDArray[np.float64],
    model: DensityModel | None = None,
    estimate: Estimate | None = None,
) -> StartMagnetisation:
    """The magnetisation blocks of a start density.

    densities : one for each group; magmom : (n_atoms,) (ISPIN = 2) or (n_atoms, 3) (non-collinear), μ_B
    estimate : of ``model`` for the directions of ``magmom``. Where it has a magnetisation, atoms of the elements that
        the model knows get it, damped as the density is: what is left out is that of MAGMOM. Others keep MAGMOM.
    """
    if model is None or estimate is None or estimate.magnetisation is None:
        return StartMagnetisation(_atomic(structure, shape, densities, magmom), magmom, False)
    from chgtools.fourier.basis import expand

    components = np.atleast_2d(magmom.T)
    known = np.array([symbol in model.elements for symbol in structure.elements])
    share = estimate.damping * known
    own = np.array([values[:, 0] @ model.basis.charges for values in estimate.magnetisation])
    moments = share * own + (1 - share) * components
    rest = (1 - share) * components
    blocks = [estimate.damping * expand(structure, c, model.basis, shape) for c in estimate.magnetisation]
    if rest.any():
        atomic = _atomic(structure, shape, densities, rest[0] if magmom.ndim == 1 else rest.T)
        blocks = [block + other for block, other in zip(blocks, atomic, strict=True)]
    return StartMagnetisation(blocks, moments[0] if magmom.ndim == 1 else np.ascontiguousarray(moments.T), True)


def _atomic(
    structure: Structure, shape: Sequence[int], densities: Sequence[AtomicDensity], magmom: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    blocks = saed_magnetisation(structure, shape, densities, magmom)
    return blocks if isinstance(blocks, list) else [blocks]
