"""Builds of many files: what is done is not read again, what is killed loses one file, what is too large is not read."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner
from made_targets import SHAPE, target, write_run

from chgtools.cli import main
from chgtools.errors import FormatError, SettingsError
from chgtools.jobs.shard import Shard
from chgtools.libraries.choice import Source
from chgtools.stores import bounds
from chgtools.stores.build import BuildOptions, build
from chgtools.stores.listing import read_sources
from chgtools.stores.progress import Progress
from chgtools.stores.store import Store

ROOT = Path(__file__).resolve().parents[1]
POINTS = SHAPE[0] * SHAPE[1] * SHAPE[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with four targets."""
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        target(Path(f"t{i}.dcd.h5"), i)
    return tmp_path


FILES = [Path(f"t{i}.dcd.h5") for i in range(4)]


def built(files=FILES, options=None, shard=None, retry_failed=False, **changes):
    """{file: outcome} of a build into all.h5, as the command does it."""
    options = options or BuildOptions()
    shard = shard or Shard()
    progress = Progress(Path("all.h5"), options, shard, retry_failed)
    sources = shard.part([(Path(file), None) for file in files])
    found = {o.path: o for o in build(progress.store, sources, options, progress=progress, **changes)}
    return {path: found[path] for path, _ in sources}  # what is done already is told first


def statuses(outcomes):
    return [outcome.status for outcome in outcomes.values()]


def records(name="all.h5.manifest.jsonl"):
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def disguise(path: Path, content: bytes) -> None:
    """Other content of the same size and time."""
    status = path.stat()
    path.write_bytes(content.ljust(status.st_size)[: status.st_size])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_manifest_says_what_became_of_each_source(here):
    Path("bad.h5").write_text("no HDF5")
    outcomes = built([*FILES[:1], Path("bad.h5")])
    good, bad = records()
    assert list(good)[:3] == ["file", "size", "mtime_ns"]
    assert (good["file"], good["size"]) == ("t0.dcd.h5", FILES[0].stat().st_size)
    assert good["mtime_ns"] == FILES[0].stat().st_mtime_ns
    assert good["sha256"] == hashlib.sha256(FILES[0].read_bytes()).hexdigest()
    assert (good["status"], good["store"], good["error"]) == ("added", "all.h5", "")
    assert good["entries"] == list(outcomes[FILES[0]].names) == list(Store.open("all.h5"))
    assert good["cpu_seconds"] > 0
    assert (bad["status"], bad["entries"]) == ("failed", [])
    assert "is no HDF5 file" in bad["error"]


def test_what_is_done_is_not_read_again(here):
    first = built()
    assert statuses(first) == ["added"] * 4
    disguise(FILES[1], b"no target")  # would fail if anyone looked
    again = built()
    assert statuses(again) == ["present"] * 4
    assert [o.names for o in again.values()] == [o.names for o in first.values()]
    assert [o.sha256 for o in again.values()] == [o.sha256 for o in first.values()]
    os.utime(FILES[1])
    assert statuses(built()) == ["present", "failed", "present", "present"]


def test_what_is_no_longer_in_the_store_is_done_again(here):
    first = built()
    with h5py.File("all.h5", "a") as file:
        del file[first[FILES[2]].names[0]]
    assert statuses(built()) == ["present", "present", "added", "present"]
    Path("all.h5").unlink()
    assert statuses(built()) == ["added"] * 4


