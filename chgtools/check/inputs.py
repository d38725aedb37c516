"""What a file is held against: the POSCAR, INCAR and POTCAR of the run that is to read it, named or beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.errors import ChgtoolsError
from chgtools.run.folder import INCAR, POSCAR, POTCAR, RunFolder

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.atoms.labels import LabelFacts
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar
    from chgtools.run.tags import Tags


@dataclass
class Inputs:
    """What was found; potcar and labels : one entry per group of atoms.

    folder : of the file, where VASP will look for a WAVECAR
    labels : facts on the labels that a header names, None for a group whose label is not known
    wrong_value : of the INCAR, which VASP stops on: the sentence that refuses it, "" where there is none; then there
        are no tags
    line_mode : whether the KPOINTS is a line of k-points
    """

    folder: Path
    structure: Structure | None = None
    incar: Incar | None = None
    tags: Tags | None = None
    wrong_value: str = ""
    line_mode: bool = False
    potcar: list[AtomicDensity] | None = None
    potcar_path: str = POTCAR
    labels: list[LabelFacts | None] | None = None
    used: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @property
    def icharg(self) -> int | None:
        return None if self.tags is None else self.tags.icharg


def find_inputs(path: Path, run: RunFolder) -> Inputs:
    """Read the inputs of the run that is to read the file ``path``.

    Raises ChgtoolsError for an input that was named and cannot be read; one that was found is left out, and said so.
    """
    inputs = Inputs(path.parent)
    inputs.structure = _read(
        inputs, run, POSCAR, lambda: run.structure, "positions, lattice, species and number of atoms"
    )
    inputs.incar = _read(inputs, run, INCAR, lambda: run.incar, "the grid, ICHARG, ISPIN, NELECT and LMAXMIX")
    if inputs.incar is not None:
        try:
            inputs.tags = run.tags
        except ChgtoolsError as error:
            inputs.wrong_value = str(error)
            inputs.not_checked.append(
                "the grid, ICHARG, ISPIN, NELECT and LMAXMIX, because a value of the INCAR is wrong"
            )
    inputs.line_mode = run.line_mode
    inputs.potcar = _read(inputs, run, POTCAR, lambda: run.potcar, "record lengths and the number of electrons")
    inputs.potcar_path = str(run.path(POTCAR) or POTCAR)
    return inputs


def _read(inputs: Inputs, run: RunFolder, name: str, read: Callable[[], Any], what: str) -> Any:
    """One input, None where it is not there; ``what`` cannot be checked without it."""
    path, named = run.path(name), name in run.named
    if name == POSCAR and run.atoms is not None:
        inputs.used.append(f"the structure {run.atoms.source or 'in memory'}")
        return run.atoms
    if name == INCAR and run.given is not None:
        inputs.used.append("the tags in memory")
        return run.given
    if path is None:
        if name != POTCAR:  # labels may stand in for it: the checks that want it say what they lack
            inputs.not_checked.append(f"no {name} beside the file: {what} were not held against it")
        return None
    try:
        value = read()
    except ChgtoolsError as error:
        if named:
            raise
        inputs.not_checked.append(f"{what} were not held against the {name} beside the file: {error}")
        return None
    inputs.used.append(f"{name}: {path}" if named else f"{name}: {run.found(name)} (beside the file)")
    return value


def label_facts_of(structure: Structure | None) -> list[LabelFacts | None] | None:
    """Facts on the labels that a structure names (Fe_pv, Mg_pv/hash), None per group without; None for none at all."""
    from chgtools.atoms.labels import UnknownLabelError, label_facts

    if structure is None or not any(structure.labels):
        return None
    facts: list[LabelFacts | None] = []
    for label in structure.labels:
        try:
            facts.append(label_facts(label) if label else None)
        except UnknownLabelError:
            facts.append(None)
    return facts
