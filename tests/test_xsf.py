"""XSF files: ours against ASE's reader, files of others, and damaged ones."""

from __future__ import annotations

import warnings

import ase.io.xsf
import numpy as np
import pytest
from conftest import shared_path
from fields import density, spin_density

from chgtools.errors import AssumptionWarning, FormatError, SettingsError
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


def test_ase_files_repeat_no_points(tmp_path):
    """ASE spans its grid by (n + 1)/n cells: read as a general grid it would be stretched."""
    from ase import Atoms

    data = density()
    atoms = Atoms(data.structure.elements, cell=data.structure.lattice, scaled_positions=data.structure.frac, pbc=True)
    with open(tmp_path / "ase.xsf", "w") as file:
        ase.io.xsf.write_xsf(file, [atoms], data=data.total * BOHR_ANGSTROM**3)
    with pytest.warns(AssumptionWarning, match=r"\(n \+ 1\)/n of the cell's, as ASE writes them, so no points are rep"):
        read = xsf.read(tmp_path / "ase.xsf")
    np.testing.assert_allclose(read.total, data.total, atol=0.6e-6 / BOHR_ANGSTROM**3)  # ASE prints six decimals
    np.testing.assert_allclose(read.structure.frac, data.structure.frac, atol=1e-9)
    atoms.pbc = (True, True, False)  # GPAW's grid then begins one step in, and one plane is not there
    with open(tmp_path / "ase.xsf", "w") as file:
        ase.io.xsf.write_xsf(file, [atoms], data=data.total)
    with pytest.warns(AssumptionWarning), pytest.raises(FormatError, match=r"axes that are not periodic"):
        xsf.read(tmp_path / "ase.xsf")


def gaussian(shape, length=10.0, width=0.6, centre=(0.5, 0.5, 0.5), electrons=8.0):
    """Points (nx, ny, nz) of a density in electrons/Å³ that sums to ``electrons`` on them."""
    f = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    r2 = sum(((x - c + 0.5) % 1 - 0.5) ** 2 for x, c in zip(f, centre, strict=True)) * length**2
    values = np.exp(-r2 / (2 * width**2))
    return values * electrons / (values.mean() * length**3)


def written(path, values, vectors=(1, 1, 1), length=10.0, repeat=False, element="O"):
    """A file of another program: points as they are, or with the far faces repeated; vectors in lengths of the cell."""
    if repeat:
        values = np.pad(values, ((0, 1),) * 3, mode="wrap")
    numbers = " ".join(f"{x:.8E}" for x in (values * BOHR_ANGSTROM**3).ravel(order="F"))
    cell = "".join(" " + " ".join(f"{length * (i == j):.6f}" for j in range(3)) + "\n" for i in range(3))
    spans = "".join(
        " " + " ".join(f"{length * v * (i == j):.6f}" for j in range(3)) + "\n" for i, v in enumerate(vectors)
    )
    path.write_text(
        f"CRYSTAL\nPRIMVEC\n{cell}PRIMCOORD\n 1 1\n{element} 5 5 5\nBEGIN_BLOCK_DATAGRID_3D\n rho\n DATAGRID_3D\n"
        f" {' '.join(map(str, values.shape))}\n 0 0 0\n{spans}{numbers}\n END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n"
    )
    return path


