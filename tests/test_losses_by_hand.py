"""Every term of every loss against sums written anew: over all waves of the whole sphere, one after the other.

The references here use no function of the package but the radial functions in real space (``RadialBasis.values``):
their Bessel transforms are integrals by Gauss-Legendre, the harmonics those of scipy, the waves a list of G vectors in
both halves of the sphere. So a wrong factor, a missing term or a sign in tables of samples and losses shows.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.special import lpmv, spherical_jn
from small_entries import BASIS, ENCODER, EVEN, SALT, entry_of, random_coefficients

from chgtools.cell import Structure
from chgtools.training.config import Loss
from chgtools.training.losses import (
    coulomb_percent,
    loss_of,
    mae_percent,
    magnetic_percent,
    neutral,
    residual,
    rms_percent,
)
from chgtools.training.samples import sample_of
from chgtools.training.torch_network.encoder import Encoder

ELEMENTS = ("Cl", "Na")
ENDS = 4 / 3 * BASIS.q_max  # 1/Å, beyond it no function has a wave


def harmonic(ell, m, directions):
    """Real spherical harmonic, Y_1 ~ (y, z, x): sines for m < 0, cosines for m > 0, no Condon-Shortley sign."""
    x, y, z = directions.T
    k = abs(m)
    norm = np.sqrt((2 * ell + 1) / (4 * np.pi) / np.prod(np.arange(ell - k + 1, ell + k + 1, dtype=float)))
    polar = (-1) ** k * norm * lpmv(k, ell, z)
    phi = np.arctan2(y, x)
    return polar if m == 0 else np.sqrt(2) * polar * (np.cos(k * phi) if m > 0 else np.sin(k * phi))


@cache
def nodes():
    """Radii and weights of an integral over [0, cutoff], and the (l, n) functions there."""
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(0, BASIS.cutoff, 41)
    half = np.diff(edges)[:, None] / 2
    r = (edges[:-1, None] + half * (1 + x)).ravel()
    return r, (half * w).ravel(), BASIS.values(r)


def integrals():
    """(n_max,) ∫ g_0n Y_00 d³r."""
    r, w, values = nodes()
    return np.sqrt(4 * np.pi) * (values[0] * w * r**2).sum(axis=1)


@cache
def transform_spline():
    """4π ∫ r² g_ln(r) j_l(qr) dr on a fine mesh of q; the transform turns by r_c dq = 0.04 in a step of it."""
    r, w, values = nodes()
    q = np.arange(0.0, ENDS + 0.05, 0.01)
    table = [4 * np.pi * (values[ell] * w * r**2) @ spherical_jn(ell, np.outer(r, q)) for ell in range(BASIS.l_max + 1)]
    return CubicSpline(q, np.stack(table), axis=2)


def bessel_transforms(q):
    """(l_max + 1, n_max, n_q) at any q up to where the functions end."""
    return transform_spline()(q)


def sphere(lattice, low, high):
    """(n, 3) Miller indices of all G with low < |G| <= high, both halves of the sphere, and the G (n, 3), 1/Å."""
    b = 2 * np.pi * np.linalg.inv(lattice).T
    most = (high * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int) + 1
    miller = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), -1).reshape(-1, 3)
    g = miller @ b
    length = np.linalg.norm(g, axis=1)
    inside = (length > low) & (length <= high + 1e-9)
    return miller[inside], g[inside]


def all_waves(structure, g, coefficients):
    """(n_G,) V·n_G = Σ_a exp(-iG·R_a) Σ_lm (-i)^l Y_lm(G) Σ_n c_a,lm,n t_ln(|G|)."""
    q = np.linalg.norm(g, axis=1)
    radial = bessel_transforms(q)
    positions = structure.frac @ structure.lattice
    total = np.zeros(len(g), complex)
    for place, own in zip(positions, coefficients, strict=True):
        atom = np.zeros(len(g), complex)
        for ell in range(BASIS.l_max + 1):
            for m in range(-ell, ell + 1):
                atom += (-1j) ** ell * harmonic(ell, m, g / q[:, None]) * (own[ell * ell + ell + m] @ radial[ell])
        total += np.exp(-1j * (g @ place)) * atom
    return total


def wanted_waves(entry, miller, values):
    """(n_G,) of the whole sphere from those of the entry: V·n_-G is the conjugate."""
    known = {tuple(h): v for h, v in zip(entry.miller.tolist(), values, strict=True)}
    return np.array(
        [known[h] if h in known else np.conj(known[-h[0], -h[1], -h[2]]) for h in map(tuple, miller.tolist())]
    )


def percent_of(entry, missed, weight=1.0):
    """scale · √(Σ w |missed|² / Σ w |dcd|²) over the whole sphere up to g_max, with the loss's small constant."""
    _, g = sphere(entry.structure.lattice, 1e-6, entry.g_max)
    factor = np.linalg.norm(g, axis=1) ** -2.0 if weight == "coulomb" else np.ones(len(g))
    miller, _ = sphere(entry.structure.lattice, 1e-6, entry.g_max)
    target = (factor * np.abs(wanted_waves(entry, miller, entry.dcd)) ** 2).sum()
    return entry.attributes["saed_eps_mae_percent"] * np.sqrt(missed / target + 1e-8)


