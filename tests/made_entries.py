"""Entries of a store whose density follows a rule that a network can learn, and a small training of them."""

from __future__ import annotations

import numpy as np

from chgtools.cell import Structure
from chgtools.fourier.basis import RadialBasis, expand, waves, with_charge
from chgtools.fourier.half_sphere import half_sphere
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.entry import Entry
from chgtools.training.config import TrainSettings, Validation

BASIS = RadialBasis(n_max=3, l_max=2, q_max=14.0)
ENCODER = EncoderSettings(cutoff=4.0, radial=4, l_max=2, channels=3, hidden=8, state=4, readings=2)


def an_entry(index, kind="made"):
    """A cell of Na and Cl whose density follows a rule that a network can learn: the shorter the bond, the more."""
    rng = np.random.default_rng(index)
    edge = rng.uniform(3.2, 4.4)
    structure = Structure(
        np.diag([edge, edge, 5.0]), ("Na", "Cl"), (1, 1), [[0, 0, 0], [0.5, 0.5, rng.uniform(0.4, 0.6)]]
    )
    c = np.zeros((2, BASIS.n_lm, BASIS.n_max))
    c[:, 0, 0] = [-1.2 + 0.2 * edge, 0.9 - 0.1 * edge]
    c = with_charge(c, BASIS)
    miller = half_sphere(structure.lattice, 12.0)
    dcd = np.einsum("gakn,akn->g", waves(structure, miller, BASIS), c)
    shape = (24, 24, 30)
    saed = 100 * np.abs(expand(structure, c, BASIS, shape)).mean() * structure.volume / 14.0
    facts = {"kind": kind, "formula": "NaCl", "nelectrons": 14.0, "saed_eps_mae_percent": saed}
    return Entry(f"{kind}{index}", structure, shape, 12.0, miller, dcd, attributes=facts)


def settings(store, **changes):
    rule = {"share": 0.3, "by": "structure"} | changes.pop("validation", {})
    values = {"data": (str(store),), "encoder": ENCODER, "basis": BASIS, "steps": 12, "batch": 4, "members": 1,
              "evaluations": 3, "threads": 1, "weight_decay": 0.0, "validation": Validation(**rule)}  # fmt: skip
    return TrainSettings(**(values | changes))
