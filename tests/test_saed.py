"""Superposition of atomic densities: against plain sums over images and over G, and the identities it must obey."""

from __future__ import annotations

import importlib.util
from itertools import groupby, product
from math import erfc

import numpy as np
import pytest
from conftest import shared_path

import chgtools
from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure, reciprocal
from chgtools.errors import ChgtoolsError, MismatchError, SettingsError
from chgtools.kernels.geometry import Cubics, FormFactors, PointGrid
from chgtools.kernels.spectral import add_structure_factors
from chgtools.kernels.superposition import add_atoms
from chgtools.start import superposition
from chgtools.start.superposition import (
    choose_method,
    correct_integral,
    cubics,
    radial_table,
    saed_magnetisation,
    superpose,
)
from chgtools.units import BOHR_ANGSTROM

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
WIDTHS = {"Si": 0.8, "O": 0.55}


def density(element, zval, form, q_max=40.0, n_q=1600):
    q = np.arange(n_q) * q_max / n_q
    return AtomicDensity(element, element, zval, q, form(q), "test")


def gaussian(element, zval):
    """n(r) = zval (πw²)^(-3/2) exp(-r²/w²), f(q) = zval exp(-q²w²/4)."""
    width = WIDTHS[element]
    return density(element, zval, lambda q: zval * np.exp(-((q * width) ** 2) / 4))


def slater(element, zval, decay=6.0):
    """n(r) ~ exp(-decay r), f(q) = zval / (1 + (q/decay)²)²: not resolved by any grid."""
    return density(element, zval, lambda q: zval / (1 + (q / decay) ** 2) ** 2, n_q=1200)


SI, OX = gaussian("Si", 4.0), gaussian("O", 6.0)
SHARP = slater("O", 6.0)
# Atoms of slow decay in q have a wide tail in r, so the real-space sum is tried on smooth ones
ATOMS = {"reciprocal": (SI, SHARP), "real": (SI, OX)}
FRAC = [[0.31, 0.94, 0.02], [0.71, 0.28, 0.55], [-0.2, 1.4, 0.8]]


def structure(lattice=SKEW, frac=FRAC, counts=(1, 2), species=("Si", "O")):
    return Structure(lattice, species, counts, frac)


def electrons(values, cell):
    return values.mean() * cell.volume


def points(shape):
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)


def sum_over_images(cell, shape, densities, reach=3):
    """Gaussian atoms added image by image, in plain NumPy."""
    total = np.zeros(shape)
    for frac, group in zip(cell.frac % 1.0, cell.group_of_atom, strict=True):
        atom = densities[group]
        w2 = WIDTHS[atom.element] ** 2
        for image in product(range(-reach, reach + 1), repeat=3):
            r2 = (((points(shape) - frac - image) @ cell.lattice) ** 2).sum(-1)
            total += atom.zval * np.exp(-r2 / w2) / (np.pi * w2) ** 1.5
    return total


def sum_over_g(cell, shape, densities, weights=None):
    """The reciprocal sum over the whole complex box, atom by atom, with linear algebra of NumPy only."""
    index = [np.fft.fftfreq(n, 1 / n) for n in shape]
    miller = np.stack(np.meshgrid(*index, indexing="ij"), -1)
    q = np.linalg.norm(miller @ reciprocal(cell.lattice), axis=-1)
    balanced = np.all([(2 * abs(miller[..., i]) != n) for i, n in enumerate(shape)], axis=0)
    total = np.zeros(shape, complex)
    for atom, (frac, group) in enumerate(zip(cell.frac, cell.group_of_atom, strict=True)):
        form = exact_form(densities[group], q)
        total += (1 if weights is None else weights[atom]) * form * np.exp(-2j * np.pi * miller @ frac)
    return np.fft.ifftn(total * balanced / cell.volume, norm="forward")


def exact_form(atom, q):
    from scipy.interpolate import CubicSpline

    spline = CubicSpline(atom.q, atom.form, bc_type=((1, 0.0), (2, 0.0)))
    return np.where(q < atom.q[-1], spline(np.minimum(q, atom.q[-1])), 0.0)


SHAPES = [(16, 15, 20), (12, 12, 12), (9, 7, 11), (2, 4, 6), (1, 1, 24), (1, 5, 2)]


