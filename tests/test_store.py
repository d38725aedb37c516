"""Stores of difference densities: the Fourier coefficients are the field's, and a stopped build loses nothing."""

from __future__ import annotations

import importlib.util
import itertools
import json

import h5py
import numpy as np
import pytest
from conftest import shared_path
from fields import SKEW
from hypothesis import given, settings
from hypothesis import strategies as st
from made_targets import SHAPE, add_target, atoms, difference, target, write_run

from chgtools import dcd
from chgtools.cell import reciprocal
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.fourier.half_sphere import half_sphere, lengths, take, to_grid
from chgtools.fourier.resampling import coefficients, resample
from chgtools.stores import entry as entries
from chgtools.stores import store as storing
from chgtools.stores.build import BuildOptions, build
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store
from chgtools.stores.truncate import STEP_PER_BOHR, entry_of
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import DifferenceDensity


def truncation_of(entry, wanted: DifferenceDensity) -> float:
    """100 Σ|entry − DCD| / Σρ, in the test's own words."""
    density = wanted.dcd + wanted.saed
    return 100 * np.abs(entry.on_grid() - wanted.dcd).sum() / density.sum()


def half_sphere_reference(lattice, g_max):
    """All vectors of a box that is large enough, one by one."""
    b = 2 * np.pi * np.linalg.inv(lattice).T
    n = int(g_max * np.linalg.norm(lattice, axis=1).max() / (2 * np.pi)) + 1
    indices = itertools.product(range(-n, n + 1), repeat=3)
    return [m for m in indices if m > (0, 0, 0) and np.linalg.norm(m @ b) <= g_max + 1e-9]


@given(st.integers(0, 10_000), st.floats(0.5, 6))
@settings(max_examples=25)
def test_half_sphere_is_half_of_the_sphere_in_order(seed, g_max):
    lattice = SKEW + np.random.default_rng(seed).normal(size=(3, 3)) * 0.4
    assert [tuple(m) for m in half_sphere(lattice, g_max).tolist()] == half_sphere_reference(lattice, g_max)


def test_a_shell_of_equal_lengths_is_not_parted():
    lattice = np.eye(3) * 3.7
    g_max = np.linalg.norm([3, 4, 0] @ reciprocal(lattice))
    found = {tuple(m) for m in half_sphere(lattice, float(g_max)).tolist()}
    shell = [m for m in itertools.product(range(-5, 6), repeat=3) if sum(i * i for i in m) == 25 and m > (0, 0, 0)]
    assert len(shell) == 15
    assert found.issuperset(shell)


