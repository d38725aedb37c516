"""A few hundred damaged and odd files of each reader (tests/fuzz.py has the thousands), and what they found, by name."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import fuzz
import fuzz_odd
import h5py
import numpy as np
import pytest
from fuzz_originals import KINDS, made
from synthetic_chgcar import charge
from test_other_densities import as_json

from chgtools.atoms.density import AtomicDensity
from chgtools.batch import Manifest, Shard, read_list
from chgtools.cell import Structure
from chgtools.check import check_file
from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats import chgcar, cube, hdf5, poscar, pymatgen_fields, xsf
from chgtools.formats.incar import parse_incar
from chgtools.formats.structures import as_structure
from chgtools.formats.table import read_table
from chgtools.formats.upf import read_upf

COUNT = {"POTCAR": 60, "UPF": 80}  # these files are the largest
SKIP = pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")


@SKIP
@pytest.mark.parametrize("reader", KINDS)
def test_damage_is_one_sentence_or_numbers(reader, tmp_path):
    """CHGTOOLS_FUZZ_SEED takes other files than those of every run (of library, seed 2 has one that libhdf5 loops on)."""
    seed = int(os.environ.get("CHGTOOLS_FUZZ_SEED", 0))
    found, bugs = fuzz.fuzz(reader, range(COUNT.get(reader, 400)), seed, tmp_path, memory=False)
    assert not bugs, fuzz.shown(bugs)
    assert found["read"]
    assert found["refused"]


# What VASP's list-directed READ takes and chgtools refuses, so that a number that has lost a digit is noticed: fields of
# the first line bind all of a block's. Where they stand is free; a CHG's first lines tell what they are
STRICT = {
    "CHGCAR": {"1.0E0", ".5 for 0.5"},
    "CHG": {"1.0E0", "1.0e0", "1.0D0", "1.0d0", ".5 for 0.5", "zeros behind"},
}
# An XDATCAR without its last newline was cut within a number, for all that can be known
REFUSED = {("XDATCAR", "no newline at the end")}


@SKIP
@pytest.mark.parametrize("reader", fuzz_odd.ODDITIES)
def test_odd_files_are_the_plain_one(reader, tmp_path):
    found, words = fuzz_odd.odd_files(reader, 6 * len(fuzz_odd.ODDITIES[reader]), 2, tmp_path)
    other = {(name, outcome) for name, outcome in found if outcome != "same"}
    if reader in STRICT:
        assert not [name for name, outcome in other if outcome != "refused"]
        assert {name for name, _ in other} <= STRICT[reader]
    else:
        wanted = {(name, "refused") for kind, name in REFUSED if kind == reader}
        assert other == wanted, {name: words[name] for name in other - wanted}


# --- what they found ------------------------------------------------------------------------------------------------


def spoilt(name: str, folder: Path, change) -> Path:
    """A valid HDF5 file of a kind, changed."""
    path = folder / KINDS[name].name
    path.write_bytes(made(KINDS[name], folder)[0])
    with h5py.File(path, "a") as file:
        change(file)
    return path


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def claimed(name, shape):
    """A data set of this shape that was never written."""

    def change(file):
        del file[name]
        file.create_dataset(name, shape, "f8", chunks=True)

    return change


def looped(name):
    def change(file):
        del file[name]
        file[name] = h5py.SoftLink("/" + name)

    return change


HDF5 = [
    ("target", lambda f: f.__delitem__("structure/lattice"), "is damaged .*lattice.*; make it again with chgtools make-dcd"),
    ("target", claimed("dcd", (10**9, 18, 20)), r"dcd has the shape \(1000000000, 18, 20\) and 0 bytes"),
    ("target", put("structure/zvals", [4.0]), "1 ZVALs for 2 labels"),
    ("target", put("structure/counts", [-2, 5]), "atom counts"),
    ("target", put("structure/species", [1, 2]), "species .* wanted a list of words"),
    ("target", put("dcd", np.zeros((3, 3, 3))), "its densities are on different grids"),
    ("target", lambda f: f.__setitem__("moments", np.ones((1, 2))), "moments of 2 atoms, the structure has 3"),
    ("target", lambda f: f.attrs.__setitem__("electrons", np.nan), "nan electrons"),
    ("target", lambda f: f.attrs.__setitem__("format", ["a", "b"]), "is no difference density but"),
    ("store", looped("plain/lattice"), "entry plain is damaged"),
    ("store", put("plain/lattice", 4.0), r"entry plain is damaged \(a lattice has shape"),
    ("store", claimed("plain/fractional", (10**9, 3)), "entry plain is damaged .*cannot hold it"),
    ("store", put("plain/shape", [10**6, 10**6, 10**6]), "a grid of 1000000 x 1000000 x 1000000 points"),
    ("store", put("plain/lattice", 1e5 * np.eye(3)), "far more coefficients than"),
    ("store", lambda f: f["plain"].attrs.__setitem__("dcd_0", np.inf), "its dcd_0 is inf"),
    ("library", looped("unknown/Si"), "the entry /unknown/Si is damaged"),
    ("library", claimed("unknown/Si/form", (10**9,)), "the entry /unknown/Si is damaged .*cannot hold it"),
    ("library", lambda f: f["unknown/Si"].attrs.__setitem__("q_step", 1e300), r"the step of q is 1e\+300"),
    ("vaspwave", put("structure/positions/direct_coordinates", np.zeros(0)), "direct_coordinates has the shape"),
    ("vaspwave", claimed("structure/positions/direct_coordinates", (10**9,)), "direct_coordinates .*cannot hold it"),
    ("vaspwave", put("charge/grid", [np.nan] * 3), "charge/grid holds numbers that are not finite"),
    ("vaspwave", put("structure/positions/scale", 2 + 1j), "scale holds complex128, wanted numbers"),
    ("vaspwave", put("structure/positions/lattice_vectors", np.zeros((3, 3))), "has no volume"),
    ("vaspwave", looped("charge/aug_occupancies_s01"), "is damaged"),
]  # fmt: skip


@SKIP
@pytest.mark.parametrize(("kind", "change", "message"), HDF5, ids=[f"{kind}: {said[:30]}" for kind, _, said in HDF5])
def test_hdf5_whose_pieces_are_damaged(kind, change, message, tmp_path):
    path = spoilt(kind, tmp_path, change)
    with pytest.raises(FormatError, match=rf"{KINDS[kind].name}: .*{message}"):
        KINDS[kind].read(path)


def test_compressed_zeros_are_no_claim(tmp_path):
    """Deflate packs zeros a thousand times, so that these are all there."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("zeros", data=np.zeros((200, 100, 100)), compression=9, chunks=(200, 100, 100))
        assert hdf5.array(file, "zeros").shape == (200, 100, 100)
        file.create_dataset("claimed", (200, 100, 100), "f8", chunks=True)
        with pytest.raises(ValueError, match="0 bytes, which cannot hold it"):
            hdf5.array(file, "claimed")


