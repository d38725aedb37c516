"""The learned magnetisation: its symmetries, its training, and what happens to atoms without moments."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_entries import BASIS as SMALL_BASIS
from made_entries import ENCODER, an_entry
from made_models import FRAC, LATTICE, rotation, wigner

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.errors import FormatError
from chgtools.fourier.basis import RadialBasis, expand, waves
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.model import DensityModel
from chgtools.models.prior import PriorScales, has_open_shell
from chgtools.models.weights import load_model, save_model
from chgtools.start.magnetisation import start_magnetisation
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store, writable, write_entry
from chgtools.tightbinding.features import FIRST, PRIOR, SECOND, no_spins, prior_features
from chgtools.training.config import TrainSettings, Validation
from chgtools.training.losses import magnetic_percent
from chgtools.training.run import train
from chgtools.training.samples import sample_of
from chgtools.training.spins import directions, start_directions
from chgtools.training.torch_network.conversion import encoder_of, network_of
from chgtools.training.torch_network.encoder import Encoder
from chgtools.training.torch_network.graph import TensorGraph, merge

BASIS = RadialBasis(n_max=4)
ELEMENTS = ("Fe", "O", "Si")
UP = np.array([[1.0], [0.0], [-1.0], [0.0]])
NO_SPINS = no_spins(4)


with_and_without_prior = pytest.mark.parametrize("prior", ["none", FIRST, SECOND, PRIOR])


def magnetic(members=2, prior="none", message_l_max=0):
    torch.manual_seed(4)
    settings = EncoderSettings(
        cutoff=4.5, radial=6, channels=5, hidden=16, state=8, readings=3, spin_channels=4, prior=prior,
        message_l_max=message_l_max,
    )  # fmt: skip
    known = torch.as_tensor(properties(ELEMENTS), dtype=torch.float32)
    encoders = [Encoder(settings, BASIS.n_max, known) for _ in range(members)]
    for encoder in encoders if prior != "none" else ():
        encoder.prior.set_scales(PriorScales.of([prior_features(cell(), UP, prior)]))
    networks = [network_of(encoder) for encoder in encoders]
    return DensityModel("test", ELEMENTS, np.array([8.0, 6.0, 4.0]), BASIS, "dcd", networks, spins=("Fe",))


def cell(lattice=LATTICE, frac=FRAC, species=("Fe", "O", "Fe", "Si")):
    return Structure(lattice, species, (1, 1, 1, 1), frac)


def learned(spin, structure=None, prior="none", message_l_max=0):
    found = magnetic(prior=prior, message_l_max=message_l_max).predict(structure or cell(), 0.0, spin).magnetisation
    assert found is not None
    return found


@with_and_without_prior
def test_the_magnetisation_changes_sign_with_all_moments(prior):
    first, second = learned(UP, prior=prior), learned(-UP, prior=prior)
    assert np.abs(first).max() > 1e-3
    assert np.allclose(first, -second, rtol=1e-8, atol=1e-10)
    ferro = learned(np.abs(UP), prior=prior)
    assert np.abs(ferro - first).max() > 1e-3 * np.abs(first).max()  # the neighbours' moments count


@with_and_without_prior
def test_it_turns_with_the_moments_and_a_collinear_one_is_a_case_of_it(prior):
    turn = rotation(3)
    vectors = UP * [[0, 0, 1]]
    along_z, turned = learned(vectors, prior=prior), learned(vectors @ turn.T, prior=prior)
    assert np.allclose(along_z[2], learned(UP, prior=prior)[0], rtol=1e-8, atol=1e-10)
    assert not along_z[:2].any()
    assert np.allclose(turned, np.einsum("ij,janm->ianm", turn, along_z), rtol=1e-7, atol=1e-9)


@with_and_without_prior
def test_moments_that_are_not_along_one_axis_turn_as_well(prior):
    vectors, turn = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0.6, 0.8], [0, 0, 0]]), rotation(3)
    before, after = learned(vectors, prior=prior), learned(vectors @ turn.T, prior=prior)
    assert all(np.abs(component).max() > 1e-4 for component in before)
    # moments settle to 5e-3 μ_B: rounding errors have some way to grow
    assert np.allclose(after, np.einsum("ij,janm->ianm", turn, before), atol=3e-4 * np.abs(before).max())


@pytest.mark.parametrize(("prior", "message_l_max"), [("none", 0), (FIRST, 0), (PRIOR, 0), ("none", 2), (PRIOR, 2)])
@pytest.mark.parametrize("mirror", [False, True])
def test_it_turns_with_the_atoms(mirror, prior, message_l_max):
    turn = rotation() * (-1 if mirror else 1)
    before, after = (learned(UP, made, prior, message_l_max) for made in (cell(), cell(LATTICE @ turn.T)))
    assert np.abs(after - np.einsum("ij,kajn->kain", wigner(turn), before)).max() < 1e-5 * np.abs(before).max()


def test_the_prior_has_moments_of_elements_that_were_never_seen():
    """Cobalt's open shell has some, gallium's has none; what was learned says nothing of either."""
    model = magnetic(prior=PRIOR)
    strangers, along = cell(species=("Co", "O", "Ga", "Si")), np.array([[1.0], [1.0], [1.0], [1.0]])
    assert np.array_equal(model.prior_pointing(strangers, along), [[1.0], [0.0], [0.0], [0.0]])
    assert model.pointing(strangers, along) is None
    assert np.array_equal(
        model.features(strangers, along).spins, prior_features(strangers, along * UP**2 * (UP > 0)).spins
    )
    estimate = model.predict(strangers, 0.0, along)
    assert estimate.magnetisation is None
    assert np.abs(estimate.coefficients - model.predict(strangers).coefficients).max() > 1e-4
    assert magnetic(prior=FIRST).prior_pointing(strangers, along) is None


@pytest.mark.parametrize(
    ("element", "has"), [("Fe", True), ("Gd", True), ("Cu", False), ("Zn", False), ("O", False), ("Am", False)]
)
def test_open_shells(element, has):
    assert has_open_shell(element) == has


def test_moments_of_the_prior_count():
    model = magnetic(prior=PRIOR)
    plain = replace(model, features_of=lambda made, *_: replace(prior_features(made, UP), spins=NO_SPINS))
    first, second = (each.predict(cell(), 0.0, UP) for each in (model, plain))
    assert np.abs(first.magnetisation - second.magnetisation).max() > 1e-2 * np.abs(first.magnetisation).max()
    assert np.abs(first.coefficients - second.coefficients).max() > 1e-3 * np.abs(first.coefficients).max()


@pytest.mark.parametrize("message_l_max", [0, 2])
def test_structures_are_merged_whatever_their_moments_are(message_l_max):
    """A spiral, a collinear magnet and a crystal without moments in one batch, as each by itself."""
    model = magnetic(members=1, prior=PRIOR, message_l_max=message_l_max)
    spiral = np.array([[1.0, 0, 0], [0, 0, 0], [0, 0.6, 0.8], [0, 0, 0]])
    alone = [TensorGraph.of(model.atoms(cell(), spin), torch.float64) for spin in (spiral, UP, None)]
    encoder, together = encoder_of(model.members[0]).double(), merge(alone)
    found = encoder.magnetisation(encoder.describe(together), together).detach().numpy()
    for index, (atoms, components) in enumerate(zip(alone, (3, 1, 1), strict=True)):
        own = encoder.magnetisation(encoder.describe(atoms), atoms).detach().numpy()
        part = found[:, 4 * index : 4 * index + 4]
        assert np.allclose(part[3 - components :], own, atol=1e-9)
        assert np.allclose(part[: 3 - components], 0, atol=1e-9)


def test_atoms_without_moments_are_polarised_by_their_neighbours():
    found = learned(UP)[0]
    assert np.abs(found[1]).max() > 1e-4  # the oxygen beside iron
    assert magnetic().predict(cell(), 0.0, 0 * UP).magnetisation is None


def test_only_elements_with_moments_in_the_data_have_them():
    other = cell(species=("Fe", "O", "Si", "Si"))
    spin = np.array([[1.0], [1.0], [0.0], [-1.0]])
    assert np.allclose(learned(spin, other), learned(spin * [[1], [0], [0], [0]], other), rtol=1e-12, atol=0)
    assert magnetic().predict(cell(species=("Si", "O", "O", "Si")), 0.0, UP).magnetisation is None


@pytest.mark.parametrize("prior", ["none", FIRST])
def test_the_density_is_the_same_with_and_without_moments(prior):
    model = magnetic(prior=prior)
    with_spin, without = model.predict(cell(), 0.0, UP), model.predict(cell())
    assert np.array_equal(with_spin.coefficients, without.coefficients)


def test_the_density_follows_the_moments_of_the_prior_but_not_their_sign():
    model = magnetic(prior=PRIOR)
    up, down, without = (model.predict(cell(), 0.0, spin).coefficients for spin in (UP, -UP, None))
    assert np.allclose(up, down, rtol=1e-8, atol=1e-10)
    assert np.abs(up - without).max() > 1e-3 * np.abs(up).max()
    # silicon's moment does not count: no moment of silicon was in the data
    silicon = np.array([[0.0], [0.0], [0.0], [1.0]])
    assert np.array_equal(model.predict(cell(), 0.0, silicon).coefficients, without)
    assert np.array_equal(model.predict(cell(), 0.0, UP + silicon).coefficients, up)


@with_and_without_prior
def test_weights_keep_it(tmp_path, prior):
    model = magnetic(prior=prior)
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.spins == ("Fe",)
    found = back.predict(cell(), 0.0, UP).magnetisation
    assert np.abs(found - learned(UP, prior=prior)).max() < 1e-5 * np.abs(found).max()


def start(magmom, model, species=("Fe", "O", "Fe", "Si"), damping=None):
    """The start magnetisation of a cell whose atoms have Gaussian densities."""
    structure = cell(species=species)
    q = np.linspace(0, 20, 201)
    atoms = [AtomicDensity(s, s, 5.0, q, 5.0 * np.exp(-(q**2) / 6), "test") for s in species]
    estimate = model.predict(structure, 0.0, directions(magmom))
    if damping is not None:
        estimate = replace(estimate, damping=damping)
    return start_magnetisation(structure, (20, 21, 24), atoms, np.asarray(magmom), model, estimate), structure


def test_the_file_gets_the_learned_magnetisation_and_moments():
    model = magnetic(members=1)
    found, structure = start([2.0, 0.0, -3.0, 0.0], model)
    coefficients = learned_single(UP, model)
    assert found.learned
    assert np.allclose(found.blocks[0], expand(structure, coefficients, BASIS, (20, 21, 24)))
    assert np.allclose(found.moments, coefficients[:, 0] @ BASIS.charges)
    assert found.blocks[0].mean() * structure.volume == pytest.approx(found.moments.sum(), abs=1e-6)


def learned_single(spin, model):
    return model.predict(cell(), 0.0, spin).magnetisation[0]


def test_what_is_damped_is_that_of_magmom():
    model = magnetic(members=1)
    magmom = [2.0, 0.0, -3.0, 0.0]
    whole, structure = start(magmom, model)
    half, _ = start(magmom, model, damping=0.5)
    none, _ = start(magmom, model, damping=0.0)
    assert none.blocks[0].mean() * structure.volume == pytest.approx(-1.0, abs=1e-6)
    assert np.allclose(none.moments, magmom)
    assert np.allclose(half.blocks[0], 0.5 * (whole.blocks[0] + none.blocks[0]), atol=1e-9)


def test_atoms_of_unknown_elements_keep_magmom():
    model = magnetic(members=1)
    found, structure = start([2.0, 0.5, 1.0, 0.7], model, species=("Fe", "O", "Gd", "Si"))
    assert found.moments[2] == pytest.approx(1.0)
    assert found.blocks[0].mean() * structure.volume == pytest.approx(found.moments.sum(), abs=1e-6)


def test_without_elements_that_have_moments_it_is_magmom_alone():
    found, structure = start([1.0, 1.0, 1.0, 1.0], magnetic(members=1), species=("Si", "O", "O", "Si"))
    assert not found.learned
    assert found.blocks[0].mean() * structure.volume == pytest.approx(4.0, abs=1e-6)


def test_a_non_collinear_file_has_three_blocks_that_turn():
    model, turn = magnetic(members=1), rotation(2)
    magmom = np.array([[0.0, 0, 2], [0, 0, 0], [0, 0, -3], [0, 0, 0]])
    along, _ = start(magmom, model)
    turned, _ = start(magmom @ turn.T, model)
    assert len(along.blocks) == 3
    assert np.allclose(turned.moments, along.moments @ turn.T, atol=1e-9)
    assert np.allclose(np.array(turned.blocks), np.einsum("ij,jxyz->ixyz", turn, np.array(along.blocks)), atol=1e-9)


def test_directions():
    assert directions([2.0, -0.5, 0.0]).tolist() == [[1.0], [-1.0], [0.0]]
    assert np.allclose(directions([[3.0, 0, 4.0], [0, 0, 0]]), [[0.6, 0, 0.8], [0, 0, 0]])


def spin_entry(index, sign=1.0):
    """The cell of test_train with a magnetisation around its first atom, larger where the bond is longer."""
    entry = an_entry(index)
    c = np.zeros((2, SMALL_BASIS.n_lm, SMALL_BASIS.n_max))
    c[0, 0, 0] = sign * (0.3 + 0.2 * entry.structure.lattice[0, 0])
    m = np.einsum("gakn,akn->g", waves(entry.structure, entry.miller, SMALL_BASIS), c)
    moment = float(c[:, 0] @ SMALL_BASIS.charges @ np.ones(2))
    facts = dict(entry.attributes) | {"start_moments": np.array([[sign, 0.0]])}
    return replace(entry, magnetisation=m[None], magnetisation_0=np.array([moment]), attributes=facts), c


def test_the_error_is_that_on_the_grid():
    entry, c = spin_entry(3)
    sample = sample_of(entry, ("Cl", "Na"), replace(ENCODER, spin_channels=2), SMALL_BASIS, 10**6)
    even = torch.as_tensor([True, False, False, False, True, True, True, True, True])
    charges = torch.as_tensor(SMALL_BASIS.charges).float()
    guess = torch.as_tensor(1.3 * c[None]).float()
    missed = expand(entry.structure, 0.3 * c, SMALL_BASIS, entry.shape)
    dcd = entry.on_grid()
    expected = sample.scale * np.sqrt((missed**2).sum() / (dcd**2).sum())
    assert float(magnetic_percent(sample, guess, even, charges)) == pytest.approx(expected, rel=2e-3)


def test_it_is_learned(tmp_path):
    path = tmp_path / "s.h5"
    with writable(path) as file:
        for index in range(12):
            write_entry(file, spin_entry(index, 1.0 if index % 2 else -1.0)[0])
    settings = TrainSettings(
        data=(str(path),), encoder=replace(ENCODER, spin_channels=2), basis=SMALL_BASIS, steps=250, batch=6, members=1,
        evaluations=2, threads=1, weight_decay=0.0, learning_rate=1e-2, validation=Validation(share=0.0, by="structure"),
    )  # fmt: skip
    model = train(settings, tmp_path)
    assert model.spins == ("Na",)
    for index in (0, 1, 50):
        entry, c = spin_entry(index)
        found = model.predict(entry.structure, 0.0, start_directions(entry)).magnetisation
        wanted, got = (expand(entry.structure, x, SMALL_BASIS, entry.shape) for x in (c, found[0]))
        assert np.abs(got - wanted).sum() < 0.15 * np.abs(wanted).sum()


def test_entries_keep_start_moments(tmp_path):
    path = tmp_path / "s.h5"
    with writable(path) as file:
        write_entry(file, spin_entry(0, -1.0)[0])
    entry = Store.open(path)["made0"]
    assert start_directions(entry).tolist() == [[-1.0], [0.0]]
    bad = replace(entry, attributes=dict(entry.attributes) | {"start_moments": np.ones((1, 5))})
    with pytest.raises(FormatError, match="start moments of shape"):
        start_directions(bad)


def test_stores_without_start_moments_have_them_on_magnetic_elements():
    structure = cell()
    entry = Entry("x", structure, (8, 8, 8), 1.0, np.zeros((0, 3), int), np.zeros(0, complex),
                  magnetisation=np.zeros((1, 0), complex))  # fmt: skip
    assert start_directions(entry).ravel().tolist() == [1, 0, 1, 0]
    assert start_directions(replace(entry, magnetisation=None)) is None
