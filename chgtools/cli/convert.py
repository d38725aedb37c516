"""``chgtools convert``: a volumetric file in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chgtools.cli.options import PATH, data_grid_option, force_option, refuse_to_replace

if TYPE_CHECKING:
    from chgtools.volumetric import VolumetricData

ONE_FIELD = (".cube", ".cub", ".xsf")


@click.command()
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@click.option(
    "--block",
    metavar="NAME|1-4",
    help="Block for a cube or XSF file: total, magnetisation, mx, ... or its number; by default the first.",
)
@data_grid_option
@force_option
def convert(source: Path, target: Path, block: str | None, grid: str | None, force: bool) -> None:
    """Convert a volumetric file; the formats are told by the names.

    SOURCE may also be JSON of pymatgen's Chgcar (the Materials Project's), a vaspwave.h5 or the charge-density.dat or
    .hdf5 in a .save of Quantum ESPRESSO, whatever its name, a member of a tar or zip archive
    (runs.tar.gz:mp-149/CHGCAR) or a row of a Parquet file (densities.parquet:12).
    Names that hold CHGCAR, AECCAR0, LOCPOT, ..., or CHG as a word, are VASP's; .cube and .xsf are Gaussian's and
    XCrySDen's; .gz, .bz2, .xz, .zst, .lz4, .lzma, .zz and .zlib behind them compress. Units follow the format:
    electrons/bohr³ in cube and XSF files, density times volume in a CHGCAR. What the target cannot hold is named on
    stderr.
    """
    from chgtools.formats import read, write
    from chgtools.formats.chgcar import kind_of
    from chgtools.formats.chgcar_layout import block_names
    from chgtools.formats.streams import stem

    refuse_to_replace(target, force)
    one_field = stem(target).lower().endswith(ONE_FIELD)
    if block is not None and not one_field:
        raise click.UsageError(f"--block goes with a cube or XSF file; {target} holds all blocks")
    data = read(source, grid=grid)
    names = block_names(data.kind, len(data.blocks))
    if one_field:
        index = _index(block, names)
        write(data, target, block=index)
        _note_what_is_lost(data, target, names, index, chosen=block is not None)
        written = names[index]
    else:
        kind = kind_of(target) or data.kind
        write(data, target, kind=kind)
        _note_change_of_kind(data, target, kind)
        written = ", ".join(names)
    click.echo(f"{target}: {written} on {' x '.join(str(n) for n in data.shape)} points")


def _index(block: str | None, names: tuple[str, ...]) -> int:
    """Index of the block named, or numbered from 1."""
    if block is None:
        return 0
    if block in names:
        return names.index(block)
    if block.isdigit() and 1 <= int(block) <= len(names):
        return int(block) - 1
    choices = ", ".join(f"{name} ({number})" for number, name in enumerate(names, 1))
    raise click.UsageError(f"no block {block!r}; the file has {choices}")


def _note_what_is_lost(data: VolumetricData, target: Path, names: tuple[str, ...], index: int, chosen: bool) -> None:
    left = [name for name in names if name != names[index]]
    if left and not chosen:
        _note(f"{target} holds the block {names[index]}; left out: {', '.join(left)} (see --block)")
    if data.augmentation:
        _note(f"{target} holds the grid alone: the augmentation occupancies are left out")


def _note_change_of_kind(data: VolumetricData, target: Path, kind: str) -> None:
    if kind != data.kind:
        _note(f"{target} is written as {kind}, the source is a {data.kind}")
    if kind in ("CHG", "PARCHG", "ELFCAR") and data.kind != kind:
        _note(f"a {kind} has five digits; the others are left out")
    if data.augmentation and kind != "CHGCAR":
        _note(f"a {kind} has no augmentation occupancies: they are left out")
    if kind == "CHGCAR" and not data.augmentation:
        _note(f"{target} has no augmentation occupancies: VASP refuses it with ICHARG = 11")


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)
