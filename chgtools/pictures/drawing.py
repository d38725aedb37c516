"""Figures, and a field on a plane drawn in true geometry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import SettingsError
from chgtools.files import replacing
from chgtools.pictures.fields import title
from chgtools.pictures.planes import Plane, atoms_near, sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from chgtools.pictures.fields import Field

ATOMS_WITHIN_ANGSTROM = 0.6
OUTLIERS = 0.2  # percent of points that may lie beyond the end of the colours
LOG_DECADES = 4
MOST_CONTOURS = 16
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


@contextmanager
def picture(path: str | Path | None, width: float, depth: float) -> Iterator[Figure]:
    """A figure of width x depth inches; saved under ``path``, where there is one, when the block ends well."""
    import matplotlib

    from chgtools.pictures.notebook import Picture

    suffix = "" if path is None else Path(path).suffix.lower()
    if path is not None and suffix not in SUFFIXES:
        turnable = "; .html goes with --isosurface" if suffix == ".html" else ""
        raise SettingsError(f"{path}: a picture's name ends in {', '.join(SUFFIXES)}{turnable}")
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
    contours: bool = False,
) -> Figure:
    """Draw a field on a plane in true geometry, with the atoms up to 0.6 Å from it.

    contours : lines of equal value too, at the values that are marked on the bar of colours; dashed below zero

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
        figure.text(LEFT / page[0], 1 - 0.5 * TOP / page[1], title(field, plane.name), size=10, va="center")
        place = (LEFT + max(width, 1.2) + 0.3, BOTTOM + (max(depth, bar_depth) - bar_depth) / 2)
        bar_axes = figure.add_axes((place[0] / page[0], place[1] / page[1], 0.13 / page[0], bar_depth / page[1]))
        bar = figure.colorbar(image, cax=bar_axes, extend=extend, extendfrac=0.04)
        bar.outline.set_linewidth(0.6)
        bar.set_label(field.label)
        if contours:
            _draw_contours(axes, bar, values, (u, v), norm)
    return figure


def contour_levels(norm: Any) -> NDArray[np.float64]:
    """Round values between the ends of the colours, without zero: evenly, or 1, 2, 5 of each decade of a logarithm."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator

    low, high = norm.vmin, norm.vmax
    if isinstance(norm, LogNorm):
        decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        levels = np.array([float(f"{digit}e{decade:.0f}") for decade in decades for digit in (1, 2, 5)])
    else:
        levels = np.asarray(MaxNLocator(MOST_CONTOURS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    margin = 1e-9 * (high - low)
    inside = (levels > low + margin) & (levels < high - margin) & (np.abs(levels) > margin)
    return np.asarray(levels[inside], dtype=np.float64)


def _draw_contours(
    axes: Axes, bar: Any, values: NDArray[np.float64], sides: tuple[NDArray[Any], NDArray[Any]], norm: Any
) -> None:
    """Lines on the mesh of values on the parallelogram of two sides at the origin, and ticks of the bar at them."""
    levels = contour_levels(norm)
    s, t = ((np.arange(n) + 0.5) / n for n in reversed(values.shape))
    points = s[None, :, None] * sides[0] + t[:, None, None] * sides[1]
    below = bar.cmap(norm(levels))[:, :3] @ [0.3, 0.6, 0.1]  # how bright the colours under the lines are
    inks = ["#222222" if bright > 0.45 else "#eeeeee" for bright in below]
    styles = ["solid" if level > 0 else "dashed" for level in levels]
    axes.contour(*np.moveaxis(points, 2, 0), values, levels, colors=inks, linewidths=0.55, linestyles=styles)
    bar.set_ticks(levels, labels=[f"{level:g}" for level in levels], minor=False)
    bar.minorticks_off()


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