def notes_of(path, grid=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = xsf.read(path, grid)
    return data, [str(w.message).partition("grid: ")[2] for w in caught if "no unit" not in str(w.message)]


@pytest.mark.parametrize("shape", [(24, 24, 24), (20, 25, 18)], ids=str)
@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("width", [0.5, 2.5], ids=["faces in vacuum", "faces in matter"])
def test_electrons_tell_whether_faces_are_repeated(shape, repeat, width, tmp_path):
    """vaspkit and FHI-aims repeat none: with one plane too few 8 electrons would become 9.09."""
    values = gaussian(shape, width=width)
    read, notes = notes_of(written(tmp_path / "a.xsf", values, repeat=repeat))
    np.testing.assert_allclose(read.total, values, rtol=1e-7, atol=1e-40)
    assert read.electrons == pytest.approx(8, abs=1e-5)
    if repeat:
        assert notes == ([] if width > 1 else ["by its 8.0000 electrons the far faces are repeated ones"])
    else:
        assert notes == ["by its 8.0000 electrons no points are repeated"]


@pytest.mark.parametrize("repeat", [True, False])
def test_faces_tell_where_electrons_do_not(repeat, tmp_path):
    values = gaussian((12, 10, 14), width=2.5, electrons=7.3126)
    read, notes = notes_of(written(tmp_path / "a.xsf", values, repeat=repeat))
    np.testing.assert_allclose(read.total, values, rtol=1e-7)
    assert notes == ([] if repeat else ["its far faces are not the near ones, so no points are repeated"])


def test_a_slab_has_faces_in_matter(tmp_path):
    """Only one axis has vacuum: the others tell."""
    profile = np.exp(-((np.arange(30) / 30 - 0.5) ** 2) * 300)
    wave = 1 + 0.3 * np.cos(2 * np.pi * np.arange(9) / 9 + 1)
    values = 0.7131 * wave[:, None, None] * wave[None, :, None] * profile
    for repeat in (True, False):
        read, _ = notes_of(written(tmp_path / "a.xsf", values, repeat=repeat, element="U"))
        np.testing.assert_allclose(read.total, values, rtol=1e-7, atol=1e-40)


@pytest.mark.parametrize("repeat", [True, False])
def test_vacuum_without_whole_electrons_is_decided_by_hand(repeat, tmp_path):
    values = gaussian((20, 20, 20), width=0.5, electrons=7.3126)
    path = written(tmp_path / "a.xsf", values, repeat=repeat)
    with (
        pytest.warns(AssumptionWarning),
        pytest.raises(FormatError, match=r"a.xsf:12: .*\(vacuum\), nor the electrons \(.*--grid periodic"),
    ):
        xsf.read(path)
    read, notes = notes_of(path, "general" if repeat else "periodic")
    np.testing.assert_allclose(read.total, values, rtol=1e-7, atol=1e-40)
    assert notes == []
    with pytest.raises(SettingsError, match="wanted 'general' or 'periodic'"):
        xsf.read(path, "repeated")


def test_electrons_and_faces_that_contradict_are_refused(tmp_path):
    values = gaussian((12, 10, 14), width=2.5)  # whole electrons without the repeated faces
    changed = np.pad(values, ((0, 1),) * 3, mode="wrap")
    changed[-1] *= 1.1
    changed[:, -1] *= 1.1
    with (
        pytest.warns(AssumptionWarning),
        pytest.raises(FormatError, match=r"by its 8.0000 electrons .*but they differ"),
    ):
        xsf.read(written(tmp_path / "a.xsf", changed))


def test_vectors_that_end_one_step_short(tmp_path):
    """What the specification asks of a grid that repeats no points; here nothing else would tell."""
    shape = (20, 16, 18)
    values = gaussian(shape, width=0.5, electrons=7.3126)
    path = written(tmp_path / "a.xsf", values, vectors=[(n - 1) / n for n in shape])
    read, notes = notes_of(path)
    np.testing.assert_allclose(read.total, values, rtol=1e-7, atol=1e-40)
    assert notes == ["its vectors end one step short of the cell, so no points are repeated"]
    with pytest.warns(AssumptionWarning), pytest.raises(FormatError, match=r"a.xsf:16: the grid's vectors differ"):
        xsf.read(written(tmp_path / "a.xsf", values, vectors=[0.5, 1, 1]))


@pytest.mark.parametrize(
    ("name", "shape", "total"),
    [("aims.xsf", (4, 4, 4), 64), ("vaspkit.xsf", (4, 4, 4), 64), ("ase.xsf", (6, 5, 7), 210)],
)
def test_files_of_the_kind(name, shape, total):
    path = shared_path("inputs", "xsf", name)
    read, notes = notes_of(path)
    assert read.shape == shape
    assert len(notes) == 1
    text = path.read_text()
    numbers = text[: text.index(" END_DATAGRID" if "ase" in name else "END_DATAGRID")].split()[-total:]
    flat = read.total.ravel(order="F") * BOHR_ANGSTROM**3
    np.testing.assert_allclose(flat, [float(x) for x in numbers], rtol=1e-12, atol=1e-15)


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
        (" 1 2 1\n END", " 1 2 9\n END", r":20: the 3 x 2 x 2 grid: the far faces differ from the near ones in a few"),
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
