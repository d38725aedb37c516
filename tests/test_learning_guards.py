"""What a training must do where the answer is known: ensembles by hand, steps of the optimiser, a rule to be learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_entries import BASIS, ENCODER, SALT, entry_of, random_coefficients

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.fourier.basis import expand
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.model import DensityModel, Trust
from chgtools.models.network import Described
from chgtools.stores.store import writable, write_entry
from chgtools.training.batching import Batching
from chgtools.training.calibration import calibrate, observe
from chgtools.training.config import Loss, TrainSettings, Validation
from chgtools.training.run import train
from chgtools.training.samples import sample_of
from chgtools.training.trainer import Trainer

# ---- an ensemble of made-up members


class Told:
    """A member that predicts the coefficients it was given."""

    def __init__(self, coefficients, spins=None):
        self.settings, self.values, self.spins = ENCODER, coefficients, spins

    def describe(self, atoms):
        nothing = np.zeros((len(atoms.element), 1))
        return Described(nothing, nothing, nothing[None], nothing[:, None, :0, None])

    def density(self, described, atoms):
        return self.values

    def magnetisation(self, described, atoms):
        return self.spins


TRUST = Trust(offset=0.3, slope=0.8, size=2.5, damping=0.7)


def ensemble(count=3, target="dcd", trust=TRUST):
    """Members of neutral coefficients, NaCl with 7 valence electrons each."""
    values = [random_coefficients(seed) for seed in range(count)]
    spins = [np.stack([random_coefficients(50 + seed, total=1.0)]) for seed in range(count)]
    members = [Told(c, m) for c, m in zip(values, spins, strict=True)]
    model = DensityModel("told", ("Cl", "Na"), np.array([7.0, 7.5]), BASIS, target, members, trust, spins=("Na",))
    return model, values, spins


def test_the_spread_is_the_deviation_of_a_sample():
    """√(Σ_k |c_k - mean|²/(n - 1)) of each atom: n - 1, because the mean is that of the members themselves."""
    model, values, _ = ensemble()
    found = model.predict(SALT)
    mean = sum(values) / 3
    spread = [np.sqrt(sum(((c - mean)[atom] ** 2).sum() for c in values) / 2) for atom in range(2)]
    np.testing.assert_allclose(found.atom_spread, spread, rtol=1e-12)
    assert found.spread_percent == pytest.approx(100 * sum(spread) / 14.5, rel=1e-12)
    size = sum(np.sqrt((mean[atom] ** 2).sum()) for atom in range(2))
    assert found.norm_percent == pytest.approx(100 * size / 14.5, rel=1e-12)


def test_the_error_and_the_damping_follow_from_the_spread():
    model, values, _ = ensemble()
    found = model.predict(SALT)
    error = np.exp(0.3) * found.spread_percent**0.8
    assert found.error_percent == pytest.approx(error, rel=1e-12)
    size = 2.5 * found.norm_percent
    damping = size**2 / (size**2 + (0.7 * error) ** 2)
    assert 0.1 < damping < 0.999
    assert found.damping == pytest.approx(damping, rel=1e-12)
    np.testing.assert_allclose(found.coefficients, damping * sum(values) / 3, atol=1e-12)


def test_two_members_are_as_far_apart_as_their_difference():
    """By hand: c and c + d have the spread |d|/√2."""
    model, (c, _), _ = ensemble(2)
    d = random_coefficients(9)
    model.members[1].values = c + d
    spread = model.predict(SALT).atom_spread
    np.testing.assert_allclose(spread, np.sqrt((d**2).sum(axis=(1, 2)) / 2), rtol=1e-10)


def test_a_total_density_is_not_damped_and_a_single_member_has_no_spread():
    model, values, _ = ensemble(target="tcd")
    found = model.predict(SALT, 14.0)
    assert found.damping == 1.0
    assert (found.coefficients[:, 0] @ BASIS.charges).sum() == pytest.approx(14.0, abs=1e-12)
    alone = ensemble(1)[0].predict(SALT)
    assert np.isnan(alone.error_percent)
    assert alone.damping == 1.0


def test_the_magnetisation_is_the_mean_of_the_members_undamped():
    model, _, spins = ensemble()
    found = model.predict(SALT, 0.0, np.array([[1.0], [1.0]])).magnetisation
    np.testing.assert_allclose(found, sum(spins) / 3, atol=1e-12)


def test_atoms_without_training_data_take_no_part():
    """The known atom's electrons alone are the unit of spread and norm."""
    model, _, _ = ensemble()
    with_gold = SALT.with_changes(species=("Au", "Cl"))
    for member in model.members:
        member.values = member.values[1:]
    found = model.predict(with_gold)
    assert found.unseen == ("Au",)
    assert not found.coefficients[0].any()
    assert found.spread_percent == pytest.approx(100 * found.atom_spread[1] / 7.0, rel=1e-12)


