"""What an INCAR says on the start density: ICHARG, spin, moments, electrons, LMAXMIX. VASP's rules stand here alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar

READS_CHGCAR = (1, 11)  # ICHARG that reads the CHGCAR
LMAXMIX = 2  # VASP's default


@dataclass(frozen=True)
class Tags:
    """The tags of an INCAR that a start density depends on; VASP's defaults where it is silent, None where it has none.

    noncollinear : LNONCOLLINEAR or LSORBIT; magmom : as given; lines : tag to FILE:LINE; path : of the INCAR
    """

    icharg: int | None = None
    ispin: int = 1
    noncollinear: bool = False
    lmaxmix: int = LMAXMIX
    nelect: float | None = None
    magmom: tuple[float, ...] | None = None
    metagga: str | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    path: str = "INCAR"

    @classmethod
    def of(cls, incar: Incar | None) -> Tags:
        """The tags of an INCAR; the defaults without one. Raises FormatError for a value that is none."""
        if incar is None:
            return cls()
        magmom, lmaxmix = incar.numbers("MAGMOM"), incar.integer("LMAXMIX")
        return cls(
            icharg=incar.integer("ICHARG"),
            ispin=incar.integer("ISPIN") or 1,
            noncollinear=bool(incar.logical("LNONCOLLINEAR")) or bool(incar.logical("LSORBIT")),
            lmaxmix=LMAXMIX if lmaxmix is None else lmaxmix,
            nelect=incar.number("NELECT"),
            magmom=None if magmom is None else tuple(magmom),
            metagga=incar.text("METAGGA"),
            lines={tag: f"{incar.path}:{line}" for tag, line in incar.lines.items()},
            path=incar.path,
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


def start_moments(structure: Structure, tags: Tags) -> StartMoments:
    """The moments a run starts with: MAGMOM, else VASP's default of 1 μ_B for each component.

    Raises SettingsError when MAGMOM has too few values.
    """
    if tags.blocks == 1:
        return StartMoments(None)
    wanted = structure.n_atoms * (3 if tags.noncollinear else 1)
    assumptions: tuple[str, ...] = ()
    if tags.magmom is None:
        values = np.ones(wanted)
        assumptions = ("MAGMOM = 1 for every component (VASP's default)",)
    elif len(tags.magmom) < wanted:
        raise SettingsError(
            f"{tags.path}: MAGMOM has {len(tags.magmom)} values, {structure.n_atoms} atoms need {wanted}"
            + (" (three each, non-collinear)" if tags.noncollinear else "")
        )
    else:
        values = np.array(tags.magmom[:wanted], dtype=float)  # VASP ignores what is behind
        if len(tags.magmom) > wanted:
            assumptions = (f"MAGMOM: the first {wanted} of {len(tags.magmom)} values, as VASP does",)
    return StartMoments(values.reshape(-1, 3) if tags.noncollinear else values, assumptions)


def electrons(tags: Tags, given: float | None) -> float | None:
    """NELECT: the one given, else the INCAR's, else None (ΣZVAL). Raises SettingsError for one that is not positive."""
    nelect = given or tags.nelect
    if nelect is not None and nelect <= 0:
        raise SettingsError(f"found NELECT = {nelect:g}; wanted a positive number of electrons")
    return nelect
