"""Gaussian cube files: ours against ASE's reader, files of others, and damaged ones."""

from __future__ import annotations

import gzip
import re

import ase.io.cube
import numpy as np
import pytest
from click.testing import CliRunner
from fields import density, spin_density, wave

from chgtools.cli import main
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, SettingsError
from chgtools.formats import cube
from chgtools.units import BOHR_ANGSTROM

FOREIGN = """\
 water of another program
 no unit here
    2    0.100000    0.000000    0.000000
    2    1.000000    0.000000    0.000000
    3    0.200000    1.500000    0.000000
    2    0.000000    0.300000    2.000000
    8    6.000000    0.100000    0.000000    0.000000
    1    1.000000    1.100000    2.000000    0.500000
 1.0 2.0
 3.0 4.0
 5.0 6.0
 7.0 8.0
 9.0 10.0
 11.0 1.2E+01
"""


@pytest.fixture
def foreign(tmp_path):
    path = tmp_path / "foreign.cube"
    path.write_text(FOREIGN)
    return path


@pytest.mark.parametrize("shape", [(6, 5, 8), (1, 4, 7), (3, 3, 1)], ids=str)
@pytest.mark.parametrize("name", ["a.cube", "a.cube.gz"])
def test_round_trip_keeps_eleven_digits(tmp_path, shape, name):
    data = density(shape)
    cube.write(data, tmp_path / name)
    back = cube.read(tmp_path / name)
    np.testing.assert_allclose(back.total, data.total, rtol=1e-10)
    assert back.total.flags.f_contiguous
    assert back.kind == "CHGCAR"
    assert back.structure.species == data.structure.species
    assert back.structure.comment == data.structure.comment
    np.testing.assert_allclose(back.structure.lattice, data.structure.lattice, atol=1e-8)
    np.testing.assert_allclose(back.structure.frac, data.structure.frac, atol=1e-8)
    assert back.electrons == pytest.approx(data.electrons, rel=1e-8)


def test_gz_is_gzip(tmp_path):
    cube.write(density(), tmp_path / "a.cube.gz")
    assert gzip.decompress((tmp_path / "a.cube.gz").read_bytes()).startswith(b"skew test cell\n")


def test_ase_reads_the_same(tmp_path):
    data = density()
    cube.write(data, tmp_path / "a.cube")
    with open(tmp_path / "a.cube") as file:
        read = ase.io.cube.read_cube(file)
    np.testing.assert_allclose(read["data"] / BOHR_ANGSTROM**3, data.total, rtol=1e-9)
    atoms = read["atoms"]
    assert tuple(atoms.get_chemical_symbols()) == data.structure.elements
    # ASE's bohr is CODATA 2014's, 1e-10 away
    np.testing.assert_allclose(atoms.cell[:], data.structure.lattice, atol=1e-7)
    np.testing.assert_allclose(atoms.get_scaled_positions(wrap=False), data.structure.frac, atol=1e-7)


def test_reads_what_ase_writes(tmp_path):
    from ase import Atoms

    values = wave((4, 6, 3))
    structure = density().structure
    atoms = Atoms(structure.elements, cell=structure.lattice, scaled_positions=structure.frac, pbc=True)
    with open(tmp_path / "ase.cube", "w") as file:
        ase.io.cube.write_cube(file, atoms, values * BOHR_ANGSTROM**3)
    with pytest.warns(AssumptionWarning, match=r"electrons/bohr\^3"):
        read = cube.read(tmp_path / "ase.cube")
    np.testing.assert_allclose(read.total, values, rtol=2e-6)  # %e has seven digits
    np.testing.assert_allclose(read.structure.lattice, structure.lattice, atol=2e-5)


