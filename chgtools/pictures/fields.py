"""Fields of files as they are drawn: one block with its name and unit, or a difference of two."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, MismatchError, SettingsError
from chgtools.volumetric import DifferenceDensity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.volumetric import VolumetricData

    _Facts = tuple[NDArray[np.floating[Any]], str, str, bool]  # values, quantity, unit, signed


@dataclass(frozen=True)
class Field:
    """One block as it is drawn.

    values : (nx, ny, nz); quantity : "density"; unit : "electrons/Å³"
    signed : drawn in two colours around zero
    source : the file
    minus : the file whose field was taken away, "" for none
    """

    structure: Structure
    values: NDArray[np.floating[Any]]
    quantity: str
    unit: str
    signed: bool
    source: str = ""
    minus: str = ""

    @property
    def name(self) -> str:
        """The quantity, with the files of a difference."""
        if not self.minus:
            return self.quantity
        return f"{self.quantity}, {' − '.join(short_names([self.source, self.minus]))}"

    @property
    def label(self) -> str:
        """The name and the unit, for an axis."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def quantity_label(self) -> str:
        """The quantity and the unit, for an axis that several files share."""
        name = f"{self.quantity}, less that of {short_names([self.minus])[0]}" if self.minus else self.quantity
        return f"{name} ({self.unit})" if self.unit else name


def short_names(paths: Sequence[str]) -> list[str]:
    """Names of files as short as tells them apart: with as many of their folders as that needs."""
    parts = [Path(path).parts for path in paths]
    for count in range(1, max(1, *map(len, parts)) + 1):
        names = [str(Path(*part[-count:])) if part else "" for part in parts]
        if len(set(names)) == len(set(paths)):
            break
    return names


def difference(field: Field, other: Field) -> Field:
    """One field less another one of the same quantity and atoms, on the grid of the first.

    Another grid is resampled in Fourier space and moved atoms are allowed; both are said (AssumptionWarning).
    Raises MismatchError for another quantity, cell or other atoms.
    """
    from chgtools.cell import same_atoms
    from chgtools.fourier.resampling import resample

    if (field.quantity, field.unit) != (other.quantity, other.unit):
        raise MismatchError(
            f"{field.source} holds a {field.quantity} and {other.source} a {other.quantity}; wanted the same quantity "
            "twice (--block chooses it)"
        )
    structures = (each.structure.with_changes(source=each.source) for each in (field, other))
    said = same_atoms(*structures)
    values = np.asarray(other.values)
    if values.shape != field.values.shape:
        grids = (" x ".join(map(str, shape)) for shape in (values.shape, field.values.shape))
        said.append("resampled from the grid {} to {}".format(*grids))
        values = resample(values, field.values.shape)
    for sentence in said:
        warnings.warn(AssumptionWarning(f"{other.source}: {sentence}"), stacklevel=2)
    less = np.subtract(field.values, values, dtype=np.float64)
    return replace(field, values=less, signed=True, minus=other.source)


def open_field(path: str | Path, block: str | None = None) -> Field:
    """A block of a volumetric file, or of a difference density (.h5), by name; the first when ``block`` is None.

    Raises SettingsError for a block that is not there, FormatError for a damaged file.
    """
    from chgtools.formats import difference_density, read
    from chgtools.formats.hdf5 import name_of

    data = difference_density.read(path) if name_of(path) else read(path)
    return field_of(data, block, str(path))


def field_of(data: VolumetricData | DifferenceDensity, block: str | None = None, source: str = "") -> Field:
    """:func:`open_field` of what was read or computed; source : what it is called in messages."""
    fields = fields_of(data, source)
    chosen = next(iter(fields)) if block is None else block
    if chosen not in fields:
        raise SettingsError(f"{source or 'the data'} has no block {chosen!r}; it has {', '.join(fields)}")
    return fields[chosen]


def fields_of(data: VolumetricData | DifferenceDensity, source: str) -> dict[str, Field]:
    """All that can be drawn of a file by the names of its blocks, the first one first. source : the file's name"""
    named = _difference_fields(data) if isinstance(data, DifferenceDensity) else _volumetric_fields(data)
    return {name: Field(data.structure, *facts, source) for name, facts in named.items()}


def _volumetric_fields(data: VolumetricData) -> dict[str, _Facts]:
    from chgtools.formats.chgcar_layout import block_names

    several = len(data.blocks) > 1
    fields: dict[str, _Facts] = {}
    for name, values in zip(block_names(data.kind, len(data.blocks)), data.blocks, strict=True):
        if data.kind == "LOCPOT":
            fields[name] = (values, f"local potential, {name}" if several else "local potential", "eV", True)
        elif data.kind == "ELFCAR":
            fields[name] = (values, f"ELF, {name}" if several else "ELF", "", False)
        elif name == "total":
            fields[name] = (values, "density", "electrons/Å³", False)
        else:
            fields[name] = (values, name, "μ_B/Å³", True)
    return fields


def _difference_fields(data: DifferenceDensity) -> dict[str, _Facts]:
    magnetic = ("magnetisation",) if len(data.blocks) == 2 else ("mx", "my", "mz")
    fields: dict[str, _Facts] = {"dcd": (data.blocks[0], "difference density", "electrons/Å³", True)}
    for name, values in zip(magnetic, data.blocks[1:], strict=False):
        fields[name] = (values, name, "μ_B/Å³", True)
    if data.saed is not None:
        fields["saed"] = (data.saed, "superposed atomic densities", "electrons/Å³", False)
    return fields


def title(field: Field, where: str) -> str:
    """Such as "NaCl   c = 0.5"."""
    structure = field.structure
    if not any(structure.species):
        return f"{structure.n_atoms} atoms   {where}"
    lowered = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    groups = zip(structure.species, structure.counts, strict=True)
    formula = "".join(name + (str(count).translate(lowered) if count > 1 else "") for name, count in groups)
    return f"{formula}   {where}"
