"""Charges of a file, of a difference density, or of what is predicted before any calculation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.charges.partition import hirshfeld
from chgtools.dcd.difference import difference_density
from chgtools.errors import MismatchError
from chgtools.formats import difference_density as targets
from chgtools.formats.hdf5 import name_of
from chgtools.libraries.choice import Source, choose
from chgtools.run.folder import RunFolder
from chgtools.start.prediction import predict

if TYPE_CHECKING:
    from chgtools.charges.hirshfeld_atoms import AtomicCharges
    from chgtools.libraries.choice import Choice
    from chgtools.models.model import DensityModel
    from chgtools.volumetric import DifferenceDensity

PSEUDO = (
    "near the nuclei the density is VASP's pseudo density with compensation charges: electrons and multipoles of a "
    "PAW sphere are right, what is shared within it is not"
)


def charges_of(
    file: Path | str, structure: Any = None, *, source: Source | None = None, nelect: float | None = None
) -> AtomicCharges:
    """Hirshfeld charges of a CHGCAR or CHG, or of a difference density made by ``chgtools make-dcd``.

    structure, source, nelect : as for :func:`chgtools.difference_density`; a POTCAR beside a CHGCAR is used unless
        ``source`` names another origin. A difference density has its atoms' labels, and its structure.
    Raises MismatchError when the atoms are not those of the file, FormatError for a damaged file.
    """
    if name_of(file):
        difference = targets.read(file)
        choice = _of_target(difference, source or Source())
        _require_same_atoms(difference, choice)
        notes = choice.assumptions
    else:
        source = RunFolder.around(file).source(source)
        difference = difference_density(file, structure, source=source, nelect=nelect)
        choice = _of_target(difference, source)
        notes = difference.assumptions
    return replace(hirshfeld(difference, choice.densities), assumptions=(*notes, PSEUDO))


def charges_predicted(
    structure: Any,
    *,
    source: Source | None = None,
    incar: Path | str | None = None,
    nelect: float | None = None,
    model: str | Path | DensityModel = "auto",
) -> AtomicCharges:
    """Hirshfeld charges of the density that :func:`chgtools.predict` makes: charge transfer before any calculation.

    The arguments are those of chgtools.predict. With the model "none" the density is the SAED and the charges are 0.
    """
    prediction = predict(structure, source=source, incar=incar, nelect=nelect, model=model, occupancies="none")
    known = f"predicted by the weights {prediction.model} ({prediction.model_reason}); no calculation was made"
    charges = hirshfeld(prediction.data, prediction.settings.choice.densities)
    return replace(charges, assumptions=(*prediction.assumptions, known))


def _of_target(difference: DifferenceDensity, source: Source) -> Choice:
    """The atoms by their labels, weighted as they were when they were subtracted."""
    structure = difference.structure.with_changes(labels=difference.labels)
    choice = choose(structure, source)
    vca = difference.provenance.get("vca")
    weights = None if vca is None else tuple(float(word) for word in vca.split())
    return choice.weighted(weights, difference.structure.source)


def _require_same_atoms(difference: DifferenceDensity, choice: Choice) -> None:
    """Raise MismatchError for atoms that are not those that were subtracted, by their hashes.

    Electrons follow from the difference density for these alone: ∫ w_a Σ n_b = ZVAL_a needs the weights of the n_b.
    """
    others = [
        density.label
        for density in choice.densities
        if density.sha256 not in difference.provenance.get(f"density_{density.label}", density.sha256)
    ]
    if others:
        named = ", ".join(dict.fromkeys(others))
        raise MismatchError(
            f"{difference.structure.source}: other atoms were subtracted than those found for {named}; name their "
            "origin by --potcar, --densities, --upf or --xc, or give the CHGCAR"
        )