def test_foreign_file_in_bohr(foreign):
    with pytest.warns(AssumptionWarning):
        read = cube.read(foreign)
    assert read.shape == (2, 3, 2)
    # z runs fastest in the file
    np.testing.assert_allclose(read.total[0, 0] * BOHR_ANGSTROM**3, [1, 2])
    np.testing.assert_allclose(read.total[1, 2] * BOHR_ANGSTROM**3, [11, 12])
    steps = np.array([[1, 0, 0], [0.2, 1.5, 0], [0, 0.3, 2]])
    np.testing.assert_allclose(read.structure.lattice, np.diag([2, 3, 2]) @ steps * BOHR_ANGSTROM)
    cartesian = read.structure.frac @ read.structure.lattice / BOHR_ANGSTROM
    np.testing.assert_allclose(cartesian, [[0, 0, 0], [1, 2, 0.5]], atol=1e-12)  # relative to the origin
    assert read.structure.elements == ("O", "H")


@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
def test_negative_points_mean_angstrom(foreign):
    text = FOREIGN.replace("\n    3    0.2", "\n   -3    0.2").replace("\n    2    1.0", "\n   -2    1.0")
    foreign.write_text(text.replace("\n    2    0.000000    0.3", "\n   -2    0.000000    0.3"))
    read = cube.read(foreign)
    np.testing.assert_allclose(read.structure.lattice[0], [2, 0, 0])
    np.testing.assert_allclose(read.structure.frac @ read.structure.lattice, [[0, 0, 0], [1, 2, 0.5]], atol=1e-12)


@pytest.mark.parametrize("negative", [0, 1, 2])
def test_one_negative_count_means_angstrom_for_its_axis(negative, foreign):
    """Each axis has the unit of its own sign; origin and atoms that of the first."""
    lines = FOREIGN.split("\n")
    lines[3 + negative] = lines[3 + negative].replace("    ", "   -", 1)
    foreign.write_text("\n".join(lines))
    with pytest.warns(AssumptionWarning, match="by their signs the steps are taken in .*Å"):
        read = cube.read(foreign)
    units = np.full(3, BOHR_ANGSTROM)
    units[negative] = 1.0
    rows = np.array([[2.0, 0, 0], [0.6, 4.5, 0], [0, 0.6, 4.0]])
    np.testing.assert_allclose(read.structure.lattice, rows * units[:, None], atol=1e-12)
    cartesian = read.structure.frac @ read.structure.lattice
    np.testing.assert_allclose(cartesian, np.array([[0, 0, 0], [1, 2, 0.5]]) * units[0], atol=1e-12)
    assert read.shape == (2, 3, 2)


@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
def test_negative_atom_count_has_a_line_of_orbitals(foreign):
    text = FOREIGN.replace("    2    0.100000", "   -2    0.100000").replace(" 1.0 2.0\n", "    1    7\n 1.0 2.0\n")
    foreign.write_text(text)
    np.testing.assert_allclose(cube.read(foreign).total[0, 0] * BOHR_ANGSTROM**3, [1, 2])
    foreign.write_text(text.replace("    1    7\n", "    2    7    8\n"))
    with pytest.raises(FormatError, match=r"foreign.cube:9: found 2 orbitals"):
        cube.read(foreign)


def test_blocks_are_chosen_and_named(tmp_path):
    data = spin_density()
    cube.write(data, tmp_path / "m.cube", block=1)
    assert "block magnetisation, mu_B/bohr^3" in (tmp_path / "m.cube").read_text()
    with pytest.warns(AssumptionWarning, match="magnetisation"):
        read = cube.read(tmp_path / "m.cube")
    np.testing.assert_allclose(read.total, data.blocks[1], rtol=1e-9)
    with pytest.raises(SettingsError, match=r"block 3 is wanted.* has 2: total, magnetisation"):
        cube.write(data, tmp_path / "m.cube", block=2)


def test_potentials_are_not_scaled(tmp_path):
    data = density(kind="LOCPOT")
    cube.write(data, tmp_path / "v.cube")
    read = cube.read(tmp_path / "v.cube")
    assert read.kind == "LOCPOT"
    np.testing.assert_allclose(read.total, data.total, rtol=1e-10)


