"""custodian itself, running a stand-in VASP that prints what VASP prints of its CHGCAR."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

custodian = pytest.importorskip("custodian")

from custodian.custodian import Custodian, Job, NonRecoverableError, ValidationError  # noqa: E402

from chgtools.integrations.custodian import (  # noqa: E402
    DensityNotReadHandler,
    DensityReadValidator,
    density_not_read,
)

READ = "charge-density read from file: Si\nentering main loop\nDAV:   1    -0.1E+02\n"
NOT_READ = " WARNING: dimensions on CHGCAR file are different\n charge density of overlapping atoms calculated\nentering main loop\n"
STOPPED = NOT_READ + " ERROR: charge density could not be read from file CHGCAR for ICHARG>10\n"
LONG, SHORT = 60.0, 0.0


class StandIn(Job):
    """Prints some lines into vasp.out and goes on for a while, once for each of its runs."""

    def __init__(self, texts, seconds):
        self.texts, self.seconds, self.runs = texts, seconds, 0

    def setup(self, directory="./"):
        pass

    def postprocess(self, directory="./"):
        pass

    def run(self, directory="./"):
        text = self.texts[min(self.runs, len(self.texts) - 1)]
        seconds = self.seconds if self.runs == 0 else 0
        self.runs += 1
        code = f"import time; print({text!r}, end='', flush=True); time.sleep({seconds})"
        with open(f"{directory}/vasp.out", "w") as out:
            return subprocess.Popen([sys.executable, "-c", code], stdout=out, cwd=directory)

    @property
    def name(self):
        return "stand-in"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "INCAR").write_text("ICHARG = 1\n")
    return tmp_path


def run(folder, texts, seconds, handlers=(), validators=()):
    """(seconds it took, runs of VASP) of a custodian job."""
    job = StandIn(texts, seconds)
    started = time.perf_counter()
    try:
        Custodian(
            list(handlers),
            [job],
            validators=list(validators),
            max_errors=3,
            polling_time_step=0.1,
            monitor_freq=1,
            directory=str(folder),
        ).run()
    finally:
        run.seconds, run.runs = time.perf_counter() - started, job.runs


def test_a_density_that_was_read_passes(folder):
    run(folder, [READ], 1.0, [DensityNotReadHandler()], [DensityReadValidator()])
    assert run.runs == 1
    assert density_not_read(folder) == ""


@pytest.mark.parametrize("text", [NOT_READ, STOPPED])
def test_a_running_job_is_stopped(folder, text):
    with pytest.raises(NonRecoverableError, match="DensityNotReadHandler"):
        run(folder, [text], LONG, [DensityNotReadHandler()])
    assert run.seconds < LONG / 2
    (entry,) = json.loads((folder / "custodian.json").read_text())
    (error,) = entry["corrections"][0]["errors"]
    assert "the grid of the file is not the run's" in error


def test_a_finished_job_fails_its_validation(folder):
    with pytest.raises(ValidationError, match="DensityReadValidator"):
        run(folder, [NOT_READ], SHORT, validators=[DensityReadValidator()])


def test_a_restart_from_atoms_when_wanted(folder):
    (folder / "INCAR").write_text("ICHARG = 1\nLMAXMIX = 4\n")
    run(
        folder,
        [NOT_READ, "entering main loop\n"],
        LONG,
        [DensityNotReadHandler(restart=True)],
        [DensityReadValidator()],
    )
    assert run.runs == 2
    assert run.seconds < LONG / 2
    from chgtools.formats.incar import read_incar

    assert {**read_incar(folder / "INCAR")} == {"ICHARG": "2", "LMAXMIX": "4"}


@pytest.mark.parametrize("incar", ["ICHARG = 2\n", "ENCUT = 300\n"])
def test_a_run_that_does_not_want_the_file_passes(folder, incar):
    (folder / "INCAR").write_text(incar)
    run(folder, ["entering main loop\n"], SHORT, [DensityNotReadHandler()], [DensityReadValidator()])


def test_what_cannot_be_told_passes(folder):
    run(folder, ["running on 4 cores\n"], SHORT, [DensityNotReadHandler()], [DensityReadValidator()])
    assert density_not_read(folder / "nowhere") == ""


def test_they_survive_the_log_of_custodian(folder):
    """Custodian keeps handlers as JSON and makes them again."""
    from monty.json import MontyDecoder, MontyEncoder

    for thing in (DensityNotReadHandler(restart=True), DensityReadValidator()):
        again = MontyDecoder().decode(json.dumps(thing, cls=MontyEncoder))
        assert type(again) is type(thing)
        assert getattr(again, "restart", True)
