"""A scene that can be turned, by plotly: a page for itself, or a part of another page.

plotly brings its own script, which is written into the page: it needs no network and nothing beside it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import AssumptionWarning, SettingsError
from chgtools.files import replacing
from chgtools.pictures.extras import extra
from chgtools.pictures.fields import Field, title
from chgtools.pictures.scene import Body, Scene, scene_of
from chgtools.pictures.still import eye_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import plotly.graph_objects

WHAT = "pictures that can be turned"
LIGHT = {
    "ambient": 0.5, "diffuse": 0.75, "specular": 0.25, "roughness": 0.4, "fresnel": 0.1,
    "facenormalsepsilon": 1e-15, "vertexnormalsepsilon": 1e-15,  # triangles are small: by default they have no normals
}  # fmt: skip
# Right, up and away, in the unit of the picture and 500 of it: so plotly has it where the eye has no perspective. The
# light stays where it is when the scene is turned.
LIGHT_PLACE = {"x": -4500, "y": 5500, "z": -14}
EDGE = "#555555"
EYE_AWAY = 0.72  # of what is seen: where the eye has no perspective, its distance is the size of the picture


def draw_isosurface(
    field: Field,
    path: str | Path,
    *,
    level: float | None = None,
    repeats: Sequence[int] = (1, 1, 1),
    along: Sequence[float] | None = None,
) -> plotly.graph_objects.Figure:
    """Write the isosurface of a field with atoms, bonds and cell as a page of HTML.

    The arguments and what is told are those of :func:`chgtools.pictures.still.draw_isosurface`.
    Raises SettingsError for what cannot be drawn and for a name that does not end in .html.
    """
    if Path(path).suffix.lower() != ".html":
        raise SettingsError(f"{path}: a page's name ends in .html")
    scene = scene_of(field, level, repeats)
    if level is None:
        warnings.warn(AssumptionWarning(scene.said), stacklevel=3)
    figure = figure_of([("", scene)], along)
    figure.update_layout(title={"text": title(field, field.name), "x": 0.02, "font": {"size": 15}})
    with replacing(path) as temporary:
        figure.write_html(temporary, include_plotlyjs=True, include_mathjax=False, config=CONFIG, full_html=True)
    return figure


CONFIG: dict[str, Any] = {
    "displaylogo": False, "responsive": True, "scrollZoom": True,
    "modeBarButtons": [["resetCameraDefault3d", "toImage"]],
}  # fmt: skip


def figure_of(scenes: Sequence[tuple[str, Scene]], along: Sequence[float] | None = None) -> Any:
    """A plotly figure of the surfaces of several fields in one cell, each with its name before its isovalue.

    The first is shown, the others when their names are clicked; atoms and cell are those of the first.
    """
    go = extra("plotly.graph_objects", WHAT)
    first = scenes[0][1]
    figure = go.Figure()
    for index, (name, scene) in enumerate(scenes):
        for body in scene.surfaces:
            shown = True if index == 0 else "legendonly"
            figure.add_trace(_mesh(go, body, f"{name} {body.name}".strip(), shown))
    for body in first.atoms:
        figure.add_trace(_mesh(go, body, body.name, True))
    ends = np.full((len(first.edges()), 3, 3), np.nan)  # a line ends where no number is
    ends[:, :2] = first.edges()
    x, y, z = ends.reshape(-1, 3).T
    figure.add_trace(
        go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": EDGE, "width": 3}, name="cell", hoverinfo="skip",
                     connectgaps=False)
    )  # fmt: skip
    tips = np.diag(first.repeats) @ first.lattice
    tips = tips + 0.04 * np.linalg.norm(tips, axis=1).max() * tips / np.linalg.norm(tips, axis=1)[:, None]
    figure.add_trace(
        go.Scatter3d(x=tips[:, 0], y=tips[:, 1], z=tips[:, 2], mode="text", text=["<i>a</i>", "<i>b</i>", "<i>c</i>"],
                     textfont={"color": EDGE, "size": 14}, hoverinfo="skip", showlegend=False)
    )  # fmt: skip
    eye = eye_of(first.lattice, along)
    inside = np.concatenate([first.corners, tips, *(body.surface.vertices for body in first.atoms)])
    low, spread = inside.min(axis=0), np.ptp(inside, axis=0)
    away = EYE_AWAY * np.ptp(eye.sees(inside)[:, :2], axis=0).max() / spread.max()
    # the longest side is 1, or a long cell would not be in the picture
    ranges = {
        f"{name}axis": {"visible": False, "range": [start, start + length]}
        for name, start, length in zip("xyz", low.tolist(), spread.tolist(), strict=True)
    }
    figure.update_layout(
        scene={
            **ranges, "aspectmode": "manual", "dragmode": "orbit",
            "aspectratio": dict(zip("xyz", (spread / spread.max()).tolist(), strict=True)),
            "camera": {
                "eye": dict(zip("xyz", (away * eye.axes[2]).tolist(), strict=True)),
                "up": dict(zip("xyz", eye.axes[1].tolist(), strict=True)),
                "projection": {"type": "orthographic"},
            },
        },
        margin={"l": 0, "r": 0, "t": 40, "b": 0},
        legend={"orientation": "h", "yanchor": "top", "y": 0, "x": 0.02, "itemsizing": "constant"},
        paper_bgcolor="white",
        template="plotly_white",
    )  # fmt: skip
    return figure


def _mesh(go: Any, body: Body, name: str, shown: bool | str) -> Any:
    """Numbers of half the size: a page is for the eye."""
    vertices = body.surface.vertices.astype(np.float32)
    triangles = body.surface.triangles.astype(np.int32)
    (x, y, z), (i, j, k) = vertices.T, triangles.T
    return go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, color=body.colour, opacity=body.opacity, name=name, showlegend=True,
        visible=shown, lighting=LIGHT, lightposition=LIGHT_PLACE, flatshading=False,
        text=list(body.text) or None, hoverinfo="text" if body.text else "skip",
    )  # fmt: skip
