"""Features of the prior that lie beside a store: they are found, go on, and are those that would be computed."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from small_entries import SALT, entry_of, random_coefficients

from chgtools.cli import main
from chgtools.errors import ChgtoolsError
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.join import join
from chgtools.stores.store import Store, writable, write_entry
from chgtools.tightbinding import features_cache
from chgtools.tightbinding.features import PRIOR, PriorFeatures
from chgtools.training import kept_features
from chgtools.training import prior as training_prior
from chgtools.training.kept_features import features_file, read_features, stale_sentences, write_features
from chgtools.training.prior import RunFeatures, features_of_entry
from chgtools.training.spins import start_directions

ENCODER = EncoderSettings(prior=PRIOR, spin_channels=2)


def features(structure, directions=None, version=PRIOR):
    """Made up in place of tight binding: numbers that tell structures and moments apart."""
    rng = np.random.default_rng(int(structure.lattice[0, 0] * 1e6))
    made = PriorFeatures.zeros(structure.n_atoms)
    spins = made.spins if directions is None else made.spins + directions.sum()
    return PriorFeatures(made.invariants + rng.normal(), made.tensors + rng.normal(), spins)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(features_cache, "prior_features", features)
    path = tmp_path / "salts.h5"
    with writable(path) as file:
        for k in range(3):
            structure = SALT.with_changes(lattice=SALT.lattice * (1 + 0.05 * k))
            spins = np.stack([random_coefficients(9, total=1.0)]) if k == 2 else None
            facts = {"start_moments": np.array([[2.0, 0.0]])} if k == 2 else None
            write_entry(file, entry_of(structure, random_coefficients(k), 6.0, name=f"e{k}", spins=spins, facts=facts))
    return path


def fails(*_, **__):
    raise ChgtoolsError("tight binding was asked")


def test_what_lies_beside_a_store_is_what_would_be_computed(store, tmp_path, monkeypatch):
    entries = list(Store.open(store).values())
    wanted = [features(entry.structure, start_directions(entry)) for entry in entries]
    (written,) = write_features(store)
    assert (written.path, written.there, written.new, written.failed) == (features_file(store), 0, 3, ())
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(features_cache, "prior_features", fails)
    run = RunFeatures()
    for entry, each in zip(entries, wanted, strict=True):
        for found in (features_of_entry(entry, ENCODER), run.of(entry, ENCODER)):
            for name, values in vars(each).items():
                np.testing.assert_array_equal(getattr(found, name), values)
    assert wanted[2].spins.any()
    assert not run.failed
    assert read_features(entries[2].structure, None, PRIOR) is None  # without moments it is another question
    assert not features_of_entry(entries[2], EncoderSettings(prior=PRIOR)).invariants.any()


def test_it_goes_on_and_says_what_failed(store, monkeypatch):
    def one_fails(structure, directions=None, version=PRIOR):
        second = np.isclose(structure.lattice[0, 0], 1.05 * SALT.lattice[0, 0])
        return fails() if second else features(structure, directions)

    monkeypatch.setattr(kept_features, "cached_features", one_fails)
    (first,) = write_features(store)
    assert (first.new, first.there, first.failed) == (2, 0, ("e1: tight binding was asked",))
    monkeypatch.setattr(kept_features, "cached_features", features)
    done = []
    (second,) = write_features(store, lambda *numbers: done.append(numbers))
    assert (second.new, second.there, second.failed) == (1, 2, ())
    assert done == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("damage", ["version", "digest", "bytes"])
def test_features_of_another_version_are_not_used_and_made_again(store, damage):
    write_features(store)
    path = features_file(store)
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:500])
    else:
        with h5py.File(path, "a") as file:
            file.attrs["prior" if damage == "version" else "sources_sha256"] = "other"
    entry = Store.open(store)["e0"]
    assert read_features(entry.structure, None, PRIOR) is None
    assert features_of_entry(entry, ENCODER).invariants.any()  # computed in its place
    (sentence,) = stale_sentences([Store.open(store)])
    assert sentence.endswith(f"make it again with chgtools dataset features {store}")
    (again,) = write_features(store)
    assert again.new == 3
    assert read_features(entry.structure, None, PRIOR) is not None
    assert stale_sentences([Store.open(store)]) == []


def test_the_command_does_the_stores_of_an_index_and_leaves_them_as_they_are(store, tmp_path, monkeypatch):
    index = tmp_path / "all.h5"
    join(index, [store])
    before = store.read_bytes()
    result = CliRunner().invoke(main, ["dataset", "features", str(index)])
    assert result.exit_code == 0, result.output
    assert result.output == f"{features_file(store)}: 3 structures, 3 of them new\n"
    assert store.read_bytes() == before
    entry = Store.open(index)["e1"]  # the index still fits
    monkeypatch.setattr(training_prior, "cached_features", fails)
    assert features_of_entry(entry, ENCODER).invariants.any()
    result = CliRunner().invoke(main, ["dataset", "features", str(store), "--json"])
    assert json.loads(result.output) == {"file": str(features_file(store)), "new": 0, "there": 3, "failed": 0}
    missing = CliRunner().invoke(main, ["dataset", "features", str(tmp_path / "none.h5")])
    assert missing.exit_code == 1
    assert not (tmp_path / "none.h5.features").exists()
