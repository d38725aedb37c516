"""The result of a partition: what each atom has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure


@dataclass(frozen=True, eq=False)
class AtomicCharges:
    """Electrons, moments and dipoles of the atoms of a structure, in its order.

    labels : one POTCAR label per atom; zvals : (n_atoms,) electrons of the free atoms
    electrons : (n_atoms,), they add up to the integral of the density
    dipoles : (n_atoms, 3) e Å, Cartesian, from the negative to the positive end, about the nucleus
    moments : (n_atoms,) μ_B (ISPIN = 2) or (n_atoms, 3) μ_B (non-collinear, the axes of the file's blocks), or None
    remainder : electrons at points that no atom reaches, less those of the SAED; shared in proportion to ZVAL
    assumptions : sentences on what the input left open
    """

    structure: Structure
    labels: tuple[str, ...]
    zvals: NDArray[np.float64]
    electrons: NDArray[np.float64]
    dipoles: NDArray[np.float64]
    moments: NDArray[np.float64] | None
    remainder: float
    assumptions: tuple[str, ...] = ()

    @property
    def charges(self) -> NDArray[np.float64]:
        """(n_atoms,) net charges ZVAL - electrons, e; positive where an atom has lost electrons."""
        return self.zvals - self.electrons

    def by_element(self) -> dict[str, tuple[int, float]]:
        """Element to (number of atoms, mean net charge)."""
        elements = np.array(self.structure.elements)
        return {
            str(name): (int((elements == name).sum()), float(self.charges[elements == name].mean()))
            for name in dict.fromkeys(self.structure.elements)
        }

    def with_assumptions(self, *sentences: str) -> AtomicCharges:
        return replace(self, assumptions=(*self.assumptions, *sentences))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: ``atoms`` with one record each, and the sums."""
        charges = self.charges
        atoms = []
        for index, element in enumerate(self.structure.elements):
            record: dict[str, Any] = {
                "atom": index + 1,
                "element": element,
                "label": self.labels[index],
                "zval": float(self.zvals[index]),
                "electrons": float(self.electrons[index]),
                "charge": float(charges[index]),
                "dipole": self.dipoles[index].tolist(),
            }
            if self.moments is not None:
                record["moment"] = self.moments[index].tolist()
            atoms.append(record)
        return {
            "partition": "Hirshfeld",
            "atoms": atoms,
            "electrons": float(self.electrons.sum()),
            "charge": float(charges.sum()),
            "moment": None if self.moments is None else self.moments.sum(axis=0).tolist(),
            "remainder": self.remainder,
            "assumptions": list(self.assumptions),
        }
