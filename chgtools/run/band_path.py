"""The path of a band structure: through the points of high symmetry, in the standard of Setyawan and Curtarolo.

Their paths (Comput. Mater. Sci. 49, 299 (2010), doi:10.1016/j.commatsci.2010.05.010) are told in fractions of the
reciprocal vectors of their own standard primitive cell; pymatgen has them, spglib finds the cell. In any other cell the
same numbers are other k-points. So a structure is held against that cell, and refused where its lattice is another.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import SettingsError

if TYPE_CHECKING:
    from chgtools.cell import Structure
    from chgtools.formats.kpoints import Point

STANDARD = "Setyawan and Curtarolo 2010"
SAME_LENGTH, SAME_ANGLE = 0.01, 0.1  # Å, degrees
SYMPREC = 0.01  # Å, pymatgen's own for its paths


@dataclass(frozen=True)
class BandPath:
    """segments : paths of (label, fractions), between which it jumps; lattice : such as "FCC", by the standard"""

    segments: tuple[tuple[Point, ...], ...]
    lattice: str

    @property
    def text(self) -> str:
        """GAMMA-X-W|U-X"""
        return "|".join("-".join(label for label, _ in segment) for segment in self.segments)


def band_path(structure: Structure) -> BandPath:
    """The path of a structure. Raises SettingsError where it is not its standard primitive cell."""
    from pymatgen.symmetry.kpath import KPathSetyawanCurtarolo

    given = structure.to_pymatgen()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns where we refuse
        found = KPathSetyawanCurtarolo(given, symprec=SYMPREC)
    assert found.kpath is not None
    _require_standard(structure, given, found.prim, str(found.name))
    points = {name: tuple(map(float, k)) for name, k in found.kpath["kpoints"].items()}
    segments = tuple(tuple((_label(name), points[name]) for name in segment) for segment in found.kpath["path"])
    return BandPath(segments, str(found.name))


def _label(name: str) -> str:
    return name.replace("\\Gamma", "GAMMA").replace("\\Sigma", "SIGMA").replace("\\", "")


def _require_standard(structure: Structure, given: Any, standard: Any, lattice: str) -> None:
    """Raise SettingsError where the path is not one of this cell.

    A path hangs on the lattice and on which of its directions the crystal makes alike: so lengths and angles must be
    those of the standard cell, and the rotations, as matrices on the lattice vectors, the same.
    """
    place = structure.source or "the structure"
    whose = f"the standard primitive cell ({STANDARD}; {lattice}, by symmetry within {SYMPREC:g} Å) of the band path"
    mend = (
        "take that cell (pymatgen: SpacegroupAnalyzer(structure).get_primitive_standard_structure()), or give a "
        "KPOINTS with a path of your own"
    )
    if len(given) != len(standard):
        raise SettingsError(f"{place} has {len(given)} atoms, {whose}, has {len(standard)}; {mend}")
    near = np.allclose(given.lattice.abc, standard.lattice.abc, rtol=0, atol=SAME_LENGTH) and np.allclose(
        given.lattice.angles, standard.lattice.angles, rtol=0, atol=SAME_ANGLE
    )
    if not near:
        found, wanted = (_cell(each) for each in (given, standard))
        raise SettingsError(f"{place} has the cell {found}, {whose}, is {wanted}; {mend}")
    if _rotations(given) != _rotations(standard):
        raise SettingsError(f"{place} has its axes in another order than {whose}; {mend}")


def _cell(structure: Any) -> str:
    lengths = ", ".join(f"{value:.3f}" for value in structure.lattice.abc)
    return f"{lengths} Å; {', '.join(f'{value:.2f}' for value in structure.lattice.angles)}°"


def _rotations(structure: Any) -> set[bytes]:
    """Rotations of the crystal on its lattice vectors, and their inverses through the origin: E(k) = E(-k)."""
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    rotations = np.array(SpacegroupAnalyzer(structure, symprec=SYMPREC).get_symmetry_dataset().rotations, dtype=int)
    return {rotation.tobytes() for rotation in (*rotations, *-rotations)}