def as_tensor(values):
    return torch.as_tensor(np.asarray(values)).float()


TRUE, GUESS = random_coefficients(1), random_coefficients(2)
ENTRY = entry_of(SALT, TRUE, 18.7)  # holds all waves of the basis, but for a few thousandths of the norm


@cache
def sample():
    return sample_of(ENTRY, ELEMENTS, ENCODER, BASIS, 10**7)


@cache
def missed_waves():
    """Miller indices, G and V·n_G of GUESS less that of the entry, over the whole sphere."""
    miller, g = sphere(SALT.lattice, 1e-6, ENTRY.g_max)
    return miller, g, all_waves(SALT, g, GUESS) - wanted_waves(ENTRY, miller, ENTRY.dcd)


def missed():
    return residual(sample(), as_tensor(GUESS), torch.as_tensor(EVEN))


def test_the_waves_of_a_prediction_are_the_sum_over_atoms_and_functions():
    miller, g, difference = missed_waves()
    found = missed().waves.double().numpy()
    own = {tuple(h): v for h, v in zip(miller.tolist(), difference, strict=True)}
    direct = np.array([own[tuple(h)] for h in ENTRY.miller.tolist()])
    scale = np.abs(direct).max()
    assert np.abs(found[:, 0] - direct.real).max() < 2e-5 * scale
    assert np.abs(found[:, 1] - direct.imag).max() < 2e-5 * scale


def test_the_rms_is_the_sum_over_all_waves():
    _, _, difference = missed_waves()
    assert float(rms_percent(sample(), missed())) == pytest.approx(
        percent_of(ENTRY, (np.abs(difference) ** 2).sum()), rel=1e-4
    )


def test_the_coulomb_error_is_the_sum_over_all_waves_over_g_squared():
    _, g, difference = missed_waves()
    direct = (np.abs(difference) ** 2 / (g**2).sum(1)).sum()
    assert float(coulomb_percent(sample(), missed())) == pytest.approx(percent_of(ENTRY, direct, "coulomb"), rel=1e-4)


def smooth(n):
    while True:
        rest = n
        for p in (2, 3, 5, 7):
            while rest % p == 0:
                rest //= p
        if rest == 1 and n % 2 == 0:
            return n
        n += 1


def test_the_mean_absolute_error_is_that_of_the_field_on_its_grid():
    """Σ_G Δ_G exp(iG·r)/V, wave by wave, at every point of the grid; the mean of |Δ| times V over the electrons."""
    miller, _, difference = missed_waves()
    shape = [smooth(2 * int(n) + 2) for n in np.abs(miller).max(axis=0)]
    along = [
        np.exp(2j * np.pi * np.outer(np.arange(-n, n + 1), np.arange(size) / size))
        for n, size in zip(np.abs(miller).max(axis=0), shape, strict=True)
    ]
    box = np.zeros([len(each) for each in along], complex)
    box[tuple((miller + np.abs(miller).max(axis=0)).T)] = difference
    field = np.einsum("hkl,hx,ky,lz->xyz", box, *along, optimize=True)
    assert np.abs(field.imag).max() < 1e-9 * np.abs(field).max()
    direct = 100 * np.abs(field.real).mean() / ENTRY.attributes["nelectrons"]
    beyond = ENTRY.attributes["saed_eps_mae_percent"] * 1e-4  # the small constant under the root of no waves beyond
    assert float(mae_percent(sample(), missed())) == pytest.approx(direct + beyond, rel=2e-3)


