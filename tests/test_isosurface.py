"""Isosurfaces as geometry: areas, positions and images in a skewed cell; atoms, bonds, edges; what hides what."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fields import SKEW, density, skew_structure, spin_density, wave

from chgtools.cell import Structure
from chgtools.errors import AssumptionWarning, ChgtoolsError, MismatchError, SettingsError
from chgtools.formats import chgcar
from chgtools.pictures.averages import draw_averages
from chgtools.pictures.drawing import contour_levels, draw_plane
from chgtools.pictures.fields import Field, difference, open_field, short_names
from chgtools.pictures.planes import plane_of_axis, values_at

pytest.importorskip("skimage", reason="needs scikit-image, of the extra pictures")

from chgtools.pictures.isosurface import caps, default_level, for_drawing, isosurface, share_above
from chgtools.pictures.scene import atoms_shown, bonds, scene_of
from chgtools.pictures.solids import joined, rod, sphere
from chgtools.pictures.still import draw_isosurface, eye_of


def grid(shape):
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)


def ball(shape, centre, width=0.8, lattice=SKEW):
    """exp(-(r / width)²) of one atom and its nearest images."""
    total = np.zeros(shape)
    for image in np.ndindex(3, 3, 3):
        apart = (grid(shape) - centre + np.array(image) - 1) @ lattice
        total += np.exp(-(apart**2).sum(axis=-1) / width**2)
    return total


def volume(surface):
    """Signed, by the divergence theorem: positive where the triangles' normals point outwards."""
    a, b, c = (surface.vertices[surface.triangles[:, i]] for i in range(3))
    return np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6


def test_a_plane_wave_has_two_planes_of_the_cell_as_its_nodes():
    """cos 2πx is zero at x = 1/4 and 3/4, on the faces spanned by b and c."""
    surface = isosurface(np.cos(2 * np.pi * grid((24, 10, 14))[..., 0]), SKEW, 0.0)
    frac = surface.vertices @ np.linalg.inv(SKEW)
    np.testing.assert_allclose(np.abs(frac[:, 0] - 0.5), 0.25, atol=1e-6)
    assert surface.area == pytest.approx(2 * np.linalg.norm(np.cross(SKEW[1], SKEW[2])), rel=1e-6)
    for axis in (1, 2):  # up to the far faces
        assert (frac[:, axis].min(), frac[:, axis].max()) == pytest.approx((0, 1), abs=1e-6)


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.97, 0.4, 0.02)], ids=str)
def test_a_ball_has_its_area_wherever_in_the_cell_it_lies(centre):
    radius = 0.8 * np.sqrt(np.log(2))
    surface = isosurface(ball((48, 48, 60), centre), SKEW, 0.5)
    assert surface.area == pytest.approx(4 * np.pi * radius**2, rel=0.01)
    apart = surface.vertices @ np.linalg.inv(SKEW) - centre
    apart = (apart - np.round(apart)) @ SKEW
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), radius, atol=0.01)


def test_every_vertex_has_the_value():
    values = wave((20, 24, 30))
    surface = isosurface(values, SKEW, 1.2)
    found = values_at(values, surface.vertices @ np.linalg.inv(SKEW))
    np.testing.assert_allclose(found, 1.2, atol=0.01)


def test_the_surface_of_schwarz_has_its_known_area():
    """cos x + cos y + cos z = 0 lies near Schwarz' P surface, 2.345 a² (A. H. Schoen, NASA TN D-5541, 1970)."""
    values = np.cos(2 * np.pi * grid((40, 40, 40))).sum(axis=-1)
    assert isosurface(values, 3.0 * np.eye(3), 0.0).area == pytest.approx(2.345 * 9, rel=0.006)


def test_repeats_are_moved_by_lattice_vectors():
    one = isosurface(ball((20, 20, 24), (0.5, 0.5, 0.5)), SKEW, 0.5)
    six = one.repeated(SKEW, (2, 1, 3))
    assert six.area == pytest.approx(6 * one.area)
    middles = six.vertices.reshape(6, -1, 3).mean(axis=1) - one.vertices.mean(axis=0)
    steps = sorted(map(tuple, np.round(middles @ np.linalg.inv(SKEW), 6).astype(int)))
    assert steps == [(i, 0, k) for i in range(2) for k in range(3)]