def test_a_build_killed_between_the_store_and_the_manifest_adds_nothing_twice(here):
    built()
    lines = Path("all.h5.manifest.jsonl").read_bytes().splitlines(keepends=True)
    Path("all.h5.manifest.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:30])
    with pytest.warns(UserWarning, match="half a line"):
        assert statuses(built()) == ["present"] * 4
    assert len(Store.open("all.h5")) == 4
    with pytest.warns(UserWarning, match="half a line"):
        assert [bool(o.names) for o in built().values()] == [True] * 4


def test_failures_are_tried_again_when_asked_or_when_something_changed(here):
    bad = Path("bad.h5")
    bad.write_text("no HDF5")
    assert statuses(built([bad])) == ["failed"]
    again = built([bad])[bad]
    assert again.status == "failed before"
    assert "is no HDF5 file" in again.error
    assert statuses(built([bad], retry_failed=True)) == ["failed"]
    assert statuses(built([bad], BuildOptions(kind="bulk"))) == ["failed"]  # other options may mend it
    assert statuses(built([bad], BuildOptions(kind="bulk"))) == ["failed before"]
    target(bad, 5)
    assert statuses(built([bad])) == ["added"]
    assert len(records()) == 4


def test_options_that_say_the_same_are_the_same(here):
    bad = Path("bad.h5")
    bad.write_text("no HDF5")
    options = [BuildOptions(source=Source(labels={"Si": "Si"})) for _ in range(2)]
    assert [statuses(built([bad], each)) for each in options] == [["failed"], ["failed before"]]


def test_what_was_done_with_other_options_stays_and_is_told(here):
    assert [o.notes for o in built().values()] == [()] * 4
    again = built(options=BuildOptions(truncation=1.0))
    assert [(o.status, o.notes) for o in again.values()] == [
        ("present", ("was done with other options, and stays as it is",))
    ] * 4
    assert [o.notes for o in built().values()] == [()] * 4


def test_shards_have_stores_and_manifests_of_their_own(here):
    outcomes = [built(shard=Shard(i, 2)) for i in (1, 2)]
    assert [list(each) for each in outcomes] == [FILES[::2], FILES[1::2]]
    assert not Path("all.h5").exists()
    assert [len(Store.open(f"all.{i}-of-2.h5")) for i in (1, 2)] == [2, 2]
    assert [r["store"] for r in records("all.h5.manifest.2-of-2.jsonl")] == ["all.2-of-2.h5"] * 2
    # the number of shards may change: what is in the store of another shard is done
    assert statuses(built(shard=Shard(1, 1))) == ["present"] * 4
    Path("all.2-of-2.h5").unlink()
    assert statuses(built(shard=Shard(1, 1))) == ["present", "added", "present", "added"]


def test_a_copy_whose_original_failed_is_tried(here):
    write_run(Path("run"))
    sources = [(Path("run/CHGCAR"), Path("no_poscar")), (Path("copy.CHGCAR"), None)]
    Path("copy.CHGCAR").write_bytes(Path("run/CHGCAR").read_bytes())
    options = BuildOptions(source=Source(library=Path("run/lib.h5"), labels={"Si": "Si", "O": "O"}))
    assert [o.status for o in build("all.h5", sources, options)] == ["failed", "added"]


def test_killed_processes_lose_what_they_work_on_and_the_others_go_on(here):
    files = [target(Path(f"u{i}.dcd.h5"), 0.3 * i) for i in range(6)]
    progress = Progress(Path("all.h5"), BuildOptions())
    outcomes = build("all.h5", [(file, None) for file in files], jobs=2, progress=progress)
    first = next(outcomes)
    assert first.status == "added"
    for process in multiprocessing.active_children():
        process.kill()
    others = list(outcomes)
    lost = [o for o in others if o.status == "failed"]
    assert len(others) == 5
    assert len(lost) <= 2
    for outcome in lost:
        assert f"{outcome.path}: its process was ended by SIGKILL (out of memory?" in outcome.error
    assert statuses(built(files, retry_failed=True)).count("added") == len(lost)
    assert len(Store.open("all.h5")) == 6


COMMAND = [sys.executable, "-m", "chgtools", "dataset", "build", "-o", "all.h5", "--list", "list"]


def test_a_build_killed_by_kill_9_loses_nothing_and_does_nothing_twice(here):
    files = [target(Path(f"u{i:02d}.dcd.h5"), 0.1 * i) for i in range(24)]
    Path("list").write_text("".join(f"{file}\n" for file in files))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    manifest = Path("all.h5.manifest.jsonl")
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.DEVNULL) as process:
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 4:
            assert process.poll() is None, "the build ended before it was killed"
            time.sleep(0.005)
        process.kill()
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = Store.open("all.h5")
    assert len(store) == 24
    assert all(len(entry.dcd) for entry in store.values())
    added = [name for record in records() if record["status"] == "added" for name in record["entries"]]
    assert len(added) == len(set(added)) >= 23  # one may have been in the store before its line was written
    assert {record["file"] for record in records()} == set(map(str, files))


# What is too large


def _chgcar(folder="run") -> Path:
    """A CHGCAR whose numbers are gone: whoever reads it fails."""
    path = write_run(Path(folder))
    text = path.read_text()
    path.write_text(text[: text.index(" ".join(map(str, SHAPE)).split()[0] + "   ") + 40])
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_a_grid_of_too_many_points_is_refused_before_it_is_read(here, compressed):
    import gzip

    path = _chgcar()
    if compressed:
        path = Path("CHGCAR.gz")
        path.write_bytes(gzip.compress(Path("run/CHGCAR").read_bytes()))
    (outcome,) = build("all.h5", [(path, None)], BuildOptions(max_points=POINTS - 1))
    assert outcome.error == f"{path}: its grid 20 x 18 x 24 has {POINTS} points, --max-points {POINTS - 1} is given"
    assert outcome.sha256 == ""  # not even hashed
    (outcome,) = build("all.h5", [(path, None)], BuildOptions(max_points=POINTS))
    assert "points, --max" not in outcome.error


