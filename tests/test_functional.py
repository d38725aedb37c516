"""The functional of a run: from POTCAR and INCAR into the entry, the index and the card of the weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import pytest
from made_atoms import atom
from made_entries import an_entry, settings
from made_targets import write_run

import chgtools
from chgtools.formats.incar import parse_incar
from chgtools.libraries.choice import Source
from chgtools.libraries.library import DensityLibrary
from chgtools.run.functional import functional_of
from chgtools.stores.build import BuildOptions, build
from chgtools.stores.join import join
from chgtools.stores.store import Store, writable, write_entry
from chgtools.training.members import Listener
from chgtools.training.run import train


@pytest.mark.parametrize(
    ("incar", "name"),
    [
        ("", "PBE"),
        ("GGA = PS", "PBEsol"),
        ("GGA = RP", "RPBE"),
        ("GGA = --", "PBE"),
        ("GGA = BF", "BF"),
        ("METAGGA = R2SCAN", "r2SCAN"),
        ("METAGGA = scan\nGGA = PS", "SCAN"),
        ("METAGGA = None", "PBE"),
        ("LDAU = .TRUE.", "PBE+U"),
        ("LDAU = .FALSE.", "PBE"),
        ("LDAU = maybe", "PBE"),
        ("LHFCALC = T", "PBE0"),
        ("LHFCALC = T\nHFSCREEN = 0.2", "HSE06"),
        ("LHFCALC = T\nHFSCREEN = 0.3", "HSE03"),
        ("LHFCALC = T\nAEXX = 0.3\nHFSCREEN = 0.2", "PBE with 30 % of exact exchange screened by 0.2/Å"),
        ("GGA = PS\nLHFCALC = T", "PBEsol with 25 % of exact exchange"),
        ("LUSE_VDW = .TRUE.\nGGA = MK", "MK+vdW"),
        ("IVDW = 12", "PBE"),
    ],
)
def test_names(incar, name):
    assert functional_of(["PBE", "", "PBE"], parse_incar(incar)) == name


def test_without_an_incar_it_is_that_of_the_atoms():
    assert functional_of(["LDA"], None) == "LDA"
    assert functional_of(["PBE", "LDA"], None) == "LDA and PBE"
    assert functional_of([""], None) == ""


def built(folder: str, incar: str = "", xc: str = "PBE"):
    """The store of one run in ``folder``, and its entry."""
    path = write_run(Path(folder))
    DensityLibrary([replace(atom("Si", 4), xc=xc), replace(atom("O", 6), xc=xc)]).write(Path(folder) / "xc.h5")
    (Path(folder) / "INCAR").write_text(incar)
    source = Source(library=Path(folder) / "xc.h5", labels={"Si": "Si", "O": "O"})
    (outcome,) = build(f"{folder}.h5", [(path, None)], BuildOptions(source=source))
    assert outcome.error == ""
    return Path(f"{folder}.h5"), Store.open(f"{folder}.h5")[outcome.names[0]]


def test_entries_targets_and_indexes_keep_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, entry = built("a", "METAGGA = R2SCAN")
    assert entry.attributes["functional"] == "r2SCAN"
    second, entry = built("b", xc="LDA")
    assert entry.attributes["functional"] == "LDA"
    made = chgtools.difference_density(
        "a/CHGCAR", source=Source(library=Path("a/xc.h5"), labels={"Si": "Si", "O": "O"})
    )
    chgtools.dcd.write(made, "a.dcd.h5")
    assert chgtools.dcd.read("a.dcd.h5").provenance["functional"] == "r2SCAN"
    with h5py.File(second, "a") as file:  # another density, or it would be there once
        file[next(iter(file))].attrs["source_sha256"] = "0" * 64
    join("both.h5", [first, second])
    assert sorted(facts["functional"] for _, facts in Store.open("both.h5").facts()) == ["LDA", "r2SCAN"]
    with h5py.File("both.h5", "a") as file:
        del file["entries/functional"]
    assert ["functional" in facts for _, facts in Store.open("both.h5").facts()] == [False, False]


def trained(path: Path, names: list[str], folder: Path):
    with writable(path) as file:
        for index, name in enumerate(names):
            entry = an_entry(index)
            attributes = {key: value for key, value in entry.attributes.items() if key != "functional"}
            write_entry(file, replace(entry, attributes=attributes | ({"functional": name} if name else {})))
    said: list[str] = []
    model = train(
        settings(path, validation={"share": 0.0}, steps=1, members=1), folder, listener=Listener(says=said.append)
    )
    return model.card, [sentence for sentence in said if "functionals" in sentence]


def test_the_card_says_what_the_training_was_on(tmp_path):
    card, said = trained(tmp_path / "one.h5", ["r2SCAN"] * 4, tmp_path / "one")
    assert (card["functional"], card["functionals"], said) == ("r2SCAN", {"r2SCAN": 4}, [])
    assert "functional_assumed" not in card
    card, said = trained(tmp_path / "two.h5", ["PBE", "LDA", "PBE", "PBE"], tmp_path / "two")
    assert (card["functional"], card["functionals"]) == ("PBE, LDA", {"PBE": 3, "LDA": 1})
    assert said == ["they are densities of several functionals (PBE 3, LDA 1), which the network cannot tell apart"]
    card, _ = trained(tmp_path / "old.h5", ["", "", "PBE"], tmp_path / "old")
    assert (card["functional"], card["functional_assumed"]) == ("PBE", 2)