@pytest.mark.parametrize("name", ["lattice", "positions"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_structure_has_finite_numbers(name, value):
    lattice, frac = 4 * np.eye(3), np.zeros((1, 3))
    (lattice if name == "lattice" else frac)[0, 0] = value
    with pytest.raises(ChgtoolsError, match="not finite"):
        Structure(lattice, ("Si",), (1,), frac)


def test_a_structure_has_a_volume_and_no_negative_counts():
    with pytest.raises(ChgtoolsError, match="no volume"):
        Structure(np.ones((3, 3)), ("Si",), (1,), np.zeros((1, 3)))
    with pytest.raises(ChgtoolsError, match=r"counts \(-1, 2\)"):
        Structure(np.eye(3), ("Si", "O"), (-1, 2), np.zeros((1, 3)))


HEAD = "title\n{scale}\n {x} 0 0\n 0 4 0\n 0 0 5\nSi\n{count}\nDirect\n 0 0 0\n"


@pytest.mark.parametrize(
    ("scale", "x", "count", "message"),
    [
        ("5e-324", "4", "1", r"POSCAR:2: the scale factor 4\.94066e-324 leaves the cell no volume"),
        ("1.0", "1e308", "1", "POSCAR:3: found a number beyond all bounds"),
        ("1.0", "4", "1" * 5000, "POSCAR:7: found '111.*where the number of atoms"),
        ("1.0", "4", "1000000000000", r"POSCAR:7: found the atom counts \[1000000000000\]"),
    ],
)
def test_numbers_of_a_poscar_beyond_all_bounds(scale, x, count, message, tmp_path):
    (tmp_path / "POSCAR").write_text(HEAD.format(scale=scale, x=x, count=count))
    with pytest.raises(FormatError, match=message):
        poscar.read(tmp_path / "POSCAR")


def test_a_record_of_thousands_of_digits(tmp_path):
    chgcar.write(charge(shape=(4, 3, 3)), tmp_path / "CHGCAR")
    text = (tmp_path / "CHGCAR").read_text()
    (tmp_path / "CHGCAR").write_text(text.replace("   1  33", "   1  " + "3" * 5000))
    with pytest.raises(FormatError, match=r"CHGCAR:\d+: "):
        chgcar.read(tmp_path / "CHGCAR")
    assert "record-header" in {finding.code for finding in check_file(tmp_path / "CHGCAR").findings}


@pytest.mark.parametrize("value", ["1e400", "1D+999", "-1e400"])
def test_incar_numbers_beyond_all_bounds(value):
    incar = parse_incar(f"NELECT = {value}\nMAGMOM = 2*{value}\n")
    with pytest.raises(FormatError, match="INCAR:1: found NELECT = .*wanted a number"):
        incar.number("NELECT")
    with pytest.raises(FormatError, match="INCAR:2: found MAGMOM = "):
        incar.numbers("MAGMOM")


@pytest.mark.parametrize("name", ["POTCAR", "table", "UPF"])
def test_a_density_that_cannot_be_names_its_file(name, tmp_path, monkeypatch):
    def impossible(self):
        raise ChgtoolsError("density of Si: wrong")

    path = tmp_path / KINDS[name].name
    path.write_bytes(made(KINDS[name], tmp_path)[0])
    monkeypatch.setattr(AtomicDensity, "__post_init__", impossible)
    with pytest.raises(FormatError, match=rf"{path.name}: density of Si: wrong"):
        KINDS[name].read(path)


def test_incar_words_of_many_digits_take_no_time():
    """A pattern that may split digits in two ways takes a time that grows as their square."""
    began = time.process_time()
    incar = parse_incar(f"ENCUT {'1' * 100_000}x\nMAGMOM = {'1' * 100_000}x\n")
    with pytest.raises(FormatError):
        incar.numbers("MAGMOM")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("value", [1e308, 1e9])
def test_a_form_factor_is_not_a_thousand_atoms(value):
    form = np.array([4.0, 3.0, value, 1.0, 0.5])
    with pytest.raises(ChgtoolsError, match="density of Si: the table holds 1e"):
        AtomicDensity("Si", "Si", 4.0, np.arange(5.0), form, "test")


def test_incar_integers_of_thousands_of_digits():
    incar = parse_incar(f"ISPIN = {'1' * 5000}\nMAGMOM = {'9' * 5000}*1.0\n")
    with pytest.raises(FormatError, match="INCAR:1: found ISPIN = .*wanted a whole number"):
        incar.integer("ISPIN")
    with pytest.raises(FormatError, match="INCAR:2: found MAGMOM = "):
        incar.numbers("MAGMOM")


@SKIP
@pytest.mark.parametrize("module", [cube, xsf], ids=["cube", "xsf"])
def test_values_that_overflow_in_our_unit(module, tmp_path):
    path = tmp_path / f"a{module.GRID_SUFFIXES[0]}"
    module.write(charge(shape=(4, 3, 5)), path)
    text = path.read_text()
    number = next(word for word in text.split() if word.startswith("0.1030333"))
    path.write_text(text.replace(number, "1D+308", 1))
    with pytest.raises(FormatError, match="holds numbers beyond all bounds"):
        module.read(path)


@SKIP
@pytest.mark.parametrize("count", ["99999999999999999999999", "9223372036854775808", "-99999999999999999999"])
def test_points_of_a_cube_beyond_all_bounds(count, tmp_path):
    cube.write(charge(shape=(4, 3, 5)), tmp_path / "a.cube")
    lines = (tmp_path / "a.cube").read_text().split("\n")
    lines[3] = count + lines[3][5:]
    (tmp_path / "a.cube").write_text("\n".join(lines))
    with pytest.raises(FormatError, match=r"a\.cube:4: found .* where the points and the step of a grid axis"):
        cube.read(tmp_path / "a.cube")


@pytest.mark.parametrize("reader", [pymatgen_fields.read, as_structure], ids=["density", "structure"])
def test_json_of_a_hundred_thousand_brackets(reader, tmp_path):
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(FormatError, match=r"a\.json: is no JSON"):
        reader(tmp_path / "a.json")


def test_json_whose_class_is_a_list_or_whose_occupancies_are_not_finite(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"@class": ["Chgcar"]}))
    with pytest.raises(FormatError, match=r"a\.json: is JSON without a Chgcar"):
        pymatgen_fields.read(path)
    content = json.loads(as_json(charge(shape=(3, 2, 4))))
    content["data_aug"]["total"]["1"]["data"][3] = 10**400
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"a\.json: is no Chgcar as pymatgen writes it"):
        pymatgen_fields.read(path)
    content["data_aug"]["total"]["1"]["data"][3] = float("nan")
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"a\.json: occupancies that are no finite numbers"):
        pymatgen_fields.read(path)