def test_a_target_of_too_many_points_is_refused_too(here):
    (outcome,) = build("all.h5", [(FILES[0], None)], BuildOptions(max_points=POINTS - 1))
    assert f"--max-points {POINTS - 1} is given" in outcome.error
    assert not Path("all.h5").exists()


def test_a_grid_beyond_the_share_of_memory_is_refused(here, monkeypatch):
    path = _chgcar()
    need = bounds.BYTES_PER_POINT * POINTS
    monkeypatch.setattr(bounds, "memory_of_the_machine", lambda: 2 * need)
    bounds.require_bounded(path, None, 2)
    with pytest.raises(
        SettingsError, match=r"run/CHGCAR: its grid 20 x 18 x 24 needs .* 3 processes; build with fewer --jobs"
    ):
        bounds.require_bounded(path, None, 3)


# The list, and the command


def test_lists_of_sources(tmp_path):
    path = tmp_path / "list"
    path.write_text("# all of them\nruns/1/CHGCAR\nmy runs/CHGCAR.gz\tmy runs/POSCAR\n")
    assert read_sources(path) == [
        (Path("runs/1/CHGCAR"), None),
        (Path("my runs/CHGCAR.gz"), Path("my runs/POSCAR")),
    ]
    path.write_text("a\tb\tc\n")
    with pytest.raises(FormatError, match=r"list:1: found 3 names with tabs between them; wanted a CHGCAR"):
        read_sources(path)
    path.write_text("# nothing\n")
    with pytest.raises(FormatError, match="names no source"):
        read_sources(path)


def command(*arguments):
    return CliRunner().invoke(main, ["dataset", *map(str, arguments)])


def test_the_command(here):
    write_run(Path("run"))
    Path("list").write_text("t0.dcd.h5\nt1.dcd.h5\nrun/CHGCAR\trun/POSCAR\nbad.h5\n")
    Path("bad.h5").write_text("no HDF5")
    options = ["-o", "all.h5", "--list", "list", "--densities", "run/lib.h5", "--label", "Si=Si", "--label", "O=O"]
    done = command("build", *options, "--shard", "2/2", "--json")
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["file"], line["status"]) for line in lines] == [("t1.dcd.h5", "added"), ("bad.h5", "failed")]
    assert lines[1]["error"] == "bad.h5: is no HDF5 file, or a damaged one; make it again with chgtools make-dcd"
    done = command("build", *options, "--shard", "1/2")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "all.1-of-2.h5: 2 structures added from 2 of 2 files, 0 files there already, 0 failed\n"
    done = command("build", *options, "--shard", "2/2")
    assert done.exit_code == 1
    assert done.stdout.endswith("0 structures added from 0 of 2 files, 1 files there already, 1 failed\n")
    assert done.stderr == (
        "Error: 1 of 2 files failed, 1 of them in an earlier call (--retry-failed tries them again); "
        "the others are done\n"
    )


def test_notes_on_the_files_of_a_list_stand_in_the_manifest(here):
    path = write_run(Path("run"))
    Path("run/POSCAR").unlink()
    Path("list").write_text(f"{path}\n")
    done = command(
        "build", "-o", "all.h5", "--list", "list", "--densities", "run/lib.h5", "--label", "Si=Si", "--label", "O=O"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("0 failed; notes on 1 of them (--json, all.h5.manifest.jsonl)\n")
    assert any("no POSCAR" in note for note in records()[0]["notes"])


def test_wrong_usage(here):
    done = command("build", "-o", "all.h5")
    assert done.exit_code == 2
    assert "wanted FILES, or --list LIST" in done.stderr
    assert command("build", "-o", "all.h5", "t0.dcd.h5", "--shard", "3/2").exit_code == 2
    Path("all.h5.manifest.jsonl").write_text("something else")
    done = command("build", "-o", "all.h5", "t0.dcd.h5")
    assert done.exit_code == 1
    assert "all.h5.manifest.jsonl:1: is there and is no manifest with one file to a line" in done.stderr
