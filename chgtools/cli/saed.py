"""``chgtools saed``: the superposition of atomic densities as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    force_option,
    grid_options,
    incar_option,
    json_option,
    output_option,
    refuse_to_replace,
)


@click.command()
@click.argument("poscar", type=PATH)
@output_option(help="File to write; its name tells the format (CHGCAR, x.cube, x.xsf).")
@incar_option
@grid_options
@density_options
@click.option("--method", type=click.Choice(["auto", "reciprocal", "real"]), default="auto", show_default=True,
              help="Sum in reciprocal space (VASP's way) or in real space.")  # fmt: skip
@force_option
@json_option
def saed(
    poscar: Path,
    output: Path,
    incar: Path | None,
    method: str,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the superposition of atomic electron densities of POSCAR: the density alone, without occupancies."""
    refuse_to_replace(output, force)

    from chgtools.cli.run_options import grid_of, source_of
    from chgtools.cli.screen import print_notes
    from chgtools.formats import write
    from chgtools.run.settings import settings_for
    from chgtools.start.superposition import superpose
    from chgtools.volumetric import VolumetricData

    settings = settings_for(poscar, source=source_of(options), incar=incar, grid=grid_of(options))
    notes = settings.assumptions
    atomic, nelect = settings.electrons_of_atoms, settings.nelect
    if nelect is not None and abs(nelect - atomic) > 1e-9 * atomic:
        told = f"the SAED holds the atoms' {atomic:g} electrons, not NELECT = {nelect:g}"
        notes += (f"{told} ({settings.run.tags.place('NELECT')}); `chgtools predict --model none` scales it",)
    print_notes(notes)
    density = superpose(settings.structure, settings.grid.ngf, settings.choice.densities, method=method)
    data = VolumetricData("CHGCAR", settings.structure, [density])
    write(data, output)
    facts = {
        "file": str(output),
        "grid": settings.grid.ngf,
        "electrons": data.electrons,
        "minimum": float(density.min()),
        "labels": settings.choice.labels,
        "assumptions": notes,
    }
    if as_json:
        click.echo(json.dumps(facts))
    else:
        n = " x ".join(map(str, settings.grid.ngf))
        click.echo(f"{output}: {settings.structure.formula}, grid {n}, {data.electrons:.6f} electrons, "
                   f"minimum {facts['minimum']:.3g} e/Å³")  # fmt: skip
