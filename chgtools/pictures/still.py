"""A scene as a picture on paper: .png, .pdf or .svg.

The picture is painted dot by dot, twice as fine as it is shown: matplotlib would draw whole triangles one over the
other, and those that go through each other, or that one can see through, cannot be drawn so. All else is matplotlib's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, SettingsError
from chgtools.pictures.drawing import DEPTH_INCHES, WIDTH_INCHES, picture
from chgtools.pictures.fields import Field, title
from chgtools.pictures.scene import Body, Scene, scene_of
from chgtools.pictures.solids import joined, rod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DOTS = 200  # of the painted part, to an inch
FINER = 2
AZIMUTH, ELEVATION = np.radians(24.0), np.radians(14.0)  # of the eye, from straight before the plane of a and c
LIGHT = np.array([-0.45, 0.55, 0.70])  # right, up and towards the eye
AMBIENT, SHINE, HARDNESS = 0.42, 0.28, 28
HAZE = 0.22  # how much paler the farthest triangle is
MARGIN, LEGEND, TITLE = 0.25, 1.75, 0.45  # inches
EDGE = "#555555"
EDGE_INCHES = 0.011
LABEL_INCHES = 0.22  # from the end of a lattice vector to its name


@dataclass(frozen=True)
class Eye:
    """axes : (3, 3) rows right, up and towards the eye, orthonormal, in the frame of the lattice"""

    axes: NDArray[np.float64]

    def sees(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) right, up and nearness of points, Å."""
        return points @ self.axes.T


def eye_of(lattice: NDArray[np.float64], along: Sequence[float] | None = None) -> Eye:
    """Where a cell is looked at from.

    along : [u v w], a lattice direction that the eye looks along, with c up (b where it looks along c); by default from
        before the plane of a and c, a little to the right and above
    Raises SettingsError for [0 0 0].
    """
    c = lattice[2] / np.linalg.norm(lattice[2])
    if along is None:
        a = lattice[0] - (lattice[0] @ c) * c
        right = a / np.linalg.norm(a)
        before = np.cross(right, c)
        near = np.cos(ELEVATION) * (np.cos(AZIMUTH) * before + np.sin(AZIMUTH) * right) + np.sin(ELEVATION) * c
        up = c
    else:
        direction = np.asarray(along, dtype=float) @ lattice
        if not np.linalg.norm(direction) > 0:
            raise SettingsError("found the direction 0 0 0 to look along; wanted a lattice direction such as 1 1 0")
        near = -direction / np.linalg.norm(direction)
        up = c if abs(near @ c) < 0.999 else lattice[1]
    up = up - (up @ near) * near
    up /= np.linalg.norm(up)
    return Eye(np.array([np.cross(up, near), up, near]))


def draw_isosurface(
    field: Field,
    path: str | Path | None,
    *,
    level: float | None = None,
    repeats: Sequence[int] = (1, 1, 1),
    along: Sequence[float] | None = None,
) -> Figure:
    """Draw the isosurface of a field with atoms, bonds and cell; a level that was chosen is told (AssumptionWarning).

    level, repeats : as for :func:`chgtools.pictures.scene.scene_of`; along : as for :func:`eye_of`
    Raises SettingsError for what cannot be drawn and for a name that is no picture's.
    """
    from matplotlib.patheffects import withStroke

    eye = eye_of(field.structure.lattice, along)
    scene = scene_of(field, level, repeats)
    if level is None:
        warnings.warn(AssumptionWarning(scene.said), stacklevel=3)
    reach = np.concatenate([eye.sees(scene.corners), *(eye.sees(body.surface.vertices) for body in scene.atoms)])[:, :2]
    low, spread = reach.min(axis=0), np.ptp(reach, axis=0)
    scale = min(WIDTH_INCHES / spread[0], DEPTH_INCHES / spread[1])
    inches = scale * spread + 2 * MARGIN
    page = np.array([max(inches[0], 2.2) + LEGEND, max(inches[1], 1.8) + TITLE])
    with picture(path, *page) as figure:
        axes = figure.add_axes((0, 0, inches[0] / page[0], inches[1] / page[1]))
        low, high = low - MARGIN / scale, low + spread + MARGIN / scale
        axes.imshow(
            _painted(scene, eye, low, high, inches), extent=(low[0], high[0], low[1], high[1]), origin="lower", zorder=0
        )
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        axes.set_axis_off()
        for axis, tip in enumerate(eye.sees(np.diag(scene.repeats) @ scene.lattice)[:, :2]):
            length = np.linalg.norm(tip)
            if length * scale > LABEL_INCHES:  # not where the eye looks along it
                place = tip * (1 + LABEL_INCHES / scale / length)
                axes.text(place[0], place[1], "abc"[axis], ha="center", va="center", style="italic", color=EDGE,
                          clip_on=False, path_effects=[withStroke(linewidth=2.5, foreground="white")])  # fmt: skip
        figure.text(0.2 / page[0], 1 - 0.25 / page[1], title(field, field.name), size=10, va="center")
        _legend(figure, scene, page)
    return figure


