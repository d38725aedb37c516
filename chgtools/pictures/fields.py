"""Pictures of fields: planes through the cell, and planar averages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import SettingsError
from chgtools.files import replacing
from chgtools.pictures.planes import Plane, atoms_near, height, planar_average, sample
from chgtools.volumetric import DifferenceDensity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.volumetric import VolumetricData

ATOMS_WITHIN_ANGSTROM = 0.6
OUTLIERS = 0.2  # percent of points that may lie beyond the end of the colours
LOG_DECADES = 4
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.linewidth": 0.6,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#666666",
    "xtick.color": "#666666",
    "ytick.color": "#666666",
    "xtick.labelcolor": "#333333",
    "ytick.labelcolor": "#333333",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titlecolor": "#222222",
    "savefig.dpi": 200,
}
WIDTH_INCHES, DEPTH_INCHES = 4.6, 5.2  # room for the plane itself
LEFT, RIGHT, BOTTOM, TOP = 0.45, 1.2, 0.5, 0.5
SUFFIXES = (".png", ".pdf", ".svg")


@dataclass(frozen=True)
class Field:
    """One block as it is drawn.

    values : (nx, ny, nz); name : "total density"; unit : "electrons/Å³"
    signed : drawn in two colours around zero
    """

    structure: Structure
    values: NDArray[np.floating[Any]]
    name: str
    unit: str
    signed: bool


def open_field(path: str | Path, block: str | None = None) -> Field:
    """A block of a volumetric file, or of a difference density (.h5), by name; the first when ``block`` is None.

    Raises SettingsError for a block that is not there, FormatError for a damaged file.
    """
    if Path(path).suffix.lower() in (".h5", ".hdf5"):
        from chgtools.formats.difference_density import read as read_difference

        return field_of(read_difference(path), block, str(path))
    from chgtools.formats import read

    return field_of(read(path), block, str(path))


def field_of(data: VolumetricData | DifferenceDensity, block: str | None = None, name: str = "") -> Field:
    """:func:`open_field` of what was read or computed; name : what it is called in messages."""
    fields = _difference_fields(data) if isinstance(data, DifferenceDensity) else _volumetric_fields(data)
    chosen = next(iter(fields)) if block is None else block
    if chosen not in fields:
        raise SettingsError(f"{name or 'the data'} has no block {chosen!r}; it has {', '.join(fields)}")
    values, title, unit, signed = fields[chosen]
    return Field(data.structure, values, title, unit, signed)


def _volumetric_fields(data: VolumetricData) -> dict[str, Any]:
    from chgtools.formats.chgcar_layout import block_names

    fields = {}
    for name, values in zip(block_names(data.kind, len(data.blocks)), data.blocks, strict=True):
        if data.kind == "LOCPOT":
            fields[name] = (
                values,
                f"local potential, {name}" if len(data.blocks) > 1 else "local potential",
                "eV",
                True,
            )
        elif data.kind == "ELFCAR":
            fields[name] = (values, "ELF" if len(data.blocks) == 1 else f"ELF, {name}", "", False)
        elif name == "total":
            fields[name] = (values, "density", "electrons/Å³", False)
        else:
            fields[name] = (values, name, "μ_B/Å³", True)
    return fields


def _difference_fields(data: DifferenceDensity) -> dict[str, Any]:
    magnetic = ("magnetisation",) if len(data.blocks) == 2 else ("mx", "my", "mz")
    fields = {"dcd": (data.blocks[0], "difference density", "electrons/Å³", True)}
    for name, values in zip(magnetic, data.blocks[1:], strict=False):
        fields[name] = (values, name, "μ_B/Å³", True)
    if data.saed is not None:
        fields["saed"] = (data.saed, "superposed atomic densities", "electrons/Å³", False)
    return fields


@contextmanager
def picture(path: str | Path | None, width: float, depth: float) -> Iterator[Figure]:
    """A figure of width x depth inches; saved under ``path``, where there is one, when the block ends well."""
    import matplotlib

    from chgtools.pictures.notebook import Picture

    suffix = "" if path is None else Path(path).suffix.lower()
    if path is not None and suffix not in SUFFIXES:
        raise SettingsError(f"{path}: a picture's name ends in {', '.join(SUFFIXES)}")
    with matplotlib.rc_context(STYLE):
        figure = Picture(figsize=(width, depth))
        yield figure
        if path is None:
            return
        with replacing(path) as temporary:
            figure.savefig(temporary, format=suffix[1:])


def _colours(
    field: Field, values: NDArray[np.float64], log: bool, limits: tuple[float, float] | None
) -> tuple[Any, str, str]:
    """(norm, colour map, which ends of the colour bar are open) for the values that are drawn."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = np.percentile(values, [OUTLIERS, 100 - OUTLIERS])
    if log:
        if field.signed:
            raise SettingsError(f"the {field.name} has both signs; draw it without --log")
        high = limits[1] if limits else float(values.max())
        lowest = values[values > 0].min() if (values > 0).any() else 0.0
        low = limits[0] if limits else max(high / 10**LOG_DECADES, float(lowest))
        if low <= 0 or high <= low:
            raise SettingsError(
                f"found the range {low:g} to {high:g}; --log wants two positive numbers, the lower first"
            )
        norm: Any = LogNorm(low, high)
    elif limits:
        low, high = limits
        if high <= low:
            raise SettingsError(f"found the range {low:g} to {high:g}; wanted the lower first")
        norm = Normalize(low, high)
    elif field.signed:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
        norm = Normalize(low, high)
    else:
        low = 0.0 if low < 0.5 * high else low  # negative values, as close to PAW nuclei, get the lowest colour
        high = high if high > low else low + 1.0
        norm = Normalize(low, high)
    below, above = values.min() < low, values.max() > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
    return norm, "RdBu_r" if field.signed else "magma_r", extend[bool(below), bool(above)]


