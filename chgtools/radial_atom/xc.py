"""Exchange and correlation of a spin-unpolarised spherical density, in atomic units.

LDA: exchange of the homogeneous gas (P. A. M. Dirac 1930) with the correlation of
  "LDA"   D. M. Ceperley and B. J. Alder as parametrised by J. P. Perdew and A. Zunger, PRB 23, 5048 (1981) (VASP: CA),
  "VWN"   S. H. Vosko, L. Wilk and M. Nusair, Can. J. Phys. 58, 1200 (1980), their fifth form (the NIST atoms),
  "RVWN"  the same with relativistic exchange, A. H. MacDonald and S. H. Vosko, J. Phys. C 12, 2977 (1979).
GGA:
  "PBE"   J. P. Perdew, K. Burke and M. Ernzerhof, PRL 77, 3865 (1996), on the correlation of J. P. Perdew and
          Y. Wang, PRB 45, 13244 (1992).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import SettingsError
from chgtools.units import ALPHA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.radial_atom.mesh import RadialMesh

    Array = NDArray[np.float64]

FUNCTIONALS = ("PBE", "LDA", "VWN", "RVWN")

TINY = 1e-24  # electrons/bohr³; below it exchange and correlation are taken as zero
FLAT = 1e-3  # dn/d(ln r) below this fraction of n is not resolved
KAPPA, MU = 0.804, 0.2195149727645171  # PBE exchange; MU = BETA π²/3
BETA, GAMMA = 0.06672455060314922, (1.0 - np.log(2.0)) / np.pi**2  # PBE correlation


def slater_exchange(n: Array) -> tuple[Array, Array]:
    """Exchange energy per electron and potential, hartree, of the density n in electrons/bohr³."""
    energy = -0.75 * np.cbrt(3.0 / np.pi * n)
    return energy, 4.0 / 3.0 * energy


def relativistic_exchange(n: Array) -> tuple[Array, Array]:
    """The same for the relativistic gas, with the transverse part of the interaction (MacDonald and Vosko)."""
    energy, potential = slater_exchange(n)
    beta = ALPHA * np.cbrt(3.0 * np.pi**2 * n)
    # below 1e-2 the closed forms lose their digits and the series is exact to 1e-8
    small = beta < 1e-2
    b = np.where(small, 1.0, beta)
    eta = np.sqrt(1.0 + b**2)
    of_energy = 1.0 - 1.5 * ((b * eta - np.arcsinh(b)) / b**2) ** 2
    of_potential = 1.5 * np.arcsinh(b) / (b * eta) - 0.5
    return (
        energy * np.where(small, 1.0 - 2.0 / 3.0 * beta**2, of_energy),
        potential * np.where(small, 1.0 - beta**2, of_potential),
    )


def perdew_zunger(n: Array) -> tuple[Array, Array]:
    """Correlation energy per electron and potential, hartree."""
    rs = np.cbrt(3.0 / (4.0 * np.pi * n))
    high = rs < 1.0
    safe = np.where(high, rs, 1.0)
    log = np.log(safe)
    energy_high = 0.0311 * log - 0.048 + 0.0020 * safe * log - 0.0116 * safe
    slope_high = 0.0311 / safe + 0.0020 * (log + 1.0) - 0.0116
    root = np.sqrt(rs)
    denominator = 1.0 + 1.0529 * root + 0.3334 * rs
    energy_low = -0.1423 / denominator
    slope_low = 0.1423 / denominator**2 * (0.5 * 1.0529 / root + 0.3334)
    energy = np.where(high, energy_high, energy_low)
    slope = np.where(high, slope_high, slope_low)
    return energy, energy - rs / 3.0 * slope


def vosko_wilk_nusair(n: Array) -> tuple[Array, Array]:
    """Correlation energy per electron and potential, hartree."""
    a, x0, b, c = 0.0310907, -0.10498, 3.72744, 12.9352
    rs = np.cbrt(3.0 / (4.0 * np.pi * n))
    x = np.sqrt(rs)
    full, full0 = x * x + b * x + c, x0 * x0 + b * x0 + c
    root = np.sqrt(4.0 * c - b * b)
    angle = np.arctan(root / (2.0 * x + b))
    energy = a * (
        np.log(x * x / full)
        + 2.0 * b / root * angle
        - b * x0 / full0 * (np.log((x - x0) ** 2 / full) + 2.0 * (b + 2.0 * x0) / root * angle)
    )
    # rs d(energy)/d(rs), equation 4.4 of the paper
    slope = a * (c * (x - x0) - b * x * x0) / ((x - x0) * full)
    return energy, energy - slope / 3.0


def perdew_wang(n: Array) -> tuple[Array, Array]:
    """Correlation energy per electron and potential, hartree; A with the digits that PBE's GAMMA implies."""
    a, a1 = GAMMA, 0.21370
    b1, b2, b3, b4 = 7.5957, 3.5876, 1.6382, 0.49294
    rs = np.cbrt(3.0 / (4.0 * np.pi * n))
    root = np.sqrt(rs)
    q0 = -2.0 * a * (1.0 + a1 * rs)
    q1 = 2.0 * a * (b1 * root + b2 * rs + b3 * rs * root + b4 * rs * rs)
    dq1 = a * (b1 / root + 2.0 * b2 + 3.0 * b3 * root + 4.0 * b4 * rs)
    log = np.log1p(1.0 / q1)
    energy = q0 * log
    slope = -2.0 * a * a1 * log - q0 * dq1 / (q1 * (q1 + 1.0))
    return energy, energy - rs / 3.0 * slope