def test_observations_are_errors_of_what_is_damped_by_hand():
    """ε_mae with 0, 0.2, ... 1 of the prediction on the entry's own grid, and its spread; then what they are fitted to."""
    model, values, _ = ensemble()
    entry = entry_of(SALT, random_coefficients(30), 18.7, shape=(20, 24, 30))
    (one,) = observe(model, [entry])
    mean = sum(values) / 3
    predicted, wanted = expand(SALT, mean, BASIS, entry.shape), entry.on_grid()
    for factor in (0.0, 0.2, 0.6, 1.0):
        missed = 100 * np.abs(factor * predicted - wanted).mean() * SALT.volume / 14.0
        assert one.error(factor) == pytest.approx(missed, rel=1e-9)
    assert one.saed_error == pytest.approx(one.error(0.0))
    assert one.spread == pytest.approx(model.predict(SALT).spread_percent)
    assert one.norm == pytest.approx(model.predict(SALT).norm_percent)


def test_a_calibrated_trust_is_the_least_squares_line_through_logarithms():
    """Scattered points, so that least squares differs from any other line; the size is the median of the ratios."""
    from chgtools.training.calibration import Observation

    rng = np.random.default_rng(3)
    spreads, noise = np.exp(rng.uniform(-2, 1, 30)), np.exp(0.2 * rng.normal(size=30))
    factors = np.linspace(0, 1, 6)
    errors, norms = 1.3 * spreads**0.7 * noise, rng.uniform(5, 12, 30)
    trust = calibrate(
        [
            Observation(s, n, 6.0, factors, 6.0 + factors * (e - 6.0))
            for s, n, e in zip(spreads, norms, errors, strict=True)
        ]
    )
    slope, offset = np.polyfit(np.log(spreads), np.log(errors), 1)
    assert (trust.slope, trust.offset) == pytest.approx((slope, offset), rel=1e-9)
    assert trust.size == pytest.approx(np.median(6.0 / norms))


# ---- steps of a training


def trainer(**changes):
    values = {"data": ("-",), "encoder": ENCODER, "basis": BASIS, "steps": 400, "batch": 3, "members": 1, "threads": 1,
              "weight_decay": 0.0, "learning_rate": 2e-3, "device": "cpu"}  # fmt: skip
    torch.manual_seed(1)
    made = TrainSettings(**(values | changes))
    return Trainer(made, made.encoder, BASIS, torch.randn(2, 12), 0)


def samples(count, spins=False):
    made = []
    for seed in range(count):
        m = np.stack([random_coefficients(60 + seed, total=0.5)]) if spins else None
        facts = {"start_moments": np.array([[1.0, 0.0]])} if spins else None
        made.append(entry_of(SALT, random_coefficients(seed), 9.0, name=f"e{seed}", spins=m, facts=facts))
    return [sample_of(entry, ("Cl", "Na"), ENCODER, BASIS, 10**6) for entry in made]


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    one = trainer()
    for step, wanted in [
        (0, 2e-3 / 50 * 1.0),
        (24, 2e-3 * 0.5 * 0.5 * (1 + np.cos(np.pi * 24 / 400))),
        (100, 2e-3 * 0.5 * (1 + np.cos(np.pi / 4))),
        (200, 1e-3),
        (400, 0.0),
    ]:
        one.step = step
        assert one._learning_rate() == pytest.approx(wanted, abs=1e-15)


