"""One picture of a field, from a file or from memory: what ``chgtools plot`` draws, for Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chgtools.errors import SettingsError
from chgtools.pictures.averages import draw_averages
from chgtools.pictures.fields import draw_plane, field_of, open_field
from chgtools.pictures.planes import plane_of_atoms, plane_of_axis, plane_of_miller
from chgtools.volumetric import DifferenceDensity, VolumetricData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = ("a", "b", "c")


class HoldsField(Protocol):
    """Anything with a field as its ``data``, such as a Prediction."""

    @property
    def data(self) -> VolumetricData: ...


def plot(
    data: str | Path | VolumetricData | DifferenceDensity | HoldsField,
    path: str | Path | None = None,
    *,
    plane: tuple[str, float] | None = None,
    miller: tuple[int, int, int] | None = None,
    atoms: tuple[int, int, int] | None = None,
    average: str | None = None,
    offset: float = 0.0,
    block: str | None = None,
    log: bool = False,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw a plane or a planar average of a field; a matplotlib Figure, which a notebook shows.

    data : a CHGCAR or another volumetric file, a difference density, or the path of one; a Prediction
    path : .png, .pdf or .svg to write it to as well
    plane : an axis and a fraction of it; ("c", 0.5), the middle of the cell, by default
    miller : indices of a lattice plane through the origin
    atoms : three atoms, from 1, that a plane goes through
    average : "a", "b" or "c", the mean over planes along this axis, in place of a plane
    offset : Å by which the plane is moved along its normal
    block : "total", "magnetisation", "dcd", "saed", ...; the first by default
    log : logarithmic colours; limits : ends of the colours
    Raises SettingsError for what goes not together and for a block, an axis or atoms that are not there.
    """
    ways = {"plane": plane, "miller": miller, "atoms": atoms, "average": average}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise SettingsError(f"found {' and '.join(given)}; one picture shows one of them")
    if average is not None and (log or limits is not None or offset):
        raise SettingsError("log, limits and offset go with a plane, not with average")
    if isinstance(data, (str, Path)):
        field = open_field(data, block)
    else:
        held = data if isinstance(data, DifferenceDensity) else getattr(data, "data", data)
        if not isinstance(held, (VolumetricData, DifferenceDensity)):
            raise SettingsError(f"cannot draw a {type(data).__name__}; wanted a density, or the path of one")
        field = field_of(held, block)
    if average is not None:
        return draw_averages([field], _axis(average), path)
    if miller is not None:
        chosen = plane_of_miller(field.structure, miller)
    elif atoms is not None:
        chosen = plane_of_atoms(field.structure, atoms)
    else:
        axis, fraction = plane or ("c", 0.5)
        chosen = plane_of_axis(field.structure, _axis(axis), fraction)
    return draw_plane(field, chosen.moved(offset), path, log=log, limits=limits)


def _axis(name: str) -> int:
    if name not in AXES:
        raise SettingsError(f"found the axis {name!r}; wanted one of {', '.join(AXES)}")
    return AXES.index(name)
