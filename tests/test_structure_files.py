"""Structures in files of every format: content decides, one frame is chosen, other libraries' words become ours."""

from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from click.testing import CliRunner
from pymatgen.core import Lattice, Molecule
from pymatgen.core import Structure as PymatgenStructure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from synthetic_chgcar import charge
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.batch import read_list
from chgtools.cell import require_same
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, FormatError, SettingsError
from chgtools.formats import chgcar, poscar
from chgtools.formats.structures import as_structure
from chgtools.libraries.choice import Source, choose

LATTICE = np.array([[4.0, 0.0, 0.0], [1.0, 4.2, 0.0], [0.3, 0.0, 5.0]])
SYMBOLS, FRAC = ["Na", "Cl", "Cl"], np.array([[0.0, 0.0, 0.0], [0.5, 0.48, 0.1], [0.25, 0.9, 0.6]])
THEIRS = PymatgenStructure(Lattice(LATTICE), SYMBOLS, FRAC)
OURS = as_structure(THEIRS)
STEP = np.array([0.01, 0.0, -0.02])


def atoms(number: int = 1) -> Atoms:
    """The structure of frame ``number``: each step moves every atom."""
    return Atoms(SYMBOLS, cell=LATTICE, scaled_positions=FRAC + (number - 1) * STEP, pbc=True)


def xdatcar(frames: int, *, heads: bool = False) -> str:
    """As VASP writes it; with ``heads`` the cell grows by 1 % a step (ISIF = 3)."""
    text = ""
    for number in range(1, frames + 1):
        if number == 1 or heads:
            rows = LATTICE * (1.01 ** (number - 1) if heads else 1)
            text += "sodium chloride\n           1\n"
            text += "".join("    " + "".join(f"{x:12.6f}" for x in row) + "\n" for row in rows)
            text += "   Na   Cl\n     1     2\n"
        text += f"Direct configuration={number:6d}\n"
        text += "".join("  " + "".join(f"{x:12.8f}" for x in row) + "\n" for row in FRAC + (number - 1) * STEP)
    return text


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def same(found, frac=FRAC, lattice=LATTICE) -> None:
    """The atoms in any order of the same elements: pymatgen sorts those of a CIF."""
    assert sorted(found.elements) == sorted(SYMBOLS)
    np.testing.assert_allclose(found.lattice @ found.lattice.T, lattice @ lattice.T, atol=1e-4)
    for symbol in set(SYMBOLS):
        ours = [x for x, name in zip(found.frac, found.elements, strict=True) if name == symbol]
        theirs = [x for x, name in zip(frac, SYMBOLS, strict=True) if name == symbol]
        shift = np.array(ours)[:, None] - np.array(theirs)[None]
        shift = np.abs(shift - np.round(shift)).max(axis=2)
        assert (shift.min(axis=1) < 1e-5).all()
        assert (shift.min(axis=0) < 1e-5).all()


# --- the content decides, the name is a hint ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["POSCAR", "POSCAR_chgnet", "CHGNet_relaxed.vasp", "chgtot.poscar", "LOCPOT_start", "x.cif", "1.json", "x"]
)
def test_a_poscar_is_one_under_any_name(name, tmp_path):
    poscar.write(OURS, tmp_path / name)
    found = as_structure(tmp_path / name)
    assert (found.species, found.counts, found.source) == (OURS.species, OURS.counts, str(tmp_path / name))
    np.testing.assert_allclose(found.frac, FRAC, atol=1e-15)


@pytest.mark.parametrize(
    "name", ["NaCl_chgnet.cif", "NaCl.cif", "NaCl.cif.gz", "CHGCAR_of_nacl", "NaCl.cif.zst", "nacl.CIF"]
)
def test_a_cif_is_one_under_any_name(name, tmp_path):
    text = THEIRS.to(fmt="cif")
    from chgtools.formats.streams import writing

    with writing(tmp_path / name) as file:
        file.write(text.encode())
    same(as_structure(tmp_path / name))