def test_caps_close_what_the_faces_of_the_cell_cut():
    """An eighth of a ball at each corner: together its volume, and the normals point outwards everywhere."""
    radius = 0.8 * np.sqrt(np.log(2))
    values = ball((48, 48, 60), (0.0, 0.0, 0.0))
    closed = joined([isosurface(values, SKEW, 0.5), *caps(values, SKEW, 0.5).values()])
    assert abs(volume(closed)) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
    # a ball inside needs none
    assert all(len(cap.triangles) == 0 for cap in caps(ball((24, 24, 24), (0.5, 0.5, 0.5)), SKEW, 0.5).values())


def test_caps_of_repeated_cells_are_on_the_outer_faces_alone():
    structure = Structure(4.0 * np.eye(3), ("He",), (1,), np.zeros((1, 3)))
    field = Field(structure, ball((30, 30, 30), (0, 0, 0), lattice=structure.lattice), "density", "", False)
    (body,) = scene_of(field, 0.5, (2, 1, 1)).surfaces
    triangles = body.surface.vertices[body.surface.triangles]
    areas = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1) / 2
    on = [areas[(np.abs(triangles[:, :, 0] - x) < 1e-4).all(axis=1)].sum() for x in (0.0, 4.0, 8.0)]
    disc = np.pi * 0.8**2 * np.log(2)
    assert on == pytest.approx([disc, 0, disc], rel=0.02, abs=1e-3)


def test_the_default_value_holds_half_of_the_field_and_says_so():
    values = ball((40, 40, 40), (0.5, 0.5, 0.5)) - 0.02
    level = default_level(values)
    assert share_above(values, level) == pytest.approx(0.5, abs=0.03)
    assert level == float(f"{level:.1e}")
    assert default_level(-values) == level
    # vacuum changes nothing
    assert default_level(np.concatenate([values, np.zeros((40, 40, 80))], axis=2)) == level
    with pytest.raises(SettingsError, match="zero everywhere"):
        default_level(np.zeros((4, 4, 4)))


def test_a_field_of_both_signs_has_two_surfaces_and_one_of_one_sign_one():
    structure = skew_structure()
    values = ball((24, 24, 30), (0.3, 0.3, 0.5), 0.6) - ball((24, 24, 30), (0.7, 0.6, 0.5), 0.6)
    scene = scene_of(Field(structure, values, "difference density", "electrons/Å³", True), 0.3)
    assert [body.name for body in scene.surfaces] == ["+0.3 electrons/Å³", "−0.3 electrons/Å³"]
    middles = [body.surface.vertices.mean(axis=0) @ np.linalg.inv(SKEW) for body in scene.surfaces]
    np.testing.assert_allclose(middles, [[0.3, 0.3, 0.5], [0.7, 0.6, 0.5]], atol=0.02)
    assert scene.said.startswith("isovalue ±0.3 electrons/Å³: ")
    assert len(scene_of(Field(structure, np.abs(values), "ELF", "", False), 0.3).surfaces) == 1
    positive = np.maximum(values, -0.1)
    assert [b.name for b in scene_of(Field(structure, positive, "magnetisation", "", True), 0.3).surfaces] == ["+0.3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 9.0}, "isovalue 9; the density runs from"),
        ({"level": -1.0}, "isovalue -1; wanted a positive one"),
        ({"repeats": (0, 1, 1)}, "repeats 0 1 1"),
    ],
)
def test_what_cannot_be_drawn(options, message):
    data = density()
    with pytest.raises(SettingsError, match=message):
        scene_of(Field(data.structure, data.total, "density", "electrons/Å³", False), **options)


