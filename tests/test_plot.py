"""Planes, samples and averages against analytic fields; pictures against what they must show."""

from __future__ import annotations

import numpy as np
import pytest
from fields import SKEW, density, skew_structure, spin_density, wave
from matplotlib.image import imread

from chgtools.cell import Structure
from chgtools.errors import SettingsError
from chgtools.formats import chgcar
from chgtools.pictures.averages import draw_averages
from chgtools.pictures.fields import Field, draw_plane, open_field
from chgtools.pictures.planes import (
    atoms_near,
    height,
    planar_average,
    plane_of_atoms,
    plane_of_axis,
    plane_of_miller,
    sample,
    values_at,
)

FCC = Structure(2.0 * (np.ones((3, 3)) - np.eye(3)), ("Al",), (1,), np.zeros((1, 3)))
CUBE = Structure(4.0 * np.eye(3), ("Na", "Cl"), (1, 1), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))


def analytic(frac):
    """The field of fields.wave anywhere."""
    x, y, z = np.moveaxis(np.asarray(frac), -1, 0)
    return (
        1.0
        + 0.5 * np.cos(2 * np.pi * (x - 0.10))
        + 0.2 * np.cos(2 * np.pi * (2 * y - z - 0.20))
        + 0.1 * np.sin(2 * np.pi * (x + y + 2 * z))
    )


def test_values_between_points_are_periodic_and_smooth():
    frac = np.random.default_rng(1).uniform(-2, 3, (200, 3))
    np.testing.assert_allclose(values_at(wave((24, 30, 28)), frac), analytic(frac), atol=2e-4)
    # at the grid's own points nothing is interpolated
    np.testing.assert_allclose(values_at(wave((6, 5, 8)), np.array([[1 / 6, 3 / 5, -1 / 8]])), wave((6, 5, 8))[1, 3, 7])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis_plane_shows_the_slice_in_a_triclinic_cell(axis):
    plane = plane_of_axis(skew_structure(), axis, 0.25)
    seen = sample(wave((24, 24, 24)), skew_structure(), plane, longest=60)
    first, second = [other for other in range(3) if other != axis]
    lengths = np.linalg.norm(SKEW, axis=1)
    assert seen.shape[1] / seen.shape[0] == pytest.approx(lengths[first] / lengths[second], rel=0.05)
    frac = np.empty((*seen.shape, 3))
    frac[..., axis] = 0.25
    frac[..., first] = (np.arange(seen.shape[1]) + 0.5) / seen.shape[1]
    frac[..., second] = ((np.arange(seen.shape[0]) + 0.5) / seen.shape[0])[:, None]
    np.testing.assert_allclose(seen, analytic(frac), atol=1e-3)


@pytest.mark.parametrize("indices", [(1, 1, 1), (2, 2, 2), (1, 0, 0)], ids=str)
def test_miller_plane_of_fcc(indices):
    """In the primitive cell (1 1 1) and (1 0 0) are both close-packed: one atom on a rhombus of side a/√2 at 60°."""
    plane = plane_of_miller(FCC, indices)
    assert np.linalg.norm(plane.u) == pytest.approx(np.linalg.norm(plane.v))
    assert np.linalg.norm(np.cross(plane.u, plane.v)) == pytest.approx(np.sqrt(3) / 2 * 8)


@pytest.mark.parametrize("indices", [(1, -1, 0), (2, 1, -3), (0, 0, 1), (-4, 6, 2)])
def test_miller_plane_holds_lattice_points_and_its_smallest_cell(indices):
    structure = skew_structure()
    plane = plane_of_miller(structure, indices)
    reduced = np.array(indices) // np.gcd.reduce(indices)
    steps = np.array([plane.u, plane.v]) @ np.linalg.inv(SKEW)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    np.testing.assert_allclose(steps @ reduced, 0, atol=1e-9)
    # the area of a plane's cell times the distance of its planes is the volume
    spacing = 1 / np.linalg.norm(np.linalg.inv(SKEW) @ reduced)
    assert np.linalg.norm(np.cross(plane.u, plane.v)) * spacing == pytest.approx(structure.volume)
    assert plane.frame[2] @ (np.linalg.inv(SKEW) @ reduced) > 0


@pytest.mark.parametrize(("indices", "found"), [((0, 0, 0), "0 0 0"), ((1, 11, 0), "1 11 0")])
def test_miller_indices_that_are_none(indices, found):
    with pytest.raises(SettingsError, match=found):
        plane_of_miller(FCC, indices)


def test_plane_through_three_atoms_holds_them():
    structure = skew_structure()
    plane = plane_of_atoms(structure, (1, 2, 3))
    indices, positions, distances = atoms_near(structure, plane, 1e-6)
    assert set(indices) == {0, 1, 2}
    np.testing.assert_allclose(distances, 0, atol=1e-9)
    sides = np.array([np.linalg.norm(plane.u), np.linalg.norm(plane.v)])
    assert abs(plane.u @ plane.v) < 1e-9
    assert (positions >= 0).all()
    assert (positions <= sides).all()


@pytest.mark.parametrize("atoms", [(1, 2, 4), (0, 1, 2), (1, 1, 2)])
def test_plane_through_atoms_that_are_not_there(atoms):
    with pytest.raises(SettingsError, match="of 1 to 3"):
        plane_of_atoms(skew_structure(), atoms)


