"""From a structure to a complete charge file: settings, SAED, occupancies, and what was assumed on the way.

At this stage the density is the SAED, what VASP itself starts from with ICHARG = 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.choice import Choice, Source, choose
from chgtools.augmentation import atomic_augmentation
from chgtools.errors import SettingsError
from chgtools.settings import GridOptions, GridSettings, SpinSettings, grid_settings, spin_settings
from chgtools.structure import as_structure
from chgtools.superposition import saed, saed_magnetisation
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar


@dataclass(frozen=True)
class Prediction:
    """A charge file and how it came about.

    data : the CHGCAR, blocks by ISPIN and LNONCOLLINEAR
    assumptions : sentences on what the input left open
    electrons_of_atoms, electrons : ΣZVAL, and what the file holds (NELECT)
    minimum : lowest value of the density, electrons/Å³
    """

    data: VolumetricData
    choice: Choice
    grid: GridSettings
    spin: SpinSettings
    assumptions: tuple[str, ...]
    electrons_of_atoms: float
    electrons: float
    minimum: float
    model: str = "none (SAED)"
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def has_occupancies(self) -> bool:
        return bool(self.data.augmentation)


def beside(poscar: Any, name: str) -> Path | None:
    """The file ``name`` in the folder of a POSCAR given as a path, if there."""
    if not isinstance(poscar, (str, Path)):
        return None
    path = Path(poscar).parent / name
    return path if path.is_file() else None


def scale_to_electrons(density: NDArray[np.floating[Any]], factor: float) -> None:
    """Multiply a density in place, so that a charged cell's SAED holds NELECT electrons."""
    np.multiply(density, factor, out=density)


def predict(
    structure: Any,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
    dtype: Any = np.float64,
) -> Prediction:
    """The start density of a VASP run, ready to be written as its CHGCAR.

    structure : path, pymatgen Structure, ASE Atoms or chgtools Structure
    source : where atomic densities come from; by default the POTCAR beside a POSCAR given as a path, else the
        built-in library
    incar : INCAR of the run; by default the one beside the POSCAR
    grid : options that go before the INCAR's tags
    nelect : electrons of a charged cell; by default the INCAR's NELECT, else ΣZVAL
    Raises ChgtoolsError (see chgtools.atoms.choice and chgtools.settings) when the input contradicts itself.
    """
    atoms = as_structure(structure)
    assumptions: list[str] = []
    tags = find_incar(structure, incar, assumptions)
    choice = choose(atoms, find_source(structure, source))
    grids = grid_settings(atoms, choice.densities, tags, grid or GridOptions())
    spin = spin_settings(atoms, tags)
    return _predict(atoms, choice, grids, spin, tags, nelect, tuple(assumptions), dtype)


def find_incar(structure: Any, incar: Path | str | None, assumptions: list[str]) -> Incar | None:
    """The INCAR named, or the one beside the POSCAR (said so), or None (said so)."""
    from chgtools.formats.incar import read_incar

    path = incar or beside(structure, "INCAR")
    if path is None:
        assumptions.append("no INCAR: VASP's defaults, no spin polarisation")
        return None
    if incar is None:
        assumptions.append(f"INCAR: {path}")
    return read_incar(path)


def find_source(structure: Any, source: Source | None) -> Source:
    """``source``, with the POTCAR beside the POSCAR where it names no origin itself."""
    source = source or Source()
    if source.potcar is None and source.library is None and source.upf is None:
        for name in ("POTCAR", "POTCAR.gz"):
            path = beside(structure, name)
            if path is not None:
                return Source(path, None, None, source.labels, source.convention, source.xc)
    return source


def _predict(
    atoms: Structure,
    choice: Choice,
    grids: GridSettings,
    spin: SpinSettings,
    tags: Incar | None,
    nelect: float | None,
    assumptions: tuple[str, ...],
    dtype: Any,
) -> Prediction:
    zval_sum = float(sum(d.zval * count for d, count in zip(choice.densities, atoms.counts, strict=True)))
    electrons = nelect or (tags.number("NELECT") if tags is not None else None) or zval_sum
    if electrons <= 0:
        raise SettingsError(f"found NELECT = {electrons:g}; wanted a positive number of electrons")
    blocks = [saed(atoms, grids.ngf, choice.densities)]
    if abs(electrons - zval_sum) > 1e-9 * zval_sum:
        scale_to_electrons(blocks[0], electrons / zval_sum)
        assumptions += (f"SAED scaled from the atoms' {zval_sum:g} to NELECT = {electrons:g} electrons",)
    moments: list[NDArray[np.float64]] = []
    if spin.moments is not None:
        magnetisation = saed_magnetisation(atoms, grids.ngf, choice.densities, spin.moments)
        blocks += list(magnetisation) if isinstance(magnetisation, (list, tuple)) else [magnetisation]
        # VASP writes one moment per ion before each further block
        moments = [np.ascontiguousarray(component) for component in np.atleast_2d(spin.moments.T)]
    augmentation = atomic_augmentation(choice.densities, atoms.counts, spin.moments)
    data = VolumetricData(
        "CHGCAR", atoms, [block.astype(dtype, copy=False) for block in blocks], augmentation or [], moments
    )
    assumptions += choice.assumptions + grids.assumptions + spin.assumptions
    if augmentation is None:
        assumptions += (
            "no augmentation occupancies (a POTCAR has them, by --potcar): VASP refuses this file with ICHARG = 11 "
            "and starts from its own atoms with ICHARG = 1",
        )
    return Prediction(data, choice, grids, spin, assumptions, zval_sum, float(electrons), float(data.total.min()))
