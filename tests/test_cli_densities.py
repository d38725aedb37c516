"""``chgtools densities``."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_potcar import form_factor, write_synthetic_potcar

from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.formats import chgcar
from chgtools.libraries.library import DensityLibrary
from chgtools.paw.records import occupancies_of_record
from chgtools.volumetric import Augmentation, VolumetricData

SETS = [("Fe_pv", 14, (1, 1, 2, 2, 0, 0)), ("O", 6, (0, 0, 1, 1))]
TABLE = """# chgtools atomic density
# label = C_x
# zval = 4
# columns = q f
# units = angstrom
"""


@pytest.fixture
def run():
    def call(*arguments):
        return CliRunner().invoke(main, ["densities", *map(str, arguments)])

    return call


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "lib.h5"
    DensityLibrary.from_potcar(write_synthetic_potcar(tmp_path / "POTCAR", SETS)).write(path)
    return path


@pytest.fixture
def table(tmp_path):
    q = 0.05 * np.arange(800)
    path = tmp_path / "C.dat"
    path.write_text(TABLE + "".join(f"{a:.4f} {b:.10e}\n" for a, b in zip(q, form_factor(4, q), strict=True)))
    return path


def test_build_from_several_sources(run, tmp_path, table):
    tree = tmp_path / "tree"
    write_synthetic_potcar(tree / "Si" / "POTCAR.gz", [("Si", 4, (0, 0, 1, 1))])
    potcar = write_synthetic_potcar(tmp_path / "POTCAR", SETS)
    output = tmp_path / "new.h5"
    result = run("build", "-o", output, "--potcar", potcar, "--potcar", tree, "--table", table)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{output}: 4 densities: C_x, Fe_pv, O, Si\n"
    assert set(DensityLibrary.open(output)) == {"C_x", "Fe_pv", "O", "Si"}


def test_build_prints_json(run, tmp_path, table):
    result = run("build", "--output", tmp_path / "new.h5", "--table", table, "--json")
    assert json.loads(result.stdout) == {"file": str(tmp_path / "new.h5"), "labels": ["C_x"]}


def test_build_replaces_only_by_force(run, library, table):
    before = library.read_bytes()
    result = run("build", "-o", library, "--table", table)
    assert result.exit_code == 2
    assert "exists; give --force" in result.stderr
    assert library.read_bytes() == before
    assert run("build", "-o", library, "--table", table, "--force").exit_code == 0
    assert list(DensityLibrary.open(library)) == ["C_x"]


def test_build_with_mean_occupancies(run, tmp_path):
    reference = tmp_path / "run" / "CHGCAR"
    reference.parent.mkdir()
    records = [np.random.default_rng(n).normal(size=n) for n in (138, 33, 33)]
    atoms = Structure(4 * np.eye(3), ("Fe", "O"), (1, 2), np.arange(9).reshape(3, 3) / 9)
    chgcar.write(VolumetricData("CHGCAR", atoms, [np.ones((2, 2, 2), order="F")], [Augmentation(records)]), reference)
    potcar, output = write_synthetic_potcar(tmp_path / "POTCAR", SETS), tmp_path / "new.h5"
    result = run("build", "-o", output, "--potcar", potcar, "--occupancies-from", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        f"{output}: 2 densities: Fe_pv, O",
        "mean occupancies: Fe_pv (1 atom), O (2 atoms)",
    ]
    mean = DensityLibrary.open(output)["Fe_pv"].mean_occupancies
    np.testing.assert_allclose(mean, occupancies_of_record((1, 1, 2, 2, 0, 0), records[0]), rtol=1e-6)
    shown = run("show", "O", output).stdout
    assert "s s p p (with atomic occupancies, with mean occupancies of reference CHGCARs)" in shown
    assert "mean_atoms           2\n" in shown
    assert json.loads(run("list", output, "--json").stdout)[0]["has_mean_occupancies"] is True
    again = run("build", "-o", output, "--potcar", potcar, "--occupancies-from", reference, "--json", "--force")
    assert json.loads(again.stdout)["mean_occupancies_atoms"] == {"Fe_pv": 1, "O": 2}


def test_build_refuses_references_that_do_not_fit(run, tmp_path):
    reference, output = tmp_path / "CHGCAR", tmp_path / "new.h5"
    potcar = write_synthetic_potcar(tmp_path / "sets" / "POTCAR", SETS)
    atoms = Structure(4 * np.eye(3), ("O",), (1,), np.zeros((1, 3)))
    chgcar.write(
        VolumetricData("CHGCAR", atoms, [np.ones((2, 2, 2), order="F")], [Augmentation([np.ones(15)])]), reference
    )
    result = run("build", "-o", output, "--potcar", potcar, "--occupancies-from", reference)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: {reference}: no entry of the library for O has channels for the 15 numbers in the records of O; "
        "put the POTCAR of its run beside it\n"
    )
    assert not output.exists()
    result = run("build", "-o", output, "--potcar", potcar, "--occupancies-from", tmp_path / "gone")
    assert result.exit_code == 1
    assert "gone" in result.stderr


def test_build_without_source_is_wrong_usage(run, tmp_path):
    result = run("build", "-o", tmp_path / "new.h5")
    assert result.exit_code == 2
    assert "give --potcar, --upf or --table" in result.stderr


def test_build_words_bad_input_in_one_sentence(run, tmp_path):
    bad = tmp_path / "POSCAR"
    bad.write_text("Si\n1.0\n")
    result = run("build", "-o", tmp_path / "new.h5", "--potcar", bad)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {bad}:1: is no POTCAR")
    assert not (tmp_path / "new.h5").exists()


def test_build_refuses_an_empty_upf_folder(run, tmp_path):
    result = run("build", "-o", tmp_path / "new.h5", "--upf", tmp_path)
    assert result.exit_code == 1
    assert "has no UPF file" in result.stderr


def test_list(run, library):
    result = run("list", library)
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["label", "element", "ZVAL", "ENMAX/eV", "q_max", "Å⁻¹", "xc", "source"]
    assert rows[0].split() == "Fe_pv Fe 14 300.000 39.96 PBE POTCAR PAW_PBE Fe_pv 01Jan2000".split()
    assert len(rows) == 2


def test_list_as_json(run, library):
    first, second = json.loads(run("list", library, "--json").stdout)
    assert (first["label"], first["zval"], first["channels"]) == ("Fe_pv", 14, [1, 1, 2, 2, 0, 0])
    assert second["sha256"] == DensityLibrary.open(library)["O"].sha256


def test_list_builtin(run):
    assert len(run("list").stdout.splitlines()) == 420
    rows = json.loads(run("list", "builtin", "--xc", "LDA", "--json").stdout)
    assert {row["xc"] for row in rows} == {"LDA"}


def test_show(run, library):
    result = run("show", "Fe_pv", library)
    assert result.exit_code == 0
    lines = dict(line.split(None, 1) for line in result.stdout.splitlines())
    assert lines["Fe_pv:"] == "POTCAR PAW_PBE Fe_pv 01Jan2000"
    assert lines["ZVAL"] == "14 electrons"
    assert lines["channels"] == "p p d d s s (with atomic occupancies)"
    # a Gaussian of width 0.6 Å holds half of its electrons within 0.6 · 1.5382 Å
    assert lines["radius"].startswith("50 % in 0.93 Å, ")


def test_show_as_json_has_the_table(run, library):
    facts = json.loads(run("show", "O", library, "--json").stdout)
    np.testing.assert_allclose(facts["form"], form_factor(6, np.array(facts["q"])), rtol=1e-8, atol=1e-12)
    assert facts["radius_of_share"]["0.5"] == pytest.approx(0.93)


def test_show_builtin_by_functional(run):
    pbe, lda = (json.loads(run("show", "Si", "--json", *xc).stdout) for xc in ((), ("--xc", "LDA")))
    assert (pbe["xc"], lda["xc"]) == ("PBE", "LDA")
    assert pbe["sha256"] != lda["sha256"]


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_show_draws_a_picture(run, library, tmp_path, suffix):
    picture = tmp_path / f"Fe{suffix}"
    result = run("show", "Fe_pv", library, "-o", picture)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(picture)
    assert picture.read_bytes()[:4] in (b"\x89PNG", b"%PDF")
    assert run("show", "Fe_pv", library, "-o", picture).exit_code == 2
    assert run("show", "Fe_pv", library, "-o", picture, "--force").exit_code == 0


def test_show_draws_what_it_says(tmp_path, monkeypatch, library):
    """The curves of the picture: 4πr² n(r) integrates to the electrons within the axis, f(0) is ZVAL."""
    from contextlib import contextmanager

    from matplotlib.figure import Figure

    from chgtools.pictures import atomic_density as density_picture

    figure = Figure()

    @contextmanager
    def kept(path, width, depth):
        yield figure

    monkeypatch.setattr(density_picture, "picture", kept)
    density = DensityLibrary.open(library)["O"]
    density_picture.draw_density(density, tmp_path / "O.png")
    left, right = figure.axes
    r, shell = left.lines[0].get_data()
    assert np.trapezoid(shell, r) == pytest.approx(float(density.electrons_within(r[-1])), abs=1e-4)
    assert np.trapezoid(shell, r) > 0.999 * 6
    assert right.lines[0].get_data()[1][0] == 6


def test_show_unknown_label(run, library):
    result = run("show", "Fe", library)
    assert result.exit_code == 1
    assert result.stderr == f"Error: no density for 'Fe' in {library}; of Fe there is Fe_pv\n"


def test_show_refuses_other_pictures(run, library, tmp_path):
    result = run("show", "O", library, "-o", tmp_path / "O.bmp")
    assert result.exit_code == 1
    assert ".png, .pdf, .svg" in result.stderr


def test_in_a_process_of_its_own(library):
    command = [sys.executable, "-c", "from chgtools.cli import main; main()", "densities", "show", "O_h", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: no density for 'O_h' in {library}; of O there is O\n"
