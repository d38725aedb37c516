"""Predict, write and check as one operation: the command, the batch and the jobflow maker say and do the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_chgcar import structure
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.batch import Batch, BatchOptions
from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar, poscar
from chgtools.libraries.choice import Source
from chgtools.libraries.library import DensityLibrary
from chgtools.run.grid import GridOptions
from chgtools.start import writing
from chgtools.start.writing import FaultError, StartOptions, write_start

GRID = GridOptions(ngf=(12, 10, 16))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with a POSCAR and an INCAR that keeps the density fixed."""
    monkeypatch.chdir(tmp_path)
    poscar.write(structure(), Path("POSCAR"))
    Path("INCAR").write_text("ICHARG = 11\nENCUT = 200\nLMAXMIX = 4\n")
    Path("list").write_text(".\n")
    return tmp_path


def with_potcar():
    write_synthetic_potcar(Path("POTCAR"), [("Si", 4, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])


def damaged(monkeypatch):
    """A writer that drops a record: what no prediction may do."""
    real = chgcar.write

    def write(data, path, **options):
        real(data, path, **options)
        lines = Path(path).read_text().splitlines(keepends=True)
        start = next(i for i, line in enumerate(lines) if line.startswith("augmentation"))
        Path(path).write_text("".join(lines[:start]))

    monkeypatch.setattr(writing.chgcar, "write", write)


def test_a_file_of_a_run_with_a_potcar_is_ready(run):
    with_potcar()
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none"))
    assert (start.path, start.findings, start.not_ready) == (Path("CHGCAR"), (), ())
    assert start.facts()["ready_for_icharg_11"] is True
    assert chgcar.read("CHGCAR").electrons == pytest.approx(14, rel=1e-9)


def test_without_a_potcar_all_three_say_not_ready_and_none_fails(run):
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none"))
    assert [finding.code for finding in start.findings] == ["record-missing"]
    assert len(start.not_ready) == 1
    Path("CHGCAR").unlink()
    command = CliRunner().invoke(main, ["predict", "POSCAR", "-o", "CHGCAR", "--model", "none"])
    assert command.exit_code == 0
    assert "ready for ICHARG = 11: no" in command.stdout
    assert "not ready for ICHARG = 11" in command.stderr
    Path("CHGCAR").unlink()
    (outcome,) = Batch(Path("list"), BatchOptions(model="none")).run()
    assert (outcome.status, outcome.record["ready_for_icharg_11"]) == ("done", False)
    assert outcome.record["not_ready"] == list(start.not_ready)


def test_an_incar_that_reads_no_file_is_said_and_speaks_not_against_it(run):
    with_potcar()
    Path("INCAR").write_text("ENCUT = 200\n")
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none"))
    assert [finding.code for finding in start.findings] == ["icharg"]
    assert start.not_ready == ()


@pytest.mark.parametrize(("text", "ready"), [("", False), ("LMAXMIX = 2\n", False), ("LMAXMIX = 4\n", True)])
@pytest.mark.parametrize("icharg", ["", "ICHARG = 1\n", "ICHARG = 11\n"])
def test_an_lmaxmix_that_icharg_11_would_not_do_with_is_said_whatever_icharg_is(run, text, ready, icharg):
    """Iron's d channels want LMAXMIX = 4 where the density is kept; the file is written before ICHARG is set."""
    iron = Structure(structure().lattice, ("Fe",), (1,), np.zeros((1, 3)))
    poscar.write(iron, Path("POSCAR"))
    write_synthetic_potcar(Path("POTCAR"), [("Fe", 8, (0, 0, 1, 1, 2, 2))])
    Path("INCAR").write_text(f"ENCUT = 200\n{icharg}{text}")
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none"))
    assert [sentence.startswith("LMAXMIX = 2,") for sentence in start.not_ready] == ([] if ready else [True])


def test_a_grid_that_was_asked_for_is_no_fault_but_not_ready(run):
    with_potcar()
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none", grid=GRID))
    assert [finding.code for finding in start.findings] == ["grid"]
    assert "12 x 10 x 16" in start.not_ready[0]


def test_atoms_of_a_library_that_are_not_the_potcars_are_no_fault(run):
    """The library's silicon has other channels and fewer electrons than the POTCAR that VASP will read."""
    with_potcar()
    DensityLibrary.from_potcar("POTCAR").write("lib.h5")
    write_synthetic_potcar(Path("POTCAR"), [("Si", 12, (0, 0, 1, 1, 2)), ("O", 6, (0, 0, 1, 1))])
    start = write_start("POSCAR", "CHGCAR", StartOptions(model="none", source=Source(library=Path("lib.h5"))))
    assert sorted(finding.code for finding in start.findings) == ["electrons", "record-length"]
    assert len(start.not_ready) == 2


def test_a_fault_of_our_own_leaves_what_was_there(run, monkeypatch):
    with_potcar()
    Path("CHGCAR").write_text("older")
    damaged(monkeypatch)
    with pytest.raises(FaultError, match=r"^CHGCAR: chgtools made a file .* please report this: .*\[record-missing\]"):
        write_start("POSCAR", "CHGCAR", StartOptions(model="none"))
    assert Path("CHGCAR").read_text() == "older"
    assert sorted(path.name for path in run.iterdir()) == ["CHGCAR", "INCAR", "POSCAR", "POTCAR", "list"]


def test_a_fault_fails_in_the_command_and_in_the_batch(run, monkeypatch):
    with_potcar()
    damaged(monkeypatch)
    command = CliRunner().invoke(main, ["predict", "POSCAR", "-o", "CHGCAR", "--model", "none"])
    assert command.exit_code == 1
    assert "chgtools made a file that its own check refuses" in command.stderr
    (outcome,) = Batch(Path("list"), BatchOptions(model="none")).run()
    assert outcome.status == "failed"
    assert "please report this" in outcome.error
    assert not Path("CHGCAR").exists()


def test_a_fault_fails_in_the_maker(run, monkeypatch):
    jobflow = pytest.importorskip("chgtools.integrations.jobflow")
    with_potcar()
    damaged(monkeypatch)
    monkeypatch.setattr(jobflow, "write_vasp_input_set", lambda *arguments, **options: None)
    with pytest.raises(ChgtoolsError, match="please report this"):
        jobflow.write_density(structure().to_pymatgen(), jobflow.StaticMaker(), "none")
    assert not Path("CHGCAR").exists()


def test_structures_in_memory_and_compressed_files(run):
    start = write_start(structure().to_pymatgen(), "made.CHGCAR.gz", StartOptions(model="none", grid=GRID))
    assert start.path == Path("made.CHGCAR.gz")
    data = chgcar.read("made.CHGCAR.gz", kind="CHGCAR")
    np.testing.assert_allclose(data.total, chgtools.saed(structure(), data.shape), rtol=1e-9, atol=1e-10)


def test_messages_name_the_file_that_was_asked_for(run):
    command = CliRunner().invoke(
        main, ["predict", "POSCAR", "-o", "CHGCAR", "--model", "none", "--ngf", "12", "10", "16", "--json"]
    )
    assert command.exit_code == 0, command.output
    places = [finding["place"] for finding in json.loads(command.stdout)["check"]]
    assert places
    assert all(place.startswith("CHGCAR:") for place in places if not place.startswith("INCAR"))