def test_atoms_on_faces_are_shown_on_the_opposite_ones_and_bonds_join_near_ones():
    salt = Structure(2.82 * (np.ones((3, 3)) - np.eye(3)), ("Na", "Cl"), (1, 1), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    indices, positions = atoms_shown(salt, (1, 1, 1))
    assert sorted(indices) == [0] * 8 + [1]
    joined_pairs = bonds(salt, indices, positions)
    lengths = [np.linalg.norm(positions[i] - positions[j]) for i, j in joined_pairs]
    np.testing.assert_allclose(lengths, 2.82)
    assert len(lengths) == 6
    assert len(atoms_shown(salt, (2, 1, 1))[0]) == 12 + 2


def test_edges_of_all_cells():
    scene = scene_of(Field(skew_structure(), density().total, "density", "", False), 1.0, (2, 1, 1))
    edges = scene.edges()
    assert len(edges) == 2 * 4 + 3 * 2 * 2  # along a, and along b and c
    lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    assert sorted(set(lengths.round(6))) == sorted(np.linalg.norm(SKEW, axis=1).round(6))


def test_balls_and_rods_are_what_they_are_called():
    assert sphere(3).area == pytest.approx(4 * np.pi, rel=0.01)
    assert volume(sphere(3)) == pytest.approx(4 / 3 * np.pi, rel=0.02)
    wall = rod(np.array([1.0, 0, 0]), np.array([1.0, 2, 1]), 0.1, sides=40)
    assert wall.area == pytest.approx(2 * np.pi * 0.1 * np.sqrt(5), rel=0.01)


def test_the_eye_sees_c_upright_and_looks_along_a_direction():
    for along in (None, (1, 1, 0), (0, 0, 1), (1, -2, 0.5)):
        axes = eye_of(SKEW, along).axes
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(axes) == pytest.approx(1)
    right, up, near = eye_of(SKEW).sees(SKEW[2])
    assert up > 0.9 * np.linalg.norm(SKEW[2])
    assert abs(right) < 1e-9
    assert eye_of(SKEW).sees(SKEW[0])[0] > 0  # a to the right
    seen = eye_of(SKEW, (1, 1, 0)).sees(SKEW[0] + SKEW[1])
    np.testing.assert_allclose(seen, [0, 0, -np.linalg.norm(SKEW[0] + SKEW[1])], atol=1e-9)
    with pytest.raises(SettingsError, match="0 0 0"):
        eye_of(SKEW, (0, 0, 0))


def test_what_is_near_hides_what_is_far_and_clear_things_let_it_through():
    from chgtools.kernels.painting import paint

    square = np.array([[2.0, 2, 0], [18, 2, 0], [18, 18, 0], [2, 18, 0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    facing, light = np.tile([0.0, 0, 1], (4, 1)), np.array([0.0, 0, 1, 0.4, 0.0, 1.0])
    picture, nearness = np.ones((20, 20, 3), dtype=np.float32), np.full((20, 20), -np.inf)

    def put(height, colour, opacity):
        points = square + [0, 0, height]
        paint(picture, nearness, points, facing, triangles, np.tile(colour, (2, 1)), opacity, light)
        return picture[10, 12].tolist(), picture[10, 10].tolist(), picture[0, 0].tolist()

    assert put(1.0, [1.0, 0, 0], 1.0) == ([1, 0, 0], [1, 0, 0], [1, 1, 1])
    assert put(0.0, [0.0, 1, 0], 1.0)[0] == [1, 0, 0]  # behind
    assert put(2.0, [0.0, 0, 1], 0.5)[0] == [0.5, 0, 0.5]  # before, and clear
    assert put(1.5, [0.0, 1, 0], 1.0)[0] == [0, 1, 0]


def test_a_picture_shows_both_colours_where_the_lobes_are(tmp_path):
    from matplotlib.image import imread

    structure = Structure(5.0 * np.eye(3), ("H",), (1,), np.array([[0.5, 0.5, 0.5]]))
    values = ball((30, 30, 30), (0.5, 0.5, 0.8), lattice=structure.lattice)
    values -= ball((30, 30, 30), (0.5, 0.5, 0.2), lattice=structure.lattice)
    draw_isosurface(Field(structure, values, "difference density", "", True), tmp_path / "a.png", level=0.3)
    picture = imread(tmp_path / "a.png")[:, : -int(1.8 * 200), :3]  # without the legend
    red = np.argwhere(picture[..., 0] - picture[..., 2] > 0.2)
    blue = np.argwhere(picture[..., 2] - picture[..., 0] > 0.2)
    assert min(len(red), len(blue)) > 2000
    assert red[:, 0].max() < blue[:, 0].min()  # + is at the upper end of c
    with pytest.raises(SettingsError, match=r"\.png, \.pdf, \.svg"):
        draw_isosurface(Field(structure, values, "difference density", "", True), tmp_path / "a.jpg", level=0.3)


@pytest.mark.parametrize("missing", ["skimage", "plotly"])
def test_a_missing_library_is_one_sentence(monkeypatch, tmp_path, missing):
    from chgtools.pictures import turnable

    for name in [name for name in sys.modules if name.split(".")[0] == missing] + [missing]:
        monkeypatch.setitem(sys.modules, name, None)
    data = density()
    with pytest.raises(ChgtoolsError, match=r"need \S+, which is not there: pip install 'chgtools\[pictures\]'"):
        turnable.draw_isosurface(
            Field(data.structure, data.total, "density", "", False), tmp_path / "a.html", level=1.0
        )
    assert not (tmp_path / "a.html").exists()


# Differences, contours, several averages


def test_a_difference_of_a_file_and_itself_is_zero(tmp_path):
    chgcar.write(spin_density(), tmp_path / "CHGCAR")
    field = open_field(tmp_path / "CHGCAR", "magnetisation")
    less = difference(field, field)
    assert (less.values == 0).all()
    assert less.signed


def test_a_difference_is_the_first_less_the_second_on_the_grid_of_the_first():
    first = Field(skew_structure(), wave((12, 10, 16)), "density", "electrons/Å³", False, "a/CHGCAR")
    second = Field(skew_structure(), wave((18, 15, 20), offset=0.25), "density", "electrons/Å³", False, "b/CHGCAR")
    with pytest.warns(AssumptionWarning, match="b/CHGCAR: resampled from the grid 18 x 15 x 20 to 12 x 10 x 16"):
        less = difference(first, second)
    np.testing.assert_allclose(less.values, 0.75, atol=1e-10)
    assert less.name == "density, a/CHGCAR − b/CHGCAR"


def test_differences_of_other_atoms_or_quantities_are_refused():
    field = Field(skew_structure(), wave((6, 5, 8)), "density", "electrons/Å³", False, "A")
    other = Field(
        skew_structure().with_changes(species=("S", "Ti", "O")), field.values, "density", "electrons/Å³", False, "B"
    )
    with pytest.raises(MismatchError, match="atom 1 is O in A"):
        difference(field, other)
    with pytest.raises(MismatchError, match="A holds a density and B a magnetisation"):
        difference(field, Field(skew_structure(), field.values, "magnetisation", "μ_B/Å³", True, "B"))


def test_levels_of_contours():
    from matplotlib.colors import LogNorm, Normalize

    linear = contour_levels(Normalize(-0.4, 0.4))
    assert 0.0 not in linear
    np.testing.assert_allclose(linear, -linear[::-1])
    assert np.diff(linear).min() == pytest.approx(0.05)
    np.testing.assert_allclose(contour_levels(LogNorm(0.015, 3)), [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])


def test_contours_lie_where_the_field_has_their_values(tmp_path, monkeypatch):
    """Of cos 2πx on the plane c = 0 of a skewed cell they are straight lines along b."""
    from matplotlib.axes import Axes

    drawn = []
    original = Axes.contour
    monkeypatch.setattr(Axes, "contour", lambda self, *a, **k: drawn.append(original(self, *a, **k)) or drawn[-1])
    structure = skew_structure()
    field = Field(structure, np.cos(2 * np.pi * grid((40, 12, 12))[..., 0]), "density", "", True)
    draw_plane(field, plane_of_axis(structure, 2, 0.0), tmp_path / "a.png", contours=True, limits=(-1, 1))
    (lines,) = drawn
    assert len(lines.levels) >= 8
    for level, segments in zip(lines.levels, lines.allsegs, strict=True):
        points = np.concatenate(segments)
        frac = np.column_stack([points, np.zeros(len(points))]) @ np.linalg.inv(SKEW)
        np.testing.assert_allclose(np.cos(2 * np.pi * frac[:, 0]), level, atol=0.01)


def test_several_averages_are_lines_with_the_names_of_their_files(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    legends = []
    original = Axes.legend
    monkeypatch.setattr(
        Axes,
        "legend",
        lambda self, **k: legends.append([line.get_label() for line in self.lines[:2]]) or original(self, **k),
    )
    fields = [
        Field(skew_structure(), wave((6, 5, n)), "density", "electrons/Å³", False, f"{name}/CHGCAR")
        for name, n in (("start", 8), ("scf", 10))
    ]
    draw_averages(fields, 2, tmp_path / "a.png")
    assert legends == [["start/CHGCAR", "scf/CHGCAR"]]
    with pytest.raises(SettingsError, match="one quantity"):
        draw_averages(
            [fields[0], Field(skew_structure(), wave((6, 5, 8)), "ELF", "", False, "E")], 2, tmp_path / "b.png"
        )


def test_names_are_as_short_as_they_may_be():
    assert short_names(["a/CHGCAR", "a/LOCPOT"]) == ["CHGCAR", "LOCPOT"]
    assert short_names(["x/a/CHGCAR", "x/b/CHGCAR"]) == ["a/CHGCAR", "b/CHGCAR"]
    assert short_names(["CHGCAR"]) == ["CHGCAR"]


def test_the_grid_that_is_drawn_is_finer_than_a_coarse_one_and_no_more_than_wanted():
    field = Field(skew_structure(), wave((6, 5, 8)), "density", "", False)
    values = for_drawing(field, (1, 1, 1))
    assert min(values.shape) > 40
    np.testing.assert_allclose(values.mean(), 1.0, atol=1e-3)
    assert 0.5 * 20_000 < for_drawing(field, (2, 1, 1), most=40_000).size < 30_000
