"""Learned augmentation occupancies: their fit, their turning with the atoms, and which ones a start density gets."""

from dataclasses import replace

import numpy as np
import pytest
from made_entries import an_entry, settings
from made_models import LATTICE, rotation, small

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.errors import SettingsError
from chgtools.models.graph import graph
from chgtools.models.label_reading import LabelReading
from chgtools.models.readings import features_of, predict_records
from chgtools.models.weights import load_model, save_model
from chgtools.paw.records import polarised_record, record_groups, record_length, rotate_record, spherical_record
from chgtools.start.occupancies import start_occupancies
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store, writable, write_entry
from chgtools.training.readings import fit_occupancies, has_records
from chgtools.training.run import train
from chgtools.volumetric import Augmentation

CHANNELS = {"Na_pv": (1, 1, 0, 0), "Si": (0, 0, 1, 1, 3), "O": (0, 1, 2)}
MEANS = {label: np.diag(np.arange(1.0, len(c) + 1)) for label, c in CHANNELS.items()}


def cell(lattice=LATTICE, seed=0):
    """NaSiO2 at random."""
    rng = np.random.default_rng(seed)
    frac = np.array([[0.0, 0.1, 0.9], [0.45, 0.52, 0.33], [0.71, 0.15, 0.4], [0.1, 0.75, 0.6]])
    shift = rng.normal(scale=0.02, size=(4, 3))
    return Structure(lattice, ("Na", "Si", "O"), (1, 1, 2), frac + shift, ("Na_pv", "Si", "O"))


def with_readings(model, seed=1):
    """The model with random readings."""
    rng = np.random.default_rng(seed)
    features = features_of(model.members, graph(cell(), model.elements, model.members[0].settings), model.basis, 6)
    model.occupancies = {
        label: LabelReading(
            channels, MEANS[label],
            {big_l: 0.3 * rng.normal(size=(len(model.members), features[big_l].shape[2], len(index)))
             for big_l, index in record_groups(channels).items() if big_l in features},
            9, 12.5,
        )
        for label, channels in CHANNELS.items()
    }  # fmt: skip
    return model


def entry_of(model, seed):
    """A structure whose records are the model's own readings: a rule that can be learned."""
    structure = cell(seed=seed)
    labels = [structure.labels[group] for group in structure.group_of_atom]
    records = predict_records(model, structure, labels)
    return Entry(
        f"x{seed}", structure, (8, 8, 8), 1.0, np.zeros((0, 3), int), np.zeros(0, complex),
        records=[Augmentation(records)], channels=tuple(CHANNELS[label] for label in structure.labels),
    )  # fmt: skip


@pytest.mark.parametrize("mirror", [False, True])
def test_records_turn_with_the_atoms(mirror):
    turn = rotation(4) * (-1 if mirror else 1)
    model = with_readings(small())
    labels = ["Na_pv", "Si", "O", "O"]
    before, after = (predict_records(model, s, labels) for s in (cell(), cell(LATTICE @ turn.T)))
    for label, first, second in zip(labels, before, after, strict=True):
        assert len(first) == record_length(CHANNELS[label])
        spherical = spherical_record(CHANNELS[label], MEANS[label])
        assert np.abs(first - spherical).max() > 1e-3
        assert np.allclose(second, rotate_record(CHANNELS[label], first, turn), rtol=1e-6, atol=1e-7)


def test_a_rule_is_learned_from_few_structures():
    rule = with_readings(small(members=1))
    entries = [entry_of(rule, seed) for seed in range(60)]
    found = fit_occupancies(small(members=1), entries)
    assert set(found) == set(CHANNELS)
    assert found["O"].atoms == 120
    for label, reading in found.items():
        assert reading.error_percent < 20, label
    learner = small(members=1)
    learner.occupancies = found
    new = entry_of(rule, 1000)
    labels = [new.structure.labels[g] for g in new.structure.group_of_atom]
    for label, wanted, got in zip(
        labels, new.records[0].real, predict_records(learner, new.structure, labels), strict=True
    ):
        departure = wanted - spherical_record(CHANNELS[label], found[label].mean)
        assert np.linalg.norm(got - wanted) < 0.25 * np.linalg.norm(departure), label


def test_of_few_structures_only_the_mean_is_kept():
    rule = with_readings(small(members=1))
    found = fit_occupancies(small(members=1), [entry_of(rule, seed) for seed in range(2)])
    assert not found["Si"].weights
    assert found["Si"].error_percent != found["Si"].error_percent


