"""Stores from whole archives: every density once, in one pass over a packed tar, with the inputs of its run."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_archives import PACK, archive, tar_of
from made_parquet import write_emmet
from made_targets import difference, write_run

from chgtools.errors import FormatError
from chgtools.formats import archives, densities_in, tars
from chgtools.jobs.shard import Shard
from chgtools.libraries.choice import Source
from chgtools.stores import one_pass
from chgtools.stores.build import BuildOptions, build, sources_of
from chgtools.stores.listing import read_sources
from chgtools.stores.progress import Progress
from chgtools.stores.store import Store
from chgtools.volumetric import VolumetricData

COUNT = 4


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with runs 0 to 3; the second is charged, which its INCAR alone says."""
    monkeypatch.chdir(tmp_path)
    for i in range(COUNT):
        write_run(Path(str(i)), 0.5 * i)
        Path(f"{i}/INCAR").write_text("ENCUT = 300\n")
    return tmp_path


def members(order=("INCAR", "POSCAR", "CHGCAR")):
    """(name, content) of the files of all runs, run by run."""
    return [(f"./runs/{i}/{name}", Path(f"{i}/{name}").read_bytes()) for i in range(COUNT) for name in order]


def options():
    return BuildOptions(source=Source(library=Path("0/lib.h5"), labels={"Si": "Si", "O": "O"}))


def built(*files, store="all.h5", **changes):
    return list(build(store, sources_of([Path(file) for file in files]), options(), **changes))


def same_as_in_folders(outcomes, store="all.h5"):
    assert [(o.status, o.error) for o in outcomes] == [("added", "")] * COUNT
    plain = built(*(f"{i}/CHGCAR" for i in range(COUNT)), store="plain.h5")
    ours, theirs = Store.open(store), Store.open("plain.h5")
    for one, other in zip(outcomes, plain, strict=True):
        assert one.sha256 == other.sha256
        first, second = ours[one.names[0]], theirs[other.names[0]]
        assert np.array_equal(first.dcd, second.dcd)
        assert np.array_equal(first.structure.frac, second.structure.frac)


@pytest.fixture
def times_opened(monkeypatch):
    """How often a file was read from its beginning, by name; what peeks at its first bytes does not count."""
    counts: dict[str, int] = {}

    def counted(file, mode, compression):
        found = original(file, mode, compression)
        if isinstance(file, (str, Path)) and compression is not None:
            counts[str(file)] = counts.get(str(file), 0) + 1
        return found

    original = archives.opened
    archives._kind.cache_clear()
    archives._index_at.cache_clear()
    for module in (archives, tars):
        monkeypatch.setattr(module, "opened", counted)
    return counts


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.tar.zst", "a.tar.xz", "a.tar.lz4", "a.zip"])
def test_every_density_of_an_archive(name, here):
    made = archive(here / name, members())
    outcomes = built(made)
    same_as_in_folders(outcomes)
    assert [str(o.path) for o in outcomes] == [f"{made}:runs/{i}/CHGCAR" for i in range(COUNT)]
    assert all(any("positions of" in note for note in o.notes) for o in outcomes)


def test_a_packed_tar_is_read_twice_however_many_densities_it_has(here, times_opened):
    made = archive(here / "a.tar.gz", members())
    assert len(built(made)) == COUNT
    assert times_opened[str(made)] == 2  # for the list of its members, and for these


@pytest.mark.parametrize("order", [("CHGCAR", "INCAR", "POSCAR"), ("POSCAR", "CHGCAR", "INCAR")])
def test_inputs_behind_the_density_are_those_of_its_run(order, here, times_opened):
    """NELECT, which the CHGCAR contradicts, shows that the INCAR was read."""
    Path("2/INCAR").write_text("NELECT = 99\n")
    made = archive(here / "a.tar.gz", members(order))
    outcomes = {o.path.parent.name: o for o in built(made)}
    assert [outcomes[str(i)].status for i in range(COUNT)] == ["added", "added", "failed", "added"]
    assert "99" in outcomes["2"].error
    assert times_opened[str(made)] == 2


def test_inputs_far_behind_take_no_memory(here, monkeypatch):
    ordered = sorted(members(), key=lambda member: not member[0].endswith("CHGCAR"))
    made = archive(here / "a.tar.gz", ordered)
    waiting = []
    original = one_pass._Pass._with

    def looked_at(self, name, content):
        yield from original(self, name, content)
        waiting.append(self._size)

    monkeypatch.setattr(one_pass._Pass, "_with", looked_at)
    monkeypatch.setattr(one_pass, "MOST_WAITING", 2 * len(ordered[0][1]) + 1000)
    outcomes = sorted(built(made), key=lambda outcome: outcome.path)
    same_as_in_folders(outcomes)
    assert max(waiting) <= one_pass.MOST_WAITING
    assert waiting[-1] == 0


def test_the_poscar_of_a_list_lies_in_the_archive_too(here, times_opened):
    made = archive(here / "a.tar.gz", [*members(("CHGCAR",)), ("cells/0", Path("0/POSCAR").read_bytes())])
    Path("list").write_text(f"{made}:runs/0/CHGCAR\t{made}:cells/0\n{made}:runs/1/CHGCAR\n")
    outcomes = list(build("all.h5", read_sources(Path("list")), options()))
    assert {o.path.parent.name: any("no POSCAR" in note for note in o.notes) for o in outcomes} == {"0": 0, "1": 1}
    assert times_opened[str(made)] == 2


