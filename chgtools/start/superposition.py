"""Superposition of atomic densities on the FFT grid of a cell (SAED), and the start magnetisation.

Two ways to the same sum of spherical atoms:

reciprocal  ρ_G = (1/V) Σ_s f_s(|G|) Σ_{a in s} exp(-iG·R_a) for all G of the FFT box, one inverse FFT. This is how
            VASP starts (ICHARG = 2): f = 0 beyond its table, the unbalanced planes (n/2 of even axes) are zero, the
            number of electrons is exact. Time: grid points x atoms.
real        n_s(|r - R_a|) summed over atoms, images and the points within a radius that holds all but 1e-7 of the
            atom; then the sum is scaled to the number of electrons. Time: atoms. Right only where the grid resolves
            the atoms: what the grid cannot hold is folded back, not left out.

``auto`` takes the cheaper one, the real-space one only for resolved atoms.

How the structure factors are summed. With even and odd parts in y,
    Σ_a w_a exp(-i2π(hx + ky + lz)) = E ∓ iO at ±k,   E, O = Σ_a {cos, sin}(2πky_a) · w_a exp(-i2π(hx_a + lz_a)),
a plane of fixed l is one product of a real matrix (2 k's, atoms) with a complex one (atoms, h's): half the
multiplications of the plain complex product. Indices beyond which every f stays below 1e-10 of ZVAL are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure, plane_spacings, reciprocal
from chgtools.errors import ChgtoolsError, MismatchError, SettingsError
from chgtools.fourier.grids import Shape, check_shape
from chgtools.fourier.half_sphere import largest_indices
from chgtools.fourier.resampling import inscribed_cutoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity

METHODS = ("auto", "reciprocal", "real")
# Form factors are taken as 0 beyond the last q where they exceed this share of ZVAL
NEGLIGIBLE = 1e-10
# An atom is resolved when no |f| beyond the sphere that the grid holds exceeds this share of ZVAL
RESOLVED = 1e-5
# Share of the electrons that may lie outside the radius of the real-space sum
OUTSIDE = 1e-7
RADIAL_STEP_ANGSTROM = 0.005
# Nanoseconds per half-complex coefficient (FFT), for each species and atom of those summed, and per point in a sphere,
# as measured on one core by benchmarks/speed/saed_speed.py; only their ratios matter
_COST_FFT, _COST_SPECIES, _COST_ATOM, _COST_POINT = 12.0, 3.0, 0.12, 6.0


@dataclass(frozen=True)
class _Species:
    """All atoms of one density. frac : (n, 3); weights : (n,), 1 for a density, m/ZVAL for a magnetisation."""

    density: AtomicDensity
    frac: NDArray[np.float64]
    weights: NDArray[np.float64]


def superpose(
    structure: Structure, shape: Sequence[int], densities: Sequence[AtomicDensity], *, method: str = "auto"
) -> NDArray[np.float64]:
    """Superposition of atomic electron densities: (nx, ny, nz) float64, Fortran order, electrons/Å³.

    shape : (nx, ny, nz); point (i, j, k) at fractions (i/nx, j/ny, k/nz)
    densities : one per group of the structure
    method : "reciprocal", "real" or "auto" (see the module)
    Its integral is Σ ZVAL. Memory: one grid beyond the result (reciprocal), none (real).
    Raises MismatchError for a wrong number of densities, SettingsError for an unknown method.
    """
    sizes = check_shape(shape)
    species = _species(structure, densities, np.ones(structure.n_atoms))
    total = float(sum(s.density.zval * len(s.frac) for s in species))
    return _superpose(structure, sizes, species, total, method)


def saed_magnetisation(
    structure: Structure,
    shape: Sequence[int],
    densities: Sequence[AtomicDensity],
    moments: NDArray[np.float64] | Sequence[Any],
    *,
    method: str = "auto",
) -> NDArray[np.float64] | list[NDArray[np.float64]]:
    """Start magnetisation Σ_a (m_a/ZVAL_a) n_a(r) in μ_B/Å³: atoms of MAGMOM-scaled density, as VASP starts.

    moments : (n_atoms,) MAGMOM in μ_B, or (n_atoms, 3) for a non-collinear run
    Returns one array as :func:`superpose` does, or a list of three. The integral of each is the sum of its moments.
    Raises MismatchError for a wrong number of densities or moments, SettingsError for an unknown method.
    """
    sizes = check_shape(shape)
    _check_count(structure, densities)
    values = np.asarray(moments, dtype=float)
    if values.shape not in ((structure.n_atoms,), (structure.n_atoms, 3)):
        raise MismatchError(
            f"found moments of shape {values.shape}; {structure.n_atoms} atoms need ({structure.n_atoms},) or "
            f"({structure.n_atoms}, 3)"
        )
    if not np.isfinite(values).all():
        raise MismatchError(f"the moment of atom {np.argwhere(~np.isfinite(values))[0][0] + 1} is not a finite number")
    zvals = np.repeat([density.zval for density in densities], structure.counts)
    parts = [
        _superpose(structure, sizes, _species(structure, densities, m / zvals), float(m.sum()), method)
        for m in np.atleast_2d(values.T)
    ]
    return parts[0] if values.ndim == 1 else parts


def _check_count(structure: Structure, densities: Sequence[AtomicDensity]) -> None:
    if len(densities) != len(structure.counts):
        raise MismatchError(
            f"found {len(densities)} densities for {len(structure.counts)} groups of atoms ({structure.formula}); "
            "wanted one for each group"
        )


def _species(structure: Structure, densities: Sequence[AtomicDensity], weights: NDArray[np.float64]) -> list[_Species]:
    """Atoms by density; groups of the same density are one, atoms of weight 0 are left out."""
    _check_count(structure, densities)
    if not np.isfinite(structure.frac).all() or not np.isfinite(structure.lattice).all() or structure.volume < 1e-9:
        raise ChgtoolsError(f"{structure.source or 'the structure'} has no volume, or a position that is no number")
    group = structure.group_of_atom
    keys = {index: density.sha256 for index, density in enumerate(densities)}
    species = []
    for key in dict.fromkeys(keys.values()):
        members = [index for index in keys if keys[index] == key]
        chosen = np.isin(group, members) & (weights != 0)
        if chosen.any():
            species.append(_Species(densities[members[0]], structure.frac[chosen] % 1.0, weights[chosen]))
    return species


def _superpose(
    structure: Structure, shape: Shape, species: list[_Species], total: float, method: str
) -> NDArray[np.float64]:
    """The sum over ``species`` with the integral ``total``."""
    if method not in METHODS:
        raise SettingsError(f"found the method {method!r}; wanted one of {', '.join(METHODS)}")
    if method == "auto":
        method = choose_method(structure.lattice, shape, species)
    if method == "reciprocal" or not species:
        return _reciprocal(structure, shape, species, total)
    result = _real(structure.lattice, shape, species)
    correct_integral(result, structure.volume, total)
    return result


def correct_integral(values: NDArray[np.float64], volume: float, total: float) -> float:
    """Give a real-space sum the integral it must have, in place; returns integral/total before that.

    A density is scaled (it stays positive). Moments may cancel to a rest that is no measure: then G = 0 is set.
    """
    integral = float(values.mean()) * volume
    ratio = integral / total if total else 0.0
    if 0.5 < ratio < 2:
        values /= ratio
    else:
        values += (total - integral) / volume
    return ratio


def choose_method(lattice: NDArray[np.float64], shape: Shape, species: list[_Species]) -> str:
    """ "real" where the grid resolves every atom and the spheres are cheaper than the structure factors."""
    points = float(np.prod(shape))
    cutoff = inscribed_cutoff(lattice, shape)
    kx, ky, kz = _indices(lattice, shape, species)
    summed = 2.0 * len(kx) * len(ky) * len(kz)
    reciprocal_cost = points / 2 * _COST_FFT + summed * sum(_COST_SPECIES + _COST_ATOM * len(s.frac) for s in species)
    per_volume = points / abs(np.linalg.det(lattice))
    # The smallest sphere worth a look: one of 3 Å; most calls end here, before any radial table is made
    if reciprocal_cost < _COST_POINT * per_volume * 4 / 3 * np.pi * 3.0**3 * sum(len(s.frac) for s in species):
        return "reciprocal"
    for s in species:
        if np.abs(s.density.form[s.density.q > cutoff]).max(initial=0.0) > RESOLVED * s.density.zval:
            return "reciprocal"
    real_cost = sum(
        _COST_POINT * per_volume * 4 / 3 * np.pi * radial_table(s.density)[2] ** 3 * len(s.frac) for s in species
    )
    return "real" if real_cost < reciprocal_cost else "reciprocal"


def _reciprocal(structure: Structure, shape: Shape, species: list[_Species], total: float) -> NDArray[np.float64]:
    from chgtools.kernels.geometry import FormFactors
    from chgtools.kernels.spectral import add_structure_factors

    nx, ny, nz = shape
    b = reciprocal(structure.lattice)
    meshes = [cubics(s.density.form[: _length(s.density)], s.density.q[1]) for s in species]
    steps = np.array([s.density.q[1] for s in species], dtype=float)
    counts = np.array([len(mesh) for mesh in meshes], dtype=np.int64)
    tables = np.zeros((len(species), max(counts, default=0) + 1, 4))
    for table, mesh in zip(tables, meshes, strict=True):
        table[: len(mesh)] = mesh
    factors = FormFactors(tables, steps, counts)
    kx, ky, kz = _indices(structure.lattice, shape, species)

    along_x, along_y, along_z = [], [], []
    for s in species:
        along_x.append(s.weights[:, None] / structure.volume * np.exp(-2j * np.pi * s.frac[:, :1] * kx))
        angle = 2 * np.pi * ky[:, None] * s.frac[:, 1]
        along_y.append(np.concatenate([np.cos(angle), np.sin(angle)]))
        along_z.append(np.exp(-2j * np.pi * kz[:, None] * s.frac[:, 2])[:, :, None])
    parts = np.empty((len(species), 2 * len(ky), len(kx)), complex)
    work = np.empty((2, len(kx)))
    half = np.zeros((nz, ny, len(kx)), complex)
    metric = b @ b.T
    for plane, index in enumerate(kz):
        for x, y, z, product in zip(along_x, along_y, along_z, parts, strict=True):
            np.matmul(y, (x * z[plane]).view(float), out=product.view(float))
        add_structure_factors(half[index], parts, index, metric, factors, work[0], work[1])
    half[0, 0, 0] = total / structure.volume
    # Lines of ky outside the box are zero: nothing to transform along z
    for rows in (slice(0, len(ky)), slice(ny - len(ky) + 1, ny)):
        np.fft.ifft(half[:, rows], axis=0, norm="forward", out=half[:, rows])
    np.fft.ifft(half, axis=1, norm="forward", out=half)
    return np.fft.irfft(half, n=nx, axis=2, norm="forward").T


def _indices(lattice: NDArray[np.float64], shape: Shape, species: list[_Species]) -> tuple[NDArray[np.int64], ...]:
    """Miller indices kx >= 0, ky >= 0 and kz of the box that holds all form factors, within that of the grid.

    The unbalanced index n/2 of an even axis is left out.
    """
    radius = max((_length(s.density) * s.density.q[1] for s in species), default=0.0)
    limits = largest_indices(lattice, radius)
    kx, ky, kz = (np.arange(min((n + 1) // 2, limit + 1)) for n, limit in zip(shape, limits, strict=True))
    return kx, ky, np.concatenate([kz, -kz[1:]])


def _length(density: AtomicDensity) -> int:
    """Points of the table up to where the form factor stays negligible, at least two."""
    seen = np.flatnonzero(np.abs(density.form) > NEGLIGIBLE * density.zval)
    return min(len(density.form), (int(seen[-1]) if len(seen) else 0) + 2)


def cubics(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """(n - 1, 4) spline of an even function on a uniform mesh: c0 + t(c1 + t(c2 + t c3)), t in [0, 1], by interval."""
    from chgtools.functions.spline import second_derivatives

    values = np.ascontiguousarray(values, dtype=float)
    second = second_derivatives(values, float(step)) * step**2 / 6
    result = np.empty((len(values) - 1, 4))
    result[:, 0] = values[:-1]
    result[:, 1] = np.diff(values) - 2 * second[:-1] - second[1:]
    result[:, 2] = 3 * second[:-1]
    result[:, 3] = np.diff(second)
    return result


def _real(lattice: NDArray[np.float64], shape: Shape, species: list[_Species]) -> NDArray[np.float64]:
    from chgtools.kernels.geometry import Cubics, PointGrid
    from chgtools.kernels.superposition import add_atoms

    sizes = np.asarray(shape, dtype=float)
    vectors = lattice / sizes[:, None]
    spacings = plane_spacings(lattice) / sizes
    result = np.zeros(shape, order="F")
    for s in species:
        table, dr, r_max = radial_table(s.density)
        grid = PointGrid(vectors, vectors @ vectors.T, r_max / spacings)
        add_atoms(result.T, grid, s.frac * sizes, s.weights, Cubics(table, dr, r_max))
    return result


def radial_table(density: AtomicDensity) -> tuple[NDArray[np.float64], float, float]:
    """n(r) as cubics for the real-space sum: ((n_r, 4) in electrons/Å³, step in Å, radius in Å).

    Beyond the radius no more than 1e-7 of the electrons lies; the cubics hold n up to it and one step further.
    """
    n, dr = radial_density(density)
    shells = 4 * np.pi * (dr * np.arange(len(n))) ** 2 * n * dr
    outside = density.zval - np.cumsum(shells) + shells / 2
    beyond = np.flatnonzero(np.abs(outside) > OUTSIDE * density.zval)
    # The nearest point behind the last radius with more outside
    last = min((beyond[-1] if len(beyond) else 0) + 2, len(n) - 2)
    return cubics(n, dr)[: last + 1], dr, float(dr * last)


def radial_density(density: AtomicDensity) -> tuple[NDArray[np.float64], float]:
    """n(r) in electrons/Å³ at r = 0, step, 2 step, ... up to π/q[1], and the step in Å, 0.005 or less.

    n(r) = 1/(2π²r) ∫ q f(q) sin(qr) dq by a sine transform.
    """
    dq = float(density.q[1])
    size = 1 << int(np.ceil(np.log2(max(np.pi / (dq * RADIAL_STEP_ANGSTROM), len(density.q)))))
    dr = np.pi / (size * dq)
    transform = -np.fft.rfft(density.q * density.form, 2 * size).imag[:size]
    n = np.empty(size)
    n[1:] = transform[1:] * dq / (2 * np.pi**2 * dr * np.arange(1, size))
    n[0] = np.sum(density.q**2 * density.form) * dq / (2 * np.pi**2)
    return n, dr
