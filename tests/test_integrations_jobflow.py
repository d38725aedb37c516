"""An atomate2 job from a predicted density, run by jobflow with a stand-in VASP; no database.

What VASP writes is not read back: atomate2's reading of its outputs is left out, the rest is atomate2's.
"""

from __future__ import annotations

import json
import sys

import pytest
from synthetic_potcar import write_synthetic_potcar

pytest.importorskip("atomate2")
pytest.importorskip("jobflow")

import atomate2.vasp.jobs.base as atomate2_base
from atomate2.vasp.jobs.core import StaticMaker
from atomate2.vasp.sets.core import StaticSetGenerator
from custodian.custodian import Validator
from emmet.core.tasks import TaskDoc
from emmet.core.types.enums import TaskState
from jobflow import run_locally
from pymatgen.core import SETTINGS, Lattice, Structure

from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar
from chgtools.formats.incar import parse_incar
from chgtools.integrations.jobflow import PredictedDensityMaker

VASP = """
import hashlib, json, pathlib, sys, time
charge = pathlib.Path("CHGCAR")
record = {"incar": pathlib.Path("INCAR").read_text(), "charge": charge.is_file()}
pathlib.Path("given.json").write_text(json.dumps(record))
print(sys.argv[1].replace(";", chr(10)), flush=True)
time.sleep(float(sys.argv[2]))
"""
READ = "charge-density read from file: Si;entering main loop"
NOT_READ = "WARNING: dimensions on CHGCAR file are different;charge density of overlapping atoms calculated"


@pytest.fixture
def silicon():
    return Structure(
        Lattice.cubic(5.431).matrix / 2 @ [[0, 1, 1], [1, 0, 1], [1, 1, 0]], ["Si", "Si"], [[0] * 3, [0.25] * 3]
    )


@pytest.fixture
def run(tmp_path, monkeypatch, silicon):
    """Run a maker on silicon; returns what VASP was given, or None where the job failed."""
    (tmp_path / "vasp.py").write_text(VASP)
    monkeypatch.setattr(
        atomate2_base, "get_vasp_task_document", lambda *_, **__: TaskDoc.model_construct(state=TaskState.SUCCESS)
    )
    psp = tmp_path / "psp"
    for functional in ("POT_GGA_PAW_PBE", "POT_GGA_PAW_PBE_54", "POT_GGA_PAW_PBE_64"):
        (psp / functional / "Si").mkdir(parents=True)
        write_synthetic_potcar(psp / functional / "Si" / "POTCAR", [("Si", 4, (0, 0, 1, 1))])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(psp))

    def start(says=READ, seconds=0.0, potcar_spec=False, **options):
        maker = PredictedDensityMaker(
            StaticMaker(
                input_set_generator=StaticSetGenerator(user_incar_settings={"ENCUT": 150, "ISPIN": 1, "MAGMOM": None}),
                write_input_set_kwargs={"potcar_spec": potcar_spec},
                run_vasp_kwargs={
                    "vasp_cmd": f"{sys.executable} {tmp_path / 'vasp.py'} '{says}' {seconds}",
                    "validators": [_Nothing()],
                    "handlers": [],
                    "custodian_kwargs": {"polling_time_step": 0.2, "monitor_freq": 1},
                },
            ),
            model="none",
            **options,
        )
        job = maker.make(silicon)
        responses = run_locally(job, root_dir=tmp_path / "work", create_folders=True, raise_immediately=False)
        folder = next((tmp_path / "work").glob("job_*"))
        start.folder, start.finished = folder, job.uuid in responses
        return json.loads((folder / "given.json").read_text()) if (folder / "given.json").is_file() else None

    (tmp_path / "work").mkdir()
    return start


class _Nothing(Validator):
    """atomate2 takes its own validators, which want VASP's outputs, where it gets none."""

    def check(self, directory="./"):
        return False


@pytest.mark.parametrize("icharg", [1, 11])
def test_vasp_gets_the_density_and_reads_it(run, icharg, silicon):
    given = run(icharg=icharg)
    assert run.finished
    assert given["charge"]
    assert parse_incar(given["incar"])["ICHARG"] == str(icharg)
    (made,) = run.folder.glob("CHGCAR*")  # atomate2 packs it
    data = chgcar.read(made)
    assert data.electrons == pytest.approx(8, rel=1e-9)
    assert data.augmentation[0].lengths == [33, 33]
    assert data.structure.volume == pytest.approx(silicon.volume, rel=1e-5)


def test_without_a_good_density_the_run_falls_back(run):
    """A POTCAR.spec alone gives no occupancies, so VASP would drop the file."""
    given = run(potcar_spec=True)
    assert run.finished
    assert not given["charge"]
    assert parse_incar(given["incar"]).get("ICHARG", "2") not in ("1", "11")


def test_a_fixed_density_does_not_fall_back(run):
    assert run(potcar_spec=True, icharg=11) is None
    assert not run.finished


def test_a_run_that_does_not_read_it_is_stopped(run):
    import time

    started = time.perf_counter()
    assert run(NOT_READ, seconds=120)["charge"]
    assert time.perf_counter() - started < 100
    assert not run.finished


def test_with_a_previous_run_the_maker_runs_as_it_is(silicon, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(StaticMaker.make, "original", lambda *arguments: seen.append(arguments), raising=True)
    maker = PredictedDensityMaker(StaticMaker())
    monkeypatch.chdir(tmp_path)
    PredictedDensityMaker.make.original(maker, silicon, "previous")
    ((used, structure, previous),) = seen
    assert (structure, previous) == (silicon, "previous")
    assert "ICHARG" not in used.input_set_generator.user_incar_settings
    assert not list(tmp_path.iterdir())


def test_the_maker_travels_as_json():
    from monty.json import MontyDecoder, MontyEncoder

    maker = PredictedDensityMaker(StaticMaker(), icharg=11, fall_back=False)
    again = MontyDecoder().decode(json.dumps(maker, cls=MontyEncoder))
    assert again.as_dict() == maker.as_dict()


def test_other_ichargs_are_refused():
    with pytest.raises(ValueError, match="found icharg = 2; wanted 1 or 11"):
        PredictedDensityMaker(icharg=2)


def test_no_density_is_one_sentence(silicon, tmp_path, monkeypatch):
    from chgtools.integrations.jobflow import write_density

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChgtoolsError, match="POTCAR"):
        write_density(silicon, StaticMaker(write_input_set_kwargs={"potcar_spec": True}), "none")
