"""What a run will use: its atoms with their densities, grids, start moments and electrons, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.cell import require_apart, require_right_handed
from chgtools.formats.structure_files import is_of_vasp, read_one
from chgtools.formats.structures import as_structure
from chgtools.libraries.choice import Choice, choose
from chgtools.run.folder import POTCAR, RunFolder
from chgtools.run.grid import GridOptions, GridSettings, grid_settings
from chgtools.run.memory import require_memory
from chgtools.run.remarks import remarks
from chgtools.run.tags import StartMoments, electrons, require_zval, start_moments, weights

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.formats.structures import StructureLike
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
    def charged(self) -> bool:
        """Whether NELECT is not ΣZVAL."""
        return self.nelect is not None and abs(self.nelect - self.electrons_of_atoms) > 1e-9 * self.electrons_of_atoms

    @property
    def electrons_of_atoms(self) -> float:
        """ΣZVAL."""
        return self.choice.electrons


def choose_for(run: RunFolder, structure: Structure, source: Source) -> Choice:
    """Atomic densities of the atoms of a run, weighted by its VCA; by the labels of its POTCAR.spec, if it has one.

    Raises what chgtools.libraries.choice.choose does, SettingsError for a VCA of another length, MismatchError for a
    ZVAL of the INCAR that is not the densities'.
    """
    said: tuple[str, ...] = ()
    if source.potcar is None or not source.potcar.is_file():  # a POTCAR says its labels itself
        structure, said = run.labelled(structure, source.labels)
    choice = choose(structure, source)
    choice = replace(choice, assumptions=(*said, *choice.assumptions))
    require_zval(choice.densities, run.tags)
    return choice.weighted(weights(choice.structure, run.tags), run.tags.place("VCA"))


def settings_for(
    structure: StructureLike,
    *,
    source: Source | None = None,
    incar: Path | str | Mapping[str, Any] | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
) -> RunSettings:
    """Settings of a run; the arguments are those of :func:`chgtools.predict`.

    Raises MismatchError for atoms on one place (but where VCA mixes them), ChgtoolsError for a left-handed cell and
    whatever contradicts itself.
    """
    structure = RunFolder.structure_file(structure)
    run = RunFolder.around(structure, incar=incar)
    given = as_structure(structure)
    if isinstance(structure, (str, Path)) and not is_of_vasp(structure):
        run = run.of_object(read_one(structure))
    require_right_handed(given)
    require_apart(given, mixed=weights(given, run.tags) is not None)
    named = None if source is None or source.potcar is None or not source.potcar.is_file() else source.potcar
    run = run.with_named({POTCAR: named})
    choice = choose_for(run, given, run.source(source))
    atoms = choice.structure
    grids = grid_settings(atoms, choice.densities, run.incar, grid or GridOptions())
    require_memory(grids.ngf, run.tags.blocks)
    moments = start_moments(atoms, run.tags)
    run, nelect, charge = _electrons(run.of(atoms), choice, nelect)
    noted = (*_of_the_file(structure, given), *run.assumptions, *remarks(run.incar), *charge)
    assumed = (*noted, *choice.assumptions, *grids.assumptions, *moments.assumptions)
    return RunSettings(run, atoms, choice, grids, moments, nelect, assumed)


def _electrons(run: RunFolder, choice: Choice, given: float | None) -> tuple[RunFolder, float | None, tuple[str, ...]]:
    """NELECT, the run with it where it follows from the charge of an object in memory, and what is to be said."""
    nelect, charge = electrons(run.tags, given), run.carried.charge
    if nelect is not None or charge is None:
        return run, nelect, ()
    what = f"the charge {charge:+g} of the {run.carried.source}"
    if run.has_incar_file:
        return run, None, (f"{what} is not used: the INCAR, which goes first, has no NELECT",)
    nelect = choice.electrons - charge
    run = run.with_electrons(nelect)
    return run, electrons(run.tags, None), (f"NELECT = {nelect:g}: {what}",)


def _of_the_file(structure: StructureLike, given: Structure) -> tuple[str, ...]:
    """What VASP wants of a structure that is in no POSCAR."""
    if not isinstance(structure, (str, Path)) or is_of_vasp(structure):
        return ()
    return (f"{structure} is no POSCAR: that of the run must have these atoms in this order, {given.formula}",)
