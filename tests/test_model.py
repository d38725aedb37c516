"""The encoder and the model around it: couplings, neighbours, symmetries, weights' files."""

import json
import math

import numpy as np
import pytest
from made_models import BASIS, ELEMENTS, FRAC, LATTICE, cell, rotation, small, wigner

from chgtools.atoms.angular import gaunt
from chgtools.cell import Structure, neighbours
from chgtools.errors import ChgtoolsError, FormatError, MismatchError
from chgtools.fourier.basis import total_charge
from chgtools.kernels.harmonics import harmonics
from chgtools.models.encoder_settings import EncoderSettings
from chgtools.models.graph import graph
from chgtools.models.model import Trust
from chgtools.models.tensor_shapes import is_trained
from chgtools.models.weights import element_zvals, load_model, read_facts, save_model


def test_gaunt_couples_products_of_harmonics():
    points = np.random.default_rng(1).normal(size=(50, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    first, second = harmonics(2, points), harmonics(3, points)
    for i, j in ((1, 2), (3, 7), (8, 15)):
        product = np.einsum("k,kp->p", gaunt(2, 3, 5)[i, j], harmonics(5, points))
        assert np.allclose(product, first[i] * second[j], atol=1e-12)


def test_neighbours_are_all_pairs_within_the_cutoff():
    found = neighbours(cell(), 6.0)
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    positions = FRAC % 1 @ LATTICE
    vectors = positions[None, :, None] + (steps @ LATTICE)[None, None] - positions[:, None, None]
    lengths = np.linalg.norm(vectors, axis=-1)
    assert len(found.centre) == ((lengths < 6.0) & (lengths > 1e-9)).sum()
    assert np.allclose(np.sort(found.distance), np.sort(lengths[(lengths < 6.0) & (lengths > 1e-9)]))
    assert np.allclose(np.linalg.norm(found.direction, axis=1), 1)


def test_two_atoms_on_one_place_are_refused():
    frac = FRAC.copy()
    frac[2] = frac[1] + 1e-3
    with pytest.raises(MismatchError, match="atoms 2 and 3 are"):
        neighbours(cell(frac=frac), 4.0)


MESSAGES = {"message_l_max": 2}
NETWORKS = {"plain": {}, "no products": {"order": 1}, "messages": MESSAGES, "l 6": {"l_max": 6, "message_l_max": 1}}
with_and_without_messages = pytest.mark.parametrize("network", [{}, MESSAGES], ids=["plain", "messages"])


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("mirror", [False, True])
def test_coefficients_turn_with_the_atoms(network, mirror):
    turn = rotation() * (-1 if mirror else 1)
    model = small(**network)
    before, after = (model.coefficients(s) for s in (cell(), cell(LATTICE @ turn.T)))
    assert (np.abs(before).max(axis=(0, 1, 3)) > 1e-5).all()
    matrix = wigner(turn, model.basis.l_max)
    assert np.abs(after - np.einsum("ij,kajn->kain", matrix, before)).max() < 1e-6 * np.abs(before).max()


def test_equivariant_messages_carry_what_lies_beyond_the_cutoff():
    """Of three atoms 3.3 Å from one to the next the first two are the same where the third has turned around the second,
    beyond the cutoff of 4.5 Å: the second's features of l > 0 tell the first, and its distances do not."""

    def row(far):
        return Structure(33.0 * np.eye(3), ("Na", "O", "Si"), (1, 1, 1), [[0, 0, 0], [0.1, 0, 0], far])

    straight, bent = row([0.2, 0, 0]), row([0.1, 0.1, 0])
    first, second = (small(**MESSAGES).coefficients(made)[:, 0, 1:] for made in (straight, bent))
    assert np.abs(first - second).max() > 1e-5 * np.abs(first).max()
    first, second = (small(passes=2).coefficients(made)[:, 0, 1:] for made in (straight, bent))
    np.testing.assert_allclose(first, second, atol=1e-9 * np.abs(first).max())


@with_and_without_messages
def test_moving_all_atoms_and_their_order_change_nothing(network):
    model = small(**network)
    before = model.coefficients(cell())
    assert np.allclose(model.coefficients(cell(frac=FRAC + [0.3, -2.1, 0.77])), before, rtol=1e-9, atol=1e-12)
    swapped = model.coefficients(cell(frac=FRAC[[0, 1, 3, 2]]))
    assert np.allclose(swapped[:, [0, 1, 3, 2]], before, rtol=1e-9, atol=1e-12)


@with_and_without_messages
def test_a_supercell_and_another_choice_of_cell_hold_the_same_coefficients(network):
    model = small(**network)
    one = model.predict(cell(), total=0.0)
    twice = Structure(LATTICE * [[2], [1], [1]], ("Na", "Si", "O"), (2, 2, 4),
                      np.concatenate([(FRAC[[i]] + [[0, 0, 0], [1, 0, 0]]) / [2, 1, 1] for i in range(4)]))  # fmt: skip
    two = model.predict(twice)
    assert np.allclose(two.coefficients, np.repeat(one.coefficients, 2, axis=0), rtol=1e-8, atol=1e-11)
    assert two.error_percent == pytest.approx(one.error_percent, rel=1e-8)
    skewed = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ LATTICE
    other = model.predict(cell(skewed, FRAC @ LATTICE @ np.linalg.inv(skewed)))
    assert np.allclose(other.coefficients, one.coefficients, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("total", [0.0, -1.5])
def test_charge_is_what_was_asked_for(total):
    assert total_charge(small().predict(cell(), total).coefficients, BASIS) == pytest.approx(total, abs=1e-10)
    grid = small().density(cell(), (24, 25, 30), total)
    assert grid.mean() * cell().volume == pytest.approx(total, abs=1e-8)


def test_unseen_elements_have_no_coefficients():
    structure = Structure(LATTICE, ("Na", "U", "O"), (1, 1, 2), FRAC)
    estimate = small().predict(structure)
    assert estimate.unseen == ("U",)
    assert not estimate.coefficients[1].any()
    assert estimate.coefficients[[0, 2, 3]].any(axis=(1, 2)).all()
    nothing = small().predict(Structure(LATTICE, ("U",), (4,), FRAC))
    assert not nothing.coefficients.any()
    assert nothing.damping == 0


def test_what_the_members_do_not_agree_on_is_damped():
    model = small()
    sure = model.predict(cell())
    model.trust = Trust(6.0, 0.9, 0.5, 1.0)
    unsure = model.predict(cell())
    assert unsure.error_percent > 100 * sure.error_percent
    assert unsure.damping < 0.01 < sure.damping
    assert np.allclose(unsure.coefficients * sure.damping, sure.coefficients * unsure.damping, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_weights_come_back_as_they_were(tmp_path, network):
    model = small(**network)
    model.card = {"licence": "MIT"}
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.elements == ELEMENTS
    assert back.card == {"licence": "MIT"}
    assert (back.basis, back.trust, back.target, back.name) == (model.basis, model.trust, "dcd", "test")
    assert back.members[0].settings == model.members[0].settings
    assert ("message_l_max" in read_facts(tmp_path / "m.safetensors")["encoder"]) == ("message_l_max" in network)
    first, second = (m.predict(cell()).coefficients for m in (model, back))
    assert np.abs(first - second).max() < 1e-6 * np.abs(first).max()
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_half_precision_halves_the_file_and_changes_little(tmp_path):
    model = small()
    for name, half in (("full", False), ("half", True)):
        save_model(model, tmp_path / name, half=half)
    trained = sum(
        values.size for member in model.members for name, values in member.tensors.items() if is_trained(name)
    )
    full, half = ((tmp_path / name).stat().st_size for name in ("full", "half"))
    assert full - half == pytest.approx(2 * trained, abs=4000)  # the head counts tensors' places
    first, second = (load_model(tmp_path / name).predict(cell()).coefficients for name in ("full", "half"))
    assert 0 < np.linalg.norm(first - second) < 1e-3 * np.linalg.norm(first)


def damaged(path, change):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["chgtools_model"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    change(facts, tensors)
    save_file(tensors, path, metadata={"chgtools_model": json.dumps(facts)})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f, t: f.update(format_version=2), "format version 2"),
        (lambda f, t: f.update(spin="yes"), "unknown keys spin"),
        (lambda f, t: f.pop("basis"), "lacks basis"),
        (lambda f, t: f["encoder"].update(attention=4), "unknown encoder settings attention"),
        (
            lambda f, t: f["encoder"].update(channels=7),
            r"does not hold the tensors that its card describes: in member 0 left has the shape \(5, 6, 6\), wanted "
            r"\(5, 7, 7\); .*; and 6 more",
        ),
        (lambda f, t: t.pop("1.reading"), "does not hold the tensors .*: in member 1 reading is missing"),
        (
            lambda f, t: t.update({"1.spins": np.zeros(2)}),
            "does not hold the tensors .*: in member 1 spins is one too many",
        ),
        (lambda f, t: t["0.reading"].__setitem__(0, np.nan), "not finite"),
        (lambda f, t: f["elements"].pop(), "different numbers"),
        (lambda f, t: f.update(basis=[]), r"contradicts itself \(basis is \[\], wanted an object\)"),
        (
            lambda f, t: f["encoder"].update(message_l_max=5),
            "found encoder.message_l_max = 5; wanted 0 to encoder.l_max, 4",
        ),
        (lambda f, t: f["encoder"].update(message_l_max=1), "in member 0 equivariant.mixing is missing"),
        (lambda f, t: f["encoder"].update(cutoff="6"), r"contradicts itself \(encoder.cutoff is '6', wanted float"),
        (lambda f, t: f["encoder"].update(channels=6.0), "encoder.channels is 6.0, wanted int"),
        (lambda f, t: f["trust"].update(slope=math.inf), "trust.slope is inf, wanted float"),
        (lambda f, t: f["basis"].update(n_max=True), "basis.n_max is True, wanted int"),
        (lambda f, t: f.update(zvals=[math.nan] * len(f["zvals"])), "lists of finite numbers"),
        (lambda f, t: f.update(members=0), "it has 0 members"),
        (lambda f, t: f.update(elements=[1, *f["elements"][1:]]), "its name, target and elements are no words"),
        (lambda f, t: f.update(occupancies={"Na": {}}), r"contradicts itself \('error_percent'\)"),
    ],
)
def test_files_that_are_not_understood_are_refused(tmp_path, change, says):
    path = tmp_path / "m.safetensors"
    save_model(small(), path)
    damaged(path, change)
    with pytest.raises(FormatError, match=says):
        load_model(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(FormatError, match="no safetensors file"):
        read_facts(path)
    with pytest.raises(ChgtoolsError, match="neither a file nor one of si, base"):
        load_model("nothing")
    save_model(small(), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="damaged"):
        load_model(path)


def test_tensors_of_a_type_that_numpy_does_not_have_are_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    save_model(small(), path)
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key).bfloat16() for key in file.keys()}  # noqa: SIM118
        save_file(tensors, path, metadata=file.metadata())
    with pytest.raises(FormatError, match="wanted float32 or float16"):
        load_model(path)


def test_zvals_follow_from_electron_counts():
    symbols, zvals = element_zvals([("Na", "Cl"), ("Na", "Na", "O"), ("Cl", "O")], [16.0, 24.0, 13.0])
    assert symbols == ("Cl", "Na", "O")
    assert np.allclose(zvals, [7, 9, 6])


def test_a_graph_holds_what_the_encoder_takes():
    settings = EncoderSettings(cutoff=4.0, radial=3)
    batch = graph(cell(), ELEMENTS, settings)
    assert batch.element.tolist() == [0, 2, 1, 1]
    assert batch.radial.shape == (len(batch.centre), 3)
    assert (np.diff(batch.centre) >= 0).all()
    assert float(batch.envelope.max()) <= 1
