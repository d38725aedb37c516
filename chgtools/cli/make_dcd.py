"""``chgtools make-dcd``: training targets from CHGCARs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    failed_sentence,
    float32_option,
    force_option,
    json_option,
    output_option,
    refuse_to_replace,
)
from chgtools.errors import ChgtoolsError


@click.command("make-dcd")
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="CHGCAR [POSCAR] ...")
@output_option(required=False, help="HDF5 file, or a folder for several; by default CHGCAR.dcd.h5 beside each CHGCAR.")
@density_options
@click.option("--nelect", type=click.FloatRange(min=0, min_open=True), metavar="N",
              help="Electrons of a charged cell, in place of NELECT in the INCAR beside each CHGCAR.")  # fmt: skip
@click.option("--no-saed", is_flag=True, help="Do not store the SAED (half the size; it can be made again).")
@float32_option
@force_option
@json_option
def make_dcd(
    files: tuple[Path, ...],
    output: Path | None,
    nelect: float | None,
    no_saed: bool,
    float32: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the difference density of CHGCAR, self-consistent density minus SAED, as HDF5.

    Give the POSCAR (or CONTCAR) of the run behind its CHGCAR: its positions have full precision. Without one, the
    POSCAR or CONTCAR beside the CHGCAR is taken if it is the same structure, else the header's 6 decimals. A POTCAR
    beside the CHGCAR is used unless another source is named. The file must hold NELECT of the INCAR beside it, without
    one the sum of ZVAL. With several CHGCARs a bad one stops no other. A CHGCAR may be a member of a tar or zip archive
    (runs.tar.gz:mp-149/CHGCAR), whose inputs are the members beside it, or a row of a Parquet file (x.parquet:12).
    """
    from chgtools.dcd.pairs import pair_files

    pairs = pair_files(files)
    if output is not None and len(pairs) > 1 and not output.is_dir():
        raise click.UsageError(f"{len(pairs)} CHGCARs need a folder as output, {output} is none; make it first")
    failures = 0
    for charge, poscar in pairs:
        target = _target(charge, output)
        refuse_to_replace(target, force)
        try:
            facts = _one(charge, poscar, target, nelect, not no_saed, float32, options)
        except ChgtoolsError as error:
            if len(pairs) == 1:
                raise
            failures += 1
            click.echo(f"Error: {error}", err=True)
            continue
        if as_json:
            click.echo(json.dumps(facts))
        else:
            grid = " x ".join(map(str, facts["grid"]))
            click.echo(
                f"{target}: {facts['formula']}, grid {grid}, {facts['electrons']:.5f} electrons, "
                f"DCD holds {facts['dcd_electrons']:+.1e}; SAED alone is {facts['saed_eps_mae_percent']:.2f} % off"
            )
    if failures:
        click.echo(failed_sentence(failures, len(pairs), "CHGCARs"), err=True)
        sys.exit(1)


def _target(charge: Path, output: Path | None) -> Path:
    from chgtools.formats.archives import split
    from chgtools.formats.streams import stem

    file, inside = split(charge)
    # run1.CHGCAR of runs.tar:run1/CHGCAR.gz, since other members have the same last name
    name = ".".join([*Path(inside).parts[:-1], f"{stem(charge)}.dcd.h5"]).lstrip(".")
    if inside and stem(charge).isdigit():
        name = f"{stem(file)}.{name}"  # a row of a Parquet file
    if output is None:
        return file.parent / name
    if output.is_dir():
        folder = "" if inside else charge.resolve().parent.name
        return output / (f"{folder}.{name}" if folder else name)
    return output


def _one(
    charge: Path,
    poscar: Path | None,
    target: Path,
    nelect: float | None,
    keep_saed: bool,
    float32: bool,
    options: dict[str, Any],
) -> dict[str, Any]:
    import numpy as np

    from chgtools.cli.run_options import source_of
    from chgtools.cli.screen import print_notes
    from chgtools.dcd.difference import difference_density
    from chgtools.formats.difference_density import write
    from chgtools.run.folder import RunFolder

    difference = difference_density(
        charge,
        poscar,
        source=RunFolder.around(charge).source(source_of(options)),
        nelect=nelect,
        dtype=np.float32 if float32 else np.float64,
    )
    print_notes(f"{charge}: {sentence}" for sentence in difference.assumptions)
    write(difference, target, keep_saed)
    return {
        "file": str(target),
        "formula": difference.structure.formula,
        "grid": difference.dcd.shape,
        "blocks": len(difference.blocks),
        "electrons": difference.electrons,
        "labels": difference.labels,
        "saed_eps_mae_percent": difference.eps_mae_of_saed,
        "dcd_electrons": float(difference.dcd.mean(dtype=float)) * difference.structure.volume,
        "assumptions": difference.assumptions,
    }
