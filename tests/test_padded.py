"""Samples of unlike size that are put together have the errors that each has alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_entries import BASIS, ENCODER, EVEN, SALT, entry_of, random_coefficients
from test_learning_guards import trainer

from chgtools.cell import Structure
from chgtools.training import losses
from chgtools.training.config import Loss
from chgtools.training.padded import MOST, Padded, alike
from chgtools.training.samples import sample_of

CPU = torch.device("cpu")
LONELY = Structure(np.diag([4.1, 4.4, 5.2]), ("Na",), (1,), [[0.1, 0.4, 0.8]])
ROW = Structure(np.diag([3.6, 3.9, 9.0]), ("Na", "Cl"), (2, 1), [[0, 0, 0.1], [0.5, 0.4, 0.4], [0.1, 0.6, 0.7]])
NEVER = 10**7


def made(structure, g_max, seed, components=0, most=NEVER):
    """A sample of a structure, with so many components of a magnetisation, and how many atoms it has."""
    n = structure.n_atoms
    spins = [random_coefficients(seed + 50 + k, n, total=0.5 + k) for k in range(components)]
    facts = {"start_moments": np.ones((components, n)) * np.arange(1, components + 1)[:, None]} if components else {}
    given = np.stack(spins) if components else None
    entry = entry_of(structure, random_coefficients(seed, n), g_max, name=f"e{seed}", spins=given, facts=facts)
    return sample_of(entry, ("Cl", "Na"), ENCODER, BASIS, most, seed=seed)


def guesses(samples, components=None):
    rng = np.random.default_rng(3)
    values = [0.1 * rng.normal(size=(*(() if components is None else (c,)), len(s.cosine), BASIS.n_lm, BASIS.n_max))
              for s, c in zip(samples, components or [0] * len(samples), strict=True)]  # fmt: skip
    return [torch.as_tensor(each).float() for each in values]


def together(values, atoms):
    """Coefficients of samples with zeros for the atoms that they have not."""
    result = torch.zeros(len(values), atoms, BASIS.n_lm, BASIS.n_max)
    for own, each in zip(result, values, strict=True):
        own[: len(each)] = each
    return result


@pytest.mark.parametrize("term", [losses.rms_percent, losses.coulomb_percent, losses.mae_percent])
def test_errors_of_several_are_those_of_each(term):
    samples = [made(SALT, 9.0, 1), made(LONELY, 8.0, 2), made(ROW, 10.0, 3), made(ROW, 10.0, 4, most=300)]
    own = guesses(samples)
    even = torch.as_tensor(EVEN)
    part = Padded.of(samples, CPU)
    found = term(part, losses.residual(part, together(own, 3), even))
    wanted = [float(term(sample, losses.residual(sample, c, even))) for sample, c in zip(samples, own, strict=True)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)
    assert len(set(wanted)) == 4
    weights = Loss(0.3, 0.5, 0.7)
    each = [
        float(losses.loss_of(sample, losses.residual(sample, c, even), weights))
        for sample, c in zip(samples, own, strict=True)
    ]
    assert losses.loss_of(part, losses.residual(part, together(own, 3), even), weights).tolist() == pytest.approx(
        each, rel=1e-5
    )


def test_collinear_magnetisations_are_along_z_beside_tilted_ones():
    samples = [made(SALT, 9.0, 1, components=1), made(ROW, 8.0, 2, components=3)]
    own = guesses(samples, (1, 3))
    even, charges = torch.as_tensor(EVEN), torch.as_tensor(BASIS.charges).float()
    wanted = [float(losses.magnetic_percent(s, c, even, charges)) for s, c in zip(samples, own, strict=True)]
    nothing = torch.zeros(2, *own[0].shape[1:])
    given = torch.stack([together([a, b], 3) for a, b in zip(torch.cat([nothing, own[0]]), own[1], strict=True)])
    part = Padded.of(samples, CPU)
    assert losses.magnetic_percent(part, given, even, charges).tolist() == pytest.approx(wanted, rel=1e-5)


def test_each_structure_of_a_batch_gets_its_own_charge():
    charges = torch.as_tensor(BASIS.charges).float()
    c = torch.as_tensor(np.concatenate([random_coefficients(1, 2, total=0.3), random_coefficients(2, 3)])).float()
    totals, structure = torch.tensor([1.7, -0.4]), torch.tensor([0, 0, 1, 1, 1])
    found = losses.neutral(c, charges, totals, structure)
    for k, (first, last) in enumerate([(0, 2), (2, 5)]):
        alone = losses.neutral(c[first:last], charges, totals[k : k + 1], torch.zeros(last - first, dtype=int))
        torch.testing.assert_close(found[first:last], alone)
        assert float((found[first:last, 0] @ charges).sum()) == pytest.approx(float(totals[k]), abs=1e-5)


@pytest.mark.parametrize("message_l_max", [0, 2])
def test_a_step_on_a_batch_is_the_mean_of_steps_on_each(message_l_max):
    """Gradients of a batch of unlike structures, some of them magnetic, against those of one structure at a time."""
    samples = [
        made(SALT, 9.0, 1), made(LONELY, 6.0, 2), made(ROW, 10.0, 3, components=3),
        *(made(SALT, 4.0, seed, components=1) for seed in (4, 5, 6)),
    ]  # fmt: skip
    assert len(alike(samples)) == 3  # the collinear ones apart from the tilted one
    encoder = replace(ENCODER, message_l_max=message_l_max)
    settings = {"loss": Loss(1.0, 0.3, 0.2, 0.5), "clip": 1e9, "weight_decay": 0.0, "encoder": encoder}
    whole = trainer(**settings)
    loss, _ = whole._step(samples, 6)
    wanted, losses = {}, 0.0
    for sample in samples:
        one = trainer(**settings)
        losses += one._step([sample], 6)[0]
        for name, p in one.encoder.named_parameters():
            wanted[name] = wanted.get(name, 0) + (0 if p.grad is None else p.grad)
    assert loss == pytest.approx(losses, rel=1e-5)
    for name, p in whole.encoder.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(p.grad, wanted[name], rtol=2e-4, atol=1e-5, msg=name)


def test_groups_part_all_samples_and_are_little_padded():
    samples = [made(SALT, 5 + k % 3, k) for k in range(4)] + [made(ROW, 11.0, 9), made(LONELY, 4.0, 8)]
    samples += [replace(samples[0], magnetic=torch.zeros(1, 4, 2))]
    groups = alike(samples)
    assert sorted(i for group in groups for i in group) == list(range(7))
    assert [6] in groups  # it has a magnetisation
    assert 2 < len(groups) < 7
    for group in groups:
        atoms, waves = zip(*(samples[i].cosine.shape for i in group), strict=True)
        held = sum(a * w for a, w in zip(atoms, waves, strict=True))
        assert len(group) * max(atoms) * max(waves) <= MOST * held
