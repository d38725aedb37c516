"""From a structure to a complete charge file: settings, SAED + learned DCD, occupancies, and what was assumed.

Without a model the density is the SAED, what VASP itself starts from with ICHARG = 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.atoms.choice import Choice, Source, choose
from chgtools.errors import SettingsError
from chgtools.magnetisation import start_magnetisation
from chgtools.models.basis import expand
from chgtools.settings import GridOptions, GridSettings, SpinSettings, grid_settings, spin_settings
from chgtools.start_occupancies import start_occupancies
from chgtools.structure import as_structure
from chgtools.superposition import saed as superpose
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar
    from chgtools.models.model import DensityModel, Estimate

LMAXMIX = 2  # VASP's default
LITTLE_DAMPING = 0.8  # a DCD that is damped to less is said to be


@dataclass(frozen=True)
class RunSettings:
    """What a run will use: atoms, their densities, grids, spin and LMAXMIX, and sentences on what was assumed."""

    structure: Structure
    choice: Choice
    grid: GridSettings
    spin: SpinSettings
    nelect: float | None
    assumptions: tuple[str, ...]
    lmaxmix: int = LMAXMIX


@dataclass(frozen=True)
class Prediction:
    """A charge file and how it came about.

    data : the CHGCAR, blocks by ISPIN and LNONCOLLINEAR
    settings : what it was made with
    assumptions : sentences on what the input left open
    electrons_of_atoms : ΣZVAL (the file holds NELECT)
    minimum : lowest value of the density, electrons/Å³
    occupancies : where the augmentation occupancies come from, or "none"
    model : name of the weights that the DCD comes from, "none" for the SAED alone; model_reason : why these
    estimate : what the model says of its own prediction; None without one
    """

    data: VolumetricData
    settings: RunSettings
    assumptions: tuple[str, ...]
    electrons_of_atoms: float
    minimum: float
    occupancies: str
    model: str = "none"
    model_reason: str = "asked for"
    estimate: Estimate | None = None


def beside(poscar: Any, name: str) -> Path | None:
    """The file ``name`` in the folder of a POSCAR given as a path, if there."""
    if not isinstance(poscar, (str, Path)):
        return None
    path = Path(poscar).parent / name
    return path if path.is_file() else None


def scale_to_electrons(density: NDArray[np.floating[Any]], factor: float) -> None:
    """Multiply a density in place, so that a charged cell's SAED holds NELECT electrons."""
    np.multiply(density, factor, out=density)


def settings_for(
    structure: Any,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
) -> RunSettings:
    """Settings of a run; the arguments are those of :func:`predict`."""
    atoms = as_structure(structure)
    assumptions: list[str] = []
    tags = find_incar(structure, incar, assumptions)
    choice = choose(atoms, find_source(structure, source))
    atoms = choice.structure
    grids = grid_settings(atoms, choice.densities, tags, grid or GridOptions())
    spin = spin_settings(atoms, tags)
    electrons = nelect or (tags.number("NELECT") if tags is not None else None)
    if electrons is not None and electrons <= 0:
        raise SettingsError(f"found NELECT = {electrons:g}; wanted a positive number of electrons")
    assumed = (*assumptions, *choice.assumptions, *grids.assumptions, *spin.assumptions)
    lmaxmix = tags.integer("LMAXMIX") if tags is not None else None
    return RunSettings(atoms, choice, grids, spin, electrons, assumed, LMAXMIX if lmaxmix is None else lmaxmix)


def predict(
    structure: Any,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
    model: str | Path | DensityModel = "auto",
    occupancies: str = "auto",
    dtype: Any = np.float64,
) -> Prediction:
    """The start density of a VASP run, ready to be written as its CHGCAR.

    structure : path, pymatgen Structure, ASE Atoms or chgtools Structure
    source : where atomic densities come from; by default the POTCAR beside a POSCAR given as a path, else the
        built-in library
    incar : INCAR of the run; by default the one beside the POSCAR
    grid : options that go before the INCAR's tags
    nelect : electrons of a charged cell; by default the INCAR's NELECT, else ΣZVAL
    model : weights of the learned DCD: "auto" (packaged ones by the elements), "none", "si", "base", the path of a
        file, or a DensityModel
    occupancies : "auto" (those that belong to the grid), "learned", "mean", "atoms" or "none"; see
        chgtools.start_occupancies
    dtype : of the blocks, np.float64 or np.float32
    Raises ChgtoolsError (see chgtools.atoms.choice and chgtools.settings) when the input contradicts itself.
    """
    from chgtools.models.choice import choose_model
    from chgtools.models.moments import directions

    settings = settings_for(structure, source=source, incar=incar, grid=grid, nelect=nelect)
    atoms, densities, shape = settings.structure, settings.choice.densities, settings.grid.ngf
    assumptions = settings.assumptions
    zval_sum = float(sum(d.zval * count for d, count in zip(densities, atoms.counts, strict=True)))
    chosen = choose_model(atoms, model)
    blocks = [superpose(atoms, shape, densities)]
    if settings.nelect is not None and abs(settings.nelect - zval_sum) > 1e-9 * zval_sum:
        scale_to_electrons(blocks[0], settings.nelect / zval_sum)
        assumptions += (f"SAED scaled from the atoms' {zval_sum:g} to NELECT = {settings.nelect:g} electrons",)
    estimate, magmom = None, settings.spin.moments
    if chosen.model is not None:
        estimate = chosen.model.predict(atoms, directions=None if magmom is None else directions(magmom))
        assumptions += _what_the_model_says(chosen.model, estimate, settings)
        if chosen.model.target == "tcd":
            estimate = chosen.model.predict(atoms, total=settings.nelect or zval_sum)
            blocks[0][...] = expand(atoms, estimate.coefficients, chosen.model.basis, shape)
        elif estimate.coefficients.any():
            blocks[0] += learned_difference(atoms, shape, densities, chosen.model, estimate)
    moments: list[NDArray[np.float64]] = []
    atomic_moments = magmom
    if magmom is not None:
        start = start_magnetisation(atoms, shape, densities, magmom, chosen.model, estimate)
        blocks += start.blocks
        atomic_moments = start.moments
        assumptions += _where_the_moments_come_from(chosen.model, start.learned)
        # VASP writes one moment per ion before each further block
        moments = [np.ascontiguousarray(component) for component in np.atleast_2d(magmom.T)]
    start_records = start_occupancies(
        atoms, densities, wanted=occupancies, model=chosen.model, moments=atomic_moments, lmaxmix=settings.lmaxmix
    )
    assumptions += start_records.sentences
    data = VolumetricData(
        "CHGCAR", atoms, [b.astype(dtype, copy=False) for b in blocks], start_records.blocks or [], moments
    )
    return Prediction(
        data,
        settings,
        assumptions,
        zval_sum,
        float(data.total.min()),
        start_records.source,
        chosen.name,
        chosen.reason,
        estimate,
    )


