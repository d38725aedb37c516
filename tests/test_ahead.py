"""A second process compiles half of the kernels: the ones that are used, and it never outlives its block."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chgtools.kernels import COMING, MEANWHILE, ahead

# what a prediction asks for, after the second process's part has been called in the same process
SAME_TYPES = """
import numpy as np
from chgtools.cell import Structure
from chgtools.check import check_file
from chgtools.formats import chgcar
from chgtools.fourier.basis import RadialBasis, expand
from chgtools.kernels import ahead, printing
from chgtools.volumetric import Augmentation, VolumetricData

ahead.compile_kernels()
ahead.compile_printing()
kernels = [*ahead.KERNELS, printing._format_e17]
before = [list(kernel.signatures) for kernel in kernels]
helium = Structure(3.0 * np.eye(3), ("He",), (1,), np.zeros((1, 3)))
basis = RadialBasis(3, 1, cutoff=2.0, q_max=12.0)
expand(helium, np.ones((1, basis.n_lm, basis.n_max)), basis, (8, 8, 8))
records = [Augmentation([0.25 * np.ones(8)])]
chgcar.write(VolumetricData("CHGCAR", helium, [np.full((2, 3, 4), 0.1, order="F")], augmentation=records), "CHGCAR")
check_file("CHGCAR")
chgcar.read("CHGCAR")
assert [list(kernel.signatures) for kernel in kernels] == before
assert all(len(signatures) == 1 for signatures in before)
"""
# one kernel compiled by another process half a second from now, while this one calls it; and one that never comes
COMES = """
import subprocess, sys, time
import numpy as np
from chgtools.kernels import COMING, MEANWHILE
from chgtools.kernels.fields import POWERS
from chgtools.kernels.parse import parse_e17

process = subprocess.Popen([sys.executable, "-c", {code!r}])
COMING[parse_e17.py_func] = process
MEANWHILE.append(lambda: print("meanwhile"))
text, values = np.frombuffer(b" 0.25000000000E+00  \\n".ljust(32), np.uint8).copy(), np.empty(1)
assert parse_e17(text, 21, values, 0, 1.0, POWERS) == (21, 1, 1) and values[0] == 0.25
process.wait()
assert bool(parse_e17.stats.cache_hits) == {hits}, parse_e17.stats
"""


@pytest.fixture
def started(monkeypatch):
    """The processes that were started, though the kernels are kept and whatever cores there are."""
    processes = []
    original = subprocess.Popen
    monkeypatch.setattr(ahead, "_kept", lambda kernel: False)
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: processes.append(original(*a, **k)) or processes[-1])
    return processes


def run(code, tmp_path, **environment):
    root = str(Path(__file__).resolve().parents[1])
    return subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root, **environment},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_what_is_compiled_is_what_is_called(tmp_path):
    done = run(SAME_TYPES, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
@pytest.mark.parametrize(
    ("code", "hits"),
    [
        ("import time; time.sleep(0.5); from chgtools.kernels.ahead import compile_kernels; compile_kernels()", True),
        ("raise SystemExit(1)", False),
    ],
    ids=["comes", "fails"],
)
def test_a_call_waits_for_what_is_coming(tmp_path, code, hits):
    (tmp_path / "empty").mkdir()
    done = run(COMES.format(code=code, hits=hits), tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "empty"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "meanwhile\n"


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_another_numba_loads_kernels_in_its_own_way(tmp_path):
    code = """
import chgtools.kernels
from chgtools.kernels import ahead
{}
ahead.compile_kernels()
assert all(kernel.stats.cache_hits for kernel in ahead.KERNELS) == {}
"""
    (tmp_path / "empty").mkdir()
    empty = {"NUMBA_CACHE_DIR": str(tmp_path / "empty")}
    for lines, hits in (("", False), ("", True), ("chgtools.kernels.rtsys = None", True)):
        done = run(code.format(lines, hits), tmp_path, **empty)
        assert done.returncode == 0, done.stderr


def test_nothing_is_kept_in_an_empty_folder(tmp_path):
    code = "from chgtools.kernels import ahead; assert {}ahead._kept(ahead.parse_e17)"
    (tmp_path / "empty").mkdir()
    empty = {"NUMBA_CACHE_DIR": str(tmp_path / "empty"), "NUMBA_DISABLE_JIT": "0"}
    assert run(code.format("not "), tmp_path, **empty).returncode == 0
    assert run(code.format(""), tmp_path, NUMBA_DISABLE_JIT="1").returncode == 0


def test_it_finds_the_package_and_is_over_behind_the_block(started, monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "CODE", f"import chgtools.files; open({str(tmp_path / 'there')!r}, 'w')")
    with ahead.compiled_ahead():
        assert len(started) == 1
        assert list(COMING.values()) == started * len(ahead.KERNELS)
        assert started[0].wait(60) == 0
    assert (tmp_path / "there").exists()
    assert not COMING
    assert not MEANWHILE


def test_one_is_enough(started, monkeypatch):
    monkeypatch.setattr(ahead, "CODE", "")
    with ahead.compiled_ahead():
        with ahead.compiled_ahead():
            pass
        assert set(COMING.values()) == set(started)
    assert len(started) == 1


def test_what_was_not_needed_is_left(started, monkeypatch):
    monkeypatch.setattr(ahead, "CODE", "import time; time.sleep(60)")
    began = time.monotonic()
    with ahead.compiled_ahead():
        pass
    assert time.monotonic() - began < 30
    assert started[0].returncode < 0


def test_a_failure_of_the_block_ends_it(started, monkeypatch):
    monkeypatch.setattr(ahead, "CODE", "import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ahead.compiled_ahead():
        raise KeyboardInterrupt
    assert started[0].returncode < 0
    assert time.monotonic() - began < 30


def test_nothing_is_started_where_it_would_not_help(started, monkeypatch):
    monkeypatch.setattr(ahead, "cores", lambda: 1)
    with ahead.compiled_ahead():
        pass
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    monkeypatch.setattr(ahead, "_kept", lambda kernel: True)
    with ahead.compiled_ahead():
        pass
    assert started == []


def test_where_it_cannot_be_started_the_block_runs(started, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with ahead.compiled_ahead():
        ran = True
    assert (ran, started) == (True, [])
