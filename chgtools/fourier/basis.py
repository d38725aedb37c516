"""The basis of a learned density: radial functions × real spherical harmonics around each atom.

    ρ(r) = Σ_a Σ_lm Σ_n c_a,lm,n g_ln(|r - R_a|) Y_lm(r - R_a)

The radial functions start from sine functions on a logarithmic mesh,
    f_ln(r) = sin(nπx)/x · (1 - x²)² · (r²/(r² + b²))^(l/2),   x = log(1 + r/a)/log(1 + r_c/a),
which follow a density near a nucleus and away from it alike. They hold waves shorter than any that a plane-wave
density has or an FFT grid can take: so each f is low-passed in q (a cos² step that ends at ``q_max``), brought back to
zero at the cutoff by a smooth step over its last tenth, and the n functions of each l are made orthonormal in their
order (Cholesky), ∫ r² g_ln g_ln' dr = δ. On a grid that holds ``q_max`` the sum is exact up to the share of the norm
that the second step spills beyond (:attr:`RadialTables.spill`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from chgtools.cell import Structure, reciprocal
from chgtools.errors import MismatchError, SettingsError
from chgtools.fourier.atom_sums import add_atoms, cubics_of
from chgtools.fourier.grids import Shape, check_shape, fft_friendly
from chgtools.fourier.phases import phases
from chgtools.fourier.resampling import resample
from chgtools.functions.bessel import spherical_bessels
from chgtools.functions.spline import evaluate, second_derivatives

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DR_ANGSTROM = 0.0125  # width of an interval of the radial tables
DQ_PER_ANGSTROM = 0.05  # the transform of a function that ends at r_c turns by r_c dq in a step
Y00 = 0.5 / np.sqrt(np.pi)
_ATOMS_AT_ONCE = 8  # tables of so many atoms are held at a time, about 2 MB
_WAVES_AT_ONCE = 1024  # rows of the least-squares matrix in memory


@dataclass(frozen=True)
class RadialBasis:
    """What the radial functions are; the tables follow from it.

    n_max : functions for each l; l_max : largest l
    cutoff : Å, where all functions end (r_c)
    scale : Å, the mesh is linear below it and logarithmic above (a)
    inner : Å, within which functions of l > 0 go as r^l (b)
    q_max : 1/Å, where the functions end in Fourier space; the step down starts at 0.8 q_max
    Raises SettingsError for values that make no basis.
    """

    n_max: int = 12
    l_max: int = 4
    cutoff: float = 3.7
    scale: float = 0.26
    inner: float = 0.26
    q_max: float = 30.0

    def __post_init__(self) -> None:
        if self.n_max < 1 or self.l_max < 0:
            raise SettingsError(f"found n_max = {self.n_max}, l_max = {self.l_max}; wanted n_max >= 1 and l_max >= 0")
        lengths = (self.cutoff, self.scale, self.inner, self.q_max)
        if not (np.isfinite(lengths).all() and min(lengths) > 0):
            raise SettingsError(f"found cutoff, scale, inner, q_max = {lengths}; wanted positive numbers in Å and 1/Å")

    @property
    def n_lm(self) -> int:
        return (self.l_max + 1) ** 2

    @property
    def tables(self) -> RadialTables:
        """The functions in numbers; made once for equal bases. Raises SettingsError where q_max parts them no more."""
        return _tables(self)

    @property
    def charges(self) -> NDArray[np.float64]:
        """(n_max,) ∫ g_0n Y_00 d³r, electrons per unit of coefficient; functions of l > 0 have none."""
        return self.tables.transforms[0, :, 0] * Y00

    def values(self, r: ArrayLike) -> NDArray[np.float64]:
        """(l_max + 1, n_max, n_r) g_ln at radii (n_r,) in Å, in Å^-3/2; 0 from the cutoff on."""
        radii = np.atleast_1d(np.asarray(r, dtype=float))
        cubics, dr = self.tables.cubics, self.tables.dr
        interval = np.minimum((radii / dr).astype(int), cubics.shape[2] - 1)
        powers = np.where(radii < self.cutoff, (radii / dr - interval) ** np.arange(4)[:, None], 0.0)
        return np.asarray(np.einsum("lnrc,cr->lnr", cubics[:, :, interval], powers))

    def transforms(self, q: ArrayLike) -> NDArray[np.float64]:
        """(l_max + 1, n_max, n_q) 4π ∫ r² g_ln j_l(qr) dr at q (n_q,) in 1/Å; 0 beyond the table, 4/3 q_max.

        The Fourier transform of g_ln Y_lm is (-i)^l Y_lm(q) times it.
        """
        tables = self.tables
        return evaluate(tables.transforms, tables.curvatures, DQ_PER_ANGSTROM, np.atleast_1d(q))


@dataclass(frozen=True, eq=False)
class RadialTables:
    """The radial functions of a basis as numbers.

    cubics : (l_max + 1, n_max, n_r, 4) cubic of each interval of r, c0 + t(c1 + t(c2 + t c3)), t in [0, 1]
    dr : width of an interval, Å
    q : (n_q,) uniform mesh from 0, 1/Å; transforms : (l_max + 1, n_max, n_q), see RadialBasis.transforms
    spill : (l_max + 1, n_max) square root of the share of each function's norm between q_max and 4/3 q_max
    """

    cubics: NDArray[np.float64]
    dr: float
    q: NDArray[np.float64]
    transforms: NDArray[np.float64]
    spill: NDArray[np.float64]

    @cached_property
    def curvatures(self) -> NDArray[np.float64]:
        """Second derivatives of the transforms at the points q, of their splines."""
        return second_derivatives(self.transforms, DQ_PER_ANGSTROM, "not-a-knot")


@lru_cache(maxsize=8)
def _tables(basis: RadialBasis) -> RadialTables:
    n_r = int(np.ceil(basis.cutoff / DR_ANGSTROM))
    r = np.linspace(0.0, basis.cutoff, 3 * n_r + 1)
    q = np.arange(0.0, 4 / 3 * basis.q_max + DQ_PER_ANGSTROM, DQ_PER_ANGSTROM)
    low_pass = np.where(q < basis.q_max, np.cos(np.pi / 2 * np.clip(5 * q / basis.q_max - 4, 0, 1)) ** 2, 0.0)
    passed = low_pass > 0
    t = np.clip(10 * (1 - r / basis.cutoff), 0, 1)
    end = t**3 * (10 - 15 * t + 6 * t**2)
    nodes, weights = _logarithmic_nodes(basis)
    cubics = np.empty((basis.l_max + 1, basis.n_max, n_r, 4))
    transforms = np.empty((basis.l_max + 1, basis.n_max, len(q)))
    at_nodes, at_mesh = (spherical_bessels(basis.l_max, np.outer(*x)) for x in ((nodes, q[passed]), (q, r)))
    for ell, (sharp_bessel, bessel) in enumerate(zip(at_nodes, at_mesh, strict=True)):
        sharp = 4 * np.pi * (_sines(basis, ell, nodes) * weights * nodes**2) @ sharp_bessel
        low = (sharp * low_pass[passed] * q[passed] ** 2) @ bessel[passed] * (DQ_PER_ANGSTROM / (2 * np.pi**2))
        # The integrands are even in r and end smoothly: the trapezoid rule has no end error
        functions = _orthonormal(low * end, r, basis)
        transforms[ell] = (functions * r**2) @ bessel.T * (4 * np.pi * r[1])
        cubics[ell] = cubics_of(functions)
    beyond = (transforms * q)[:, :, q > basis.q_max]
    spill = np.sqrt((beyond**2).sum(axis=2) * DQ_PER_ANGSTROM / (8 * np.pi**3))
    return RadialTables(cubics, basis.cutoff / n_r, q, transforms, spill)


def _orthonormal(functions: NDArray[np.float64], r: NDArray[np.float64], basis: RadialBasis) -> NDArray[np.float64]:
    overlap = (functions * r**2) @ functions.T * r[1]
    scale = 1 / np.sqrt(np.diagonal(overlap))
    overlap *= scale * scale[:, None]
    smallest = float(np.linalg.eigvalsh(overlap)[0])
    if not smallest > 1e-10:
        raise SettingsError(
            f"the {basis.n_max} radial functions are no longer independent below q_max = {basis.q_max:g}/Å "
            f"(smallest eigenvalue {smallest:.1g}); take fewer or a larger q_max"
        )
    return np.linalg.solve(np.linalg.cholesky(overlap), functions * scale[:, None])


def _logarithmic_nodes(basis: RadialBasis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Legendre nodes and weights in r on 24 panels that are even in log(1 + r/a)."""
    x, w = np.polynomial.legendre.leggauss(14)
    edges = basis.scale * np.expm1(np.linspace(0, np.log1p(basis.cutoff / basis.scale), 25))
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


