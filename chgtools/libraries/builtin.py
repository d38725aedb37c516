"""Make the built-in library of atomic densities: ``python -m chgtools.libraries.builtin -o FILE.h5``.

Each label's atom is solved (``valence``), its density made smooth inside a core radius (``smoothing``) and tabulated
as a form factor. What is made from equal shells and an equal ENMAX is computed once. FILE.csv lists what was made.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.atoms.labels import LabelFacts, all_labels, label_facts
from chgtools.errors import ChgtoolsError
from chgtools.files import replacing
from chgtools.libraries.library import write_densities
from chgtools.radial_atom.smoothing import SmoothDensity, core_radius, density_cutoff, smooth_inside
from chgtools.radial_atom.valence import ValenceDensity, solve_label
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

FUNCTIONALS = ("PBE", "LDA")
SPLINE_ERROR = 1e-8  # electrons; what a cubic spline through a table may be off
STEP_GRAIN = 5e-4  # 1/Å; steps of q are multiples of it
QUANTUM = 2.0**-34  # electrons (6e-11); tables are multiples of it, so that they compress
REACH = 2.0  # tables end at this many times the density cutoff


def tabulate(density: SmoothDensity, q_c: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """q (n_q,) in 1/Å, uniform from 0, and form factor (n_q,) in electrons; q_c in 1/Å.

    The step keeps the error of a cubic spline with f'(0) = 0, 5/384 step⁴ max|f''''|, below SPLINE_ERROR:
    the fourth derivative is largest at q = 0, where it is ∫ 4πr² n r⁴ dr / 5.
    """
    fourth = density.moment(4) * BOHR_ANGSTROM**4 / 5.0
    step = float(np.floor((SPLINE_ERROR * 384.0 / 5.0 / fourth) ** 0.25 / STEP_GRAIN) * STEP_GRAIN)
    count = int(np.ceil(REACH * q_c / step)) + 1
    form: NDArray[np.float64] = np.round(density.form_factor(step * BOHR_ANGSTROM, count) / QUANTUM) * QUANTUM
    form[0] = density.electrons
    return step * np.arange(count, dtype=np.float64), form


def smooth_label(facts: LabelFacts, valence: ValenceDensity) -> SmoothDensity:
    """The label's density as the library holds it, before it is tabulated."""
    cutoff = density_cutoff(facts.enmax)
    return smooth_inside(valence.atom.mesh, valence.radial, core_radius(facts.enmax), facts.zval, cutoff)


def built_in_density(facts: LabelFacts, valence: ValenceDensity) -> AtomicDensity:
    """One label's entry, from its solved atom."""
    functional = valence.atom.functional
    smooth = smooth_label(facts, valence)
    q_c = density_cutoff(facts.enmax) / BOHR_ANGSTROM
    q, form = tabulate(smooth, q_c)
    radius = smooth.r_core * BOHR_ANGSTROM
    provenance: dict[str, str | float] = {
        "nuclear_charge": valence.atom.charge,
        "configuration": " ".join(map(str, valence.valence)),
        "changed": valence.moved,
        "core_radius": round(radius, 6),
        "electrons_inside": round(float(smooth.charges[smooth.points < smooth.r_core].sum()), 6),
        "density_cutoff": round(q_c, 6),
        "tail": float(f"{np.abs(form[q > q_c]).max():.2e}"),
    }
    source = f"built-in {functional} (chgtools atom solver), core radius {radius:.2f} Å"
    return AtomicDensity(
        facts.label, facts.element, facts.zval, q, form, source, functional, enmax=facts.enmax, provenance=provenance
    )


def build(
    labels: Iterable[LabelFacts], functional: str, tell: Callable[[str], None] = lambda label: None
) -> list[AtomicDensity]:
    """Densities of all labels with one functional; ``tell`` is called with each label when it is done."""
    atoms: dict[tuple[object, ...], ValenceDensity] = {}
    tables: dict[tuple[object, ...], AtomicDensity] = {}
    result = []
    for facts in labels:
        shells = (facts.element, facts.zval, facts.valence, facts.frozen_4f_electrons)
        if shells not in atoms:
            atoms[shells] = solve_label(facts, functional)
        key = (*shells, facts.enmax)
        if key not in tables:
            tables[key] = built_in_density(facts, atoms[shells])
        result.append(replace(tables[key], label=facts.label))
        tell(facts.label)
    return result


def provenance() -> dict[str, str | float]:
    """What the file says of itself as a whole."""
    from chgtools.radial_atom.mesh import RadialMesh

    mesh = RadialMesh()
    return {
        "program": "chgtools.libraries.builtin",
        "method": "spherical spin-unpolarised Kohn-Sham atom, valence density smoothed inside a core radius",
        "functionals": "PBE (Perdew, Burke, Ernzerhof 1996); LDA (Ceperley, Alder; Perdew, Zunger 1981)",
        "relativity": "scalar-relativistic (Koelling, Harmon 1977), point nucleus",
        "mesh": f"r_i = {mesh.r_min:g} exp(i {mesh.step:g}) bohr up to {mesh.r_max:g} bohr, {mesh.r.size} points",
        "unit_core_radius": "angstrom",
        "configurations": "reference configurations of chgtools/atoms/potcar_labels.json",
        "licence": "MIT; no POTCAR was read",
    }


def write_table(path: Path, densities: Iterable[AtomicDensity]) -> None:
    """What was made, one row per label and functional, as comma-separated text."""
    rows = [
        {"xc": d.xc, "label": d.label, "zval": d.zval, "enmax": d.enmax, **d.provenance, "sha256": d.sha256[:16]}
        for d in densities
    ]
    with replacing(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@click.command()
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HDF5 file to write."
)
def main(output: Path) -> None:
    """Make the built-in library of atomic densities, and a table of it in a .csv file beside it."""
    if not output.parent.is_dir():
        raise click.ClickException(f"{output}: the folder {output.parent} does not exist; make it first")
    facts = [label_facts(label) for label in all_labels()]
    densities: list[AtomicDensity] = []
    terminal = sys.stderr.isatty()
    bar = click.progressbar(length=len(facts) * len(FUNCTIONALS), label="atoms", file=sys.stderr)
    try:
        with bar if terminal else nullcontext():
            for functional in FUNCTIONALS:
                densities += build(facts, functional, lambda _: bar.update(1) if terminal else None)
        write_densities(output, densities, provenance())
        write_table(output.with_suffix(".csv"), densities)
    except ChgtoolsError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {len(densities)} densities, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