def test_plane_through_atoms_on_a_line():
    line = Structure(4 * np.eye(3), ("H",), (3,), np.array([[0, 0, 0], [0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]))
    with pytest.raises(SettingsError, match="1 2 3 lie on one line"):
        plane_of_atoms(line, (1, 2, 3))


def test_atoms_on_a_face_are_drawn_at_all_its_corners():
    indices, positions, _ = atoms_near(CUBE, plane_of_axis(CUBE, 2, 0.0), 0.6)
    assert list(indices) == [0, 0, 0, 0]
    assert sorted(map(tuple, positions.round(6))) == [(0, 0), (0, 4), (4, 0), (4, 4)]
    indices, positions, distances = atoms_near(CUBE, plane_of_axis(CUBE, 2, 0.4), 0.6)
    assert list(indices) == [1]
    np.testing.assert_allclose(positions, [[2, 2]])
    np.testing.assert_allclose(distances, [0.4])


def test_planar_average_and_height():
    values = wave((6, 5, 8)) + np.arange(8)
    np.testing.assert_allclose(planar_average(values, 2), 1 + np.arange(8), atol=1e-12)
    assert height(skew_structure(), 2) == pytest.approx(5.1)  # a and b lie in the xy plane
    assert height(skew_structure(), 0) < 4.0


def _pixels(path):
    return imread(path)[..., :3]


def test_picture_of_a_density_is_dark_where_the_field_is_high(tmp_path):
    """A Gaussian at the middle of a cube: the middle of the picture is the darkest, the corners the lightest."""
    x = np.arange(24) / 24 - 0.5
    r2 = (x[:, None, None] ** 2 + x[None, :, None] ** 2 + x[None, None, :] ** 2) * 16
    structure = Structure(4.0 * np.eye(3), ("He",), (1,), np.array([[0.5, 0.5, 0.0]]))
    field = Field(structure, np.exp(-r2), "density", "electrons/Å³", False)
    draw_plane(field, plane_of_axis(structure, 2, 0.5), tmp_path / "he.png")
    picture = _pixels(tmp_path / "he.png").mean(axis=2)
    # the plane begins 0.45 inch from the left and 0.5 from the bottom, 4.6 inches wide, at 200 dots
    middle = picture[-(100 + 460), 90 + 460]
    corner = picture[-(100 + 30), 90 + 30]
    assert middle < 0.1
    assert corner > 0.8


def test_picture_of_a_signed_field_is_red_above_and_blue_below_zero(tmp_path):
    data = spin_density((20, 20, 20))
    x = np.arange(20) / 20
    data.blocks[1] = np.asfortranarray(np.ones((20, 20, 20)) * np.sin(2 * np.pi * x)[:, None, None])
    chgcar.write(data, tmp_path / "CHGCAR")
    field = open_field(tmp_path / "CHGCAR", "magnetisation")
    assert (field.signed, field.unit) == (True, "μ_B/Å³")
    draw_plane(field, plane_of_axis(field.structure, 2, 0.3), tmp_path / "m.png")
    picture = _pixels(tmp_path / "m.png")
    left, right = picture[:, : picture.shape[1] // 3], picture[:, picture.shape[1] // 2 : 2 * picture.shape[1] // 3]
    assert (left[..., 0] - left[..., 2]).mean() > 0.02
    assert (right[..., 2] - right[..., 0]).mean() > 0.02


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_formats_of_pictures(tmp_path, suffix):
    data = density()
    field = Field(data.structure, data.total, "density", "electrons/Å³", False)
    draw_averages([field], 1, tmp_path / f"a{suffix}")
    head = (tmp_path / f"a{suffix}").read_bytes()[:200]
    assert {".png": b"PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix] in head


def test_drawing_twice_gives_the_same_bytes_and_leaves_the_settings_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    data = density()
    field = Field(data.structure, data.total, "density", "electrons/Å³", False)
    for name in ("one.png", "two.png"):
        draw_plane(field, plane_of_miller(data.structure, (1, 1, 0)), tmp_path / name, log=True)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limits": (1.0, 0.5)}, "1 to 0.5"),
        ({"limits": (-1.0, 0.5), "log": True}, "-1 to 0.5.*two positive"),
    ],
)
def test_limits_that_cannot_be_used(tmp_path, options, message):
    data = density()
    field = Field(data.structure, data.total, "density", "electrons/Å³", False)
    with pytest.raises(SettingsError, match=message):
        draw_plane(field, plane_of_axis(data.structure, 0, 0), tmp_path / "a.png", **options)


def test_signed_fields_have_no_logarithm(tmp_path):
    data = density()
    field = Field(data.structure, data.total - 1, "difference density", "electrons/Å³", True)
    with pytest.raises(SettingsError, match="both signs"):
        draw_plane(field, plane_of_axis(data.structure, 0, 0), tmp_path / "a.png", log=True)


def test_names_that_are_no_picture_and_blocks_that_are_not_there(tmp_path):
    chgcar.write(spin_density(), tmp_path / "CHGCAR")
    with pytest.raises(SettingsError, match="no block 'mz'; it has total, magnetisation"):
        open_field(tmp_path / "CHGCAR", "mz")
    field = open_field(tmp_path / "CHGCAR")
    with pytest.raises(SettingsError, match=r"a.jpg: .* \.png, \.pdf, \.svg"):
        draw_averages([field], 0, tmp_path / "a.jpg")
    assert not (tmp_path / "a.jpg").exists()
