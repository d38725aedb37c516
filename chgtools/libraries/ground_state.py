"""Labels' atoms in their ground-state configuration: the reference that learned difference densities are made with.

The atom of a POTCAR need not be in its ground state (Ti: 3d3 4s1), and a difference density counts from its atoms. The
weights count from ground-state atoms (Ti: 3d2 4s2), as pseudopotentials of other codes have them; between the two lie
up to a tenth of a transition metal's density farther than 1 Å from the nuclei. So a learned difference density is
added to atoms in the ground state: those of the run plus the difference, kept here, of the same label's built-in atom
in both configurations, smoothed alike.

``python -m chgtools.libraries.ground_state -o FILE.h5`` remakes the tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from chgtools.atoms.labels import LabelFacts, all_labels, label_facts
from chgtools.libraries.library import DensityLibrary, builtin_path, write_densities
from chgtools.radial_atom.configurations import ground_state, label_shells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity

FILE = "ground_states.h5"
OWN_CONFIGURATION = ("UPF", "GPAW")  # sources of densities that count from the ground state already


def ground_state_change(density: AtomicDensity) -> tuple[AtomicDensity, AtomicDensity] | None:
    """Two built-in PBE atoms: in the ground state, and as labelled. Their difference takes ``density`` to the former.

    None where the label's atom is in its ground state, where the label is unknown, and for a density of a UPF file or
    a GPAW setup, which has a configuration of its own (that of the training potentials is the ground state).
    """
    if density.source.startswith(OWN_CONFIGURATION):
        return None
    ground = _ground_states()
    if density.label not in ground:
        return None
    return ground[density.label], _built_in()[density.label]


def change_of_form(densities: Sequence[AtomicDensity], q: NDArray[np.float64]) -> list[NDArray[np.float64] | None]:
    """For each density the (n_q,) electrons to be added to its form factor at q (1/Å), or None."""
    changes = [ground_state_change(density) for density in densities]
    return [None if pair is None else pair[0].form_factor(q) - pair[1].form_factor(q) for pair in changes]


@cache
def _ground_states() -> DensityLibrary:
    return DensityLibrary.open(builtin_path().with_name(FILE), "PBE")


@cache
def _built_in() -> DensityLibrary:
    return DensityLibrary.builtin("PBE")


def ground_state_facts(facts: LabelFacts) -> LabelFacts | None:
    """The label with the valence of its element's ground state; None where it has that, or has no such state.

    Labels with 4f electrons in the core and hydrogens of fractional charge have none.
    """
    if facts.frozen_4f_electrons or (facts.element == "H" and facts.zval != 1):
        return None
    _, core, valence = label_shells(facts.element, facts.zval, facts.valence)
    frozen = {shell.name for shell in core}
    wanted = tuple(shell for shell in ground_state(facts.element) if shell.name not in frozen)
    has = {shell.name: shell.electrons for shell in valence if shell.electrons > 0.02}
    if has == {shell.name: shell.electrons for shell in wanted}:
        return None
    if abs(sum(shell.electrons for shell in wanted) - facts.zval) > 1e-9:
        return None
    return replace(facts, valence=tuple((shell.n, shell.ell, shell.electrons) for shell in wanted))


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HDF5 file.")
def main(output: Path) -> None:
    """Make the tables of atoms in their ground state for the labels whose reference configuration is another."""
    from chgtools.libraries.builtin import build, provenance

    grounds = [ground_state_facts(label_facts(label)) for label in all_labels()]
    densities = build([facts for facts in grounds if facts is not None], "PBE")
    about = provenance() | {
        "program": "chgtools.libraries.ground_state",
        "configurations": "ground states, NIST SRD 141",
    }
    write_densities(output, densities, about)
    click.echo(f"{output}: {len(densities)} densities, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
