"""Elements that weights never saw: predicted for with a tight-binding prior, from tabulated properties and features."""

from __future__ import annotations

import json
from dataclasses import replace

import made_molecules
import numpy as np
import pytest
import torch
from made_models import rotation, wigner
from made_models import small as without_a_prior
from made_molecules import DATA, SOME
from small_entries import BASIS

import chgtools
from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import SettingsError
from chgtools.fourier.basis import total_charge
from chgtools.libraries.choice import Source, choose
from chgtools.libraries.ground_state import ground_state_change
from chgtools.models import choice
from chgtools.models.descriptors import NAMES, properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.graph import FOREIGN, graph
from chgtools.models.model import DensityModel, Estimate, Trust
from chgtools.models.prior import PriorScales
from chgtools.models.weights import PACKAGED, load_model, packaged, read_facts, save_model
from chgtools.start.learned import learned_difference
from chgtools.start.superposition import superpose
from chgtools.stores.store import Store
from chgtools.tightbinding.features import PRIOR, PriorFeatures, prior_features
from chgtools.training.calibration import observe
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.members import Listener
from chgtools.training.prior import RunFeatures
from chgtools.training.run import train
from chgtools.training.samples import sample_of
from chgtools.training.torch_network.conversion import network_of
from chgtools.training.torch_network.encoder import Encoder
from chgtools.training.torch_network.graph import TensorGraph, merge, with_foreign
from chgtools.training.trainer import Trainer

ENCODER = replace(made_molecules.ENCODER, unknown=0.5)
pytestmark = pytest.mark.usefixtures("no_cache_of_the_user")

GRID = chgtools.GridOptions(ngf=(24, 24, 24))
LATTICE = np.array([[5.0, 0.1, -0.2], [0.3, 4.8, 0.3], [-0.2, 0.4, 5.2]])
FRAC = np.array([[0.5, 0.52, 0.49], [0.5, 0.7, 0.63], [0.48, 0.31, 0.62]])
SULPHIDE = Structure(LATTICE, ("S", "H"), (1, 2), FRAC)
WATER = Structure(LATTICE, ("O", "H"), (1, 2), FRAC)


@pytest.fixture(scope="module")
def store(store_of_molecules):
    return store_of_molecules


def settings(store, **changes):
    return made_molecules.settings(store, **({"encoder": ENCODER, "validation": Validation(0.0)} | changes))


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    """With model.safetensors, trained on H, C, N and O, of which some were hidden now and then."""
    path = tmp_path_factory.mktemp("trained")
    train(settings(store), path)
    return path


@pytest.fixture
def weights(folder):
    return load_model(folder / "model.safetensors")


def learned(elements=("Na", "O"), prior=PRIOR, **changes):
    """One encoder of random weights."""
    torch.manual_seed(5)
    encoder = Encoder(
        replace(ENCODER, **({"prior": prior, "unknown": 0.0} | changes)),
        BASIS.n_max,
        torch.as_tensor(properties(elements)).float(),
    )
    if prior != "none":
        encoder.prior.set_scales(PriorScales.of([prior_features(SULPHIDE)]))
    return DensityModel("made", elements, np.arange(1.0, 1 + len(elements)), BASIS, "dcd", [network_of(encoder)])


# --- prediction -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [0.0, -1.5])
def test_an_element_that_was_never_seen_is_predicted_for(weights, total):
    assert weights.elements == ("C", "H", "N", "O")
    estimate = weights.predict(SULPHIDE, total)
    assert estimate.unseen == ("S",)
    assert np.isfinite(estimate.coefficients).all()
    assert np.abs(estimate.coefficients[0]).max() > 1e-3 * np.abs(estimate.coefficients).max()
    assert estimate.atom_spread[0] > 0
    assert total_charge(estimate.coefficients, BASIS) == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("mirror", [False, True])
def test_its_coefficients_turn_with_the_atoms(weights, mirror):
    turn = rotation() * (-1 if mirror else 1)
    moved = Structure(LATTICE @ turn.T, ("S", "H"), (1, 2), FRAC + [0.31, -0.47, 2.2])
    before, after = (weights.coefficients(structure) for structure in (SULPHIDE, moved))
    wanted = np.einsum("ij,kajn->kain", wigner(turn)[:9, :9], before)
    np.testing.assert_allclose(after, wanted, atol=1e-5 * np.abs(before).max())


