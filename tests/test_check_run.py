"""`check --run`: what VASP printed on the density (VASP wiki, Terminal output; user logs), in whole and half runs."""

from __future__ import annotations

import gzip
import os

import pytest

from chgtools.check import check_run
from chgtools.errors import ChgtoolsError

HEAD = """ running    4 mpi-ranks, with    1 threads/rank, on    1 nodes
 vasp.6.4.3 19Mar24 (build Sep 03 2024 17:30:01) complex
 POSCAR found :  1 types and       2 ions
 FFT: planning ... GRIDC
"""
READ = " charge-density read from file: Si                                      \n"
MAGNETISATION = " magnetization density read from file 1\n"
OF_MAGMOM = " magnetization density of overlapping atoms calculated\n"
LOOP = """ entering main loop
       N       E                     dE             d eps       ncg     rms          rms(c)
DAV:   1     0.271018437080E+02    0.27102E+02   -0.13464E+03  2304   0.295E+02
"""
CORRUPT = " RD_RHO_PAW: ion          10 data corrupt\n WARNING: PAW occupancies are missing on CHGCAR\n"
STOPPED = " ERROR: charge density could not be read from file CHGCAR for ICHARG>10\n" * 4
DIFFERENT = " WARNING: dimensions on CHGCAR file are different\n"
INCOMPLETE = " WARNING: chargedensity file is incomplete\n"
OUTCAR = """ vasp.6.4.3 19Mar24
   ICHARG =  {icharg:>6}    charge: 1-file 2-atom 10-const
"""
OF_ATOMS = " initial charge density was supplied:\n charge density of overlapping atoms calculated\n"
ITERATION = "--------------------------------------- Iteration    1(   1)  -----------------------------------\n"

# name: (stdout or None, OUTCAR or None, read, part of the reason, codes)
RUNS = {
    "read": (HEAD + READ + LOOP, None, True, "VASP read the density (", ()),
    "read, running still": (HEAD + READ, None, True, "vasp.out:5: 'charge-density read from file: Si'", ()),
    "read with magnetisation": (HEAD + READ + MAGNETISATION + LOOP, None, True, "with its magnetisation", ()),
    "magnetisation of MAGMOM": (HEAD + READ + OF_MAGMOM + LOOP, None, True, "read the density", ("run-magnetisation",)),
    "begun": (HEAD, OUTCAR.format(icharg=11), None, "has not come so far", ()),
    "begun, only OUTCAR": (None, OUTCAR.format(icharg=1), None, "has not come so far", ()),
    "nothing yet": (None, None, None, "no output that tells of the density yet", ()),
    "empty": ("", "", None, "has not come so far", ()),
    "refused": (HEAD + INCOMPLETE + STOPPED, None, False, "too few numbers", ("run-density",)),
    "another grid": (HEAD + DIFFERENT + LOOP, None, False, "the grid of the file is not the run's", ("run-density",)),
    "another grid, fixed": (HEAD + DIFFERENT + STOPPED, None, False, "dimensions on CHGCAR", ("run-density",)),
    "no file": (HEAD + STOPPED, None, False, "could not be read, and VASP stopped", ("run-density",)),
    "dropped": (
        HEAD + CORRUPT + LOOP, OUTCAR.format(icharg=1) + OF_ATOMS + ITERATION, False, "after it found the occupancies",
        ("run-density", "run-occupancies"),
    ),
    "occupancies dropped": (
        HEAD + CORRUPT + READ + LOOP, OUTCAR.format(icharg=1) + ITERATION, True, "not its augmentation occupancies",
        ("run-occupancies",),
    ),
    "occupancies dropped, no OUTCAR": (HEAD + CORRUPT + READ, None, None, "without the OUTCAR", ("run-occupancies",)),
    "atoms": (HEAD + LOOP, OUTCAR.format(icharg=2) + OF_ATOMS, False, "started from superposed atoms", ("run-density",)),
    "atoms, only OUTCAR": (None, OUTCAR.format(icharg=1) + OF_ATOMS, False, "OUTCAR:4", ("run-density",)),
    "wavefunctions": (None, OUTCAR.format(icharg=0) + ITERATION, False, "ICHARG = 0", ("run-density",)),
    "silent": (HEAD + LOOP, None, False, "main loop without 'charge-density read", ("run-density",)),
    "only OUTCAR": (None, OUTCAR.format(icharg=11) + ITERATION, True, "no complaint", ()),
    "OUTCAR without ICHARG": (None, ITERATION, None, "give the standard output too", ()),
    "half a line": (HEAD + " charge-density read from", None, None, "no output that tells", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_runs(name, tmp_path):
    stdout, outcar, read, reason, codes = RUNS[name]
    if stdout is not None:
        (tmp_path / "vasp.out").write_text(stdout)
    if outcar is not None:
        (tmp_path / "OUTCAR").write_text(outcar)
    report = check_run(tmp_path)
    assert report.read is read
    assert reason in report.reason
    assert tuple(finding.code for finding in report.findings) == codes
    refused = [finding for finding in report.findings if finding.severity == "refused"]
    assert bool(refused) == (stdout is not None and STOPPED in stdout)


@pytest.mark.parametrize("name", ["vasp.out", "stdout", "stdout.4711", "job.out", "slurm-4711.out"])
def test_names_of_standard_output(name, tmp_path):
    (tmp_path / name).write_text(HEAD + READ)
    assert check_run(str(tmp_path)).read is True


def test_compressed_output_is_read_as_plain_one(tmp_path):
    """A finished job of custodian: everything in the folder is gzipped."""
    (tmp_path / "vasp.out.gz").write_bytes(gzip.compress((HEAD + LOOP).encode()))
    (tmp_path / "OUTCAR.gz").write_bytes(gzip.compress((OUTCAR.format(icharg=2) + OF_ATOMS).encode()))
    report = check_run(tmp_path)
    assert report.read is False
    assert f"{tmp_path}/OUTCAR.gz:4: 'charge density of overlapping atoms calculated'" in report.reason


def test_the_newest_output_of_vasp_counts(tmp_path):
    for age, (name, text) in enumerate(
        [("slurm-3.out", "module load vasp\n"), ("slurm-2.out", HEAD + READ), ("slurm-1.out", HEAD + STOPPED)]
    ):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert check_run(tmp_path).read is True


def test_what_follows_the_first_iteration_is_not_read(tmp_path):
    (tmp_path / "OUTCAR").write_text(OUTCAR.format(icharg=11) + ITERATION + OF_ATOMS)
    assert check_run(tmp_path).read is True


def test_no_such_folder(tmp_path):
    with pytest.raises(ChgtoolsError, match="no such folder"):
        check_run(tmp_path / "gone")