def _legend(figure: Figure, scene: Scene, page: NDArray[np.float64]) -> None:
    """Colours of surfaces and of elements, at the right."""
    left, top = page[0] - LEGEND + 0.05, page[1] - TITLE - 0.1
    for marker, body in [("s", body) for body in scene.surfaces] + [("o", body) for body in scene.atoms]:
        place = (left / page[0], top / page[1])
        figure.add_artist(_dot(*place, marker, body))
        figure.text((left + 0.14) / page[0], place[1], body.name, size=8.5, va="center", color="#222222")
        top -= 0.21


def _dot(x: float, y: float, marker: str, body: Body) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=marker, ms=7, mfc=body.colour, mec="#555555", mew=0.4, alpha=max(body.opacity, 0.8),
                  linestyle="none")  # fmt: skip


def _painted(
    scene: Scene, eye: Eye, low: NDArray[np.float64], high: NDArray[np.float64], inches: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(rows, columns, 3) RGB on white, of what lies between two corners on the plane of the picture (Å)."""
    from matplotlib.colors import to_rgb

    from chgtools.kernels.painting import paint

    columns, rows = (round(float(DOTS * length)) for length in inches)
    picture = np.ones((rows * FINER, columns * FINER, 3), dtype=np.float32)
    nearness = np.full(picture.shape[:2], -np.inf)
    edge = EDGE_INCHES / 2 / inches[0] * (high[0] - low[0])
    cell = joined([rod(begin, end, edge, 8, 1) for begin, end in scene.edges()])
    bodies = [Body(cell, "", EDGE), *scene.atoms, *scene.surfaces]
    seen = [eye.sees(body.surface.vertices) for body in bodies]
    depths = np.concatenate([points[:, 2] for points in seen])
    per_dot = np.array([picture.shape[1], picture.shape[0]]) / (high - low)
    light = np.array([*LIGHT / np.linalg.norm(LIGHT), AMBIENT, SHINE, HARDNESS])
    clear = []
    for body, points in zip(bodies, seen, strict=True):
        triangles = body.surface.triangles
        far = (depths.max() - points[triangles][:, :, 2].mean(axis=1)) / max(float(np.ptp(depths)), 1e-9)
        colours = np.array(to_rgb(body.colour)) + HAZE * far[:, None] * (1 - np.array(to_rgb(body.colour)))
        on_page = np.column_stack([(points[:, :2] - low) * per_dot, points[:, 2]])
        piece = (on_page, _normals(points, triangles), triangles, colours)
        if body.opacity == 1:
            paint(picture, nearness, *piece, 1.0, light)
        else:
            clear.append(piece)
    if clear:
        first = np.cumsum([0, *(len(piece[0]) for piece in clear[:-1])])
        points, normals, colours = (np.concatenate([piece[part] for piece in clear]) for part in (0, 1, 3))
        triangles = np.concatenate([piece[2] + start for piece, start in zip(clear, first, strict=True)])
        order = np.argsort(points[triangles][:, :, 2].mean(axis=1), kind="stable")
        opacity = next(body.opacity for body in scene.surfaces)
        paint(picture, nearness, points, normals, triangles[order], colours[order], opacity, light)
    return picture.reshape(rows, FINER, columns, FINER, 3).mean(axis=(1, 3))


def _normals(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) normals of points, those of the triangles about them by their areas."""
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    return normals
