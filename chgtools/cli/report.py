"""``chgtools report``: a page on one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import PATH, density_options, force_option, output_option, refuse_to_replace


@click.command()
@click.argument("file", type=PATH)
@output_option(help="Page: .html.")
@click.option("--poscar", type=PATH, help="POSCAR of the run that is to read it; by default the one beside it.")
@click.option("--incar", type=PATH, help="INCAR of that run; by default the one beside it.")
@density_options
@force_option
def report(file: Path, output: Path, poscar: Path | None, incar: Path | None, force: bool, **options: Any) -> None:
    """Write a page on a density: a view that can be turned, planes, averages, charges, facts, what `check` finds.

    FILE is a CHGCAR or another volumetric file, or a difference density made by `chgtools make-dcd`. Of a CHGCAR the
    difference density is shown first, where its atoms are known. The page is one file and needs no network.
    """
    refuse_to_replace(output, force)
    from chgtools.cli.screen import print_notes
    from chgtools.libraries.choice import Source
    from chgtools.report import write_report
    from chgtools.report.charges import charges_table

    source = Source(**options)
    tables, why_not = charges_table(file, source)
    print_notes((*write_report(file, output, poscar=poscar, incar=incar, source=source, tables=tables), *why_not))
    click.echo(str(output))