@pytest.mark.parametrize("line", ["  4.0-1.0-0.5", "\t4.0\t-1.0,-0.5", "  .4D+01   -1.0000d0  -0.5"])
def test_numbers_of_a_poscar_as_fortran_reads_them(line, tmp_path):
    text = f"12\n1.\n{line}\n0. 4. 0.\n0. 0. 4.\nNa\n1\nDirect\n0 0 0\n"
    found = as_structure(write(tmp_path / "chg_of_na", text))
    np.testing.assert_allclose(found.lattice[0], [4, -1, -0.5])


def test_the_name_chg_is_a_word_of_its_own():
    names = {"CHG": "CHG", "CHG.si": "CHG", "si_CHG.gz": "CHG", "CHG2": "CHG", "chg_old": "CHG", "CHGTOT.vasp": None,
             "POSCAR_chgnet": None, "CHGNet_relaxed.vasp": None, "XCHG": None, "CHGCAR_sum": "CHGCAR",
             "PARCHG.0001": "PARCHG", "CHGSUM": None}  # fmt: skip
    assert {name: chgcar.kind_of(name) for name in names} == names


@pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
def test_convert_keeps_eleven_digits_where_the_name_only_begins_as_chg(tmp_path):
    chgcar.write(charge(records=False), tmp_path / "CHGCAR")
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "CHGCAR"), str(tmp_path / "CHGTOT.vasp")])
    assert (done.exit_code, "five digits" in done.output) == (0, False)
    assert (tmp_path / "CHGTOT.vasp").read_bytes() == (tmp_path / "CHGCAR").read_bytes()
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "CHGCAR"), str(tmp_path / "CHG.vasp")])
    assert "five digits" in done.stderr


def test_a_file_whose_name_tells_nothing_is_a_chg_by_its_five_digits(tmp_path):
    chgcar.write(charge(kind="CHG"), tmp_path / "CHGTOT.vasp")
    with pytest.warns(AssumptionWarning, match="read as a CHG, for its five digits"):
        assert chgcar.read(tmp_path / "CHGTOT.vasp").kind == "CHG"


def test_make_dcd_pairs_by_content(tmp_path):
    from chgtools.dcd.pairs import pair_files

    chgcar.write(charge(), tmp_path / "density.vasp", kind="CHGCAR")
    for name in ("POSCAR_chgnet", "start.vasp"):
        poscar.write(charge().structure, tmp_path / name)
        files = [tmp_path / "density.vasp", tmp_path / name]
        assert pair_files(files * 2) == [(files[0], files[1])] * 2
        with pytest.raises(SettingsError, match=f"{name}: is no CHGCAR"):
            pair_files(files[::-1])


# --- one of several -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("name", ["XDATCAR", "XDATCAR.gz", "md.out"])
def test_a_frame_of_an_xdatcar(name, heads, tmp_path):
    text = xdatcar(4, heads=heads).encode()
    write(tmp_path / name, gzip.compress(text) if name.endswith(".gz") else text)
    for number in (1, 3, 4):
        found = as_structure(f"{tmp_path / name}:{number}")
        np.testing.assert_allclose(found.frac, FRAC + (number - 1) * STEP, atol=1e-8)
        np.testing.assert_allclose(found.lattice, LATTICE * (1.01 ** (number - 1) if heads else 1), atol=1e-6)
        assert (found.species, found.source) == (("Na", "Cl"), f"{tmp_path / name}:{number}")
    with pytest.raises(FormatError, match=rf"holds 4 structures; name one of them, {tmp_path / name}:1 to .*:4"):
        as_structure(tmp_path / name)
    with pytest.raises(FormatError, match="holds 4 structures, number 5 is wanted"):
        as_structure(f"{tmp_path / name}:5")
    with pytest.raises(FormatError, match="number 0 is wanted"):
        as_structure(f"{tmp_path / name}:0")


