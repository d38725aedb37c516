"""How far one charge density is from another: mean and root-mean-square error, and Coulomb self-energy.

ε is relative to the second file, the reference. Where the grids differ the first is resampled in Fourier space to the
grid of the reference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import reciprocal, same_atoms, volume
from chgtools.display.shown import times
from chgtools.errors import MismatchError
from chgtools.formats import read
from chgtools.fourier.resampling import coefficients, resample
from chgtools.units import COULOMB_EV_ANGSTROM
from chgtools.volumetric import VolumetricData, require_density

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """Differences of a density A from a reference B.

    eps_mae_percent, eps_rms_percent : of the total density
    coulomb_self_energy_mev_per_atom : of A − B, G = 0 left out
    electrons_a, electrons_b : integrals of the total densities
    max_abs_difference : electrons/Å³, of the total density
    magnetisation_eps_mae_percent : of each further block that both files have; None where the reference is zero
    notes : what was assumed or found on the way (another grid, other positions, blocks in one file only)
    """

    eps_mae_percent: float
    eps_rms_percent: float
    coulomb_self_energy_mev_per_atom: float
    electrons_a: float
    electrons_b: float
    max_abs_difference: float
    magnetisation_eps_mae_percent: tuple[float | None, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON, the field names as keys."""
        return asdict(self)


def compare(a: VolumetricData | str | Path, b: VolumetricData | str | Path) -> Comparison:
    """Compare a density A with the reference B, read or as paths.

    Lattices must agree to 1e-4 Å and the species atom by atom, as everywhere (chgtools.cell). Positions that differ by
    more than 1e-3 Å are a note, no error: the densities of two geometries in one cell may be meant.
    Raises MismatchError when the cells or species differ or B is zero, ChgtoolsError for files that are no densities.
    """
    a, b = (item if isinstance(item, VolumetricData) else read(item) for item in (a, b))
    require_density(a)
    require_density(b)
    notes = same_atoms(
        *(data.structure.with_changes(source=data.source or name) for data, name in ((a, "A"), (b, "B")))
    )
    if a.kind != b.kind:
        notes.append(f"A is a {a.kind}, B a {b.kind}")
    if a.shape != b.shape:
        notes.append(f"A resampled from the grid {times(a.shape)} to {times(b.shape)}")
    if len(a.blocks) != len(b.blocks):
        notes.append(f"A has {len(a.blocks)} blocks, B has {len(b.blocks)}; only the total density is compared")
    values = _on_grid(a.blocks[0], b.shape)
    mean, root, largest = _errors(values, b.blocks[0])
    if mean is None or root is None:
        raise MismatchError(f"{b.source or 'the reference'} is zero everywhere; wanted a density to compare with")
    energy = coulomb_self_energy(np.subtract(values, b.blocks[0], dtype=np.float64), b.structure.lattice)
    further = range(1, len(b.blocks)) if len(a.blocks) == len(b.blocks) else range(0)
    return Comparison(
        eps_mae_percent=mean,
        eps_rms_percent=root,
        coulomb_self_energy_mev_per_atom=1000 * energy / b.structure.n_atoms,
        electrons_a=a.integral(),
        electrons_b=b.integral(),
        max_abs_difference=largest,
        magnetisation_eps_mae_percent=tuple(
            _errors(_on_grid(a.blocks[block], b.shape), b.blocks[block])[0] for block in further
        ),
        notes=tuple(notes),
    )


def eps_mae(density: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> float:
    """100 · Σ|ρ − ρ_ref| / Σ|ρ_ref| in percent, on one grid. Raises MismatchError for other shapes or zeros."""
    return _finite(_errors(density, reference)[0])


def eps_rms(density: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]) -> float:
    """100 · √(Σ(ρ − ρ_ref)² / Σρ_ref²) in percent, on one grid. Raises MismatchError for other shapes or zeros."""
    return _finite(_errors(density, reference)[1])


def coulomb_self_energy(delta: NDArray[np.floating[Any]], lattice: NDArray[np.float64]) -> float:
    """½ ∬ e² Δρ Δρ / |r − r'| over the periodic cell in eV, without G = 0: ½ V Σ_G 4π e² |Δρ_G|² / G².

    delta : (nx, ny, nz), electrons/Å³; lattice : (3, 3), Å
    """
    from chgtools.kernels.spectral import coulomb_sum

    b = reciprocal(lattice)
    total = coulomb_sum(coefficients(delta), delta.shape[0], b @ b.T)
    return 2 * np.pi * COULOMB_EV_ANGSTROM * volume(lattice) * float(total)


def _errors(
    values: NDArray[np.floating[Any]], reference: NDArray[np.floating[Any]]
) -> tuple[float | None, float | None, float]:
    """(ε_mae, ε_rms, largest difference); the first two None where the reference is zero everywhere."""
    from chgtools.kernels.spectral import difference_sums

    if values.shape != reference.shape:
        raise MismatchError(
            f"the grids differ: {times(values.shape)} and {times(reference.shape)}; resample one of them before"
        )
    # ravel of the transpose is a view of Fortran-ordered arrays
    absolute, norm, square, norm_square, largest = difference_sums(
        np.ascontiguousarray(values.T).reshape(-1), np.ascontiguousarray(reference.T).reshape(-1)
    )
    if norm == 0.0:
        return None, None, largest
    return 100 * absolute / norm, 100 * float(np.sqrt(square / norm_square)), largest


def _finite(value: float | None) -> float:
    if value is None:
        raise MismatchError("the reference is zero everywhere; wanted a density to compare with")
    return value


def _on_grid(values: NDArray[np.floating[Any]], shape: tuple[int, int, int]) -> NDArray[np.floating[Any]]:
    return values if values.shape == shape else resample(values, shape)
