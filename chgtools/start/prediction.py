"""From a structure to a complete charge file: settings, SAED + learned DCD, occupancies, and what was assumed.

Without a model the density is the SAED, what VASP itself starts from with ICHARG = 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from chgtools.check.charge_file import examine
from chgtools.display.shown import Shown
from chgtools.errors import SettingsError
from chgtools.formats import chgcar
from chgtools.formats.structures import as_structure
from chgtools.fourier.basis import expand
from chgtools.kernels.dense import computing_on
from chgtools.libraries.choice import Source
from chgtools.run.folder import RunFolder
from chgtools.run.grid import GridOptions, grid_settings
from chgtools.run.settings import RunSettings, choose_for, settings_for
from chgtools.start.expected_error import expected_error
from chgtools.start.learned import learned_difference, what_the_model_says, where_the_moments_come_from
from chgtools.start.magnetisation import start_magnetisation
from chgtools.start.occupancies import start_occupancies
from chgtools.start.superposition import superpose
from chgtools.volumetric import VolumetricData

if TYPE_CHECKING:
    import plotly.graph_objects
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pymatgen.io.vasp.outputs import Chgcar

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.check.findings import Report
    from chgtools.formats.structures import StructureLike
    from chgtools.models.choice import ModelChoice
    from chgtools.models.model import DensityModel, Estimate

Options = TypeVar("Options", Source, GridOptions)


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """A charge file and how it came about.

    data : the CHGCAR, blocks by ISPIN and LNONCOLLINEAR
    settings : what it was made with
    assumptions : sentences on what the input left open
    electrons_of_atoms : ΣZVAL (the file holds NELECT)
    minimum : lowest value of the density, electrons/Å³
    occupancies : where the augmentation occupancies come from, or "none"
    model : name of the weights that the DCD comes from, "none" for the SAED alone; model_reason : why these
    estimate : what the model says of its own prediction; None without one
    error_percent : expected ε_mae of the difference density, percent of the electrons; None where it was not calibrated
    prior : name of the tight-binding prior that the weights took features of, "none" without
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
    error_percent: float | None = None
    prior: str = "none"

    @property
    def structure(self) -> Structure:
        """The atoms, with the species of the POTCAR where the POSCAR names none."""
        return self.settings.structure

    def shown(self) -> dict[str, object]:
        """For people: what the file will hold, and how well founded it is."""
        facts = {**self.data.shown(), "occupancies": self.occupancies}
        facts.pop("kind")
        prior = "" if self.prior == "none" else f" with {self.prior}"
        return {
            **facts,
            "model": f"{self.model}{prior} ({self.model_reason})",
            "expected error": "" if self.error_percent is None else f"{self.error_percent:.2g} % (outside the cores)",
        }

    def details(self) -> tuple[str, ...]:
        """What was assumed."""
        return self.assumptions

    def write(self, path: str | Path) -> Report:
        """Write the CHGCAR, compressed where the name says so, and check it against the inputs it was made for.

        Returns what VASP will refuse, drop or misread of it (see chgtools.check); ``ok`` where there is nothing.
        Raises ChgtoolsError when it cannot be written; then nothing is there.
        """
        chgcar.write(self.data, path, kind="CHGCAR")
        report, _, _ = examine(Path(path), self.settings.run)
        return report

    def plot(self, path: str | Path | None = None, **options: Any) -> Figure | plotly.graph_objects.Figure:
        """Draw a plane, an average or an isosurface; the arguments are those of :func:`chgtools.plot`."""
        from chgtools.pictures.plot import plot

        return plot(self.data, path, **options)

    def to_pymatgen(self) -> Chgcar:
        """The density as a pymatgen Chgcar; see VolumetricData.to_pymatgen on writing it."""
        made: Any = self.data.to_pymatgen()
        return made