def spin_kernel(n: Array) -> Array:
    """d²e/dm² at m = 0, hartree bohr³, of the energy density of a gas with the magnetisation m, both in 1/bohr³.

    Exchange by its spin scaling, −(4/9) (3/4) (3/π)^⅓ n^-⅔, and the spin stiffness of Perdew and Wang (1992), their
    table I, over n. Local: a gradient's part in it is left out.
    """
    a, a1 = 0.0168869, 0.11125
    b1, b2, b3, b4 = 10.357, 3.6231, 0.88026, 0.49671
    rs = np.cbrt(3.0 / (4.0 * np.pi * n))
    root = np.sqrt(rs)
    q1 = 2.0 * a * (b1 * root + b2 * rs + b3 * rs * root + b4 * rs * rs)
    stiffness = 2.0 * a * (1.0 + a1 * rs) * np.log1p(1.0 / q1)
    exchange, _ = slater_exchange(n)
    return np.asarray((4.0 / 9.0 * exchange + stiffness) / n)


def pbe(n: Array, sigma: Array) -> tuple[Array, Array, Array]:
    """PBE energy density e(n, sigma) in hartree/bohr³, de/dn and de/dsigma, with sigma = |∇n|²."""
    ex, _ = slater_exchange(n)
    kf2 = (3.0 * np.pi**2 * n) ** (2.0 / 3.0)
    s2 = sigma / (4.0 * kf2 * n * n)
    bottom = 1.0 + MU * s2 / KAPPA
    enhancement = 1.0 + KAPPA - KAPPA / bottom
    d_enhancement = MU / bottom**2  # by s2
    energy = n * ex * enhancement
    by_n = 4.0 / 3.0 * ex * (enhancement - 2.0 * s2 * d_enhancement)
    by_sigma = ex * d_enhancement / (4.0 * kf2 * n)

    ec, vc = perdew_wang(n)
    # t² = sigma / (4 ks² n²) with ks² = 4 kf / π
    t2 = sigma * np.pi / (16.0 * np.sqrt(kf2) * n * n)
    grow = np.expm1(-ec / GAMMA)
    a = BETA / GAMMA / grow
    at2 = a * t2
    top, low = 1.0 + at2, 1.0 + at2 + at2 * at2
    inner = BETA / GAMMA * t2 * top / low
    h = GAMMA * np.log1p(inner)
    # derivatives of H by t² and by A
    common = BETA / (1.0 + inner)
    by_t2 = common * (1.0 + 2.0 * at2) / low**2
    by_a = -common * t2 * at2 * t2 * (2.0 + at2) / low**2
    # the derivative of A by n; grow + 1 = exp(-ec/GAMMA) and n dec/dn = vc - ec
    n_da = a * (grow + 1.0) / grow * (vc - ec) / GAMMA
    energy = energy + n * (ec + h)
    by_n = by_n + vc + h + by_a * n_da - 7.0 / 3.0 * t2 * by_t2
    by_sigma = by_sigma + n * by_t2 * np.pi / (16.0 * np.sqrt(kf2) * n * n)
    return energy, by_n, by_sigma


def exchange_correlation(functional: str, mesh: RadialMesh, n: Array) -> tuple[float, Array]:
    """Exchange-correlation energy (hartree) and potential (n_r,) hartree of a spherical density.

    functional : one of FUNCTIONALS; n : (n_r,) electrons/bohr³
    Raises SettingsError for a functional that is not known.
    """
    seen = n > TINY
    safe = np.where(seen, n, TINY)
    volume = 4.0 * np.pi * mesh.r**2
    if functional == "PBE":
        gradient = np.where(seen, mesh.derivative(n), 0.0)
        energy, by_n, by_sigma = pbe(safe, gradient**2)
        flow = np.where(seen, 2.0 * by_sigma * gradient, 0.0)
        # Next to the nucleus n is constant to its last digits and its derivatives are round-off. The flow is finite
        # there (a cusp), so it is held, which leaves the potential's 1/r.
        inner = int(np.argmax(np.abs(gradient) * mesh.r > FLAT * safe))
        flow[:inner] = flow[inner]
        slope = mesh.derivative(flow)
        potential = by_n - 2.0 * flow / mesh.r - slope
        density = energy
    elif functional in ("LDA", "VWN", "RVWN"):
        exchange = relativistic_exchange if functional == "RVWN" else slater_exchange
        correlation = perdew_zunger if functional == "LDA" else vosko_wilk_nusair
        ex, vx = exchange(safe)
        ec, vc = correlation(safe)
        density, potential = safe * (ex + ec), vx + vc
    else:
        raise SettingsError(
            f"the functional {functional} is not known to the atom solver; use {', '.join(FUNCTIONALS)}"
        )
    return mesh.integrate(np.where(seen, density, 0.0) * volume), np.where(seen, potential, 0.0)
