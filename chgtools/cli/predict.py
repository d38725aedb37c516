"""``chgtools predict``: a start density for VASP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chgtools.cli.options import (
    PATH,
    density_options,
    float32_option,
    force_option,
    grid_options,
    incar_option,
    json_option,
    output_option,
    refuse_to_replace,
)


@click.command()
@click.argument("poscar", type=PATH)
@output_option(help="CHGCAR to write (.gz and others compress).")
@click.option("--model", default="auto", show_default=True, metavar="auto|si|base|none|PATH",
              help="Weights of the learned difference density; none writes the SAED.")  # fmt: skip
@incar_option
@click.option("--nelect", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Electrons of a charged cell.")
@grid_options
@density_options
@float32_option
@force_option
@json_option
def predict(
    poscar: Path,
    output: Path,
    model: str,
    incar: Path | None,
    nelect: float | None,
    float32: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the start density of POSCAR as a CHGCAR: SAED + learned difference density, with the INCAR's spin blocks.

    INCAR and POTCAR beside POSCAR are used unless others are named. With a POTCAR the file holds the atoms'
    augmentation occupancies too.
    """
    refuse_to_replace(output, force)
    import time

    import numpy as np

    from chgtools.cli.run_options import grid_of, print_notes, source_of
    from chgtools.formats import chgcar
    from chgtools.prediction import predict as make

    started = time.perf_counter()
    prediction = make(
        poscar,
        source=source_of(options),
        incar=incar,
        grid=grid_of(options),
        nelect=nelect,
        model=model,
        dtype=np.float32 if float32 else np.float64,
    )
    print_notes(prediction.assumptions)
    chgcar.write(prediction.data, output, kind="CHGCAR")
    seconds = time.perf_counter() - started
    estimate = prediction.estimate
    facts = {
        "file": str(output),
        "model": prediction.model,
        "model_reason": prediction.model_reason,
        "expected_eps_mae_percent": None if estimate is None else _number(estimate.error_percent),
        "atom_spread_electrons": None if estimate is None else [round(float(x), 6) for x in estimate.atom_spread],
        "damping": None if estimate is None else estimate.damping,
        "elements_not_seen": [] if estimate is None else list(estimate.unseen),
        "grid": prediction.settings.grid.ngf,
        "blocks": len(prediction.data.blocks),
        "electrons_of_atoms": prediction.electrons_of_atoms,
        "electrons": prediction.data.electrons,
        "minimum": prediction.minimum,
        "labels": prediction.settings.choice.labels,
        "augmentation_occupancies": prediction.occupancies,
        "assumptions": prediction.assumptions,
        "seconds": round(seconds, 3),
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    n = " x ".join(map(str, prediction.settings.grid.ngf))
    learned = f"model: {prediction.model} ({prediction.model_reason})"
    if facts["expected_eps_mae_percent"] is not None:
        learned += f", expected error {facts['expected_eps_mae_percent']:.2g} %"
    click.echo(
        f"{output}: {prediction.settings.structure.formula}, grid {n}, blocks {len(prediction.data.blocks)}, "
        f"{prediction.data.electrons:.6f} electrons (atoms: {prediction.electrons_of_atoms:g}), "
        f"minimum {prediction.minimum:.3g} e/Å³, occupancies: {prediction.occupancies}, {learned}, {seconds:.2f} s"
    )


def _number(value: float) -> float | None:
    """None for NaN, which JSON has not."""
    return round(value, 4) if value == value else None
