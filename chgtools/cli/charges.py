"""``chgtools charges``: what each atom has of a density."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    force_option,
    incar_option,
    json_option,
    output_option,
    refuse_to_replace,
)

if TYPE_CHECKING:
    from chgtools.charges import AtomicCharges

ZERO_MOMENT = 5e-4  # μ_B
SHOWN = 1e-6  # electrons: a smaller remainder is rounding


@click.command()
@click.argument("file", type=PATH)
@click.argument("poscar", type=PATH, required=False)
@output_option(required=False, help="Picture of the charges and moments: .png, .pdf or .svg.")
@click.option("--predict", "predicted", is_flag=True,
              help="FILE is a POSCAR or a run folder: charges of the density that is predicted for it.")  # fmt: skip
@click.option("--model", default="auto", show_default=True, metavar="auto|si|base|none|PATH",
              help="With --predict: weights of the learned difference density.")  # fmt: skip
@incar_option
@click.option("--nelect", type=click.FloatRange(min=0, min_open=True), metavar="N",
              help="Electrons of a charged cell, in place of NELECT in the INCAR beside FILE.")  # fmt: skip
@density_options
@force_option
@json_option
@click.pass_context
def charges(
    ctx: click.Context,
    file: Path,
    poscar: Path | None,
    output: Path | None,
    predicted: bool,
    model: str,
    incar: Path | None,
    nelect: float | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Print Hirshfeld charges, moments and dipoles of the atoms of FILE.

    FILE is a CHGCAR or CHG, or a difference density of `chgtools make-dcd`. The free atoms that share it are those of
    the SAED: of the POTCAR beside it, unless another source is named. POSCAR is that of the run, with positions of
    full precision, as for make-dcd. With --predict no calculation is needed: FILE is a POSCAR.

    The charge is ZVAL - electrons, so that it is positive where an atom has lost electrons. The sums are those of the
    file.
    """
    _check_usage(ctx, predicted, poscar, incar)
    if output is not None:
        refuse_to_replace(output, force)

    from chgtools.charges import charges_of, charges_predicted
    from chgtools.cli.run_options import source_of
    from chgtools.cli.screen import print_notes
    from chgtools.errors import FormatError

    source = source_of(options)
    if predicted:
        result = charges_predicted(file, source=source, incar=incar, nelect=nelect, model=model)
    else:
        try:
            result = charges_of(file, poscar, source=source, nelect=nelect)
        except FormatError as error:
            if not _is_structure(file):
                raise
            raise click.ClickException(f"{error}; --predict tells the charges of a POSCAR") from error
    if output is not None:
        _draw(result, output)
    print_notes(result.assumptions)
    click.echo(json.dumps({"file": str(file), **result.as_dict()}, indent=1) if as_json else table(result, file))


def _check_usage(ctx: click.Context, predicted: bool, poscar: Path | None, incar: Path | None) -> None:
    if predicted and poscar is not None:
        raise click.UsageError("with --predict, FILE is the POSCAR; give no second one")
    asked = ctx.get_parameter_source("model") == click.core.ParameterSource.COMMANDLINE
    named = [name for name, given in (("--model", asked), ("--incar", incar is not None)) if given]
    if named and not predicted:
        raise click.UsageError(f"{' and '.join(named)} goes with --predict, which FILE being a POSCAR wants")


def _is_structure(file: Path) -> bool:
    """Whether a file that holds no density is a POSCAR, or a folder with one."""
    from chgtools.errors import ChgtoolsError
    from chgtools.formats.structures import as_structure
    from chgtools.run.folder import RunFolder

    try:
        as_structure(RunFolder.structure_file(file))
    except ChgtoolsError:
        return False
    return True


def table(result: AtomicCharges, file: Path) -> str:
    """The charges as lines of text, the means of the elements first."""
    means = [f"{name or '?'} {_signed(mean, 0, 3)} ({count})" for name, (count, mean) in result.by_element().items()]
    columns = _columns(result)
    magnetic = ", moments (μ_B)" if result.moments is not None else ""
    lines = [
        f"{file}: {result.structure.formula}, Hirshfeld charges (e){magnetic}, dipoles (e Å)",
        *wrap(f"mean net charge (atoms): {', '.join(means)}", 80),
        "",
        f"{'atom':>5s}  {'label':9s}{'ZVAL':>7s}{'electrons':>10s}{'charge':>9s}"
        + "".join(f"{name:>8s}" for name, _, _ in columns),
    ]
    for index, label in enumerate(result.labels):
        values = f"{result.zvals[index]:7.4g}{result.electrons[index]:10.4f}{_signed(result.charges[index], 9, 4)}"
        further = "".join(_signed(column[index], 8, 3) for _, column, _ in columns)
        lines.append(f"{index + 1:5d}  {label[:9]:9s}{values}{further}")
    sums = f"{result.zvals.sum():7.5g}{result.electrons.sum():10.4f}{_signed(result.charges.sum(), 9, 4)}"
    further = "".join(_signed(column.sum(), 8, 3) for _, column, adds_up in columns if adds_up)
    lines.append(f"{'sum':>5s}  {'':9s}{sums}{further}")
    if abs(result.remainder) > SHOWN:
        lines += wrap(
            f"{result.remainder:+.1e} of the electrons lie where no atom reaches (vacuum); shared in proportion to "
            "ZVAL", 80
        )  # fmt: skip
    return "\n".join(lines)


def _columns(result: AtomicCharges) -> list[tuple[str, Any, bool]]:
    """(name, (n_atoms,) values, whether their sum means something) of moments and dipoles, at most four."""
    import numpy as np

    dipoles = [(name, result.dipoles[:, axis], False) for axis, name in enumerate(("dip. x", "y", "z"))]
    if result.moments is None:
        return dipoles
    if result.moments.ndim == 1:
        return [("moment", result.moments, True), *dipoles]
    moments = [(name, result.moments[:, axis], True) for axis, name in enumerate(("m x", "y", "z"))]
    return [*moments, ("|dip.|", np.linalg.norm(result.dipoles, axis=1), False)]


def _signed(value: float, width: int, digits: int) -> str:
    """With a sign, but none for what rounds to 0."""
    text = f"{value:+.{digits}f}"
    return f"{text[1:] if float(text) == 0 else text:>{width}s}"


def _draw(result: AtomicCharges, output: Path) -> None:
    from chgtools.pictures.atoms import draw_atoms

    panels = {"net charge (e)": result.charges}
    if result.moments is not None:
        moments = result.moments[:, None] if result.moments.ndim == 1 else result.moments
        names = ("moment (μ_B)",) if moments.shape[1] == 1 else tuple(f"m {axis} (μ_B)" for axis in "xyz")
        drawn = {name: values for name, values in zip(names, moments.T, strict=True) if abs(values).max() > ZERO_MOMENT}
        panels.update(drawn or {names[0]: moments[:, 0]})
    draw_atoms(result.structure, panels, output)
