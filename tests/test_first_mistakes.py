"""What people type first and wrong: a folder for a file, two files in the other order."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from made_models import cell
from synthetic_chgcar import charge

import chgtools
from chgtools.cli import main
from chgtools.errors import FormatError
from chgtools.formats import chgcar, poscar

GRID = ("--ngf", "24", "24", "30")


def call(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    poscar.write(cell(), tmp_path / "run" / "POSCAR")
    return tmp_path / "run"


@pytest.mark.parametrize("command", [("predict", "--model", "none"), ("saed",)])
def test_a_run_folder_means_its_poscar(command, run, tmp_path):
    (run / "INCAR").write_text("ISPIN = 2\n")
    for start, output in ((run, "a"), (run / "POSCAR", "b")):
        result = call(command[0], start, "-o", tmp_path / output, *command[1:], *GRID)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(chgtools.predict(run, model="none", grid=chgtools.GridOptions(ngf=(24, 24, 30))).data.blocks) == 2


def test_a_folder_without_a_poscar(run):
    (run / "POSCAR").unlink()
    result = call("predict", run, "-o", run / "CHGCAR")
    assert result.exit_code == 1
    assert f"{run}: is a folder without a POSCAR" in result.output
    with pytest.raises(FormatError, match="is a folder without a POSCAR"):
        chgtools.saed(run)


def test_an_output_that_is_a_folder_does_not_ask_for_force(run):
    result = call("predict", run / "POSCAR", "-o", run, "--model", "none")
    assert result.exit_code == 2
    assert f"{run} is a folder; name the file to write in it, such as {run / 'CHGCAR'}" in " ".join(
        result.output.split()
    )
    assert "--force" not in result.output


def test_poscar_and_chgcar_in_the_other_order(tmp_path):
    chgcar.write(charge(), tmp_path / "CHGCAR", kind="CHGCAR")
    poscar.write(charge().structure, tmp_path / "POSCAR")
    result = call("make-dcd", tmp_path / "POSCAR", tmp_path / "CHGCAR")
    assert result.exit_code == 1
    assert f"give {tmp_path / 'CHGCAR'} first" in " ".join(result.output.split())
    result = call("make-dcd", tmp_path / "POSCAR", tmp_path / "POSCAR", tmp_path / "CHGCAR")
    assert "first" not in result.output