def test_an_xdatcar_of_one_frame_needs_no_choice_and_one_that_is_cut_gives_those_before(tmp_path):
    same(as_structure(write(tmp_path / "XDATCAR", xdatcar(1))))
    for lost, sentence in (
        (50, "18: .*where a position"),
        (3, "19: the file ends within a position"),
        (1, "19: the file"),
    ):
        path = write(tmp_path / f"XDATCAR.{lost}", xdatcar(3)[:-lost])
        np.testing.assert_allclose(as_structure(f"{path}:2").frac, FRAC + STEP, atol=1e-8)
        with pytest.raises(FormatError, match=f"XDATCAR.{lost}:{sentence}"):
            as_structure(f"{path}:3")


def test_a_file_that_has_the_name_of_a_frame_is_that_file(tmp_path):
    poscar.write(OURS, tmp_path / "POSCAR:2")
    assert as_structure(f"{tmp_path}/POSCAR:2").formula == "Na1Cl2"


@pytest.mark.parametrize("name", ["x.extxyz", "x.xyz", "x.xyz.gz", "trajectory"])
def test_extended_xyz(name, tmp_path):
    ase.io.write(tmp_path / "one", [atoms(1), atoms(2)], format="extxyz")
    content = (tmp_path / "one").read_bytes()
    path = write(tmp_path / name, gzip.compress(content) if name.endswith(".gz") else content)
    np.testing.assert_allclose(as_structure(f"{path}:2").frac, FRAC + STEP, atol=1e-7)
    with pytest.raises(FormatError, match="holds 2 structures"):
        as_structure(path)


def test_json_of_pymatgen(tmp_path):
    entry = ComputedStructureEntry(THEIRS, -1.0)
    for name, content in {
        "one.json": THEIRS.as_dict(),
        "entry.json": entry.as_dict(),
        "document.json": {"material_id": "mp-0", "structure": THEIRS.as_dict(), "nsites": 3},
        "chgnet": [THEIRS.as_dict()],
    }.items():
        path = write(tmp_path / name, json.dumps(content))
        np.testing.assert_allclose(as_structure(path).frac, FRAC)
        path = write(tmp_path / f"{name}.gz", gzip.compress(json.dumps(content).encode()))
        assert as_structure(path).formula == "Na1Cl2"
    ase.io.write(tmp_path / "ase.json", [atoms(1), atoms(2)])
    np.testing.assert_allclose(as_structure(f"{tmp_path / 'ase.json'}:2").frac, FRAC + STEP, atol=1e-12)
    two = write(tmp_path / "two.json", json.dumps([THEIRS.as_dict(), entry.as_dict()]))
    assert as_structure(f"{two}:2").formula == "Na1Cl2"


