"""What a PAW data set knows of its atom: partial waves, projectors, smooth core, compensation charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from chgtools.functions.bessel import spherical_bessel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# q_1, q_2 of the two spherical Bessel functions of each l whose sum ends smoothly: first and second zeros of j_l
BESSEL_ZEROS = (
    (3.141592653589793, 6.283185307179586),
    (4.493409457909064, 7.725251836937707),
    (5.763459196894550, 9.095011330476355),
)
MET = 1e-3  # of a wave's largest u = r φ


@dataclass(frozen=True, eq=False)
class PawDataset:
    """One data set; all in bohr, rows by channel.

    element : "Fe"; zval : valence electrons
    r, dr : (n_r,) mesh and its weights, ∫ f dr = Σ f dr
    ell, n : (n_j,) of each channel, n = 0 where it is not bound; electrons, energy (hartree), rcut : (n_j,)
    waves, smooth_waves, projectors : (n_j, n_r) radial parts of the all-electron and pseudo partial waves and of the
        projectors, bohr^-3/2
    smooth_core : (n_r,) pseudo core density, n(r) = smooth_core Y_00, electrons/bohr³
    shape, shape_radius : of the compensation charges, "gauss", "sinc" or "bessel", and their rc
    """

    element: str
    zval: float
    r: NDArray[np.float64]
    dr: NDArray[np.float64]
    ell: NDArray[np.int64]
    n: NDArray[np.int64]
    electrons: NDArray[np.float64]
    energy: NDArray[np.float64]
    rcut: NDArray[np.float64]
    waves: NDArray[np.float64]
    smooth_waves: NDArray[np.float64]
    projectors: NDArray[np.float64]
    smooth_core: NDArray[np.float64]
    shape: str
    shape_radius: float

    @property
    def size(self) -> int:
        """n_m = Σ (2l + 1), the rows of an occupancy matrix."""
        return int((2 * self.ell + 1).sum())

    @cached_property
    def sphere(self) -> float:
        """Radius where the last of the partial waves and its smooth one meet, to MET of the largest, bohr."""
        apart = np.abs(self.waves - self.smooth_waves) * self.r
        largest = np.abs(self.waves * self.r).max(axis=1, keepdims=True, where=self.r < 2 * self.rcut.max(), initial=0)
        far = (apart > MET * largest).any(axis=0) & (self.r < 2 * self.rcut.max())
        return float(self.r[far].max(initial=0.0))

    def electrons_within(self, occupancies: NDArray[np.float64]) -> float:
        """Electrons that partial waves put into the sphere: Σ_ab occupancies_ab ∫ φ_a φ_b r² dr over channels of one l.

        occupancies : (n_j, n_j) Σ_m ρ_am,bm, as POTCARs have them of the atom
        """
        inside = self.r <= self.sphere
        steps, waves = np.diff(self.r[inside], append=self.sphere), (self.waves * self.r)[:, inside]
        weights = 0.5 * (steps + np.concatenate([[0.0], steps[:-1]]))  # the trapezoid rule, whose end may be anywhere
        same = self.ell[:, None] == self.ell
        return float((occupancies * np.where(same, (waves * weights) @ waves.T, 0.0)).sum())

    @property
    def end(self) -> float:
        """Radius that holds smooth core and compensation charges but for 1e-7 of an electron, bohr."""
        outside = np.cumsum((np.abs(self.smooth_core) * self.r**2 * self.dr)[::-1])[::-1] * np.sqrt(4 * np.pi)
        core = self.r[np.argmax(outside < 1e-7)]
        charges = 5.0 if self.shape == "gauss" else 1.0  # exp(-25) of a Gaussian
        return max(float(core), charges * self.shape_radius)

    @property
    def sharpest(self) -> float:
        """Up to where the waves of the compensation charges reach, 1/bohr; 1e-6 of them is beyond a Gaussian's."""
        return (7.5 if self.shape == "gauss" else 30.0) / self.shape_radius

    def compensation(self, ell: int, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """g_l at radii r, with ∫ g_l r^(l + 2) dr = 1, bohr^-(l + 3).

        Gaussians as P. E. Blöchl, Phys. Rev. B 50, 17953 (1994) has them, sums of two spherical Bessel functions as G.
        Kresse and D. Joubert, Phys. Rev. B 59, 1758 (1999), and sinc²; the three of PAW-XML (esl.cecam.org/paw-xml).
        """
        own = self._bare_compensation(ell, self.r)
        return self._bare_compensation(ell, r) / float((own * self.r ** (ell + 2)) @ self.dr)

    def _bare_compensation(self, ell: int, r: NDArray[np.float64]) -> NDArray[np.float64]:
        x = r / self.shape_radius
        if self.shape == "gauss":
            return np.asarray(x**ell * np.exp(-(x**2)))
        if self.shape == "sinc":
            return np.asarray(np.where(x < 1, x**ell * np.sinc(x) ** 2, 0.0))
        first, second = BESSEL_ZEROS[ell]
        # j_l'(z) = l/z j_l - j_l+1, and j_l is 0 there
        ratio = first * spherical_bessel(ell + 1, first) / (second * spherical_bessel(ell + 1, second))
        both = spherical_bessel(ell, first * x) - ratio * spherical_bessel(ell, second * x)
        return np.asarray(np.where(x < 1, both, 0.0))

    @cached_property
    def multipoles(self) -> Sequence[NDArray[np.float64]]:
        """Δ_l of l = 0, 1, 2: (n_j, n_j) ∫ (φ_i φ_j - φ̃_i φ̃_j) r^(l + 2) dr, electrons bohr^l.

        Both waves are the same beyond the projectors; what rounding leaves of them there, at r > 2 max(rcut), is cut,
        as GPAW does.
        """
        inside = np.where(self.r < 2 * self.rcut.max(), self.dr, 0.0)
        return [
            (self.waves * weight) @ self.waves.T - (self.smooth_waves * weight) @ self.smooth_waves.T
            for weight in (inside * self.r ** (ell + 2) for ell in range(3))
        ]

    def moments(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """(9,) multipole moments Q_lm, l <= 2, of the compensation charge Σ Q_lm g_l Y_lm of a density matrix.

        matrix : (n_m, n_m), rows by channel and m = -l..l. Q_lm = Σ_ij D_ij Δ_l,ij ∫ Y_i Y_j Y_lm; Q_00 √4π is what
        the pseudo density lacks in electrons.
        """
        from chgtools.atoms.angular import gaunt

        largest = int(self.ell.max())
        angular = gaunt(largest, largest, 2)
        channel = np.repeat(np.arange(len(self.ell)), 2 * self.ell + 1)
        harmonic = np.concatenate([np.arange(ell**2, (ell + 1) ** 2) for ell in self.ell])
        found = []
        for ell, table in enumerate(self.multipoles):
            weighted = matrix * table[np.ix_(channel, channel)]
            part = angular[np.ix_(harmonic, harmonic, np.arange(ell**2, (ell + 1) ** 2))]
            found.append(np.einsum("ij,ijm->m", weighted, part))
        return np.concatenate(found)
