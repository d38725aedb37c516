"""XSF files: ours against ASE's reader, files of others, and damaged ones."""

from __future__ import annotations

import ase.io.xsf
import numpy as np
import pytest
from fields import density, spin_density

from chgtools.errors import AssumptionWarning, FormatError
from chgtools.formats import xsf
from chgtools.units import BOHR_ANGSTROM

FOREIGN = """\
# of another program
CRYSTAL

PRIMVEC
 2.0 0.0 0.0
 0.5 3.0 0.0
 0.0 0.1 4.0
CONVVEC
 2.0 0.0 0.0
 0.5 3.0 0.0
 0.0 0.1 4.0
PRIMCOORD
 2 1
 8   0.1 0.0 0.0   0.01 0.02 0.03
 Ti  1.1 2.0 0.5   0.01 0.02 0.03

BEGIN_BLOCK_DATAGRID_3D
 charge
 BEGIN_DATAGRID_3D_rho
 3 2 2
 0.1 0.0 0.0
 2.0 0.0 0.0
 0.5 3.0 0.0
 0.0 0.1 4.0
 1 2 1  1 2 1
 1 2 1
 1 2 1
 END_DATAGRID_3D
END_BLOCK_DATAGRID_3D
"""


@pytest.fixture
def foreign(tmp_path):
    path = tmp_path / "foreign.xsf"
    path.write_text(FOREIGN)
    return path


@pytest.mark.parametrize("shape", [(6, 5, 8), (1, 4, 7), (3, 3, 1)], ids=str)
@pytest.mark.parametrize("name", ["a.xsf", "a.xsf.gz"])
def test_round_trip_keeps_eleven_digits(tmp_path, shape, name):
    data = density(shape)
    xsf.write(data, tmp_path / name)
    back = xsf.read(tmp_path / name)
    np.testing.assert_allclose(back.total, data.total, rtol=1e-10)
    assert back.total.flags.f_contiguous
    assert back.kind == "CHGCAR"
    assert back.structure.species == data.structure.species
    assert back.structure.comment == data.structure.comment
    np.testing.assert_allclose(back.structure.lattice, data.structure.lattice, atol=1e-11)
    np.testing.assert_allclose(back.structure.frac, data.structure.frac, atol=1e-11)


def test_ase_reads_the_same_with_repeated_faces(tmp_path):
    data = density()
    xsf.write(data, tmp_path / "a.xsf")
    with open(tmp_path / "a.xsf") as file:
        values, origin, vectors, atoms = ase.io.xsf.read_xsf(file, read_data=True)
    expected = np.pad(data.total, ((0, 1),) * 3, mode="wrap") * BOHR_ANGSTROM**3
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    np.testing.assert_array_equal(origin, 0)
    np.testing.assert_allclose(vectors, data.structure.lattice, atol=1e-11)
    assert tuple(atoms.get_chemical_symbols()) == data.structure.elements
    np.testing.assert_allclose(atoms.get_scaled_positions(wrap=False), data.structure.frac, atol=1e-11)


def test_foreign_file(foreign):
    with pytest.warns(AssumptionWarning, match=r"electrons/bohr\^3"):
        read = xsf.read(foreign)
    assert read.shape == (2, 1, 1)
    np.testing.assert_allclose(read.total.ravel() * BOHR_ANGSTROM**3, [1, 2])
    np.testing.assert_allclose(read.structure.lattice, [[2, 0, 0], [0.5, 3, 0], [0, 0.1, 4]])
    cartesian = read.structure.frac @ read.structure.lattice
    np.testing.assert_allclose(cartesian, [[0, 0, 0], [1, 2, 0.5]], atol=1e-12)  # relative to the grid's origin
    assert read.structure.elements == ("O", "Ti")


