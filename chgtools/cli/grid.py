"""``chgtools grid``: the FFT grids that VASP will use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import PATH, density_options, grid_options, incar_option, json_option


@click.command()
@click.argument("poscar", type=PATH)
@incar_option
@grid_options
@density_options
@json_option
def grid(poscar: Path, incar: Path | None, as_json: bool, **options: Any) -> None:
    """Print the FFT grids NGX NGY NGZ and NGXF NGYF NGZF that VASP will use for POSCAR."""
    from chgtools.cli.run_options import grid_of, source_of
    from chgtools.cli.screen import print_notes
    from chgtools.run.settings import settings_for

    settings = settings_for(poscar, source=source_of(options), incar=incar, grid=grid_of(options))
    print_notes(settings.assumptions)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "ng": settings.grid.ng,
                    "ngf": settings.grid.ngf,
                    "encut": settings.grid.encut,
                    "prec": settings.grid.prec,
                    "assumptions": settings.assumptions,
                }
            )
        )
        return
    for names, numbers in (("NGX NGY NGZ", settings.grid.ng), ("NGXF NGYF NGZF", settings.grid.ngf)):
        if numbers is not None:
            click.echo(f"{names:15s}= {numbers[0]:5d} {numbers[1]:5d} {numbers[2]:5d}")
