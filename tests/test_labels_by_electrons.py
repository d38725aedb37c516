"""Labels of a file that nothing names: by a POTCAR.spec, else by its electrons where only one choice gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_archives import archive
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.charges import charges_of
from chgtools.cli import main
from chgtools.errors import FormatError, MismatchError
from chgtools.formats import chgcar, poscar
from chgtools.formats.potcar_spec import read_potcar_spec
from chgtools.libraries.choice import Source, other_labels
from chgtools.libraries.library import DensityLibrary
from chgtools.run.settings import settings_for
from chgtools.start.superposition import superpose
from chgtools.stores.build import build
from chgtools.stores.join import join
from chgtools.stores.store import Store
from chgtools.volumetric import VolumetricData

SHAPE = (16, 16, 16)


def crystal(*groups: tuple[str, int], edge: float = 4.2) -> chgtools.Structure:
    n = sum(count for _, count in groups)
    frac = [[i / n, 0.5 * (i % 2), 0.3 * (i % 3)] for i in range(n)]
    return chgtools.Structure(np.eye(3) * edge, tuple(s for s, _ in groups), tuple(c for _, c in groups), frac)


def write(folder, atoms, labels, library=None):
    """The CHGCAR of the superposed atoms of these labels, so that its difference density is 0 with these alone."""
    library = library or DensityLibrary.builtin()
    folder.mkdir(exist_ok=True)
    density = superpose(atoms, SHAPE, [library[label] for label in labels])
    chgcar.write(VolumetricData("CHGCAR", atoms, [density]), folder / "CHGCAR")
    return folder / "CHGCAR"


WO3 = crystal(("W", 1), ("O", 3))
YBN = crystal(("Yb", 1), ("N", 1), edge=4.8)
OF_THE_FILE = (
    "labels: W = W_sv, which alone give the file's 32 electrons (the Materials Project's PBE set would give 30)"
)


@pytest.mark.parametrize(
    ("atoms", "labels"),
    [
        (WO3, ("W_sv", "O")),
        (YBN, ("Yb_3", "N")),
        (crystal(("O", 2), ("W", 1), ("O", 1)), ("O", "W_sv", "O")),
        (crystal(("D", 2), ("W", 1), ("O", 2)), ("H", "W_sv", "O")),
    ],
)
def test_the_only_labels_with_the_electrons_of_the_file(tmp_path, atoms, labels):
    made = chgtools.difference_density(write(tmp_path, atoms, labels))
    assert made.labels == labels
    np.testing.assert_allclose(made.dcd, 0, atol=1e-7 * made.saed.max())
    assert sum("which alone give the file's" in said for said in made.assumptions) == 1


def test_default_labels_go_first_and_nothing_is_said(tmp_path):
    made = chgtools.difference_density(write(tmp_path, WO3, ("W_pv", "O")))
    assert made.labels == ("W_pv", "O")
    assert not any("alone give" in said for said in made.assumptions)


def test_old_and_new_sets_in_one_archive(tmp_path):
    """Of each file by itself; said in the manifest."""
    members = []
    for name, atoms, labels in (
        ("old", WO3, ("W_pv", "O")), ("new", WO3, ("W_sv", "O")),
        ("yb2", YBN, ("Yb_2", "N")), ("yb3", YBN, ("Yb_3", "N")),
    ):  # fmt: skip
        members.append((f"{name}/CHGCAR", write(tmp_path / name, atoms, labels).read_bytes()))
    made = archive(tmp_path / "mp.tar.gz", members)
    result = CliRunner().invoke(main, ["dataset", "build", "-o", str(tmp_path / "all.h5"), str(made)])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "all.h5.manifest.jsonl").read_text().splitlines()
    notes = {record["file"].rpartition(":")[2]: record["notes"] for record in map(json.loads, lines)}
    assert OF_THE_FILE in notes["new/CHGCAR"]
    assert any("Yb = Yb_3" in note for note in notes["yb3/CHGCAR"])
    assert not any("alone give" in note for name in ("old/CHGCAR", "yb2/CHGCAR") for note in notes[name])
    store = Store.open(tmp_path / "all.h5")
    labels = {
        Path(str(facts["source"])).parent.name.partition(":")[2]: " ".join(facts["labels"])
        for _, facts in store.facts()
    }
    assert labels == {"old": "W_pv O", "new": "W_sv O", "yb2": "Yb_2 N", "yb3": "Yb_3 N"}


def test_several_that_fit_are_named_and_none_is_taken(tmp_path):
    """Ti has 4, 10 or 12 electrons, V 5, 11 or 13: 15 of them are Ti V_pv or Ti_pv V."""
    atoms = crystal(("Ti", 1), ("V", 1))
    path = write(tmp_path, atoms, ("Ti", "V_pv"))
    with pytest.raises(
        MismatchError, match=r"several labels give that count; name the run's potentials: --label Ti=Ti"
    ):
        chgtools.difference_density(path)
    made = chgtools.difference_density(path, source=Source(labels={"V": "V_pv"}))
    assert made.labels == ("Ti", "V_pv")  # what is named leaves one choice


def test_labels_that_are_named_stay(tmp_path):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    with pytest.raises(MismatchError, match=r"its atoms 30 = .*; name the run's potentials: --label W=W_sv"):
        chgtools.difference_density(path, source=Source(labels={"W": "W_pv"}))
    header = WO3.with_changes(labels=("W_pv", "O"))
    with pytest.raises(MismatchError, match="its atoms 30 = "):
        chgtools.difference_density(path, header)


def test_a_charged_cell_says_nothing_of_labels(tmp_path):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    (tmp_path / "INCAR").write_text("NELECT = 32\n")
    made = chgtools.difference_density(path)
    assert made.labels == ("W_pv", "O")
    assert made.dcd.mean() * WO3.volume == pytest.approx(2, abs=1e-6)


def test_of_an_own_library_its_labels_alone(tmp_path):
    builtin = DensityLibrary.builtin()
    DensityLibrary([builtin["W_pv"], builtin["W"], builtin["O"]]).write(tmp_path / "lib.h5")
    source = Source(library=tmp_path / "lib.h5")
    assert chgtools.difference_density(write(tmp_path / "a", WO3, ("W", "O")), source=source).labels == ("W", "O")
    with pytest.raises(MismatchError, match="--label W=W_sv"):
        chgtools.difference_density(write(tmp_path / "b", WO3, ("W_sv", "O")), source=source)


def test_what_the_count_leaves_open_stays_as_it_was_chosen(tmp_path):
    """Ti_a of an own library has the electrons of Ti_pv, and comes before it."""
    builtin = DensityLibrary.builtin()
    own = replace(builtin["Ti_pv"], label="Ti_a")
    DensityLibrary([own, *(builtin[label] for label in ("Ti_pv", "W_pv", "W_sv"))]).write(tmp_path / "lib.h5")
    atoms = crystal(("Ti", 1), ("W", 1))
    path = write(tmp_path, atoms, ("Ti_pv", "W_sv"))
    assert chgtools.difference_density(path, source=Source(library=tmp_path / "lib.h5")).labels == ("Ti_pv", "W_sv")


def test_groups_of_one_element_that_the_header_names_differently(tmp_path):
    """W_pv and W beside titanium, which alone is open: 2 x 12 + 6 + 12 electrons."""
    atoms = crystal(("W", 2), ("W", 1), ("Ti", 1)).with_changes(labels=("W_pv", "W", ""))
    path = write(tmp_path, atoms, ("W_pv", "W", "Ti_sv"))
    made = chgtools.difference_density(path, atoms)
    assert made.labels == ("W_pv", "W", "Ti_sv")
    np.testing.assert_allclose(made.dcd, 0, atol=1e-7 * made.saed.max())


def test_the_labels_are_in_an_index_of_stores(tmp_path):
    for name, labels in (("old", ("W_pv", "O")), ("new", ("W_sv", "O"))):
        (outcome,) = build(tmp_path / f"{name}.h5", [(write(tmp_path / name, WO3, labels), None)])
        assert outcome.status == "added"
    join(tmp_path / "index.h5", [tmp_path / "old.h5", tmp_path / "new.h5"])
    facts = [facts for _, facts in Store.open(tmp_path / "index.h5").facts()]
    assert [each["labels"] for each in facts] == [("W_pv", "O"), ("W_sv", "O")]
    assert [each["nelectrons"] for each in facts] == pytest.approx([30, 32])


def test_what_counts_as_a_label_of_today():
    """No GW potentials, none of the set of 2010 alone, no pseudo-hydrogen."""
    atoms = crystal(("W", 1), ("H", 1), ("O", 1), ("Yb", 1))
    assert other_labels(atoms, Source()) == {
        "W": {6.0: "W", 12.0: "W_pv", 14.0: "W_sv"},
        "H": {1.0: "H"},
        "O": {6.0: "O"},
        "Yb": {8.0: "Yb_2", 9.0: "Yb_3", 24.0: "Yb"},
    }
    assert "W" not in other_labels(atoms, Source(labels={"W": "W_pv"}))
    assert "H" not in other_labels(atoms.with_changes(labels=("", "H_h", "", "")), Source())


def test_charges_are_of_the_same_labels(tmp_path):
    charges = charges_of(write(tmp_path, WO3, ("W_sv", "O")))
    assert charges.labels == ("W_sv", "O", "O", "O")
    np.testing.assert_allclose(charges.charges, 0, atol=1e-5)
    assert OF_THE_FILE in charges.assumptions


# POTCAR.spec


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("POTCAR.spec", "W_sv\nO\n"),
        ("POTCAR.spec.json", json.dumps([{"titel": "PAW_PBE W_sv 04Sep2015"}, {"titel": "PAW_PBE O 08Apr2002"}])),
        ("POTCAR.spec.json", json.dumps([{"symbol": "W_sv", "titel": "x"}, {"symbol": "O"}])),
    ],
)
def test_a_potcar_spec_names_the_labels(tmp_path, name, text):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    (tmp_path / name).write_text(text)
    made = chgtools.difference_density(path)
    assert made.labels == ("W_sv", "O")
    assert f"labels: W = W_sv, O = O ({tmp_path / name})" in made.assumptions
    assert not any("alone give" in said or "PBE set" in said for said in made.assumptions)


def test_a_header_and_a_potcar_go_before_a_potcar_spec(tmp_path):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    (tmp_path / "POTCAR.spec").write_text("W_pv\nO\n")
    made = chgtools.difference_density(path, WO3.with_changes(labels=("W_sv", "O_s")))
    assert made.labels == ("W_sv", "O_s")
    write_synthetic_potcar(tmp_path / "POTCAR", [("W_sv", 14.0, (0, 1)), ("O", 6.0, (0, 1))])
    both = chgtools.difference_density(path, source=Source(potcar=tmp_path / "POTCAR"))
    assert both.labels == ("W_sv", "O")
    assert not any("POTCAR.spec" in said for said in (*made.assumptions, *both.assumptions))


def test_a_folder_of_potcars_has_what_the_file_needs(tmp_path):
    path = write(tmp_path / "run", WO3, ("W_sv", "O"))
    for label, zval in (("W_pv", 12.0), ("W_sv", 14.0), ("O", 6.0)):
        (tmp_path / "sets" / label).mkdir(parents=True)
        write_synthetic_potcar(tmp_path / "sets" / label / "POTCAR", [(label, zval, (0, 1))])
    assert chgtools.difference_density(path, source=Source(potcar=tmp_path / "sets")).labels == ("W_sv", "O")
    (tmp_path / "sets" / "W_sv" / "POTCAR").unlink()
    with pytest.raises(MismatchError, match="--label W=W_sv"):
        chgtools.difference_density(path, source=Source(potcar=tmp_path / "sets"))


def test_a_prediction_has_the_labels_of_a_potcar_spec(tmp_path):
    poscar.write(WO3, tmp_path / "POSCAR")
    (tmp_path / "POTCAR.spec").write_text("W_sv\nO\n")
    assert settings_for(tmp_path / "POSCAR").choice.labels == ("W_sv", "O")


def test_a_potcar_spec_is_believed_before_the_electrons(tmp_path):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    (tmp_path / "POTCAR.spec").write_text("W_pv\nO_s\n")
    with pytest.raises(MismatchError, match=r"30 = 1 x 12 \(W_pv\) \+ 3 x 6 \(O_s\)"):
        chgtools.difference_density(path)
    made = chgtools.difference_density(path, source=Source(labels={"W": "W_sv"}))
    assert made.labels == ("W_sv", "O_s")
    assert f"labels: O = O_s ({tmp_path / 'POTCAR.spec'})" in made.assumptions


def test_a_potcar_spec_of_other_groups_is_told_and_not_used(tmp_path):
    path = write(tmp_path, WO3, ("W_sv", "O"))
    (tmp_path / "POTCAR.spec").write_text("O\nW_sv\n")
    made = chgtools.difference_density(path)
    assert f"{tmp_path / 'POTCAR.spec'} is not used: it names O W_sv, the groups of atoms are W O" in made.assumptions
    assert OF_THE_FILE in made.assumptions


@pytest.mark.parametrize("text", ["", "PAW_PBE W_sv 04Sep2015\n", "[1, 2]", "[{", '[{"titel": "W_sv"}]', "\xff"])
def test_what_is_no_potcar_spec(tmp_path, text):
    (tmp_path / "POTCAR.spec").write_bytes(text.encode("latin1"))
    with pytest.raises(FormatError, match=r"is no POTCAR\.spec; wanted a label to a line"):
        read_potcar_spec(tmp_path / "POTCAR.spec")