def test_records_that_mean_nothing_teach_nothing():
    rng = np.random.default_rng(3)
    rule = with_readings(small(members=1))
    entries = []
    for seed in range(12):
        entry = entry_of(rule, seed)
        noise = [rng.normal(size=len(record)) for record in entry.records[0].real]
        entries.append(replace(entry, records=[Augmentation(noise)]))
    found = fit_occupancies(small(members=1), entries)
    assert found["O"].error_percent > 90
    # what was learned is little beside the noise
    learner = small(members=1)
    learner.occupancies = found
    got = predict_records(learner, cell(seed=99), ["Na_pv", "Si", "O", "O"])
    assert np.abs(got[2] - spherical_record((0, 1, 2), found["O"].mean)).max() < 1.0


def test_large_l_that_lmaxmix_left_out_is_not_learned_as_zero():
    rule = with_readings(small(members=1))
    entries = []
    for seed in range(40):
        entry = entry_of(rule, seed)
        if seed % 2:
            cut = [record.copy() for record in entry.records[0].real]
            for atom in (2, 3):
                for big_l in (3, 4):
                    cut[atom][record_groups((0, 1, 2))[big_l]] = 0
            entry = replace(entry, records=[Augmentation(cut)])
        entries.append(entry)
    whole = fit_occupancies(small(members=1), [e for i, e in enumerate(entries) if i % 2 == 0])
    mixed = fit_occupancies(small(members=1), entries)
    assert np.allclose(mixed["O"].weights[4], whole["O"].weights[4], rtol=1e-6, atol=1e-9)


def test_weights_keep_the_readings(tmp_path):
    model = with_readings(small())
    model.labels = ("Na_pv", "Si")
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.labels == ("Na_pv", "Si")
    assert back.occupancies["O"].channels == (0, 1, 2)
    assert (back.occupancies["O"].atoms, back.occupancies["O"].error_percent) == (9, 12.5)
    labels = ["Na_pv", "Si", "O", "O"]
    for first, second in zip(*(predict_records(m, cell(), labels) for m in (model, back)), strict=True):
        assert np.abs(first - second).max() < 1e-5 * np.abs(first).max()


def test_stores_keep_records(tmp_path):
    entry = entry_of(with_readings(small()), 3)
    base = an_entry(3)
    entry = replace(entry, miller=base.miller, dcd=base.dcd, g_max=base.g_max, structure=base.structure.with_changes(labels=("Na_pv", "Cl")),
                    records=[Augmentation([np.arange(33.0), np.arange(15.0)], [np.ones(33), np.zeros(15)])] * 4,
                    magnetisation=np.array([base.dcd] * 3), magnetisation_0=np.zeros(3), channels=((1, 1, 0, 0), ()),
                    attributes={"labels": ["Na_pv", "Cl"], "counts": np.array([1, 1])})  # fmt: skip
    with writable(tmp_path / "s.h5") as file:
        write_entry(file, entry)
    back = Store.open(tmp_path / "s.h5")["x3"]
    assert back.channels == ((1, 1, 0, 0), ())
    assert len(back.records) == 4
    assert back.records[3].real[1].tolist() == list(range(15))
    assert back.records[0].imaginary[0].tolist() == [1.0] * 33
    assert has_records(back)
    assert not has_records(an_entry(1))


def test_training_fits_them(tmp_path):
    path = tmp_path / "s.h5"
    with writable(path) as file:
        for index in range(8):
            entry = an_entry(index)
            records = [Augmentation([np.full(33, index + 1.0), np.full(33, 2.0)])]
            write_entry(file, replace(entry, records=records, channels=((1, 1, 0, 0), (0, 0, 1, 1)),
                                      attributes=dict(entry.attributes) | {"labels": ["Na_pv", "Cl"], "counts": np.array([1, 1])}))  # fmt: skip
    run = settings(path, validation={"share": 0.0})
    model = train(run, tmp_path / "first")
    assert model.labels == ("Cl", "Na_pv")
    assert set(model.occupancies) == {"Na_pv", "Cl"}
    bare = train(replace(run, occupancies=False), tmp_path / "second")
    assert not bare.occupancies
    after = train(replace(run, steps=0), tmp_path / "third", start=bare)
    assert set(after.occupancies) == {"Na_pv", "Cl"}
    structure = an_entry(3).structure
    assert np.array_equal(after.predict(structure).coefficients, bare.predict(structure).coefficients)
    with pytest.raises(SettingsError, match="steps = 0"):
        train(replace(run, steps=0), tmp_path / "fourth")


