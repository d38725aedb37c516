"""The inputs of the run that is to read a file: POSCAR, INCAR and POTCAR, named or beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.errors import ChgtoolsError

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.atoms.labels import LabelFacts
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar

READS_CHGCAR = (1, 11)  # ICHARG that reads the CHGCAR


@dataclass(frozen=True)
class Settings:
    """What the INCAR says, None where it is silent; magmom : as given; lines : tag to FILE:LINE."""

    icharg: int | None = None
    ispin: int = 1
    noncollinear: bool = False
    lmaxmix: int = 2
    nelect: float | None = None
    magmom: tuple[float, ...] | None = None
    metagga: str | None = None
    lines: dict[str, str] = field(default_factory=dict)
    path: str = "INCAR"

    def place(self, tag: str) -> str:
        return self.lines.get(tag, self.path)

    @property
    def fixed_density(self) -> bool:
        return self.icharg is not None and self.icharg >= 10

    @property
    def blocks(self) -> int:
        """Blocks of a file written by such a run."""
        return 4 if self.noncollinear else 2 if self.ispin == 2 else 1


@dataclass
class Inputs:
    """What was found; potcar and labels : one entry per group of atoms.

    labels : facts on the labels that a header names, None for a group whose label is not known
    """

    folder: Path
    structure: Structure | None = None
    incar: Incar | None = None
    settings: Settings | None = None
    potcar: list[AtomicDensity] | None = None
    potcar_path: str = "POTCAR"
    labels: list[LabelFacts | None] | None = None
    used: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @property
    def icharg(self) -> int | None:
        return None if self.settings is None else self.settings.icharg


def find_inputs(path: Path, poscar: Path | str | None, incar: Path | str | None, potcar: Path | str | None) -> Inputs:
    """Read the inputs named, or those beside the file.

    Raises ChgtoolsError for an input that was named and cannot be read; one that was found is left out, and said so.
    """
    inputs = Inputs(path.parent)
    _read(inputs, "POSCAR", poscar, _structure, "positions, lattice, species and number of atoms")
    _read(inputs, "INCAR", incar, _incar, "the grid, ICHARG, ISPIN, NELECT and LMAXMIX")
    _read(inputs, "POTCAR", potcar, _potcar, "record lengths and the number of electrons")
    return inputs


def _read(inputs: Inputs, name: str, given: Path | str | None, read: Callable[[Inputs, Path], None], what: str) -> None:
    """Read one input, if it is named or there; ``what`` cannot be checked without it."""
    path = Path(given) if given is not None else _beside(inputs.folder, name)
    if path is None:
        if name != "POTCAR":  # labels may stand in for it: the checks that want it say what they lack
            inputs.not_checked.append(f"no {name} beside the file: {what} were not held against it")
        return
    try:
        read(inputs, path)
    except ChgtoolsError as error:
        if given is not None:
            raise
        inputs.not_checked.append(f"{what} were not held against the {name} beside the file: {error}")
        return
    inputs.used.append(f"{name}: {path}" + ("" if given is not None else " (beside the file)"))


def _beside(folder: Path, name: str) -> Path | None:
    names = (name,) if name == "INCAR" else (name, f"{name}.gz")
    return next((folder / each for each in names if (folder / each).is_file()), None)


def _structure(inputs: Inputs, path: Path) -> None:
    from chgtools.formats import poscar

    inputs.structure = poscar.read(path)


def _potcar(inputs: Inputs, path: Path) -> None:
    from chgtools.formats.potcar import read_potcar

    inputs.potcar, inputs.potcar_path = read_potcar(path), str(path)


def _incar(inputs: Inputs, path: Path) -> None:
    from chgtools.formats.incar import read_incar

    incar = read_incar(path)
    magmom = incar.numbers("MAGMOM")
    lmaxmix = incar.integer("LMAXMIX")
    inputs.incar = incar
    inputs.settings = Settings(
        icharg=incar.integer("ICHARG"),
        ispin=incar.integer("ISPIN") or 1,
        noncollinear=bool(incar.logical("LNONCOLLINEAR")) or bool(incar.logical("LSORBIT")),
        lmaxmix=2 if lmaxmix is None else lmaxmix,
        nelect=incar.number("NELECT"),
        magmom=None if magmom is None else tuple(magmom),
        metagga=incar.text("METAGGA"),
        lines={tag: f"{path}:{line}" for tag, line in incar.lines.items()},
        path=str(path),
    )


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
