"""POSCAR: every form VASP takes, and a sentence for what it does not."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import SHARED, shared_path

from chgtools.errors import FormatError
from chgtools.formats import poscar

HEAD = "title\n1.0\n4 0 0\n1 4 0\n0 0 5\n"


def read(tmp_path, text):
    (tmp_path / "POSCAR").write_text(text)
    return poscar.read(tmp_path / "POSCAR")


def test_plain(tmp_path):
    atoms = read(tmp_path, HEAD + "Fe O\n1 2\nDirect\n0 0 0 Fe1\n.5 .5 .5 ! comment\n0.25 0.25 1.25\n")
    assert (atoms.species, atoms.counts, atoms.comment) == (("Fe", "O"), (1, 2), "title")
    assert atoms.frac.tolist() == [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 1.25]]
    assert atoms.volume == pytest.approx(80)


@pytest.mark.parametrize(
    ("scale", "factor"),
    [("2.0", [2, 2, 2]), ("-640", [2, 2, 2]), ("1 2 3", [1, 2, 3]), ("0.5 ! Å", [0.5, 0.5, 0.5])],
)
def test_scale(scale, factor, tmp_path):
    text = HEAD.replace("1.0", scale, 1) + "Fe\n1\nCartesian\n1 2 3\n"
    atoms = read(tmp_path, text)
    np.testing.assert_allclose(atoms.lattice, np.array([[4, 0, 0], [1, 4, 0], [0, 0, 5]]) * factor)
    np.testing.assert_allclose(atoms.frac @ atoms.lattice, [np.array([1, 2, 3]) * factor])


def test_groups_keep_their_order_and_labels(tmp_path):
    text = HEAD + "Fe_pv O Fe_pv/79d9987ad87 H.5 Si\n1 1 1 1 0\nSelective dynamics\nD\n" + "0 0 0 T F T\n" * 4
    atoms = read(tmp_path, text)
    assert atoms.species == ("Fe", "O", "Fe", "H", "Si")
    assert atoms.labels == ("Fe_pv", "", "Fe_pv", "H.5", "")
    assert atoms.elements == ("Fe", "O", "Fe", "H")


def test_positions_that_touch(tmp_path):
    atoms = read(tmp_path, HEAD + "Fe\n1\nDirect\n -2.345678-12.345678  0.500000\n")
    assert atoms.frac.tolist() == [[-2.345678, -12.345678, 0.5]]


def test_what_follows_the_positions_is_left_alone(tmp_path):
    atoms = read(tmp_path, HEAD + "Fe\n1\nDirect\n0 0 0\n\n  0.1E-02 0.0 0.0\n")
    assert atoms.n_atoms == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"POSCAR:1: the file ends where a title"),
        (HEAD, r"POSCAR:6: the file ends where the species"),
        (HEAD + "Fe\n2\nDirect\n0 0 0\n", r"POSCAR:10: the file ends where a position .* of 2 atoms"),
        (HEAD + "Fe O\n2\nDirect\n", r"POSCAR:7: found 1 atom counts for 2 species"),
        (HEAD + "Fe\nx\nDirect\n", r"POSCAR:7: found 'x' where the number of atoms"),
        (HEAD + "fe\n1\nDirect\n0 0 0\n", r"POSCAR:6: found the species name 'fe'"),
        (HEAD + "Fe\n1\nDirect\n0 zero 0\n", r"POSCAR:9: found '0 zero 0' where a position"),
        (HEAD + "Fe\n1\n0 0 0\n", r"POSCAR:8: found '0 0 0' where Direct or Cartesian"),
        (HEAD.replace("1.0", "0"), r"POSCAR:2: found the scale factor 0"),
        (HEAD.replace("1.0", "1 -1 1"), r"POSCAR:2: .*three factors must be positive"),
        (HEAD.replace("0 0 5", "8 0 0"), r"POSCAR:3: the three lattice vectors lie in one plane"),
        (HEAD.replace("1 4 0", "1 4"), r"POSCAR:4: found '1 4' where a lattice vector"),
    ],
)
def test_bad_files_say_line_and_wanted(text, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        read(tmp_path, text)


def test_write_and_read_again(tmp_path):
    atoms = read(tmp_path, HEAD + "Fe_pv O\n1 1\nDirect\n0.123456789012345 0 -0.1\n.5 .5 .5\n")
    poscar.write(atoms, tmp_path / "again")
    again = poscar.read(tmp_path / "again")
    assert (again.labels, again.species, again.counts) == (("Fe_pv", ""), ("Fe", "O"), (1, 1))
    np.testing.assert_array_equal(again.frac, atoms.frac)
    np.testing.assert_array_equal(again.lattice, atoms.lattice)


REAL = sorted(SHARED.glob("corpus/*/*POSCAR")) + sorted(SHARED.glob("corpus/*/CONTCAR*"))


@pytest.mark.skipif(not REAL, reason="needs the real files (shared/corpus)")
@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_files_as_pymatgen_reads_them(path):
    from pymatgen.io.vasp import Poscar

    ours, theirs = poscar.read(path), Poscar.from_file(path, check_for_potcar=False, read_velocities=False).structure
    np.testing.assert_allclose(ours.lattice, theirs.lattice.matrix, atol=1e-9)
    np.testing.assert_allclose(ours.frac, theirs.frac_coords, atol=1e-9)
    if all(ours.species):
        assert list(ours.elements) == [site.specie.symbol for site in theirs]


def wrapped(n_groups: int, per_line: int = 20, count_width: int = 6) -> tuple[str, list[str], list[int]]:
    """Lines of names and counts as VASP prints them, with the names and counts."""
    names = [("Fe", "Cr", "Ni")[i % 3] for i in range(n_groups)]
    counts = [1 + i % 3 for i in range(n_groups)]
    cells = [f"   {name:2s}" for name in names], [f"{count:{count_width}d}" for count in counts]
    lines = ["".join(cell[i : i + per_line]) for cell in cells for i in range(0, n_groups, per_line)]
    return "\n".join(lines) + "\n", names, counts


@pytest.mark.parametrize("n_groups", [19, 20, 21, 25, 40, 41, 67])
@pytest.mark.parametrize("width", [6, 1])
def test_lines_of_names_and_counts_that_vasp_wraps(n_groups, width, tmp_path):
    """More than 20 groups; with width 1 the counts touch."""
    lines, names, counts = wrapped(n_groups, count_width=width)
    total = sum(counts)
    text = HEAD + lines + "Direct\n" + "".join(f"{i / total:.6f} 0 0\n" for i in range(total))
    atoms = read(tmp_path, text)
    assert (list(atoms.species), list(atoms.counts), atoms.n_atoms) == (names, counts, total)
    np.testing.assert_allclose(atoms.frac[-1], [(total - 1) / total, 0, 0], atol=1e-6)
    without_names = "".join(lines.splitlines(keepends=True)[-(-n_groups // 20) :])
    if width == 6:
        assert read(tmp_path, text.replace(lines, without_names)).counts == atoms.counts


def test_wrapped_names_as_pymatgen_reads_them():
    from pymatgen.io.vasp.inputs import Poscar

    path = shared_path("inputs", "wrapped-species", "CONTCAR")
    atoms, theirs = poscar.read(path), Poscar.from_file(path, check_for_potcar=False).structure
    assert list(atoms.elements) == [site.specie.symbol for site in theirs]
    assert len(atoms.counts) == 25
    np.testing.assert_allclose(atoms.frac, theirs.frac_coords, atol=1e-9)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("Fe Cr\nNi\n1 1\n2 3\nDirect\n", r"POSCAR:10: found '2 3' where|POSCAR:9: found 4 atom counts for 3 species"),
        ("Fe Cr\nNi\n1 1\nDirect\n", r"POSCAR:8: found 2 atom counts for 3 species"),
        ("Fe Cr\nCartesian\n", r"POSCAR:7: found 'Cartesian' where the number of atoms"),
    ],
)
def test_wrapped_lines_that_do_not_fit(lines, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        read(tmp_path, HEAD + lines)


@pytest.mark.parametrize("n_groups", [20, 21, 45])
def test_a_chgcar_of_many_groups_is_written_as_vasp_writes_it(n_groups, tmp_path):
    """Names and counts of pymatgen's example of a CONTCAR of VASP: 20(3X,A2), 20I6."""
    from chgtools.cell import Structure
    from chgtools.formats import chgcar
    from chgtools.volumetric import VolumetricData

    lines, names, counts = wrapped(n_groups)
    frac = np.random.default_rng(0).uniform(0, 1, (sum(counts), 3)).round(6)
    atoms = Structure(np.diag([5.0, 6.0, 7.0]), tuple(names), tuple(counts), frac)
    chgcar.write(VolumetricData("CHGCAR", atoms, [np.full((2, 2, 2), 0.25)]), tmp_path / "CHGCAR")
    text = (tmp_path / "CHGCAR").read_text().split("\n")
    wanted = lines.rstrip("\n").split("\n")
    assert text[5 : 6 + len(wanted)] == [*wanted, "Direct"]
    again = chgcar.read(tmp_path / "CHGCAR")
    assert (again.structure.species, again.structure.counts) == (tuple(names), tuple(counts))
    assert again.electrons == pytest.approx(0.25 * 210)