def refusals(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    disordered = PymatgenStructure(Lattice(LATTICE), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    vacancies = PymatgenStructure(Lattice(LATTICE), [{"Na": 0.9}], [[0, 0, 0]])
    molecule = Molecule(["O", "H"], [[0, 0, 0], [0, 0, 1]])
    return {
        "disordered CIF": (write(tmp_path / "a.cif", disordered.to(fmt="cif")), "a.cif: partly occupied sites"),
        "vacancies": (write(tmp_path / "b.cif", vacancies.to(fmt="cif")), "b.cif: partly occupied sites"),
        "disordered JSON": (write(tmp_path / "c.json", json.dumps(disordered.as_dict())), "c.json: partly occupied"),
        "molecule": (write(tmp_path / "d.xyz", "2\n\nO 0 0 0\nH 0 0 1\n"), "d.xyz: no cell"),
        "molecule JSON": (write(tmp_path / "e.json", json.dumps(molecule.as_dict())), "e.json: no cell"),
        "no structure": (write(tmp_path / "f.json", '{"energy": 1}'), "f.json: is JSON without a structure"),
        "no JSON": (write(tmp_path / "g.json", '{"energy": '), "g.json: is no JSON"),
        "cut xyz": (write(tmp_path / "h.xyz", '2\nLattice="4 0 0 0 4 0 0 0 4"\nO 0 0 0\n'), "h.xyz: ASE cannot read it"),
        "empty xyz": (write(tmp_path / "m.xyz", ""), "m.xyz: holds no structure"),
        "nothing in a CIF": (write(tmp_path / "i.cif", "data_x\n_cell_length_a 4\n"), "i.cif: pymatgen cannot read it"),
        "no text": (write(tmp_path / "j.vasp", b"\0" * 99), "j.vasp: holds zero bytes"),
        "a folder": (tmp_path, "is a folder"),
        "nothing": (tmp_path / "k.cif", "k.cif: no such file"),
        "half a POSCAR": (write(tmp_path / "l.vasp", "title\n1.0\n4 0 0\n0 4 0\n"), "l.vasp:5: the file ends where"),
    }  # fmt: skip


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    for name, (path, sentence) in refusals(tmp_path).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(FormatError) as caught:
                as_structure(path)
        assert sentence in str(caught.value), name
        assert "\n" not in str(caught.value), name


def test_what_pymatgen_warns_of_is_one_note(tmp_path):
    text = THEIRS.to(fmt="cif").replace("0.48000000", "0.3333")
    with pytest.warns(AssumptionWarning, match=r"x\.cif: pymatgen says: .*rounded to ideal values") as caught:
        as_structure(write(tmp_path / "x.cif", text))
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("name", "format"), [("x.gen", "gen"), ("x.traj", "traj"), ("pw.in", "espresso-in"), ("x.res", "res")]
)
def test_what_else_ase_and_pymatgen_know(name, format, tmp_path):
    more = {"pseudopotentials": {"Na": "Na.upf", "Cl": "Cl.upf"}} if format == "espresso-in" else {}
    ase.io.write(tmp_path / name, atoms(), format=format, **more)
    same(as_structure(tmp_path / name))


# --- the commands ---------------------------------------------------------------------------------------------------


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["NaCl.cif", "NaCl.extxyz", "NaCl.json"])
def test_predict_takes_any_structure_and_checks_its_file_against_it(name, tmp_path):
    """A POSCAR of another run beside it is not what the density is held against."""
    if name.endswith(".cif"):
        write(tmp_path / name, THEIRS.to(fmt="cif"))
    elif name.endswith(".json"):
        write(tmp_path / name, json.dumps(THEIRS.as_dict()))
    else:
        ase.io.write(tmp_path / name, atoms(), format="extxyz")
    (tmp_path / "INCAR").write_text("ENCUT = 200\nICHARG = 1\n")
    poscar.write(charge().structure, tmp_path / "POSCAR")
    done = run("predict", tmp_path / name, "-o", tmp_path / "CHGCAR", "--model", "none")
    assert done.exit_code == 0, done.output
    assert "check:" not in done.stderr
    same(chgcar.read(tmp_path / "CHGCAR").structure)
    assert chgcar.read(tmp_path / "CHGCAR").electrons == pytest.approx(7 + 14, abs=1e-6)
    assert (
        f"note: {tmp_path / name} is no POSCAR: that of the run must have these atoms in this order, Na" in done.stderr
    )


def test_predict_takes_one_frame_and_a_batch_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "XDATCAR", xdatcar(3))
    (tmp_path / "INCAR").write_text("ENCUT = 200\nICHARG = 1\n")
    done = run("predict", "XDATCAR", "-o", "out", "--model", "none")
    assert (done.exit_code, "holds 3 structures" in done.stderr, Path("out").exists()) == (1, True, False)
    done = run("predict", "XDATCAR:2", "-o", "second", "--model", "none")
    assert done.exit_code == 0, done.output
    require_same(as_structure("XDATCAR:2"), chgtools.read("second", kind="CHGCAR").structure)
    Path("list.txt").write_text("XDATCAR\n")
    done = run("predict", "--batch", "list.txt", "--model", "none")
    assert done.exit_code == 3, done.output
    for number in (1, 2, 3):
        made = chgtools.read(f"CHGCAR.XDATCAR-{number:04d}").structure
        np.testing.assert_allclose(made.frac, (FRAC + (number - 1) * STEP) % 1, atol=1e-6)
    assert Path("CHGCAR.XDATCAR-0002").read_bytes() == Path("second").read_bytes()


