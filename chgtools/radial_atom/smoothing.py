"""A valence density made smooth inside a core radius, and its form factor.

Inside the core radius r_c the density becomes

    n_s(r) = exp[ y + (s - 1) y_1 + (s - 1)² y_2 / 2 + (1 - s)³ (a + b s) ],   s = (r/r_c)²,

with y, y_1, y_2 the logarithm of the density at r_c and its first two derivatives by s: value, slope and curvature
go through r_c without a step, the density is positive and even in r (no cusp at the nucleus), and ``a`` keeps the
charge; the exponential of an even polynomial is the form that N. Troullier and J. L. Martins, PRB 43, 1993 (1991),
give to wave functions. ``b`` is chosen so that ∫ q² f(q)² dq from q_c to 2 q_c, what plane waves up to ENMAX
cannot carry, is smallest (the idea of A. M. Rappe et al., PRB 41, 1227 (1990)).

q_c = 2 √(ENMAX / (ħ²/2m)) is the largest wave vector in a density made of waves up to ENMAX. The core radius is
18/q_c, but at most 1.3 Å: much below 15/q_c the form factor has weight beyond q_c, and a larger radius gives away
true density without a gain that a grid could show. A harder label (``O_h``) has a smaller core radius, as in VASP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.units import BOHR_ANGSTROM, HARTREE_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.radial_atom.mesh import RadialMesh

    Array = NDArray[np.float64]

RADIUS_TIMES_CUTOFF = 18.0
LARGEST_RADIUS = 1.3 / BOHR_ANGSTROM  # bohr
PANEL, NODES = 0.4, 16  # width in bohr and Gauss-Legendre points of one panel of the radial quadrature
END = 1e-12  # electrons; the density is cut where less than this lies beyond


def density_cutoff(enmax: float) -> float:
    """q_c in 1/bohr of a density made of plane waves up to ``enmax`` (eV): twice their largest wave vector."""
    return float(2.0 * np.sqrt(2.0 * enmax / HARTREE_EV))


def core_radius(enmax: float) -> float:
    """Core radius in bohr for a label with ``enmax`` in eV."""
    return min(RADIUS_TIMES_CUTOFF / density_cutoff(enmax), LARGEST_RADIUS)


def _panels(start: float, end: float) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on panels of at most PANEL between start and end."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    edges = np.linspace(start, end, int(np.ceil((end - start) / PANEL)) + 1)
    half = 0.5 * np.diff(edges)[:, None]
    middle = 0.5 * (edges[1:] + edges[:-1])[:, None]
    return (middle + half * x).ravel(), (half * w).ravel()


@dataclass(frozen=True, eq=False)
class SmoothDensity:
    """A radial density that is ``original`` (n_r,) on ``mesh`` beyond r_core and the exponential of the module inside.

    r_core : bohr, a mesh point; coefficients : (y, y_1, y_2, a, b); electrons : its integral
    points, charges : (n_points,) radii in bohr of a quadrature, and the electrons that each stands for
    """

    mesh: RadialMesh
    original: Array
    r_core: float
    coefficients: tuple[float, float, float, float, float]
    electrons: float
    points: Array
    charges: Array

    def __call__(self, r: Array) -> Array:
        """n(r) in electrons/bohr³ at radii in bohr, any shape."""
        y, y1, y2, a, b = self.coefficients
        s = np.minimum((r / self.r_core) ** 2, 1.0)
        u = s - 1.0
        inside = np.exp(y + u * (y1 + u * (0.5 * y2 - u * (a + b * s))))
        return np.asarray(np.where(r < self.r_core, inside, self.mesh.interpolate(self.original, r)))

    def form_factor(self, step: float, count: int) -> Array:
        """f (count,) in electrons at q = 0, step, 2 step, ... in 1/bohr; f(0) is ``electrons`` to the last digit."""
        from chgtools.atoms.density import radial_transform

        scale = self.electrons / self.charges.sum()  # 1 but for rounding
        form = radial_transform(self.points, self.charges * scale, step, count)
        form[0] = self.electrons
        return form

    def moment(self, power: int) -> float:
        """∫ 4πr² n r^power dr, electrons bohr^power."""
        return float(np.dot(self.charges, self.points**power))


@dataclass(frozen=True, eq=False)
class _Core:
    """The inside of a density that is being made smooth: quadrature points, and what is fixed there."""

    s: Array  # (r/r_c)² at the points
    base: Array  # ln(4πr² w) and the terms of the exponent in y, y_1, y_2
    charge: float  # electrons inside

    def charges(self, b: float) -> tuple[Array, float]:
        """Electrons at each point, and the ``a`` that makes their sum right.

        ln(charge) is convex and rising in a: Newton's steps, once above the root, fall onto it.
        """
        cube = (1.0 - self.s) ** 3
        fixed = self.base + b * self.s * cube
        a = 0.0
        for _ in range(100):
            part = fixed + a * cube
            top = part.max()
            weight = np.exp(part - top)
            total = weight.sum()
            change = (np.log(self.charge) - top - np.log(total)) * total / np.dot(weight, cube)
            a += float(np.clip(change, -20.0, 20.0))
            if abs(change) < 1e-13 * max(1.0, abs(a)):
                break
        return np.exp(fixed + a * cube), a


def _smoothest(core: _Core, inner_r: Array, outer_r: Array, outer_charges: Array, q_c: float) -> float:
    """The b with the least weight of f(q) between q_c and 2 q_c, to three decimals (so that a remake is the same)."""
    from scipy.optimize import minimize_scalar

    q, w = _panels(q_c, 2.0 * q_c)
    outer = np.sinc(np.outer(q, outer_r) / np.pi) @ outer_charges
    inner = np.sinc(np.outer(q, inner_r) / np.pi)

    def weight_beyond(b: float) -> float:
        return float(np.dot(w * q**2, (outer + inner @ core.charges(b)[0]) ** 2))

    trial = np.arange(-2.0, 8.5, 0.5)
    best = float(trial[np.argmin([weight_beyond(b) for b in trial])])
    least = minimize_scalar(weight_beyond, bounds=(best - 0.5, best + 0.5), method="bounded", options={"xatol": 1e-5})
    return round(float(least.x), 3)


def smooth_inside(mesh: RadialMesh, density: Array, r_core: float, electrons: float, q_c: float) -> SmoothDensity:
    """Replace ``density`` (n_r,) electrons/bohr³ inside the last mesh point up to ``r_core`` (bohr).

    electrons : the integral that the result must have; the true density outside keeps its own
    q_c : 1/bohr, from :func:`density_cutoff`
    Raises ChgtoolsError when no charge is left for the inside.
    """
    at = int(np.searchsorted(mesh.r, r_core, side="right")) - 1
    around = slice(at - 30, at + 31)
    log = np.zeros(mesh.r.size)
    log[around] = np.log(density[around])
    # derivatives by x = ln r of the logarithm, turned into derivatives by s = exp(2 (x - x_c))
    by_x = mesh.derivative(log) * mesh.r
    by_xx = mesh.derivative(by_x) * mesh.r
    y, y1, y2 = float(log[at]), 0.5 * float(by_x[at]), 0.25 * float(by_xx[at]) - 0.5 * float(by_x[at])
    radius = float(mesh.r[at])

    beyond = mesh.running_integral(4.0 * np.pi * mesh.r**2 * density)
    end = float(mesh.r[np.searchsorted(beyond, beyond[-1] - END)])
    outer_r, outer_w = _panels(radius, max(end, 2.0 * radius))
    outer = 4.0 * np.pi * outer_r**2 * outer_w * mesh.interpolate(density, outer_r)
    charge = electrons - float(outer.sum())
    if charge <= 0.0:
        raise ChgtoolsError(
            f"{outer.sum():.6f} electrons lie beyond the core radius {radius:.3f} bohr, but the valence has only "
            f"{electrons:g}; use a smaller core radius"
        )
    r, w = _panels(0.0, radius)
    s = (r / radius) ** 2
    core = _Core(s, np.log(4.0 * np.pi * r**2 * w) + y + (s - 1.0) * (y1 + (s - 1.0) * 0.5 * y2), charge)
    b = _smoothest(core, r, outer_r, outer, q_c)
    inner, a = core.charges(b)
    points = (np.concatenate([r, outer_r]), np.concatenate([inner, outer]))
    return SmoothDensity(mesh, density, radius, (y, y1, y2, a, b), float(electrons), *points)
