"""Lists, shards and processes of work on many files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.jobs.listing import lines_of
from chgtools.jobs.shard import Shard, files_of_shards
from chgtools.jobs.workers import THREADS, Killed, run


def double(item, ask):
    """The work of these tests: twice the item and what is answered, or the end of its process."""
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "leave":
        os._exit(3)
    return 2 * item + ask(item + 1), os.getpid()


def answered(item, asked):
    assert asked == item + 1
    return 100 * asked


@pytest.mark.parametrize("count", [0, 1, 2])
def test_every_item_is_done_once(count):
    found = list(run(double, range(5), count, answered))
    assert {item: result for item, (result, _) in found} == {i: 2 * i + 100 * (i + 1) for i in range(5)}
    assert len(found) == 5
    processes = {pid for _, (_, pid) in found}
    assert (processes == {os.getpid()}) if count == 0 else (os.getpid() not in processes and len(processes) <= count)


def test_a_process_that_dies_loses_its_item_alone():
    found = dict(run(double, [1, "die", 2, "leave", 3], 1, answered))
    assert (found["die"], found["leave"]) == (Killed(-9), Killed(3))
    assert [found[i][0] for i in (1, 2, 3)] == [202, 304, 406]
    assert str(found["die"]) == "its process was ended by SIGKILL"
    assert str(found["leave"]) == "its process ended with exit code 3"


def threads(item, ask):
    return [os.environ.get(name) for name in THREADS]


def test_processes_share_the_cores(monkeypatch):
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("chgtools.jobs.workers.cores", lambda: 7)
    assert [found for _, found in run(threads, [1], 2, answered)] == [["3"] * 3]
    assert [found for _, found in run(threads, [1], 9, answered)] == [["1"] * 3]
    assert not set(THREADS) & set(os.environ)
    monkeypatch.setenv(THREADS[0], "5")
    assert [found for _, found in run(threads, [1], 2, answered)] == [["5", "3", "3"]]


def test_items_are_taken_as_they_are_needed():
    taken = []
    source = (taken.append(i) or i for i in range(100))
    outcomes = run(double, source, 1, answered)
    next(outcomes)
    assert taken == [0]
    outcomes.close()


def test_processes_that_cannot_start_are_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "not_here.py").write_text(
        "import multiprocessing, os\nif multiprocessing.current_process().name != 'MainProcess':\n    os._exit(7)\n"
        "def work(item, ask):\n    return item\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from not_here import work

    with pytest.raises(ChgtoolsError, match="no process to work in can be started: its process ended with exit code 7"):
        list(run(work, range(3), 2, answered))


SLEEPERS = """
import sys, os, time
from pathlib import Path
from chgtools.jobs.workers import run
def sleep(item, ask):
    Path(f"pid{item}").write_text(str(os.getpid()))
    time.sleep(600)
if __name__ == "__main__":
    list(run(sleep, range(2), 2, None))
"""


def _runs(pid: int) -> bool:
    """Whether a process is there and is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to look at processes")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(how, tmp_path):
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with subprocess.Popen([sys.executable, "sleepers.py"], cwd=tmp_path, env=environment) as process:
        files = [tmp_path / f"pid{i}" for i in range(2)]
        while not all(file.exists() and file.read_text() for file in files):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(how)
    pids = [int(file.read_text()) for file in files]
    until = time.monotonic() + 60
    while any(map(_runs, pids)):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.05)


def test_parts_and_their_files(tmp_path):
    shards = [Shard(i, 3) for i in (1, 2, 3)]
    assert [list(shard.part(range(7))) for shard in shards] == [[0, 3, 6], [1, 4], [2, 5]]
    assert [shard.file_of(tmp_path / "all.h5").name for shard in shards] == [f"all.{i}-of-3.h5" for i in (1, 2, 3)]
    assert Shard().file_of(tmp_path / "all.h5") == tmp_path / "all.h5"
    for name in ("all.2-of-3.h5", "all.1-of-8.h5", "all.1-of-8.txt", "all.x-of-8.h5", "tall.1-of-8.h5", "all.h5"):
        (tmp_path / name).touch()
    assert [path.name for path in files_of_shards(tmp_path / "all.h5")] == ["all.1-of-8.h5", "all.2-of-3.h5"]


def test_lines_of_a_list(tmp_path):
    (tmp_path / "list").write_text("# a comment\n\n  one \ntwo\twith a tab\n")
    assert lines_of(tmp_path / "list", "x") == [(3, "one"), (4, "two\twith a tab")]
    with pytest.raises(FormatError, match="no such file; wanted a list with a CHGCAR to a line"):
        lines_of(tmp_path / "none", "a CHGCAR")
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="cannot be read as a list with a CHGCAR to a line"):
        lines_of(tmp_path / "list", "a CHGCAR")