def _sines(basis: RadialBasis, ell: int, r: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_max, n_r) f_ln(r) of the module's head, for r > 0."""
    x = np.log1p(r / basis.scale) / np.log1p(basis.cutoff / basis.scale)
    n = np.arange(1, basis.n_max + 1)[:, None]
    return np.asarray(np.sin(np.pi * n * x) / x * (1 - x**2) ** 2 * (r**2 / (r**2 + basis.inner**2)) ** (ell / 2))


def holding_shape(lattice: NDArray[np.float64], q_max: float) -> Shape:
    """The smallest even grid of small prime factors whose box holds all |G| <= q_max (1/Å)."""
    nx, ny, nz = (fft_friendly(int(q_max * edge / np.pi) + 1) for edge in np.linalg.norm(lattice, axis=1))
    return nx, ny, nz


def check_coefficients(coefficients: ArrayLike, n_atoms: int, basis: RadialBasis) -> NDArray[np.float64]:
    """The coefficients as (n_atoms, n_lm, n_max) float64. Raises MismatchError for another shape or NaN."""
    values = np.asarray(coefficients, dtype=float)
    wanted = (n_atoms, basis.n_lm, basis.n_max)
    if values.shape != wanted:
        raise MismatchError(f"found coefficients of shape {values.shape}; the structure and the basis need {wanted}")
    if not np.isfinite(values).all():
        atom = int(np.argwhere(~np.isfinite(values))[0][0]) + 1
        raise MismatchError(f"a coefficient of atom {atom} is not a finite number; wanted finite coefficients")
    return values


