"""The network in NumPy against the torch modules that it is trained as, the ways between them, and files of weights."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from golden.remake import first_weights
from made_entries import an_entry
from made_models import FRAC, LATTICE, small
from safetensors.numpy import load_file

from chgtools.atoms.angular import sphere
from chgtools.cell import Structure
from chgtools.formats import poscar
from chgtools.kernels.harmonics import harmonics
from chgtools.models.descriptors import properties
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.graph import FOREIGN, graph
from chgtools.models.messages import EquivariantMessages
from chgtools.models.perceptron import Perceptron, silu
from chgtools.models.prior import PriorScales
from chgtools.models.tensor_shapes import is_trained, shapes
from chgtools.models.weights import load_model, save_model
from chgtools.stores.store import writable, write_entry
from chgtools.tightbinding.features import FIRST, N_INVARIANTS, N_SPINS, N_TENSORS, PRIOR, PriorFeatures
from chgtools.training.members import weights_digest
from chgtools.training.torch_network.conversion import encoder_of, network_of
from chgtools.training.torch_network.encoder import Encoder
from chgtools.training.torch_network.graph import TensorGraph

ELEMENTS, N_MAX = ("Fe", "O", "Si"), 4
CRYSTAL = Structure(LATTICE, ("Fe", "O", "Ge", "Fe"), (1, 1, 1, 1), FRAC)
FAR = Structure(
    LATTICE + np.diag([0.0, 0.0, 12.0]), ("Fe", "O", "Si"), (1, 1, 1), [[0, 0, 0], [0.4, 0, 0], [0, 0, 0.5]]
)
ALONG = {"none": None, "collinear": np.array([[1.0], [0.0], [0.0], [-1.0]]),
         "non-collinear": np.array([[0.6, 0.0, 0.8], [0.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.36, 0.48, -0.8]])}  # fmt: skip
SETTINGS = {
    "plain": {},
    "without products": {"order": 1},
    "without messages": {"passes": 0},
    "two passes": {"passes": 2, "l_max": 3},
    "free atoms": {"free_atoms": True, "l_max": 2},
    "spin": {"spin_channels": 3},
    "first prior": {"prior": FIRST, "spin_channels": 3},
    "prior": {"prior": PRIOR, "spin_channels": 3, "free_atoms": True},
    "prior without products": {"prior": PRIOR, "spin_channels": 2, "order": 1, "l_max": 3},
    "prior, no moments": {"prior": PRIOR},
    "unknown": {"prior": PRIOR, "unknown": 0.1, "passes": 2},
    "equivariant messages": {"message_l_max": 2, "l_max": 3, "spin_channels": 2},
    "equivariant messages, no products": {"message_l_max": 1, "l_max": 1, "order": 1},
    "equivariant messages with prior": {"message_l_max": 4, "prior": PRIOR, "spin_channels": 3, "unknown": 0.1},
    "l 6": {"l_max": 6, "message_l_max": 1, "prior": PRIOR, "spin_channels": 2},
}
each_settings = pytest.mark.parametrize("name", SETTINGS)


def settings_of(name):
    few = EncoderSettings(cutoff=4.5, radial=5, channels=4, hidden=9, state=7, readings=3)
    return replace(few, **SETTINGS[name])


def features_of(n_atoms, components=1, seed=1):
    """Some beyond what gets into a network, and some that the scales below take for absent."""
    rng = np.random.default_rng(seed)
    shapes_ = ((N_INVARIANTS,), (N_TENSORS, 25), (components, N_SPINS, 25))
    return PriorFeatures(*(rng.normal(size=(n_atoms, *s)) * 10 ** rng.uniform(-1, 1.5, (n_atoms, 1)).reshape(n_atoms, *(1,) * len(s)) for s in shapes_))  # fmt: skip


def encoder_with(settings):
    """Random weights everywhere, those too that a training starts from 0."""
    torch.manual_seed(4)
    encoder = Encoder(settings, N_MAX, torch.as_tensor(properties(ELEMENTS))).double()
    with torch.no_grad():
        for p in encoder.parameters():
            p.copy_(torch.randn(p.shape, dtype=p.dtype) / (p.shape[-1] ** 0.5 if p.ndim > 1 else 3))
    if settings.prior != "none":
        scales = PriorScales.of([features_of(20, seed=5)])
        scales.invariants[3], scales.tensors[2, 1], scales.spins[1, 2] = 1e-6, 1e-6, 1e-6
        encoder.prior.set_scales(scales)
    return encoder


def atoms_of(settings, structure, along):
    components = 1 if along is None else along.shape[1]
    features = features_of(structure.n_atoms, components) if settings.prior != "none" else None
    return graph(structure, ELEMENTS, settings, along, features)


def assert_equal(found, wanted):
    wanted = wanted.detach().numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12 * np.abs(wanted).max(initial=0))


@each_settings
@pytest.mark.parametrize("moments", ALONG)
def test_it_is_what_torch_computes(name, moments):
    encoder = encoder_with(settings_of(name))
    network, atoms = network_of(encoder), atoms_of(encoder.settings, CRYSTAL, ALONG[moments])
    assert FOREIGN in atoms.element
    batch = TensorGraph.of(atoms, torch.float64)
    here, there = network.describe(atoms), encoder.describe(batch)
    assert_equal(here.state, there.state)
    assert_equal(here.invariants, there.invariants)
    assert_equal(here.features.transpose(1, 2, 0), there.features)
    assert_equal(here.spins, there.spins)
    assert_equal(network.density(here, atoms), encoder.density(there, batch))
    assert_equal(network.density(here, atoms), encoder(batch))
    magnetisation = network.magnetisation(here, atoms)
    assert_equal(magnetisation, encoder.magnetisation(there, batch))
    assert magnetisation.any() == (moments != "none" and encoder.settings.spin_channels > 0)


@pytest.mark.parametrize("name", ["unknown", "equivariant messages with prior"])
def test_no_part_of_the_settings_above_is_silent(name):
    """A part that adds little would hide a wrong sign or factor: each tensor changes coefficients by a thousandth."""
    encoder = encoder_with(replace(settings_of(name), spin_channels=0))
    network, atoms = network_of(encoder), atoms_of(encoder.settings, CRYSTAL, ALONG["collinear"])
    density = network.density(network.describe(atoms), atoms)
    for key, values in network.tensors.items():
        changed = replace(network, tensors={**network.tensors, key: 1.5 * values})
        other = changed.density(changed.describe(atoms), atoms)
        assert np.abs(other - density).max() > 1e-3 * np.abs(density).max(), key


@pytest.mark.parametrize("name", ["spin", "prior", "equivariant messages"])
def test_atoms_without_neighbours(name):
    """One of three has none: its sums are 0, and those of the others are not taken for its own."""
    encoder = encoder_with(settings_of(name))
    atoms = atoms_of(encoder.settings, FAR, np.array([[0.0], [1.0], [1.0]]))
    assert set(atoms.centre.tolist()) == {0, 1}
    network, batch = network_of(encoder), TensorGraph.of(atoms, torch.float64)
    here, there = network.describe(atoms), encoder.describe(batch)
    assert_equal(network.density(here, atoms), encoder.density(there, batch))
    assert_equal(network.magnetisation(here, atoms), encoder.magnetisation(there, batch))


@pytest.mark.parametrize("name", ["spin", "equivariant messages"])
def test_many_atoms_are_done_in_parts(name):
    rng = np.random.default_rng(3)
    places = (np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) + rng.uniform(0, 0.3, (64, 3))) / 4
    crowd = Structure(11.0 * np.eye(3), ("Fe", "O", "Si"), (20, 30, 14), places)
    encoder = encoder_with(settings_of(name))
    atoms = atoms_of(encoder.settings, crowd, rng.normal(size=(64, 3)))
    network, batch = network_of(encoder), TensorGraph.of(atoms, torch.float64)
    here, there = network.describe(atoms), encoder.describe(batch)
    assert_equal(network.density(here, atoms), encoder.density(there, batch))
    assert_equal(network.magnetisation(here, atoms), encoder.magnetisation(there, batch))


def test_equivariant_messages_are_products_of_functions_on_the_sphere():
    """Σ_b of what U_b(u) w_b(u), functions of the direction u, have in common with Y_LM: ∫ du, by a quadrature."""
    encoder = encoder_with(settings_of("equivariant messages"))
    network, atoms = network_of(encoder), atoms_of(encoder.settings, CRYSTAL, None)
    rng, t, l_max = np.random.default_rng(8), network.tensors, network.settings.l_max
    state, features = rng.normal(size=(4, 7)), rng.normal(size=(16, 4, 4))
    points, weights = sphere(3 * l_max)
    y = harmonics(l_max, points)  # (n_lm, n_points)
    ell = network.settings.degrees
    wanted = np.zeros((16, 4, 4))
    for pair, (a, b) in enumerate(zip(atoms.centre, atoms.other, strict=True)):
        known = np.concatenate([atoms.radial[pair], state[a], state[b]])
        w = Perceptron.of(t, "equivariant.pair")(known[None]).reshape(4, l_max + 1) * atoms.envelope[pair]
        of_bond = (w[:, ell] * atoms.harmonics[pair]) @ y  # (channels, n_points)
        carried = sum(np.outer(features[lm, b] @ t["equivariant.mixing"][ell[lm]], y[lm]) for lm in range(9))
        wanted[:, a] += np.einsum("kp,cp,p->kc", y, of_bond * carried, weights)
    found = EquivariantMessages.of(t, "equivariant")(state, features, atoms)
    np.testing.assert_allclose(found, 4 * wanted, atol=1e-6 * np.abs(wanted).max())


def test_silu_has_its_limits():
    assert silu(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.0, 1e4]


# --- there and back ---------------------------------------------------------------------------------------------------


@each_settings
def test_tensors_have_the_names_shapes_and_order_of_torch(name):
    """The order too: a digest of weights, by which a run knows its checkpoints, goes through them in this order."""
    encoder = encoder_with(settings_of(name))
    found = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    wanted = shapes(encoder.settings, N_MAX, *properties(ELEMENTS).shape)
    assert list(found.items()) == list(wanted.items()) == [(k, v.shape) for k, v in network_of(encoder).tensors.items()]
    assert {key for key in wanted if is_trained(key)} == {key for key, _ in encoder.named_parameters()}


@each_settings
def test_a_network_comes_back_from_torch_as_it_was(name):
    first = network_of(encoder_with(settings_of(name)).float())
    encoder = encoder_of(first)
    second = network_of(encoder)
    assert (second.settings, second.n_max) == (first.settings, N_MAX)
    assert list(second.tensors) == list(first.tensors)
    assert all(p.dtype == torch.float32 and p.requires_grad for p in encoder.parameters())
    with torch.no_grad():  # nor does a training change the networks that it began with and gave
        for p in encoder.parameters():
            p += 1
    for key, values in first.tensors.items():
        assert values.dtype == second.tensors[key].dtype == np.float64
        np.testing.assert_array_equal(second.tensors[key], values)


def test_the_digest_of_weights_is_that_of_the_torch_modules():
    model, sha = small(), hashlib.sha256()
    for member in model.members:
        for value in encoder_of(member).state_dict().values():
            sha.update(value.numpy().tobytes())
    assert weights_digest(model) == sha.hexdigest()


@pytest.mark.parametrize("name", ["si", "base", "base_tight_binding_1"])
def test_old_weights_are_written_as_they_were_read(name, tmp_path):
    save_model(load_model(first_weights(name)), tmp_path / "again.safetensors")
    before, after = load_file(first_weights(name)), load_file(tmp_path / "again.safetensors")
    assert set(before) == set(after)
    for key, values in after.items():
        assert values.dtype == np.float32, key
        np.testing.assert_array_equal(values, before[key].astype(np.float32))


def test_half_precision_is_for_what_was_trained(tmp_path):
    """Properties of elements and the features' root mean squares are exact: a network is made for them as they are."""
    first = network_of(encoder_with(settings_of("unknown")).float())
    model = replace(small(), elements=ELEMENTS, members=[first])
    save_model(model, tmp_path / "half.safetensors", half=True)
    for key, values in load_file(tmp_path / "half.safetensors").items():
        trained = is_trained(key.removeprefix("0."))
        assert values.dtype == (np.float16 if trained else np.float32), key
        if not trained:
            np.testing.assert_array_equal(values, first.tensors[key.removeprefix("0.")])


