"""Which atomic density each group of a structure gets, and what was assumed in choosing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.elements import ELEMENT_OF
from chgtools.errors import MismatchError, MissingDensityError, SettingsError

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.libraries.library import DensityLibrary

ORIGINS = ("potcar", "library", "upf")
CONVENTION_NAMES = {"mp": "the Materials Project's PBE set", "vasp": "VASP's recommended set"}


@dataclass(frozen=True)
class Source:
    """Where atomic densities are to come from; at most one of the first three.

    potcar : a POTCAR with the structure's data sets in order, or a folder of POTCARs by label
    library : a library made by ``chgtools densities build``
    upf : a folder of UPF files
    labels : element to POTCAR label, such as {"Fe": "Fe_pv"}
    convention : default labels where nothing names them: "mp" or "vasp"
    xc : functional of the built-in library, "PBE" or "LDA"
    """

    potcar: Path | None = None
    library: Path | None = None
    upf: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    convention: str = "mp"
    xc: str = "PBE"

    def __post_init__(self) -> None:
        for name in ORIGINS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        given = [name for name in ORIGINS if getattr(self, name) is not None]
        if len(given) > 1:
            raise SettingsError(f"atomic densities are wanted from one source, found {' and '.join(given)}; name one")
        if self.convention not in CONVENTION_NAMES:
            raise SettingsError(f"unknown label convention {self.convention!r}; wanted mp or vasp")


@dataclass(frozen=True)
class Choice:
    """One density per group of the structure, and sentences on what was assumed.

    structure : the atoms, with the species of the POTCAR where the POSCAR names none (VASP 4), H for D and T
    weights : VCA, that the densities are weighted by, one for each group; None where they are whole atoms
    """

    structure: Structure
    densities: tuple[AtomicDensity, ...]
    assumptions: tuple[str, ...]
    weights: tuple[float, ...] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(density.label for density in self.densities)

    @property
    def electrons(self) -> float:
        """ΣZVAL."""
        pairs = zip(self.densities, self.structure.counts, strict=True)
        return float(sum(density.zval * count for density, count in pairs))

    def weighted(self, weights: tuple[float, ...] | None, place: str) -> Choice:
        """The same of atoms weighted by the VCA at ``place``, one weight for each group; unchanged for None."""
        if weights is None:
            return self
        parts = [density.weighted(weight) for density, weight in zip(self.densities, weights, strict=True)]
        pairs = zip(self.structure.species, weights, parts, strict=True)
        named = ", ".join(f"{species} {weight:g} ({part.zval:g} electrons)" for species, weight, part in pairs)
        sentence = f"{place}: VCA weighs the atoms, {named}"
        return replace(self, densities=tuple(parts), weights=weights, assumptions=(*self.assumptions, sentence))


def choose(structure: Structure, source: Source) -> Choice:
    """Atomic densities for a structure.

    Labels come from ``source.labels``, else from the structure's own (VASP 6.4 headers, a POSCAR with Fe_pv), else
    by convention; a POTCAR file fixes them by itself. D and T have the electrons of H, and its labels.
    Raises MissingDensityError for a label nobody has, MismatchError for a POTCAR of other elements,
    SettingsError for a label given for an element that is not there.
    """
    choice = _choose(structure, source)
    isotopes = [name for name in dict.fromkeys(choice.structure.species) if name in ELEMENT_OF]
    if not isotopes:
        return choice
    sentence = f"{' and '.join(isotopes)} taken as H, which has the same electrons"
    return replace(
        choice,
        structure=choice.structure.with_changes(species=choice.structure.group_elements),
        assumptions=(*choice.assumptions, sentence),
    )


def other_labels(structure: Structure, source: Source) -> dict[str, dict[float, str]]:
    """{species: {ZVAL: label}} that a source has for the species that nothing names a label of.

    Of several labels with one ZVAL the first. Labels of the GW sets, those of the set of 2010 alone and
    pseudo-hydrogens (H.75) are passed over where an element has any other. {} for a POTCAR file and UPF files, which
    leave no choice.
    """
    if source.upf is not None or (source.potcar is not None and source.potcar.is_file()):
        return {}
    named = {species for species, label in zip(structure.species, structure.labels, strict=True) if label}
    open_ = [name for name in dict.fromkeys(structure.species) if name not in named and name not in source.labels]
    return {species: _by_zval(ELEMENT_OF.get(species, species), source) for species in open_}


def _by_zval(element: str, source: Source) -> dict[float, str]:
    zvals = _zvals_of(element, source)
    found: dict[float, str] = {}
    for label in [label for label in zvals if _is_usual(label)] or zvals:
        found.setdefault(zvals[label], label)
    return found


def _is_usual(label: str) -> bool:
    """Whether runs of today have a label, as far as is known; a library's own are taken for it."""
    from chgtools.atoms.labels import known_facts

    facts = known_facts(label)
    if facts is None:
        return True
    return facts.kind == "standard" and facts.zval.is_integer() and set(facts.sets) != {"PBE (2010)"}


def _zvals_of(element: str, source: Source) -> dict[str, float]:
    """{label: ZVAL} of an element in a library or a folder of POTCARs."""
    from chgtools.atoms.labels import element_of, label_facts, labels_of

    if source.potcar is not None:
        from chgtools.formats.potcar import find_potcar

        there = []
        for label in labels_of(element):
            with suppress(MissingDensityError):
                find_potcar(source.potcar, label)
                there.append(label)
        return {label: label_facts(label).zval for label in there}
    library = _opened(source.library, "" if source.library is not None else source.xc)
    near = [label for label in library if element_of(label) == element]
    return {label: library[label].zval for label in near if library[label].element == element}