def test_what_is_said_of_it_follows_from_its_properties_and_from_tight_binding(weights):
    """Selenium in the same place has other features and other properties; features alone make a difference too."""
    selenide = Structure(LATTICE, ("Se", "H"), (1, 2), FRAC)
    same = replace(weights, features_of=lambda *_: prior_features(SULPHIDE))
    one, other, third = (
        model.coefficients(made) for model, made in ((weights, SULPHIDE), (same, selenide), (weights, selenide))
    )
    assert np.abs(one - other).max() > 1e-3 * np.abs(one).max()
    assert np.abs(third - other).max() > 1e-3 * np.abs(one).max()


def test_elements_beyond_the_prior_are_left_out(weights):
    beyond = Structure(LATTICE, ("Am", "H"), (1, 2), FRAC)
    weights.features_of = lambda made, *_: PriorFeatures.zeros(made.n_atoms)
    estimate = weights.predict(beyond)
    assert (estimate.unseen, estimate.unseen_share) == (("Am",), 0.0)
    assert not estimate.coefficients[0].any()
    assert [weights.knows(symbol) for symbol in ("H", "S", "Pu", "Am", "Og")] == [True, True, True, False, False]


def test_weights_without_a_prior_leave_it_out():
    model = learned(prior="none")
    assert not model.knows("S")
    assert not model.predict(SULPHIDE).coefficients.any()
    estimate = without_a_prior().predict(WATER)
    assert (estimate.unseen, estimate.unseen_share) == (("H",), 0.0)


@pytest.mark.parametrize("unknown", [0.0, 0.5])
def test_it_is_an_element_with_the_vector_of_nobody(unknown):
    """So says an encoder that has the element, with that vector and the same properties."""
    model, rng = learned(unknown=unknown, free_atoms=True), np.random.default_rng(1)
    tensors = model.members[0].tensors
    tensors["atoms"] = rng.normal(size=tensors["atoms"].shape)
    if unknown:
        tensors["embedding_any"] = rng.normal(size=tensors["embedding_any"].shape)
    nobody = tensors["embedding_any"] if unknown else tensors["embedding"].mean(axis=0, keepdims=True)
    full = learned(("Na", "O", "H", "S"), unknown=unknown, free_atoms=True)
    full.members[0].tensors.update(tensors, properties=full.members[0].properties)
    full.members[0].tensors["embedding"] = np.concatenate([tensors["embedding"], nobody, nobody])
    full.members[0].tensors["atoms"] = np.concatenate([tensors["atoms"], np.zeros((2, BASIS.n_max))])
    for structure in (SULPHIDE, WATER):
        found, wanted = (each.coefficients(structure) for each in (model, full))
        np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_its_electrons_are_those_of_the_default_label(weights):
    weights.zvals = np.array([4.0, 1.0, 5.0, 6.0])
    assert weights.predict(SULPHIDE).unseen_share == pytest.approx(6 / 8)
    assert weights.predict(WATER).unseen_share == 0
    polonium = Structure(LATTICE, ("Po", "H"), (1, 2), FRAC)  # whose default is a guess: who chooses the atom says so
    assert weights.predict(polonium).unseen_share == pytest.approx(16 / 18)
    once = weights.predict(SULPHIDE)
    electrons = 100 * np.sqrt((weights.coefficients(SULPHIDE).mean(0) ** 2).sum((1, 2))).sum() / once.norm_percent
    assert electrons == pytest.approx(8)


def test_weights_are_less_sure_of_it_by_their_trust(weights):
    def predicted(unseen, structure):
        weights.trust = Trust(-1.0, 0.8, 0.5, 1.0, unseen)
        return weights.predict(structure)

    first, second = (predicted(unseen, SULPHIDE) for unseen in (1.0, 3.0))
    share = first.unseen_share
    assert 0.5 < share < 1
    assert second.spread_percent == first.spread_percent
    assert second.error_percent == pytest.approx(first.error_percent * (1 + 2 * share) ** 0.8)
    size = 0.5 * first.norm_percent
    assert second.damping == pytest.approx(size**2 / (size**2 + second.error_percent**2))
    assert second.damping < first.damping
    assert predicted(1.0, WATER).error_percent == predicted(3.0, WATER).error_percent


def test_observations_say_how_much_was_unseen(weights):
    entry = replace(Store.open(DATA)[SOME[1]], structure=Structure(LATTICE, ("S", "H"), (1, 2), FRAC))
    (found,) = observe(weights, [entry])
    weights.trust = Trust()
    assert found.unseen_share == weights.predict(SULPHIDE).unseen_share > 0


def test_the_sentence_says_what_was_done(weights):
    made = chgtools.predict(SULPHIDE, model=weights, grid=GRID)
    (sentence,) = [each for each in made.assumptions if "have not seen" in each]
    assert sentence == (
        "the weights 'model' have not seen S: the difference density of 1 of 3 atoms is what tight binding and the "
        "other elements say"
    )
    assert not any("have not seen" in each for each in chgtools.predict(WATER, model=weights, grid=GRID).assumptions)
    assert made.data.electrons == pytest.approx(made.electrons_of_atoms, abs=1e-8)


