"""chgtools from Python: tags as a dict, shortcuts, what objects say of themselves, pictures, trajectories, pymatgen."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from html import escape
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_atoms import atom
from pymatgen.core import SETTINGS, Lattice, Structure
from pymatgen.electronic_structure.core import Magmom
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, MissingDensityError, SettingsError
from chgtools.formats import poscar
from chgtools.formats.incar import incar_of, parse_incar
from chgtools.libraries import choice
from chgtools.libraries.library import DensityLibrary
from chgtools.run.tags import Tags
from chgtools.start.many import PredictOptions
from chgtools.volumetric import VolumetricData

SMALL = chgtools.GridOptions(ngf=(12, 12, 12))
PLACES = [[0, 0, 0], [0.5, 0.5, 0.5]]


def feo(magmom=None, charge=None):
    properties = None if magmom is None else {"magmom": magmom}
    return Structure(Lattice.cubic(4.2), ["Fe", "O"], PLACES, site_properties=properties, charge=charge)


def ase_feo(**arrays):
    ase = pytest.importorskip("ase")
    return ase.Atoms("FeO", scaled_positions=PLACES, cell=4.2 * np.eye(3), pbc=True, **arrays)


def made(structure, **options):
    return chgtools.predict(structure, model="none", **{"grid": SMALL, **options})


# The tags of a run as a dict


def test_tags_of_a_dict_are_those_of_the_same_file():
    given = {
        "ENCUT": 520, "ispin": 2, "MAGMOM": [5, -5.5], "LSORBIT": True, "LHFCALC": np.False_, "NGXF": np.int64(48),
        "PREC": "Accurate", "VCA": np.array([1.0, 0.5]), "SYSTEM": "iron # a comment", "NELECT": None,
    }  # fmt: skip
    text = (
        "ENCUT = 520\nISPIN = 2\nMAGMOM = 5 -5.5\nLSORBIT = .TRUE.\nLHFCALC = .FALSE.\nNGXF = 48\nPREC = Accurate\n"
        "VCA = 1.0 0.5\nSYSTEM = iron # a comment\n"
    )
    found, wanted = incar_of(given), parse_incar(text)
    assert dict(found) == dict(wanted)
    of_dict, of_file = Tags.of(found), Tags.of(wanted)
    assert (of_dict.magmom, of_dict.noncollinear, of_dict.vca) == (of_file.magmom, True, (1.0, 0.5))
    assert incar_of({"MAGMOM": "2*5.0 0"}).numbers("MAGMOM") == [5, 5, 0]


def test_pymatgens_incar_and_its_vectors_are_taken():
    from pymatgen.io.vasp.inputs import Incar

    given = Incar({"ENCUT": 400, "LNONCOLLINEAR": True, "MAGMOM": [[0, 0, 1], [2, 0, 0]]})
    assert incar_of(given).numbers("MAGMOM") == [0, 0, 1, 2, 0, 0]
    turned = {"MAGMOM": [Magmom([0, 0, 2], saxis=[1, 0, 0])]}
    np.testing.assert_allclose(incar_of(turned).numbers("MAGMOM"), [2, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("incar", "said"),
    [
        ({"ENCUT": "high"}, "incar: found ENCUT = 'high'; wanted a number"),
        ({"ISPIN": 3}, "incar: found ISPIN = 3; wanted 1 or 2"),
        ({"NELECT": float("nan")}, "incar: found NELECT = 'nan'; wanted a number"),
        ({"MAGMOM": {"Fe": 5}}, "incar: found MAGMOM = {'Fe': 5}, a dict; wanted a number, text"),
        ({"ENCUT": 3, "encut": 4}, "incar: ENCUT is given twice"),
        ({"MAGMOM": "1 1; ENCUT = 3"}, "incar: the value of another tag sets ENCUT as well"),
        ({"EN CUT": 1}, "incar: found 'EN CUT'; wanted a tag by its name"),
        ({"ISPIN": 2, "MAGMOM": [1]}, "incar: MAGMOM has 1 values, 2 atoms need 2"),
    ],
)
def test_what_is_wrong_with_a_dict_names_its_tag(incar, said):
    with pytest.raises(ChgtoolsError, match=f"^{re.escape(said)}"):
        made(feo(), incar=incar)


def test_a_dict_follows_every_rule_of_a_file(tmp_path):
    """Grid, spin, electrons and remarks; no line of a file is named, since there is none."""
    tags = {"ENCUT": 180, "PREC": "Accurate", "ISPIN": 2, "MAGMOM": [3, -1], "NELECT": 13, "ENCTU": 400}
    (tmp_path / "INCAR").write_text("".join(f"{tag} = {value}\n" for tag, value in tags.items() if tag != "MAGMOM"))
    (tmp_path / "INCAR").open("a").write("MAGMOM = 3 -1\n")
    ours = made(feo(), incar=tags, grid=None)
    theirs = made(feo(), incar=tmp_path / "INCAR", grid=None)
    assert ours.data.shape == theirs.data.shape
    for block, other in zip(ours.data.blocks, theirs.data.blocks, strict=True):
        np.testing.assert_array_equal(block, other)
    assert ours.data.electrons == pytest.approx(13)
    assert ours.data.integral(1) == pytest.approx(2)
    assert "incar: VASP knows no tag ENCTU and passes it over; is ENCUT meant?" in ours.assumptions


def test_tags_go_before_the_incar_of_the_folder(tmp_path):
    poscar.write(chgtools.as_structure(feo()), tmp_path / "POSCAR")
    (tmp_path / "INCAR").write_text("ISPIN = 2\n")
    found = made(tmp_path, incar={"ISPIN": 1})
    assert len(found.data.blocks) == 1
    assert f"{tmp_path / 'INCAR'} is not read: tags are given in its place" in found.assumptions
    assert len(made(tmp_path).data.blocks) == 2


@pytest.mark.parametrize("source", [feo([-4.0, 1.0]), ase_feo(magmoms=[-4.0, 1.0])], ids=["pymatgen", "ase"])
@pytest.mark.parametrize(
    ("tags", "moments", "said"),
    [
        ({}, [-3], "ISPIN = 2 and MAGMOM: that of the"),
        ({"ISPIN": 2}, [-3], "MAGMOM: that of the"),
        ({"ISPIN": 1}, [], "are not used: ISPIN = 1"),
        ({"LSORBIT": True}, [0, 0, -3], "MAGMOM: that of the"),
        ({"LNONCOLLINEAR": False}, [-3], "MAGMOM: that of the"),
        ({"ISPIN": 2, "MAGMOM": [2, 3]}, [5], "MAGMOM: that of the INCAR, not of the"),
    ],
)
def test_what_tags_leave_open_the_moments_of_an_object_settle(source, tags, moments, said):
    found = made(source, incar={"ENCUT": 300, **tags})
    assert [found.data.integral(block) for block in range(1, len(found.data.blocks))] == pytest.approx(moments)
    assert any(sentence.startswith(said) or f" {said}" in sentence for sentence in found.assumptions)


def test_vectors_want_a_noncollinear_run():
    vectors = feo([[0, 3, 0], [1, 0, 0]])
    found = made(vectors, incar={"ENCUT": 300})
    assert [found.data.integral(block) for block in (1, 2, 3)] == pytest.approx([1, 3, 0])
    found = made(vectors, incar={"ISPIN": 2})
    assert found.data.integral(1) == pytest.approx(2)  # VASP's default of 1 for each
    assert any("they are vectors, the run is collinear" in sentence for sentence in found.assumptions)
    found = made(vectors, incar={"LNONCOLLINEAR": False})
    assert len(found.data.blocks) == 1
    assert any("they are vectors, the run is collinear" in sentence for sentence in found.assumptions)


def test_a_charge_counts_where_tags_name_no_electrons():
    neutral = made(feo()).electrons_of_atoms
    assert made(feo(charge=1), incar={"ENCUT": 300}).data.electrons == pytest.approx(neutral - 1)
    assert made(feo(charge=1), incar={"NELECT": 11}).data.electrons == pytest.approx(11)


# Shortcuts


def test_encut_goes_before_the_incar_and_is_that_of_grid():
    wanted = made(feo(), grid=chgtools.GridOptions(encut=250), incar={"ENCUT": 500}).data.shape
    assert made(feo(), grid=None, encut=250, incar={"ENCUT": 500}).data.shape == wanted
    assert made(feo(), grid=None, incar={"ENCUT": 500}).data.shape != wanted
    with pytest.raises(SettingsError, match="encut is given twice, by encut and by grid"):
        made(feo(), grid=chgtools.GridOptions(encut=300), encut=250)
    with pytest.raises(SettingsError, match="found encut = -1; wanted a positive cutoff"):
        made(feo(), grid=None, encut=-1)


def test_potcar_as_a_path_or_a_word(tmp_path):
    write_synthetic_potcar(tmp_path / "POTCAR", [("Fe", 8, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])
    for potcar in (tmp_path / "POTCAR", str(tmp_path / "POTCAR")):
        found = made(feo(), potcar=potcar)
        assert found.occupancies == "of the atoms"
        assert made(feo(), source=chgtools.Source(potcar=potcar)).occupancies == "of the atoms"
    with pytest.raises(SettingsError, match="potcar is given twice, by potcar and by source"):
        made(feo(), potcar=potcar, source=chgtools.Source(potcar=potcar))
    with pytest.raises(SettingsError, match="wanted from one source, found potcar and library"):
        made(feo(), potcar=potcar, source=chgtools.Source(library="some.h5"))


# What a prediction can do


def test_a_prediction_is_written_and_checked_against_its_own_inputs(tmp_path):
    write_synthetic_potcar(tmp_path / "POTCAR", [("Fe", 8, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])
    tags = {"ENCUT": 150, "ISPIN": 2, "MAGMOM": [3, 0], "ICHARG": 11, "LMAXMIX": 4}
    found = made(feo(), grid=None, incar=tags, potcar=tmp_path / "POTCAR")
    (tmp_path / "elsewhere").mkdir()
    report = found.write(tmp_path / "elsewhere" / "CHGCAR")
    assert (report.ok, report.findings) == (True, ())
    assert f"POTCAR: {tmp_path / 'POTCAR'}" in report.inputs
    again = chgtools.read(tmp_path / "elsewhere" / "CHGCAR")
    np.testing.assert_allclose(again.blocks[1], found.data.blocks[1], atol=1e-9)
    without = made(feo(), grid=None, incar=tags).write(tmp_path / "elsewhere" / "CHGCAR")
    assert [finding.code for finding in without.findings] == ["record-missing"]
    other = made(feo(), incar=tags, potcar=tmp_path / "POTCAR").write(tmp_path / "elsewhere" / "CHGCAR")
    assert [finding.code for finding in other.findings] == ["grid"]  # not that of the tags


def test_check_is_at_the_top_whether_its_room_is_loaded_or_not(tmp_path):
    made(feo()).write(tmp_path / "CHGCAR")
    found = chgtools.check(tmp_path / "CHGCAR")
    assert "record-missing" in [finding.code for finding in found.findings]
    incar = tmp_path / "tags"
    incar.write_text("ISPIN = 2\nICHARG = 1\n")
    assert "incar" in str(chgtools.check(tmp_path / "CHGCAR", incar=incar).inputs).lower()
    code = "import sys, chgtools\nassert 'numpy' not in sys.modules\nprint(chgtools.check(sys.argv[1]).ok)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "CHGCAR"], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_prediction_and_a_difference_become_pymatgens():
    found = made(feo(), incar={"ISPIN": 2, "MAGMOM": [3, -1]})
    theirs = found.to_pymatgen()
    volume = found.structure.volume
    np.testing.assert_allclose(theirs.data["total"], found.data.total * volume)
    np.testing.assert_allclose(theirs.data["diff"], found.data.blocks[1] * volume)
    np.testing.assert_allclose(chgtools.from_pymatgen(theirs).total, found.data.total)
    moved = VolumetricData("CHGCAR", found.structure, [np.roll(found.data.total, 1, axis=0)])
    difference = chgtools.difference_density(moved)
    np.testing.assert_allclose(difference.to_pymatgen().data["total"], difference.dcd * volume)


def test_write_takes_a_difference_density(tmp_path):
    data = made(feo()).data
    difference = chgtools.difference_density(VolumetricData("CHGCAR", data.structure, [np.roll(data.total, 1, axis=0)]))
    chgtools.write(difference, tmp_path / "dcd.h5")
    np.testing.assert_array_equal(chgtools.dcd.read(tmp_path / "dcd.h5").dcd, difference.dcd)
    chgtools.write(difference, tmp_path / "dcd.cube")
    np.testing.assert_allclose(chgtools.read(tmp_path / "dcd.cube").total, difference.dcd, atol=1e-5)
    with pytest.raises(SettingsError, match="as a CHGCAR it would be taken for a density"):
        chgtools.write(difference, tmp_path / "CHGCAR")
    assert not (tmp_path / "CHGCAR").exists()


def test_plot_draws_what_is_in_memory_as_the_file_of_it(tmp_path):
    found = made(feo(), incar={"ISPIN": 2, "MAGMOM": [3, -1]})
    chgtools.write(found.data, tmp_path / "CHGCAR")
    pages = []
    for data in (found, found.data, tmp_path / "CHGCAR"):
        figure = chgtools.plot(data, block="magnetisation", miller=(1, 0, 0))
        pages.append(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(pages[0], pages[1])
    np.testing.assert_allclose(pages[0], pages[2], atol=1e-9)
    found.plot(tmp_path / "average.png", average="c")
    assert (tmp_path / "average.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "a = 0.25" in found.plot(plane=("a", 0.25)).texts[0].get_text()


def test_plot_of_a_difference_and_of_what_is_none():
    data = made(feo()).data
    difference = chgtools.difference_density(VolumetricData("CHGCAR", data.structure, [np.roll(data.total, 1, axis=0)]))
    ends = chgtools.plot(difference).axes[0].images[0].get_clim()
    assert ends[0] == -ends[1] < 0
    assert chgtools.plot(difference, block="saed").axes[0].images[0].get_cmap().name == "magma_r"
    for options, said in (
        ({"plane": ("x", 0.5)}, "found the axis 'x'; wanted one of a, b, c"),
        ({"miller": (1, 0, 0), "average": "c"}, "found miller and average; one picture shows one"),
        ({"average": "c", "log": True}, "log goes with a plane, not with average"),
        ({"miller": (1, 0, 0), "iso": 0.1, "repeat": (2, 1, 1)}, "iso and repeat go with isosurface, not with miller"),
        ({"isosurface": True, "average": "c"}, "found average and isosurface; one picture shows one"),
        ({"isosurface": True, "contours": True}, "contours goes with a plane, not with isosurface"),
        ({"block": "spin"}, "the data has no block 'spin'; it has total"),
    ):
        with pytest.raises(SettingsError, match=said):
            chgtools.plot(data, **options)
    with pytest.raises(SettingsError, match="cannot draw a Structure"):
        chgtools.plot(data.structure)
    with pytest.raises(SettingsError, match="found 2 files; several in one picture go with average alone"):
        chgtools.plot([data, data])
    with pytest.raises(SettingsError, match="found no density to draw"):
        chgtools.plot([])


def test_plot_draws_isosurfaces_as_the_command_does(tmp_path):
    """The same picture, dot by dot; a page, and the Figure of it, can be turned."""
    pytest.importorskip("skimage", reason="needs scikit-image, of the extra pictures")
    pytest.importorskip("plotly", reason="needs plotly, of the extra pictures")
    found = made(feo())
    chgtools.write(found.data, tmp_path / "CHGCAR")
    options = ["--isosurface", "--iso", "0.4", "--repeat", "2", "1", "1", "--along", "1", "1", "0"]
    done = CliRunner().invoke(main, ["plot", str(tmp_path / "CHGCAR"), "-o", str(tmp_path / "a.png"), *options])
    assert (done.exit_code, done.stderr) == (0, "")
    again = found.plot(tmp_path / "b.png", isosurface=True, iso=0.4, repeat=(2, 1, 1), along=np.array([1, 1, 0]))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert again._repr_png_().startswith(b"\x89PNG")
    with pytest.warns(AssumptionWarning, match=r"isovalue [\d.]+ electrons/Å³: \d+ % of the density is inside"):
        page = chgtools.plot(found, tmp_path / "c.html", isosurface=True)
    assert "plotly" in (tmp_path / "c.html").read_text()
    assert {trace.type for trace in page.data} == {"mesh3d", "scatter3d"}


def test_plot_of_a_difference_of_two_and_of_averages_of_several():
    data = made(feo()).data
    other = VolumetricData("CHGCAR", data.structure, [np.roll(data.total, 1, axis=0)])
    figure = chgtools.plot(data, minus=other, plane=("a", 0.0), contours=True)
    shown = figure.axes[0].images[0].get_array()
    less = data.total[0] - other.total[0]
    assert (shown.min(), shown.max()) == (pytest.approx(less.min(), rel=0.1), pytest.approx(less.max(), rel=0.1))
    assert figure.axes[1].get_ylabel() == "density, data − minus (electrons/Å³)"
    lines = chgtools.plot([data, other], average="a").axes[0].lines[:2]
    np.testing.assert_allclose(lines[1].get_ydata()[:-1], np.roll(lines[0].get_ydata()[:-1], 1), rtol=1e-12)


# What objects say of themselves


def test_reprs_are_one_short_line_with_the_facts():
    found = made(feo(), incar={"ISPIN": 2, "MAGMOM": [3, -1]})
    moved = VolumetricData("CHGCAR", found.structure, [np.roll(found.data.total, 1, axis=0)])
    difference = chgtools.difference_density(moved)
    library = DensityLibrary([atom("Si", 4), atom("O_s", 6)], source="two atoms")
    wanted = [
        (found.structure, ("Structure(", "formula: Fe1O1", "atoms: 2", "cell: 4.200 4.200 4.200 Å", "74.088 Å³")),
        (
            found.data,
            ("VolumetricData(", "kind: CHGCAR", "grid: 12 x 12 x 12", "electrons: 20.0", "moment: 2.0000 μ_B"),
        ),
        (found, ("Prediction(", "formula: Fe1O1", "occupancies: none", "model: none (asked for)")),
        (difference, ("DifferenceDensity(", "holds: dcd, saed", "electrons: 20.0", "labels: Fe_pv, O")),
        (library, ("DensityLibrary(", "densities: 2", "labels: Si, O_s", "from: two atoms")),
        (library["Si"], ("AtomicDensity(", "label: Si", "ZVAL: 4")),
    ]
    for thing, words in wanted:
        text, page = repr(thing), thing._repr_html_()
        assert all(word in text for word in words), text
        assert "\n" not in text
        assert "array(" not in text
        assert len(text) < 250
        assert page.startswith(f"<table><caption>{type(thing).__name__}</caption>")
    assert f"<li>{escape(found.assumptions[0])}</li>" in found._repr_html_()


def test_lengths_and_angles_of_an_oblique_cell():
    lattice = Lattice.from_parameters(3, 4, 5, 70, 80, 100)
    oblique = chgtools.Structure(lattice.matrix, ("Si",), (1,), np.zeros((1, 3)))
    assert "cell: 3.000 4.000 5.000 Å, angles: 70.00 80.00 100.00°" in repr(oblique)


def test_a_report_says_what_was_found_and_html_is_escaped(tmp_path):
    made(feo()).write(tmp_path / "CHGCAR")
    report = chgtools.check(tmp_path / "CHGCAR")
    assert "in order: no" in repr(report)
    assert "record-missing (dropped)" in repr(report)
    assert report.findings[0].effect.split("'")[0] in report._repr_html_()
    named = chgtools.as_structure(feo()).with_changes(source="<b>&")
    assert "&lt;b&gt;&amp;" in named._repr_html_()


def test_the_top_of_the_package():
    assert chgtools.__version__ == version("chgtools")
    assert set(chgtools.__all__) == set(dir(chgtools))
    for name in chgtools.__all__:
        assert getattr(chgtools, name) is not None
    assert (Path(chgtools.__file__).parent / "py.typed").is_file()


PUBLIC = ["as_structure", "compare", "difference_density", "fft_grid", "from_pymatgen", "predict", "predict_many",
          "read", "resample", "saed", "write", "plot"]  # fmt: skip


def test_signatures_name_types():
    """A bare Any tells nobody anything; Any within a type, such as a dict's values, may be meant."""
    functions = [getattr(chgtools, name) for name in PUBLIC]
    functions += [VolumetricData.to_pymatgen, chgtools.Structure.to_pymatgen, chgtools.Prediction.write]
    functions += [chgtools.DifferenceDensity.to_pymatgen, chgtools.Prediction.to_pymatgen]
    for function in functions:
        signature = inspect.signature(function)
        kinds = [p.annotation for name, p in signature.parameters.items() if name != "self"]
        for annotation in [*kinds, signature.return_annotation]:
            assert annotation not in (inspect.Signature.empty, "Any"), (function, signature)


