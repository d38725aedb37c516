"""What pymatgen and ASE objects say beside their atoms: start moments and the charge of the cell.

Moments as pymatgen's VASP input sets read them: a site's ``magmom``, else the ``spin`` of its species, else 0.6 μ_B
where some other site has one; of ASE its initial magnetic moments. A charge counts where it was set: ``charge`` of a
pymatgen Structure, ASE's initial charges; oxidation states alone are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSET = 0.6  # μ_B, pymatgen's for a site that names none


@dataclass(frozen=True, eq=False)
class Carried:
    """moments : (n_atoms,), or (n_atoms, 3) where they are vectors, μ_B; None where none is set or all are 0.

    charge : of the cell, electrons that are lacking; None where none is set
    source : what they come from, for people
    assumptions : sentences on what was not said
    """

    moments: NDArray[np.float64] | None = None
    charge: float | None = None
    source: str = ""
    assumptions: tuple[str, ...] = ()


def carried_by(source: Any) -> Carried:
    """What an object says beside its atoms; nothing for a path or a chgtools Structure.

    Raises ChgtoolsError for moments that are neither numbers nor vectors.
    """
    if hasattr(source, "get_scaled_positions"):
        return _by_ase(source)
    source = getattr(source, "structure", source)
    if hasattr(source, "frac_coords") and hasattr(source, "lattice"):
        return _by_pymatgen(source)
    return Carried()


def _by_ase(atoms: Any) -> Carried:
    moments = _array(atoms.get_initial_magnetic_moments()) if atoms.has("initial_magmoms") else None
    charge = float(np.sum(atoms.get_initial_charges())) if atoms.has("initial_charges") else None
    return Carried(moments, charge or None, "ASE Atoms")


def _by_pymatgen(structure: Any) -> Carried:
    given = [site.properties.get("magmom") for site in structure]
    given = [
        getattr(site.specie, "spin", None) if moment is None else moment
        for site, moment in zip(structure, given, strict=True)
    ]
    charge = getattr(structure, "_charge", None)  # structure.charge itself adds up oxidation states where none is set
    source = "pymatgen Structure"
    if all(moment is None for moment in given):
        return Carried(None, charge or None, source)
    unset = sum(moment is None for moment in given)
    said = (f"MAGMOM = {UNSET} for {unset} atoms without a moment, as pymatgen's input sets",) if unset else ()
    moments = _array([UNSET if moment is None else _global(moment) for moment in given])
    return Carried(moments, charge or None, source, () if moments is None else said)


def _global(moment: Any) -> Any:
    """A number, or a vector along the lattice's axes of pymatgen's Magmom, which may have another spin axis."""
    return getattr(moment, "global_moment", moment)


def _array(values: Any) -> NDArray[np.float64] | None:
    """(n,) or (n, 3), numbers along z where there are vectors too; vectors that all are along z as numbers."""
    items = [np.atleast_1d(np.asarray(value, dtype=float)) for value in values]
    if any(item.shape not in ((1,), (3,)) for item in items) or not all(np.isfinite(item).all() for item in items):
        raise ChgtoolsError("the structure's magnetic moments are neither numbers nor vectors of three; set them anew")
    vectors = np.array([item if len(item) == 3 else [0.0, 0.0, item[0]] for item in items]).reshape(-1, 3)
    if not vectors.any():
        return None
    return vectors if vectors[:, :2].any() else vectors[:, 2]