def draw_plane(
    field: Field,
    plane: Plane,
    path: str | Path | None,
    *,
    log: bool = False,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw a field on a plane in true geometry, with the atoms up to 0.6 Å from it.

    Signed fields get two colours around zero; the colours end at the 0.2 and 99.8 percent points of the plane unless
    ``limits`` gives their range. Raises SettingsError for limits that cannot be used and names that are no picture's.
    """
    values = sample(field.values, field.structure, plane)
    norm, colour_map, extend = _colours(field, values, log, limits)
    u, v = plane.u @ plane.frame[:2].T, plane.v @ plane.frame[:2].T
    corners = np.array([[0, 0], u, u + v, v])
    low, spread = corners.min(axis=0), np.ptp(corners, axis=0)
    scale = min(WIDTH_INCHES / spread[0], DEPTH_INCHES / spread[1])
    width, depth = scale * spread
    bar_depth = max(0.8 * depth, 1.4)
    page = np.array([LEFT + max(width, 1.2) + RIGHT, BOTTOM + max(depth, bar_depth) + TOP])
    with picture(path, *page) as figure:
        axes = figure.add_axes((LEFT / page[0], BOTTOM / page[1], width / page[0], depth / page[1]))
        image = _skewed_image(axes, np.maximum(values, norm.vmin) if log else values, u, v, norm, colour_map)
        axes.fill(*corners.T, facecolor="none", edgecolor="#555555", linewidth=0.7, clip_on=False)
        _draw_atoms(axes, field, plane)
        axes.set(aspect="equal", xlabel="Å")
        axes.set(xlim=(low[0], low[0] + spread[0]), ylim=(low[1], low[1] + spread[1]))
        axes.tick_params(pad=5)
        axes.spines[:].set_visible(False)
        figure.text(LEFT / page[0], 1 - 0.5 * TOP / page[1], _title(field, plane.name), size=10, va="center")
        place = (LEFT + max(width, 1.2) + 0.3, BOTTOM + (max(depth, bar_depth) - bar_depth) / 2)
        bar_axes = figure.add_axes((place[0] / page[0], place[1] / page[1], 0.13 / page[0], bar_depth / page[1]))
        bar = figure.colorbar(image, cax=bar_axes, extend=extend, extendfrac=0.04)
        bar.outline.set_linewidth(0.6)
        bar.set_label(f"{field.name} ({field.unit})" if field.unit else field.name)
    return figure


def _skewed_image(
    axes: Axes, values: NDArray[np.float64], u: NDArray[Any], v: NDArray[Any], norm: Any, colour_map: str
) -> Any:
    """The mesh of values on the parallelogram (u, v) at the origin."""
    from matplotlib.transforms import Affine2D

    shear = Affine2D(np.array([[u[0], v[0], 0], [u[1], v[1], 0], [0, 0, 1]]))
    return axes.imshow(
        values,
        origin="lower",
        extent=(0, 1, 0, 1),
        transform=shear + axes.transData,
        norm=norm,
        cmap=colour_map,
        interpolation="bilinear",
    )


def _draw_atoms(axes: Axes, field: Field, plane: Plane) -> None:
    from matplotlib.patheffects import withStroke

    indices, positions, distances = atoms_near(field.structure, plane, ATOMS_WITHIN_ANGSTROM)
    for index, (x, y), distance in zip(indices, positions, distances, strict=True):
        ink = 1 - 0.6 * abs(distance) / ATOMS_WITHIN_ANGSTROM
        axes.plot(x, y, "o", ms=3.4, mfc="#222222", mec="white", mew=0.7, alpha=ink, clip_on=False, zorder=3)
        axes.annotate(
            field.structure.elements[index] or str(index + 1),
            (x, y),
            (3, 3),
            textcoords="offset points",
            fontsize=7.5,
            color="#222222",
            alpha=ink,
            path_effects=[withStroke(linewidth=1.6, foreground="white")],
            zorder=4,
        )


def _title(field: Field, where: str) -> str:
    structure = field.structure
    if not any(structure.species):
        return f"{structure.n_atoms} atoms   {where}"
    lowered = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    groups = zip(structure.species, structure.counts, strict=True)
    formula = "".join(name + (str(count).translate(lowered) if count > 1 else "") for name, count in groups)
    return f"{formula}   {where}"


def draw_average(field: Field, axis: int, path: str | Path | None) -> Figure:
    """Draw the mean over planes along one lattice vector, against the distance along their normal, with the atoms."""
    average = planar_average(field.values, axis)
    length = height(field.structure, axis)
    distance = np.arange(len(average) + 1) / len(average) * length
    species = list(dict.fromkeys(field.structure.elements))
    rug_depth = 0.16 * len(species) + 0.1
    page = np.array([6.2, 0.4 + 2.4 + 0.1 + rug_depth + 0.5])
    with picture(path, *page) as figure:
        axes = figure.add_axes((0.75 / page[0], (0.6 + rug_depth) / page[1], 5.2 / page[0], 2.4 / page[1]))
        axes.plot(distance, np.append(average, average[0]), color="#28508c", linewidth=1.3)
        if average.min() < 0 < average.max():
            axes.axhline(0, color="#aaaaaa", linewidth=0.6, zorder=0)
        axes.set(ylabel=f"{field.name} ({field.unit})" if field.unit else field.name, xlim=(0, length))
        axes.tick_params(axis="x", labelbottom=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.text(0.75 / page[0], 1 - 0.2 / page[1], _title(field, f"mean over planes along {'abc'[axis]}"), size=10,
                    va="center")  # fmt: skip
        rug = figure.add_axes((0.75 / page[0], 0.5 / page[1], 5.2 / page[0], rug_depth / page[1]), sharex=axes)
        heights = field.structure.frac[:, axis] % 1.0 * length
        for row, name in enumerate(species):
            mine = heights[[element == name for element in field.structure.elements]]
            rug.plot(mine, np.full(len(mine), -row), "|", color="#333333", markersize=6, markeredgewidth=0.8, alpha=0.6)
        rug.set(ylim=(-len(species) + 0.4, 0.6), xlabel="Å")
        rug.set_yticks([-row for row in range(len(species))], [name or "atoms" for name in species], fontsize=7.5)
        rug.tick_params(axis="y", length=0)
        rug.spines[["top", "right", "left"]].set_visible(False)
    return figure
