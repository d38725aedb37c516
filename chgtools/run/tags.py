"""What an INCAR says on the start density: ICHARG, spin, moments, electrons, LMAXMIX. VASP's rules stand here alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import MismatchError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar

READS_CHGCAR = (1, 11)  # ICHARG that reads the CHGCAR
LMAXMIX = 2  # VASP's default
SAME_ZVAL = 1e-6
SAME_MOMENT = 0.01  # μ_B: the rounding of 3*0.333
# Tags that are read somewhere, each by its kind: VASP stops on a value that it cannot read
_KINDS = {
    "number": ("NELECT", "NUPDOWN", "ENCUT", "ENAUG"),
    "integer": ("ICHARG", "ISPIN", "LMAXMIX", "NSW", "NGX", "NGY", "NGZ", "NGXF", "NGYF", "NGZF"),
    "logical": ("LNONCOLLINEAR", "LSORBIT", "LHFCALC"),
    "numbers": ("MAGMOM", "VCA", "ZVAL"),
}


@dataclass(frozen=True)
class Tags:
    """The tags of an INCAR that a start density depends on; VASP's defaults where it is silent, None where it has none.

    noncollinear : LNONCOLLINEAR or LSORBIT; magmom, vca, zval : as given; hybrid : LHFCALC
    nupdown : NUPDOWN, None for the negative ones that stand for none
    lines : tag to FILE:LINE; path : of the INCAR
    """

    icharg: int | None = None
    ispin: int = 1
    noncollinear: bool = False
    lmaxmix: int = LMAXMIX
    nelect: float | None = None
    magmom: tuple[float, ...] | None = None
    nupdown: float | None = None
    vca: tuple[float, ...] | None = None
    zval: tuple[float, ...] | None = None
    metagga: str | None = None
    hybrid: bool = False
    nsw: int = 0
    lines: Mapping[str, str] = field(default_factory=dict)
    path: str = "INCAR"

    @classmethod
    def of(cls, incar: Incar | None) -> Tags:
        """The tags of an INCAR; the defaults without one.

        Raises FormatError for a value of the wrong kind, SettingsError for one that VASP does not know.
        """
        if incar is None:
            return cls()
        read = {tag: getattr(incar, kind)(tag) for kind, tags in _KINDS.items() for tag in tags}
        _refuse_unknown_values(incar, read["ISPIN"])
        several = {tag: None if read[tag] is None else tuple(read[tag]) for tag in _KINDS["numbers"]}
        nupdown = read["NUPDOWN"]
        return cls(
            icharg=read["ICHARG"],
            ispin=read["ISPIN"] or 1,
            noncollinear=bool(read["LNONCOLLINEAR"]) or bool(read["LSORBIT"]),
            lmaxmix=LMAXMIX if read["LMAXMIX"] is None else read["LMAXMIX"],
            nelect=read["NELECT"],
            magmom=several["MAGMOM"],
            nupdown=None if nupdown is None or nupdown < 0 else nupdown,
            vca=several["VCA"],
            zval=several["ZVAL"],
            metagga=incar.text("METAGGA"),
            hybrid=bool(read["LHFCALC"]),
            nsw=read["NSW"] or 0,
            lines={tag: incar.place(tag) for tag in incar},
            path=incar.path,
        )

    def with_moments(self, moments: NDArray[np.float64] | None) -> Tags:
        """The same with these moments, (n_atoms,) or (n_atoms, 3), where MAGMOM is not set.

        They decide between ISPIN = 1, ISPIN = 2 and LNONCOLLINEAR where the tags do not. Unchanged for None, with
        ISPIN = 1, and for vectors in a collinear run, which have no MAGMOM there.
        """
        if moments is None or self.magmom is not None:
            return self
        vectors, values = moments.ndim == 2, moments
        if self.noncollinear:
            values = moments if vectors else np.outer(moments, (0.0, 0.0, 1.0))
        elif ("ISPIN" in self.lines and (self.ispin == 1 or vectors)) or ("LNONCOLLINEAR" in self.lines and vectors):
            return self
        return replace(
            self, ispin=2, noncollinear=self.noncollinear or vectors, magmom=tuple(map(float, values.ravel()))
        )

    def place(self, tag: str) -> str:
        """FILE:LINE of a tag, the file alone where it is not set."""
        return self.lines.get(tag, self.path)

    @property
    def reads_chgcar(self) -> bool:
        return self.icharg in READS_CHGCAR

    @property
    def fixed_density(self) -> bool:
        """ICHARG of 10 and more keeps the density it starts from."""
        return self.icharg is not None and self.icharg >= 10

    @property
    def blocks(self) -> int:
        """Blocks of a charge file of such a run."""
        return 4 if self.noncollinear else 2 if self.ispin == 2 else 1


@dataclass(frozen=True)
class StartMoments:
    """values : None (one block), (n_atoms,) (ISPIN = 2) or (n_atoms, 3) (non-collinear), μ_B; and what was assumed."""

    values: NDArray[np.float64] | None
    assumptions: tuple[str, ...] = ()


def _refuse_unknown_values(incar: Incar, ispin: int | None) -> None:
    """Raise SettingsError for an ISPIN or a PREC that VASP does not know."""
    from chgtools.fourier.grids import precision_name

    if ispin not in (None, 1, 2):
        raise SettingsError(f"{incar.place('ISPIN')}: found ISPIN = {ispin}; wanted 1 or 2")
    prec = incar.text("PREC")
    if prec is not None:
        try:
            precision_name(prec)
        except SettingsError as error:
            raise SettingsError(f"{incar.place('PREC')}: {error}") from None


def start_moments(structure: Structure, tags: Tags) -> StartMoments:
    """The moments a run starts with: MAGMOM, else VASP's default of 1 μ_B for each component, or NUPDOWN/NIONS.

    Source of the latter: the VASP wiki's page NUPDOWN. Raises SettingsError when MAGMOM has too few values.
    """
    if tags.blocks == 1:
        return StartMoments(None)
    wanted = structure.n_atoms * (3 if tags.noncollinear else 1)
    if tags.magmom is None:
        return _default_moments(structure, tags)
    if len(tags.magmom) < wanted:
        raise SettingsError(
            f"{tags.path}: MAGMOM has {len(tags.magmom)} values, {structure.n_atoms} atoms need {wanted}"
            + (" (three each, non-collinear)" if tags.noncollinear else "")
        )
    values = np.array(tags.magmom[:wanted], dtype=float)  # VASP ignores what is behind
    assumptions = []
    if len(tags.magmom) > wanted:
        assumptions.append(f"MAGMOM: the first {wanted} of {len(tags.magmom)} values, as VASP does")
    if tags.nupdown is not None and not tags.noncollinear and abs(values.sum() - tags.nupdown) > SAME_MOMENT:
        assumptions.append(
            f"NUPDOWN = {tags.nupdown:g}, MAGMOM adds up to {values.sum():g}: the moments are MAGMOM's, as in VASP's "
            "own start; they should agree, since VASP keeps up less down electrons at NUPDOWN"
        )
    return StartMoments(values.reshape(-1, 3) if tags.noncollinear else values, tuple(assumptions))


def _default_moments(structure: Structure, tags: Tags) -> StartMoments:
    """VASP's moments where there is no MAGMOM."""
    if tags.noncollinear:
        sentence = "MAGMOM = 1 for every component (VASP's default)"
        if tags.nupdown is not None:
            sentence += "; what VASP makes of NUPDOWN in a non-collinear run is not known"
        return StartMoments(np.ones((structure.n_atoms, 3)), (sentence,))
    if tags.nupdown is None:
        return StartMoments(np.ones(structure.n_atoms), ("MAGMOM = 1 for every component (VASP's default)",))
    value = tags.nupdown / structure.n_atoms
    sentence = f"MAGMOM = {value:g} for every atom (VASP's default, NUPDOWN/NIONS)"
    return StartMoments(np.full(structure.n_atoms, value), (sentence,))


