"""Start densities of many structures, one after the other: a trajectory, a list, whatever can be gone through.

What the structures have in common is read once: weights, libraries, tight-binding tables and the INCAR. Nothing is
written. A batch that may be killed and called again, with its files, is chgtools.batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from chgtools.errors import ChgtoolsError
from chgtools.formats.incar import incar_of
from chgtools.formats.structure_files import names_in
from chgtools.start.prediction import predict

if TYPE_CHECKING:
    from chgtools.formats.structures import StructureLike
    from chgtools.libraries.choice import Source
    from chgtools.models.model import DensityModel
    from chgtools.run.grid import GridOptions
    from chgtools.start.prediction import Prediction


class PredictOptions(TypedDict, total=False):
    """The keywords of chgtools.predict."""

    encut: float | None
    potcar: Path | str | None
    source: Source | None
    incar: Path | str | Mapping[str, Any] | None
    grid: GridOptions | None
    nelect: float | None
    model: str | Path | DensityModel
    prior: str
    occupancies: str
    device: str


def predict_many(
    structures: str | Path | Iterable[StructureLike], **options: Unpack[PredictOptions]
) -> Iterator[Prediction]:
    """A prediction of each structure, made when it is asked for.

    structures : the path of a file of one or several (XDATCAR, extended xyz, ASE's .traj, vasprun.xml, ...), or
        whatever gives them one by one: a list, ASE's iread, a pymatgen Trajectory
    options : as in chgtools.predict, the same for all; moments and charges of pymatgen and ASE objects are each its own
    Raises as predict does, with a note of which structure (from 1) it was; an INCAR's tags are refused at once.
    """
    if isinstance(options.get("incar"), Mapping):
        options["incar"] = incar_of(options["incar"])  # type: ignore[arg-type]
    named = names_in(structures) if isinstance(structures, (str, Path)) else structures
    return _each(named, options)


def _each(structures: Iterable[StructureLike], options: PredictOptions) -> Iterator[Prediction]:
    for number, structure in enumerate(structures, 1):
        try:
            yield predict(structure, **options)
        except ChgtoolsError as error:
            error.add_note(f"(structure {number} of predict_many)")
            raise
