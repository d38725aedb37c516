"""Made-up entries of a store for tests of learning: small cells whose density is a known sum of basis functions."""

from __future__ import annotations

import numpy as np

from chgtools.cell import Structure
from chgtools.fourier.basis import RadialBasis, expand, waves, with_charge
from chgtools.fourier.half_sphere import half_sphere
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.entry import Entry

BASIS = RadialBasis(n_max=3, l_max=2, q_max=14.0)
ENCODER = EncoderSettings(cutoff=4.0, radial=4, l_max=2, channels=3, hidden=8, state=4, readings=2, spin_channels=2)
EVEN = np.array([True, False, False, False, True, True, True, True, True])
SALT = Structure(
    np.array([[3.6, 0.0, 0.0], [0.4, 3.9, 0.0], [-0.3, 0.5, 4.8]]),
    ("Na", "Cl"),
    (1, 1),
    [[0.02, 0.11, 0.9], [0.52, 0.56, 0.37]],
)
NELECT = 14.0


def entry_of(
    structure, coefficients, g_max, *, name="made", spins=None, electrons=NELECT, shape=(24, 24, 30), facts=None
):
    """The entry of a density with these coefficients, up to ``g_max`` (1/Å); ``spins`` (k, n_atoms, n_lm, n_max)."""
    miller = half_sphere(structure.lattice, g_max)
    table = waves(structure, miller, BASIS)
    density = expand(structure, coefficients, BASIS, shape)
    known = {
        "kind": "made",
        "formula": "x",
        "nelectrons": electrons,
        "saed_eps_mae_percent": 100 * float(np.abs(density).mean()) * structure.volume / electrons,
    }
    magnetic = None if spins is None else np.einsum("gakn,sakn->sg", table, spins)
    moments = np.zeros(0) if spins is None else np.array([(c[:, 0] @ BASIS.charges).sum() for c in spins])
    return Entry(
        name, structure, shape, g_max, miller, np.einsum("gakn,akn->g", table, coefficients), magnetisation=magnetic,
        magnetisation_0=moments, attributes=known | (facts or {}),
    )  # fmt: skip


def random_coefficients(seed, n_atoms=2, size=0.05, total=0.0):
    """(n_atoms, n_lm, n_max) with the integral ``total``."""
    return with_charge(size * np.random.default_rng(seed).normal(size=(n_atoms, BASIS.n_lm, BASIS.n_max)), BASIS, total)
