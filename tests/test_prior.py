"""Tight binding as an input of the network: the features, how they turn, their cache, weights that need them."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_models import rotation, wigner

import chgtools
from chgtools.atoms.angular import gaunt
from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.fourier.basis import RadialBasis
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.graph import graph
from chgtools.models.model import DensityModel, Trust
from chgtools.models.prior import INVARIANTS_SCALE, LARGEST, SPINS_SCALE, TENSORS_SCALE, PriorScales
from chgtools.models.weights import load_model, read_facts, save_model
from chgtools.tightbinding import features_cache
from chgtools.tightbinding.electrons import filling, solve
from chgtools.tightbinding.features import (
    CHANNELS,
    FIRST,
    FUNCTIONS,
    N_INVARIANTS,
    N_SPINS,
    N_TENSORS,
    POLARISING_CHANNELS,
    PRIOR,
    SECOND,
    VALENCE_INVARIANTS,
    VALENCE_TENSORS,
    PriorFeatures,
    counts,
    prior_features,
    work_orbitals,
)
from chgtools.tightbinding.features_cache import cache_file, cached_features, structure_key
from chgtools.training.torch_network.conversion import network_of
from chgtools.training.torch_network.encoder import Encoder

BASIS = RadialBasis(n_max=4)
ELEMENTS = ("Na", "O", "Ti")
LATTICE = np.array([[4.4, 0.1, -0.2], [0.9, 4.1, 0.3], [-0.6, 0.8, 4.7]])
FRAC = np.array([[0.05, 0.7, 0.6], [0.1, 0.2, 0.3], [0.55, 0.6, 0.75], [0.6, 0.1, 0.1]])


def crystal(lattice=LATTICE, frac=FRAC):
    return Structure(lattice, ("Na", "Ti", "O"), (1, 1, 2), frac)


@pytest.fixture(autouse=True)
def no_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def learned(members=2, order=2, l_max=4, **changes):
    """Random weights; features are counted by those of the crystal."""
    torch.manual_seed(7)
    settings = EncoderSettings(cutoff=4.5, radial=6, l_max=l_max, channels=4, hidden=16, state=8, order=order,
                               readings=3, **({"prior": PRIOR} | changes))  # fmt: skip
    basis = RadialBasis(n_max=4, l_max=l_max)
    known = torch.as_tensor(properties(ELEMENTS), dtype=torch.float32)
    encoders = [Encoder(settings, basis.n_max, known) for _ in range(members)]
    for encoder in encoders if settings.prior != "none" else ():
        encoder.prior.set_scales(PriorScales.of([prior_features(crystal())]))
    members = [network_of(encoder) for encoder in encoders]
    return DensityModel("with", ELEMENTS, np.array([9.0, 6.0, 4.0]), basis, "dcd", members, Trust(0.1, 0.9, 0.5, 1.0))


# --- features ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["turned", "mirrored", "inverted", "shifted", "exchanged"])
def test_features_turn_with_the_crystal(what):
    before, turn = prior_features(crystal()), np.eye(3)
    order = np.arange(4)
    lattice, frac = LATTICE, FRAC
    if what in ("turned", "mirrored", "inverted"):
        turn = {"turned": rotation(), "mirrored": rotation() @ np.diag([1, -1, 1]), "inverted": -np.eye(3)}[what]
        lattice = LATTICE @ turn.T
    elif what == "shifted":
        frac = FRAC + [0.31, -0.47, 2.2]
    else:
        order = np.array([0, 1, 3, 2])
        frac = FRAC[order]
    after = prior_features(crystal(lattice, frac))
    np.testing.assert_allclose(after.invariants[order], before.invariants, atol=1e-6)
    np.testing.assert_allclose(after.tensors[order], before.tensors @ wigner(turn).T, atol=1e-6)


def test_features_hold_every_l_and_channel():
    found = prior_features(crystal())
    assert (found.invariants.shape, found.tensors.shape) == ((4, N_INVARIANTS), (4, N_TENSORS, 25))
    assert not found.tensors[:, :, 0].any()
    largest = np.abs(found.tensors[1]).max(axis=0)  # titanium has all of s, p and d
    assert (np.add.reduceat(largest, np.arange(5) ** 2)[1:] > 1e-4).all()
    for channel, degrees in enumerate([(1, 2, 3, 4), (1, 2), (2,)]):
        sizes = np.add.reduceat(np.abs(found.tensors[1, channel]), np.arange(5) ** 2)
        assert tuple(np.flatnonzero(sizes)) == degrees


def test_features_of_another_cell_and_of_a_supercell():
    """Vectors at about 60°, so that the mesh is 2 x 2 x 2 in both cells, and 1 x 2 x 2 in two of them."""
    lattice = 4.5 * (np.ones((3, 3)) - np.eye(3)) + 0.1 * LATTICE * (np.ones((3, 3)) - np.eye(3))
    before = prior_features(crystal(lattice))
    change = np.array([[1, 0, 0], [1, -1, 0], [0, 1, -1]])
    other = prior_features(crystal(change @ lattice, FRAC @ np.linalg.inv(change)))
    double = Structure(
        lattice * [[2], [1], [1]], ("Na", "Ti", "O"), (2, 2, 4),
        np.concatenate([(FRAC[[i]] + [[0, 0, 0], [1, 0, 0]]) / [2, 1, 1] for i in range(4)]),
    )  # fmt: skip
    twice = prior_features(double)
    for found, wanted in (
        (other, before),
        (twice, PriorFeatures(*(np.repeat(v, 2, 0) for v in vars(before).values()))),
    ):
        np.testing.assert_allclose(found.invariants, wanted.invariants, atol=1e-6)
        np.testing.assert_allclose(found.tensors, wanted.tensors, atol=1e-6)


def test_charges_sum_to_zero_and_traces_are_those_of_the_blocks():
    found, electrons = prior_features(crystal()), solve(crystal())
    np.testing.assert_allclose(found.invariants[:, 0], electrons.charges, atol=1e-9)
    assert found.invariants[:, 0].sum() == pytest.approx(0, abs=1e-6)
    assert np.abs(found.invariants[:, 0]).max() > 0.02
    change = [np.trace(b - a) for b, a in zip(electrons.blocks(filling), electrons.superposed, strict=True)]
    polarising = found.invariants[:, VALENCE_INVARIANTS]
    np.testing.assert_allclose(found.invariants[:, 1:5].sum(1) + polarising, change, atol=1e-9)
    assert not found.invariants[2:, [3, 4]].any()  # oxygen has no d and no f shell in its valence
    assert not polarising[:2].any()
    assert (polarising[2:] > 1e-4).all()


def test_channels_of_what_polarises_are_those_of_its_blocks():
    """t_1M of p and d, t_2M of s and d, of each function; atoms without such a shell have none."""
    found, electrons = prior_features(crystal()), solve(crystal())
    table = gaunt(2, 2, 4)
    for number, function in enumerate(FUNCTIONS):
        blocks = electrons.blocks(function)
        if number == 0:
            blocks = [block - atom for block, atom in zip(blocks, electrons.superposed, strict=True)]
        first = VALENCE_TENSORS + number * len(POLARISING_CHANNELS)
        for atom in (2, 3):
            dipole = np.einsum("pd,pdm->m", blocks[atom][1:4, 4:9], table[1:4, 4:9, 1:4])
            quadrupole = np.einsum("d,dm->m", blocks[atom][0, 4:9], table[0, 4:9, 4:9])
            own = np.einsum("dc,dcm->m", blocks[atom][4:9, 4:9], table[4:9, 4:9, 4:9])
            np.testing.assert_allclose(found.tensors[atom, first, 1:4], dipole, atol=1e-10)
            valence = np.einsum("p,pm->m", blocks[atom][0, 1:4], table[0, 1:4, 1:4])
            np.testing.assert_allclose(found.tensors[atom, number * len(CHANNELS), 1:4], valence, atol=1e-10)
            np.testing.assert_allclose(found.tensors[atom, first, 4:9], quadrupole, atol=1e-10)
            np.testing.assert_allclose(found.tensors[atom, first + 1, 4:9], own, atol=1e-10)
            assert np.abs(dipole).max() > 1e-4
        assert not found.tensors[:2, first : first + 2].any()


def test_f_shells_are_apart_from_what_polarises():
    lattice = 5.3 / 2 * (np.ones((3, 3)) - np.eye(3))
    found = prior_features(Structure(lattice, ("Ce", "N"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.5]]))
    levels = found.invariants[:, 5:VALENCE_INVARIANTS].reshape(2, 3, 4)  # s, p, d, f of three functions
    assert (levels[0, :2] > 0.1).all()
    assert not levels[1, :, 2:].any()
    assert not found.invariants[0, VALENCE_INVARIANTS:].any()
    assert found.invariants[1, VALENCE_INVARIANTS:].all()


def test_the_second_version_has_the_valence_alone():
    minimal = prior_features(crystal(), version=SECOND)
    assert counts(SECOND) == (VALENCE_INVARIANTS, VALENCE_TENSORS) == (17, 12)
    assert counts(PRIOR) == (N_INVARIANTS, N_TENSORS) == (21, 20)
    assert not minimal.invariants[:, VALENCE_INVARIANTS:].any()
    assert not minimal.tensors[:, VALENCE_TENSORS:].any()
    assert np.abs(minimal.invariants - prior_features(crystal()).invariants)[:, :VALENCE_INVARIANTS].max() > 1e-3


@pytest.mark.parametrize("element", ["Ar", "C"])
def test_nothing_has_happened_to_an_atom_far_from_all_others(element):
    found = prior_features(Structure(np.eye(3) * 12, (element,), (1,), [[0.1, 0.2, 0.3]]))
    np.testing.assert_allclose(found.invariants[:, :5], 0, atol=2e-3)
    np.testing.assert_allclose(found.tensors, 0, atol=2e-3)
    assert found.invariants[0, 5:].any()  # it has levels all the same


def test_work_counts_orbitals_and_points():
    salt = Structure(np.eye(3) * 16.5, ("Na", "Cl"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert work_orbitals(salt) == pytest.approx(13)
    assert work_orbitals(salt, version=SECOND) == pytest.approx(8)
    assert work_orbitals(salt.with_changes(lattice=np.eye(3) * 8.2)) > 13


# --- the cache --------------------------------------------------------------------------------------------------------


def test_a_file_of_the_cache_holds_what_was_computed(monkeypatch):
    first = cached_features(crystal())
    assert cache_file(crystal()).is_file()
    monkeypatch.setattr(features_cache, "prior_features", None)
    again = cached_features(crystal())
    assert np.array_equal(again.invariants, first.invariants)
    assert np.array_equal(again.tensors, first.tensors)
    assert [p.suffix for p in cache_file(crystal()).parent.iterdir()] == [".npz"]


def small_file(path):
    np.savez(path, invariants=np.zeros((4, 3)), tensors=np.zeros((4, 3)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"nothing"),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"\x00\x00", b"\x00\x01")),
        small_file,
    ],
    ids=["cut", "text", "empty", "bytes", "shapes"],
)
def test_a_damaged_file_of_the_cache_is_computed_again(damage):
    first, path = cached_features(crystal()), cache_file(crystal())
    whole = path.stat().st_size
    damage(path)
    again = cached_features(crystal())
    assert np.array_equal(again.tensors, first.tensors)
    assert path.stat().st_size == whole


def test_a_cache_that_cannot_be_written_is_none(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert cached_features(crystal()).tensors.any()


def test_keys_tell_structures_apart_and_sources_too(monkeypatch):
    key = structure_key(crystal())
    assert structure_key(crystal(frac=FRAC + [1, -2, 0])) == key
    assert structure_key(crystal().with_changes(comment="another title")) == key
    assert structure_key(crystal(frac=FRAC + 1e-6)) != key
    assert structure_key(crystal(frac=FRAC + [[0.5, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])) != key
    assert structure_key(crystal(LATTICE + 1e-6)) != key
    assert structure_key(Structure(LATTICE, ("Na", "Zr", "O"), (1, 1, 2), FRAC)) != key
    path = cache_file(crystal())
    monkeypatch.setattr(features_cache, "sources_digest", lambda: "f" * 64)
    assert cache_file(crystal()) != path


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "l_max", "messages"), [(1, 4, 0), (2, 4, 0), (2, 2, 0), (2, 4, 4), (1, 6, 1)])
@pytest.mark.parametrize("mirror", [False, True])
def test_coefficients_turn_with_the_atoms(order, l_max, messages, mirror):
    turn = rotation() * (-1 if mirror else 1)
    model = learned(order=order, l_max=l_max, message_l_max=messages)
    moved = crystal(LATTICE @ turn.T, FRAC + [0.31, -0.47, 2.2])
    before, after = (model.coefficients(s) for s in (crystal(), moved))
    wanted = np.einsum("ij,kajn->kain", wigner(turn, l_max), before)
    np.testing.assert_allclose(after, wanted, atol=1e-5 * np.abs(before).max())
    nothing = replaced(model, PriorFeatures.zeros).coefficients(crystal())
    assert np.abs(nothing - before)[:, :, 1:].max() > 1e-3 * np.abs(before).max()


def some_features(rng, n_atoms, components=1):
    shapes = ((N_INVARIANTS,), (N_TENSORS, 25), (components, N_SPINS, 25))
    return PriorFeatures(*(rng.normal(size=(n_atoms, *shape)) for shape in shapes))


def replaced(model, zeros):
    """The model with the features that a function of the number of atoms gives."""
    return replace(model, features_of=lambda structure, *_: zeros(structure.n_atoms))


def test_the_order_of_the_atoms_changes_nothing():
    model, order = learned(), [0, 1, 3, 2]
    before, after = (model.coefficients(crystal(frac=frac)) for frac in (FRAC, FRAC[order]))
    np.testing.assert_allclose(after[:, order], before, atol=1e-5 * np.abs(before).max())


def test_atoms_beyond_tight_binding_leave_the_graph_with_their_features():
    """Features there are of them where a run puts some in the place of those that it cannot have."""
    rng = np.random.default_rng(4)
    features = some_features(rng, 4)
    model = replace(learned(), features_of=lambda *_: features)
    foreign = Structure(LATTICE, ("Na", "Am", "O"), (1, 1, 2), FRAC)
    estimate = model.predict(foreign)
    assert estimate.unseen == ("Am",)
    assert not estimate.coefficients[1].any()
    atoms = model.atoms(foreign)
    np.testing.assert_array_equal(atoms.onsite, features.invariants[[0, 2, 3]])
    np.testing.assert_array_equal(atoms.tensors, features.tensors[[0, 2, 3]])
    np.testing.assert_array_equal(atoms.spins, features.spins[[0, 2, 3]])


def test_inputs_are_of_like_size_and_cut_off_by_length():
    rng = np.random.default_rng(2)
    features = some_features(rng, 400, 3)
    features = PriorFeatures(3 * features.invariants, 0.2 * features.tensors, 5 * features.spins)
    features.invariants[:, 5], features.tensors[:, 2, 4:9], features.spins[:, :, 4, 1:4] = 1e-6, 1e-6, 1e-6
    scales = PriorScales.of([features])
    onsite, tensors, spins = scaled(scales, features)
    assert onsite.std() / INVARIANTS_SCALE == pytest.approx(np.sqrt(16 / 17), rel=0.02)
    assert not onsite[:, 5].any()
    assert not tensors[:, 2, 4:9].any()
    assert tensors[:, 1, 9:16].std() / TENSORS_SCALE == pytest.approx(1, rel=0.03)
    # the root mean square is that of one component of a tensor, and of all components of the moments
    assert spins[:, :, 1, 9:16].std() / SPINS_SCALE == pytest.approx(1 / np.sqrt(3), rel=0.03)
    assert not spins[:, :, 4, 1:4].any()
    large = PriorFeatures(*(100 * values for values in vars(features).values()))
    onsite, cut, cut_spins = scaled(scales, large)
    lengths = np.sqrt((cut_spins[:, :, 1, 9:16] ** 2).sum(1).mean(1))
    np.testing.assert_allclose(lengths, LARGEST * SPINS_SCALE)
    directions = cut_spins[:, :, 1, 9:16] / spins[:, :, 1, 9:16]
    np.testing.assert_allclose(directions, directions[:, :1, :1] * np.ones((3, 7)), rtol=1e-9)
    assert np.abs(onsite).max() == pytest.approx(LARGEST * INVARIANTS_SCALE)
    np.testing.assert_allclose(np.sqrt((cut[:, 1, 9:16] ** 2).mean(1)), LARGEST * TENSORS_SCALE)
    ratio = cut[:, 1, 9:16] / tensors[:, 1, 9:16]
    np.testing.assert_allclose(ratio, ratio[:, :1] * np.ones(7), rtol=1e-9)


def scaled(scales, features):
    return scales.inputs(SimpleNamespace(onsite=features.invariants, tensors=features.tensors, spins=features.spins))


def test_scales_are_those_of_all_atoms():
    rng = np.random.default_rng(3)
    parts = [some_features(rng, 3), some_features(rng, 5)]
    scales = PriorScales.of(parts)
    invariants, tensors = (np.concatenate([getattr(p, name) for p in parts]) for name in ("invariants", "tensors"))
    np.testing.assert_allclose(scales.invariants, np.sqrt((invariants**2).mean(0)))
    np.testing.assert_allclose(scales.tensors[:, 3], np.sqrt((tensors[:, :, 9:16] ** 2).mean((0, 2))))


def test_scales_of_moments_are_those_of_structures_that_have_any():
    rng = np.random.default_rng(3)
    magnetic, spiral = some_features(rng, 3), some_features(rng, 2, 3)
    without = [replace(some_features(rng, 4), spins=np.zeros((4, 1, N_SPINS, 25))) for _ in range(2)]
    scales = PriorScales.of([magnetic, *without, spiral])
    squares = [*(magnetic.spins[:, 0, :, 9:16] ** 2), *(spiral.spins[..., 9:16] ** 2).sum(1)]
    np.testing.assert_allclose(scales.spins[:, 3], np.sqrt(np.mean(squares, axis=(0, 2))))
    assert not PriorScales.of(without).spins.any()


def test_an_encoder_with_a_prior_refuses_atoms_without():
    with pytest.raises(ChgtoolsError, match="needs the features"):
        graph(crystal(), ELEMENTS, learned().members[0].settings)


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_with_a_prior_come_back_as_they_were(tmp_path):
    model = learned()
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert (model.prior, back.prior) == (PRIOR, PRIOR)
    first, second = (m.predict(crystal()).coefficients for m in (model, back))
    assert np.abs(first - second).max() < 1e-6 * np.abs(first).max()


def test_weights_with_the_first_prior_come_back_and_take_its_features(tmp_path):
    """Levels of an atom move alike there, and directions do not count."""
    model = learned(prior=FIRST)
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.prior == FIRST
    first = prior_features(crystal(), version=FIRST)
    np.testing.assert_allclose(back.atoms(crystal()).onsite, first.invariants[:, :VALENCE_INVARIANTS])
    assert np.abs(first.invariants - prior_features(crystal()).invariants).max() > 1e-2
    pointing = np.ones((4, 1))
    assert np.array_equal(prior_features(crystal(), pointing, FIRST).tensors, first.tensors)
    assert cache_file(crystal(), version=FIRST).parts[-4] == FIRST
    assert cached_features(crystal(), version=FIRST).spins.shape == (4, 1, N_SPINS, 25)
    np.testing.assert_array_equal(cached_features(crystal(), version=FIRST).tensors, first.tensors)


def test_moments_have_features_of_their_own_in_the_cache():
    pointing = np.array([[0.0], [1.0], [0.0], [0.0]])
    files = {cache_file(crystal(), each) for each in (None, 0 * pointing, pointing, -pointing)}
    assert len(files) == 3
    found = cached_features(crystal(), pointing)
    assert found.spins.any()
    np.testing.assert_array_equal(cached_features(crystal(), pointing).spins, found.spins)
    assert not cached_features(crystal()).spins.any()


def test_weights_without_a_prior_say_nothing_of_it(tmp_path):
    save_model(learned(prior="none"), tmp_path / "m.safetensors")
    facts = read_facts(tmp_path / "m.safetensors")
    assert "prior" not in json.dumps(facts)
    assert load_model(tmp_path / "m.safetensors").prior == "none"


def test_a_prior_of_the_future_is_refused(tmp_path):
    save_model(learned(), tmp_path / "m.safetensors")
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    with safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        facts = json.loads(file.metadata()["chgtools_model"])
    facts["encoder"]["prior"] = "tight-binding-4"
    tensors = load_file(tmp_path / "m.safetensors")
    save_file(tensors, tmp_path / "m.safetensors", metadata={"chgtools_model": json.dumps(facts)})
    says = "needs the prior 'tight-binding-4', which this chgtools does not know: upgrade it"
    with pytest.raises(FormatError, match=says):
        load_model(tmp_path / "m.safetensors")


def test_settings_with_another_prior_are_refused():
    from chgtools.training.config import TrainSettings

    with pytest.raises(SettingsError, match="found encoder.prior = 'half'; wanted one of none, tight-binding-1"):
        TrainSettings(data=("-",), encoder=EncoderSettings(prior="half"))


def test_the_name_at_the_top_of_the_package_takes_a_prior():
    with pytest.raises(SettingsError, match="found prior 'half'"):
        chgtools.predict(crystal(), prior="half", grid=chgtools.GridOptions(ngf=(8, 8, 8)))
