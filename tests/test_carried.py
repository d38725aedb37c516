"""Moments and charges that pymatgen and ASE objects carry."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from pymatgen.electronic_structure.core import Magmom

from chgtools.errors import ChgtoolsError
from chgtools.formats.carried import carried_by

CUBIC = Lattice.cubic(4.2)
PLACES = [[0, 0, 0], [0.5, 0.5, 0.5]]


def feo(magmom=None, iron="Fe", charge=None):
    properties = None if magmom is None else {"magmom": magmom}
    return Structure(CUBIC, [iron, "O"], PLACES, site_properties=properties, charge=charge)


def ase_feo(**arrays):
    ase = pytest.importorskip("ase")
    return ase.Atoms("FeO", scaled_positions=PLACES, cell=4.2 * np.eye(3), pbc=True, **arrays)


def test_nothing_is_carried_where_nothing_is_set():
    for source in (feo(), feo([0, 0]), ase_feo(), ase_feo(magmoms=[0, 0]), "POSCAR"):
        assert carried_by(source).moments is None
        assert carried_by(source).charge is None
        assert carried_by(source).assumptions == ()


def test_a_site_goes_before_its_species():
    moments = carried_by(feo([-4.0, 0.1], Species("Fe", 2, spin=5))).moments
    np.testing.assert_array_equal(moments, [-4.0, 0.1])


def test_spins_of_species_and_what_pymatgen_takes_for_the_others():
    found = carried_by(feo(iron=Species("Fe", 2, spin=-5)))
    np.testing.assert_array_equal(found.moments, [-5, 0.6])
    assert "0.6 for 1 atoms" in found.assumptions[0]


def test_the_moments_are_those_of_pymatgens_own_input_set():
    from pymatgen.io.vasp.sets import MPRelaxSet

    for structure in (feo([3.3, -0.2]), feo(iron=Species("Fe", 2, spin=4))):
        wanted = MPRelaxSet(structure, user_incar_settings={}).incar["MAGMOM"]
        np.testing.assert_allclose(carried_by(structure).moments, wanted)


def test_vectors():
    vectors = [[1, 2, 2], [0, 0, 0]]
    np.testing.assert_array_equal(carried_by(feo(vectors)).moments, vectors)
    np.testing.assert_array_equal(carried_by(ase_feo(magmoms=vectors)).moments, vectors)
    np.testing.assert_array_equal(carried_by(feo([[0, 0, 2], [0, 0, -1]])).moments, [2, -1])  # collinear
    turned = [Magmom([0, 0, 2], saxis=[1, 0, 0]), Magmom(0)]
    np.testing.assert_allclose(carried_by(feo(turned)).moments, [[2, 0, 0], [0, 0, 0]], atol=1e-12)
    with pytest.raises(ChgtoolsError, match="neither numbers nor vectors"):
        carried_by(feo([[1, 2], [3, 4]]))


def test_charges():
    assert carried_by(feo(charge=1)).charge == 1
    assert carried_by(feo(iron=Species("Fe", 3))).charge is None  # an oxidation state is no charge of the cell
    assert carried_by(ase_feo(charges=[1.5, -2.0])).charge == -0.5
    assert carried_by(ase_feo(charges=[2.0, -2.0])).charge is None
