"""Many structures: what is written where, what is done again, and a batch that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.batch import Batch, BatchOptions, Manifest, Shard, read_list
from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, MismatchError, SettingsError
from chgtools.formats import chgcar, poscar

ROOT = Path(__file__).resolve().parents[1]
GRID = chgtools.GridOptions(ngf=(6, 6, 6))


def silicon(path: Path, a: float = 5.431, symbol: str = "Si") -> Path:
    """A cell of two atoms whose size tells it from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lattice = a / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    poscar.write(Structure(lattice, (symbol,), (2,), np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]])), path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with the run folders a, b, c and a list of them."""
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate("abc"):
        silicon(Path(name) / "POSCAR", 5.4 + 0.01 * index)
    Path("list").write_text("# three\na\n\n  b/POSCAR\nc\n")
    return tmp_path


def run(path="list", **options):
    options.setdefault("model", "none")
    return {o.item.name: o for o in Batch(Path(path), BatchOptions(grid=GRID, **options)).run()}


def statuses(outcomes):
    return [outcome.status for outcome in outcomes.values()]


def records(path="list.manifest.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def command(*arguments):
    return CliRunner().invoke(main, ["predict", "--model", "none", "--ngf", "6", "6", "6", *map(str, arguments)])


def test_each_density_lies_beside_its_poscar_and_has_its_line(here):
    outcomes = run()
    assert list(outcomes) == ["a", "b/POSCAR", "c"]
    assert statuses(outcomes) == ["done"] * 3
    import hashlib

    for record, name in zip(records(), "abc", strict=True):
        content = (here / name / "CHGCAR").read_bytes()
        assert record["file"] == f"{name}/CHGCAR"
        assert (record["sha256"], record["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (record["model"], record["augmentation_occupancies"]) == ("none", "none")
        assert record["seconds"] >= 0
        again = chgtools.predict(here / name / "POSCAR", grid=GRID, model="none")
        np.testing.assert_allclose(chgcar.read(here / name / "CHGCAR").total, again.data.total, rtol=1e-10)
    assert not list(here.rglob(".CHGCAR*"))


def test_a_second_call_does_nothing(here):
    run()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()}
    assert statuses(run()) == ["present"] * 3
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*") if path.is_file()} == before


def test_what_was_deleted_is_made_again_and_what_vasp_wrote_over_is_kept(here):
    run()
    Path("a/CHGCAR").unlink()
    Path("b/CHGCAR").write_text("the self-consistent density\n")
    assert statuses(run()) == ["done", "present", "present"]
    assert Path("a/CHGCAR").is_file()
    assert Path("b/CHGCAR").read_text() == "the self-consistent density\n"


def test_a_density_of_others_is_replaced_with_force_only(here):
    Path("b/CHGCAR").write_text("precious\n")
    outcomes = run()
    assert statuses(outcomes) == ["done", "failed", "done"]
    assert "b/CHGCAR exists and this batch did not write it" in outcomes["b/POSCAR"].error
    assert Path("b/CHGCAR").read_text() == "precious\n"
    assert statuses(run(force=True)) == ["present", "failed before", "present"]
    assert statuses(run(force=True, retry_failed=True)) == ["present", "done", "present"]
    assert Path("b/CHGCAR").read_text() != "precious\n"
    assert statuses(run()) == ["present"] * 3


def test_one_bad_structure_stops_nothing_and_is_tried_again_when_asked(here):
    good = Path("b/POSCAR").read_text()
    Path("b/POSCAR").write_text("no structure\n")
    outcomes = run()
    assert statuses(outcomes) == ["done", "failed", "done"]
    assert outcomes["b/POSCAR"].error.startswith("b/POSCAR")
    Path("b/POSCAR").write_text(good)
    assert statuses(run()) == ["present", "failed before", "present"]
    assert statuses(run(retry_failed=True)) == ["present", "done", "present"]
    assert [record["status"] for record in records()] == ["done", "failed", "done", "done"]


def test_an_error_that_nobody_foresaw_stops_nothing(here, monkeypatch):
    import chgtools.start.writing

    real = chgtools.start.writing.predict

    def predict(path, **options):
        if path.parent.name == "b":
            raise ZeroDivisionError("division by\nzero")
        return real(path, **options)

    monkeypatch.setattr(chgtools.start.writing, "predict", predict)
    outcomes = run()
    assert statuses(outcomes) == ["done", "failed", "done"]
    assert "did not foresee: ZeroDivisionError: division by zero" in outcomes["b/POSCAR"].error


def test_incar_and_potcar_of_each_folder_are_used(here):
    write_synthetic_potcar(Path("a/POTCAR"), [("Si", 4, (0, 0, 1, 1))])
    Path("b/INCAR").write_text("ISPIN = 2\nMAGMOM = 2*1\n")
    run()
    assert [r["blocks"] for r in records()] == [1, 2, 1]
    assert [r["augmentation_occupancies"] for r in records()][1:] == ["none", "none"]
    assert records()[0]["augmentation_occupancies"] != "none"


def test_files_of_other_names(here):
    silicon(here / "cells" / "x.vasp")
    silicon(here / "cells" / "POSCAR.17")
    Path("list").write_text("cells/x.vasp\ncells/POSCAR.17\na/../a\n")
    assert [str(entry.output) for entry in read_list(Path("list"))] == [
        "cells/CHGCAR.x.vasp", "cells/CHGCAR.17", "a/CHGCAR",
    ]  # fmt: skip


def test_an_output_folder_holds_every_density_apart(here, tmp_path):
    outside = silicon(tmp_path / "elsewhere" / "a" / "POSCAR")
    Path("list").write_text(f"a\nb\n{outside}\n../{tmp_path.name}/c\n")
    run(output=Path("out"))
    made = {path.relative_to(here / "out") for path in (here / "out").rglob("CHGCAR")}
    inside = tmp_path.relative_to("/")
    assert made == {Path("a/CHGCAR"), Path("b/CHGCAR"), inside / "elsewhere/a/CHGCAR", inside / "c/CHGCAR"}
    assert not list(here.glob("?/CHGCAR"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\nb\na/POSCAR\n", r"list:3: a/POSCAR would be written to a/CHGCAR, as line 1 is"),
        ("# nothing\n\n", "list: names no structure"),
    ],
)
def test_lists_that_are_refused(here, text, message):
    Path("list").write_text(text)
    with pytest.raises(FormatError, match=message):
        run()
    with pytest.raises(FormatError, match="no such file; wanted a list"):
        run("nowhere")


def test_shards_are_the_whole_and_do_not_meet(here):
    names = [f"s{index}" for index in range(10)]
    for name in names:
        silicon(Path(name) / "POSCAR")
    Path("list").write_text("\n".join(names))
    parts = [
        [e.name for e in Batch(Path("list"), BatchOptions(model="none", shard=Shard(i, 3))).items] for i in (1, 2, 3)
    ]
    assert sorted(name for part in parts for name in part) == names
    assert [len(part) for part in parts] == [4, 3, 3]
    run(shard=Shard(2, 3))
    assert [r["structure"] for r in records("list.manifest.2-of-3.jsonl")] == ["s1", "s4", "s7"]
    # another number of shards, or none, knows what is done
    assert statuses(run()).count("present") == 3


def test_of_two_shards_the_newer_line_counts(here):
    good = Path("b/POSCAR").read_text()
    Path("b/POSCAR").write_text("no structure\n")
    run(shard=Shard(2, 3))
    Path("b/POSCAR").write_text(good)
    assert statuses(run(shard=Shard(2, 2), retry_failed=True)) == ["done"]
    assert statuses(run()) == ["done", "present", "done"]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3", "-1/3"])
def test_shards_that_are_none(text):
    with pytest.raises(SettingsError, match="wanted I/N"):
        Shard.parse(text)


def test_half_a_line_of_a_killed_job_is_passed_over(here):
    run()
    manifest = Path("list.manifest.jsonl")
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-40])
    Path("c/CHGCAR").unlink()
    with pytest.warns(AssumptionWarning, match=r"list.manifest.jsonl:3: is half a line"):
        assert statuses(run()) == ["present", "present", "done"]
    with pytest.warns(AssumptionWarning, match=r":3: is half a line"):
        assert statuses(run()) == ["present"] * 3
    manifest.write_bytes(content[:7])  # killed in the very first line
    with pytest.warns(AssumptionWarning, match=r":1: is half a line"):
        Manifest(manifest, Shard(), "structure")


def test_a_file_that_is_no_manifest_is_left_alone(here):
    before = Path("a/POSCAR").read_bytes()
    with pytest.raises(FormatError, match="is no manifest"):
        run(manifest=Path("a/POSCAR"))
    assert Path("a/POSCAR").read_bytes() == before
    with pytest.raises(ChgtoolsError, match="the folder nowhere does not exist"):
        run(manifest=Path("nowhere/m.jsonl"))


def test_other_weights_are_not_mixed_in(here):
    run()
    with pytest.raises(MismatchError, match=r"a was done with --model none, now si is asked for"):
        run(model="si")
    assert statuses(run(model="si", manifest=Path("m.jsonl"), output=Path("out"))) == ["done"] * 3


def test_a_kill_between_the_line_and_the_rename_is_mended(here):
    run()
    before = Path("b/CHGCAR").stat().st_ino
    Path("b/CHGCAR").rename("b/.CHGCAR.batch")
    assert statuses(run()) == ["present"] * 3
    assert Path("b/CHGCAR").stat().st_ino == before
    assert not Path("b/.CHGCAR.batch").exists()


def test_leftovers_of_a_kill_are_removed(here):
    Path("a/.CHGCAR.batch").write_text("half")
    Path("a/.k2j3..CHGCAR.batch").write_text("half")
    assert statuses(run()) == ["done"] * 3
    assert sorted(path.name for path in Path("a").iterdir()) == ["CHGCAR", "POSCAR"]


def test_the_weights_are_read_once(here, monkeypatch):
    import chgtools.models.choice

    real, read = chgtools.models.choice.load_model, []

    def counting(name):
        read.append(str(name))
        return real(name)

    monkeypatch.setattr(chgtools.models.choice, "load_model", counting)
    chgtools.models.choice._read.cache_clear()
    assert statuses(run(model="auto")) == ["done"] * 3
    assert [Path(name).stem for name in read] == ["si"]
    assert {r["model_reason"] for r in records()} == {"the structure is all Si"}
    assert all(r["expected_eps_mae_percent"] > 0 for r in records())


def test_weights_that_are_not_there_stop_the_batch_before_it_begins(here):
    with pytest.raises(ChgtoolsError, match="no weights 'nowhere'"):
        run(model="nowhere")
    assert not Path("list.manifest.jsonl").exists()


def test_several_at_once_write_the_same_files(here):
    """In other processes, so that what was predicted, said and failed must come back from them."""
    Path("d").mkdir()
    Path("d/POSCAR").write_text("no POSCAR\n")
    Path("list").write_text("a\nb\nd\nc\n")
    alone = run(model="auto", output=Path("alone"))
    beside = run(model="auto", output=Path("beside"), manifest=Path("beside.jsonl"), jobs=2)
    assert {name: each.status for name, each in beside.items()} == {
        "a": "done", "b": "done", "c": "done", "d": "failed",
    }  # fmt: skip
    for name in "abc":
        assert (here / f"alone/{name}/CHGCAR").read_bytes() == (here / f"beside/{name}/CHGCAR").read_bytes()
        one, other = (
            {key: value for key, value in each[name].record.items() if key not in ("file", "seconds", "finished")}
            for each in (alone, beside)
        )
        assert one == other
    assert "d/POSCAR" in beside["d"].error
    assert not list(here.rglob("*.batch"))
    assert [each.status for each in run(model="auto", output=Path("beside"), manifest=Path("beside.jsonl"), jobs=2).values()] == [
        "present", "present", "failed before", "present",
    ]  # fmt: skip
    with pytest.raises(SettingsError, match="found jobs = 0; wanted 1 or more"):
        BatchOptions(jobs=0)


@pytest.mark.timeout(600)
def test_a_process_that_is_killed_loses_its_structure_alone(tmp_path):
    for index in range(40):
        silicon(tmp_path / f"run{index:03d}" / "POSCAR", 5.2 + 0.002 * index)
    (tmp_path / "list").write_text("".join(f"run{index:03d}\n" for index in range(40)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    manifest = tmp_path / "list.manifest.jsonl"
    quiet = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([*BATCH, "--jobs", "2"], **quiet)
    try:
        deadline = time.monotonic() + 300
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 5:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(workers) == 2
        os.kill(int(workers[0]), signal.SIGKILL)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1, said
    lost = [line for line in records(manifest) if line["status"] == "failed"]
    assert len(lost) == 1
    assert (
        "its process was ended by SIGKILL (out of memory? try it again with --retry-failed and fewer --jobs)"
        in lost[0]["error"]
    )
    assert f"{lost[0]['structure']}/POSCAR: its process was ended by SIGKILL" in " ".join(said.split())
    assert len(list(tmp_path.glob("*/CHGCAR"))) == 39
    again = subprocess.run([*BATCH, "--retry-failed"], check=False, **quiet)
    assert "1 done, 39 there already, 0 failed" in again.stdout
    assert len(list(tmp_path.glob("*/CHGCAR"))) == 40
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_the_command(here):
    done = command("--batch", "list")
    assert done.exit_code == 3, done.output  # written, and VASP would not take them
    assert done.stdout == (
        "list: 3 done, 0 there already, 0 failed, 3 not ready for ICHARG = 11; "
        "list.manifest.jsonl says what each was made with\n"
    )
    assert done.stderr == (  # no terminal, no bar
        "Error: 3 of 3 files are such that VASP refuses or drops them (record-missing: 3); a POTCAR beside each "
        "POSCAR, or --potcar, has the occupancies\n"
    )
    Path("c/CHGCAR").unlink()
    Path("c/POSCAR").unlink()
    done = command("--batch", "list", "--json")
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["outcome"] for line in lines] == ["present", "present", "failed"]
    assert "Error: c/POSCAR: no such file" in done.stderr
    assert "Error: 1 of 3 structures failed; the others are done" in done.stderr
    done = command("--batch", "list")
    assert done.exit_code == 1
    assert "1 of them in an earlier call (--retry-failed tries them again)" in done.stderr
    Path("all").write_text("c\n")
    assert "Error: 1 of 1 structures failed\n" in command("--batch", "all").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a/POSCAR", "--batch", "list"), "found both POSCAR (a/POSCAR) and --batch list"),
        (("--batch", "list", "--shard", "3/2"), "found shard 3/2; wanted I/N"),
        (("--batch", "list", "-o", "a/POSCAR"), "a/POSCAR is a file"),
        (("a/POSCAR", "-o", "CHGCAR", "--shard", "1/2"), "go with --batch LIST"),
        (("a/POSCAR", "-o", "CHGCAR", "--retry-failed"), "go with --batch LIST"),
        (("a/POSCAR", "-o", "CHGCAR", "--jobs", "2"), "go with --batch LIST"),
        (("--batch", "list", "--jobs", "0"), "0 is not in the range x>=1"),
        (("-o", "CHGCAR"), "Missing argument 'POSCAR'"),
        (("a/POSCAR",), "Missing option '-o' / '--output'"),
    ],
)
def test_wrong_usage(here, arguments, message):
    done = command(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not list(here.rglob("CHGCAR"))


COUNT = 200
BATCH = [sys.executable, "-m", "chgtools", "predict", "--batch", "list", "--model", "none", "--ngf", "6", "6", "6"]


@pytest.mark.timeout(900)
def test_200_structures_killed_half_way_lose_and_repeat_nothing(tmp_path):
    for index in range(COUNT):
        silicon(tmp_path / f"run{index:03d}" / "POSCAR", 5.2 + 0.002 * index)
    (tmp_path / "list").write_text("".join(f"run{index:03d}\n" for index in range(COUNT)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    manifest = tmp_path / "list.manifest.jsonl"
    process = subprocess.Popen(
        BATCH, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 400
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < COUNT // 2:
            assert process.poll() is None, "the batch ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    first = [line["structure"] for line in records(manifest)]
    files = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.glob("*/CHGCAR")}
    for path in files:
        chgcar.read(path)  # whole, every one
    assert COUNT // 2 <= len(first) < COUNT
    assert len(files) in (len(first), len(first) - 1)  # the last one may wait for its name
    done = subprocess.run(
        BATCH, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 3, done.stderr  # no POTCARs
    assert f"{COUNT - len(first)} done, {len(first)} there already, 0 failed" in done.stdout
    names = [line["structure"] for line in records(manifest)]
    lost = {f"run{index:03d}" for index in range(COUNT)} - set(names)
    repeated = len(names) - len(set(names))
    print(
        f"killed after {len(first)} of {COUNT}; restarted: {COUNT - len(first)} more; lost {len(lost)}, repeated {repeated}"
    )
    assert (lost, repeated) == (set(), 0)
    assert len(list(tmp_path.glob("*/CHGCAR"))) == COUNT
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files} == files  # none was written again


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/.written" 2>/dev/null && exec "$@"'


def read_only_run(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """`predict` where the checkout and the home cannot be written, as on a compute node."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a folder read-only (unshare -m)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/proc/none", **environment}
    environment.pop("XDG_CACHE_HOME", None)
    arguments = [sys.executable, "-m", "chgtools", "predict", "POSCAR", "-o", "CHGCAR", *BATCH[6:]]
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", READ_ONLY, str(ROOT), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_read_only_package_and_home_with_a_cache_folder(tmp_path):
    """The kernels go to the folder named, and the packaged library is read without a lock."""
    silicon(tmp_path / "POSCAR")
    done = read_only_run(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "cache").rglob("*.nbi"))
    assert "compiled kernels" not in done.stderr


