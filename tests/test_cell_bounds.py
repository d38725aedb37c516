"""Cells that cannot be meant: atoms on one place or on their own images, left-handed lattice vectors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from click.testing import CliRunner

from chgtools.cell import Structure, neighbours, require_apart, require_right_handed
from chgtools.check import check_file
from chgtools.cli import main
from chgtools.errors import ChgtoolsError, MismatchError
from chgtools.formats import chgcar
from chgtools.volumetric import VolumetricData

CUBIC = np.eye(3)


@pytest.fixture
def run():
    def call(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments)])

    return call


def silicon(lattice, frac=((0, 0, 0),)):
    return Structure(np.array(lattice, dtype=float), ("Si",), (len(frac),), np.array(frac, dtype=float))


def poscar(path, lattice, frac=((0, 0, 0), (0.25, 0.25, 0.25))):
    rows = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in lattice)
    places = "\n".join(" ".join(f"{x:.16f}" for x in row) for row in frac)
    path.write_text(f"Si\n1.0\n{rows}\nSi\n{len(frac)}\nDirect\n{places}\n")
    return path


@pytest.mark.parametrize("side", [1e-3, 0.2, 0.299])
def test_an_atom_on_its_own_image_is_told_the_lattice_vector(side):
    """Not the diagonal, which comes first in the list of pairs."""
    with pytest.raises(MismatchError, match=f"an atom is {side:.3g} Å from its own image"):
        neighbours(silicon(side * CUBIC), 5.0)
    require_apart(silicon(0.301 * CUBIC))


def test_the_shortest_vector_of_a_skewed_cell_is_found():
    """2a - b is 0.2 Å long, each of a, b and their planes' spacing looks harmless or not."""
    a, b, c = np.array([5.0, 0.4, 0]), np.array([10.0, 1.0, 0]), np.array([0, 0, 6.0])
    lattice = np.array([a, b, c])
    shortest = min(np.linalg.norm(np.array(n) @ lattice) for n in itertools.product(range(-4, 5), repeat=3) if any(n))
    assert shortest == pytest.approx(0.2)
    with pytest.raises(MismatchError, match=r"0\.2 Å from its own image"):
        require_apart(silicon(lattice))
    thin = np.array([[5.0, 0, 0], [4.9, 0.2, 0], [0, 0, 6.0]])  # planes 0.2 Å apart, no vector as short as 0.21
    with pytest.raises(MismatchError, match=r"0\.224 Å from"):
        require_apart(silicon(thin))
    require_apart(silicon([[5.0, 0, 0], [2.5, 0.29, 0], [0, 0, 6.0]]))  # planes 0.29 apart, vectors 0.58


def test_the_nearest_pair_is_named():
    frac = [(0, 0, 0), (0.02, 0, 0), (0.5, 0.5, 0.5), (0.51, 0.5, 0.5)]  # both pairs are too near
    with pytest.raises(MismatchError, match=r"atoms 3 and 4 are 0\.100 Å apart"):
        require_apart(silicon(10 * CUBIC, frac))


def test_atoms_across_a_face_are_near():
    with pytest.raises(MismatchError, match=r"are 0\.200 Å apart"):
        require_apart(silicon(10 * CUBIC, [(0.99, 0, 0), (0.01, 0, 0)]))


@pytest.mark.parametrize("side", [1e-3, 1e-2, 0.1])
@pytest.mark.timeout(60)
def test_a_tiny_cell_is_refused_at_once(run, tmp_path, side):
    path = poscar(tmp_path / "POSCAR", side * CUBIC)
    result = run("predict", path, "-o", tmp_path / "CHGCAR")
    assert result.exit_code == 1
    assert f"{path}: an atom is {side:.3g} Å from its own image" in " ".join(result.output.split())
    assert not (tmp_path / "CHGCAR").exists()


LEFT = np.array([[0, 2.7155, 2.7155], [2.7155, 2.7155, 0], [2.7155, 0, 2.7155]])


def test_handedness():
    assert np.linalg.det(LEFT) < 0
    with pytest.raises(ChgtoolsError, match=r"left-handed \(triple product -40\.0"):
        require_right_handed(silicon(LEFT))
    require_right_handed(silicon(LEFT[[0, 2, 1]]))


def test_a_left_handed_cell_is_refused_by_predict_and_found_by_check(run, tmp_path):
    """VASP stops on a negative triple product."""
    path = poscar(tmp_path / "POSCAR", LEFT)
    result = run("predict", path, "-o", tmp_path / "CHGCAR", "--model", "none")
    assert result.exit_code == 1
    assert "exchange two of them" in " ".join(result.output.split())
    assert not (tmp_path / "CHGCAR").exists()
    charge = tmp_path / "CHGCAR"
    numbers = " ".join(["0.40000000000E+01"] * 8)
    charge.write_text(path.read_text() + f"\n 2 2 2\n {numbers}\n")
    for _ in range(2):  # with the POSCAR and without
        result = run("check", charge)
        assert result.exit_code != 0
        assert "left-handed" in result.output
        assert "triple product is -40.0" in " ".join(result.output.split())
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("length", "incar", "said"),
    [
        (50.1, "ICHARG = 1\n", True),
        (49.9, "ICHARG = 1\n", False),
        (50.1, "ICHARG = 1\nAMIN = 0.01\n", False),
        (50.1, "ICHARG = 11\n", False),  # VASP's warning is of the self-consistency alone
    ],
)
def test_a_long_cell_without_amin_is_a_note(length, incar, said, tmp_path):
    charge = Structure(np.diag([3.0, 3.0, length]), ("Si",), (1,), np.zeros((1, 3)))
    chgcar.write(VolumetricData("CHGCAR", charge, [np.full((4, 4, 8), 4 / charge.volume)]), tmp_path / "CHGCAR")
    (tmp_path / "INCAR").write_text(incar)
    codes = [finding.code for finding in check_file(tmp_path / "CHGCAR").findings]
    assert ("long-cell" in codes) == said