# Many structures


def test_predict_many_has_the_options_of_predict():
    assert set(PredictOptions.__annotations__) == set(inspect.signature(chgtools.predict).parameters) - {"structure"}


def test_a_list_of_objects_has_each_its_own_moments():
    structures = [ase_feo(magmoms=[moment, 0]) for moment in (1.0, -3.0)] + [ase_feo()]
    found = list(chgtools.predict_many(structures, model="none", grid=SMALL, incar={"ENCUT": 300}))
    assert [each.data.integral(1) for each in found[:2]] == pytest.approx([1, -3])
    assert len(found[2].data.blocks) == 1


def test_a_trajectory_is_gone_through_as_it_is_asked_for(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    frames = [ase_feo() for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.set_cell(frame.cell * (1 + 0.1 * number), scale_atoms=True)
    for name in ("md.extxyz", "md.traj", "XDATCAR"):
        ase_io.write(tmp_path / name, frames, format="vasp-xdatcar" if name == "XDATCAR" else None)
        volumes = [each.structure.volume for each in chgtools.predict_many(tmp_path / name, model="none", grid=SMALL)]
        assert volumes == pytest.approx([frame.get_volume() for frame in frames], rel=1e-6)
    assert len(list(chgtools.predict_many(str(tmp_path / "md.traj:2"), model="none", grid=SMALL))) == 1
    text = (tmp_path / "XDATCAR").read_text().splitlines(keepends=True)
    (tmp_path / "XDATCAR").write_text("".join(text[:-1]))
    going = chgtools.predict_many(tmp_path / "XDATCAR", model="none", grid=SMALL)
    assert [next(going).structure.n_atoms for _ in range(2)] == [2, 2]
    with pytest.raises(FormatError):
        next(going)


def test_what_is_wrong_with_one_says_which_and_with_the_tags_at_once():
    going = chgtools.predict_many([feo(), "/nowhere/POSCAR"], model="none", grid=SMALL)
    assert next(going).structure.formula == "Fe1O1"
    with pytest.raises(ChgtoolsError) as caught:
        next(going)
    assert caught.value.__notes__ == ["(structure 2 of predict_many)"]
    with pytest.raises(SettingsError, match="EN CUT"):
        chgtools.predict_many([], incar={"EN CUT": 1})


def test_what_structures_share_is_read_once(tmp_path, monkeypatch):
    DensityLibrary([atom("Fe_pv", 14), atom("O", 6)]).write(tmp_path / "some.h5")
    opened = []
    real = DensityLibrary.open.__func__
    monkeypatch.setattr(
        DensityLibrary, "open", classmethod(lambda cls, *a, **k: opened.append(a) or real(cls, *a, **k))
    )
    choice._open.cache_clear()
    source = chgtools.Source(library=str(tmp_path / "some.h5"))
    found = list(chgtools.predict_many([feo()] * 4, model="none", grid=SMALL, source=source))
    assert len(opened) == 1
    densities = {id(each.settings.choice.densities[0]) for each in found}
    assert len(densities) == 1  # and so its spline
    DensityLibrary([atom("O", 6)]).write(tmp_path / "some.h5")  # another file by the same name is read anew
    with pytest.raises(MissingDensityError):
        made(feo(), source=source)


# pymatgen's input sets


@pytest.fixture
def potentials(tmp_path, monkeypatch):
    for functional in ("POT_GGA_PAW_PBE", "POT_GGA_PAW_PBE_54"):
        for label, zval in (("Si", 4), ("O", 6)):
            (tmp_path / "psp" / functional / label).mkdir(parents=True)
            write_synthetic_potcar(tmp_path / "psp" / functional / label / "POTCAR", [(label, zval, (0, 0, 1, 1))])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "psp"))