def total_charge(coefficients: NDArray[np.float64], basis: RadialBasis) -> float:
    """Integral of the expansion over the cell, electrons."""
    return float((coefficients[:, 0] @ basis.charges).sum())


def with_charge(coefficients: NDArray[np.float64], basis: RadialBasis, total: float = 0.0) -> NDArray[np.float64]:
    """The coefficients with the integral ``total`` (electrons; NELECT - ΣZVAL for a DCD): a new array.

    The change is the smallest in the sum of squares of the coefficients: each atom gets the same spherical function,
    a multiple of Σ_n charge_n g_0n. So the atoms of a supercell change as those of its cell.
    """
    charges = basis.charges
    result = np.array(coefficients, dtype=float)
    missing = total - total_charge(result, basis)
    result[:, 0] += missing / (len(result) * float(charges @ charges)) * charges
    return result


def expand(
    structure: Structure, coefficients: ArrayLike, basis: RadialBasis, shape: Sequence[int]
) -> NDArray[np.float64]:
    """The expansion on the FFT grid of the cell: (nx, ny, nz) float64, Fortran order, electrons/Å³.

    coefficients : (n_atoms, n_lm, n_max), electrons Å^-3/2
    shape : (nx, ny, nz); waves that it cannot hold are left out, not folded back
    The sum is made on the coarsest grid that holds the basis and brought to ``shape`` by Fourier interpolation. Its
    integral is :func:`total_charge`. Time: atoms, and one FFT. Memory: about one grid beyond the result.
    Raises MismatchError for coefficients of another shape.
    """
    sizes = check_shape(shape)
    values = check_coefficients(coefficients, structure.n_atoms, basis)
    coarse = holding_shape(structure.lattice, basis.q_max)
    density = sum_on_grid(structure, values, basis, coarse)
    density += total_charge(values, basis) / structure.volume - float(density.mean())
    return density if coarse == sizes else np.asarray(resample(density, sizes), dtype=np.float64)