def test_the_first_of_several_grids_is_taken_and_said(foreign):
    grid = FOREIGN[FOREIGN.index(" BEGIN_DATAGRID_3D") : FOREIGN.index("END_BLOCK")]
    foreign.write_text(FOREIGN.replace("END_BLOCK", grid.replace("1 2 1", "5 6 5") + "END_BLOCK"))
    with pytest.warns(AssumptionWarning) as noted:
        read = xsf.read(foreign)
    assert [str(w.message).partition(" ")[2] for w in noted] == [
        "no unit is stated, taken as electrons/bohr^3",
        "holds several data grids; the first is taken",
    ]
    np.testing.assert_allclose(read.total.ravel() * BOHR_ANGSTROM**3, [1, 2])


def test_ase_files_without_repeated_points_are_refused(tmp_path):
    """ASE spans its grid by (n + 1)/n cells and repeats nothing: read as a general grid it would be stretched."""
    from ase import Atoms

    data = density()
    atoms = Atoms(data.structure.elements, cell=data.structure.lattice, scaled_positions=data.structure.frac, pbc=True)
    with open(tmp_path / "ase.xsf", "w") as file:
        ase.io.xsf.write_xsf(file, [atoms], data=data.total)
    with (
        pytest.warns(AssumptionWarning),
        pytest.raises(FormatError, match=r"ase.xsf:\d+: the grid's vectors differ from PRIMVEC by up to 0.7\d* Å"),
    ):
        xsf.read(tmp_path / "ase.xsf")


def test_spin_blocks_and_nameless_species(tmp_path):
    data = spin_density()
    data.structure = data.structure.with_changes(species=("", "", ""))
    xsf.write(data, tmp_path / "m.xsf", block=1)
    with pytest.warns(AssumptionWarning, match="only the block magnetisation"):
        read = xsf.read(tmp_path / "m.xsf")
    np.testing.assert_allclose(read.total, data.blocks[1], rtol=1e-9)
    assert set(read.structure.species) == {""}


@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" 1 2 1\n 1 2 1\n", " 1 2 1\n", r":27: found 'END_DATAGRID_3D' after 9 of the 12 numbers that the 3 x 2 x 2"),
        (" 1 2 1\n END", " 1 2 1 1\n END", r":27: found '1 2 1 1' after 9 of the 12"),
        (" 1 2 1\n END", " 1 2 1\n 1\n END", r":28: found '1' behind the numbers of the 3 x 2 x 2 grid"),
        (" 1 2 1\n END", " 1 2 9\n END", r":20: the far faces of the 3 x 2 x 2 grid differ"),
        (" 3 2 2\n", " 3 1 2\n", r":20: found \[3, 1, 2\] points"),
        (" 3 2 2\n", " 3 2\n", r":20: found '3 2' where the grid's points"),
        ("CRYSTAL", "MOLECULE", r":2: found 'MOLECULE'; wanted an XSF file of a periodic crystal"),
        ("PRIMVEC\n 2.0 0.0", "PRIMVEC\n 2.0 x.0", r":5: found '2.0 x.0 0.0' where a lattice vector"),
        ("PRIMVEC\n 2.0 0.0 0.0", "PRIMVEC\n 0.5 3.0 0.0", r":7: .* one plane"),
        (" 8   0.1", " Xx  0.1", r":14: found 'Xx' where an element"),
        (" Ti  1.1 2.0 0.5   0.01 0.02 0.03\n", "", r":16: found 'BEGIN_BLOCK_DATAGRID_3D' where an atom of 2"),
        (FOREIGN[FOREIGN.index(" 2.0 0.0") :], "", r":5: the file ends where"),
        (" BEGIN_DATAGRID_3D_rho\n", "", r":19: found '3 2 2' where BEGIN_DATAGRID_3D is wanted"),
    ],
)  # fmt: skip
def test_damaged_files_name_the_line(foreign, old, new, message):
    assert old in FOREIGN
    foreign.write_text(FOREIGN.replace(old, new, 1))
    with pytest.raises(FormatError, match="foreign.xsf" + message):
        xsf.read(foreign)