@pytest.mark.parametrize(
    ("weights", "only"),
    [((0.7, 0.0, 0.0), 0.7), ((0.0, 0.3, 0.0), 0.3), ((0.0, 0.0, 1.9), 1.9)],
)
def test_each_weight_of_the_loss_belongs_to_its_term(weights, only):
    term = (rms_percent, coulomb_percent, mae_percent)[int(np.argmax(weights))]
    assert float(loss_of(sample(), missed(), Loss(*weights))) == pytest.approx(only * float(term(sample(), missed())))


# One atom whose images do not touch (cell > 2 r_c): what lies beyond g_max is an integral, and the sum over many waves
CUTOFF = 4.5
LONELY = Structure(np.array([[8.2, 0.0, 0.0], [0.6, 8.0, 0.0], [-0.5, 0.7, 8.4]]), ("Na",), (1,), [[0.13, 0.41, 0.77]])


@cache
def lonely():
    """An entry cut at CUTOFF, the coefficients of a guess with much beyond it, and the waves there of both halves."""
    true, guess = random_coefficients(3, 1), random_coefficients(4, 1)
    entry = entry_of(LONELY, true, CUTOFF, shape=(48, 48, 48))
    _, g = sphere(LONELY.lattice, CUTOFF, ENDS)
    return entry, guess, g, all_waves(LONELY, g, guess)


def lonely_missed():
    entry, guess, _, _ = lonely()
    made = sample_of(entry, ("Na",), ENCODER, BASIS, 10**7)
    return made, residual(made, as_tensor(guess), torch.as_tensor(EVEN))


def test_waves_beyond_the_target_count_as_the_sum_over_half_of_them():
    _, _, g, beyond = lonely()
    _, missing = lonely_missed()
    half = 0.5 * (np.abs(beyond) ** 2).sum()
    assert float(missing.outer) == pytest.approx(half, rel=0.03)
    coulomb = 0.5 * (np.abs(beyond) ** 2 / (g**2).sum(1)).sum()
    assert float(missing.outer_coulomb) == pytest.approx(coulomb, rel=0.03)


def test_each_function_beyond_the_target_counts():
    """Of each l and n alone, so that no l is left out and none is doubled."""
    entry, _, g, _ = lonely()
    made = sample_of(entry, ("Na",), ENCODER, BASIS, 10**7)
    radial = bessel_transforms(np.linalg.norm(g, axis=1))
    for ell in range(BASIS.l_max + 1):
        # Σ_m Y_lm² is (2l + 1)/4π, so this mean over m does not depend on where the waves lie
        direct = 0.5 * (radial[ell] ** 2).sum(axis=1) / (4 * np.pi)
        own = made.outer[ell * ell : (ell + 1) ** 2].double().numpy()
        np.testing.assert_allclose(np.diagonal(own, axis1=1, axis2=2).mean(axis=0), direct, rtol=0.03)


def test_losses_count_what_lies_within_and_beyond():
    entry, guess, outside, beyond = lonely()
    made, missing = lonely_missed()
    miller, g = sphere(LONELY.lattice, 1e-6, CUTOFF)
    inner = all_waves(LONELY, g, guess) - wanted_waves(entry, miller, entry.dcd)
    within, without = (np.abs(inner) ** 2).sum(), (np.abs(beyond) ** 2).sum()
    assert without > 0.1 * within  # a loss that drops it is off by far more than the tolerance
    assert float(rms_percent(made, missing)) == pytest.approx(percent_of(entry, within + without), rel=0.01)
    direct = (np.abs(inner) ** 2 / (g**2).sum(1)).sum() + (np.abs(beyond) ** 2 / (outside**2).sum(1)).sum()
    assert float(coulomb_percent(made, missing)) == pytest.approx(percent_of(entry, direct, "coulomb"), rel=0.01)
    field = float(mae_percent(made, replace_outer(missing)))
    rms_beyond = percent_of(entry, without) - percent_of(entry, 0.0)
    assert float(mae_percent(made, missing)) - field == pytest.approx(rms_beyond, rel=0.02)