def sum_on_grid(
    structure: Structure, coefficients: NDArray[np.float64], basis: RadialBasis, shape: Shape
) -> NDArray[np.float64]:
    """The plain sum of the atoms' functions at the points of a grid: what it cannot hold is folded back."""
    cubics = basis.tables.cubics
    # n first: then a point costs one cubic for each lm. lm last: the kernel takes several of them at once
    result = np.zeros(shape, order="F")
    for start in range(0, structure.n_atoms, _ATOMS_AT_ONCE):
        part = slice(start, start + _ATOMS_AT_ONCE)
        by_l = [np.tensordot(coefficients[part, el**2 : (el + 1) ** 2], cubics[el], 1) for el in range(len(cubics))]
        tables = np.concatenate(by_l, axis=1).transpose(0, 2, 3, 1)
        add_atoms(result, structure.lattice, structure.frac[part], tables, basis.tables.dr, basis.cutoff)
    return result


class Target(Protocol):
    """What a fit needs of an entry of a store: miller (n, 3), half a sphere up to g_max (1/Å); dcd (n,) V·n_G."""

    @property
    def structure(self) -> Structure: ...
    @property
    def g_max(self) -> float: ...
    @property
    def miller(self) -> NDArray[np.int64]: ...
    @property
    def dcd(self) -> NDArray[np.complex128]: ...


def waves(structure: Structure, miller: NDArray[np.int64], basis: RadialBasis) -> NDArray[np.complex128]:
    """(n_G, n_atoms, n_lm, n_max) V·n_G in electrons of each function with coefficient 1."""
    from chgtools.kernels.harmonics import harmonics

    g = miller @ reciprocal(structure.lattice)
    q = np.linalg.norm(g, axis=1)
    angular = harmonics(basis.l_max, g / np.maximum(q, 1e-100)[:, None])
    degrees = np.repeat(np.arange(basis.l_max + 1), 2 * np.arange(basis.l_max + 1) + 1)
    atom = np.einsum("kg,k,kng->gkn", angular, (-1j) ** degrees, basis.transforms(q)[degrees])
    return np.asarray(phases(miller, structure.frac)[:, :, None, None] * atom[:, None])


def fit(target: Target, basis: RadialBasis, *, ridge: float = 1e-10) -> NDArray[np.float64]:
    """Least-squares coefficients (n_atoms, n_lm, n_max) of a difference density; its integral is 0.

    target : an entry of a store, or the like; its integral is taken as 0
    ridge : added to the diagonal of the normal equations, in units of its mean
    The waves between g_max and q_max, which the target does not hold, are fitted to zero. Without them the fit is free
    to put there what it likes, and does: more than the whole density in silicon.
    Time: waves × (coefficients of all atoms)², and that matrix must fit in memory.
    """
    from chgtools.fourier.half_sphere import half_sphere

    structure = target.structure
    outer = half_sphere(structure.lattice, basis.q_max)
    length = np.linalg.norm(outer @ reciprocal(structure.lattice), axis=1)
    outer = outer[length > target.g_max + 1e-6]
    size = structure.n_atoms * basis.n_lm * basis.n_max
    normal, right = np.zeros((size, size)), np.zeros(size)
    for miller, wanted in ((target.miller, target.dcd), (outer, None)):
        for start in range(0, len(miller), _WAVES_AT_ONCE):
            part = slice(start, start + _WAVES_AT_ONCE)
            columns = waves(structure, miller[part], basis).reshape(-1, size)
            rows = np.concatenate([columns.real, columns.imag])
            normal += rows.T @ rows
            if wanted is not None:
                right += rows.T @ np.concatenate([wanted[part].real, wanted[part].imag])
    charge = np.zeros((structure.n_atoms, basis.n_lm, basis.n_max))
    charge[:, 0] = basis.charges
    normal += np.outer(charge, charge)
    normal[np.diag_indices(size)] += ridge * np.trace(normal) / size
    solved = np.asarray(np.linalg.solve(normal, right), dtype=np.float64).reshape(charge.shape)
    return with_charge(solved, basis)
