"""The structures that training data are computed for (benchmarks/structures), without the relaxation."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "structures"))
import materials
import prototypes

STAND_INS = ["Mg", "Al", "O", "F", "Cl"]
BY_NAME = {f"{p.family} {p.name}": p for p in prototypes.PROTOTYPES}


@pytest.fixture(scope="module")
def drawn():
    return list(islice(materials.materials(7, relax=None), 80))


def test_prototypes_are_named_once_and_each_family_has_a_weight():
    assert len(BY_NAME) == len(prototypes.PROTOTYPES)
    assert {p.family for p in prototypes.PROTOTYPES} == set(materials.FAMILIES)


@pytest.mark.parametrize("family", materials.FAMILIES)
def test_prototypes_build_with_their_symmetry_and_size(family):
    for prototype in (p for p in prototypes.PROTOTYPES if p.family == family):
        cell = prototype.decorated(STAND_INS[: len(prototype.roles)])
        assert len(cell) <= materials.MOST_ATOMS, prototype
        near = min(n.nn_distance for around in cell.get_all_neighbors(6.0) for n in around)
        assert near > 0.9, prototype
        if not prototype.split:
            assert SpacegroupAnalyzer(cell, 0.01).get_space_group_number() == prototype.group, prototype


def test_sites_of_a_split_role_are_exchanged():
    inverse = BY_NAME["spinel inverse"].decorated(["Al", "Mg", "O"])
    assert inverse.composition.reduced_formula == "MgAl2O4"
    normal = BY_NAME["spinel normal"].decorated(["Mg", "Al", "O"])
    assert SpacegroupAnalyzer(normal).get_space_group_number() == 227
    assert SpacegroupAnalyzer(inverse, 0.01).get_space_group_number() == 74


def test_decorations_have_a_token_a_role_and_balanced_charges():
    for prototype in prototypes.PROTOTYPES:
        counts = prototype.counts()
        for decoration in prototype.decorations:
            assert len(decoration) == len(counts), prototype
            charges = [charge for _, charge in decoration]
            if set(charges) != {None}:
                assert sum(c * n for c, n in zip(charges, counts.values(), strict=True)) == 0, (prototype, decoration)


def test_known_compounds_are_what_they_should_be():
    for name, elements, formula in [
        ("carbonate calcite", ["Ca", "C", "O"], "CaCO3"),
        ("hydroxide brucite", ["Mg", "O", "H"], "Mg(HO)2"),
        ("kesterite kesterite", ["Cu", "Zn", "Sn", "S"], "ZnCu2SnS4"),
        ("max M2AX", ["Ti", "Al", "C"], "Ti2AlC"),
    ]:
        assert BY_NAME[name].decorated(elements).composition.reduced_formula == formula


def test_tokens_that_mean_nothing_are_refused():
    assert prototypes.pool("Mg,Zn+2") == (("Mg", "Zn"), 2.0)
    assert prototypes.pool("early")[1] is None
    with pytest.raises(ValueError, match="found the token erly"):
        prototypes.pool("erly")


def test_every_element_can_be_drawn():
    choices = materials.available(materials.ELEMENTS)
    assert {e for c in choices for names, _ in c.sites for e in names} == set(materials.ELEMENTS)
    assert len(materials.ELEMENTS) == 70


def test_rare_elements_come_first():
    assert materials.wanted("Re") > 2 * materials.wanted("Mg") > materials.wanted("Si")


def test_one_seed_gives_the_same_structures(drawn):
    again = list(islice(materials.materials(7, relax=None), 12))
    for (name, kind, source, structure, nspin), old in zip(again, drawn, strict=False):
        assert (name, kind, source, nspin) == (*old[:3], old[4])
        np.testing.assert_allclose(structure.frac_coords, old[3].frac_coords)
        np.testing.assert_allclose(structure.lattice.matrix, old[3].lattice.matrix)
    assert [name for name, *_ in islice(materials.materials(8, relax=None), 12)] != [name for name, *_ in drawn[:12]]


def test_what_is_drawn_is_small_apart_and_of_the_kind_it_says(drawn):
    kinds = set(materials.FAMILIES) | set(materials.DERIVED) | {"noble-box"}
    for name, kind, source, structure, nspin in drawn:
        plain = kind.removesuffix("-distorted")
        assert plain in kinds
        assert name == f"{structure.composition.reduced_formula}-{plain}"
        assert source
        assert len(structure) <= materials.MOST_ATOMS
        assert structure.volume <= materials.LARGEST
        assert not materials.too_near(structure)
        assert nspin == 1 + bool(materials.MAGNETIC & set(structure.symbol_set))
    distorted = sum(kind.endswith("-distorted") for _, kind, *_ in drawn)
    assert 0.2 < distorted / len(drawn) < 0.6


def test_only_the_elements_asked_for_come():
    asked = ["Sr", "Ti", "Hf", "O", "S", "Pt"]
    for _, _, _, structure, _ in islice(materials.materials(1, asked, relax=None), 8):
        assert set(structure.symbol_set) <= set(asked) | {"N", "F"}


def test_a_monolayer_is_one_layer_with_vacuum():
    cell = BY_NAME["layered 2H"].decorated(["Mo", "S"])
    layer = materials.monolayer(cell, np.random.default_rng(1))
    assert layer.composition.reduced_formula == "MoS2"
    assert len(layer) == 3
    order, widths = materials.gaps(layer, 2)
    assert len(order) == 3
    assert 5.4 < widths.max() < 7.1
    near = [sorted(round(n.nn_distance, 2) for n in around)[0] for around in layer.get_all_neighbors(3.0)]
    assert max(near) < 2.5


def test_noble_gases_are_not_relaxed_and_unknown_elements_have_stand_ins():
    def relax(structure, steps, cell):
        assert set(structure.symbol_set) == {"Ca", "Te"}
        return structure.copy()

    solid = Structure(Lattice.cubic(5), ["Xe"], [[0, 0, 0]])
    assert materials.settled(solid, 9, True, relax) == solid
    compound = Structure(Lattice.cubic(5), ["Ca", "Po"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    settled = materials.settled(compound, 9, True, relax)
    assert set(settled.symbol_set) == {"Ca", "Po"}
    assert compound.volume < settled.volume < 1.1 * compound.volume
