"""Which augmentation occupancies a start density gets: learned, the label's mean, or the atom's own.

Grid and occupancies belong together. A grid with the cores of the PAW code that runs on it (a density learned from its
CHGCARs) wants occupancies like its own: learned ones, else the label's mean. A grid whose cores are those of the atoms
(the SAED, with or without a difference density learned from another code) wants the atoms' own; true ones make it
worse (docs/explanation/occupancies.md has the figures).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.paw.records import augmentation_blocks, polarised_record, spherical_record, zero_above

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.models.model import DensityModel
    from chgtools.volumetric import Augmentation

    _Record = NDArray[np.float64] | None

AUTO, LEARNED, MEAN, ATOMS, NONE = "auto", "learned", "mean", "atoms", "none"
SOURCES = (AUTO, LEARNED, MEAN, ATOMS, NONE)
_IN_WORDS = {LEARNED: "learned", MEAN: "mean of reference CHGCARs", ATOMS: "of the atoms"}
_MENDS = {
    LEARNED: "train weights on CHGCARs with occupancies of these labels (chgtools train)",
    MEAN: "build a library with --occupancies-from and give it by --densities",
    ATOMS: "give the run's POTCAR by --potcar",
}


@dataclass(frozen=True)
class StartOccupancies:
    """blocks : one Augmentation for each block of the file; None where an atom has no occupancies
    source : where they are from, in words, with numbers of atoms where it differs: "learned (6), of the atoms (2)"
    sentences : what the user should know
    """

    blocks: list[Augmentation] | None
    source: str
    sentences: tuple[str, ...] = ()


def start_occupancies(
    structure: Structure,
    densities: Sequence[AtomicDensity],
    *,
    wanted: str = AUTO,
    model: DensityModel | None = None,
    moments: NDArray[np.float64] | None = None,
    lmaxmix: int = 2,
) -> StartOccupancies:
    """The occupancies of a start density.

    densities : one for each group; model : that the grid's difference density is from, None for the SAED
    wanted : "auto", "learned", "mean", "atoms" or "none"; all but auto are for all atoms or refused
    moments : (n_atoms,) or (n_atoms, 3) μ_B of the atoms in a spin-polarised file
    lmaxmix : the INCAR's; entries of larger L are written as 0, as VASP does
    Raises SettingsError for an unknown word, and where the occupancies asked for are not there for a label.
    """
    if wanted not in SOURCES:
        raise SettingsError(f"found occupancies {wanted!r}; wanted one of {', '.join(SOURCES)}")
    if wanted == NONE:
        return StartOccupancies(None, "none")
    labels = [densities[group].label for group in structure.group_of_atom]
    order = _order(labels, model) if wanted == AUTO else (wanted,)
    records: list[NDArray[np.float64] | None] = [None] * structure.n_atoms
    sources: list[str] = [NONE] * structure.n_atoms
    for source in order:
        if source == LEARNED:
            candidates = _learned(model, structure, densities, lmaxmix)
        else:
            candidates = _spherical(source, structure, densities)
        for atom, record in enumerate(candidates):
            if records[atom] is None and record is not None:
                records[atom], sources[atom] = record, source
    missing = sorted({label for label, record in zip(labels, records, strict=True) if record is None})
    if missing and wanted != AUTO:
        raise SettingsError(
            f"no occupancies ({_IN_WORDS[wanted]}) are known for {', '.join(missing)}; {_MENDS[wanted]}"
        )
    if missing:
        return StartOccupancies(None, "none", (_none_known(missing),))
    whole, polarised = [record for record in records if record is not None], []
    if moments is not None:
        own = [densities[group] for group in structure.group_of_atom]
        polarised = [
            record / density.zval
            if density.channels is None or density.occupancies is None
            else polarised_record(density.channels, record, density.occupancies, density.zval)
            for density, record in zip(own, whole, strict=True)
        ]
    blocks = augmentation_blocks(whole, polarised, moments)
    return StartOccupancies(blocks, _in_words(sources), _why(order, sources, model))


def _order(labels: Sequence[str], model: DensityModel | None) -> tuple[str, ...]:
    """Where to look, best first: by whose cores the grid has."""
    if model is not None and set(labels) <= set(model.labels):
        return (LEARNED, MEAN, ATOMS)
    return (ATOMS,)


def _spherical(source: str, structure: Structure, densities: Sequence[AtomicDensity]) -> list[_Record]:
    """The mean's or the atoms' record of each atom."""
    spheres: list[_Record] = []
    for density in densities:
        values = density.mean_occupancies if source == MEAN else density.occupancies
        known = density.channels is not None and values is not None
        spheres.append(spherical_record(density.channels, values) if known else None)  # type: ignore[arg-type]
    return [spheres[group] for group in structure.group_of_atom]


def _learned(
    model: DensityModel | None, structure: Structure, densities: Sequence[AtomicDensity], lmaxmix: int
) -> list[_Record]:
    """Readings of the model, for labels whose channels are those of the run's POTCAR, or not known otherwise."""
    if model is None or not model.occupancies:
        return [None] * structure.n_atoms
    from chgtools.models.readings import predict_records

    own = [densities[group] for group in structure.group_of_atom]
    fitting: list[_Record] = []
    records = predict_records(model, structure, [density.label for density in own])
    for density, record in zip(own, records, strict=True):
        channels = None if record is None else model.occupancies[density.label].channels
        fits = channels is not None and density.channels in (None, channels)
        fitting.append(zero_above(channels, record, lmaxmix) if fits else None)  # type: ignore[arg-type]
    return fitting


def _in_words(sources: Sequence[str]) -> str:
    counts = Counter(sources)
    if len(counts) == 1:
        return _IN_WORDS[sources[0]]
    return ", ".join(f"{_IN_WORDS[source]} ({counts[source]})" for source in _IN_WORDS if source in counts)


def _why(order: Sequence[str], sources: Sequence[str], model: DensityModel | None) -> tuple[str, ...]:
    """What is said of a choice that was made, or of occupancies that do not belong to the grid."""
    own = len(order) > 1
    if own and ATOMS in sources:
        return ("occupancies: some are the atoms' own, though the grid has the cores of a self-consistent density",)
    if order == (ATOMS,) and model is not None and model.occupancies:
        return (
            f"occupancies: the atoms' own, as the cores of the grid are; the weights {model.name!r} have learned the "
            "density of other potentials",
        )
    return ()


def _none_known(missing: Sequence[str]) -> str:
    return (
        f"no augmentation occupancies for {', '.join(missing)} (a POTCAR has the atoms', by --potcar): not ready for "
        "ICHARG = 11 (count on a stop), and with ICHARG = 1 VASP falls back to its own atoms"
    )
