"""KPOINTS in line mode, and the cells that a band path is of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from conftest import shared_path

from chgtools.cell import Structure
from chgtools.errors import SettingsError
from chgtools.formats.chgcar import read_header
from chgtools.formats.kpoints import LINE, LIST, MESH, UNKNOWN, kind_of_kpoints, line_mode_text
from chgtools.formats.structures import as_structure
from chgtools.run.band_path import band_path

FCC = 5.431 / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])


def silicon(lattice=FCC):
    return Structure(np.array(lattice), ("Si",), (2,), np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))


def test_the_path_of_silicon_goes_through_the_points_of_the_textbook():
    path = band_path(silicon())
    assert path.lattice == "FCC"
    assert path.text == "GAMMA-X-W-K-GAMMA-L-U-W-L-K|U-X"
    points = {label: np.array(k) for segment in path.segments for label, k in segment}
    reciprocal = np.linalg.inv(FCC).T * 5.431  # in units of 2π/a
    # |X| = 1, |L| = √3/2, |W| = √5/2, |K| = |U| = 3√2/4 (Ashcroft and Mermin)
    lengths = {label: float(np.linalg.norm(k @ reciprocal)) for label, k in points.items()}
    wanted = {"GAMMA": 0, "X": 1, "L": 3**0.5 / 2, "W": 5**0.5 / 2, "K": 3 * 2**0.5 / 4, "U": 3 * 2**0.5 / 4}
    assert lengths == pytest.approx(wanted, abs=1e-12)


def test_a_rotated_cell_has_the_same_path_and_another_basis_none():
    c, s = np.cos(0.7), np.sin(0.7)
    turned = FCC @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    assert band_path(silicon(turned)) == band_path(silicon())
    other = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1]])  # the same lattice by other vectors
    structure = Structure(other @ FCC, ("Si",), (2,), silicon().frac @ np.linalg.inv(other))
    with pytest.raises(
        SettingsError, match="has the cell .* standard primitive cell .Setyawan and Curtarolo 2010; FCC"
    ):
        band_path(structure)


def test_a_conventional_cell_and_a_supercell_are_refused():
    made = as_structure(silicon().to_pymatgen().to_conventional())
    with pytest.raises(SettingsError, match=r"has 8 atoms, .* has 2; take that cell"):
        band_path(made)


def test_a_tetragonal_crystal_whose_lattice_happens_to_be_cubic_must_have_its_axis_along_c():
    """Lengths and angles cannot tell which axis is the fourfold one; rotations do. Rutile-like, and two atoms apart."""
    frac = np.array([[0, 0, 0], [0.0, 0.0, 0.4]])
    along_c = Structure(4.0 * np.eye(3), ("Na", "Cl"), (1, 1), frac)
    assert band_path(along_c).lattice == "TET"
    along_a = Structure(4.0 * np.eye(3), ("Na", "Cl"), (1, 1), frac[:, ::-1].copy())
    with pytest.raises(SettingsError, match="axes in another order"):
        band_path(along_a)


def test_zincblende_of_either_hand_has_the_path():
    for place in (0.25, 0.75):
        structure = Structure(FCC, ("Ga", "As"), (1, 1), np.array([[0, 0, 0], [place] * 3]))
        assert band_path(structure).lattice == "FCC"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aiida-vasp__GaAs-2", ""),
        ("bader-rs__Ni1-1", ""),
        ("baderkit__Ag4-4", ""),
        ("MatMethods__Si2-2", "FCC"),  # by other vectors of the lattice
        ("aiida-vasp__Si2-2", "ORCI"),  # silicon whose atoms were moved
        ("matterviz__Ni2O2-4", "has 4 atoms"),  # magnetic order doubles the cell
    ],
)
def test_cells_of_real_runs(name, said):
    folder = shared_path("corpus", name)
    path = next(path for path in sorted(folder.iterdir()) if path.name.startswith(("CHG", "AECCAR")))
    structure = read_header(path)[0]
    if said:
        with pytest.raises(SettingsError, match=said):
            band_path(structure)
    else:
        assert band_path(structure).segments[0][0][0] == "GAMMA"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("k\n0\nGamma\n8 8 8\n", MESH),
        ("k\n0\nLine\n8 8 8\n", LINE),
        ("k\n 20\n  line-mode\nrec\n0 0 0\n", LINE),
        ("k\n2\nReciprocal\n0 0 0 1\n0.5 0 0 1\n", LIST),
        ("k\n", UNKNOWN),
        ("k\nmany\nGamma\n", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_kinds_of_kpoints(text, kind, tmp_path):
    (tmp_path / "KPOINTS").write_text(text)
    assert kind_of_kpoints(tmp_path / "KPOINTS") == kind


def test_the_text_is_what_pymatgen_reads(tmp_path):
    from pymatgen.io.vasp import Kpoints

    path = band_path(silicon())
    (tmp_path / "KPOINTS").write_text(line_mode_text("bands", path.segments, 20))
    assert kind_of_kpoints(tmp_path / "KPOINTS") == LINE
    read = Kpoints.from_file(tmp_path / "KPOINTS")
    assert read.num_kpts == 20
    assert read.labels is not None
    pairs = [pair for segment in path.segments for pair in pairwise(segment)]
    assert read.labels == [label for pair in pairs for label, _ in pair]
    assert np.allclose(read.kpts, [k for pair in pairs for _, k in pair], atol=1e-10)