def predict(
    structure: StructureLike,
    *,
    encut: float | None = None,
    potcar: Path | str | None = None,
    source: Source | None = None,
    incar: Path | str | Mapping[str, Any] | None = None,
    grid: GridOptions | None = None,
    nelect: float | None = None,
    model: str | Path | DensityModel = "auto",
    prior: str = "auto",
    occupancies: str = "auto",
    device: str = "cpu",
) -> Prediction:
    """The start density of a VASP run, ready to be written as its CHGCAR.

    structure : path (a run folder means its POSCAR), pymatgen Structure, ASE Atoms or chgtools Structure
    encut, grid : eV, and other options that go before the INCAR's tags
    potcar, source : a POTCAR, or a folder of POTCARs by label; or where else atomic densities come from. By default the
        POTCAR beside a POSCAR given as a path, else the built-in library
    incar : INCAR of the run, or tags such as {"ENCUT": 520, "ISPIN": 2}; by default the one beside the POSCAR. Moments
        and charge of a pymatgen or ASE object count where there is no INCAR, or where tags leave them open
    nelect : electrons of a charged cell; by default the INCAR's NELECT, else ΣZVAL
    model : weights of the learned DCD: "auto" (packaged ones by the elements), "none", "si", "base", the path of a
        file, or a DensityModel
    prior : "auto" (that of the weights, where it can be had) or "none" (weights without); see chgtools.models.choice
    occupancies : "auto" (those of the grid), "learned", "mean", "atoms" or "none"; see chgtools.start.occupancies
    device : "cpu", "cuda", or "auto", the GPU where there is one: where tight binding of many atoms is computed
    Raises ChgtoolsError (see chgtools.libraries.choice and chgtools.run) when the input contradicts itself.
    """
    source, grid = _with_potcar(source, potcar), _with_encut(grid, encut)
    settings = settings_for(structure, source=source, incar=incar, grid=grid, nelect=nelect)
    with computing_on(device):
        return _prediction(settings, model, prior, occupancies)


def _prediction(settings: RunSettings, model: str | Path | DensityModel, prior: str, occupancies: str) -> Prediction:
    """The start density of settings; the other arguments are those of :func:`predict`."""
    atoms, densities, magmom = settings.structure, settings.choice.densities, settings.moments.values
    chosen = _chosen_model(settings, model, prior)
    total, estimate, error, sentences = _total_density(settings, chosen)
    blocks: list[NDArray[np.floating[Any]]] = [total]
    lines, atomic_moments = [], magmom
    if magmom is not None:
        start = start_magnetisation(atoms, settings.grid.ngf, densities, magmom, chosen.model, estimate)
        blocks += start.blocks
        atomic_moments = start.moments
        sentences += where_the_moments_come_from(chosen.model, start, settings.run.tags.nupdown)
        # VASP writes one moment per ion before each further block
        lines = [np.ascontiguousarray(component) for component in np.atleast_2d(magmom.T)]
    records = start_occupancies(
        atoms, densities, wanted=occupancies, model=chosen.model, moments=atomic_moments, lmaxmix=settings.lmaxmix
    )
    sentences += _of_weighted_atoms(settings, records.blocks is not None)
    data = VolumetricData("CHGCAR", atoms, blocks, records.blocks or [], lines)
    return Prediction(
        data=data,
        settings=settings,
        assumptions=(*settings.assumptions, *chosen.sentences, *sentences, *records.sentences),
        electrons_of_atoms=settings.electrons_of_atoms,
        minimum=float(data.total.min()),
        occupancies=records.source,
        model=chosen.name,
        model_reason=chosen.reason,
        estimate=estimate,
        error_percent=error,
        prior=chosen.prior,
    )


def _with_potcar(source: Source | None, potcar: Path | str | None) -> Source | None:
    if potcar is None:
        return source
    return replace(_refusing(source or Source(), "potcar", "source"), potcar=Path(potcar))


def _with_encut(grid: GridOptions | None, encut: float | None) -> GridOptions | None:
    if encut is None:
        return grid
    if encut <= 0:
        raise SettingsError(f"found encut = {encut:g}; wanted a positive cutoff in eV")
    return replace(_refusing(grid or GridOptions(), "encut", "grid"), encut=encut)