@pytest.mark.parametrize("atoms", [(SI, OX), (SI, SHARP)], ids=["smooth", "sharp"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reciprocal_is_the_plain_sum_over_the_box(shape, atoms):
    expected = sum_over_g(structure(), shape, atoms)
    assert abs(expected.imag).max() < 1e-13
    found = superpose(structure(), shape, atoms, method="reciprocal")
    assert found.flags.f_contiguous
    np.testing.assert_allclose(found, expected.real, atol=5e-10)


@pytest.mark.parametrize("method", ["reciprocal", "real", "auto"])
def test_smooth_atoms_are_the_sum_over_images(method):
    found = superpose(structure(), (32, 30, 40), (SI, OX), method=method)
    np.testing.assert_allclose(found, sum_over_images(structure(), (32, 30, 40), (SI, OX)), atol=5e-7)


@pytest.mark.parametrize("method", ["reciprocal", "real"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_charge_is_exact(shape, method):
    found = superpose(structure(), shape, ATOMS[method], method=method)
    assert electrons(found, structure()) == pytest.approx(16.0, rel=1e-12)


CELLS = {
    "triclinic": SKEW,
    "left-handed": SKEW * [1, 1, -1],
    "tiny": np.array([[2.0, 0.0, 0.0], [0.6, 1.9, 0.0], [0.3, -0.5, 2.1]]),
    "slab": np.diag([2.9, 2.9, 24.0]),
    "needle": np.array([[2.5, 0.0, 0.0], [1.2, 2.2, 0.0], [6.0, 5.0, 9.0]]),
}


def grid_for(lattice, spacing=0.12):
    return tuple(int(np.ceil(np.linalg.norm(a) / spacing)) for a in lattice)


@pytest.mark.parametrize("lattice", CELLS.values(), ids=CELLS)
def test_both_kernels_agree_where_the_grid_resolves_the_atoms(lattice):
    cell, shape = structure(lattice), grid_for(lattice)
    reciprocal_sum = superpose(cell, shape, (SI, OX), method="reciprocal")
    real_sum = superposition._real(cell.lattice, shape, superposition._species(cell, (SI, OX), np.ones(3)))
    assert correct_integral(real_sum, cell.volume, 16.0) == pytest.approx(1.0, abs=1e-4)
    error = 100 * abs(real_sum - reciprocal_sum).sum() / reciprocal_sum.sum()
    assert error < 2e-4  # percent
    assert reciprocal_sum.min() > -1e-9


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_a_shift_by_a_grid_vector_rolls_the_array(method):
    shape = (16, 15, 20)
    before = superpose(structure(), shape, (SI, OX), method=method)
    moved = structure(frac=np.array(FRAC) + np.array([3, -4, 7]) / shape)
    np.testing.assert_allclose(
        superpose(moved, shape, (SI, OX), method=method), np.roll(before, (3, -4, 7), (0, 1, 2)), atol=1e-12
    )


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_a_shift_by_a_lattice_vector_changes_nothing(method):
    moved = structure(frac=np.array(FRAC) + [[1, 0, -2], [0, 3, 0], [-1, -1, 5]])
    np.testing.assert_allclose(
        superpose(moved, (16, 15, 20), ATOMS[method], method=method),
        superpose(structure(), (16, 15, 20), ATOMS[method], method=method),
        atol=1e-11,
    )


@pytest.mark.parametrize("method", ["reciprocal", "real"])
@pytest.mark.parametrize("times", [(2, 1, 1), (1, 3, 2)], ids=str)
def test_a_supercell_repeats_the_cell(method, times):
    shape = (15, 12, 16)
    images = np.array(list(product(*(range(n) for n in times))))
    frac = (np.array(FRAC)[:, None] + images).reshape(-1, 3) / times
    big = structure(SKEW * np.array(times)[:, None], frac, (len(images), 2 * len(images)))
    found = superpose(big, np.multiply(shape, times), ATOMS[method], method=method)
    np.testing.assert_allclose(
        found, np.tile(superpose(structure(), shape, ATOMS[method], method=method), times), atol=2e-6
    )


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_another_choice_of_cell_vectors_gives_the_same_field(method):
    change = np.array([[1, 1, 0], [0, 1, -1], [0, 0, 1]])
    n = 40
    other = structure(change @ SKEW, np.array(FRAC) @ np.linalg.inv(change))
    before = superpose(structure(), (n, n, n), (SI, OX), method=method)
    after = superpose(other, (n, n, n), (SI, OX), method=method)
    index = np.stack(np.meshgrid(*3 * [np.arange(n)], indexing="ij"), -1) @ change % n  # the old index of a new point
    np.testing.assert_allclose(after, before[tuple(np.moveaxis(index, -1, 0))], atol=1e-6)


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_rotation_and_reflection_change_nothing(method):
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    before = superpose(structure(), (16, 15, 20), ATOMS[method], method=method)
    for turn in (rotation, -rotation):
        np.testing.assert_allclose(
            superpose(structure(SKEW @ turn), (16, 15, 20), ATOMS[method], method=method), before, atol=1e-10
        )


def test_groups_of_the_same_density_are_one_and_order_does_not_matter():
    split = structure(frac=[FRAC[1], FRAC[0], FRAC[2]], counts=(1, 1, 1), species=("O", "Si", "O"))
    np.testing.assert_allclose(
        superpose(split, (9, 8, 10), (SHARP, SI, slater("O", 6.0))),
        superpose(structure(), (9, 8, 10), (SI, SHARP)),
        atol=1e-13,
    )


def test_nothing_beyond_the_table():
    # A form factor that is cut while it is large: only G = 0 and |G| < 3/Å are left
    cut = AtomicDensity("O", "O", 6.0, SHARP.q[:120], SHARP.form[:120], "test")
    cell = structure(frac=[[0.2, 0.3, 0.4]], counts=(1,), species=("O",))
    found = np.fft.fftn(superpose(cell, (15, 15, 15), (cut,), method="reciprocal"), norm="forward")
    miller = np.stack(np.meshgrid(*3 * [np.fft.fftfreq(15, 1 / 15)], indexing="ij"), -1)
    q = np.linalg.norm(miller @ reciprocal(SKEW), axis=-1)
    assert abs(found[q > cut.q[-1]]).max() < 1e-14
    assert abs(found[q < cut.q[-1]]).min() > 1e-3


# --- magnetisation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_magnetisation_is_the_scaled_atoms(method):
    moments = [1.2, -0.5, 0.0]
    found = saed_magnetisation(structure(), (32, 30, 40), (SI, OX), moments, method=method)
    expected = sum_over_g(structure(), (32, 30, 40), (SI, OX), np.array(moments) / [4.0, 6.0, 6.0])
    np.testing.assert_allclose(found, expected.real, atol=1e-6)
    assert electrons(found, structure()) == pytest.approx(0.7, abs=1e-12)


@pytest.mark.parametrize("method", ["reciprocal", "real"])
def test_an_antiferromagnet_adds_up_to_nothing(method):
    found = saed_magnetisation(structure(), (16, 15, 20), (SI, OX), [0.0, 2.0, -2.0], method=method)
    assert abs(electrons(found, structure())) < 1e-12
    assert abs(found).max() > 0.1


def test_zero_moments_and_moments_of_zval():
    assert not saed_magnetisation(structure(), (8, 8, 8), (SI, OX), np.zeros(3)).any()
    full = saed_magnetisation(structure(), (8, 8, 8), (SI, OX), [4.0, 6.0, 6.0])
    np.testing.assert_allclose(full, superpose(structure(), (8, 8, 8), (SI, OX)), atol=1e-13)


def test_non_collinear_moments_give_three_fields():
    moments = np.array([[1.0, 0.0, -1.0], [0.0, 0.5, 0.3], [0.2, 0.0, 0.1]])
    fields = saed_magnetisation(structure(), (8, 9, 10), (SI, OX), moments)
    assert len(fields) == 3
    for values, component in zip(fields, moments.T, strict=True):
        np.testing.assert_array_equal(values, saed_magnetisation(structure(), (8, 9, 10), (SI, OX), component))


# --- kernels and their twins -----------------------------------------------------------------------------------------


def both(kernel):
    """The compiled kernel and its Python source (the same when compilation is switched off)."""
    return [kernel, getattr(kernel, "py_func", kernel)]


@pytest.mark.parametrize("call", both(add_structure_factors), ids=["compiled", "python"])
@pytest.mark.parametrize(("ny", "nx"), [(5, 7), (4, 6), (1, 1), (2, 2)])
def test_plane_of_coefficients(call, ny, nx):
    rng = np.random.default_rng(2)
    b = reciprocal(SKEW)
    kz, steps, counts = -2, np.array([0.11, 0.2]), np.array([90, 40])
    tables = np.zeros((2, 91, 4))
    tables[0, :90], tables[1, :40] = rng.normal(size=(90, 4)), rng.normal(size=(40, 4))
    ky_count, kx_count = (ny + 1) // 2, (nx + 1) // 2
    parts = rng.normal(size=(2, 2 * ky_count, kx_count)) + 1j * rng.normal(size=(2, 2 * ky_count, kx_count))
    plane = np.ones((ny, nx // 2 + 1), complex)
    call(plane, parts, kz, b @ b.T, FormFactors(tables, steps, counts), *np.empty((2, kx_count)))
    expected = np.ones_like(plane)
    for s, i, ky in product(range(2), range(kx_count), range(1 - ky_count, ky_count)):
        x = np.linalg.norm([i, ky, kz] @ b) / steps[s]
        if x < counts[s]:
            even, odd = parts[s, abs(ky), i], parts[s, ky_count + abs(ky), i]
            f = (tables[s, int(x)] * (x % 1) ** np.arange(4)).sum()
            expected[ky, i] += f * (even - np.sign(ky + 0.5) * 1j * odd)
    np.testing.assert_allclose(plane, expected, atol=1e-13)


def test_cubics_are_the_clamped_spline():
    from scipy.interpolate import CubicSpline

    values = np.random.default_rng(5).normal(size=20)
    spline = CubicSpline(np.arange(20) * 0.3, values, bc_type=((1, 0.0), (2, 0.0)))
    for t in (0.0, 0.37, 1.0):
        found = (cubics(values, 0.3) * t ** np.arange(4)).sum(-1)
        np.testing.assert_allclose(found, spline((np.arange(19) + t) * 0.3), atol=1e-13)


@pytest.mark.parametrize("call", both(add_atoms), ids=["compiled", "python"])
@pytest.mark.parametrize("shape", [(6, 5, 7), (1, 4, 9), (2, 2, 2)], ids=str)
def test_real_space_kernel(call, shape):
    r_max, dr = 2.7, 0.05
    cubics = np.random.default_rng(4).normal(size=(60, 4))
    sizes = np.array(shape)
    vectors = SKEW / sizes[:, None]
    reach = r_max * np.linalg.norm(reciprocal(SKEW), axis=1) * sizes / (2 * np.pi)
    found = np.zeros(shape, order="F")
    frac, weights = np.array([[0.31, 0.94, 0.02], [0.0, 0.0, 0.0]]), np.array([1.0, -0.3])
    call(found.T, PointGrid(vectors, vectors @ vectors.T, reach), frac * sizes, weights, Cubics(cubics, dr, r_max))
    expected = np.zeros(shape)
    for centre, weight in zip(frac, weights, strict=True):
        for image in product(range(-2, 3), repeat=3):
            r = np.linalg.norm((points(shape) - centre - image) @ SKEW, axis=-1)
            n, t = (r / dr).astype(int), r / dr % 1
            c = cubics[np.minimum(n, 59)]
            expected += weight * np.where(r < r_max, (c * t[..., None] ** np.arange(4)).sum(-1), 0.0)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_radial_table_is_the_gaussian():
    table, dr, r_max = radial_table(SI)
    n = np.arange(len(table))
    w = WIDTHS["Si"]
    for t in (0.0, 0.4):
        exact = 4.0 * np.exp(-(((n + t) * dr / w) ** 2)) / (np.pi * w * w) ** 1.5
        np.testing.assert_allclose((table * t ** np.arange(4)).sum(-1), exact, atol=2e-9)
    assert len(table) > r_max / dr
    # erfc(r/w) + 2r/(w√π) exp(-r²/w²) of a Gaussian lies outside
    x = r_max / w
    outside = erfc(x) + 2 * x / np.sqrt(np.pi) * np.exp(-(x**2))
    assert outside == pytest.approx(1e-7, rel=0.1)


# --- choice and refusal ----------------------------------------------------------------------------------------------


def chosen(lattice, shape, atoms, n_atoms):
    frac = np.random.default_rng(0).random((n_atoms, 3))
    cell = structure(lattice, frac, (n_atoms // 2, n_atoms - n_atoms // 2))
    return choose_method(cell.lattice, shape, superposition._species(cell, atoms, np.ones(n_atoms)))


def test_auto_takes_real_space_for_large_cells_of_resolved_atoms_only():
    assert chosen(40 * np.eye(3), (320,) * 3, (SI, OX), 500) == "real"
    assert chosen(40 * np.eye(3), (320,) * 3, (SI, SHARP), 500) == "reciprocal"  # aliased otherwise
    assert chosen(40 * np.eye(3), (60,) * 3, (SI, OX), 500) == "reciprocal"
    assert chosen(6 * np.eye(3), (60,) * 3, (SI, OX), 8) == "reciprocal"  # cheaper


def test_refuses_what_does_not_fit():
    with pytest.raises(MismatchError, match=r"1 densities for 2 groups of atoms \(Si1O2\)"):
        superpose(structure(), (8, 8, 8), (SI,))
    with pytest.raises(MismatchError, match="3 densities for 2 groups"):
        saed_magnetisation(structure(), (8, 8, 8), (SI, OX, OX), [1.0, 2.0, 0.0])
    with pytest.raises(SettingsError, match="'fourier'; wanted one of auto"):
        superpose(structure(), (8, 8, 8), (SI, OX), method="fourier")
    with pytest.raises(ChgtoolsError, match=r"\(8, 0, 8\)"):
        superpose(structure(), (8, 0, 8), (SI, OX))
    with pytest.raises(MismatchError, match=r"\(2,\); 3 atoms"):
        saed_magnetisation(structure(), (8, 8, 8), (SI, OX), [1.0, 2.0])
    with pytest.raises(MismatchError, match="atom 2 is not"):
        saed_magnetisation(structure(), (8, 8, 8), (SI, OX), [1.0, np.nan, 2.0])
    with pytest.raises(ChgtoolsError, match="no volume"):
        superpose(structure(np.ones((3, 3))), (8, 8, 8), (SI, OX))
    with pytest.raises(ChgtoolsError, match="not finite"):
        superpose(structure(frac=[[0, 0, np.nan], [0, 0, 0], [0, 0, 0]]), (8, 8, 8), (SI, OX))


def test_takes_a_pymatgen_structure():
    from pymatgen.core import Structure as PymatgenStructure

    cell = PymatgenStructure(SKEW, ["Si", "O", "O"], FRAC)
    np.testing.assert_allclose(
        chgtools.saed(cell, (8, 8, 8), (SI, OX)), superpose(structure(), (8, 8, 8), (SI, OX)), atol=1e-13
    )


# --- real structures and tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("store", "number"), [("crystals", 5), ("compounds", 40), ("si", 10)])
def test_independent_program_on_a_real_structure(store, number):
    import h5py

    from chgtools.formats.upf import read_upf

    path = shared_path("dft", "tools", "density.py")
    spec = importlib.util.spec_from_file_location("shared_density", path)
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    with h5py.File(shared_path("dft", f"{store}.h5")) as file:
        entry = other.load(file[sorted(file)[number]])
    names, counts = zip(*((name, len(list(group))) for name, group in groupby(entry["species"])), strict=True)
    cell = Structure(entry["lattice"], names, counts, entry["fractional"])
    densities = [read_upf(shared_path("dft", "upf", f"{name}.upf.gz")) for name in names]
    found = superpose(cell, entry["shape"], densities)
    # Its grids stop at the largest sphere in the box of G, which costs up to 0.02 %
    expected = other.grids(entry, other.Atoms(shared_path("dft", "upf")))[0] / BOHR_ANGSTROM**3
    assert 100 * abs(found - expected).sum() / expected.sum() < 0.02
    total = sum(density.zval * count for density, count in zip(densities, counts, strict=True))
    assert electrons(found, cell) == pytest.approx(total, rel=1e-12)