# --- without torch ----------------------------------------------------------------------------------------------------

COMMANDS = """
import sys
from pathlib import Path
import chgtools.start.writing, chgtools.start.prediction, chgtools.batch
from chgtools.cli import main

def run(*arguments):
    main.main(list(arguments), prog_name="chgtools", standalone_mode=False)

run("predict", "POSCAR", "-o", "CHGCAR", "--ngf", "12", "12", "12", "--model", "base")
Path("list").write_text("POSCAR\\n")
try:
    run("predict", "--batch", "list", "--ngf", "12", "12", "12", "--force")
except SystemExit as ended:
    assert ended.code == 3  # without a POTCAR
run("info", "CHGCAR")
run("evaluate", "base", "store.h5")
import chgtools
chgtools.predict("POSCAR", model="base.without_prior", grid=chgtools.GridOptions(ngf=(12, 12, 12)))
print("loaded:", sorted(name for name in sys.modules if name.split(".")[0] == "torch"))
"""


def test_predicting_evaluating_and_looking_load_no_torch(tmp_path):
    """Its import takes longer than all else that a prediction of two atoms does."""
    oxide = Structure(2.11 * (np.ones((3, 3)) - np.eye(3)), ("Mg", "O"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.5]])
    poscar.write(oxide, tmp_path / "POSCAR")
    with writable(tmp_path / "store.h5") as file:
        write_entry(file, an_entry(1))
    done = subprocess.run([sys.executable, "-c", COMMANDS], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
