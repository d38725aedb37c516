"""What the shipped weights predict, number by number: coefficients of made-up structures, errors on stored ones.

Symmetries and round trips hold for wrong formulas too (a message divided by 3 in place of 4 turns with the atoms as
well). These numbers do not: they are those of the weights as they were trained. ``tests/golden/remake.py`` remakes the
first kind; the second kind stands below and comes from ``evaluate_entry``.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from golden.remake import FILE, SCALARS, cases, estimate_of, first_weights
from small_entries import BASIS, SALT, entry_of, random_coefficients

from chgtools.cli import main
from chgtools.comparison import compare
from chgtools.fourier.basis import expand
from chgtools.libraries.choice import Source, choose
from chgtools.models.model import Estimate
from chgtools.models.weights import load_model
from chgtools.start.superposition import superpose
from chgtools.stores.store import Store, writable, write_entry
from chgtools.training.evaluation import evaluate_entry
from chgtools.training.reference import from_ground_state
from chgtools.training.spins import start_directions
from chgtools.volumetric import VolumetricData

DATA = Path(__file__).resolve().parents[1] / "benchmarks" / "data"
NAMES = sorted(cases())
RTOL = {False: 1e-5, True: 1e-4}  # with a prior: its charges are converged to a thousandth of an electron


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


@cache
def predicted(name):
    return estimate_of(name)


def near(found, wanted, rtol=1e-5):
    """Equal to ``rtol`` of each number, or to a millionth of the largest, which is what is zero by symmetry."""
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_are_those_of_the_weights(name):
    near(predicted(name).coefficients, golden()[f"{name}.coefficients"], RTOL["prior" in name])


@pytest.mark.parametrize("name", NAMES)
def test_trust_is_that_of_the_weights(name):
    found = [getattr(predicted(name), field) for field in SCALARS]
    rtol = RTOL["prior" in name]
    np.testing.assert_allclose(found, golden()[f"{name}.scalars"], rtol=rtol)
    near(predicted(name).atom_spread, golden()[f"{name}.atom_spread"], rtol)


@pytest.mark.parametrize(
    "name", ["magnetic", "noncollinear", "first_prior_magnetic", "second_prior_magnetic", "prior_magnetic"]
)
def test_magnetisation_is_that_of_the_weights(name):
    wanted = golden()[f"{name}.magnetisation"]
    assert np.abs(wanted).max() > 0.1
    near(predicted(name).magnetisation, wanted, RTOL["prior" in name])


def test_the_structures_without_moments_have_no_magnetisation():
    kept = {key.split(".")[0] for key in golden() if key.endswith(".magnetisation")}
    assert kept == {"magnetic", "noncollinear", "first_prior_magnetic", "second_prior_magnetic", "prior_magnetic"}
    assert predicted("oxide").magnetisation is None


# weights, store, entry; in percent ε_mae, ε_mae of the SAED, ε_rms; meV/atom; expected ε_mae; smallest e/Å³
STORED = [
    ("si", "silicon_304.h5", "Si7-vacancy-s304n4", (1.506416, 12.25628, 1.574186, 3.012084, 0.845681, 0.01467805)),
    ("si", "silicon_201.h5", "Si1-sc-s201n14", (0.1609287, 7.101366, 0.1979342, 0.0301046, 0.3163101, 0.07804744)),
    ("si", "silicon_302.h5", "Si3-random-s302n25", (1.197244, 9.156756, 1.360931, 1.678889, 0.8747571, 0.02258132)),
    ("base", "beyond_501.h5", "VO-rattled-distorted-s501n34", (1.329092, 6.887542, 1.619866, 11.27077, 1.750774, 0.08642611)),
    ("base", "compounds_403.h5", "NbO-CsCl-s403n5", (0.7165772, 5.564437, 0.8215898, 3.292941, 1.66492, 0.1735829)),
    ("base", "compounds_405.h5", "Fe-fcc-s405n105", (0.622541, 1.355256, 0.59268, 5.242191, 1.293568, 0.1814018)),
    ("base", "molecules_201.h5", "H2-H2-s201n22", (1.027269, 33.76555, 0.499564, 0.0513224, 5.325027, -7.999072e-05)),
    ("base", "crystals_201.h5", "Cu3Au-aflow246-s201n1", (0.3471352, 2.831278, 0.2248994, 2.016337, 0.7382259, 0.1152615)),
]  # fmt: skip
# ∫|m - m_ref|, ∫|m_ref| in percent of the electrons; moments in μ_B
IRON = (1.816044, 16.17671, 2.423258, 2.45567)


def stored(store, name):
    path = DATA / store
    if not path.exists():
        pytest.skip(f"needs benchmarks/data/{store}, which this checkout lacks")
    return from_ground_state(Store.open(path)[name])


# the same of the shipped weights, which have learned the two compounds
SHIPPED = [
    ("si", "silicon_304.h5", "Si7-vacancy-s304n4", (1.001768, 12.25628, 1.167961, 1.865115, 0.758544, 0.01509056)),
    ("base", "compounds_411.h5", "CdS-CsCl-s411n265", (0.2022574, 2.965927, 0.1806445, 0.4672449, 0.305367, 0.0969114)),
    ("base", "compounds_411.h5", "BaHf-L1_0-s411n256", (0.4604464, 3.49818, 0.4076477, 0.8269999, 0.5900818, 0.06116041)),
]  # fmt: skip


@pytest.mark.parametrize(("weights", "store", "name", "numbers"), SHIPPED, ids=[row[2] for row in SHIPPED])
def test_errors_of_the_shipped_weights_on_stored_structures(weights, store, name, numbers):
    row = evaluate_entry(load_model(weights), stored(store, name))
    found = [row.eps_mae, row.eps_mae_saed, row.eps_rms, row.coulomb, row.expected, row.minimum]
    np.testing.assert_allclose(found, numbers, rtol=3e-4)  # charges of the prior are good to a thousandth


@pytest.mark.parametrize(("weights", "store", "name", "numbers"), STORED, ids=[row[2] for row in STORED])
def test_errors_on_stored_structures(weights, store, name, numbers):
    row = evaluate_entry(load_model(first_weights(weights)), stored(store, name))
    found = [row.eps_mae, row.eps_mae_saed, row.eps_rms, row.coulomb, row.expected, row.minimum]
    np.testing.assert_allclose(found, numbers, rtol=2e-5)


def test_errors_of_a_stored_magnetisation():
    row = evaluate_entry(load_model(first_weights("base")), stored("compounds_405.h5", "Fe-fcc-s405n105"))
    found = [row.magnetisation, row.magnetisation_none, row.moment, row.moment_ref]
    np.testing.assert_allclose(found, IRON, rtol=2e-5)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A made-up entry of NaCl, what ``base`` predicts of it, and the densities before and after as CHGCARs."""
    entry, model = entry_of(SALT, random_coefficients(0, size=0.01), 18.0), load_model("base")
    path = tmp_path_factory.mktemp("units") / "one.h5"
    with writable(path) as file:
        write_entry(file, entry)
    entry = Store.open(path)[entry.name]
    atoms = superpose(entry.structure, entry.shape, choose(entry.structure, Source()).densities)
    estimate = model.predict(entry.structure, entry.dcd_0, start_directions(entry))
    added = expand(entry.structure, estimate.coefficients, model.basis, entry.shape)
    predicted, wanted, plain = (
        VolumetricData("CHGCAR", entry.structure, [atoms + part]) for part in (added, entry.on_grid(), 0 * added)
    )
    return path, estimate, predicted, wanted, plain