def test_small_values_have_no_three_digit_exponent(tmp_path):
    data = density((2, 2, 2))
    data.blocks[0][:] = [[[1e-120, 1.0], [-1e-97, 2.0]], [[0.0, 3.0], [1e-99, 4.0]]]
    cube.write(data, tmp_path / "a.cube")
    back = cube.read(tmp_path / "a.cube").total
    np.testing.assert_allclose(back, data.total, rtol=1e-10, atol=1e-96)
    with open(tmp_path / "a.cube") as file:
        assert ase.io.cube.read_cube(file)["data"].shape == (2, 2, 2)


def test_values_that_are_not_finite_are_refused(tmp_path):
    data = density()
    data.blocks[0][3, 2, 1] = np.nan
    with pytest.raises(ChgtoolsError, match="not finite"):
        cube.write(data, tmp_path / "a.cube")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" 11.0 1.2E+01\n", "", r":14: the file ends after 10 of the 12 numbers that the 2 x 3 x 2 grid needs \(line 6\)"),
        (" 11.0 1.2E+01\n", " 11.0 1.2E+01 13.0\n", r":14: found '11.0 1.2E\+01 13.0' after 10 of the 12"),
        (" 11.0 1.2E+01\n", " 11.0 1.2E+01\n 13.0\n", r":15: numbers or text go on behind the 12 numbers"),
        (" 7.0 8.0", " 7.0 *****", r":12: found '7.0 \*\*\*\*\*' after 6 of the 12"),
        (" 7.0 8.0", " 7.0 nan", r":12: found '7.0 nan' after 6 of the 12"),
        ("    2    1.000000", "    0    1.000000", r":6: found \[0, 3, 2\] points"),
        ("    2    1.000000", "  2.5    1.000000", r":4: found 2.5 where the number of points"),
        ("    2    1.000000    0.000000", "    2    0.400000    3.000000", r":6: .* one plane"),
        ("    8    6.0", "  208    6.0", r":7: found the atomic number 208"),
        ("    1    1.000000    1.100000", "    1    1.000000         oops", r":8: found '1    1.000000         oops"),
        ("0.100000    0.000000    0.000000\n    2    1", "0.100000\n    2    1", r":3: found '2    0.100000' where"),
        ("0.100000    0.000000    0.000000\n    2    1", "0.1 0.0 0.0 2\n    2    1", r":3: found 2 values per point"),
        (FOREIGN[40:], "", r":\d: the file ends where"),
        ("    2    1.000000", "99999    1.000000", r":6: the 99999 x 3 x 2 grid needs 599994 numbers, .* room for"),
    ],
)  # fmt: skip
def test_damaged_files_name_the_line(foreign, old, new, message):
    assert old in FOREIGN
    foreign.write_text(FOREIGN.replace(old, new))
    with pytest.raises(FormatError, match="foreign.cube" + message):
        cube.read(foreign)


GHOST = """title
density
    {n}    0.000000    0.000000    0.000000
    1    4.000000    0.000000    0.000000
    1    0.000000    5.000000    0.000000
    2    0.000000    0.000000    3.000000
{atoms}  1.0E-02  2.0E-02
"""
ATOMS = ["    6    6.0    0.0 0.0 0.0\n", "    0    0.0    1.0 1.0 1.0\n", "    8    8.0    2.0 2.0 2.0\n"]


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ([], r"g.cube has no atoms, and a CHGCAR cannot be without"),
        ([0, 1, 2], r"atom 2 of .*g.cube has no element \(a ghost atom\)"),
        ([1, 0], r"atom 1 of .*g.cube has no element"),
    ],
)
@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
def test_atoms_that_a_chgcar_cannot_hold_are_refused_before_it_is_written(which, message, tmp_path):
    path = tmp_path / "g.cube"
    path.write_text(GHOST.format(n=len(which), atoms="".join(ATOMS[i] for i in which)))
    result = CliRunner().invoke(main, ["convert", str(path), str(tmp_path / "CHGCAR")])
    assert result.exit_code == 1
    assert re.search(message, result.stderr)
    assert [each.name for each in tmp_path.iterdir()] == ["g.cube"]
    again = CliRunner().invoke(main, ["convert", str(path), str(tmp_path / "b.cube")])
    assert again.exit_code == 0
    assert cube.read(tmp_path / "b.cube").structure.elements == cube.read(path).structure.elements
