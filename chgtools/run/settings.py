"""What a run will use: its atoms with their densities, grids, start moments and electrons, and what was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.cell import require_apart, require_right_handed
from chgtools.formats.structure_files import is_of_vasp
from chgtools.formats.structures import as_structure
from chgtools.libraries.choice import Choice, choose
from chgtools.run.folder import RunFolder
from chgtools.run.grid import GridOptions, GridSettings, grid_settings
from chgtools.run.tags import StartMoments, electrons, start_moments

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.libraries.choice import Source


@dataclass(frozen=True)
class RunSettings:
    """What a run will use.

    run : where its inputs are; structure : its atoms, with the species of the POTCAR where the POSCAR names none
    choice : their densities; nelect : NELECT where it is set, None for ΣZVAL
    assumptions : sentences on what the input left open
    """

    run: RunFolder
    structure: Structure
    choice: Choice
    grid: GridSettings
    moments: StartMoments
    nelect: float | None
    assumptions: tuple[str, ...]

    @property
    def lmaxmix(self) -> int:
        return self.run.tags.lmaxmix

    @property
    def electrons_of_atoms(self) -> float:
        """ΣZVAL."""
        pairs = zip(self.choice.densities, self.structure.counts, strict=True)
        return float(sum(density.zval * count for density, count in pairs))


def settings_for(
    structure: Any,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
) -> RunSettings:
    """Settings of a run; the arguments are those of :func:`chgtools.predict`.

    Raises MismatchError for atoms on one place, ChgtoolsError for a left-handed cell and whatever contradicts itself.
    """
    run = RunFolder.around(structure, incar=incar)
    given = as_structure(structure)
    require_right_handed(given)
    require_apart(given)
    choice = choose(given, run.source(source))
    atoms = choice.structure
    grids = grid_settings(atoms, choice.densities, run.incar, grid or GridOptions())
    moments = start_moments(atoms, run.tags)
    nelect = electrons(run.tags, nelect)
    assumed = (
        *_of_the_file(structure, given), *run.assumptions, *choice.assumptions, *grids.assumptions, *moments.assumptions
    )  # fmt: skip
    return RunSettings(run.of(atoms), atoms, choice, grids, moments, nelect, assumed)


def _of_the_file(structure: Any, given: Structure) -> tuple[str, ...]:
    """What VASP wants of a structure that is in no POSCAR."""
    if not isinstance(structure, (str, Path)) or is_of_vasp(structure):
        return ()
    return (f"{structure} is no POSCAR: that of the run must have these atoms in this order, {given.formula}",)
