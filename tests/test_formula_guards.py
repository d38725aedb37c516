"""Formulas of one line, each against numbers worked out by hand: where a wrong factor would change results quietly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fields import SKEW, density
from small_entries import BASIS, SALT, entry_of, random_coefficients

from chgtools.cell import Structure
from chgtools.check import check_file
from chgtools.errors import SettingsError
from chgtools.formats import chgcar
from chgtools.fourier.basis import expand
from chgtools.fourier.phases import phases, structure_factors
from chgtools.fourier.resampling import inscribed_cutoff
from chgtools.models.descriptors import NAMES, properties
from chgtools.models.label_reading import LabelReading
from chgtools.models.model import Estimate
from chgtools.stores.entry import Entry
from chgtools.training.calibration import DAMPINGS, FEWEST, Observation, calibrate
from chgtools.training.evaluation import Row, evaluate_entry, magnetic_summary, occupancies_summary, summary
from chgtools.training.spins import start_directions


def test_the_sphere_of_waves_that_a_grid_holds():
    """Up to n/2 waves along each axis: |G| <= (n/2) 2π/|a| there, the least of the three."""
    lattice = np.diag([4.0, 5.0, 6.0])
    assert inscribed_cutoff(lattice, (20, 20, 30)) == pytest.approx(np.pi * 20 / 5.0)
    length = np.linalg.norm(SKEW, axis=1)
    assert inscribed_cutoff(SKEW, (10, 30, 40)) == pytest.approx(np.pi * 10 / length[0])


def test_phases_of_atoms_are_added_group_by_group():
    """Σ_a exp(-iG·R_a), with Cartesian G and R; groups of two and of one atom."""
    frac = np.array([[0.1, 0.2, 0.3], [0.45, 0.9, 0.05], [0.7, 0.33, 0.8]])
    structure = Structure(SKEW, ("O", "Ti"), (2, 1), frac)
    miller = np.array([[1, 0, 0], [0, 2, -1], [3, -2, 1]])
    g = miller @ (2 * np.pi * np.linalg.inv(SKEW).T)
    each = np.exp(-1j * (g @ (frac @ SKEW).T))
    np.testing.assert_allclose(phases(miller, frac), each, atol=1e-12)
    oxygen, titanium = structure_factors(miller, structure)
    np.testing.assert_allclose(oxygen, each[:, 0] + each[:, 1], atol=1e-12)
    np.testing.assert_allclose(titanium, each[:, 2], atol=1e-12)


def row(error, **changes):
    values = {"name": "x", "kind": "a", "formula": "Si", "elements": ("Si",), "atoms": 1, "eps_mae": error,
              "eps_mae_saed": 5.0, "eps_rms": 1.0, "eps_rms_saed": 2.0, "coulomb": 3.0, "coulomb_saed": 4.0, "minimum": 0.0,
              "expected": 1.0, "damping": 1.0, "unseen": ()}  # fmt: skip
    return Row(**(values | changes))


def test_the_summary_of_rows_is_counted_by_hand():
    """Errors 1, 2, 3, 10: mean 4, median 2.5, 95th percentile 3 + 0.85 · 7, one of four worse than its SAED."""
    rows = [row(1.0), row(2.0, coulomb=7.0), row(3.0, kind="b", elements=("O", "Si")), row(10.0, eps_mae_saed=9.0)]
    table = summary(rows)
    first = table["kinds"][0]
    assert (first["name"], first["structures"], first["better_percent"]) == ("all", 4, 75.0)
    numbers = [first[key] for key in ("mean", "median", "p95", "largest", "saed_mean", "coulomb_mean")]
    assert numbers == pytest.approx([4.0, 2.5, 8.95, 10.0, 6.0, 4.0])
    assert [(line["name"], line["structures"]) for line in table["kinds"][1:]] == [("a", 3), ("b", 1)]
    assert [(line["name"], line["structures"], line["mean"]) for line in table["elements"]] == [
        ("O", 1, 3.0),
        ("Si", 4, 4.0),
    ]


def test_the_summary_of_moments_adds_sizes_of_errors():
    """Moments off by +0.4 and -0.2: 0.3 on average, not 0.1."""
    rows = [
        row(1.0, magnetisation=2.0, magnetisation_none=10.0, moment=2.4, moment_ref=2.0, moment_error=0.4),
        row(1.0, magnetisation=4.0, magnetisation_none=20.0, moment=0.8, moment_ref=1.0, moment_error=0.2),
        row(1.0),
    ]
    found = magnetic_summary(rows)
    assert found == pytest.approx(
        {
            "structures": 2,
            "mean": 3.0,
            "none_mean": 15.0,
            "moment_mae": 0.3,
            "moment_near_percent": 50.0,
            "moment_mean": 1.5,
        }
    )
    assert magnetic_summary(rows[2:]) is None
    known = [
        row(1.0, occupancies=5.0, occupancies_mean=20.0),
        row(1.0, occupancies=15.0, occupancies_mean=10.0),
        row(1.0),
    ]
    assert occupancies_summary(known) == pytest.approx({"structures": 2, "mean": 10.0, "labels_mean": 15.0})


def test_the_error_of_a_non_collinear_magnetisation_is_the_length_of_the_vector():
    """∫|m - m_ref| with the length at each point, and the length of the vector of moments."""
    spins = np.zeros((3, 2, BASIS.n_lm, BASIS.n_max))
    spins[:, 0, 0, 0] = 0.3, 0.0, 0.4
    start = {"start_moments": np.array([[0.6, 0.0], [0.0, 0.0], [0.8, 0.0]])}
    entry = entry_of(SALT, random_coefficients(1), 18.7, spins=spins, facts=start)

    class Nothing:
        basis, target, name = BASIS, "dcd", "nothing"

        def predict(self, structure, total=0.0, directions=None):
            return Estimate(0 * spins[0], 1.0, np.zeros(2), 1.0, (), 1.0, 1.0, 0.5 * spins)

    found = evaluate_entry(Nothing(), entry)
    along = expand(SALT, spins[2] / 0.8, BASIS, entry.shape)  # 0.5 of a vector (0.3, 0, 0.4)
    percent = 100 * np.abs(along).mean() * SALT.volume / 14.0
    assert found.magnetisation_none == pytest.approx(percent, rel=2e-3)
    assert found.magnetisation == pytest.approx(percent / 2, rel=2e-3)
    assert found.moment_ref == pytest.approx(abs(along.mean()) * SALT.volume, rel=1e-6)
    assert found.moment == pytest.approx(found.moment_ref / 2, rel=1e-9)
    assert found.moment_error == pytest.approx(found.moment_ref / 2, rel=1e-9)


def test_damping_is_the_largest_that_costs_no_more_than_a_hundredth():
    """By hand: the mean error and the number of worse structures of each choice, from the formula of the damping."""
    rng = np.random.default_rng(2)
    factors = np.linspace(0, 1, 6)
    observations = []
    for _ in range(24):
        spread, norm, saed = np.exp(rng.uniform(-2, 1.5)), rng.uniform(4, 9), rng.uniform(3, 6)
        error = 2.0 * spread * np.exp(0.5 * rng.normal())
        curve = np.sqrt((saed * (1 - factors)) ** 2 + (error * factors) ** 2)
        observations.append(Observation(spread, norm, saed, factors, curve))
    trust = calibrate(observations)
    size = np.median([o.saed_error / o.norm for o in observations])
    table = []
    for damping in DAMPINGS:
        errors, worse = [], 0
        for o in observations:
            error = damping * np.exp(trust.offset) * o.spread**trust.slope
            d = size * o.norm
            errors.append(np.interp(1.0 if error == 0 else d**2 / (d**2 + error**2), factors, o.errors))
            worse += errors[-1] > o.saed_error
        table.append((float(np.mean(errors)), worse))

    def chosen(factor):
        cheap = [i for i, (mean, _) in enumerate(table) if mean <= factor * min(m for m, _ in table)]
        fewest = min(table[i][1] for i in cheap)
        return DAMPINGS[max(i for i in cheap if table[i][1] == fewest)]

    assert trust.damping == chosen(1.01)
    assert len({chosen(factor) for factor in (1.0, 1.01, 1.1)}) == 3  # so the bound decides, from both sides
    with pytest.raises(SettingsError, match=f"wanted {FEWEST} or more"):
        calibrate(observations[: FEWEST - 1])


def test_properties_of_elements_are_those_of_the_tables():
    """Silicon 3s2 3p2: two of six places in its p shell are taken; titanium 3d2 4s2; fluorine lacks one electron."""
    centre = {"period": (4.0, 1.3), "s": (1.6, 0.5), "p": (1.5, 2.0), "d": (3.0, 4.0), "electronegativity": (1.8, 0.7),
              "empty_p": (1.5, 2.0), "empty_d": (2.0, 3.0), "ionization_energy": (8.0, 2.5)}  # fmt: skip
    known = {
        "Si": {"period": 3, "s": 2, "p": 2, "d": 0, "electronegativity": 1.90, "empty_p": 4, "empty_d": 0},
        "Ti": {"period": 4, "s": 2, "p": 0, "d": 2, "electronegativity": 1.54, "empty_p": 0, "empty_d": 8},
        "F": {"period": 2, "s": 2, "p": 5, "d": 0, "electronegativity": 3.98, "empty_p": 1, "empty_d": 0},
    }
    for values, wanted in zip(properties(tuple(known)), known.values(), strict=True):
        for name, number in wanted.items():
            middle, width = centre[name]
            assert values[NAMES.index(name)] * width + middle == pytest.approx(number, abs=1e-9), name


def test_a_learned_record_is_the_mean_over_members_of_readings_of_features():
    """R(a, b, L, M) = mean + Σ_f w_f x_f,LM, member by member, for projectors s and p: groups ss0, sp1, pp0, pp2."""
    rng = np.random.default_rng(0)
    occupancies = np.array([[1.8, 0.1], [0.1, 2.3]])
    features = {big_l: rng.normal(size=(2, 4, 2 * big_l + 1)) for big_l in (0, 1, 2)}
    weights = {0: rng.normal(size=(2, 4, 2)), 1: rng.normal(size=(2, 4, 1)), 2: rng.normal(size=(2, 4, 1))}
    found = LabelReading((0, 1), occupancies, weights, 10).record(features)

    def read(big_l, group):
        parts = [weights[big_l][k, :, group] @ features[big_l][k] for k in (0, 1)]
        return (parts[0] + parts[1]) / 2

    y00 = 0.28209479177387814
    wanted = [1.8 * y00 + read(0, 0), read(1, 0), 2.3 * y00 + read(0, 1), read(2, 0)]
    np.testing.assert_allclose(found, np.concatenate(wanted), atol=1e-12)


def test_old_stores_have_a_moment_up_on_each_magnetic_atom():
    """Cr, Mn, Fe, Co and Ni, and no other, where a store does not say how its runs started."""
    names = ("Cr", "Mn", "Fe", "Co", "Ni", "Cu", "O")
    structure = Structure(4 * SKEW, names, (1,) * 7, np.random.default_rng(0).random((7, 3)))
    none = np.zeros((1, 0), complex)
    entry = Entry("x", structure, (8, 8, 8), 1.0, np.zeros((0, 3), int), none[0], magnetisation=none)
    assert start_directions(entry).ravel().tolist() == [1, 1, 1, 1, 1, 0, 0]
    vectors = start_directions(replace(entry, magnetisation=np.zeros((3, 0), complex)))
    assert vectors.tolist() == [[0, 0, 1]] * 5 + [[0, 0, 0]] * 2


@pytest.mark.parametrize("fine", [(6, 6, 8), (4, 6, 8), (6, 4, 8), (8, 6, 10), (12, 12, 16)])
def test_check_tells_of_a_grid_that_is_coarser_or_finer_than_the_runs(tmp_path, fine):
    """VASP reads a CHGCAR of its own grid alone, whichever of the two is larger."""
    chgcar.write(density((6, 6, 8)), tmp_path / "CHGCAR")
    tags = "".join(f"NG{axis}F = {n}\n" for axis, n in zip("XYZ", fine, strict=True))
    (tmp_path / "INCAR").write_text(f"ICHARG = 11\nENCUT = 100\n{tags}")
    codes = [finding.code for finding in check_file(tmp_path / "CHGCAR").findings]
    assert ("grid" in codes) == (fine != (6, 6, 8))