def test_every_structure_comes_once_in_an_epoch():
    steps = Batching(np.full(12, 2), 4).steps(0)
    for _ in range(3):
        seen = []
        for _ in range(3):
            seen += next(steps)[1]
        assert sorted(seen) == list(range(12))
        assert seen != list(range(12))


def test_the_running_mean_of_the_weights():
    """mean <- k mean + (1 - k) weights with k = (1 + step)/(10 + step) until it reaches ``ema``."""
    one = trainer(ema=0.9)
    name, p = next(iter(one.encoder.named_parameters()))
    for step, k in ((1, 2 / 11), (8, 9 / 18), (500, 0.9)):
        before = one.mean[name].clone()
        with torch.no_grad():
            p += 1.0
        one.step = step
        one._update_mean()
        torch.testing.assert_close(one.mean[name], k * before + (1 - k) * p.detach())


@pytest.mark.parametrize("spins", [False, True])
def test_what_is_minimised_is_the_mean_of_the_batch_with_the_magnetisation_at_its_weight(spins):
    """The loss of the first step, from the errors that the trainer itself reports of the starting weights."""
    data = samples(3, spins)
    loss = Loss(rms=0.6, magnetisation=0.4)
    one = trainer(loss=loss, steps=1, evaluations=1)
    errors = one.errors(data)
    one.run(data, [])
    wanted = 0.6 * errors["all"] + (0.4 * errors["magnetisation"] if spins else 0.0)
    assert one.history[0].train == pytest.approx(wanted, rel=1e-5)
    assert ("magnetisation" in errors) == spins


def test_losses_between_evaluations_are_their_mean_and_gradients_are_clipped():
    data = samples(3)
    clipped = trainer(steps=2, evaluations=2, clip=1e-9, learning_rate=1e-12)
    clipped.run(data, data)
    first, second = clipped.history
    assert first.train == pytest.approx(second.train, rel=1e-5)
    assert first.validation["all"] == pytest.approx(first.train, rel=1e-5)
    assert [p.step for p in clipped.history] == [1, 2]


# ---- a rule that the network can hold exactly

BOND, ALONG = 2.3, np.array([0.05, -0.03, 0.02])


def dimer(seed):
    """Two silicon atoms in a large cell, turned at random; each has the same l = 1 function towards the other."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    edge = 9.0
    centre = rng.random(3) * edge
    places = np.array([centre - BOND / 2 * direction, centre + BOND / 2 * direction]) / edge
    structure = Structure(edge * np.eye(3), ("Si",), (2,), places)
    c = np.zeros((2, BASIS.n_lm, BASIS.n_max))
    for atom, sign in ((0, 1.0), (1, -1.0)):
        c[atom, 1:4] = sign * np.outer(direction[[1, 2, 0]], ALONG)  # Y_1 is in the order y, z, x
    return structure, c


@pytest.fixture(scope="module")
def dimers(tmp_path_factory):
    path = tmp_path_factory.mktemp("dimers") / "dimers.h5"
    with writable(path) as file:
        for seed in range(6):
            write_entry(file, entry_of(*dimer(seed), 5.0, name=f"d{seed}", electrons=8.0, shape=(48, 48, 48)))
    return path


@pytest.mark.parametrize(
    "loss", [Loss(1.0, 0.0, 0.0), Loss(0.0, 1.0, 0.0), Loss(0.2, 0.0, 1.0)], ids=["rms", "coulomb", "mae"]
)
def test_a_dipole_along_the_bond_is_learned(dimers, tmp_path, loss):
    """Each loss alone falls to a few percent of the SAED's, and bonds that were never seen have their dipoles."""
    encoder = EncoderSettings(cutoff=4.0, radial=4, l_max=2, channels=2, hidden=8, state=4, readings=1, order=1)
    run = TrainSettings(
        data=(str(dimers),), encoder=encoder, basis=BASIS, loss=loss, steps=160, batch=3, members=1, evaluations=4, threads=1,
        weight_decay=0.0, learning_rate=2e-2, ema=0.9, validation=Validation(share=0.0), waves=100_000, device="cpu",
    )  # fmt: skip
    history = []
    from chgtools.training.members import Listener

    model = train(run, tmp_path, listener=Listener(evaluated=lambda member, progress: history.append(progress.train)))
    assert history[-1] < 0.15 * history[0]
    for seed in (100, 101):
        structure, wanted = dimer(seed)
        found = model.predict(structure).coefficients
        missed, whole = (np.abs(expand(structure, c, BASIS, (48, 48, 48))).sum() for c in (found - wanted, wanted))
        assert missed < 0.12 * whole


