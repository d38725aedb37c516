"""What charges of atoms do to each other: hardness of each, Coulomb's law beyond, periodic.

A charge is a Gaussian as wide as its own interaction says, γ_aa = U_a = √(2/π)/σ_a, with U the change of the highest
occupied level of the free atom with its electrons. The periodic sum leaves out G = 0: the cell is neutral.
Hartree atomic units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.half_sphere import half_sphere
from chgtools.fourier.phases import phases
from chgtools.tightbinding.elements import element_of
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

ENDED = 5.0  # the sum ends at q = 2 ENDED/σ of the narrowest Gaussian, whose transform is exp(-ENDED²) there


def interaction(structure: Structure) -> NDArray[np.float64]:
    """(n_atoms, n_atoms) γ in hartree: the potential at each atom of a unit charge on each other and its images."""
    values = np.array([element_of(element).hardness for element in structure.elements])
    widths = np.sqrt(2 / np.pi) / values * BOHR_ANGSTROM
    miller = half_sphere(structure.lattice, 2 * ENDED / float(widths.min()))
    squared = ((miller @ reciprocal(structure.lattice)) ** 2).sum(axis=1)
    waves = phases(miller, structure.frac) * np.exp(-squared[:, None] * widths**2 / 4)
    # both halves of the sphere; 4π/V Σ 1/G² in Å²/Å³ is 1/Å
    sums = (waves.conj().T * (8 * np.pi / structure.volume / squared)) @ waves
    return np.asarray(sums.real * BOHR_ANGSTROM)