@pytest.mark.parametrize(("prior", "counted"), [(PRIOR, True), ("none", False)])
def test_it_counts_from_the_ground_state_where_something_is_said_of_it(prior, counted):
    """Whatever a network says of an atom, it learned to say it of ground states; an atom that is left out keeps its own."""
    titanium = Structure(LATTICE, ("Ti", "O"), (1, 2), FRAC)
    densities, model, shape = choose(titanium, Source()).densities, learned(prior=prior), (20, 20, 20)
    nothing = np.zeros((3, BASIS.n_lm, BASIS.n_max))
    estimate = Estimate(nothing, 1.0, np.zeros(3), 0.7, ("Ti",), 1.0, 1.0)
    found = learned_difference(titanium, shape, densities, model, estimate)
    alone = Structure(LATTICE, ("Ti",), (1,), FRAC[:1])
    ground, present = (superpose(alone, shape, [each]) for each in ground_state_change(densities[0]))
    np.testing.assert_allclose(found, 0.7 * (ground - present) if counted else 0 * ground, atol=1e-12)
    assert np.abs(ground - present).max() > 1e-3


# --- which weights ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Packaged weights: "si" of silicon alone, without a prior, and "base" of others, with the prior asked for."""

    def fill(prior):
        save_model(replace(learned(("Si",), "none"), name="si"), tmp_path / "si.safetensors")
        save_model(replace(learned(("O", "Si"), prior), name="base"), tmp_path / "base.safetensors")
        monkeypatch.setattr(choice, "packaged", lambda name: tmp_path / f"{name}.safetensors")
        monkeypatch.setattr(choice, "find_weights", lambda name: tmp_path / f"{name}.safetensors")
        monkeypatch.setattr(choice, "read_facts", lambda name: read_facts(tmp_path / f"{name}.safetensors"))

    return fill


def chosen(*symbols):
    made = choice.choose_model(Structure(LATTICE, symbols, (1,) * len(symbols), FRAC[: len(symbols)]))
    return made.name, made.reason


def test_with_a_prior_some_weights_fit_all_elements_up_to_plutonium(shelf):
    shelf(PRIOR)
    assert chosen("Tc") == ("base", "none has seen an element of this structure; tight binding has features of all")
    assert chosen("Am") == ("none", "no packaged weights know an element of this structure")
    assert chosen("Tc", "O") == ("base", "it knows 1 of 2 atoms' elements")
    assert chosen("Tc", "Si") == ("base", "it knows 1 of 2 atoms' elements")
    assert chosen("Si") == ("si", "the structure is all Si")
    assert chosen("Si", "O") == ("base", "it knows all elements")


def test_without_a_prior_weights_are_chosen_as_ever(shelf):
    shelf("none")
    assert chosen("Tc") == ("none", "no packaged weights know an element of this structure")
    assert chosen("Tc", "Si") == ("si", "it knows 1 of 2 atoms' elements")
    assert chosen("Tc", "O") == ("base", "it knows 1 of 2 atoms' elements")


# --- files ------------------------------------------------------------------------------------------------------------


