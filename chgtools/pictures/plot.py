"""One picture of a field, from a file or from memory: ``chgtools plot`` and ``chgtools.plot``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chgtools.errors import SettingsError
from chgtools.pictures.averages import draw_averages
from chgtools.pictures.drawing import draw_plane
from chgtools.pictures.fields import Field, difference, field_of, open_field
from chgtools.pictures.planes import Plane, plane_of_atoms, plane_of_axis, plane_of_miller
from chgtools.volumetric import DifferenceDensity, VolumetricData

if TYPE_CHECKING:
    import plotly.graph_objects
    from matplotlib.figure import Figure

AXES = ("a", "b", "c")
PLANES = ("plane", "miller", "atoms")
VIEWS = (*PLANES, "average", "isosurface")
OF_PLANES = ("offset", "contours", "log", "limits")
OF_SURFACES = ("iso", "repeat", "along")


class HoldsField(Protocol):
    """Anything with a field as its ``data``, such as a Prediction."""

    @property
    def data(self) -> VolumetricData: ...


Drawable = str | Path | VolumetricData | DifferenceDensity | HoldsField


def plot(
    data: Drawable | Sequence[Drawable],
    path: str | Path | None = None,
    *,
    plane: tuple[str, float] | None = None,
    miller: tuple[int, int, int] | None = None,
    atoms: tuple[int, int, int] | None = None,
    average: str | None = None,
    isosurface: bool = False,
    minus: Drawable | None = None,
    block: str | None = None,
    offset: float = 0.0,
    contours: bool = False,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    iso: float | None = None,
    repeat: tuple[int, int, int] | None = None,
    along: tuple[float, float, float] | None = None,
) -> Figure | plotly.graph_objects.Figure:
    """Draw a plane, a planar average or an isosurface, as ``chgtools plot`` does; a Figure, which a notebook shows.

    data : a CHGCAR or another volumetric file, a difference density, or the path of one; a Prediction; with average
        several of them, a line each
    path : .png, .pdf or .svg to write it to as well; .html of an isosurface can be turned, and so can the plotly Figure
        that is returned then
    plane : an axis and a fraction of it; ("c", 0.5), the middle of the cell, by default
    miller : indices of a plane through the origin; atoms : three, from 1, that a plane goes through
    average : "a", "b" or "c", the mean over planes along this axis
    isosurface : the surface of one value, with atoms, bonds and cell; needs the extra ``pictures``
    minus : draw the difference from this density
    block : "total", "magnetisation", "dcd", "saed", ...; the first by default
    offset : Å by which a plane is moved along its normal
    contours : lines of equal value on a plane too
    log : logarithmic colours of a plane; limits : ends of its colours
    iso : value of the isosurface, positive, both signs of a field that has them; by default half of the field is
        inside, and the value is told (AssumptionWarning)
    repeat : cells to draw along each lattice vector; along : [u v w], the lattice direction to look along
    Raises SettingsError for what goes not together and for a block, an axis or atoms that are not there, MismatchError
    for a difference of different cells, ChgtoolsError where a library that is needed is not there.
    """
    items: Sequence[Any] = data if isinstance(data, (list, tuple)) else [data]
    options = {
        "plane": plane, "miller": miller, "atoms": atoms, "average": average, "isosurface": isosurface,
        "offset": offset, "contours": contours, "log": log, "limits": limits, "iso": iso, "repeat": repeat,
        "along": along,
    }  # fmt: skip
    if said := disagreement(options, len(items)):
        raise SettingsError(said)
    fields = _fields(items, minus, block)
    if average is not None:
        return draw_averages(fields, _axis(average), path)
    if isosurface:
        from chgtools.pictures import still, turnable

        html = path is not None and Path(path).suffix.lower() == ".html"
        draw: Callable[..., Any] = turnable.draw_isosurface if html else still.draw_isosurface
        return draw(fields[0], path, level=iso, repeats=repeat or (1, 1, 1), along=along)
    chosen = _plane(fields[0], plane, miller, atoms).moved(offset)
    return draw_plane(fields[0], chosen, path, log=log, limits=limits, contours=contours)


def disagreement(options: Mapping[str, Any], count: int = 1, called: Callable[[str], str] = str) -> str:
    """A sentence on options that do not go together, "" where all do.

    options : those of :func:`plot` by name; count : of the densities to draw; called : how an option is named
    """
    given = {name for name, value in options.items() if value is not None and not _is_nothing(value)}
    views = [name for name in VIEWS if name in given]
    if len(views) > 1:
        return f"found {' and '.join(map(called, views))}; one picture shows one of them"
    shown = views[0] if views else "plane"
    for names, wanted, what in (
        (OF_PLANES, PLANES, "a plane"),
        (OF_SURFACES, ("isosurface",), called("isosurface")),
    ):
        if shown not in wanted and (strange := [called(name) for name in names if name in given]):
            go = "goes" if len(strange) == 1 else "go"
            return f"{' and '.join(strange)} {go} with {what}, not with {called(shown)}"
    if count > 1 and shown != "average":
        return f"found {count} files; several in one picture go with {called('average')} alone"
    return ""


def _is_nothing(value: Any) -> bool:
    """False and 0; not an array."""
    return isinstance(value, (int, float)) and not value


def _fields(items: Sequence[Any], minus: Any, block: str | None) -> list[Field]:
    """Raises SettingsError for what is no density."""
    if not items:
        raise SettingsError("found no density to draw; wanted one at least")
    name = "" if minus is None else "data"
    names = [name] if len(items) == 1 else [str(number) for number in range(1, len(items) + 1)]
    fields = [_field(item, block, name) for item, name in zip(items, names, strict=True)]
    if minus is None:
        return fields
    other = _field(minus, block, "minus")
    return [difference(field, other) for field in fields]


def _field(data: Any, block: str | None, name: str) -> Field:
    """name : what something in memory is called in titles and messages"""
    if isinstance(data, (str, Path)):
        return open_field(data, block)
    held = data if isinstance(data, DifferenceDensity) else getattr(data, "data", data)
    if not isinstance(held, (VolumetricData, DifferenceDensity)):
        raise SettingsError(f"cannot draw a {type(data).__name__}; wanted a density, or the path of one")
    return field_of(held, block, name)


def _plane(
    field: Field,
    plane: tuple[str, float] | None,
    miller: tuple[int, int, int] | None,
    atoms: tuple[int, int, int] | None,
) -> Plane:
    if miller is not None:
        return plane_of_miller(field.structure, miller)
    if atoms is not None:
        return plane_of_atoms(field.structure, atoms)
    axis, fraction = plane or ("c", 0.5)
    return plane_of_axis(field.structure, _axis(axis), fraction)


def _axis(name: str) -> int:
    if name not in AXES:
        raise SettingsError(f"found the axis {name!r}; wanted one of {', '.join(AXES)}")
    return AXES.index(name)
