"""``chgtools densities``: libraries of atomic densities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import PATH, force_option, json_option, output_option, refuse_to_replace

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.libraries.library import DensityLibrary

BUILTIN = "builtin"
SHARES = (0.5, 0.9, 0.99, 0.999)  # of the electrons, whose radii `show` prints

library_argument = click.argument("library", default=BUILTIN, metavar="[LIB.h5]")
xc_option = click.option("--xc", metavar="XC", help="Functional, such as PBE or LDA; PBE for the built-in library.")


@click.group()
def densities() -> None:
    """Build, list and show libraries of atomic densities.

    A library holds one density per POTCAR label, such as Fe_pv. What is built from POTCARs is under their licence:
    keep it with them.
    """


@densities.command()
@output_option(help="Library to write, LIB.h5.")
@click.option("--potcar", "potcars", type=PATH, multiple=True, metavar="PATH",
              help="POTCAR, or a folder tree of POTCARs; may be given several times.")  # fmt: skip
@click.option("--upf", "upfs", type=PATH, multiple=True, metavar="DIR", help="Folder of UPF files.")
@click.option("--table", "tables", type=PATH, multiple=True, metavar="FILE", help="Text table of one density.")
@click.option("--occupancies-from", "references", type=PATH, multiple=True, metavar="CHGCAR",
              help="CHGCAR of a finished run, or a folder tree of runs: each label keeps the mean of its augmentation "
              "occupancies; may be given several times.")  # fmt: skip
@force_option
@json_option
def build(
    output: Path,
    potcars: tuple[Path, ...],
    upfs: tuple[Path, ...],
    tables: tuple[Path, ...],
    references: tuple[Path, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Build a library from POTCARs, UPF files and tables.

    With --occupancies-from each label keeps the mean augmentation occupancies of its atoms in reference CHGCARs. Their
    labels come from the POTCAR beside each, or are told by element and length of the records.
    """
    from chgtools.libraries.library import DensityLibrary
    from chgtools.paw.means import add_mean_occupancies

    if not (potcars or upfs or tables):
        raise click.UsageError("found no source; give --potcar, --upf or --table")
    refuse_to_replace(output, force)
    library = DensityLibrary.gathered(potcars, upfs, tables)
    atoms = add_mean_occupancies(library, references) if references else {}
    library.write(output)
    if as_json:
        means = {"mean_occupancies_atoms": atoms} if references else {}
        click.echo(json.dumps({"file": str(output), "labels": sorted(library), **means}))
    else:
        click.echo(f"{output}: {len(library)} densities: {', '.join(sorted(library))}")
        if atoms:
            listed = ", ".join(
                f"{label} ({count} atom{'s' if count > 1 else ''})" for label, count in sorted(atoms.items())
            )
            click.echo(f"mean occupancies: {listed}")


@densities.command("list")
@library_argument
@xc_option
@json_option
def list_command(library: str, xc: str | None, as_json: bool) -> None:
    """List the densities of a library, by default the built-in one."""
    opened = _opened(library, xc)
    rows = [facts(density) for density in opened.values()]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    click.echo(f"{'label':12s}{'element':9s}{'ZVAL':>7s}{'ENMAX/eV':>10s}{'q_max Å⁻¹':>11s}  {'xc':7s}source")
    for row in rows:
        enmax = "" if row["enmax"] is None else f"{row['enmax']:.3f}"
        click.echo(
            f"{row['label']:12s}{row['element']:9s}{row['zval']:7g}{enmax:>10s}{row['q_max']:11.2f}  {row['xc']:7s}"
            f"{row['source']}".rstrip()
        )


@densities.command()
@click.argument("label")
@library_argument
@xc_option
@json_option
@output_option(required=False, help="Picture of the density and its form factor: .png, .pdf or .svg.")
@force_option
def show(label: str, library: str, xc: str | None, as_json: bool, output: Path | None, force: bool) -> None:
    """Show one density of a library, by default the built-in one.

    With --json the table is printed too: q in 1/Å, form in electrons.
    """
    if output is not None:
        refuse_to_replace(output, force)
    density = _opened(library, xc)[label]
    known = facts(density) | {"radius_of_share": {f"{share:g}": density.radius_of(share) for share in SHARES}}
    if output is not None:
        from chgtools.pictures.atomic_density import draw_density

        draw_density(density, output)
    if as_json:
        click.echo(json.dumps(known | {"q": density.q.tolist(), "form": density.form.tolist()}))
        return
    click.echo(_described(known))
    if output is not None:
        click.echo(str(output))


def _opened(library: str, xc: str | None) -> DensityLibrary:
    from chgtools.libraries.library import DensityLibrary

    if library == BUILTIN:
        return DensityLibrary.builtin(xc or "PBE")
    return DensityLibrary.open(library, xc)


def facts(density: AtomicDensity) -> dict[str, Any]:
    """What ``list`` and ``show`` print; q in 1/Å, energies in eV."""
    return {
        "label": density.label,
        "element": density.element,
        "zval": density.zval,
        "xc": density.xc,
        "enmax": density.enmax,
        "eaug": density.eaug,
        "channels": None if density.channels is None else list(density.channels),
        "has_occupancies": density.occupancies is not None,
        "has_mean_occupancies": density.mean_occupancies is not None,
        "q_max": float(density.q[-1]),
        "q_points": int(density.q.size),
        "source": density.source,
        "provenance": dict(density.provenance),
        "sha256": density.sha256,
    }


def _described(known: dict[str, Any]) -> str:
    """The facts as lines of text."""
    channels = "unknown" if known["channels"] is None else " ".join("spdfg"[ell] for ell in known["channels"]) or "none"
    occupancies = "with atomic occupancies" if known["has_occupancies"] else "no atomic occupancies"
    if known["has_mean_occupancies"]:
        occupancies += ", with mean occupancies of reference CHGCARs"
    lines = [
        f"{known['label']}: {known['source']}",
        f"element              {known['element']}",
        f"ZVAL                 {known['zval']:g} electrons",
        f"functional           {known['xc'] or 'unknown'}",
        f"ENMAX, EAUG          {_energy(known['enmax'])}, {_energy(known['eaug'])}",
        f"channels             {channels} ({occupancies})",
        f"table                f(q) at {known['q_points']} q, 0 to {known['q_max']:.3f} 1/Å",
        "radius               "
        + ", ".join(f"{100 * float(share):g} % in {r:.2f} Å" for share, r in known["radius_of_share"].items()),
    ]
    lines += [f"{name:21s}{value}" for name, value in known["provenance"].items() if value != ""]
    return "\n".join([*lines, f"sha256               {known['sha256']}"])


def _energy(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f} eV"
