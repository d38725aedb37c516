"""Options that several commands share, so that one name means one thing everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from chgtools.jobs.shard import Shard

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)  # a missing file is bad input (exit code 1), so the reader words it, not click

DEVICES = ("cpu", "cuda", "auto")


def _labels(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """{"Fe": "Fe_pv"} of ("Fe=Fe_pv",)."""
    labels: dict[str, str] = {}
    for value in values:
        element, equals, label = value.partition("=")
        if not (element and equals and label):
            raise click.BadParameter(f"found {value!r}; wanted ELEMENT=LABEL, such as Fe=Fe_pv")
        if labels.get(element, label) != label:
            raise click.BadParameter(f"found two labels for {element}: {labels[element]} and {label}")
        labels[element] = label
    return labels


def _shard(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Shard | None:
    """Shard(3, 8) of "3/8"."""
    if value is None:
        return None
    from chgtools.errors import SettingsError
    from chgtools.jobs.shard import Shard

    try:
        return Shard.parse(value)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


def _combined(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """One decorator of several, listed in the help in the order given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# gives potcar, library, upf, labels (a dict), convention and xc: the fields of chgtools.libraries.choice.Source
density_options = _combined(
    click.option(
        "--potcar",
        type=PATH,
        help="POTCAR with the structure's data sets in order, or a folder of POTCARs by label.",
    ),
    click.option(
        "--densities", "library", type=PATH, metavar="LIB.h5", help="Library made by `chgtools densities build`."
    ),
    click.option("--upf", type=PATH, metavar="DIR", help="Folder of UPF files."),
    click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="EL=LABEL",
        callback=_labels,
        help="POTCAR label of an element, such as Fe=Fe_pv; once for each element.",
    ),
    click.option(
        "--labels",
        "convention",
        type=click.Choice(["mp", "vasp"]),
        default="mp",
        show_default=True,
        help="Labels where nothing names them: the Materials Project's or VASP's recommended.",
    ),
    click.option(
        "--xc",
        type=click.Choice(["PBE", "LDA"], case_sensitive=False),
        default="PBE",
        show_default=True,
        help="Functional of the built-in atomic densities.",
    ),
)

incar_option = click.option("--incar", type=PATH, help="INCAR of the run; by default the one beside the POSCAR.")

# gives encut, prec, enaug, ngf and like: the fields of chgtools.run.grid.GridOptions
grid_options = _combined(
    click.option("--encut", type=click.FloatRange(min=0, min_open=True), metavar="EV", help="ENCUT in eV."),
    click.option("--prec", metavar="PREC", help="PREC: Normal, Accurate, Single, ..."),
    click.option("--enaug", type=click.FloatRange(min=0, min_open=True), metavar="EV", help="ENAUG in eV."),
    click.option(
        "--ngf",
        type=click.IntRange(min=1),
        nargs=3,
        default=None,
        metavar="NX NY NZ",
        help="Fine grid NGXF NGYF NGZF, in place of VASP's rule.",
    ),
    click.option("--like", type=PATH, metavar="CHGCAR", help="Take the grid of this file."),
)

data_grid_option = click.option(
    "--grid",
    type=click.Choice(["general", "periodic"]),
    help="Of an XSF file: whether it repeats the far faces of the cell (general) or not (periodic), where it does not "
    "tell.",
)
device_option = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cpu",
    show_default=True,
    help="Where tight binding of many atoms is computed; auto: a GPU where there is one.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
float32_option = click.option("--float32", is_flag=True, help="Single precision: a file half as large.")
force_option = click.option("--force", is_flag=True, help="Replace the output file if it exists.")


def output_option(required: bool = True, **attributes: Any) -> Callable[[Command], Command]:
    """``-o/--output FILE`` as ``output``."""
    return click.option("-o", "--output", type=PATH, required=required, metavar="FILE", **attributes)


def shard_option(**attributes: Any) -> Callable[[Command], Command]:
    """``--shard I/N`` as ``shard``, a Shard or None."""
    return click.option("--shard", callback=_shard, metavar="I/N", **attributes)


def failed_sentence(failed: int, total: int, what: str, more: str = "") -> str:
    """How many of several inputs failed, and whether the others are done."""
    others = "; the others are done" if failed < total else ""
    return f"Error: {failed} of {total} {what} failed{more}{others}"


def refuse_to_replace(path: Path, force: bool) -> None:
    """Raise UsageError for a folder, or a file that exists without --force; to be called before any work."""
    if path.is_dir():
        raise click.UsageError(f"{path} is a folder; name the file to write in it, such as {path / 'CHGCAR'}")
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists; give --force to replace it, or another name")
