"""Measures between densities: against NumPy, against closed forms, and on pairs of real files."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from conftest import shared_path

from chgtools.cell import Structure, reciprocal, volume
from chgtools.comparison import compare, coulomb_self_energy, eps_mae, eps_rms
from chgtools.errors import ChgtoolsError, MismatchError
from chgtools.fourier.resampling import resample
from chgtools.kernels.spectral import coulomb_sum, difference_sums
from chgtools.units import COULOMB_EV_ANGSTROM
from chgtools.volumetric import VolumetricData

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
FRAC = np.array([[0.31, 0.94, 0.02], [0.71, 0.28, 0.55]])
MADELUNG_SIMPLE_CUBIC = 2.837297479480620  # point charges in a neutralising background


def field(shape=(6, 5, 8), seed=0):
    return np.asfortranarray(np.random.default_rng(seed).random(shape))


def charge(blocks, lattice=SKEW, frac=FRAC, species=("Si", "O"), kind="CHGCAR", source=""):
    return VolumetricData(kind, Structure(lattice, species, (1, 1), frac), list(blocks), source=source)


def test_figures_of_two_fields():
    a, b = field(seed=1), field(seed=2)
    found = compare(charge([a]), charge([b]))
    assert found.eps_mae_percent == pytest.approx(100 * abs(a - b).sum() / b.sum(), rel=1e-12)
    assert found.eps_rms_percent == pytest.approx(100 * np.sqrt(((a - b) ** 2).sum() / (b**2).sum()), rel=1e-12)
    assert found.max_abs_difference == abs(a - b).max()
    assert found.electrons_a == pytest.approx(a.mean() * volume(SKEW))
    assert found.electrons_b == pytest.approx(b.mean() * volume(SKEW))
    assert found.coulomb_self_energy_mev_per_atom == pytest.approx(500 * coulomb_self_energy(a - b, SKEW))
    assert found.notes == ()
    assert (eps_mae(a, b), eps_rms(a, b)) == (found.eps_mae_percent, found.eps_rms_percent)


def test_a_density_and_itself_differ_by_nothing():
    found = compare(charge([field()]), charge([field()]))
    assert found.eps_mae_percent == found.eps_rms_percent == found.coulomb_self_energy_mev_per_atom == 0.0


def test_json_has_the_documented_keys():
    facts = json.loads(json.dumps(compare(charge([field(seed=1)] * 2), charge([field()] * 2)).as_dict()))
    assert {
        "eps_mae_percent",
        "eps_rms_percent",
        "coulomb_self_energy_mev_per_atom",
        "electrons_a",
        "electrons_b",
        "max_abs_difference",
        "magnetisation_eps_mae_percent",
    } <= set(facts)


def test_magnetisation_blocks_have_their_own_figure():
    a = [field(seed=1), field(seed=2), field(seed=3), np.zeros((6, 5, 8), order="F")]
    b = [field(seed=1), field(seed=3), field(seed=3), np.zeros((6, 5, 8), order="F")]
    found = compare(charge(a), charge(b))
    assert found.eps_mae_percent == 0.0
    assert found.magnetisation_eps_mae_percent == (eps_mae(a[1], b[1]), 0.0, None)


def test_another_grid_is_resampled_and_said():
    b = field((6, 5, 7))
    found = compare(charge([resample(b, (12, 10, 14))]), charge([b]))
    assert found.eps_mae_percent < 1e-12
    assert found.notes == ("A resampled from the grid 12 x 10 x 14 to 6 x 5 x 7",)


def test_single_precision_and_c_order_are_taken():
    a, b = field(seed=1), field(seed=2)
    found = compare(charge([a.astype(np.float32)]), charge([np.ascontiguousarray(b)]))
    assert found.eps_mae_percent == pytest.approx(eps_mae(a, b), rel=1e-6)


def test_moved_atoms_are_a_note_and_periodic_images_are_none():
    moved = FRAC + [[1, -2, 0], [0, 0, 0.01]]
    found = compare(charge([field()], frac=moved), charge([field()]))
    assert len(found.notes) == 1
    assert f"{0.01 * np.linalg.norm(SKEW[2]):.4f} Å (atom 2)" in found.notes[0]
    assert compare(charge([field()], frac=FRAC + [[1, -2, 0], [0, 0, 3]]), charge([field()])).notes == ()


def test_other_blocks_and_kinds_are_notes():
    found = compare(charge([field()], kind="CHG"), charge([field()] * 2))
    assert "A is a CHG, B a CHGCAR" in found.notes
    assert any("1 blocks, B has 2" in note for note in found.notes)
    assert found.magnetisation_eps_mae_percent == ()


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ({"lattice": SKEW * 1.001}, {}, MismatchError, r"differ by up to 0\.0051"),
        ({"species": ("Si", "S")}, {}, MismatchError, r"atom 2 is S in A \(Si1S1\) and O in B \(Si1O1\)"),
        ({"kind": "LOCPOT", "source": "LOCPOT.gz"}, {}, ChgtoolsError, "LOCPOT.gz is a LOCPOT"),
        ({}, {"kind": "ELFCAR"}, ChgtoolsError, "ELFCAR"),
        ({}, {"blocks": [np.zeros((6, 5, 8))]}, MismatchError, "zero everywhere"),
    ],
    ids=["lattice", "species", "potential", "elf", "zero"],
)
def test_refuses(a, b, error, message):
    with pytest.raises(error, match=message):
        compare(charge(**{"blocks": [field()], **a}), charge(**{"blocks": [field()], **b}))


def test_files_of_vasp_4_fit_by_counts():
    assert compare(charge([field()], species=("", "")), charge([field()])).eps_mae_percent == 0.0


def test_bare_arrays_of_other_shapes_are_refused():
    with pytest.raises(MismatchError, match="6 x 5 x 8 and 6 x 5 x 7"):
        eps_mae(field(), field((6, 5, 7)))
    with pytest.raises(MismatchError, match="zero everywhere"):
        eps_rms(field(), np.zeros((6, 5, 8)))


# --- Coulomb self-energy ---------------------------------------------------------------------------------------------


def gaussians(lattice, shape, charges, frac, width):
    """Σ q (πw²)^(-3/2) exp(-r²/w²) over atoms and images."""
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    total = np.zeros(shape)
    for q, centre in zip(charges, frac, strict=True):
        for image in product((-1, 0, 1), repeat=3):
            r2 = (((points - centre - image) @ lattice) ** 2).sum(-1)
            total += q * np.exp(-r2 / width**2) / (np.pi * width**2) ** 1.5
    return total


def test_one_gaussian_in_a_cube():
    # Ewald's split of the point charge at the width of the Gaussian: its images, itself and the background
    length, w, q = 8.0, 0.7, 1.7
    found = coulomb_self_energy(gaussians(length * np.eye(3), (40,) * 3, [q], [[0.1, 0.2, 0.3]], w), length * np.eye(3))
    points, itself = -MADELUNG_SIMPLE_CUBIC / (2 * length), 1 / (w * np.sqrt(2 * np.pi))
    expected = COULOMB_EV_ANGSTROM * q**2 * (points + itself + np.pi * w**2 / length**3)
    assert found == pytest.approx(expected, rel=1e-9)


def test_rocksalt_of_gaussians():
    # Neutral: Madelung's constant 1.747565 for each pair at the nearest distance, and the two self-energies
    a, w = 6.0, 0.5
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    delta = gaussians(a * np.eye(3), (40,) * 3, [1] * 4 + [-1] * 4, np.concatenate([sites, sites + 0.5]), w)
    per_pair = -1.7475645946331822 / (a / 2) + 2 / (w * np.sqrt(2 * np.pi))
    assert coulomb_self_energy(delta, a * np.eye(3)) == pytest.approx(4 * COULOMB_EV_ANGSTROM * per_pair, rel=1e-8)


def test_scaling_constants_and_choice_of_cell():
    delta = field() - 0.5
    energy = coulomb_self_energy(delta, SKEW)
    assert energy > 0
    assert coulomb_self_energy(delta + 3.0, SKEW) == pytest.approx(energy)  # G = 0 is left out
    assert coulomb_self_energy(2 * delta, SKEW) == pytest.approx(4 * energy)
    assert coulomb_self_energy(np.asfortranarray(np.tile(delta, (2, 1, 1))), SKEW * [[2], [1], [1]]) == pytest.approx(
        2 * energy
    )


def energy_in_numpy(delta, lattice):
    """The sum over the whole complex box, n/2 of even axes at positive indices."""
    index = [np.where(np.arange(n) > n // 2, np.arange(n) - n, np.arange(n)) for n in delta.shape]
    g2 = ((np.stack(np.meshgrid(*index, indexing="ij"), -1) @ reciprocal(lattice)) ** 2).sum(-1)
    power = abs(np.fft.fftn(delta, norm="forward")) ** 2
    g2[0, 0, 0] = np.inf
    return 2 * np.pi * COULOMB_EV_ANGSTROM * volume(lattice) * (power / g2).sum()


@pytest.mark.parametrize("shape", [(7, 5, 9), (1, 3, 4), (5, 1, 1), (4, 1, 1)], ids=str)
def test_coulomb_energy_in_numpy(shape):
    delta = field(shape)
    assert coulomb_self_energy(delta, SKEW) == pytest.approx(energy_in_numpy(delta, SKEW), rel=1e-12)


# --- kernels and their twins -----------------------------------------------------------------------------------------


def both(kernel):
    return [kernel, getattr(kernel, "py_func", kernel)]


@pytest.mark.parametrize("call", both(difference_sums), ids=["compiled", "python"])
@pytest.mark.parametrize("size", [0, 1, 4096, 4097])
def test_difference_sums(call, size):
    a, b = np.random.default_rng(0).normal(size=(2, size))
    d = a - b
    expected = [abs(d).sum(), abs(b).sum(), (d**2).sum(), (b**2).sum(), abs(d).max(initial=0.0)]
    np.testing.assert_allclose(call(a, b), expected, rtol=1e-13)


@pytest.mark.parametrize("call", both(coulomb_sum), ids=["compiled", "python"])
@pytest.mark.parametrize("nx", [4, 5, 1])
def test_coulomb_sum(call, nx):
    half = np.fft.rfftn(np.random.default_rng(1).normal(size=(3, 4, nx)), norm="forward")
    b = reciprocal(SKEW)
    expected = 0.0
    for (m, j, i), c in np.ndenumerate(half):
        miller = np.array([i, j if j <= 2 else j - 4, m if m <= 1 else m - 3])
        if miller.any():
            expected += (1 if i == 0 or 2 * i == nx else 2) * abs(c) ** 2 / ((miller @ b) ** 2).sum()
    assert call(half, nx, b @ b.T) == pytest.approx(expected, rel=1e-12)


# --- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "suffix"), [("mp_workshop__Cr1-1", ""), ("nomad-aflow__A2-1", ""), ("bader-rs__Ni1-1", "_spin")]
)
def test_chg_is_its_chgcar_to_the_digits_it_prints(folder, suffix):
    from chgtools.formats import read

    a = read(shared_path("corpus", folder, f"CHG{suffix}.gz"))
    b = read(shared_path("corpus", folder, f"CHGCAR{suffix}.gz"))
    found = compare(a, b)
    assert 0 < found.eps_mae_percent < 1e-2
    assert found.electrons_a == pytest.approx(found.electrons_b, rel=1e-5)
    assert 0 < found.coulomb_self_energy_mev_per_atom < 1e-2
    assert all(value is not None and value < 0.1 for value in found.magnetisation_eps_mae_percent)
