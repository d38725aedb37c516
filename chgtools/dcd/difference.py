"""The difference charge density (DCD) of a CHGCAR.

DCD = self-consistent density − SAED, on the CHGCAR's grid. It integrates to zero, or to NELECT − ΣZVAL in a charged
cell. Magnetisation blocks are kept as they are: atoms of a SAED have no spin of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools import formats
from chgtools.cell import Structure, require_same
from chgtools.dcd.electrons import check_electrons, choice_by_electrons
from chgtools.errors import ChgtoolsError
from chgtools.files import package_version
from chgtools.formats.pymatgen_fields import from_pymatgen
from chgtools.formats.structures import as_structure
from chgtools.libraries.choice import Choice, Source
from chgtools.paw.records import record_length
from chgtools.run.folder import RunFolder
from chgtools.run.functional import functional_of
from chgtools.run.settings import choose_for
from chgtools.start.superposition import superpose
from chgtools.volumetric import DifferenceDensity, VolumetricData, require_density

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from chgtools.atoms.density import AtomicDensity
    from chgtools.formats.pymatgen_fields import PymatgenField
    from chgtools.formats.structures import StructureLike


def difference_density(
    charge: str | Path | VolumetricData | PymatgenField,
    structure: StructureLike | None = None,
    *,
    source: Source | None = None,
    densities: Sequence[AtomicDensity] | None = None,
    nelect: float | None = None,
    dtype: DTypeLike = np.float64,
) -> DifferenceDensity:
    """DCD of a self-consistent density.

    charge : a CHGCAR (or CHG), read or as a path (see chgtools.read), or a pymatgen Chgcar
    structure : the POSCAR of its run, at full precision; the file's own header (6 decimals) when None
    source, densities : where the atoms come from (see chgtools.libraries.choice), or one density per group; those of
        ``source`` are weighted by the VCA of an INCAR beside the file. Where nothing names labels and the default ones
        contradict the file's electrons, the only others that give them are taken, and it is said
    nelect : electrons of a charged cell; by default NELECT of the INCAR beside the file, else it must hold ΣZVAL
    Raises MismatchError when the structure is not the file's, or ΣZVAL contradicts the file's electrons.
    """
    data = _density(charge, dtype)
    require_density(data)
    atoms, assumptions = _settle_structure(data, structure)
    run, incar_notes = _run_of(data)
    electrons = data.electrons
    assert electrons is not None
    wanted, where, said = (nelect, "is given", ()) if nelect is not None else _nelect_of(run)
    if densities is not None:
        choice = Choice(atoms, tuple(densities), ())
    else:
        source = source or Source()
        choice = choose_for(run, atoms, source)
        if wanted is None:
            choice = choice_by_electrons(choice, run, source, data, electrons)
    atoms = choice.structure
    check_electrons(data, atoms, choice, electrons, wanted, where)
    reference = superpose(atoms, data.shape, choice.densities).astype(data.total.dtype, copy=False)
    # density x volume is what the file holds: with the POSCAR's own volume the electrons stay the same
    factor = data.structure.volume / atoms.volume
    difference = np.subtract(data.total * factor if factor != 1 else data.total, reference)
    others = [block * factor for block in data.blocks[1:]]
    return DifferenceDensity(
        structure=atoms,
        blocks=[difference, *others],
        saed=reference,
        labels=choice.labels,
        zvals=tuple(density.zval for density in choice.densities),
        electrons=electrons,
        augmentation=data.augmentation,
        moments=data.moments,
        channels=_channels(data, atoms, choice),
        provenance=_provenance(data, choice, run),
        assumptions=assumptions + incar_notes + said + choice.assumptions,
    )


def _run_of(data: VolumetricData) -> tuple[RunFolder, tuple[str, ...]]:
    """The run that the file is of, and what is to be said of its INCAR; a run without one where it cannot be used."""
    run = RunFolder.around(data.source or None)
    try:
        run.tags  # noqa: B018, read here or not at all
    except ChgtoolsError as error:
        return RunFolder(None), (f"the INCAR beside the file is not used: {error}",)
    return run, () if run.incar is None else tuple(map(str, run.incar.ignored))


def _density(charge: str | Path | VolumetricData | PymatgenField, dtype: DTypeLike) -> VolumetricData:
    if isinstance(charge, VolumetricData):
        return charge
    return formats.read(charge, dtype=dtype) if isinstance(charge, (str, Path)) else from_pymatgen(charge)


def _settle_structure(data: VolumetricData, structure: StructureLike | None) -> tuple[Structure, tuple[str, ...]]:
    """The structure given, else the POSCAR or CONTCAR beside the file if it is the same, else the file's header."""
    if structure is not None:
        atoms = as_structure(structure)
        require_same(atoms, data.structure)
        return _with_labels(atoms, data.structure), ()
    run = RunFolder.around(data.source or None)
    for name in ("POSCAR", "CONTCAR"):
        path = run.path(name)
        if path is None:
            continue
        try:
            atoms = as_structure(path)
            require_same(atoms, data.structure)
        except ChgtoolsError:
            continue
        return _with_labels(atoms, data.structure), (f"positions of {run.found(name)}",)
    if data.layout is None:  # no text of VASP: other programs, and objects, have positions with their own digits
        return data.structure, ("no POSCAR: positions are those that came with the density",)
    return data.structure, ("no POSCAR: positions are those of the header, with 6 decimals",)


