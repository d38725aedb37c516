"""chgtools info, compare, convert and plot."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from fields import density, spin_density

from chgtools.cli import main
from chgtools.errors import AssumptionWarning
from chgtools.formats import chgcar, read


def call(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def spin(tmp_path):
    path = tmp_path / "CHGCAR"
    chgcar.write(spin_density(), path)
    return path


def test_info_json(spin):
    facts = json.loads(call("info", spin, "--json").stdout)
    wanted = {
        "kind": "CHGCAR",
        "grid": [6, 5, 8],
        "blocks": 2,
        "species": ["O", "Ti", "O"],
        "counts": [1, 1, 1],
        "augmentation_lengths": [8, 8, 8],
        "block_names": ["total", "magnetisation"],
    }
    assert {key: facts[key] for key in wanted} == wanted
    volume = 4.0 * 3.6 * 5.1
    assert facts["volume"] == pytest.approx(volume)
    assert facts["electrons"] == pytest.approx(volume)  # one electron/Å³ on average
    assert facts["mean"] == pytest.approx([1.0, 0.03])
    assert facts["minimum"][0] == pytest.approx(spin_density().total.min())


def test_info_of_a_potential_has_no_electrons(tmp_path):
    chgcar.write(density(kind="LOCPOT"), tmp_path / "LOCPOT")
    facts = json.loads(call("info", tmp_path / "LOCPOT", "--json").stdout)
    assert (facts["kind"], facts["electrons"], facts["augmentation_lengths"]) == ("LOCPOT", None, [])
    assert "electrons" not in call("info", tmp_path / "LOCPOT").stdout


def test_info_as_text(spin):
    lines = call("info", spin).stdout.splitlines()
    assert lines[0] == f"{spin}: CHGCAR"
    assert "grid           6 x 5 x 8" in lines
    assert "electrons      73.440000" in lines
    assert "augmentation   records of 8 (3) numbers" in lines
    assert lines[-1].split()[:2] == ["magnetisation", "0.03"]


@pytest.mark.parametrize(
    ("folder", "electrons", "lengths", "grid"),
    [
        ("GaN-pydefect-tutorial__Ga2N2-4_scf", 36, [138, 138, 33, 33], [32, 32, 56]),
        ("MatMethods__Si2-2", 8, [33, 33], [60, 60, 60]),
    ],
)
def test_info_of_real_files(folder, electrons, lengths, grid):
    facts = json.loads(call("info", shared_path("corpus", folder, "CHGCAR.gz"), "--json").stdout)
    assert facts["electrons"] == pytest.approx(electrons, abs=1e-5)
    assert facts["augmentation_lengths"] == lengths
    assert facts["grid"] == grid


def test_a_missing_file_is_bad_input(tmp_path):
    done = call("info", tmp_path / "CHGCAR")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {tmp_path / 'CHGCAR'}: no such file")


def test_compare(tmp_path):
    """A uniform shift by a tenth of the mean is 10 %, and has no Coulomb energy."""
    data = density((6, 6, 6))
    chgcar.write(data, tmp_path / "CHGCAR_b")
    data.blocks[0] = data.blocks[0] + 0.1
    chgcar.write(data, tmp_path / "CHGCAR_a")
    done = call("compare", tmp_path / "CHGCAR_a", tmp_path / "CHGCAR_b", "--json")
    facts = json.loads(done.stdout)
    assert sorted(facts) == [
        "coulomb_self_energy_mev_per_atom", "electrons_a", "electrons_b", "eps_mae_percent", "eps_rms_percent",
    ]  # fmt: skip
    assert facts["eps_mae_percent"] == pytest.approx(10, rel=1e-6)
    assert facts["electrons_a"] / facts["electrons_b"] == pytest.approx(1.1)
    assert facts["coulomb_self_energy_mev_per_atom"] == pytest.approx(0, abs=1e-6)
    text = call("compare", tmp_path / "CHGCAR_a", tmp_path / "CHGCAR_b").stdout
    assert "10.000000 %" in text
    assert "meV/atom" in text


@pytest.mark.parametrize("name", ["a.cube", "a.xsf.gz", "CHGCAR.bz2"])
def test_convert_there_and_back(tmp_path, name):
    source, target, back = tmp_path / "CHGCAR.first", tmp_path / name, tmp_path / "CHGCAR_back"
    chgcar.write(density(), source)
    assert call("convert", source, target).exit_code == 0
    done = call("convert", target, back)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{back}: total on 6 x 5 x 8 points\n"
    np.testing.assert_allclose(read(back).total, read(source).total, rtol=2e-7)
    assert read(back).structure.formula == "O1Ti1O1"


def test_convert_to_gz_keeps_every_byte(spin, tmp_path):
    assert call("convert", spin, tmp_path / "CHGCAR.gz").stderr == ""
    assert gzip.decompress((tmp_path / "CHGCAR.gz").read_bytes()) == spin.read_bytes()


def test_convert_names_what_is_left_out(spin, tmp_path):
    done = call("convert", spin, tmp_path / "a.cube")
    assert "left out: magnetisation (see --block)" in done.stderr
    assert "augmentation occupancies are left out" in done.stderr
    done = call("convert", spin, tmp_path / "CHG")
    assert "written as CHG" in done.stderr
    assert "five digits" in done.stderr
    assert "no augmentation occupancies" in done.stderr


@pytest.mark.parametrize("block", ["magnetisation", "2"])
def test_convert_one_block(spin, tmp_path, block):
    done = call("convert", spin, tmp_path / "m.cube", "--block", block)
    assert done.stdout.endswith("m.cube: magnetisation on 6 x 5 x 8 points\n")
    with pytest.warns(AssumptionWarning, match="only the block magnetisation"):
        np.testing.assert_allclose(read(tmp_path / "m.cube").total, spin_density().blocks[1], atol=1e-7)


def test_cube_to_chgcar_says_that_occupancies_are_missing(tmp_path):
    chgcar.write(density(), tmp_path / "CHGCAR")
    call("convert", tmp_path / "CHGCAR", tmp_path / "a.cube")
    done = call("convert", tmp_path / "a.cube", tmp_path / "CHGCAR.new")
    assert "ICHARG = 11" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.cube", "--block", "mz"), r"no block 'mz'; the file has total (1), magnetisation (2)"),
        (("a.cube", "--block", "3"), r"no block '3'"),
        (("CHGCAR.gz", "--block", "total"), "--block goes with a cube or XSF file"),
        (("CHGCAR",), "exists; give --force"),
    ],
)
def test_convert_wrong_usage(spin, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = call("convert", "CHGCAR", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_convert_refuses_a_potential_as_a_density(tmp_path):
    chgcar.write(density(kind="LOCPOT"), tmp_path / "LOCPOT")
    done = call("convert", tmp_path / "LOCPOT", tmp_path / "CHGCAR")
    assert done.exit_code == 1
    assert "a LOCPOT cannot be written as CHGCAR" in done.stderr
    assert not (tmp_path / "CHGCAR").exists()


@pytest.mark.parametrize(
    "options",
    [
        (), ("--plane", "a@0.25"), ("--miller", "1", "-1", "0"), ("--atoms", "1", "2", "3", "--offset", "-0.5"),
        ("--average", "c"), ("--block", "magnetisation", "--range", "-0.1", "0.1"), ("--log", "--contours"),
        ("--isosurface", "--iso", "1.3", "--repeat", "2", "1", "1", "--along", "1", "1", "0"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_plot(spin, tmp_path, options):
    done = call("plot", spin, "-o", tmp_path / "a.png", *options)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'a.png'}\n")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plane", "d@0.5"), "found 'd@0.5'; wanted an axis"),
        (("--plane", "c@0.5", "--miller", "1", "0", "0"), "found --plane and --miller"),
        (("--average", "c", "--log"), "--log goes with a plane, not with --average"),
        (("--plane", "c@0.5", "--isosurface"), "found --plane and --isosurface"),
        (("--iso", "0.1"), "--iso goes with --isosurface, not with --plane"),
        (("--isosurface", "--contours"), "--contours goes with a plane, not with --isosurface"),
        (("CHGCAR",), "found 2 files; several in one picture go with --average alone"),
    ],
)
def test_plot_wrong_usage(spin, tmp_path, options, message):
    done = call("plot", spin, "-o", tmp_path / "a.png", *options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_plot_of_several_files_of_their_difference_and_of_a_page(spin, tmp_path):
    second = tmp_path / "other" / "CHGCAR"
    second.parent.mkdir()
    second.write_bytes(spin.read_bytes())
    assert call("plot", spin, second, "--average", "c", "-o", tmp_path / "a.svg").exit_code == 0
    assert "<!-- other/CHGCAR -->" in (tmp_path / "a.svg").read_text()
    nothing = call("plot", spin, "--minus", second, "--isosurface", "-o", tmp_path / "b.png")
    assert (nothing.exit_code, "zero everywhere" in nothing.stderr) == (1, True)
    page = call("plot", spin, "--isosurface", "-o", tmp_path / "c.html")
    assert (page.exit_code, page.stderr[:16]) == (0, "note: isovalue 1")
    plane = call("plot", spin, "-o", tmp_path / "d.html")
    assert (plane.exit_code, ".html goes with --isosurface" in plane.stderr) == (1, True)


def test_plot_does_not_replace_a_picture_unless_told(spin, tmp_path):
    (tmp_path / "a.png").write_text("mine")
    assert call("plot", spin, "-o", tmp_path / "a.png").exit_code == 2
    assert (tmp_path / "a.png").read_text() == "mine"
    assert call("plot", spin, "-o", tmp_path / "a.png", "--force").exit_code == 0


def test_info_of_a_difference_density(tmp_path):
    root = Path(__file__).resolve().parents[1]
    call("make-dcd", root / "examples" / "si" / "CHGCAR", "-o", tmp_path / "si.h5")
    facts = json.loads(call("info", tmp_path / "si.h5", "--json").stdout)
    assert (facts["kind"], facts["grid"], facts["block_names"]) == ("DCD", [32, 32, 32], ["difference"])
    assert facts["electrons"] == pytest.approx(8, abs=1e-6)
    assert abs(facts["mean"][0]) < 1e-9
    assert 0.1 < facts["maximum"][0] < 0.3  # the bonds