def test_a_manifest_whose_structures_are_no_names(tmp_path):
    path = tmp_path / "a.jsonl"
    good = '{"structure": "POSCAR.1", "status": "done"}'
    path.write_text(f'{{"structure": ["a"], "status": "done"}}\n{good}\n')
    assert list(Manifest(path, Shard(), "structure").known) == ["POSCAR.1"]
    path.write_text(f"{good}\n{'[' * 100_000}\n")
    with pytest.warns(UserWarning, match=r"a\.jsonl:2: is half a line"):
        assert list(Manifest(path, Shard(), "structure").known) == ["POSCAR.1"]


def test_a_list_with_a_name_that_no_file_can_have(tmp_path):
    (tmp_path / "list").write_text("POSCAR.1\n" + "a" * 5000 + "\n")
    with pytest.raises(FormatError, match=r"list:2: found 'aaa.*wanted the name of a POSCAR"):
        read_list(tmp_path / "list")


@pytest.mark.parametrize("letter", ["D", "d"])
def test_fortran_exponents_in_upf_files_and_tables(letter, tmp_path):
    for name, read in (("UPF", read_upf), ("table", read_table)):
        plain = made(KINDS[name], tmp_path)[0].decode()
        path = tmp_path / KINDS[name].name
        path.write_text(plain)
        wanted = read(path)
        odd = re.sub(r"(\d)[eE]([+-]\d\d)", rf"\1{letter}\2", plain)
        assert odd != plain
        path.write_text(odd)
        np.testing.assert_array_equal(read(path).form, wanted.form)


def test_a_record_longer_than_any_is_no_record(tmp_path):
    path = tmp_path / "CHGCAR"
    text = made(KINDS["CHGCAR"], tmp_path)[0]
    path.write_bytes(
        text.replace(b"augmentation occupancies   2  33", b"augmentation occupancies   2   9" + 22 * b"9", 1)
    )
    with pytest.raises(FormatError, match="augmentation"):
        chgcar.read(path)


@pytest.mark.parametrize(("name", "attribute"), [("target", "electrons")])
def test_an_attribute_that_is_no_real_number_is_refused(name, attribute, tmp_path):
    def complex_one(file):
        file.attrs[attribute] = 8.0 + 1j

    with pytest.raises(FormatError, match="wanted a number"):
        KINDS[name].read(spoilt(name, tmp_path, complex_one))
