"""Many stores as one data set: the index holds what they hold, and what has changed since is told."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from made_entries import an_entry, settings
from made_targets import add_target, target

from chgtools.cli import main
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.stores.index import Index, composition_of, elements_of, read_index, write_index
from chgtools.stores.join import Joined, join
from chgtools.stores.kinds import kinds_of
from chgtools.stores.splits import split
from chgtools.stores.store import JoinedStore, Store, writable, write_entry


def store_of(path: Path, numbers, kind="made") -> Path:
    path.parent.mkdir(exist_ok=True)
    with writable(path) as file:
        for number in numbers:
            entry = an_entry(number, kind)
            facts = {**entry.attributes, "source_sha256": f"{number:064d}"}
            write_entry(file, replace(entry, attributes=facts))
    return path


@pytest.fixture
def parts(tmp_path):
    """Two stores in a folder of their own, one of another kind."""
    return [
        store_of(tmp_path / "shards" / "a.h5", range(5)),
        store_of(tmp_path / "shards" / "b.h5", range(5, 8), "salt"),
    ]


@pytest.fixture
def whole(parts, tmp_path):
    assert join(tmp_path / "all.h5", parts) == Joined(8, 2, 0)
    return tmp_path / "all.h5"


def assert_same(ours, theirs):
    assert ours.name == theirs.name
    np.testing.assert_array_equal(ours.dcd, theirs.dcd)
    np.testing.assert_array_equal(ours.structure.frac, theirs.structure.frac)
    np.testing.assert_array_equal(ours.structure.lattice, theirs.structure.lattice)
    assert ours.structure.elements == theirs.structure.elements
    assert dict(ours.attributes) == dict(theirs.attributes)


def test_an_index_is_the_mapping_of_all_entries(whole, parts):
    joined, stores = Store.open(whole), [Store.open(part) for part in parts]
    assert isinstance(joined, JoinedStore)
    assert list(joined) == [name for store in stores for name in store]
    assert len(joined) == 8
    for store in stores:
        for name, entry in store.items():
            assert name in joined
            assert_same(joined[name], entry)
    assert "other" not in joined
    with pytest.raises(ChgtoolsError, match=r"all\.h5 has no entry 'made9'; it has 8, such as made"):
        joined["made9"]


def test_facts_come_from_the_index_alone_and_are_those_of_the_stores(whole, parts):
    wanted = {name: facts for part in parts for name, facts in Store.open(part).facts()}
    kinds = {path.name: kinds_of(Store.open(path)) for path in parts}
    for part in parts:
        part.unlink()
    joined = Store.open(whole)
    for name, facts in joined.facts():
        assert set(facts) == {"formula", "kind", "source_sha256", "nelectrons", "saed_eps_mae_percent", "elements",
                              "n_waves", "spins", "labels", "moments_on"}  # fmt: skip
        assert facts == {
            key: tuple(wanted[name].get(key, ())) if key == "labels" else wanted[name][key] for key in facts
        }
    assert kinds_of(joined)[:2] == [kinds["a.h5"][0], kinds["b.h5"][0]]
    assert kinds_of(joined)[2].entries == 8


def test_the_numbers_of_atoms_waves_and_spins(tmp_path):
    paths = []
    for spins in (0, 1, 3):
        paths.append(tmp_path / f"{spins}.h5")
        add_target(paths[-1], target(tmp_path / f"{spins}.dcd.h5", spins, spins=spins))
    join(tmp_path / "all.h5", paths)
    joined = Store.open(tmp_path / "all.h5")
    assert joined.index.columns["spins"].tolist() == [0, 1, 3]
    assert joined.index.columns["n_waves"].tolist() == [len(entry.dcd) for entry in joined.values()]
    assert joined.index.columns["n_atoms"].tolist() == [entry.structure.n_atoms for entry in joined.values()]
    for part, (_, facts) in zip(paths, joined.facts(), strict=True):
        ((_, own),) = Store.open(part).facts()
        assert [own[key] for key in ("n_waves", "spins")] == [facts[key] for key in ("n_waves", "spins")]


def test_a_source_of_two_stores_is_there_once_and_two_of_one_name_are_two(tmp_path):
    first = store_of(tmp_path / "a.h5", [1, 2])
    second = store_of(tmp_path / "b.h5", [2, 3])
    with h5py.File(second, "a") as file:
        file.move("made3", "made1")  # another source by the name of one in the first
    assert join(tmp_path / "all.h5", [first, second]) == Joined(3, 2, 1)
    joined = Store.open(tmp_path / "all.h5")
    assert list(joined) == ["made1", "made2", "made1-" + "0" * 12]
    np.testing.assert_array_equal(joined["made1-" + "0" * 12].dcd, Store.open(second)["made1"].dcd)
    assert joined["made1-" + "0" * 12].name == "made1-" + "0" * 12


def test_entries_of_unknown_source_are_told_apart_by_their_numbers(tmp_path):
    paths = [store_of(tmp_path / f"{name}.h5", [1, 2]) for name in "ab"]
    with h5py.File(paths[0], "a") as one, h5py.File(paths[1], "a") as two:
        for file in (one, two):
            for name in file:
                del file[name].attrs["source_sha256"]
        two["made2/dcd"][0, 0] += 1
    assert join(tmp_path / "all.h5", paths) == Joined(3, 2, 1)


def test_a_split_is_written_to_the_index_alone(whole, parts):
    before = [part.read_bytes() for part in parts]
    with pytest.raises(ChgtoolsError, match=r"all\.h5 has no splits"):
        Store.open(whole).in_split("train")
    fractions = {"train": 0.5, "validation": 0.25, "test": 0.25}
    counts = split(whole, fractions, seed=3, hold_out=["salt"])
    assert [part.read_bytes() for part in parts] == before
    joined = Store.open(whole)
    assert {where: len(joined.in_split(where)) for where in counts} == counts
    assert counts["held-out"] == 3
    assert set(joined.in_split("held-out")) == set(Store.open(parts[1]))
    # the same rule as for a store
    split(parts[0], fractions, seed=3)
    assert Store.open(parts[0]).in_split("train") == joined.in_split("train")
    assert dict(joined.facts())["made0"]["split"] in counts
    assert joined.split_rule["split_seed"] == 3
    assert json.loads(joined.split_rule["split_fractions"]) == fractions


def test_a_store_that_has_changed_since_is_told(whole, parts):
    joined = Store.open(whole)
    store_of(parts[0], [9])
    with pytest.raises(
        ChgtoolsError,
        match=r"a\.h5 has changed since it was joined to .*all\.h5; join again: chgtools dataset join -o .*all\.h5 --force STORES",
    ):
        joined["made1"]
    assert joined["salt5"].name == "salt5"
    os.utime(parts[1])
    with pytest.raises(ChgtoolsError, match="b.h5 has changed since"):
        joined["salt5"]
    parts[1].unlink()
    with pytest.raises(
        ChgtoolsError, match=r"b\.h5, a store of .*all\.h5, cannot be read \(No such file or directory\); bring"
    ):
        joined["salt5"]
    assert join(whole, parts[:1]) == Joined(6, 1, 0)
    assert Store.open(whole)["made9"].name == "made9"


def test_an_entry_that_is_gone_is_told(whole, parts):
    status = parts[0].stat()
    content = parts[0].read_bytes()
    with h5py.File(parts[0], "a") as file:
        file.move("made1", "made7")
    assert parts[0].stat().st_size == len(content)
    os.utime(parts[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ChgtoolsError, match=r"a\.h5 has no entry made1 any more; join again"):
        Store.open(whole)["made1"]


def test_an_index_moves_with_its_stores(whole, tmp_path, monkeypatch):
    assert Store.open(whole).index.stores == ("shards/a.h5", "shards/b.h5")
    (tmp_path / "elsewhere").mkdir()
    for name in ("shards", "all.h5"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    monkeypatch.chdir(tmp_path / "elsewhere" / "shards")
    assert len(list(Store.open("../all.h5").values())) == 8


def test_a_training_takes_an_index_as_a_store(whole, parts, tmp_path):
    from chgtools.training.data import read_data

    one = store_of(tmp_path / "one.h5", range(5))
    store_of(one, range(5, 8), "salt")
    ours, theirs = read_data(settings(whole)), read_data(settings(one))
    assert [entry.name for entry in theirs.train] == [entry.name for entry in ours.train]
    assert [entry.name for entry in theirs.validation] == [entry.name for entry in ours.validation]
    assert len(read_data(settings(whole, kinds=("salt",))).train) < len(ours.train)


def test_an_index_is_copied_into_a_store(whole, parts, tmp_path):
    outcome = add_target(tmp_path / "one.h5", whole)
    assert set(outcome.names) == set(Store.open(whole)) == set(Store.open(tmp_path / "one.h5"))
    with pytest.raises(ChgtoolsError, match=r"a\.h5 is the store itself"):
        add_target(parts[0], whole)


def test_what_cannot_be_joined(whole, parts, tmp_path):
    with pytest.raises(SettingsError, match=r"all\.h5 is an index itself; name the stores"):
        join(tmp_path / "more.h5", [whole, *parts])
    assert not (tmp_path / "more.h5").exists()
    before = parts[0].read_bytes()
    with pytest.raises(ChgtoolsError, match=r"a\.h5 is there and is no index of stores; it is not replaced"):
        join(parts[0], parts)
    assert parts[0].read_bytes() == before
    with pytest.raises(FormatError, match=r"none\.h5: no such file"):
        join(tmp_path / "more.h5", [tmp_path / "none.h5"])
    with (
        pytest.raises(FormatError, match="is no store of difference densities but 'chgtools index of stores'"),
        writable(whole),
    ):
        pass


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda file: file.__delitem__("entries/kind"), "is damaged .*kind.*join the stores again"),
        (lambda file: file["entries/store"].__setitem__(0, 9), "names stores beyond the 2"),
        (lambda file: file["entries/name"].__setitem__(1, b"made0"), "has a name twice"),
        (lambda file: (file.__delitem__("stores/size"), file.__setitem__("stores/size", [1])), "columns of several lengths"),
        (lambda file: (file.__delitem__("entries/kind"), file.__setitem__("entries/kind", [1.0])), "wanted a list of words"),
        (lambda file: file["entries/store"].__setitem__(0, -1), "store holds what is no number of things"),
        (lambda file: file["entries/nelectrons"].__setitem__(0, np.inf), "nelectrons holds what is no figure"),
        (lambda file: file["entries/kind"].__setitem__(0, b"\xff"), "can't decode"),
    ],
)  # fmt: skip
def test_a_damaged_index(damage, sentence, whole):
    with h5py.File(whole, "a") as file:
        damage(file)
    with pytest.raises(FormatError, match=rf"all\.h5: .*{sentence}"):
        Store.open(whole)


def test_a_damaged_composition_names_the_index(whole):
    with h5py.File(whole, "a") as file:
        file["entries/composition"][2] = b"17"
    with pytest.raises(FormatError, match=r"all\.h5: .*composition '17'; wanted elements"):
        list(Store.open(whole).facts())


def test_compositions():
    for elements in (["Al", "Al", "O", "O", "O"], ["O", "Al", "O"], ["H"], []):
        assert elements_of(composition_of(elements)) == elements
    assert composition_of(["Al", "Al", "O"]) == "Al2 O1"


def test_an_index_of_nothing_and_words_of_any_length(tmp_path):
    write_index(tmp_path / "empty.h5", Index.of([], [], []))
    assert len(read_index(tmp_path / "empty.h5").names()) == 0
    assert list(Store.open(tmp_path / "empty.h5").facts()) == []


def command(*arguments):
    return CliRunner().invoke(main, ["dataset", *map(str, arguments)])


def test_the_command(parts, tmp_path):
    output = tmp_path / "all.h5"
    done = command("join", "-o", output, *parts, parts[0])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{output}: 8 structures in 3 stores; 5 copies are left out\n"
    assert command("join", "-o", output, *parts).exit_code == 2
    done = command("join", "-o", output, *parts, "--force", "--json")
    assert json.loads(done.stdout) == {"file": str(output), "entries": 8, "stores": 2, "left_out": 0}
    assert json.loads(command("split", output, "--json").stdout)["splits"].keys() == {"train", "validation", "test"}
    assert [row["kind"] for row in json.loads(command("list", output, "--json").stdout)] == ["made", "salt", "all"]
    parts[0].unlink()
    done = command("join", "-o", output, *parts, "--force")
    assert done.exit_code == 1
    assert "a.h5: no such file" in done.stderr
    assert len(Store.open(output)) == 8  # the one that there was
