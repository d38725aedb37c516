"""Moments and charges that pymatgen and ASE objects carry."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from pymatgen.electronic_structure.core import Magmom

import chgtools
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


GRID = chgtools.GridOptions(ngf=(24, 24, 24))


def made(source, tmp_path=None, incar=None, **options):
    if incar is not None:
        (tmp_path / "INCAR").write_text(incar)
        options["incar"] = tmp_path / "INCAR"
    return chgtools.predict(source, grid=GRID, model="none", **options)


@pytest.mark.parametrize("source", [feo([-4.0, 1.0]), ase_feo(magmoms=[-4.0, 1.0])], ids=["pymatgen", "ase"])
def test_without_an_incar_the_moments_are_the_objects(source):
    found = made(source)
    assert len(found.data.blocks) == 2
    np.testing.assert_allclose(found.data.moments[0], [-4, 1])
    volume = found.data.structure.volume
    assert found.data.blocks[1].mean() * volume == pytest.approx(-3, abs=1e-6)
    (said,) = [text for text in found.assumptions if "MAGMOM of the" in text]
    assert said.startswith("no INCAR: ISPIN = 2 and the MAGMOM of the")


def test_vectors_make_a_noncollinear_start():
    found = made(feo([[0, 3, 0], [0, 0, 0]]))
    assert len(found.data.blocks) == 4
    assert [block.mean() * found.data.structure.volume for block in found.data.blocks[1:]] == pytest.approx(
        [0, 3, 0], abs=1e-6
    )
    assert "LNONCOLLINEAR = .TRUE." in " ".join(found.assumptions)


@pytest.mark.parametrize(
    ("incar", "moments", "said"),
    [
        ("ISPIN = 2\nMAGMOM = 2 2\n", [2, 2], "MAGMOM: that of the INCAR, not of the pymatgen Structure"),
        ("ISPIN = 2\n", [1, 1], "are not used: the INCAR, which goes first, has no MAGMOM"),
        ("ENCUT = 300\n", None, "are not used: the INCAR, which goes first, has no MAGMOM"),
    ],
)
def test_an_incar_goes_first(incar, moments, said, tmp_path):
    found = made(feo([-4.0, 1.0]), tmp_path, incar)
    assert said in " ".join(found.assumptions)
    if moments is None:
        assert len(found.data.blocks) == 1
    else:
        np.testing.assert_allclose(found.data.moments[0], moments)


def test_the_charge_is_taken_from_the_electrons(tmp_path):
    from chgtools.start.writing import StartOptions, write_start

    neutral = made(feo()).electrons_of_atoms
    for source, charge in ((feo(charge=1), 1), (ase_feo(charges=[0, -2]), -2)):
        found = made(source)
        assert found.data.electrons == pytest.approx(neutral - charge, abs=1e-6)
        assert f"NELECT = {neutral - charge:g}: the charge {charge:+g} of the" in " ".join(found.assumptions)
    assert made(feo(charge=1), nelect=neutral).data.electrons == pytest.approx(neutral)
    found = made(feo(charge=1), tmp_path, "ENCUT = 300\n")
    assert found.data.electrons == pytest.approx(neutral)
    assert "the charge +1 of the pymatgen Structure is not used" in " ".join(found.assumptions)
    found = made(feo(charge=1), tmp_path, f"NELECT = {neutral - 2:g}\n")
    assert found.data.electrons == pytest.approx(neutral - 2)
    # its own check knows of the charge
    start = write_start(feo(charge=1), tmp_path / "CHGCAR", StartOptions(model="none"))
    assert [finding.code for finding in start.findings] == ["record-missing"]


def test_moments_in_files_count_as_those_of_objects(tmp_path):
    pytest.importorskip("ase")
    (tmp_path / "s.json").write_text(feo([-4.0, 1.0], charge=1).to_json())
    ase_feo(magmoms=[3.0, 0.0]).write(tmp_path / "s.extxyz", format="extxyz")
    for name, moments, charge in (("s.json", [-4, 1], 1), ("s.extxyz", [3, 0], 0)):
        found = made(tmp_path / name)
        np.testing.assert_allclose(found.data.moments[0], moments)
        assert found.data.electrons == pytest.approx(found.electrons_of_atoms - charge)