def test_weights_come_back_as_they_were(weights, tmp_path):
    weights.trust = Trust(0.1, 0.9, 0.5, 1.0, 2.5)
    save_model(weights, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert (back.trust, back.members[0].settings.unknown) == (weights.trust, 0.5)
    first, second = (each.predict(SULPHIDE).coefficients for each in (weights, back))
    assert np.abs(first - second).max() < 1e-6 * np.abs(first).max()
    for member, other in zip(weights.members, back.members, strict=True):
        assert member.nobody.any()
        assert np.array_equal(member.nobody, other.nobody)


def test_files_of_weights_that_need_it_not_say_nothing_of_it(tmp_path):
    """So that earlier versions read them."""
    for prior in ("none", PRIOR):
        save_model(learned(prior=prior), tmp_path / f"{prior}.safetensors")
        facts = json.dumps(read_facts(tmp_path / f"{prior}.safetensors"))
        assert "unknown" not in facts
        assert "unseen" not in facts
        assert "embedding_any" not in load_model(tmp_path / f"{prior}.safetensors").members[0].tensors


# --- properties and graphs --------------------------------------------------------------------------------------------


def test_every_element_up_to_plutonium_has_properties_whatever_is_beside_it():
    everyone = properties(tuple(SYMBOLS[:94]))
    assert everyone.shape == (94, len(NAMES))
    assert np.isfinite(everyone).all()
    assert np.abs(everyone).max() < 10
    np.testing.assert_array_equal(properties(("Pu", "S")), everyone[[93, 15]])
    assert len(np.unique(everyone, axis=0)) == 94


@pytest.mark.skipif(not all(packaged(name).is_file() for name in PACKAGED), reason="no packaged weights")
@pytest.mark.parametrize("name", PACKAGED)
def test_properties_are_standardised_as_those_in_the_files_of_weights(name):
    facts = read_facts(name)
    np.testing.assert_allclose(properties(tuple(facts["elements"])), facts["properties"], atol=1e-6)


def test_foreign_atoms_of_several_graphs_keep_their_properties():
    plain = replace(ENCODER, prior="none", unknown=0.0)
    table = torch.as_tensor(properties(("H", "O"))).float()
    graphs = [TensorGraph.of(graph(made, ("H", "O"), plain)) for made in (SULPHIDE, WATER, SULPHIDE)]
    batch = merge([graphs[0], with_foreign(graphs[1], 0, table), graphs[2]])
    assert batch.element.tolist() == [FOREIGN, 0, 0, 1, FOREIGN, FOREIGN, FOREIGN, 0, 0]
    wanted = properties(("S", "H", "H", "S"))
    np.testing.assert_allclose(batch.foreign, wanted, atol=1e-6)
    assert graphs[1].element.tolist() == [1, 0, 0]


# --- training ---------------------------------------------------------------------------------------------------------


def test_a_hidden_element_follows_from_seed_step_and_structure(store):
    entry = Store.open(store)[SOME[2]]  # C2H3N
    elements, run = ("C", "H", "N"), settings(store, encoder=replace(ENCODER, unknown=0.3))
    table = torch.as_tensor(properties(elements)).float()
    sample = sample_of(entry, elements, run.encoder, BASIS, 400, prior=prior_features(entry.structure))

    def drawn(seed, number):
        trainer = Trainer(replace(run, seed=seed), run.encoder, BASIS, table, 0)
        seen = []
        for trainer.step in range(300):
            atoms = trainer._with_some_hidden(sample, number).atoms
            hidden = sample.atoms.element[atoms.element == FOREIGN]
            assert len(hidden.unique()) <= 1
            assert int(torch.isin(sample.atoms.element, hidden).sum()) == len(hidden)
            assert torch.equal(atoms.foreign, table[hidden])
            seen.append(int(hidden[0]) if len(hidden) else None)
        return seen

    first = drawn(0, 4)
    assert first == drawn(0, 4)
    assert first != drawn(1, 4)
    assert first != drawn(0, 5)
    assert 60 < sum(element is not None for element in first) < 120
    assert min(first.count(element) for element in range(3)) > 15
    never = Trainer(run, replace(ENCODER, unknown=0.0), BASIS, table, 0)
    assert never._with_some_hidden(sample, 4) is sample


def test_a_stopped_training_goes_on_exactly(store, folder, tmp_path):
    whole = load_model(folder / "model.safetensors")

    class Stopped(Exception):
        pass

    def stop(member, progress):
        if progress.step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        train(settings(store), tmp_path, listener=Listener(evaluated=stop))
    parts = train(settings(store), tmp_path)
    for one, other in zip(whole.members, parts.members, strict=True):
        for name, value in one.tensors.items():
            assert np.array_equal(value, other.tensors[name]), name


def test_hiding_changes_the_training_and_begins_as_without(store, folder):
    """The vector of nobody starts at 0 and takes no random number from the other weights."""
    table = torch.as_tensor(properties(("H", "O"))).float()
    one, other = (Trainer(settings(store), replace(ENCODER, unknown=u), BASIS, table, 0).encoder for u in (0.0, 0.5))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert not other.embedding_any.any()


def test_fine_tuning_goes_on_hiding(store, weights, tmp_path):
    weights.trust = Trust(0.1, 0.9, 0.5, 1.0, 2.5)
    weights.features_of = RunFeatures()
    tuned = train(settings(store, encoder=replace(ENCODER, unknown=0.0), steps=3), tmp_path, start=weights)
    assert tuned.trust.unseen == 2.5
    for before, after in zip(weights.members, tuned.members, strict=True):
        assert after.settings.unknown == 0.5
        assert not np.array_equal(before.nobody, after.nobody)


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        (EncoderSettings(unknown=0.1), "found encoder.unknown = 0.1 and no prior"),
        (EncoderSettings(prior=PRIOR, unknown=1.1), "found encoder.unknown = 1.1; wanted a number from 0 to 1"),
    ],
)
def test_impossible_settings_are_refused(encoder, says):
    with pytest.raises(SettingsError, match=says):
        TrainSettings(data=("-",), encoder=encoder)
