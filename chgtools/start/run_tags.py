"""Which tags of an INCAR a run from a CHGCAR needs, by what the run is for; no other tag is touched.

Sources: the VASP wiki's pages ICHARG, LMAXMIX, IBRION and ISMEAR. That VASP stops on the tetrahedron method with a line
of k-points: its own message, in VASP forum thread 2300. LCHARG = .FALSE. with ICHARG = 11: as pymatgen's MPNonSCFSet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chgtools.check.against_potcar import wanted_lmaxmix
from chgtools.check.codes import HYBRID_BANDS
from chgtools.check.inputs import Inputs
from chgtools.errors import SettingsError
from chgtools.formats.kpoints import LIST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chgtools.run.folder import RunFolder

BANDS, DOS, STATIC, RELAX = "bands", "dos", "static", "relax"
KINDS = {BANDS: 11, DOS: 11, STATIC: 1, RELAX: 1}  # what a run is for, and its ICHARG
FIXED_KINDS = (BANDS, DOS)
TETRAHEDRA = -4  # ISMEAR of -4, -5, -14 and -15 is the tetrahedron method
_FINITE_DIFFERENCES = 5  # IBRION of 5 to 8 goes through displacements, whatever NSW is
_LETTER = {4: "d", 6: "f"}


@dataclass(frozen=True)
class Change:
    """A tag of an INCAR. before : its value, None where it was not set; why : half a sentence"""

    tag: str
    before: str | None
    after: str
    why: str


def changes_for(run: RunFolder, kind: str, *, line_mode: bool) -> tuple[Change, ...]:
    """What must be changed in the INCAR of a run; what is as it should be is left out.

    line_mode : whether its k-points are on lines
    Raises SettingsError for a hybrid functional with a density that is kept, FormatError for a value that is none.
    """
    incar, tags = run.incar, run.tags
    assert incar is not None
    if kind in FIXED_KINDS and tags.hybrid:
        raise SettingsError(
            f"{tags.place('LHFCALC')}: LHFCALC with ICHARG = 11: the exchange of a hybrid functional is that of the "
            f"orbitals, which no CHGCAR has. {HYBRID_BANDS}"
        )
    made = _fixed(run, line_mode) if kind in FIXED_KINDS else _started(run, kind)
    return tuple(Change(tag, incar.text(tag), after, why) for tag, after, why in made)


def _fixed(run: RunFolder, line_mode: bool) -> Iterator[tuple[str, str, str]]:
    incar, tags = run.incar, run.tags
    assert incar is not None
    if tags.icharg != KINDS[BANDS]:
        yield "ICHARG", "11", "the density of the CHGCAR is kept"
    yield from _still(run)
    assert run.folder is not None
    wanted = wanted_lmaxmix(Inputs(run.folder, potcar=run.potcar))
    if tags.lmaxmix < wanted:
        yield "LMAXMIX", str(wanted), f"occupancies of {_LETTER[wanted]} electrons are read up to this L"
    ismear = incar.integer("ISMEAR")
    if line_mode and ismear is not None and ismear <= TETRAHEDRA:
        yield "ISMEAR", "0", "VASP stops on the tetrahedron method with lines of k-points"
    if incar.logical("LCHARG") is not False:
        yield "LCHARG", ".FALSE.", "VASP does not write over the CHGCAR"


def _started(run: RunFolder, kind: str) -> Iterator[tuple[str, str, str]]:
    if run.tags.icharg != KINDS[kind]:
        yield "ICHARG", "1", "self-consistency starts from the CHGCAR"
    if kind == STATIC:
        yield from _still(run)


def _still(run: RunFolder) -> Iterator[tuple[str, str, str]]:
    """Ions that do not move."""
    incar = run.incar
    assert incar is not None
    moving, ibrion = run.tags.nsw > 0, incar.integer("IBRION")
    if moving:
        yield "NSW", "0", "the ions stay where they are"
    if ibrion is not None and ibrion != -1 and (moving or ibrion >= _FINITE_DIFFERENCES):
        yield "IBRION", "-1", "the ions stay where they are"


def hints_for(run: RunFolder, kind: str, *, kpoints: str) -> tuple[str, ...]:
    """What such a run may want besides; nothing of it is done. kpoints : kind of the KPOINTS, "" without one"""
    incar = run.incar
    assert incar is not None
    hints = []
    ismear = incar.integer("ISMEAR")
    if kind == DOS and (ismear is None or ismear > TETRAHEDRA) and kpoints != LIST:
        hints.append(
            "ISMEAR = -5 (tetrahedra) gives a DOS without smearing, on a Γ-centred mesh; NEDOS sets its points, "
            "LORBIT = 11 its parts by atom"
        )
    if kind == RELAX and run.tags.nsw == 0:
        hints.append("NSW is not set, or 0: no ion will move (a relaxation needs NSW and IBRION)")
    if kind in (STATIC, RELAX) and incar.logical("LCHARG") is False:
        hints.append("LCHARG = .FALSE.: VASP will not write the self-consistent CHGCAR")
    if kind == BANDS and run.folder is not None and (run.folder / "WAVECAR").is_file() and incar.text("ISTART") != "0":
        hints.append("a WAVECAR is there: with other k-points VASP cannot use it; remove it, or set ISTART = 0")
    return tuple(hints)
