"""Libraries of atomic densities on disk."""

from __future__ import annotations

import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
from synthetic_potcar import data_set, write_synthetic_potcar

from chgtools.atoms.density import AtomicDensity
from chgtools.atoms.labels import all_labels, label_facts
from chgtools.errors import (
    AssumptionWarning,
    ChgtoolsError,
    FormatError,
    MismatchError,
    MissingDensityError,
    SettingsError,
)
from chgtools.libraries import library as library_module
from chgtools.libraries.library import DensityLibrary, builtin_path, write_densities

SETS = [("Fe", 8, (2, 2, 0, 0)), ("Fe_pv", 14, (1, 1, 2, 2, 0, 0)), ("O", 6, (0, 0, 1, 1)), ("H1.25", 1.25, (0, 0, 1))]


def atom(label="Si", zval=4.0, width=0.6, xc="PBE", element="Si", **more):
    q = np.linspace(0, 30, 400)  # its last digits are not those of q[1] · i
    return AtomicDensity(label, element, zval, q, zval * np.exp(-0.5 * (width * q) ** 2), "test", xc=xc, **more)


@pytest.fixture
def potcar(tmp_path):
    return write_synthetic_potcar(tmp_path / "POTCAR", SETS)


def same(a, b):
    """Equal to the last bit, whatever the field."""
    assert a.sha256 == b.sha256
    np.testing.assert_array_equal(a.q, b.q)
    np.testing.assert_array_equal(a.form, b.form)
    for name in ("label", "element", "zval", "source", "xc", "channels", "enmax", "eaug", "provenance"):
        assert getattr(a, name) == getattr(b, name), name
    assert (a.occupancies is None) == (b.occupancies is None)
    if a.occupancies is not None:
        np.testing.assert_array_equal(a.occupancies, b.occupancies)


def test_round_trip(tmp_path, potcar):
    library = DensityLibrary.from_potcar(potcar)
    library.add(atom(provenance={"configuration": "3s2 3p2", "core_radius": 0.9}))
    library.add(atom("C", element="C", xc=""))
    library.write(tmp_path / "lib.h5")
    back = DensityLibrary.open(tmp_path / "lib.h5")
    assert set(back) == set(library) == {"Fe", "Fe_pv", "O", "H1.25", "Si", "C"}
    assert len(back) == 6
    for label in library:
        same(back[label], library[label])


def test_entries_are_read_when_asked_for(tmp_path, potcar):
    path = tmp_path / "lib.h5"
    DensityLibrary.from_potcar(potcar).write(path)
    with h5py.File(path, "a") as file:
        del file["PBE/Fe/form"]
    library = DensityLibrary.open(path)
    assert library["O"].zval == 6
    with pytest.raises(FormatError, match=r"lib\.h5: the entry /PBE/Fe is damaged .*build the library again"):
        library["Fe"]


def test_layout_as_documented(tmp_path, potcar):
    path = tmp_path / "lib.h5"
    write_densities(path, DensityLibrary.from_potcar(potcar).values(), {"program": "by hand"})
    with h5py.File(path) as file:
        assert file.attrs["format"] == "chgtools atomic densities"
        assert file.attrs["format_version"] == 1
        assert (file.attrs["unit_q"], file.attrs["unit_form"], file.attrs["unit_energy"]) == (
            "1/angstrom",
            "electrons",
            "eV",
        )
        assert file.attrs["program"] == "by hand"
        assert "chgtools_version" in file.attrs
        group = file["PBE/Fe_pv"]
        assert group.attrs["q_step"] == 0.04
        assert group["form"].shape == (1000,)
        assert group["occupancies"].shape == (6, 6)


def test_equal_tables_are_stored_once(tmp_path):
    names = [f"Si_{i}" for i in range(20)]
    rng = np.random.default_rng(0)
    form = rng.normal(size=3000)
    form[0] = 4
    twins = [AtomicDensity(name, "Si", 4, 0.01 * np.arange(3000), form, "test", "PBE") for name in names]
    write_densities(tmp_path / "twins.h5", twins)
    write_densities(tmp_path / "one.h5", twins[:1])
    assert os.path.getsize(tmp_path / "twins.h5") < 2 * os.path.getsize(tmp_path / "one.h5")
    same(DensityLibrary.open(tmp_path / "twins.h5")["Si_19"], twins[19])


def test_two_functionals_in_one_file(tmp_path):
    path = tmp_path / "lib.h5"
    write_densities(path, [atom(), atom(xc="LDA", width=0.7), atom("C", element="C")])
    assert DensityLibrary.open(path, "LDA")["Si"].form[1] != DensityLibrary.open(path, "PBE")["Si"].form[1]
    assert list(DensityLibrary.open(path, "LDA")) == ["Si"]
    with pytest.raises(SettingsError, match="holds Si for LDA and PBE; name the functional"):
        DensityLibrary.open(path)
    with pytest.raises(SettingsError, match="no densities for PW91; it has LDA, PBE"):
        DensityLibrary.open(path, "PW91")


def test_unknown_label_names_those_of_the_element(potcar):
    library = DensityLibrary.from_potcar(potcar)
    with pytest.raises(MissingDensityError, match=r"no density for 'Fe_sv2' in .*POTCAR; of Fe there are Fe, Fe_pv$"):
        library["Fe_sv2"]
    with pytest.raises(MissingDensityError, match="of O there is O$"):
        library["O_h"]
    with pytest.raises(MissingDensityError, match="there are "):
        library["Zn"]
    with pytest.raises(MissingDensityError, match="there are none"):
        DensityLibrary()["Zn"]
    assert library.get("Zn") is None
    assert "Zn" not in library
    assert "Fe_pv" in library