def self_energy(error, lattice):
    """½ ∬ e² Δρ Δρ/|r - r'| in eV by its Fourier series, wave by wave."""
    waves = np.fft.fftn(error) / error.size
    index = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in error.shape), indexing="ij"), -1)
    square = ((index @ (2 * np.pi * np.linalg.inv(lattice).T)) ** 2).sum(-1)
    square[0, 0, 0] = np.inf
    return 0.5 * abs(np.linalg.det(lattice)) * float((4 * np.pi * 14.399645 * np.abs(waves) ** 2 / square).sum())


def test_what_evaluate_prints_are_the_measures_of_compare(evaluated):
    """Percent of the electrons, percent, meV for each atom: the same two densities by two ways, and once by hand."""
    path, estimate, predicted, wanted, plain = evaluated
    assert wanted.total.min() > 0  # so that ∫|ρ| is the number of electrons
    result = CliRunner().invoke(main, ["evaluate", "base", str(path), "--json"])
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)["rows"][0]
    by_model, by_saed = compare(predicted, wanted), compare(plain, wanted)
    assert row["eps_mae"] == pytest.approx(by_model.eps_mae_percent, rel=1e-6)
    assert row["eps_rms"] == pytest.approx(by_model.eps_rms_percent, rel=1e-6)
    assert row["coulomb"] == pytest.approx(by_model.coulomb_self_energy_mev_per_atom, rel=1e-6)
    assert row["eps_mae_saed"] == pytest.approx(by_saed.eps_mae_percent, rel=1e-6)
    assert row["eps_rms_saed"] == pytest.approx(by_saed.eps_rms_percent, rel=1e-6)
    assert row["coulomb_saed"] == pytest.approx(by_saed.coulomb_self_energy_mev_per_atom, rel=1e-6)
    assert row["minimum"] == pytest.approx(predicted.total.min())
    assert row["expected"] == pytest.approx(estimate.error_percent)
    assert row["damping"] == pytest.approx(estimate.damping)
    lattice = wanted.structure.lattice
    per_atom = 1000 * self_energy(predicted.total - wanted.total, lattice) / wanted.structure.n_atoms
    assert row["coulomb"] == pytest.approx(per_atom, rel=1e-6)
    electrons = wanted.total.mean() * wanted.structure.volume
    missed = np.abs(predicted.total - wanted.total).mean() * wanted.structure.volume
    assert row["eps_mae"] == pytest.approx(100 * missed / electrons, rel=1e-6)
    assert electrons == pytest.approx(14, rel=1e-6)


