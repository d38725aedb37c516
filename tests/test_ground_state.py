"""Atoms in their ground state: the reference of learned difference densities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import shared_path
from made_models import small

import chgtools
from chgtools.atoms.labels import label_facts
from chgtools.cell import Structure
from chgtools.fourier.half_sphere import half_sphere
from chgtools.libraries.choice import Source, choose
from chgtools.libraries.ground_state import change_of_form, ground_state_change, ground_state_facts
from chgtools.libraries.library import DensityLibrary
from chgtools.start.superposition import superpose
from chgtools.stores.entry import Entry
from chgtools.training.reference import from_ground_state

LIBRARY = DensityLibrary.builtin("PBE")
CUBE = np.diag([3.3, 3.4, 3.5])


@pytest.mark.parametrize(
    ("label", "valence"),
    [("Ti_pv", "3p6 3d2 4s2"), ("Fe", "3d6 4s2"), ("Pd", "4d10"), ("Sc_sv", "3s2 3p6 3d1 4s2")],
)
def test_configurations(label, valence):
    found = ground_state_facts(label_facts(label))
    assert " ".join(f"{n}{'spdf'[ell]}{e:g}" for n, ell, e in sorted(found.valence)) == valence


@pytest.mark.parametrize("label", ["Si", "O", "Cu", "Cr", "Ga_d", "H.5", "Er_3"])
def test_labels_that_need_no_change(label):
    assert ground_state_facts(label_facts(label)) is None
    assert ground_state_change(LIBRARY[label]) is None


def test_the_change_moves_no_charge():
    q = np.linspace(0, 8, 81)
    changes = change_of_form([LIBRARY["Ti_pv"], LIBRARY["O"]], q)
    assert changes[1] is None
    assert changes[0][0] == 0
    # one electron goes from d to s: 0.55 with frozen orbitals, 0.24 with all valence orbitals solved anew (true cusp)
    assert np.abs(changes[0]).max() == pytest.approx(0.24, abs=0.02)


def test_atoms_of_upf_files_are_left_as_they_are():
    assert ground_state_change(replace(LIBRARY["Ti_pv"], source="UPF Ti.upf")) is None
    assert ground_state_change(replace(LIBRARY["Ti_pv"], source="POTCAR PAW_PBE Ti_pv 07Sep2000")) is not None


def test_prediction_counts_from_the_ground_state():
    model = small()
    model.elements, model.zvals = ("Na", "O", "Ti"), np.array([9.0, 6.0, 10.0])
    structure = Structure(np.diag([4.0, 4.1, 4.2]), ("Ti", "O"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.45]])
    grid = chgtools.GridOptions(ngf=(30, 30, 30))
    made = chgtools.predict(structure, model=model, grid=grid)
    plain = chgtools.predict(structure, model="none", grid=grid)
    ground, present = ground_state_change(made.settings.choice.densities[0])
    titanium = Structure(structure.lattice, ("Ti",), (1,), structure.frac[:1])
    moved = superpose(titanium, grid.ngf, [ground]) - superpose(titanium, grid.ngf, [present])
    learned = model.density(structure, grid.ngf)
    damped = made.estimate.damping
    assert np.abs(moved).max() > 1e-3
    assert np.allclose(made.data.total, plain.data.total + learned + damped * moved, atol=1e-10)
    assert made.data.electrons == pytest.approx(plain.data.electrons, abs=1e-8)


def test_elements_without_data_keep_their_labels_atoms():
    model = small()
    structure = Structure(np.diag([4.0, 4.1, 4.2]), ("Ti", "O"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.45]])
    grid = chgtools.GridOptions(ngf=(30, 30, 30))
    made = chgtools.predict(structure, model=model, grid=grid)
    plain = chgtools.predict(structure, model="none", grid=grid)
    assert np.allclose(made.data.total, plain.data.total + model.density(structure, grid.ngf), atol=1e-10)


def test_entries_of_labels_are_counted_from_the_ground_state():
    structure = Structure(CUBE, ("Ti",), (1,), [[0.1, 0.2, 0.3]], ("Ti_pv",))
    miller = half_sphere(CUBE, 34.0)
    facts = {"nelectrons": 10.0, "saed_eps_mae_percent": 0.0}
    entry = Entry("t", structure, (40, 40, 40), 34.0, miller, np.zeros(len(miller), complex), attributes=facts)
    counted = from_ground_state(entry)
    ground, present = ground_state_change(LIBRARY["Ti_pv"])
    bare = structure.with_changes(labels=())
    wanted = superpose(bare, entry.shape, [present]) - superpose(bare, entry.shape, [ground])
    assert np.allclose(counted.on_grid(), wanted, atol=1e-2 * np.abs(wanted).max())  # cut at g_max
    assert counted.attributes["saed_eps_mae_percent"] > 1
    unlabelled = replace(entry, structure=bare)
    assert from_ground_state(unlabelled) is unlabelled


@pytest.mark.parametrize("element", ["Sc", "Ti", "V", "Fe", "Zr", "W"])
def test_outside_the_core_they_are_the_atoms_of_the_training_potentials(element):
    """Beyond 1.2 Å: as labelled the atoms differ by percents, in the ground state by less than half of one."""
    folder = shared_path("dft", "upf")
    structure = Structure(CUBE, (element,), (1,), [[0, 0, 0]])
    own = choose(structure, Source(upf=folder)).densities[0]
    labels = [label for label in LIBRARY if LIBRARY[label].element == element and LIBRARY[label].zval == own.zval]
    shape = (36, 36, 36)
    ground, present = ground_state_change(LIBRARY[min(labels, key=len)])
    true, as_labelled, corrected = (superpose(structure, shape, [d]) for d in (own, present, ground))
    points = np.stack(np.meshgrid(*[np.arange(36) / 36] * 3, indexing="ij"), -1)
    far = np.linalg.norm((points - np.round(points)) @ CUBE, axis=-1) > 1.2
    errors = [np.abs(d - true)[far].sum() / true[far].sum() for d in (as_labelled, corrected)]
    assert errors[0] > 0.03
    assert errors[1] < 0.005