# ---- atoms whose tables do not end at zero


def cut_atom(dq=0.02, end=5.0, width=0.4, zval=5.0):
    """A Gaussian atom whose table ends where a seventh of it is left, so that the last point counts."""
    q = dq * np.arange(round(end / dq) + 1)
    return AtomicDensity("x", "X", zval, q, zval * np.exp(-0.5 * (width * q) ** 2), "test")


RADII = np.array([0.0, 1e-3, 0.05, 0.3, 0.77, 1.5, 3.1, 7.0, 40.0])


def kernel(q, r):
    """sin(qr)/(qr), and that less cos(qr)."""
    x = np.outer(r, q)
    sinc = np.where(x > 1e-12, np.sin(x) / np.maximum(x, 1e-300), 1.0)
    return sinc, sinc - np.cos(x)


def test_the_density_of_a_table_is_its_trapezoid_with_half_weights_at_the_ends():
    atom = cut_atom()
    assert atom.form[-1] > 0.1 * atom.zval
    sinc, shell = kernel(atom.q, RADII)
    density = np.trapezoid(atom.q**2 * atom.form * sinc, atom.q, axis=1) / (2 * np.pi**2)
    np.testing.assert_allclose(atom.density(RADII), density, rtol=1e-8, atol=1e-12)
    inside = 2 * RADII / np.pi * np.trapezoid(atom.form * shell, atom.q, axis=1)
    np.testing.assert_allclose(atom.electrons_within(RADII), inside, rtol=1e-8, atol=1e-12)


def test_on_a_fine_table_they_are_the_integrals():
    """Gauss-Legendre to the same end: a whole weight at the end would be off by half a step of the integrand."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    q, w = 2.5 * (nodes + 1), 2.5 * weights
    form = 5.0 * np.exp(-0.5 * (0.4 * q) ** 2)
    r = RADII[:-1]  # farther out the integrand turns too fast for the fourth order of the extrapolation
    sinc, shell = kernel(q, r)
    coarse, fine = cut_atom(0.01), cut_atom(0.005)
    density, inside = (sinc * q**2 * form) @ w / (2 * np.pi**2), 2 * r / np.pi * ((shell * form) @ w)
    # the trapezoid's error falls with the square of the step: a third of the way beyond the finer one it is gone
    found = (4 * fine.density(r) - coarse.density(r)) / 3
    np.testing.assert_allclose(found, density, atol=1e-8 * density.max())
    found = (4 * fine.electrons_within(r) - coarse.electrons_within(r)) / 3
    np.testing.assert_allclose(found, inside, atol=1e-8 * 5.0)


def test_beyond_the_resolution_of_a_table_there_is_nothing():
    atom = cut_atom()
    far = np.array([1.001 * np.pi / 0.02])
    assert atom.density(far) == 0
    assert atom.electrons_within(far) == atom.zval
    assert atom.electrons_within(far * 0.998) != atom.zval


def test_replacing_a_trust_changes_nothing_else():
    model, _, _ = ensemble()
    other = replace(model, trust=Trust(damping=0.0))
    assert other.predict(SALT).damping == 1.0
    assert other.members is model.members