def test_each_loss_takes_the_waves_beyond_in_its_own_metric():
    """The square of each grows by its share of them, however small that is beside the waves within."""
    entry, _, outside, beyond = lonely()
    made, missing = lonely_missed()
    per_square = percent_of(entry, 1.0) ** 2 - percent_of(entry, 0.0) ** 2
    per_coulomb = percent_of(entry, 1.0, "coulomb") ** 2 - percent_of(entry, 0.0, "coulomb") ** 2
    sums = (np.abs(beyond) ** 2).sum(), (np.abs(beyond) ** 2 / (outside**2).sum(1)).sum()
    for term, square in ((rms_percent, per_square * sums[0]), (coulomb_percent, per_coulomb * sums[1])):
        grown = float(term(made, missing)) ** 2 - float(term(made, replace_outer(missing))) ** 2
        assert grown == pytest.approx(square, rel=0.03)


def test_waves_beyond_the_target_are_the_integral_from_its_last_wave():
    """½ V/(2π)³ ∫ q² t_ln t_ln' dq from g_max on, and the same without q² for 1/G²: to a thousandth, so that half a
    step of the mesh shows.
    """
    x, w = np.polynomial.legendre.leggauss(600)
    q, w = CUTOFF + (ENDS - CUTOFF) * (x + 1) / 2, w * (ENDS - CUTOFF) / 2
    entry, _, _, _ = lonely()
    made = sample_of(entry, ("Na",), ENCODER, BASIS, 10**7)
    radial = bessel_transforms(q)
    for power, table in ((2, made.outer), (0, made.outer_coulomb)):
        for ell in range(BASIS.l_max + 1):
            wanted = LONELY.volume / (16 * np.pi**3) * (radial[ell] * w * q**power) @ radial[ell].T
            for own in table[ell * ell : (ell + 1) ** 2].double().numpy():
                np.testing.assert_allclose(own, wanted, atol=1e-3 * np.abs(wanted).max())


def replace_outer(missing):
    """The same residual with nothing beyond the target."""
    return replace(missing, outer=0 * missing.outer, outer_coulomb=0 * missing.outer_coulomb)


def test_where_waves_were_drawn_the_mean_absolute_error_is_the_rms():
    few = sample_of(ENTRY, ELEMENTS, ENCODER, BASIS, 500)
    left = residual(few, as_tensor(GUESS), torch.as_tensor(EVEN))
    assert float(mae_percent(few, left)) == float(rms_percent(few, left))


def test_drawn_waves_have_the_weight_of_those_they_stand_for():
    """Over many draws the weighted sums are those over all waves, of the error as of any other function."""
    whole = float(((missed().waves.double()) ** 2).sum())
    sums, counts = [], []
    for seed in range(60):
        few = sample_of(ENTRY, ELEMENTS, ENCODER, BASIS, 500, seed=seed)
        left = residual(few, as_tensor(GUESS), torch.as_tensor(EVEN)).waves.double()
        sums.append(float((few.weight.double() * (left**2).sum(1)).sum()))
        counts.append(len(few.weight))
    assert np.mean(sums) == pytest.approx(whole, rel=0.02)
    assert np.mean(counts) == pytest.approx(500, rel=0.03)


def magnetic_entry(structure=LONELY, g_max=CUTOFF, n_atoms=1, components=1):
    spins = np.stack([random_coefficients(10 + k, n_atoms, total=0.8 + k) for k in range(components)])
    moments = np.ones((components, n_atoms))
    return entry_of(
        structure,
        random_coefficients(3, n_atoms),
        g_max,
        spins=spins,
        facts={"start_moments": moments},
        shape=(48, 48, 48),
    )


