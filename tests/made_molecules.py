"""A small store of real molecules, and a short training on it of a network with a tight-binding prior."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_entries import BASIS

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.store import Store, writable, write_entry
from chgtools.tightbinding.features import PRIOR
from chgtools.training.config import TrainSettings

DATA = Path(__file__).resolve().parents[1] / "benchmarks" / "data" / "molecules_201.h5"
SOME = ("H2-H2-s201n22", "C2H2O2-OCHCHO-s201n3", "C2H3N-CH3CN-s201n0", "C3H4-C3H4_C2v-s201n17", "C2H4O-CH3CHO-s201n12")
ENCODER = EncoderSettings(cutoff=4.0, radial=4, l_max=2, channels=3, hidden=8, state=4, readings=2, prior=PRIOR)


def write_store(path: Path) -> Path:
    if not DATA.exists():
        pytest.skip(f"needs {DATA.name} of benchmarks/data, which this checkout lacks")
    whole = Store.open(DATA)
    with writable(path) as file:
        for name in SOME:
            write_entry(file, whole[name])
    return path


def settings(store, **changes):
    values = {"data": (str(store),), "encoder": ENCODER, "basis": BASIS, "steps": 8, "batch": 3, "members": 2,
              "evaluations": 2, "threads": 1, "waves": 400}  # fmt: skip
    return TrainSettings(**(values | changes))
