"""The electrons of a file against those of its atoms, and which labels would agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod

from chgtools.cell import Structure
from chgtools.errors import MismatchError
from chgtools.libraries.choice import CONVENTION_NAMES, Choice, Source, other_labels
from chgtools.run.folder import RunFolder
from chgtools.run.settings import choose_for
from chgtools.volumetric import VolumetricData

# A CHGCAR's mean is good to about 1e-6 of its electrons; 3e-5 leaves room for the 6 decimals of the lattice
ELECTRON_TOLERANCE = 3e-5
_MOST = 100_000  # combinations of labels that are tried


def tolerance_of(data: VolumetricData, wanted: float) -> float:
    """Electrons that a file may be off by; a CHG has fewer digits."""
    return ELECTRON_TOLERANCE * max(wanted, 1.0) * (1 if data.kind != "CHG" else 10)


def choice_by_electrons(
    choice: Choice, run: RunFolder, source: Source, data: VolumetricData, electrons: float
) -> Choice:
    """The labels that give the file's electrons, where nothing names labels, the default ones do not and no others do.

    electrons : of the file, a neutral cell
    The same choice in every other case: what it then contradicts is for check_electrons to tell. Which labels of an
    element count is told by chgtools.libraries.choice.other_labels.
    """
    tolerance = tolerance_of(data, electrons)
    if choice.weights is not None or abs(electrons - choice.electrons) <= tolerance:
        return choice
    atoms, options = choice.structure, other_labels(choice.structure, source)
    fixed = 0.0
    for species, count, density in zip(atoms.species, atoms.counts, choice.densities, strict=True):
        if species in options:
            options[species][density.zval] = density.label  # of one ZVAL what was chosen already
        else:
            fixed += count * density.zval
    counts = {species: count for species, count in _counts(atoms, atoms.counts).items() if species in options}
    fits = _fitting(counts, options, electrons - fixed, tolerance)
    if len(fits) != 1:
        return choice
    before = dict(zip(atoms.species, choice.labels, strict=True))
    changed = {species: label for species, label in fits[0].items() if label != before[species]}
    found = choose_for(run, atoms, replace(source, labels={**source.labels, **changed}))
    named = ", ".join(f"{species} = {label}" for species, label in changed.items())
    sentence = (
        f"labels: {named}, which alone give the file's {electrons:.6g} electrons "
        f"({CONVENTION_NAMES[source.convention]} would give {choice.electrons:g})"
    )
    return replace(found, assumptions=(sentence, *found.assumptions))


def check_electrons(
    data: VolumetricData, atoms: Structure, choice: Choice, electrons: float, nelect: float | None, where: str
) -> None:
    """Raise MismatchError unless the file holds ΣZVAL electrons, or ``nelect`` where it is known.

    where : what the number comes from, such as "is given"
    """
    wanted = choice.electrons if nelect is None else nelect
    if abs(electrons - wanted) <= tolerance_of(data, wanted):
        return
    name = data.source or "the file"
    if nelect is not None:
        raise MismatchError(
            f"{name} holds {electrons:.5f} electrons, NELECT = {nelect:g} {where}; they must agree (--nelect goes "
            "before an INCAR)"
        )
    parts = " + ".join(f"{n} x {d.zval:g} ({d.label})" for n, d in zip(atoms.counts, choice.densities, strict=True))
    raise MismatchError(
        f"{name} holds {electrons:.5f} electrons, its atoms {wanted:g} = {parts}; {_mend(atoms, choice, electrons)}"
    )


def _mend(atoms: Structure, choice: Choice, electrons: float) -> str:
    """Which labels would give the file's electrons."""
    from chgtools.atoms.labels import label_facts, labels_of

    options: dict[str, dict[float, str]] = {}
    for element in dict.fromkeys(atoms.species):
        by_zval = options.setdefault(element, {})
        for label in labels_of(element):
            by_zval.setdefault(label_facts(label).zval, label)
    weighted = [n * w for n, w in zip(atoms.counts, choice.weights or (1.0,) * len(atoms.counts), strict=True)]
    fits = _fitting(_counts(atoms, weighted), options, electrons, 1e-2)
    if not fits:
        return "no labels give that count: for a charged cell give --nelect, else the POTCAR of the run by --potcar"
    sets = [" ".join(f"--label {element}={label}" for element, label in each.items()) for each in fits]
    shown = " or ".join(sets[:3]) + (f" or {len(sets) - 3} more" if len(sets) > 3 else "")
    several = "several labels give that count; " if len(sets) > 1 else ""
    return f"{several}name the run's potentials: {shown}, or its POTCAR by --potcar"


def _counts(atoms: Structure, numbers: Sequence[float]) -> dict[str, float]:
    """{species: atoms}. numbers : of atoms in each group, which may be weighted"""
    pairs = list(zip(atoms.species, numbers, strict=True))
    return {species: sum(n for name, n in pairs if name == species) for species in dict.fromkeys(atoms.species)}


def _fitting(
    counts: Mapping[str, float], options: Mapping[str, Mapping[float, str]], electrons: float, tolerance: float
) -> list[dict[str, str]]:
    """Every {species: label} whose ΣZVAL is ``electrons``; [] where there are too many to try.

    counts : {species: atoms}; options : {species: {ZVAL: label}}
    """
    if prod(len(labels) for labels in options.values()) > _MOST:
        return []
    fits = []
    for zvals in product(*(options[species] for species in counts)):
        if abs(sum(n * zval for n, zval in zip(counts.values(), zvals, strict=True)) - electrons) <= tolerance:
            fits.append({species: options[species][zval] for species, zval in zip(counts, zvals, strict=True)})
    return fits