def test_one_label_two_densities(potcar):
    library = DensityLibrary.from_potcar(potcar)
    library.add(library["O"])
    with pytest.raises(MismatchError, match="two different densities are named O: POTCAR PAW_PBE O 01Jan2000 and test"):
        library.add(atom("O", 6, element="O"))
    assert len(library) == 4


@pytest.mark.parametrize("label", ["", "Mg_pv/f474ac0d"])
def test_labels_that_cannot_be_stored(tmp_path, label):
    with pytest.raises(ChgtoolsError, match="is no label to store by"):
        write_densities(tmp_path / "lib.h5", [atom(label)])
    assert list(tmp_path.iterdir()) == []


def test_failed_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "lib.h5"
    DensityLibrary([atom()]).write(path)
    with pytest.raises(MismatchError, match="Si \\(PBE\\) comes twice"):
        write_densities(path, [atom(), atom()])
    assert list(DensityLibrary.open(path)) == ["Si"]
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_other_files(tmp_path):
    with pytest.raises(FormatError, match=r"lib\.h5: no such file; .* make one with chgtools densities build"):
        DensityLibrary.open(tmp_path / "lib.h5")
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    with pytest.raises(FormatError, match="is no HDF5 file"):
        DensityLibrary.open(text)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.attrs["format"] = "chgtools difference density"
    with pytest.raises(
        FormatError, match="is no library of atomic densities but 'chgtools difference density'; wanted one made by"
    ):
        DensityLibrary.open(other)


def test_refuses_newer_versions(tmp_path):
    path = tmp_path / "lib.h5"
    DensityLibrary([atom()]).write(path)
    with h5py.File(path, "a") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(FormatError, match="format version 3, this chgtools reads up to 2: upgrade it"):
        DensityLibrary.open(path)


def test_mean_occupancies_are_kept_and_make_it_version_2(tmp_path, potcar):
    """A release that knows version 1 refuses a library with means, and reads one without."""
    library = DensityLibrary.from_potcar(potcar)
    mean = np.add.outer(np.arange(4.0), np.arange(4.0))
    library.add(replace(library["O"], mean_occupancies=mean, provenance={"mean_atoms": 12}))
    path = tmp_path / "lib.h5"
    library.write(path)
    back = DensityLibrary.open(path)
    np.testing.assert_array_equal(back["O"].mean_occupancies, mean)
    np.testing.assert_array_equal(back["O"].occupancies, library["O"].occupancies)
    assert back["O"].provenance == {"mean_atoms": 12}
    assert back["Fe"].mean_occupancies is None
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2
        assert file["PBE/O/mean_occupancies"].shape == (4, 4)
    DensityLibrary.from_potcar(potcar).write(path)
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 1
    assert DensityLibrary.builtin()["Si"].mean_occupancies is None  # an older library


def test_mean_occupancies_of_another_size_are_refused():
    with pytest.raises(
        ChgtoolsError, match=r"density of Si: mean occupancies of shape \(3, 3\), channels want \(4, 4\)"
    ):
        atom(channels=(0, 0, 1, 1), mean_occupancies=np.eye(3))
    with pytest.raises(ChgtoolsError, match=r"mean occupancies of shape \(3, 3\), channels want \(0, 0\)"):
        atom(mean_occupancies=np.eye(3))


def test_a_file_cut_short(tmp_path):
    path = tmp_path / "lib.h5"
    DensityLibrary([atom()]).write(path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(FormatError, match="damaged"):
        DensityLibrary.open(path)["Si"]


def test_from_a_folder_tree(tmp_path):
    for label, zval, channels in SETS:
        write_synthetic_potcar(tmp_path / "potpaw_PBE.54" / label / "POTCAR.gz", [(label, zval, channels)])
    broken = tmp_path / "potpaw_PBE.54" / "Zn" / "POTCAR"
    broken.parent.mkdir()
    broken.write_text(data_set("Zn", 12)[:20000])
    with pytest.warns(AssumptionWarning, match=r"left out, .*Zn/POTCAR:.*cut short"):
        library = DensityLibrary.from_potcar(tmp_path)
    assert set(library) == {"Fe", "Fe_pv", "O", "H1.25"}
    two = tmp_path / "potpaw_PBE.64" / "O"
    two.mkdir(parents=True)
    (two / "POTCAR").write_text(data_set("O", 6, width=0.5))
    with pytest.warns(AssumptionWarning), pytest.raises(MismatchError, match="two different densities are named O"):
        DensityLibrary.from_potcar(tmp_path)


def test_a_tree_of_broken_potcars(tmp_path):
    (tmp_path / "Zn").mkdir()
    (tmp_path / "Zn" / "POTCAR").write_text("nothing")
    with pytest.warns(AssumptionWarning), pytest.raises(MissingDensityError, match="no POTCAR that can be used"):
        DensityLibrary.from_potcar(tmp_path)


@pytest.mark.parametrize("xc", ["PBE", "LDA"])
def test_builtin_has_every_label(xc):
    library = DensityLibrary.builtin(xc)
    assert set(library) == set(all_labels())
    for label in ("H.25", "Si", "Fe_pv", "Er_3", "Pu"):
        density, facts = library[label], label_facts(label)
        assert (density.label, density.element, density.xc) == (label, facts.element, xc)
        assert density.form[0] == density.zval == facts.zval
    with pytest.raises(MissingDensityError, match=rf"'Fe_x' in the built-in library \({xc}\); of Fe there are"):
        library["Fe_x"]


def test_builtin_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert builtin_path().is_file()
    monkeypatch.setattr(library_module, "BUILTIN_FILE", "nowhere.h5")
    with pytest.raises(ChgtoolsError, match=r"potcar_densities/nowhere\.h5 is missing; install chgtools again"):
        DensityLibrary.builtin()