def atom(label, zval, channels=None, occupancies=None, mean=None):
    q = np.linspace(0, 20, 201)
    return AtomicDensity(label, label.split("_")[0], zval, q, zval * np.exp(-(q**2) / 8), "test", channels=channels,
                         occupancies=occupancies, mean_occupancies=mean)  # fmt: skip


def densities(mean=True, channels=True):
    return [
        atom(
            label,
            6.0,
            c if channels else None,
            2 * MEANS[label] if channels else None,
            3 * MEANS[label] if mean and channels else None,
        )
        for label, c in CHANNELS.items()
    ]


def size(found, ion):
    """The first number of an ion's record of the total density, in units of its mean occupancies' first number."""
    return found.blocks[0].real[ion][0] / spherical_record((0,), np.ones((1, 1)))[0]


def test_a_grid_with_atomic_cores_gets_the_atoms_own():
    model = with_readings(small())
    found = start_occupancies(cell(), densities(), model=model)
    assert found.source == "of the atoms"
    assert size(found, 0) == pytest.approx(2.0)
    assert "the density of other potentials" in found.sentences[0]
    assert start_occupancies(cell(), densities()).sentences == ()


def test_a_grid_of_the_same_potentials_gets_learned_ones_then_means_then_atoms():
    model = with_readings(small())
    model.labels = tuple(CHANNELS)
    assert start_occupancies(cell(), densities(), model=model).source == "learned"
    del model.occupancies["O"]
    found = start_occupancies(cell(), densities(), model=model)
    assert found.source == "learned (2), mean of reference CHGCARs (2)"
    assert size(found, 2) == pytest.approx(3.0)
    found = start_occupancies(cell(), densities(mean=False), model=model)
    assert found.source == "learned (2), of the atoms (2)"
    assert "the atoms' own" in found.sentences[0]
    without_potcar = [replace(d, channels=None, occupancies=None, mean_occupancies=None) for d in densities()[:2]]
    found = start_occupancies(cell(), [*without_potcar, densities()[2]], model=model)
    assert found.source == "learned (2), mean of reference CHGCARs (2)"


def test_channels_of_another_potcar_are_not_mixed_up():
    model = with_readings(small())
    model.labels = tuple(CHANNELS)
    other = [*densities()[:2], atom("O", 6.0, (0, 0, 1, 1), np.eye(4))]
    found = start_occupancies(cell(), other, model=model)
    assert found.source == "learned (2), of the atoms (2)"
    assert len(found.blocks[0].real[2]) == 33


def test_lmaxmix_zeroes_what_vasp_would_not_read():
    model = with_readings(small())
    model.labels = tuple(CHANNELS)
    big = record_groups((0, 1, 2))
    for lmaxmix, zero in ((2, (3, 4)), (4, ())):
        record = start_occupancies(cell(), densities(), model=model, lmaxmix=lmaxmix).blocks[0].real[2]
        for big_l, index in big.items():
            assert record[index].any() == (big_l not in zero)


def test_what_is_asked_for_is_given_or_refused():
    model = with_readings(small())
    assert start_occupancies(cell(), densities(), wanted="learned", model=model).source == "learned"
    assert start_occupancies(cell(), densities(), wanted="mean", model=model).source == "mean of reference CHGCARs"
    assert start_occupancies(cell(), densities(), wanted="none", model=model).blocks is None
    with pytest.raises(SettingsError, match=r"no occupancies \(mean of reference CHGCARs\) are known for Na_pv, O, Si"):
        start_occupancies(cell(), densities(mean=False), wanted="mean")
    with pytest.raises(SettingsError, match=r"no occupancies \(learned\) are known for Na_pv, O, Si"):
        start_occupancies(cell(), densities(), wanted="learned")
    with pytest.raises(SettingsError, match="wanted one of auto, learned"):
        start_occupancies(cell(), densities(), wanted="best")
    nothing = start_occupancies(cell(), densities(channels=False))
    assert nothing.blocks is None
    assert "not ready for ICHARG = 11" in nothing.sentences[0]


def test_spin_blocks_are_scaled_by_the_moments():
    moments = np.array([3.0, -1.5, 0.0, 0.6])
    found = start_occupancies(cell(), densities(), moments=moments)
    assert len(found.blocks) == 2
    order = [density for density, count in zip(densities(), cell().counts, strict=True) for _ in range(count)]
    one = polarised_record(order[1].channels, found.blocks[0].real[1], order[1].occupancies, 6.0)
    assert one.any()
    assert np.allclose(found.blocks[1].real[1], -1.5 * one)
