"""``chgtools plot``: a picture of a field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import PATH, force_option, output_option, refuse_to_replace

VIEWS = {"--plane": "plane", "--miller": "miller", "--atoms": "atoms", "--average": "average",
         "--isosurface": "isosurface"}  # fmt: skip
OF_PLANES = {"--offset": "offset", "--contours": "contours", "--log": "log", "--range": "limits"}
OF_SURFACES = {"--iso": "iso", "--repeat": "repeat", "--along": "along"}


def _axis_plane(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, float] | None:
    """(2, 0.5) of "c@0.5"."""
    if value is None:
        return None
    match = re.fullmatch(r"([abc])@([+-]?(?:\d+\.?\d*|\.\d+))", value)
    if not match:
        raise click.BadParameter(f"found {value!r}; wanted an axis and a fraction of it, such as c@0.5")
    return "abc".index(match[1]), float(match[2])


@click.command()
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@output_option(help="Picture: .png, .pdf or .svg; .html of an isosurface can be turned.")
@click.option("--plane", metavar="AXIS@FRACTION", callback=_axis_plane, help="Plane such as c@0.5 (the default).")
@click.option("--miller", type=int, nargs=3, default=None, metavar="H K L", help="Lattice plane through the origin.")
@click.option("--atoms", type=int, nargs=3, default=None, metavar="I J K", help="Plane through three atoms, from 1.")
@click.option("--average", type=click.Choice(["a", "b", "c"]),
              help="Mean over planes along a lattice vector; several FILEs in one picture.")  # fmt: skip
@click.option("--isosurface", is_flag=True, help="Surface of one value, with atoms, bonds and cell.")
@click.option("--minus", type=PATH, metavar="FILE", help="Draw the difference from this file.")
@click.option("--block", metavar="NAME", help="Block: total, magnetisation, dcd, saed, ...; by default the first.")
@click.option("--offset", type=float, default=0.0, metavar="ANGSTROM", help="Planes: move along the normal.")
@click.option("--contours", is_flag=True, help="Planes: lines of equal value too.")
@click.option("--log", is_flag=True, help="Planes: logarithmic colours.")
@click.option("--range", "limits", type=float, nargs=2, default=None, metavar="LOW HIGH",
              help="Planes: ends of the colours.")  # fmt: skip
@click.option("--iso", type=float, metavar="VALUE", help="Isosurface: the value, both signs; by default it is chosen.")
@click.option("--repeat", type=int, nargs=3, default=None, metavar="NA NB NC", help="Isosurface: cells to draw.")
@click.option("--along", type=float, nargs=3, default=None, metavar="U V W",
              help="Isosurface: look along this lattice direction.")  # fmt: skip
@force_option
def plot(
    files: tuple[Path, ...], output: Path, minus: Path | None, block: str | None, force: bool, **view: Any
) -> None:
    """Draw a plane, a planar average or an isosurface of a field as a picture.

    FILE is a CHGCAR or another volumetric file, or a difference density made by `chgtools make-dcd`. Planes are drawn
    in true geometry, with the atoms up to 0.6 Å from them. An isosurface of a field with both signs is red above zero
    and blue below; the value that is chosen leaves half of the field inside.
    """
    _require_one_view(view, files)
    refuse_to_replace(output, force)
    from chgtools.pictures.fields import difference, open_field

    fields = [open_field(file, block) for file in files]
    if minus is not None:
        other = open_field(minus, block)
        fields = [difference(field, other) for field in fields]
    if view["average"] is not None:
        from chgtools.pictures.averages import draw_averages

        draw_averages(fields, "abc".index(view["average"]), output)
    elif view["isosurface"]:
        click.echo(f"note: {_draw_isosurface(fields[0], output, view)}", err=True)
    else:
        _draw_plane(fields[0], output, view)
    click.echo(str(output))


def _require_one_view(view: dict[str, Any], files: tuple[Path, ...]) -> None:
    """Raise UsageError for options that do not go together."""
    views = [name for name, key in VIEWS.items() if view[key] not in (None, False)]
    if len(views) > 1:
        raise click.UsageError(f"found {' and '.join(views)}; one picture shows one of them")
    shown = views[0] if views else "--plane"
    for options, wanted, what in (
        (OF_PLANES, ("--plane", "--miller", "--atoms"), "a plane"),
        (OF_SURFACES, ("--isosurface",), "--isosurface"),
    ):
        given = [name for name, key in options.items() if view[key] not in (None, False, 0.0)]
        if given and shown not in wanted:
            raise click.UsageError(f"{' and '.join(given)} goes with {what}, not with {shown}")
    if len(files) > 1 and shown != "--average":
        raise click.UsageError(f"found {len(files)} files; several in one picture go with --average alone")


def _draw_plane(field: Any, output: Path, view: dict[str, Any]) -> None:
    from chgtools.pictures.fields import draw_plane
    from chgtools.pictures.planes import plane_of_atoms, plane_of_axis, plane_of_miller

    if view["miller"] is not None:
        plane = plane_of_miller(field.structure, view["miller"])
    elif view["atoms"] is not None:
        plane = plane_of_atoms(field.structure, view["atoms"])
    else:
        plane = plane_of_axis(field.structure, *(view["plane"] or (2, 0.5)))
    options = {name: view[name] for name in ("log", "limits", "contours")}
    draw_plane(field, plane.moved(view["offset"]), output, **options)


def _draw_isosurface(field: Any, output: Path, view: dict[str, Any]) -> str:
    """The sentence on the isovalue."""
    from chgtools.pictures import still, turnable

    draw = turnable.draw_isosurface if output.suffix.lower() == ".html" else still.draw_isosurface
    return draw(field, output, level=view["iso"], repeats=view["repeat"] or (1, 1, 1), along=view["along"])