@pytest.fixture(scope="module")
def density():
    """tools/density.py of the shared data, which has the layout and the order of coefficients."""
    spec = importlib.util.spec_from_file_location("shared_density", shared_path("dft", "tools", "density.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["si.h5", "compounds.h5", "crystals.h5"])
def test_compact_stores_are_read_as_their_own_tool_reads_them(density, name):
    path = shared_path("dft", name)
    opened = Store.open(path)
    assert len(opened) >= 42
    with h5py.File(path) as file:
        for index, (key, entry) in enumerate(opened.items()):
            theirs = density.load(file[key])
            np.testing.assert_array_equal(entry.miller, theirs["miller"])
            assert entry.structure.elements == tuple(theirs["species"])
            assert entry.g_max == theirs["g_max"] / BOHR_ANGSTROM
            if index % 10 == 0:
                wanted = density.to_grid(theirs["miller"], theirs["dcd"], theirs["shape"]) / BOHR_ANGSTROM**3
                np.testing.assert_allclose(entry.on_grid(), wanted, atol=1e-13 * np.abs(wanted).max())
                assert abs(entry.on_grid().mean()) * entry.structure.volume < 1e-10


def test_our_stores_are_read_by_the_tool(density, tmp_path):
    add_target(tmp_path / "s.h5", target(tmp_path / "a.h5", spins=1))
    (name,) = opened = Store.open(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        theirs = density.load(file[name])
    entry = opened[name]
    np.testing.assert_array_equal(entry.miller, theirs["miller"])
    grid = density.to_grid(theirs["miller"], theirs["dcd"], SHAPE) / BOHR_ANGSTROM**3
    np.testing.assert_allclose(grid, entry.on_grid(), atol=1e-12)
    assert theirs["magnetisation"].shape == theirs["dcd"].shape


@pytest.mark.parametrize("shape", [(6, 5, 8), (4, 4, 4), (1, 4, 9), (2, 2, 2), (7, 3, 1)], ids=str)
@pytest.mark.parametrize("lattice", [np.eye(3) * 4, SKEW], ids=["cubic", "triclinic"])
def test_the_whole_series_is_the_field(shape, lattice):
    """Even axes, whose edge stands for two waves, among them."""
    values = np.asfortranarray(np.random.default_rng(5).normal(size=shape))
    miller = half_sphere(lattice, 2 * float(lengths(lattice, shape).max()) + 1)
    series = take(coefficients(values), shape, miller)
    np.testing.assert_allclose(to_grid(miller, series, values.mean(), shape), values, atol=1e-13)
    for other in ((9, 10, 11), (3, 2, 4)):
        again = to_grid(miller, series, values.mean(), other)
        np.testing.assert_allclose(again, resample(values, other), atol=1e-13)
        assert again.flags.f_contiguous


@pytest.mark.parametrize("truncation", [0.01, 0.06, 0.5])
def test_a_target_comes_back_to_the_truncation(tmp_path, truncation):
    made = difference()
    outcome = add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"), BuildOptions(truncation, kind="glass"))
    entry = Store.open(tmp_path / "s.h5")[outcome.names[0]]
    cost = truncation_of(entry, made)
    assert 0 < cost <= truncation
    assert entry.attributes["truncation_percent"] == pytest.approx(cost, rel=1e-6)
    step = STEP_PER_BOHR / BOHR_ANGSTROM
    assert truncation_of(_cut(made, entry.g_max - step), made) > truncation  # the cutoff is the smallest
    assert entry.shape == SHAPE
    assert entry.structure.elements == made.structure.elements
    assert entry.structure.labels == ("Si_x", "O")
    np.testing.assert_array_equal(entry.structure.frac, made.structure.frac)
    np.testing.assert_array_equal(entry.structure.lattice, made.structure.lattice)
    assert entry.attributes["kind"] == "glass"
    assert entry.attributes["nelectrons"] == 14
    assert list(entry.attributes["zvals"]) == [4, 6]
    wanted = 100 * np.abs(made.dcd).sum() / (made.dcd + made.saed).sum()
    assert entry.attributes["saed_eps_mae_percent"] == pytest.approx(wanted, rel=1e-9)
    assert abs(entry.on_grid().mean()) * made.structure.volume < 1e-12


def _cut(made, g_max):
    miller = half_sphere(made.structure.lattice, g_max)
    values = take(coefficients(made.dcd), SHAPE, miller) * made.structure.volume
    return Entry("cut", made.structure, SHAPE, g_max, miller, values)


def test_what_one_coefficient_is():
    """V·n_G of 0.01 cos(2π(2y − z) − 0.3) is V · 0.005 exp(-0.3i) at (0, 2, -1)."""
    x, y, z = np.meshgrid(*(np.arange(n) / n for n in SHAPE), indexing="ij")
    wave = np.asfortranarray(0.01 * np.cos(2 * np.pi * (2 * y - z) - 0.3))
    cell = atoms()
    entry = entry_of(DifferenceDensity(cell, [wave], None, ("Si", "O"), (4.0, 6.0), 14.0), "wave")
    here = (entry.miller == [0, 2, -1]).all(axis=1)
    assert here.sum() == 1
    np.testing.assert_allclose(entry.dcd[here], cell.volume * 0.005 * np.exp(-0.3j), rtol=1e-6)
    assert np.abs(entry.dcd[~here]).max() < 1e-9


@pytest.mark.parametrize("charge", [1.0, -2.0])
def test_a_charged_cell_keeps_its_electrons(tmp_path, charge):
    outcome = add_target(tmp_path / "s.h5", target(tmp_path / "a.h5", charge=charge))
    entry = Store.open(tmp_path / "s.h5")[outcome.names[0]]
    assert entry.dcd_0 == pytest.approx(charge, abs=1e-12)
    assert entry.on_grid().mean() * entry.structure.volume == pytest.approx(charge, abs=1e-10)
    assert truncation_of(entry, difference(charge=charge)) <= 0.06


def test_the_noise_of_a_neutral_cell_is_no_charge():
    made = difference(charge=1e-5)
    assert entry_of(made, "x").dcd_0 == 0


@pytest.mark.parametrize("spins", [1, 3])
def test_magnetisation_goes_along(tmp_path, spins):
    made = difference(spins=spins)
    outcome = add_target(tmp_path / "s.h5", target(tmp_path / "a.h5", spins=spins))
    entry = Store.open(tmp_path / "s.h5")[outcome.names[0]]
    blocks = entry.magnetisation_on_grid()
    assert len(blocks) == spins
    for block, wanted in zip(blocks, made.blocks[1:], strict=True):
        assert np.abs(block - wanted).sum() < 0.05 * np.abs(wanted).sum()
        assert block.mean() == pytest.approx(wanted.mean(), rel=1e-12)


def test_without_spin_there_is_no_magnetisation(tmp_path):
    add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    (entry,) = Store.open(tmp_path / "s.h5").values()
    assert entry.magnetisation is None
    assert entry.magnetisation_on_grid() == []


def test_a_chgcar_and_its_target_are_one_entry(tmp_path):
    from chgtools.libraries.choice import Source

    charge = write_run(tmp_path / "run7")
    source = Source(library=tmp_path / "run7" / "lib.h5", labels={"Si": "Si", "O": "O"})
    outcome = add_target(tmp_path / "s.h5", charge, BuildOptions(source=source))
    assert outcome.status == "added"
    assert outcome.names[0].startswith("Si2O-run7-")
    assert truncation_of(Store.open(tmp_path / "s.h5")[outcome.names[0]], difference()) < 0.0601
    dcd.write(dcd.difference_density(charge, source=source), tmp_path / "a.h5")
    again = add_target(tmp_path / "s.h5", tmp_path / "a.h5")
    assert (again.status, again.names) == ("present", outcome.names)
    assert len(Store.open(tmp_path / "s.h5")) == 1


def test_several_processes_give_the_same_store(tmp_path):
    sources = [(target(tmp_path / f"{i}.h5", i), None) for i in range(4)]
    sources.insert(2, (tmp_path / "missing.h5", None))
    alone = {o.path: o for o in build(tmp_path / "one.h5", sources)}
    together = {o.path: o for o in build(tmp_path / "two.h5", sources, jobs=2)}
    assert alone == together
    assert [o.status for o in alone.values()] == ["added", "added", "failed", "added", "added"]
    assert "no such file" in alone[tmp_path / "missing.h5"].error.lower()
    one, two = Store.open(tmp_path / "one.h5"), Store.open(tmp_path / "two.h5")
    assert set(one) == set(two)
    assert all(np.array_equal(one[name].dcd, two[name].dcd) for name in one)


def test_a_build_stopped_in_the_middle_of_an_entry_goes_on(tmp_path, monkeypatch):
    sources = [(target(tmp_path / f"{i}.h5", i), None) for i in range(3)]
    pairs, calls = entries._pairs, itertools.count()

    def killed(values):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return pairs(values)

    monkeypatch.setattr(entries, "_pairs", killed)
    with pytest.raises(KeyboardInterrupt):
        list(build(tmp_path / "s.h5", sources))
    before = Store.open(tmp_path / "s.h5")
    assert len(before) == 1
    assert all(np.isfinite(entry.dcd).all() for entry in before.values())
    outcomes = list(build(tmp_path / "s.h5", sources))
    assert [o.status for o in outcomes] == ["present", "added", "added"]
    assert len(Store.open(tmp_path / "s.h5")) == 3


def test_what_a_killed_process_left_is_no_entry(tmp_path):
    """A process that dies cannot tidy up: half an entry stays under the name of unfinished work."""
    add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        (name,) = list(file)
        file.copy(name, storing._UNFINISHED)
    assert list(Store.open(tmp_path / "s.h5")) == [name]
    add_target(tmp_path / "s.h5", target(tmp_path / "b.h5", 1))
    with h5py.File(tmp_path / "s.h5") as file:
        assert storing._UNFINISHED not in file
        assert len(file) == 2


def test_a_copy_under_another_name_is_not_added_twice(tmp_path):
    first = target(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(first.read_bytes())
    outcomes = list(build(tmp_path / "s.h5", [(first, None), (tmp_path / "b.h5", None)]))
    assert [o.status for o in outcomes] == ["added", "present"]
    assert outcomes[1].names == outcomes[0].names


def test_stores_are_merged(tmp_path):
    add_target(tmp_path / "one.h5", target(tmp_path / "a.h5"))
    add_target(tmp_path / "two.h5", target(tmp_path / "b.h5", 1))
    list(build(tmp_path / "two.h5", [(tmp_path / "a.h5", None)]))
    outcome = add_target(tmp_path / "one.h5", tmp_path / "two.h5")
    assert len(outcome.names) == 1
    one, two = Store.open(tmp_path / "one.h5"), Store.open(tmp_path / "two.h5")
    assert set(one) == set(two)
    assert add_target(tmp_path / "one.h5", tmp_path / "two.h5").status == "present"
    with pytest.raises(ChgtoolsError, match="is the store itself"):
        add_target(tmp_path / "one.h5", tmp_path / "one.h5")


def test_a_shared_store_is_taken_in(tmp_path):
    path = shared_path("dft", "si.h5")
    outcome = add_target(tmp_path / "s.h5", path)
    ours, theirs = Store.open(tmp_path / "s.h5"), Store.open(path)
    assert set(outcome.names) == set(ours) == set(theirs)
    for name in list(ours)[::10]:
        assert np.array_equal(ours[name].dcd, theirs[name].dcd)
        assert ours[name].g_max == theirs[name].g_max
    assert add_target(tmp_path / "s.h5", path).status == "present"


def test_files_that_are_no_stores(tmp_path):
    path = tmp_path / "x.h5"
    with pytest.raises(FormatError, match=r"x.h5: no such file"):
        Store.open(path)
    path.write_text("text")
    with pytest.raises(FormatError, match="is no HDF5 file"):
        Store.open(path)
    with pytest.raises(ChgtoolsError, match="is no HDF5 file"):
        add_target(tmp_path / "s.h5", path)
    with h5py.File(path, "w") as file:
        file["other"] = 1
    with pytest.raises(FormatError, match="no store of difference densities"):
        Store.open(path)
    with pytest.raises(ChgtoolsError, match="no store of difference densities"):
        add_target(tmp_path / "s.h5", path)
    with pytest.raises(FormatError, match="is no store of .* but 'chgtools difference charge density'"):
        Store.open(target(tmp_path / "a.h5"))
    with pytest.raises(FormatError, match="is no store of .* but 'chgtools difference charge density'"):
        add_target(tmp_path / "a.h5", target(tmp_path / "b.h5"))
    assert not (tmp_path / "s.h5").exists()


def _damage(group, how):
    if how == "short":
        values = group["dcd"][()]
        del group["dcd"]
        group["dcd"] = values[:-1]
    elif how == "infinite":
        group["dcd"][3, 1] = np.inf
    elif how == "g_max":
        del group.attrs["g_max"]
    else:
        del group[how]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("short", r"need (\d+) coefficients, found \d+"),
        ("infinite", "not finite"),
        ("g_max", "no attribute g_max"),
        ("species", "no 'species'"),
    ],
)
def test_damaged_entries_are_refused(tmp_path, how, words):
    add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        (name,) = list(file)
        _damage(file[name], how)
    with pytest.raises(FormatError, match=words) as caught:
        Store.open(tmp_path / "s.h5")[name]
    assert name in str(caught.value)


def test_a_newer_version_is_refused(tmp_path):
    add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(FormatError, match="format version 2, this chgtools reads up to 1"):
        Store.open(tmp_path / "s.h5")


def test_an_unknown_entry_is_named(tmp_path):
    outcome = add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    opened = Store.open(tmp_path / "s.h5")
    assert outcome.names[0] in opened
    with pytest.raises(ChgtoolsError, match=f"no entry 'Si'; it has 1, such as {outcome.names[0]}"):
        opened["Si"]


@pytest.mark.parametrize("value", [0, -1, 100])
def test_a_truncation_that_is_none(value):
    with pytest.raises(SettingsError, match=f"truncation of {value} percent"):
        BuildOptions(truncation=value)


def test_a_truncation_below_single_precision_is_refused(tmp_path):
    with pytest.raises(ChgtoolsError, match="larger --truncation"):
        add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"), BuildOptions(truncation=1e-9))


def test_facts_need_no_coefficients(tmp_path):
    outcome = add_target(tmp_path / "s.h5", target(tmp_path / "a.h5"))
    ((name, facts),) = Store.open(tmp_path / "s.h5").facts()
    assert name == outcome.names[0]
    assert facts["elements"] == ["Si", "Si", "O"]
    assert facts["formula"] == "Si2O"
    json.dumps(float(facts["saed_eps_mae_percent"]))