def weights(structure: Structure, tags: Tags) -> tuple[float, ...] | None:
    """VCA, a weight for each group of atoms; None where it is not set, or weighs nothing.

    Raises SettingsError for another number of values than there are groups, and for one that is not positive.
    """
    if tags.vca is None:
        return None
    groups, place = len(structure.counts), tags.place("VCA")
    if len(tags.vca) != groups:
        raise SettingsError(
            f"{place}: VCA has {len(tags.vca)} values, {structure.formula} has {groups} species; VASP wants one for "
            "each"
        )
    if min(tags.vca) <= 0:
        raise SettingsError(
            f"{place}: found VCA = {min(tags.vca):g}; wanted positive weights (leave out what has none)"
        )
    return None if set(tags.vca) == {1.0} else tags.vca


def require_zval(densities: Sequence[AtomicDensity], tags: Tags) -> None:
    """Raise MismatchError for a ZVAL that is not that of the potentials, one for each group: VASP stops on it."""
    own = [density.zval for density in densities]
    if tags.zval is None or (len(tags.zval) == len(own) and np.allclose(tags.zval, own, rtol=0, atol=SAME_ZVAL)):
        return
    given, has = (" ".join(f"{value:g}" for value in values) for values in (tags.zval, own))
    raise MismatchError(
        f"{tags.place('ZVAL')}: found ZVAL = {given}, the atomic densities have {has}; VASP stops on a ZVAL that is "
        "not the POTCAR's: remove it, or name the potentials (--label, --potcar)"
    )


def electrons(tags: Tags, given: float | None) -> float | None:
    """NELECT: the one given, else the INCAR's, else None (ΣZVAL). Raises SettingsError for one that is not positive."""
    nelect = given or tags.nelect
    if nelect is not None and nelect <= 0:
        raise SettingsError(f"found NELECT = {nelect:g}; wanted a positive number of electrons")
    return nelect
