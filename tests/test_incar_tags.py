"""Which tags VASP knows, what chgtools makes of them, and where it says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from made_atoms import atom
from made_models import cell, small
from synthetic_chgcar import structure

import chgtools
from chgtools.cli import main
from chgtools.formats import chgcar, poscar
from chgtools.formats.incar import parse_incar
from chgtools.formats.incar_tags import DECISIONS, IRRELEVANT, KNOWN, LEARNED, NOTED, REFUSED, USED, is_known, nearest
from chgtools.libraries.library import DensityLibrary
from chgtools.run.remarks import remarks
from chgtools.run.tags import Tags
from chgtools.start import prediction
from chgtools.start.learned import where_the_moments_come_from
from chgtools.start.magnetisation import StartMagnetisation

# those that may be thought to touch a start density
ASKED = """
I_CONSTRAINED_M M_CONSTR LNONCOLLINEAR LSORBIT SAXIS LSPIRAL QSPIRAL NELECT EFERMI FERWE FERDO LDAU LDAUL LDAUU LDAUJ
LDAUTYPE LMAXMIX LASPH METAGGA LHFCALC GGA NGYROMAG EFIELD LSOL ADDGRID NGX NGY NGZ NGXF NGYF NGZF ENAUG PREC LREAL ISYM
LORBIT NUPDOWN VCA MAGMOM ISPIN ICHARG ISTART ENCUT ZVAL ICORELEVEL
""".split()


def test_every_tag_that_may_touch_a_start_density_has_a_decision():
    assert set(ASKED) <= DECISIONS.keys()
    for tag, decision in DECISIONS.items():
        assert decision.verdict in (USED, REFUSED, NOTED, LEARNED, IRRELEVANT), tag
        assert decision.why, tag


def test_the_tags_of_pymatgen_and_ase_are_known():
    from ase.calculators.vasp import create_input
    from pymatgen.io.vasp.inputs import Incar

    ase = {
        key.upper()
        for name in ("float", "exp", "string", "int", "bool", "list_int", "list_bool", "list_float", "special")
        for key in getattr(create_input, f"{name}_keys")
    }
    assert len(ase) > 400
    assert {tag for tag in ase if not is_known(tag)} == set()
    assert {tag for tag in Incar.INCAR_PARAMS if not is_known(tag)} == set()
    assert is_known("kernel_truncation/ltruncate")
    assert is_known("IMAGE_12/ENCUT")
    assert not is_known("IMAGE_X/ENCUT")


def test_tags_that_are_read_are_used():
    """What Tags and the grid take from an INCAR is no tag that the table calls irrelevant, and the other way about."""
    text = {
        "ICHARG": "11", "ISPIN": "2", "LNONCOLLINEAR": "T", "LSORBIT": "T", "MAGMOM": "1", "NUPDOWN": "2",
        "NELECT": "4", "VCA": "1", "ZVAL": "4", "LMAXMIX": "4", "METAGGA": "SCAN", "LHFCALC": "T", "NSW": "1",
    }  # fmt: skip
    plain = Tags.of(parse_incar(""))
    for tag, value in text.items():
        changed = Tags.of(parse_incar(f"{tag} = {value}"))
        assert changed != plain, tag
        assert DECISIONS[tag].verdict in (USED, REFUSED, LEARNED), tag


@pytest.mark.parametrize(
    ("typed", "meant"), [("ENCUTT", "ENCUT"), ("ISPN", "ISPIN"), ("NBAND", "NBANDS"), ("QWERTY", "")], ids=str
)
def test_the_nearest_tag(typed, meant):
    assert typed not in KNOWN
    assert nearest(typed) == meant


# statement: what is said of it; "" where its value says nothing of the start density
NOTES = {
    "EFIELD = 0.1": "EFIELD = 0.1: the density is that without the field",
    "EFIELD = 0.0": "",
    "EFIELD_PEAD = 3*0": "",
    "LSOL = .TRUE.": "LSOL = .TRUE.: the density is that in vacuum, without the solvent",
    "LSOL = .FALSE.": "",
    "I_CONSTRAINED_M = 1": "those of the file are MAGMOM's, not M_CONSTR's",
    "I_CONSTRAINED_M = 0": "",
    "SAXIS = 1 0 0": "are along its axes, as VASP reads and writes them",
    "ICORELEVEL = 2": "raises NELECT; the file has no core hole",
    "ICORELEVEL = 1": "",
    "LSPIRAL = T": "without the spiral",
    "FERWE = 3*1.0 0.5 3*0.0": "occupations set by hand",
    "PREC = Acurate": "PREC = Acurate is taken for Accurate, as VASP does by its first letter",
    "PREC = acc": "",
    "PREC = SingleN": "",
    "ADDGRID = T": "",
    "METAGGA = SCAN": "",  # said where a model is used
}


@pytest.mark.parametrize("statement", NOTES)
def test_tags_that_the_density_does_not_follow_are_noted(statement):
    said = remarks(parse_incar(statement, "run/INCAR"))
    if not NOTES[statement]:
        assert said == ()
    else:
        assert len(said) == 1
        assert said[0].startswith("run/INCAR:1: ")
        assert said[0].endswith(NOTES[statement]) or NOTES[statement] in said[0]


def test_a_long_value_is_cut_in_its_note():
    (said,) = remarks(parse_incar("FERWE = " + "0.123 " * 50))
    assert said.startswith("INCAR:1: FERWE = 0.123 0.123 0.123 0.123 0.123 0.123 ...: ")


@pytest.mark.parametrize(
    ("statement", "said"),
    [("METAGGA = SCAN", True), ("METAGGA = NONE", False), ("LDAU = T", True), ("LDAU = .F.", False), ("GGA = PS", True),
     ("GGA = PE", False), ("LHFCALC = .TRUE.", True), ("LDAUU = 3 0", False)],
)  # fmt: skip
def test_another_functional_is_noted_where_a_model_is_used(tmp_path, statement, said):
    poscar.write(cell(), tmp_path / "POSCAR")
    (tmp_path / "INCAR").write_text(statement)
    grid = chgtools.GridOptions(ngf=(12, 12, 16))
    sentence = f"{tmp_path / 'INCAR'}:1: {statement}; the difference density was learned with PBE"
    assert (sentence in chgtools.predict(tmp_path / "POSCAR", grid=grid, model=small()).assumptions) == said
    assert sentence not in chgtools.predict(tmp_path / "POSCAR", grid=grid, model="none").assumptions


@pytest.fixture
def run(tmp_path):
    """A folder whose INCAR has a statement without "=", an unknown tag and a stray quote."""
    poscar.write(structure(), tmp_path / "POSCAR")
    occupancies = np.diag([2.0, 0.0, 2.0, 0.0])
    atoms = [atom("Si", 4, (0, 0, 1, 1), occupancies), atom("O", 6, (0, 0, 1, 1), occupancies)]
    DensityLibrary(atoms).write(tmp_path / "lib.h5")
    (tmp_path / "INCAR").write_text('SYSTEM = 3" wafer\nENCUT 200\nISPN = 2\nICHARG = 11\n')
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


SAID = ('INCAR:1: a " is never closed', "INCAR:2: 'ENCUT 200' has no =", "INCAR:3: VASP knows no tag ISPN")


@pytest.mark.parametrize("command", ["predict", "saed", "make-dcd", "check", "grid"])
def test_statements_that_are_passed_over_are_shown(run, command):
    source = ["--densities", run / "lib.h5"]
    made = call("predict", run / "POSCAR", "-o", run / "CHGCAR", "--model", "none", *source)
    assert made.exit_code == 0, made.output
    if command == "check":
        done = call("check", run / "CHGCAR", "--json")
        assert done.exit_code == 3
        found = [each for each in json.loads(done.stdout)["findings"] if each["code"] == "incar-statement"]
        assert [each["severity"] for each in found] == ["note", "misread", "misread"]
        assert [each["mend"] for each in found[1:]] == [
            "Set ENCUT = ..., if that is meant",
            "Set ISPIN = ..., if that is meant",
        ]
        shown = "\n".join(f"note: {each['place']}: {each['found']}" for each in found)
    elif command == "make-dcd":
        shown = call("make-dcd", run / "CHGCAR", *source).stderr.replace(f"note: {run / 'CHGCAR'}: ", "note: ")
    elif command == "grid":
        shown = call("grid", run / "POSCAR", *source).stderr
    else:
        shown = call(command, run / "POSCAR", "-o", run / "again", *source).stderr
    for sentence in SAID:
        assert f"note: {run}/{sentence}" in shown


def test_a_density_of_a_misspelt_incar_is_ready_all_the_same(run):
    """The file is right for what VASP makes of the INCAR, and the statements are told."""
    done = call("predict", run / "POSCAR", "-o", run / "CHGCAR", "--model", "none", "--densities", run / "lib.h5")
    assert "ready for ICHARG = 11: yes" in done.stdout
    assert "is ISPIN meant?" in done.stderr


@pytest.mark.parametrize(
    "line", ["ICHARG = eleven", "ISPIN = 3", "NSW = x", "MAGMOM = up", "PREC = Xact", "LHFCALC = 1"]
)
def test_a_value_that_vasp_stops_on_is_found_before_anything_is_done(run, line, monkeypatch):
    (run / "INCAR").write_text(f"{line}\n")
    monkeypatch.setattr(prediction, "superpose", lambda *arguments, **options: pytest.fail("a density was computed"))
    done = call("predict", run / "POSCAR", "-o", run / "CHGCAR", "--densities", run / "lib.h5")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {run / 'INCAR'}:1: found {line.split()[0]} = ")
    assert sorted(path.name for path in run.iterdir()) == ["INCAR", "POSCAR", "lib.h5"]


@pytest.mark.parametrize(
    ("extra", "ready"),
    [
        ("", "yes"),
        ("LHFCALC = T", "no"),
        ("NSW = 20", "no"),
        ("NSW = 20\nICHARG = 1", "yes"),
        ("LHFCALC=T\nICHARG = 1", "no"),
    ],
    ids=str,
)
def test_what_cannot_be_done_with_a_density_that_is_kept(run, extra, ready):
    (run / "INCAR").write_text(f"{extra}\n" + ("" if "ICHARG" in extra else "ICHARG = 11\n"))
    done = call("predict", run / "POSCAR", "-o", run / "CHGCAR", "--model", "none", "--densities", run / "lib.h5")
    assert done.exit_code == 0, done.output
    assert f"ready for ICHARG = 11: {ready}" in done.stdout


def test_oxygen_with_nupdown(tmp_path):
    """A singlet starts with no moment, a triplet with 1 μ_B an atom; the notes say so, and the check agrees."""
    folder = tmp_path / "o2"
    folder.mkdir()
    for name in ("POSCAR", "INCAR"):
        (folder / name).write_text((shared_path("inputs", "nupdown-o2") / name).read_text())
    for nupdown, moment in ((0, 0.0), (2, 1.0)):
        text = (folder / "INCAR").read_text()
        (folder / "INCAR").write_text(text.replace("NUPDOWN = 0", f"NUPDOWN = {nupdown}"))
        done = call("predict", folder / "POSCAR", "-o", folder / "CHGCAR", "--model", "none", "--encut", 100, "--force")
        assert done.exit_code == 0, done.output
        data = chgcar.read(folder / "CHGCAR")
        assert data.moments[0].tolist() == [moment, moment]
        assert data.integral(1) == pytest.approx(2 * moment, abs=1e-9)
        assert f"note: MAGMOM = {moment:g} for every atom (VASP's default, NUPDOWN/NIONS)" in done.stderr
        assert "magnetisation-zero" not in call("check", folder / "CHGCAR").stdout


@pytest.mark.parametrize(
    ("moments", "nupdown", "said"),
    [([1.9, 0.4], 4.0, "2.30"), ([1.9, 0.08], 2.0, ""), ([1.9, 0.4], None, ""), ([[0, 0, 1.9]], 1.0, "")],
    ids=str,
)
def test_learned_moments_of_another_sum_than_nupdown_are_noted(moments, nupdown, said):
    start = StartMagnetisation([], np.array(moments), learned=True)
    sentences = where_the_moments_come_from(small(), start, nupdown)
    assert len(sentences) == 1 + bool(said)
    assert f"NUPDOWN = 4, the learned moments add up to {said}" in sentences[-1] or not said
