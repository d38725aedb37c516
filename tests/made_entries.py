"""Entries of a store whose density follows a rule that a network can learn, and a small training of them."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import yaml
from small_entries import BASIS, entry_of

from chgtools.cell import Structure
from chgtools.fourier.basis import with_charge
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.store import writable, write_entry
from chgtools.training.config import TrainSettings, Validation

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
    facts = {"kind": kind, "formula": "NaCl"}
    return entry_of(structure, c, 12.0, name=f"{kind}{index}", facts=facts)


def made_store(path):
    """A store of 14 such entries, one of a kind of its own; its path."""
    with writable(path) as file:
        for index in range(14):
            write_entry(file, an_entry(index, "odd" if index == 5 else "made"))
    return path


def settings(store, **changes):
    rule = {"share": 0.3, "by": "structure"} | changes.pop("validation", {})
    values = {"data": (str(store),), "encoder": ENCODER, "basis": BASIS, "steps": 12, "batch": 4, "members": 1,
              "evaluations": 3, "threads": 1, "weight_decay": 0.0, "validation": Validation(**rule)}  # fmt: skip
    return TrainSettings(**(values | changes))


def config(store, share=0.3, **changes):
    """The text of a YAML file of such a training, of two members that make six steps each; share : kept aside"""
    values = {"data": [str(store)], "name": "small", "steps": 6, "batch": 4, "members": 2, "evaluations": 2,
              "threads": 1, "validation": {"by": "structure", "share": share}, "encoder": asdict(ENCODER),
              "basis": asdict(BASIS)}  # fmt: skip
    return yaml.safe_dump(values | changes)