def _nelect_of(run: RunFolder) -> tuple[float | None, str, tuple[str, ...]]:
    """NELECT of the INCAR beside a file, where it stands, and what to say of it; None without one."""
    nelect = run.tags.nelect
    if nelect is None:
        return None, "", ()
    place = run.tags.place("NELECT")
    return nelect, f"stands in {place}", (f"NELECT = {nelect:g} ({place})",)


def _with_labels(atoms: Structure, header: Structure) -> Structure:
    """The POSCAR's atoms in the groups of the run, with what the header alone knows.

    A header of VASP 5 names the species that a VASP 4 POSCAR lacks, one of VASP 6.4 the POTCAR labels. Programs that
    rewrite a file join neighbouring groups of one species (Ni Ni O becomes Ni O), so the finer groups are the run's.
    """
    groups = {"species": header.species, "counts": header.counts, "labels": header.labels}
    unnamed = not all(atoms.species) and all(header.species)
    finer = len(header.counts) > len(atoms.counts) and all(header.species) and not any(atoms.labels)
    if unnamed or finer:
        return atoms.with_changes(**groups)
    if any(atoms.labels) or header.counts != atoms.counts:
        return atoms
    return atoms.with_changes(labels=header.labels)


def _channels(data: VolumetricData, atoms: Structure, choice: Choice) -> tuple[tuple[int, ...], ...]:
    """Of each group: its density's, or those known of its label, if the file's records have their length."""
    from chgtools.atoms.labels import known_facts

    if not data.augmentation:
        return ()
    found, first = [], 0
    for density, count in zip(choice.densities, atoms.counts, strict=True):
        facts = known_facts(density.label)
        channels = density.channels if density.channels is not None or facts is None else facts.channels
        lengths = set(data.augmentation[0].lengths[first : first + count])
        fits = channels is not None and lengths == {record_length(channels)}
        found.append(channels if channels is not None and fits else ())
        first += count
    return tuple(found)


def _provenance(data: VolumetricData, choice: Choice, run: RunFolder) -> dict[str, str]:
    facts = {"chgtools_version": package_version(), "source_kind": data.kind}
    functional = functional_of((density.xc for density in choice.densities), run.incar)
    if functional:
        facts["functional"] = functional
    if data.source:
        facts["source_file"] = Path(data.source).name
        facts["source_sha256"] = formats.digest(data.source) if formats.is_there(data.source) else ""
    if choice.weights is not None:
        facts["vca"] = " ".join(f"{weight:g}" for weight in choice.weights)
    for density in choice.densities:
        facts[f"density_{density.label}"] = f"{density.source}; sha256 {density.sha256}"
    return facts
