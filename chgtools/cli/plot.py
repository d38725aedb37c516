"""``chgtools plot``: a picture of a field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import PATH, force_option, output_option, refuse_to_replace

OPTIONS = {"limits": "--range"}  # where a name in Python is another


def _axis_plane(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, float] | None:
    """("c", 0.5) of "c@0.5"."""
    if value is None:
        return None
    match = re.fullmatch(r"([abc])@([+-]?(?:\d+\.?\d*|\.\d+))", value)
    if not match:
        raise click.BadParameter(f"found {value!r}; wanted an axis and a fraction of it, such as c@0.5")
    return match[1], float(match[2])


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
    from chgtools.pictures.plot import disagreement
    from chgtools.pictures.plot import plot as draw

    if said := disagreement(view, len(files), lambda name: OPTIONS.get(name, f"--{name}")):
        raise click.UsageError(said)
    refuse_to_replace(output, force)
    draw(files, output, minus=minus, block=block, **view)
    click.echo(str(output))
