"""A second process compiles the kernels of numbers: the ones that are used, and it never outlives its block."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chgtools.kernels import ahead

# what writing and checking a CHGCAR asks for, after the second process's part has been called in the same process
SAME_TYPES = """
import numpy as np
from chgtools.cell import Structure
from chgtools.check import check_file
from chgtools.formats import chgcar
from chgtools.kernels import ahead
from chgtools.volumetric import VolumetricData

ahead.compile_numbers()
before = [list(kernel.signatures) for kernel in (ahead.parse_fixed, ahead.format_e17)]
helium = Structure(3.0 * np.eye(3), ("He",), (1,), np.zeros((1, 3)))
chgcar.write(VolumetricData("CHGCAR", helium, [np.full((2, 3, 4), 0.1, order="F")]), "CHGCAR")
check_file("CHGCAR")
chgcar.read("CHGCAR")
assert [list(kernel.signatures) for kernel in (ahead.parse_fixed, ahead.format_e17)] == before
assert all(len(signatures) == 1 for signatures in before)
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


def test_nothing_is_kept_in_an_empty_folder(tmp_path):
    code = "from chgtools.kernels import ahead; assert {}ahead._kept(ahead.parse_fixed)"
    (tmp_path / "empty").mkdir()
    empty = {"NUMBA_CACHE_DIR": str(tmp_path / "empty"), "NUMBA_DISABLE_JIT": "0"}
    assert run(code.format("not "), tmp_path, **empty).returncode == 0
    assert run(code.format(""), tmp_path, NUMBA_DISABLE_JIT="1").returncode == 0


def test_it_is_over_behind_the_block_and_finds_the_package(started, monkeypatch, tmp_path):
    monkeypatch.setattr(ahead, "CODE", f"import chgtools.files; open({str(tmp_path / 'there')!r}, 'w')")
    with ahead.numbers_compiled():
        assert len(started) == 1
    assert started[0].returncode == 0
    assert (tmp_path / "there").exists()


def test_a_failure_of_the_block_ends_it(started, monkeypatch):
    monkeypatch.setattr(ahead, "CODE", "import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ahead.numbers_compiled():
        raise KeyboardInterrupt
    assert started[0].returncode < 0
    assert time.monotonic() - began < 30


def test_nothing_is_started_where_it_would_not_help(started, monkeypatch):
    monkeypatch.setattr(ahead, "cores", lambda: 1)
    with ahead.numbers_compiled():
        pass
    monkeypatch.setattr(ahead, "cores", lambda: 2)
    monkeypatch.setattr(ahead, "_kept", lambda kernel: True)
    with ahead.numbers_compiled():
        pass
    assert started == []


def test_where_it_cannot_be_started_the_block_runs(started, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with ahead.numbers_compiled():
        ran = True
    assert (ran, started) == (True, [])