def test_the_layout_of_the_qm9_deposit_with_a_damaged_member(here):
    """DeepDFT's data: a plain tar of NAME.CHGCAR.lz4; what cannot be unpacked stops nothing."""
    packed = [(f"{i:06d}.CHGCAR.lz4", PACK[".lz4"](Path(f"{i}/CHGCAR").read_bytes())) for i in range(COUNT)]
    packed[1] = (packed[1][0], packed[1][1][:5000])
    outcomes = built(archive(here / "000xxx.tar", packed), jobs=2)
    by_name = {o.path.name.partition(":")[2]: o for o in outcomes}
    assert [by_name[name].status for name, _ in packed] == ["added", "failed", "added", "added"]
    assert "000001.CHGCAR.lz4: the lz4 stream is damaged or cut short" in by_name[packed[1][0]].error


@pytest.mark.parametrize("jobs", [1, 2])
def test_members_go_to_other_processes(jobs, here):
    outcomes = built(archive(here / "a.tar.gz", members()), jobs=jobs)
    same_as_in_folders(sorted(outcomes, key=lambda outcome: outcome.path))


def test_shards_and_manifests_know_members(here):
    made = archive(here / "a.tar.gz", members())
    for index in (1, 2):
        shard = Shard(index, 2)
        progress = Progress(Path("all.h5"), options(), shard)
        outcomes = list(build(progress.store, shard.part(sources_of([made])), options(), progress=progress))
        assert [o.path.parent.name for o in outcomes] == [str(i) for i in range(index - 1, COUNT, 2)]
        assert {o.status for o in outcomes} == {"added"}
    progress = Progress(Path("all.h5"), options())
    again = list(build(progress.store, sources_of([made]), options(), progress=progress))
    assert [o.status for o in again] == ["present"] * COUNT


def test_a_cut_archive_is_one_failure(here):
    made = archive(here / "a.tar.gz", members())
    made.write_bytes(made.read_bytes()[:-3000])
    (outcome,) = built(made)
    assert outcome.status == "failed"
    assert "the tar archive is damaged or cut short" in outcome.error


def test_a_link_is_no_density_and_stops_no_other(here):
    packed = io.BytesIO(tar_of(members()))
    with tarfile.open(fileobj=packed, mode="a") as tar:
        link = tarfile.TarInfo("runs/9/CHGCAR")
        link.type, link.linkname = tarfile.SYMTYPE, "../0/CHGCAR"
        tar.addfile(link)
    (here / "a.tar.gz").write_bytes(PACK[".gz"](packed.getvalue()))
    outcomes = built("a.tar.gz")
    assert [o.status for o in outcomes] == ["added"] * COUNT + ["failed"]
    assert "is a link to ../0/CHGCAR in the archive" in outcomes[-1].error


def found(path):
    return [str(each).partition(":")[2] for each in densities_in(path)]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("", ["a/CHGCAR.gz", "b/CHG", "mp-1.CHGCAR"]),
        (":*", ["a/CHGCAR.gz", "b/CHG", "mp-1.CHGCAR"]),
        (":a/*", ["a/CHGCAR.gz"]),
        (":*.json", ["x.json"]),
        (":a/CHGCAR.gz", []),  # a member, which stands for itself
        (":*.none", []),
    ],
)
def test_which_members_are_meant(pattern, wanted, tmp_path):
    names = ["a/CHGCAR.gz", "a/CHG.gz", "a/AECCAR0", "a/LOCPOT", "b/CHG", "b/POSCAR", "mp-1.CHGCAR", "x.json"]
    made = archive(tmp_path / "a.tar", [(name, b"content") for name in names])
    assert found(f"{made}{pattern}") == wanted


def test_one_density_alone_stays_with_its_poscar(here):
    made = archive(here / "a.tar", members()[:3])
    assert densities_in(made) == []
    with pytest.warns(UserWarning, match="its only density by name"):
        assert sources_of([made, Path("0/POSCAR")]) == [(Path(f"{made}:runs/0/CHGCAR"), Path("0/POSCAR"))]
    assert found(f"{made}:*") == ["runs/0/CHGCAR"]


def test_rows_of_parquet(here):
    densities = [difference(0.5 * i) for i in range(3)]
    data = [VolumetricData("CHGCAR", d.structure, [d.dcd + d.saed]) for d in densities]
    made = write_emmet(
        here / "x.parquet", [(f"mp-{i}", name, data[i]) for i, name in enumerate(["CHGCAR", "AECCAR0", "CHGCAR"])]
    )
    assert found(made) == found(f"{made}:*") == ["1", "3"]
    assert [o.status for o in built(made)] == ["added", "added"]


def test_a_list_names_an_archive(here):
    made = archive(here / "a.tar.gz", members())
    Path("list").write_text(f"{made}\n{made}:runs/[12]/*\n")
    assert [str(path).partition(":")[2] for path, _ in read_sources(Path("list"))] == [
        f"runs/{i}/CHGCAR" for i in (0, 1, 2, 3, 1, 2)
    ]


def test_passing_says_what_is_damaged(here):
    made = archive(here / "a.tar.gz", members())
    names = archives.names(made)
    content = made.read_bytes()
    wanted = archives.passing(made, names)
    assert next(wanted)[0] == names[0]
    made.write_bytes(content[: len(content) // 2])  # while it is read, so that its list is known
    with pytest.raises(FormatError, match="is damaged or cut short"):
        list(archives.passing(made, names))