def test_read_only_everything_is_slower_and_said(tmp_path):
    silicon(tmp_path / "POSCAR")
    (tmp_path / "tmp").mkdir()
    done = read_only_run(tmp_path, NUMBA_CACHE_DIR="/proc/none/cache", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 0, done.stderr
    assert "note: no folder for compiled kernels can be written" in done.stderr
    assert (tmp_path / "CHGCAR").is_file()
    assert not list((tmp_path / "tmp").iterdir())  # nothing is left behind


def mounted_cache(folder: Path, mount: str) -> subprocess.CompletedProcess:
    """`saed` with NUMBA_CACHE_DIR=folder/cache, on which ``mount`` was done before."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a folder (unshare -m)")
    (folder / "tmp").mkdir(exist_ok=True)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(folder / "cache"), "TMPDIR": str(folder / "tmp"),
    }  # fmt: skip
    arguments = [sys.executable, "-m", "chgtools", "saed", "POSCAR", "-o", "CHGCAR", "--force"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', str(folder / "cache"), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list((folder / "tmp").iterdir())  # nothing is left behind
    return done


def test_a_full_disk_or_quota_keeps_no_kernels_and_says_so_once(tmp_path):
    silicon(tmp_path / "POSCAR")
    (tmp_path / "cache").mkdir()
    done = mounted_cache(tmp_path, 'mount -t tmpfs -o size=64k none "$0"')
    assert done.stderr.count("compiled kernels cannot be kept (No space left on device)") == 1
    assert (tmp_path / "CHGCAR").is_file()


def test_kernels_of_a_read_only_folder_are_used(tmp_path):
    """As a cluster's module has them: nothing is compiled, so nothing is written."""
    silicon(tmp_path / "POSCAR")
    (tmp_path / "cache").mkdir()
    mounted_cache(tmp_path, "true")
    assert list((tmp_path / "cache").rglob("*.nbi"))
    watch = tmp_path / "sitecustomize.py"
    watch.write_text(
        "from numba.core import event\n"
        "event.register('numba:compile', type('Told', (event.Listener,), {\n"
        "    'on_start': lambda self, event: print('compiled', event.data['dispatcher']),\n"
        "    'on_end': lambda self, event: None})())\n"
    )
    read_only = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
    for mount, compiles in ((f"export PYTHONPATH=$PWD:$PYTHONPATH && {read_only}", False),
                            ('export PYTHONPATH=$PWD:$PYTHONPATH && mount -t tmpfs none "$0"', True)):  # fmt: skip
        done = mounted_cache(tmp_path, mount)
        assert ("compiled" in done.stdout) == compiles
        assert "kernels" not in done.stderr