def last_digit(word):
    """What one more in the last digit of a printed number is worth."""
    return 10.0 ** Decimal(word).as_tuple().exponent


def test_each_column_of_evaluate_has_its_number(evaluated):
    path, estimate, predicted, wanted, plain = evaluated
    lines = CliRunner().invoke(main, ["evaluate", "base", str(path)]).stdout.splitlines()
    assert lines[0].split() == "structure atoms ε_mae % SAED expected ε_rms % meV/atom SAED minimum".split()
    by_model, by_saed = compare(predicted, wanted), compare(plain, wanted)
    numbers = [2, by_model.eps_mae_percent, by_saed.eps_mae_percent, estimate.error_percent, by_model.eps_rms_percent]
    numbers += [by_model.coulomb_self_energy_mev_per_atom, by_saed.coulomb_self_energy_mev_per_atom]
    for word, number in zip(lines[1].split()[1:], [*numbers, predicted.total.min()], strict=True):
        assert float(word) == pytest.approx(number, abs=0.51 * last_digit(word)), lines[0]
    table = next(line for line in lines[2:] if line.startswith("all "))
    mean, median, p95, largest, saed, coulomb, better = (float(word) for word in table.split()[2:])
    assert mean == median == p95 == largest == pytest.approx(by_model.eps_mae_percent, abs=6e-4)
    assert (saed, coulomb) == pytest.approx((numbers[2], numbers[5]), abs=6e-4)
    assert better == 100 * (by_model.eps_mae_percent < by_saed.eps_mae_percent)


class Share:
    """What is evaluated: a share of a magnetisation (1, n_atoms, n_lm, n_max), with the first moment's sign."""

    basis, target = BASIS, "dcd"

    def __init__(self, spins, share):
        self.spins, self.share = spins, share

    def predict(self, structure, total=0.0, directions=None):
        known = self.share * directions[0, 0] * self.spins
        return Estimate(0 * self.spins[0], 1.0, np.zeros(2), 1.0, (), 1.0, 1.0, known)


def test_moments_and_magnetisation_are_in_bohr_magnetons_and_percent_of_the_electrons():
    """A model that knows seven tenths of the magnetisation misses three tenths of ∫|m|, and of the moment."""
    spins = np.zeros((1, 2, BASIS.n_lm, BASIS.n_max))
    spins[0, 0, 0, 0] = 0.8
    entry = entry_of(SALT, random_coefficients(1), 18.0, spins=spins, facts={"start_moments": np.array([[3.0, 0.0]])})
    row = evaluate_entry(Share(spins, 0.7), entry)
    whole = expand(SALT, spins[0], BASIS, entry.shape)
    percent = 100 * np.abs(whole).mean() * entry.structure.volume / 14.0
    assert row.magnetisation_none == pytest.approx(percent, rel=1e-3)
    assert row.magnetisation == pytest.approx(0.3 * percent, rel=5e-3)
    assert row.moment_ref == pytest.approx(whole.mean() * entry.structure.volume, rel=1e-6)
    assert row.moment == pytest.approx(0.7 * row.moment_ref, rel=1e-6)
    assert row.moment_error == pytest.approx(0.3 * row.moment_ref, rel=1e-6)


def test_a_moment_that_points_the_other_way_is_wrong():
    """Sizes alone would agree."""
    spins = np.zeros((1, 2, BASIS.n_lm, BASIS.n_max))
    spins[0, 0, 0, 0] = 0.4
    entry = entry_of(SALT, random_coefficients(1), 18.7, spins=spins, facts={"start_moments": np.array([[0.6, 0.0]])})
    row = evaluate_entry(Share(spins, -1.0), entry)
    assert row.moment_ref > 0.1
    assert row.moment == pytest.approx(row.moment_ref, rel=1e-6)
    assert row.moment_error == pytest.approx(2 * row.moment_ref, rel=1e-6)
