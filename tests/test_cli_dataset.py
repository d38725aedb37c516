"""``chgtools dataset``."""

from __future__ import annotations

import json
import subprocess
import sys

import h5py
import pytest
from click.testing import CliRunner
from conftest import shared_path
from made_targets import target, write_run

from chgtools.cli import main
from chgtools.stores.store import Store


@pytest.fixture
def run():
    def call(*arguments):
        return CliRunner().invoke(main, ["dataset", *map(str, arguments)])

    return call


@pytest.fixture
def store(run, tmp_path):
    files = [target(tmp_path / f"t{i}.dcd.h5", i) for i in range(6)]
    assert run("build", "-o", tmp_path / "store.h5", *files, "--kind", "bulk").exit_code == 0
    return tmp_path / "store.h5"


def test_build_goes_on(run, tmp_path):
    files = [target(tmp_path / f"t{i}.dcd.h5", i) for i in range(3)]
    output = tmp_path / "store.h5"
    result = run("build", "-o", output, *files[:2])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{output}: 2 structures added from 2 of 2 files, 0 files there already, 0 failed\n"
    assert result.stderr == ""
    result = run("build", "-o", output, *files, "--jobs", 2)
    assert result.stdout == f"{output}: 1 structures added from 1 of 3 files, 2 files there already, 0 failed\n"
    assert {name.split("-")[1] for name in Store.open(output)} == {"t0", "t1", "t2"}


def test_a_bad_file_stops_no_other(run, tmp_path):
    good, bad = target(tmp_path / "good.h5"), tmp_path / "bad.h5"
    bad.write_text("no HDF5")
    result = run("build", "-o", tmp_path / "store.h5", bad, tmp_path / "gone.h5", good)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: {bad}: is no HDF5 file, or a damaged one; make it again with chgtools make-dcd",
        f"Error: {tmp_path / 'gone.h5'}: no such file; check the name and the folder",
        "Error: 2 of 3 files failed; the others are done",
    ]
    assert result.stdout.endswith(": 1 structures added from 1 of 3 files, 0 files there already, 2 failed\n")
    assert len(Store.open(tmp_path / "store.h5")) == 1


def test_build_from_chgcars_with_poscars_and_stores(run, tmp_path, store):
    charge = write_run(tmp_path / "run", 7)
    other = tmp_path / "other.h5"
    options = ["--densities", tmp_path / "run" / "lib.h5", "--label", "Si=Si", "--label", "O=O"]
    result = run("build", "-o", other, charge, tmp_path / "run" / "POSCAR", store, *options, "--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["status"] for line in lines] == ["added", "added"]
    assert [len(line["entries"]) for line in lines] == [6, 1]
    assert len(Store.open(other)) == 7


def test_the_wrong_labels_are_told(run, tmp_path):
    charge = write_run(tmp_path / "run")
    with_fluorine = ["--nelect", "20", "--densities", tmp_path / "run" / "lib.h5", "--label", "Si=Si"]
    result = run("build", "-o", tmp_path / "store.h5", charge, *with_fluorine, "--label", "O=O")
    assert result.exit_code == 1
    assert "holds 14.00000 electrons, NELECT = 20 is given" in result.stderr
    assert not (tmp_path / "store.h5").exists()


def test_truncation(run, tmp_path):
    sizes = []
    for truncation in (0.01, 1):
        output = tmp_path / f"{truncation}.h5"
        assert run("build", "-o", output, target(tmp_path / "a.h5"), "--truncation", truncation).exit_code == 0
        (entry,) = Store.open(output).values()
        assert entry.attributes["truncation_percent"] <= truncation
        sizes.append(len(entry.dcd))
    assert sizes[0] > sizes[1]
    assert run("build", "-o", output, tmp_path / "a.h5", "--truncation", 0).exit_code == 2


def test_a_folder_that_is_not_there(run, tmp_path):
    result = run("build", "-o", tmp_path / "no" / "store.h5", target(tmp_path / "a.h5"))
    assert result.exit_code == 1
    assert "the folder" in result.stderr
    assert "does not exist" in result.stderr


def test_no_files_is_wrong_usage(run, tmp_path):
    assert run("build", "-o", tmp_path / "store.h5").exit_code == 2


def test_split_and_list(run, store):
    result = run("split", store, "--by", "structure", "--validation", 0.3, "--test", 0.2, "--seed", 5, "--json")
    assert result.exit_code == 0, result.stderr
    splits = json.loads(result.stdout)["splits"]
    assert sum(splits.values()) == 6
    rows = json.loads(run("list", store, "--json").stdout)
    assert [row["kind"] for row in rows] == ["bulk", "all"]
    assert rows[0]["entries"] == 6
    assert rows[0]["elements"] == ["O", "Si"]
    assert rows[0]["splits"] == {name: count for name, count in sorted(splits.items()) if count}
    errors = [entry.attributes["saed_eps_mae_percent"] for entry in Store.open(store).values()]
    assert rows[0]["mean_saed_eps_mae_percent"] == pytest.approx(sum(errors) / 6)
    text = run("list", store).stdout
    assert f"{sum(errors) / 6:.2f}" in text
    assert "O Si" in text


def test_by_formula_and_hold_out(run, store):
    result = run("split", store, "--by", "formula")
    assert sorted(int(word.rstrip(",")) for word in result.stdout.split()[2::2]) == [0, 0, 6]
    assert run("split", store, "--hold-out", "bulk").stdout.endswith("train 0, validation 0, test 0, held-out 6\n")
    result = run("split", store, "--hold-out", "surface")
    assert result.exit_code == 1
    assert "no entry of the kind 'surface'; it has bulk" in result.stderr


def test_shares_above_one_are_wrong_usage(run, store):
    result = run("split", store, "--validation", 0.6, "--test", 0.6)
    assert result.exit_code == 2
    assert "leave nothing" in result.stderr


def test_a_store_that_cannot_be_written(run, store):
    before = store.read_bytes()
    with h5py.File(store, "r"):
        result = run("split", store)
    assert result.exit_code == 1
    assert f"{store} cannot be written" in result.stderr
    assert store.read_bytes() == before


def test_a_store_that_is_being_written(run, store):
    hold = "import h5py, sys\nwith h5py.File(sys.argv[1], 'a'):\n    print('held', flush=True)\n    sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"held\n"
        result = run("list", store)
        writer.communicate()
    assert result.exit_code == 1
    assert f"{store} is being written by another process" in result.stderr
    assert run("list", store).exit_code == 0


def test_list_of_a_shared_store(run):
    rows = json.loads(run("list", shared_path("dft", "si.h5"), "--json").stdout)
    assert rows[-1]["kind"] == "all"
    assert rows[-1]["entries"] == 51
    assert 5 < rows[-1]["mean_saed_eps_mae_percent"] < 15
    assert rows[-1]["splits"] == {"none": 51}


def test_as_a_program(tmp_path):
    target(tmp_path / "a.h5")
    command = [sys.executable, "-m", "chgtools", "dataset", "build", "-o", "s.h5", "a.h5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (
        0,
        "s.h5: 1 structures added from 1 of 1 files, 0 files there already, 0 failed\n",
    )