@pytest.mark.parametrize("components", [1, 3])
def test_the_error_of_a_magnetisation_is_the_sum_over_all_waves_and_the_moment(components):
    """All components, all waves within and beyond, and G = 0, which is the error of the moment."""
    entry = magnetic_entry(components=components)
    guess = np.stack([random_coefficients(20 + k, 1, total=-0.4 * k) for k in range(components)])
    made = sample_of(entry, ("Na",), ENCODER, BASIS, 10**7)
    charges = as_tensor(BASIS.charges)
    miller, g = sphere(LONELY.lattice, 1e-6, CUTOFF)
    _, outside = sphere(LONELY.lattice, CUTOFF, ENDS)
    total, zero = 0.0, 0.0
    for own, wanted, moment in zip(guess, entry.magnetisation, entry.magnetisation_0, strict=True):
        total += (np.abs(all_waves(LONELY, g, own) - wanted_waves(entry, miller, wanted)) ** 2).sum()
        total += (np.abs(all_waves(LONELY, outside, own)) ** 2).sum()
        zero += ((own[:, 0] @ integrals()).sum() - moment) ** 2
    found = float(magnetic_percent(made, as_tensor(guess), torch.as_tensor(EVEN), charges))
    assert found == pytest.approx(percent_of(entry, total + zero), rel=0.01)
    # and the moment alone: everything else is as wanted
    shifted = made.__class__(**{**vars(made), "moments": made.moments + 3.0})
    both = float(magnetic_percent(shifted, as_tensor(guess), torch.as_tensor(EVEN), charges))
    signs = np.array([(c[:, 0] @ BASIS.charges).sum() for c in guess]) - entry.magnetisation_0
    more = ((signs - 3.0) ** 2).sum() - (signs**2).sum()
    scale = percent_of(entry, 1.0) ** 2 - percent_of(entry, 0.0) ** 2
    assert both**2 - found**2 == pytest.approx(scale * more, rel=1e-3)


def test_the_charge_is_spread_as_its_formula_says():
    """The integral becomes the one wanted, by the smallest change of the coefficients in the sum of squares."""
    charges = integrals()
    c = random_coefficients(5, 3, total=0.3)
    found = neutral(as_tensor(c), as_tensor(charges), as_tensor([1.7]), torch.zeros(3, dtype=int)).double().numpy()
    assert (found[:, 0] @ charges).sum() == pytest.approx(1.7, abs=1e-5)
    change = found - c
    assert np.abs(change[:, 1:]).max() == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(
        change[:, 0], np.tile((1.7 - 0.3) / 3 * charges / (charges @ charges), (3, 1)), atol=1e-6
    )


def doubled(value):
    """A dataclass of tensors in double precision."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if is_dataclass(value):
        return type(value)(**{f.name: doubled(getattr(value, f.name)) for f in fields(value)})
    return value


@pytest.mark.parametrize("term", ["rms", "coulomb", "mae", "magnetisation"])
def test_gradients_are_finite_differences(term):
    """Of encoder parameters through prediction, charge and loss: nothing on the way may be cut from the gradient."""
    spins = np.stack([random_coefficients(11, 2, total=0.8)])
    entry = entry_of(SALT, TRUE, 9.0, spins=spins, facts={"start_moments": np.array([[1.0, -1.0]])})
    made = doubled(sample_of(entry, ELEMENTS, ENCODER, BASIS, 10**7))
    even, charges = torch.as_tensor(EVEN), torch.as_tensor(BASIS.charges)
    torch.manual_seed(7)
    encoder = Encoder(ENCODER, BASIS.n_max, torch.randn(2, 12)).double()

    def loss():
        described = encoder.describe(made.atoms)
        if term == "magnetisation":
            return magnetic_percent(made, encoder.magnetisation(described, made.atoms), even, charges)
        coefficients = neutral(
            encoder.density(described, made.atoms),
            charges,
            torch.tensor([made.total]).double(),
            torch.zeros(2, dtype=int),
        )
        weights = {name: float(name == term) for name in ("rms", "coulomb", "mae")}
        return loss_of(made, residual(made, coefficients, even), Loss(**weights))

    loss().backward()
    rng = np.random.default_rng(0)
    checked = 0
    for name, p in encoder.named_parameters():
        if name.startswith("spin.") != (term == "magnetisation") and not name.startswith(
            ("embedding", "pair", "messages")
        ):
            continue
        for place in rng.integers(0, p.numel(), 2):
            with torch.no_grad():
                flat, step, values = p.view(-1), 1e-5, []
                start = float(flat[place])
                for shift in (step, -step):
                    flat[place] = start + shift
                    values.append(float(loss()))
                flat[place] = start
            slope = 0.0 if p.grad is None else float(p.grad.view(-1)[place])
            assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=2e-4, abs=1e-6), name
            checked += slope != 0
    assert checked > 15
