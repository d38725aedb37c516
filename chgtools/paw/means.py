"""Mean augmentation occupancies of each label, from reference CHGCARs.

The mean over all orientations of an atom leaves of its record the entries of L = 0, which are kept as an
(n_channels, n_channels) matrix like a POTCAR's atomic occupancies. With a grid of the run's own potentials it is mostly
better than the atom's occupancies; docs/explanation/occupancies.md has the figures.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import AssumptionWarning, FormatError, MismatchError, MissingDensityError
from chgtools.paw.records import occupancies_of_record, record_length, spherical_record
from chgtools.run.folder import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.libraries.library import DensityLibrary
    from chgtools.volumetric import VolumetricData

# percent: atoms of one potential are up to 25 % off their mean, rarely more (carbon 44 %); silicon of two kinds of runs
# in the corpus, each 0.5 and 13 %, is 45 % off
WIDE = 30.0


def with_mean_occupancies(
    library: Mapping[str, AtomicDensity], chgcars: Iterable[str | Path]
) -> tuple[dict[str, AtomicDensity], dict[str, int]]:
    """The densities of a library with the mean occupancies of its labels in reference CHGCARs, and the atoms behind.

    chgcars : CHGCARs with records, plain or compressed, or folder trees of runs. The total density's records count,
        each atom once; a file's labels are those of :func:`labels_in_library`.
    Returns all densities, those without references as they were, and label to the number of atoms. The provenance says
    ``mean_atoms``, ``mean_files``, and root mean squares over the atoms in percent of the mean record's length:
    ``mean_spread_percent`` of what the L = 0 entries are off the mean, ``mean_lost_percent`` of the entries of L > 0,
    which a mean cannot hold.
    Raises FormatError for a file without records, MismatchError where a record is not as long as the channels want or
    a POTCAR beside a file is not the library's, MissingDensityError where no label can be told; warns
    (AssumptionWarning) where the references of a label are unlike.
    """
    by_label: dict[str, list[NDArray[np.float64]]] = {}
    files: dict[str, set[Path]] = {}
    for path in references(chgcars):
        for label, records in _records_of(path, library).items():
            by_label.setdefault(label, []).extend(records)
            files.setdefault(label, set()).add(path)
    densities = dict(library)
    for label, records in by_label.items():
        densities[label] = _with_mean(library[label], records, len(files[label]))
    return densities, {label: len(records) for label, records in by_label.items()}


def add_mean_occupancies(library: DensityLibrary, chgcars: Iterable[str | Path]) -> dict[str, int]:
    """Give a library the mean occupancies of its labels in reference CHGCARs; label to the number of atoms behind.

    As :func:`with_mean_occupancies`, which says what is taken and what is raised.
    """
    densities, atoms = with_mean_occupancies(library, chgcars)
    for label in atoms:
        library.add(densities[label])
    return atoms


def references(paths: Iterable[str | Path]) -> list[Path]:
    """The CHGCARs that are named or lie in folder trees. Raises MissingDensityError for a folder without any."""
    from chgtools.formats.streams import stem

    chgcars: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            chgcars.append(path)
            continue
        inside = [file for file in sorted(path.rglob("CHGCAR*")) if stem(file) == "CHGCAR" and file.is_file()]
        if not inside:
            raise MissingDensityError(f"{path} has no CHGCAR; wanted folders of VASP runs with one")
        chgcars += inside
    return list(dict.fromkeys(chgcars))


def labels_in_library(
    structure: Structure, lengths: Sequence[int], library: Mapping[str, AtomicDensity], path: str | Path
) -> list[str]:
    """The library's label of each group of a CHGCAR.

    From the POTCAR beside the file; else from the labels of its header (VASP 6.4); else the one entry of the library
    with the element and with channels that want records of this length.
    lengths : of the record of each group
    Raises MismatchError for a POTCAR of other elements or other data sets than the library's, MissingDensityError for
    a label that the library lacks or where none or several fit.
    """
    run = RunFolder.around(path)
    if run.potcar is not None:
        return _labels_of_sets(structure, run.potcar, library, run.path("POTCAR"))
    return [
        _label_in_library(element, label, length, library, path)
        for element, label, length in zip(structure.group_elements, structure.labels, lengths, strict=True)
    ]


def _labels_of_sets(
    structure: Structure, sets: Sequence[AtomicDensity], library: Mapping[str, AtomicDensity], potcar: Path | None
) -> list[str]:
    elements = [density.element for density in sets]
    if len(sets) != len(structure.counts) or (any(structure.species) and elements != list(structure.group_elements)):
        raise MismatchError(
            f"{potcar} holds data sets for {' '.join(elements)}, the CHGCAR beside it has the groups "
            f"{structure.formula}; take the POTCAR of its run"
        )
    for density in sets:
        if density.label not in library:
            raise MissingDensityError(
                f"{potcar} holds {density.label}, the library has no such label; build it with that POTCAR (--potcar)"
            )
        if not _same_data_set(library[density.label], density):
            raise MismatchError(
                f"{potcar} holds another {density.label} ({density.source}) than the library "
                f"({library[density.label].source}); occupancies of one do not fit the other"
            )
    return [density.label for density in sets]


def _same_data_set(known: AtomicDensity, other: AtomicDensity) -> bool:
    """Equal tables, channels and atomic occupancies; a title is no proof, releases share some."""
    if known.sha256 != other.sha256 or known.channels != other.channels:
        return False
    if known.occupancies is None or other.occupancies is None:
        return True
    return bool(np.allclose(known.occupancies, other.occupancies, atol=1e-6))


def _label_in_library(
    element: str, label: str, length: int, library: Mapping[str, AtomicDensity], path: str | Path
) -> str:
    if label:
        if label not in library:
            raise MissingDensityError(
                f"{path}: its header names {label}, the library has no such label; build it with that POTCAR (--potcar)"
            )
        return label
    if not element:
        raise MissingDensityError(f"{path} names no species (VASP 4); put the POTCAR of its run beside it")
    fitting = [
        name
        for name, density in library.items()
        if density.element == element and density.channels and record_length(density.channels) == length
    ]
    if len(fitting) != 1:
        what = f"{', '.join(fitting)} have" if fitting else f"no entry of the library for {element} has"
        raise MissingDensityError(
            f"{path}: {what} channels for the {length} numbers in the records of {element}; "
            "put the POTCAR of its run beside it"
        )
    return fitting[0]


def _records_of(path: Path, library: Mapping[str, AtomicDensity]) -> dict[str, list[NDArray[np.float64]]]:
    """Label to the records of its atoms in one file."""
    from chgtools.formats import read

    data: VolumetricData = read(path, kind="CHGCAR", dtype=np.float32)
    if not data.augmentation:
        raise FormatError("has no augmentation occupancies; wanted a CHGCAR of a PAW run of VASP", path)
    counts, records = data.structure.counts, data.augmentation[0].real
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(int)
    labels = labels_in_library(data.structure, [len(records[start]) for start in starts[:-1]], library, path)
    by_label: dict[str, list[NDArray[np.float64]]] = {}
    for label, start, end in zip(labels, starts[:-1], starts[1:], strict=True):
        channels = library[label].channels
        if not channels:
            raise MissingDensityError(f"{path}: the library's {label} has no channels; build it from the POTCAR")
        for ion in range(start, end):
            if len(records[ion]) != record_length(channels):
                raise MismatchError(
                    f"{path}: the record of ion {ion + 1} has {len(records[ion])} numbers, {label} of the library "
                    f"({library[label].source}) wants {record_length(channels)}; take the POTCAR of that run"
                )
        by_label.setdefault(label, []).extend(records[start:end])
    return by_label


def _with_mean(density: AtomicDensity, records: Sequence[NDArray[np.float64]], n_files: int) -> AtomicDensity:
    assert density.channels is not None
    channels = density.channels
    matrices = np.array([occupancies_of_record(channels, record) for record in records])
    mean = matrices.mean(axis=0)
    spherical = np.array([spherical_record(channels, matrix) for matrix in matrices])
    length = max(float(np.linalg.norm(spherical_record(channels, mean))), 1e-30)
    apart = spherical - spherical_record(channels, mean)
    left_out = np.array(records) - spherical

    def percent(vectors: NDArray[np.float64]) -> float:
        return round(100 * float(np.sqrt((vectors**2).sum(axis=1).mean())) / length, 6)

    spread = percent(apart)
    if spread > WIDE:
        warnings.warn(
            f"the {len(records)} reference records of {density.label} are {spread:.0f} % off their mean: are all of "
            "the same release of the POTCAR, and with the same LREAL?",
            AssumptionWarning,
            stacklevel=3,
        )
    facts: dict[str, str | float] = {
        "mean_atoms": len(records),
        "mean_files": n_files,
        "mean_spread_percent": spread,
        "mean_lost_percent": percent(left_out),
    }
    return replace(density, mean_occupancies=mean, provenance={**density.provenance, **facts})
