"""``chgtools plot``: a picture of a field."""

from __future__ import annotations

import re
from pathlib import Path

import click

from chgtools.cli.options import PATH, force_option, output_option, refuse_to_replace


def _axis_plane(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, float] | None:
    """(2, 0.5) of "c@0.5"."""
    if value is None:
        return None
    match = re.fullmatch(r"([abc])@([+-]?(?:\d+\.?\d*|\.\d+))", value)
    if not match:
        raise click.BadParameter(f"found {value!r}; wanted an axis and a fraction of it, such as c@0.5")
    return "abc".index(match[1]), float(match[2])


@click.command()
@click.argument("file", type=PATH)
@output_option(help="Picture: .png, .pdf or .svg.")
@click.option("--plane", metavar="AXIS@FRACTION", callback=_axis_plane, help="Plane such as c@0.5 (the default).")
@click.option("--miller", type=int, nargs=3, default=None, metavar="H K L", help="Lattice plane through the origin.")
@click.option("--atoms", type=int, nargs=3, default=None, metavar="I J K", help="Plane through three atoms, from 1.")
@click.option("--average", type=click.Choice(["a", "b", "c"]), help="Mean over planes along a lattice vector.")
@click.option("--offset", type=float, default=0.0, metavar="ANGSTROM", help="Move the plane along its normal.")
@click.option("--block", metavar="NAME", help="Block: total, magnetisation, dcd, saed, ...; by default the first.")
@click.option("--log", is_flag=True, help="Logarithmic colours.")
@click.option("--range", "limits", type=float, nargs=2, default=None, metavar="LOW HIGH", help="Ends of the colours.")
@force_option
def plot(
    file: Path,
    output: Path,
    plane: tuple[int, float] | None,
    miller: tuple[int, int, int] | None,
    atoms: tuple[int, int, int] | None,
    average: str | None,
    offset: float,
    block: str | None,
    log: bool,
    limits: tuple[float, float] | None,
    force: bool,
) -> None:
    """Draw a plane or a planar average of a field as a picture.

    FILE is a CHGCAR or another volumetric file, or a difference density made by `chgtools make-dcd`. Planes are drawn
    in true geometry, with the atoms up to 0.6 Å from them.
    """
    from chgtools.pictures.fields import draw_average, draw_plane, open_field
    from chgtools.pictures.planes import plane_of_atoms, plane_of_axis, plane_of_miller

    given = [
        name
        for name, value in (("--plane", plane), ("--miller", miller), ("--atoms", atoms), ("--average", average))
        if value is not None
    ]
    if len(given) > 1:
        raise click.UsageError(f"found {' and '.join(given)}; one picture shows one of them")
    if average is not None and (log or limits is not None or offset):
        raise click.UsageError("--log, --range and --offset go with a plane, not with --average")
    refuse_to_replace(output, force)
    field = open_field(file, block)
    if average is not None:
        draw_average(field, "abc".index(average), output)
    else:
        if miller is not None:
            chosen = plane_of_miller(field.structure, miller)
        elif atoms is not None:
            chosen = plane_of_atoms(field.structure, atoms)
        else:
            chosen = plane_of_axis(field.structure, *(plane or (2, 0.5)))
        draw_plane(field, chosen.moved(offset), output, log=log, limits=limits)
    click.echo(str(output))