def test_names_in_a_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "XDATCAR.gz", gzip.compress(xdatcar(2).encode()))
    ase.io.write("md.extxyz", [atoms(1), atoms(2)], format="extxyz")
    write(tmp_path / "one.cif", THEIRS.to(fmt="cif"))
    Path("list.txt").write_text("XDATCAR.gz\nmd.extxyz:2\none.cif\nPOSCAR\nnowhere/XDATCAR\n")
    items = [(item.name, str(item.structure), str(item.output)) for item in read_list(Path("list.txt"))]
    assert items == [
        ("XDATCAR.gz:1", "XDATCAR.gz:1", "CHGCAR.XDATCAR-0001"),
        ("XDATCAR.gz:2", "XDATCAR.gz:2", "CHGCAR.XDATCAR-0002"),
        ("md.extxyz:2", "md.extxyz:2", "CHGCAR.md.extxyz-0002"),
        ("one.cif", "one.cif", "CHGCAR.one.cif"),
        ("POSCAR", "POSCAR", "CHGCAR"),
        ("nowhere/XDATCAR", "nowhere/XDATCAR", "nowhere/CHGCAR.XDATCAR"),
    ]
    Path("list.txt").write_text("md.extxyz\nmd.extxyz:2\n")
    with pytest.raises(FormatError, match="as line 1 is"):
        read_list(Path("list.txt"))


def test_a_saed_says_that_it_does_not_hold_nelect(tmp_path):
    poscar.write(OURS, tmp_path / "POSCAR")
    (tmp_path / "INCAR").write_text("ENCUT = 200\nNELECT = 20\n")
    done = run("saed", tmp_path / "POSCAR", "-o", tmp_path / "CHGCAR")
    said = f"note: the SAED holds the atoms' 21 electrons, not NELECT = 20 ({tmp_path / 'INCAR'}:2)"
    assert (done.exit_code, said in done.stderr) == (0, True)
    assert chgcar.read(tmp_path / "CHGCAR").electrons == pytest.approx(21, abs=1e-6)
    (tmp_path / "INCAR").write_text("ENCUT = 200\nNELECT = 21\n")
    assert "NELECT" not in run("saed", tmp_path / "POSCAR", "-o", tmp_path / "CHGCAR", "--force").stderr


# --- deuterium ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [{}, {"D": "H"}, {"D": "H.5"}])
def test_deuterium_has_the_electrons_of_hydrogen(labels, tmp_path):
    heavy = OURS.with_changes(species=("O", "D"))
    poscar.write(heavy, tmp_path / "POSCAR")
    choice = choose(as_structure(tmp_path / "POSCAR"), Source(labels=labels))
    assert (choice.structure.species, choice.labels[1]) == (("O", "H"), labels.get("D", "H"))
    assert "D taken as H, which has the same electrons" in choice.assumptions
    light = choose(heavy.with_changes(species=("O", "H")), Source(labels={"H": labels["D"]} if labels else {}))
    assert choice.densities[1].label == light.densities[1].label
    with pytest.raises(SettingsError, match="the label C given for D is one of C"):
        choose(heavy, Source(labels={"D": "C"}))


def test_deuterium_against_a_potcar_and_a_header_of_hydrogen(tmp_path):
    heavy = OURS.with_changes(species=("O", "T"))
    write_synthetic_potcar(tmp_path / "POTCAR", [("O", 6, (0, 0, 1, 1)), ("H", 1, (0, 0))])
    choice = choose(heavy, Source(potcar=tmp_path / "POTCAR"))
    assert (choice.structure.species, choice.labels) == (("O", "H"), ("O", "H"))
    require_same(heavy, OURS.with_changes(species=("O", "H")))
