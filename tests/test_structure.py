"""Structures from paths, pymatgen and ASE; and when two are the same."""

from __future__ import annotations

import ase
import numpy as np
import pytest
from pymatgen.core import Lattice
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.io.vasp import Poscar
from synthetic_chgcar import charge, structure

from chgtools.cell import Structure, require_same
from chgtools.errors import ChgtoolsError, FormatError, MismatchError
from chgtools.formats import chgcar_writer, poscar
from chgtools.formats.structures import as_structure
from chgtools.volumetric import VolumetricData

LATTICE = [[4.0, 0, 0], [1, 4, 0], [0, 0, 5]]
SYMBOLS, FRAC = ["Fe", "Fe", "O", "Fe"], [[0, 0, 0], [0.5, 0, 0], [0.2, 0.3, 0.4], [0.9, 1.1, -0.2]]


@pytest.mark.parametrize("kind", ["pymatgen", "Poscar", "ase", "POSCAR", "cif", "CHGCAR"])
def test_sources_agree(kind, tmp_path):
    theirs = PymatgenStructure(Lattice(LATTICE), SYMBOLS, FRAC)
    if kind == "pymatgen":
        found = as_structure(theirs)
    elif kind == "Poscar":
        found = as_structure(Poscar(theirs))
    elif kind == "ase":
        found = as_structure(ase.Atoms(SYMBOLS, cell=LATTICE, scaled_positions=FRAC, pbc=True))
    elif kind == "cif":
        theirs.to(str(tmp_path / "x.cif"))
        found = as_structure(tmp_path / "x.cif")
        assert sorted(found.elements) == sorted(SYMBOLS)
        return
    else:
        ours = as_structure(theirs)
        if kind == "POSCAR":
            poscar.write(ours, tmp_path / "POSCAR")
        else:
            (tmp_path / "CHGCAR").write_bytes(chgcar_writer.header_text(ours) + b"    1    1    1\n 0.1\n")
        found = as_structure(str(tmp_path / kind))
    assert (found.species, found.counts) == (("Fe", "O", "Fe"), (2, 1, 1))
    np.testing.assert_allclose(found.lattice, LATTICE, atol=1e-6)
    shift = found.frac - FRAC
    np.testing.assert_allclose(shift - np.round(shift), 0, atol=1e-6)


def test_what_is_no_structure(tmp_path):
    with pytest.raises(ChgtoolsError, match="structure from a int"):
        as_structure(3)
    with pytest.raises(ChgtoolsError, match="no cell"):
        as_structure(ase.Atoms("H"))
    with pytest.raises(FormatError, match="nothing.cif: no such file"):
        as_structure(tmp_path / "nothing.cif")
    (tmp_path / "x.cif").write_text("no cif")
    with pytest.raises(FormatError, match="pymatgen cannot read it"):
        as_structure(tmp_path / "x.cif")
    mixed = PymatgenStructure(Lattice(LATTICE), [{"Fe": 0.5, "Co": 0.5}], [[0, 0, 0]])
    with pytest.raises(ChgtoolsError, match="partly occupied"):
        as_structure(mixed)


def test_the_same_structure_may_be_rounded_and_wrapped():
    ours = structure()
    require_same(ours, ours.with_changes(frac=(ours.frac + [[1, -2, 0]] * 3).round(5)))
    require_same(ours, charge().structure)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frac": structure().frac + [[0.01, 0, 0], [0, 0, 0], [0, 0, 0]]}, r"atom 1 \(Si\) lies 0\.0400 Å apart"),
        ({"lattice": structure().lattice * 1.001}, r"differ by up to 0\.0051 Å"),
        ({"species": ("O", "Si")}, r"Si2O1.*O2Si1"),
        ({"counts": (1, 2)}, r"Si2O1.*Si1O2"),
    ],
)
def test_another_structure_is_refused_with_the_number(changes, message):
    with pytest.raises(MismatchError, match=message):
        require_same(structure(), structure().with_changes(**changes))
    with pytest.raises(MismatchError, match="3 atoms.*has 1"):
        require_same(structure(), structure((1,), ("Si",)))


@pytest.mark.parametrize(
    ("species", "counts", "other_species", "other_counts", "message"),
    [
        (("Ni", "Ni", "O"), (2, 2, 4), ("Ni", "O"), (4, 4), ""),
        (("Ni", "O", "O"), (4, 1, 3), ("Ni", "Ni", "O"), (1, 3, 4), ""),
        (("Ni", "O", "Ni"), (2, 4, 2), ("Ni", "O"), (4, 4), r"atom 3 is O in .*Ni2O4Ni2.* and Ni in .*; the order of"),
        (("Ni", "O"), (3, 5), ("Ni", "O"), (4, 4), r"atom 4 is O in .*Ni3O5.* and Ni in .*Ni4O4.*; species and their"),
        (("", ""), (4, 4), ("Ni", "Ni", "O"), (2, 2, 4), ""),
        (("", "", ""), (2, 2, 4), ("Ni", "O"), (4, 4), ""),
        (("", ""), (3, 5), ("Ni", "O"), (4, 4), r"group 2 of .*names no species, holds atoms of several species"),
        (("", "", ""), (2, 2, 4), ("", ""), (4, 4), r"groups of \(2, 2, 4\) atoms, .* of \(4, 4\), and neither names"),
    ],
)
def test_atoms_agree_one_by_one_however_they_are_grouped(species, counts, other_species, other_counts, message):
    """pymatgen and ASE join neighbouring groups of one species: Ni Ni O of the run becomes Ni O."""
    frac = np.random.default_rng(5).uniform(0, 1, (8, 3))
    ours, theirs = Structure(LATTICE, species, counts, frac), Structure(LATTICE, other_species, other_counts, frac)
    for a, b in ((ours, theirs), (theirs, ours)):
        if not message:
            require_same(a, b)
        else:
            with pytest.raises(MismatchError):
                require_same(a, b)
    if message:
        with pytest.raises(MismatchError, match=message):
            require_same(ours, theirs)


def test_the_three_tests_of_the_same_atoms_have_one_tolerance(tmp_path):
    """make-dcd refuses, compare notes and check calls misread from the same displacement on, 1e-3 Å."""
    from chgtools.check import check_file
    from chgtools.comparison import compare
    from chgtools.formats import chgcar, poscar

    data = charge()
    chgcar.write(data, tmp_path / "CHGCAR")
    for step, moved in ((0.0008, False), (0.0012, True)):
        shifted = data.structure.with_changes(
            frac=data.structure.frac + np.array([step, 0, 0]) @ np.linalg.inv(data.structure.lattice)
        )
        poscar.write(shifted, tmp_path / "POSCAR")
        found = {f.code: f.severity for f in check_file(tmp_path / "CHGCAR").findings}
        assert found["positions"] == ("misread" if moved else "note")
        other = VolumetricData("CHGCAR", shifted, data.blocks, data.augmentation)
        assert bool(compare(other, data).notes) == moved
        if moved:
            with pytest.raises(MismatchError, match=r"atom \d \(\w+\) lies 0\.0012 Å apart"):
                require_same(shifted, data.structure)
        else:
            require_same(shifted, data.structure)
