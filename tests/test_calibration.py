"""Trust of an ensemble, and free atoms for models of total densities."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chgtools.cell import Structure
from chgtools.errors import SettingsError
from chgtools.fourier.basis import RadialBasis, waves
from chgtools.fourier.half_sphere import half_sphere
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.model import Trust
from chgtools.stores.entry import Entry
from chgtools.training.calibration import (
    FEWEST,
    MOST_UNSEEN,
    Observation,
    calibrate,
    calibrate_unseen,
    rank_correlation,
)
from chgtools.training.free_atoms import fit_free_atoms
from chgtools.training.samples import sample_of

FACTORS = np.linspace(0, 1, 6)


def observation(spread, error, saed=5.0, norm=8.0):
    """A prediction that is right in part: the error goes down along a straight line, or up."""
    return Observation(spread, norm, saed, FACTORS, saed + FACTORS * (error - saed))


def test_the_line_through_spread_and_error_is_found():
    rng = np.random.default_rng(0)
    spreads = np.exp(rng.uniform(-3, 1, 60))
    trust = calibrate([observation(s, 1.7 * s**0.8) for s in spreads])
    assert trust.slope == pytest.approx(0.8, abs=1e-6)
    assert np.exp(trust.offset) == pytest.approx(1.7, rel=1e-6)
    assert trust.size == pytest.approx(5 / 8)
    assert trust.error(0.5) == pytest.approx(1.7 * 0.5**0.8, rel=1e-6)


def test_predictions_worse_than_saed_are_damped_most():
    rng = np.random.default_rng(1)
    spreads = np.exp(rng.uniform(-4, 3, 80))
    trust = calibrate([observation(s, 2.0 * s) for s in spreads])
    assert trust.factor(0.02, 8.0) > 0.98
    assert trust.factor(20.0, 8.0) < 0.05


def test_too_few_observations_are_refused():
    with pytest.raises(SettingsError, match="too few to calibrate"):
        calibrate([observation(1.0, 1.0)] * 3)


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, 4], [2, 4, 8, 16]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # by hand: ranks 1.5 1.5 3 4 and 1 2 3 4
    assert rank_correlation([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833, abs=1e-6)
    assert np.isnan(rank_correlation([1, 1], [1, 2]))


def test_spherical_atoms_are_found_in_total_densities():
    basis = RadialBasis(n_max=4, q_max=16.0)
    rng = np.random.default_rng(2)
    atoms = {"Na": rng.normal(size=4), "Cl": rng.normal(size=4)}
    samples = []
    for step in range(3):
        structure = Structure(np.diag([5.0, 5.5, 6.0 + step]), ("Na", "Cl"), (1, 2), rng.random((3, 3)))
        c = np.zeros((3, basis.n_lm, 4))
        c[:, 0] = [atoms[symbol] for symbol in structure.elements]
        miller = half_sphere(structure.lattice, 12.0)
        dcd = np.einsum("gakn,akn->g", waves(structure, miller, basis), c)
        facts = {"nelectrons": 10.0, "saed_eps_mae_percent": 1.0}
        entry = Entry(f"e{step}", structure, (24, 24, 24), 12.0, miller, dcd, attributes=facts)
        samples.append(sample_of(entry, ("Cl", "Na"), EncoderSettings(), basis, 10**6))
    found = fit_free_atoms(samples, 2, 4, ridge=1e-12)
    assert torch.allclose(found, torch.as_tensor(np.array([atoms["Cl"], atoms["Na"]])).float(), atol=2e-4)


def left_out(spread, error, share):
    return replace(observation(spread, error), unseen_share=share)


def test_the_factor_of_unseen_elements_is_found():
    """Structures whose errors are those of a spread that is 1 + (u - 1) x times as large, with u = 3."""
    rng = np.random.default_rng(3)
    trust = Trust(np.log(1.7), 0.8, 0.6, 0.4)
    seen = [left_out(s, 1.7 * s**0.8, 0.0) for s in np.exp(rng.uniform(-3, 1, 20))]
    made = [left_out(s, 1.7 * (s * (1 + 2 * x)) ** 0.8, x) for s, x in rng.uniform(0.1, 1, (30, 2))]
    found = calibrate_unseen(trust, [*seen, *made])
    assert found == replace(trust, unseen=found.unseen)
    assert found.unseen == pytest.approx(3, rel=1e-5)
    assert found.error(0.5, 0.25) == pytest.approx(1.7 * (0.5 * 1.5) ** 0.8, rel=1e-5)
    assert found.factor(0.5, 8.0, 0.25) < found.factor(0.5, 8.0) == trust.factor(0.5, 8.0)


def test_scatter_of_unseen_elements_is_met_in_the_mean():
    rng = np.random.default_rng(4)
    trust = Trust(0.2, 1.0, 0.6, 0.4)
    noise = rng.normal(size=400)
    found = calibrate_unseen(trust, [left_out(1.0, trust.error(2.5) * np.exp(n), 1.0) for n in noise]).unseen
    assert found == pytest.approx(2.5 * np.exp(noise.mean()), rel=1e-5)


@pytest.mark.parametrize(("error", "wanted"), [(0.2, 1.0), (1e9, MOST_UNSEEN)])
def test_the_factor_of_unseen_elements_has_bounds(error, wanted):
    trust = Trust(0.0, 1.0, 0.6, 0.4)
    assert calibrate_unseen(trust, [left_out(1.0, error, 0.5)] * FEWEST).unseen == pytest.approx(wanted)


def test_structures_without_unseen_elements_say_nothing_of_them():
    with pytest.raises(SettingsError, match="7 structures with a spread and elements that the ensemble never saw"):
        calibrate_unseen(Trust(), [left_out(1.0, 1.0, 0.0)] * 50 + [left_out(1.0, 1.0, 0.1)] * 7)