def _refusing(options: Options, name: str, argument: str) -> Options:
    """The options, unless they have what is given by its own argument too."""
    if getattr(options, name) is not None:
        raise SettingsError(f"{name} is given twice, by {name} and by {argument}; give it once")
    return options


def _chosen_model(settings: RunSettings, model: str | Path | DensityModel, prior: str) -> ModelChoice:
    """The weights; none for atoms weighted by VCA, of which no weights have seen any."""
    from chgtools.models.choice import NONE, ModelChoice, choose_model

    if settings.choice.weights is None:
        return choose_model(settings.structure, model, prior, _pointing(settings.moments.values))
    sentences = ("VCA: the density is the SAED of the weighted atoms; no weights of a model have seen such atoms",)
    return ModelChoice(None, "asked for" if str(model) == NONE else "VCA", sentences)


def _of_weighted_atoms(settings: RunSettings, occupancies: bool) -> tuple[str, ...]:
    """What is inferred of a run with VCA."""
    if settings.choice.weights is None:
        return ()
    sentences = []
    if occupancies:
        sentences.append("VCA: the occupancies are those of whole atoms, since VASP weighs their charge (inferred)")
    if settings.moments.values is not None:
        sentences.append("VCA: MAGMOM is taken for the whole moment of an atom; whether VASP weighs it is not known")
    return tuple(sentences)


def _pointing(magmom: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Directions of start moments; None where there are none."""
    from chgtools.models.moments import directions

    return None if magmom is None else directions(magmom)


def _total_density(
    settings: RunSettings, chosen: ModelChoice
) -> tuple[NDArray[np.float64], Estimate | None, float | None, tuple[str, ...]]:
    """The first block, what the model says of it, its expected error in percent, and sentences for the user."""
    atoms, shape, model = settings.structure, settings.grid.ngf, chosen.model
    atomic, pointing = settings.electrons_of_atoms, _pointing(settings.moments.values)
    if model is not None and model.target == "tcd":
        estimate = model.predict(atoms, total=settings.nelect or atomic, directions=pointing)
        density = expand(atoms, estimate.coefficients, model.basis, shape)
        error, why_not = expected_error(model, estimate, settings)
        return density, estimate, error, what_the_model_says(model, estimate, settings) + why_not
    sentences: tuple[str, ...] = ()
    density = superpose(atoms, shape, settings.choice.densities)
    if settings.nelect is not None and settings.charged:
        density *= settings.nelect / atomic
        sentences = (f"SAED scaled from the atoms' {atomic:g} to NELECT = {settings.nelect:g} electrons",)
    if model is None:
        return density, None, None, sentences
    estimate = model.predict(atoms, directions=pointing)
    if estimate.coefficients.any():
        density += learned_difference(atoms, shape, settings.choice.densities, model, estimate)
    error, why_not = expected_error(model, estimate, settings)
    return density, estimate, error, sentences + what_the_model_says(model, estimate, settings) + why_not


def saed(
    structure: StructureLike,
    shape: Sequence[int] | None = None,
    densities: Sequence[AtomicDensity] | None = None,
    *,
    source: Source | None = None,
    incar: Path | str | Mapping[str, Any] | None = None,
    grid: GridOptions | None = None,
    method: str = "auto",
) -> NDArray[np.float64]:
    """Superposition of atomic densities of a structure: (nx, ny, nz) float64, Fortran order, electrons/Å³.

    structure : path, pymatgen Structure, ASE Atoms or chgtools Structure
    shape : (nx, ny, nz); by default the fine grid VASP would use (then incar and grid count, as in :func:`predict`)
    densities : one AtomicDensity per group of the structure; by default those of ``source``, weighted by VCA
    method : "auto", "reciprocal" or "real", see :mod:`chgtools.start.superposition`
    """
    atoms, run = as_structure(RunFolder.structure_file(structure)), RunFolder.around(structure, incar=incar)
    if densities is None:
        densities = choose_for(run, atoms, run.source(source)).densities
    if shape is None:
        shape = grid_settings(atoms, densities, run.incar, grid or GridOptions()).ngf
    return superpose(atoms, shape, densities, method=method)