def _choose(structure: Structure, source: Source) -> Choice:
    if source.potcar is not None and source.potcar.is_file():
        return _from_potcar_file(structure, source.potcar, source.labels)
    if not all(structure.species):
        raise MissingDensityError(
            f"{structure.source or 'the structure'} names no species (VASP 4); add its line of species, or give the "
            "run's POTCAR by --potcar"
        )
    foreign = sorted(set(source.labels) - set(structure.species))
    if foreign:
        raise SettingsError(
            f"a label is given for {', '.join(foreign)}, which {structure.formula} does not hold; "
            f"its elements are {', '.join(dict.fromkeys(structure.species))}"
        )
    assumptions: dict[str, None] = {}
    labels = _labels(structure, source, assumptions)
    if source.potcar is not None:
        from chgtools.formats.potcar import find_potcar, read_potcar

        made = {label: read_potcar(find_potcar(source.potcar, label))[0] for label in set(labels)}
        return Choice(structure, tuple(made[label] for label in labels), tuple(assumptions))
    if source.upf is not None:
        return _from_upf(structure, source.upf, labels)
    if source.library is not None:
        library = _opened(source.library)
        labels = _labels_in_library(structure, labels, library, source, assumptions)
    else:
        library = _opened(None, source.xc)
        assumptions[
            f"atomic densities: chgtools' built-in library ({source.xc}); within the cores it is not the POTCAR's"
        ] = None
    return Choice(structure, tuple(library[label] for label in labels), tuple(assumptions))


def _opened(path: Path | None, xc: str = "") -> DensityLibrary:
    """A library, the built-in one for None, indexed once for as long as its file stays the same.

    Of a small cell this takes longer than the density; many structures share its entries and their splines.
    """
    from chgtools.libraries.library import builtin_path

    try:
        facts = (path or builtin_path()).stat()
    except OSError:
        return _open(path, xc, None)  # the reader words it
    return _open(path, xc, (facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=4)
def _open(path: Path | None, xc: str, stamp: tuple[int, int] | None) -> DensityLibrary:
    from chgtools.libraries.library import DensityLibrary

    return DensityLibrary.builtin(xc) if path is None else DensityLibrary.open(path)


def _labels(structure: Structure, source: Source, assumptions: dict[str, None]) -> list[str]:
    from chgtools.atoms.labels import default_label, label_facts

    labels, assumed = [], {}
    for element, label in zip(structure.species, structure.labels, strict=True):
        known_as = ELEMENT_OF.get(element, element)
        if element in source.labels:
            label = source.labels[element]
            if source.library is None and source.upf is None and label_facts(label).element != known_as:
                raise SettingsError(f"the label {label} given for {element} is one of {label_facts(label).element}")
        elif not label:
            label = assumed[element] = default_label(known_as, source.convention)
        labels.append(label)
    if assumed:
        named = ", ".join(f"{element} = {label}" for element, label in assumed.items())
        assumptions[f"labels: {named} ({CONVENTION_NAMES[source.convention]}; others by --label)"] = None
    return labels


def _labels_in_library(
    structure: Structure,
    labels: list[str],
    library: Mapping[str, AtomicDensity],
    source: Source,
    assumptions: dict[str, None],
) -> list[str]:
    """Where only the convention chose, a library's single label of an element goes before the convention's."""
    settled = []
    for element, label, given in zip(structure.species, labels, structure.labels, strict=True):
        if label not in library and element not in source.labels and not given:
            own = [name for name in library if library[name].element == ELEMENT_OF.get(element, element)]
            if len(own) == 1:
                assumptions[f"label: {element} = {own[0]} (the only one of the library)"] = None
                label = own[0]
        settled.append(label)
    return settled


def _from_potcar_file(structure: Structure, path: Path, labels: Mapping[str, str]) -> Choice:
    from chgtools.formats.potcar import read_potcar

    sets = read_potcar(path)
    elements, wanted = [density.element for density in sets], list(structure.group_elements)
    if not any(wanted) and len(elements) == len(wanted):
        structure = structure.with_changes(species=tuple(elements))
    elif elements != wanted:
        raise MismatchError(
            f"{path} holds data sets for {' '.join(elements)}, {structure.source or 'the structure'} has the species "
            f"{' '.join(wanted)}; they must agree in number and order"
        )
    for density, name in zip(sets, structure.species, strict=True):
        if labels.get(name, density.label) != density.label:
            raise MismatchError(f"{path} holds {density.label} for {name}, the label given is {labels[name]}")
    return Choice(
        structure, tuple(sets), (f"atomic densities: {path} ({', '.join(density.label for density in sets)})",)
    )


def _from_upf(structure: Structure, folder: Path, labels: list[str]) -> Choice:
    from chgtools.formats.upf import read_upf_directory

    files = read_upf_directory(folder)
    chosen = []
    for element, label in zip(structure.species, labels, strict=True):
        name = label if label in files else ELEMENT_OF.get(element, element)
        if name not in files:
            raise MissingDensityError(
                f"{folder} has no UPF file for {element}; it has {', '.join(sorted(files)) or 'none'}"
            )
        chosen.append(files[name])
    return Choice(structure, tuple(chosen), (f"atomic densities: UPF files of {folder}",))
