"""What charges of atoms do to each other: hardness of each, Coulomb's law beyond, periodic.

A charge is a Gaussian as wide as its own interaction says, γ_aa = U_a = √(2/π)/σ_a, with U the change of the highest
occupied level of the free atom with its electrons. The periodic sum leaves out G = 0: the cell is neutral.
Hartree atomic units.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from chgtools.cell import reciprocal
from chgtools.fourier.half_sphere import half_sphere
from chgtools.fourier.phases import phases
from chgtools.radial_atom.configurations import atomic_number, ground_state
from chgtools.radial_atom.solver import solve_atom
from chgtools.tightbinding.shells import valence_shells
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.cell import Structure

STEP = 0.05  # electrons
ENDED = 5.0  # the sum ends at q = 2 ENDED/σ of the narrowest Gaussian, whose transform is exp(-ENDED²) there


@cache
def hardness(element: str) -> float:
    """U in hartree: ∂ε/∂n of the highest occupied s or p shell of the neutral atom, by central differences."""
    occupied = [shell for shell in valence_shells(element) if shell.electrons > 0 and shell.ell < 2]
    highest = occupied[-1] if occupied else valence_shells(element)[-1]
    levels = []
    for change in (-STEP, STEP):
        shells = [
            replace(shell, electrons=shell.electrons + change) if shell.name == highest.name else shell
            for shell in ground_state(element)
        ]
        atom = solve_atom(atomic_number(element), shells, "PBE", True)
        place = [shell.name for shell in atom.shells].index(highest.name)
        levels.append(float(atom.eigenvalues[place]))
    return (levels[1] - levels[0]) / (2 * STEP)


def interaction(structure: Structure) -> NDArray[np.float64]:
    """(n_atoms, n_atoms) γ in hartree: the potential at each atom of a unit charge on each other and its images."""
    values = np.array([hardness(element) for element in structure.elements])
    widths = np.sqrt(2 / np.pi) / values * BOHR_ANGSTROM
    miller = half_sphere(structure.lattice, 2 * ENDED / float(widths.min()))
    squared = ((miller @ reciprocal(structure.lattice)) ** 2).sum(axis=1)
    waves = phases(miller, structure.frac) * np.exp(-squared[:, None] * widths**2 / 4)
    # both halves of the sphere; 4π/V Σ 1/G² in Å²/Å³ is 1/Å
    sums = (waves.conj().T * (8 * np.pi / structure.volume / squared)) @ waves
    return np.asarray(sums.real * BOHR_ANGSTROM)
