"""GPAW's setups as radial functions, from the XML files that it installs (the gpaw-data package), bohr and hartree.

Within the sphere of each l the all-electron partial waves are made orthonormal, closed semicore first, then the valence
shell, then what is unbound: there a density matrix is as large as the density it stands for, whatever the norm of an
unbound wave, and the channels of different setups are alike.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from chgtools.atoms.paw_dataset import PawDataset
from chgtools.formats.gpaw_setups import read_setup
from chgtools.tightbinding.shells import valence_shells

FOLDER = Path("/usr/share/gpaw-setups")
SEMICORE, VALENCE, UNBOUND = "C", "V", "U"
ORDER = SEMICORE + VALENCE + UNBOUND


class Setup(PawDataset):
    """A data set with its waves made alike."""

    def integrate(self, values: np.ndarray, end: float = np.inf) -> float:
        """∫_0^end r² values dr"""
        return float((values * self.r**2 * self.dr)[self.r < end].sum())

    def radius(self, ell: int) -> float:
        """Of the projectors of an l; the largest where there are none."""
        own = self.rcut[self.ell == ell]
        return float(own.max() if len(own) else self.rcut.max())

    @property
    def largest(self) -> float:
        """The largest radius of all."""
        return float(self.rcut.max())

    @cached_property
    def starts(self) -> np.ndarray:
        """(n_j + 1,) first m of each channel in a density matrix."""
        return np.concatenate([[0], np.cumsum(2 * self.ell + 1)])

    @cached_property
    def kinds(self) -> list[str]:
        """SEMICORE, VALENCE (a shell of tight binding) or UNBOUND.

        Where the setup has no bound channel of a shell of tight binding, the first unbound one of its l is taken.
        """
        shells = {(shell.n, shell.ell) for shell in valence_shells(self.element)}
        own = list(zip(self.n.tolist(), self.ell.tolist(), strict=True))
        found = [
            VALENCE if key in shells else SEMICORE if f > 0 else UNBOUND
            for key, f in zip(own, self.electrons, strict=True)
        ]
        for missing in shells - set(own):
            free = [j for j, (_, ell) in enumerate(own) if ell == missing[1] and found[j] == UNBOUND]
            if free:
                found[free[0]] = VALENCE
        return found

    @cached_property
    def _basis(self) -> tuple[np.ndarray, np.ndarray]:
        """(n_j, n_j) the orthonormal waves in the channels, columns; (n_j,) the wave below each in its l, or -1."""
        columns, below = np.zeros((len(self.ell),) * 2), np.full(len(self.ell), -1)
        for ell in set(self.ell.tolist()):
            end, done = self.radius(ell), []
            members = sorted(np.flatnonzero(self.ell == ell), key=lambda j: ORDER.index(self.kinds[j]))
            for j in members:
                column = np.eye(len(self.ell))[j]
                for other in done:
                    column = column - other * self.integrate((column @ self.waves) * (other @ self.waves), end)
                column /= np.sqrt(self.integrate((column @ self.waves) ** 2, end))
                # positive where the sphere ends
                column *= np.sign((column @ self.waves)[np.searchsorted(self.r, end)])
                done.append(column)
                columns[:, j] = column
            if len(members) > 1:
                below[members[1]] = members[0]
        return columns, below

    @property
    def below(self) -> np.ndarray:
        """(n_j,) for the second wave of an l the first, else -1."""
        return self._basis[1]

    @cached_property
    def orthonormal(self) -> np.ndarray:
        """(n_j, n_r) the orthonormal waves."""
        return self._basis[0].T @ self.waves

    @cached_property
    def to_orthonormal(self) -> np.ndarray:
        """(n_m, n_m) B: a density matrix D of the channels is B D B^T in the orthonormal waves."""
        inverse, full = np.linalg.inv(self._basis[0]), np.zeros((self.starts[-1],) * 2)
        for i, j in zip(*np.nonzero(inverse), strict=True):
            rows, columns = (slice(self.starts[k], self.starts[k + 1]) for k in (i, j))
            full[rows, columns] = inverse[i, j] * np.eye(2 * self.ell[i] + 1)
        return full

    def by_m(self, values: object) -> np.ndarray:
        """Values of channels (n_j,) repeated for each m."""
        return np.repeat(np.asarray(values), 2 * self.ell + 1)


@cache
def setup(element: str) -> Setup:
    """The PBE setup of an element as GPAW takes it by default."""
    own = read_setup(FOLDER / f"{element}.PBE.gz")
    return Setup(**{each.name: getattr(own, each.name) for each in fields(own)})