def learned_difference(
    structure: Structure,
    shape: Sequence[int],
    densities: Sequence[AtomicDensity],
    model: DensityModel,
    estimate: Estimate,
) -> NDArray[np.float64]:
    """What a model adds to the SAED of these atoms: (nx, ny, nz) Fortran order, electrons/Å³.

    densities : one for each group of the structure
    The model's difference density counts from atoms in the ground state. So besides its expansion the result holds
    what takes the atoms of the elements it knows there, damped alike: see chgtools.atoms.ground_state.
    """
    from chgtools.atoms.ground_state import ground_state_change

    difference = expand(structure, estimate.coefficients, model.basis, shape)
    for group, atomic in enumerate(densities):
        change = ground_state_change(atomic) if structure.species[group] in model.elements else None
        if change is None or estimate.damping == 0:
            continue
        part = structure.with_changes(
            species=(structure.species[group],),
            counts=(structure.counts[group],),
            labels=(),
            frac=structure.frac[structure.group_of_atom == group],
        )
        ground, present = (superpose(part, shape, [density]) for density in change)
        difference += estimate.damping * (ground - present)
    return difference


def _what_the_model_says(model: DensityModel, estimate: Estimate, settings: RunSettings) -> tuple[str, ...]:
    """Sentences on atoms without training data, on a damped DCD and on what the weights were not trained for."""
    sentences = []
    if estimate.unseen:
        count = sum(symbol in estimate.unseen for symbol in settings.structure.elements)
        sentences.append(
            f"the weights {model.name!r} have not seen {', '.join(estimate.unseen)}: {count} of "
            f"{settings.structure.n_atoms} atoms keep their atomic densities"
        )
    if estimate.damping < LITTLE_DAMPING:
        sentences.append(
            f"the weights {model.name!r} are unsure of this structure: {100 * estimate.damping:.0f} % of the learned "
            f"difference density was added to the SAED"
        )
    functional = str(model.card.get("functional", "PBE"))
    used = {density.xc for density in settings.choice.densities}
    if used - {functional, ""}:
        sentences.append(
            f"the difference density was learned with {functional}, the atoms are {', '.join(sorted(used))}"
        )
    return tuple(sentences)


def _where_the_moments_come_from(model: DensityModel | None, learned: bool) -> tuple[str, ...]:
    if learned:
        return ("magnetisation: learned; MAGMOM says which way the moments point, not how large they are",)
    if model is None:
        return ()
    known = f"the moments of {', '.join(model.spins)} alone" if model.spins else "no magnetisation"
    return (f"magnetisation: that of MAGMOM; the weights {model.name!r} have learned {known}",)


def saed(
    structure: Any,
    shape: Sequence[int] | None = None,
    densities: Sequence[AtomicDensity] | None = None,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    grid: GridOptions | None = None,
    method: str = "auto",
) -> NDArray[np.float64]:
    """Superposition of atomic densities of a structure: (nx, ny, nz) float64, Fortran order, electrons/Å³.

    structure : path, pymatgen Structure, ASE Atoms or chgtools Structure
    shape : (nx, ny, nz); by default the fine grid VASP would use (then incar and grid count, as in :func:`predict`)
    densities : one AtomicDensity per group of the structure; by default those of ``source``
    method : "auto", "reciprocal" or "real", see :mod:`chgtools.superposition`
    """
    atoms = as_structure(structure)
    if densities is None:
        densities = choose(atoms, find_source(structure, source)).densities
    if shape is None:
        tags = find_incar(structure, incar, [])
        shape = grid_settings(atoms, densities, tags, grid or GridOptions()).ngf
    return superpose(atoms, shape, densities, method=method)


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
