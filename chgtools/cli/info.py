"""``chgtools info`` and ``chgtools compare``: what is in a file, and how far two densities are apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import PATH, data_grid_option, json_option


@click.command()
@click.argument("file", type=PATH)
@data_grid_option
@json_option
def info(file: Path, grid: str | None, as_json: bool) -> None:
    """Print what a volumetric file holds.

    FILE is a CHGCAR, CHG, AECCAR, PARCHG, LOCPOT, ELFCAR, cube or XSF file, JSON of pymatgen's Chgcar or a vaspwave.h5,
    plain or compressed, or a difference density of `chgtools make-dcd`. A member of a tar or zip archive is named as
    runs.tar.gz:mp-149/CHGCAR, a row of a Parquet file (emmet, LeMat-Rho) as densities.parquet:12 or by its id. The
    whole file is read and checked.
    """
    from chgtools.errors import FormatError
    from chgtools.formats import difference_density, read
    from chgtools.formats.facts import describe, describe_difference
    from chgtools.formats.hdf5 import name_of

    try:
        facts = (
            describe_difference(difference_density.read(file), file)
            if name_of(file)
            else describe(read(file, grid=grid))
        )
    except FormatError as error:
        if error.line is None or not _is_mended(file):
            raise
        raise click.ClickException(f"{error} (`chgtools check --fix {file} -o FILE` mends it)") from error
    click.echo(json.dumps(facts, indent=1) if as_json else table(facts))


def _is_mended(file: Path) -> bool:
    """Whether `chgtools check --fix` makes a file of it that is read: it is tried, into a folder that goes again."""
    import warnings
    from tempfile import TemporaryDirectory

    from chgtools.check import mend_file
    from chgtools.errors import AssumptionWarning, ChgtoolsError
    from chgtools.formats import chgcar

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        try:
            mending = mend_file(file, Path(folder) / "CHGCAR")
            if mending.output is not None:
                chgcar.read(mending.output)
        except ChgtoolsError:
            return False
    return mending.output is not None


def table(facts: dict[str, Any]) -> str:
    """The facts as lines of text."""
    species = " ".join(f"{name or '?'}{count}" for name, count in zip(facts["species"], facts["counts"], strict=True))
    lines = [
        f"{facts['file']}: {facts['kind']}",
        f"atoms          {species} ({sum(facts['counts'])})",
        f"cell           {facts['volume']:.4f} Å³",
        f"grid           {' x '.join(str(n) for n in facts['grid'])}",
    ]
    if facts["electrons"] is not None:
        lines.append(f"electrons      {facts['electrons']:.6f}")
    lines.append(f"augmentation   {_lengths(facts['augmentation_lengths'])}")
    unit = {"LOCPOT": "eV", "ELFCAR": ""}.get(facts["kind"], "electrons/Å³")
    lines.append(f"{'block':13s}{'mean':>14s}{'lowest':>14s}{'highest':>14s}  {unit}".rstrip())
    rows = zip(facts["block_names"], facts["mean"], facts["minimum"], facts["maximum"], strict=True)
    lines += [f"{name:13s}{mean:14.6g}{low:14.6g}{high:14.6g}" for name, mean, low, high in rows]
    return "\n".join(lines)


def _lengths(lengths: list[int]) -> str:
    """Such as: records of 138 (1), 33 (2) numbers."""
    if not lengths:
        return "none"
    return "records of " + ", ".join(f"{n} ({lengths.count(n)})" for n in dict.fromkeys(lengths)) + " numbers"


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@json_option
def compare(a: Path, b: Path, as_json: bool) -> None:
    """Print how far the density A is from the reference B.

    eps_mae = 100 Σ|A - B| / Σ|B| and eps_rms = 100 sqrt(Σ(A - B)² / ΣB²) in percent, and the Coulomb self-energy of
    the difference in meV per atom. Both files must hold the same cell and atoms.
    """
    from chgtools.cli.screen import print_notes
    from chgtools.comparison import compare as compare_densities

    result = compare_densities(a, b)
    print_notes(result.notes)
    facts = {
        "eps_mae_percent": result.eps_mae_percent,
        "eps_rms_percent": result.eps_rms_percent,
        "coulomb_self_energy_mev_per_atom": result.coulomb_self_energy_mev_per_atom,
        "electrons_a": result.electrons_a,
        "electrons_b": result.electrons_b,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    click.echo(f"eps_mae              {result.eps_mae_percent:14.6f} %")
    click.echo(f"eps_rms              {result.eps_rms_percent:14.6f} %")
    for number, magnetic in enumerate(result.magnetisation_eps_mae_percent, 2):
        shown = "the reference is zero" if magnetic is None else f"{magnetic:14.6f} %"
        click.echo(f"eps_mae of block {number}   {shown}")
    click.echo(f"Coulomb self-energy  {result.coulomb_self_energy_mev_per_atom:14.6f} meV/atom")
    click.echo(f"electrons            {result.electrons_a:14.6f} in {a}")
    click.echo(f"                     {result.electrons_b:14.6f} in {b}")