@pytest.fixture
def input_set():
    from pymatgen.io.vasp.sets import MPStaticSet

    structure = Structure(Lattice.cubic(3.6), ["O", "Si", "O"], [[0, 0, 0], [0.5] * 3, [0, 0.5, 0.5]])
    settings = {"ENCUT": 150, "MAGMOM": None, "ISPIN": 1, "LMAXMIX": 4}
    return MPStaticSet(structure, user_incar_settings=settings)


@pytest.mark.filterwarnings("ignore")  # pymatgen does not know the invented POTCARs
@pytest.mark.parametrize("icharg", [1, 11])
def test_an_input_set_with_its_density(tmp_path, potentials, input_set, icharg):
    from chgtools.integrations.pymatgen import PredictedDensitySet

    made_set = PredictedDensitySet(input_set, icharg=icharg, model="none")
    assert made_set.get_input_set()["INCAR"]["ICHARG"] == icharg
    start = made_set.write_input(tmp_path / "run")
    assert (start.findings, start.not_ready) == ((), ())
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"INCAR", "KPOINTS", "POSCAR", "POTCAR", "CHGCAR"} <= names
    report = chgtools.check(tmp_path / "run" / "CHGCAR")
    assert (report.ok, report.facts["electrons"]) == (True, pytest.approx(16))
    assert chgtools.read(tmp_path / "run" / "CHGCAR").structure.species == ("Si", "O")  # pymatgen sorts them
    assert "ICHARG" not in input_set.user_incar_settings
    assert input_set.incar.get("ICHARG") != 11


@pytest.mark.filterwarnings("ignore")
def test_an_input_set_without_a_density_has_no_chgcar(tmp_path, potentials, input_set, monkeypatch):
    from chgtools.integrations import pymatgen as ours

    with pytest.raises(SettingsError, match="found icharg = 2; wanted 1 or 11"):
        ours.PredictedDensitySet(input_set, icharg=2)
    made_set = ours.PredictedDensitySet(input_set, icharg=11, model="none")
    (tmp_path / "run").mkdir()
    made_set.get_input_set().write_input(tmp_path / "run")
    (tmp_path / "run" / "POTCAR").unlink()
    with pytest.raises(ChgtoolsError, match="record-missing"):
        ours.write_charge(tmp_path / "run", "none")
    assert not (tmp_path / "run" / "CHGCAR").exists()
