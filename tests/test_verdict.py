"""The verdict on a start density: data without a terminal, then how it looks on one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from synthetic_chgcar import structure
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.cell import Structure
from chgtools.check import check_file
from chgtools.cli import main, screen
from chgtools.cli.verdict import in_words
from chgtools.formats import poscar
from chgtools.formats.incar import parse_incar
from chgtools.run.grid import GridOptions
from chgtools.start.verdict import BAD, CAUTION, PLAIN
from chgtools.start.writing import StartOptions, write_start

NONE = StartOptions(model="none")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that is ready, but for its ICHARG."""
    monkeypatch.chdir(tmp_path)
    poscar.write(structure(), Path("POSCAR"))
    Path("INCAR").write_text("ENCUT = 150\n")
    with_potcar()
    return tmp_path


def with_potcar():
    write_synthetic_potcar(Path("POTCAR"), [("Si", 4, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])


def verdict(options=NONE):
    Path("CHGCAR").unlink(missing_ok=True)
    return write_start("POSCAR", "CHGCAR", options).verdict


def lines(answer):
    return {line.tag: line.value for line in answer.lines}


def test_a_run_that_is_ready(run):
    made = verdict()
    assert made.fixed.yes
    assert made.start.yes
    assert made.fixed.text == "yes"
    assert lines(made.fixed) == {"ICHARG": "11", "LCHARG": ".FALSE."}
    assert lines(made.start) == {"ICHARG": "1"}
    rows = {row.name: row.text for row in made.rows}
    names = ("file", "grid", "atoms", "model", "expected error", "occupancies", "magnetisation")
    assert tuple(rows) == names
    shape = " x ".join(map(str, chgtools.read("CHGCAR").total.shape))
    assert rows["grid"] == f"{shape}, 1 block"
    assert rows["file"].startswith("CHGCAR: Si2O1, 14.000000 electrons, minimum ")
    assert rows["atoms"] == "Si, O: POTCAR (Si, O)"
    assert rows["occupancies"] == "of the atoms"


def test_the_lines_make_a_run_of_which_check_finds_nothing(run):
    """What is to be pasted is pasted, and the file that was written is held against the run."""
    write_synthetic_potcar(Path("POTCAR"), [("Fe", 8, (0, 0, 1, 1, 2, 2))])
    poscar.write(Structure(structure().lattice, ("Fe",), (1,), np.zeros((1, 3))), Path("POSCAR"))
    Path("INCAR").write_text("ENCUT = 150\nNSW = 10\n")
    made = verdict(StartOptions(model="none", grid=GridOptions(ngf=(12, 10, 16))))
    assert not made.fixed.yes
    assert len(made.fixed.because) == 2  # LMAXMIX and the grid
    assert made.fixed.text.endswith("the INCAR lines below mend it")
    wanted = {"ICHARG": "11", "NSW": "0", "LMAXMIX": "4", "NGXF": "12", "NGYF": "10", "NGZF": "16", "LCHARG": ".FALSE."}
    assert lines(made.fixed) == wanted
    for answer in (made.fixed, made.start):
        text = "".join(f"{tag} = {value}\n" for tag, value in lines(answer).items())
        others = Path("INCAR").read_text() if answer is made.start else "ENCUT = 150\n"
        Path("INCAR.made").write_text(text + others)
        report = check_file("CHGCAR", incar="INCAR.made")
        assert report.ok, report.findings


def test_without_occupancies_no_line_helps(run):
    Path("POTCAR").unlink()
    made = verdict()
    assert (made.fixed.yes, made.start.yes) == (False, False)
    assert made.fixed.lines == made.start.lines == ()
    assert made.start.text == "of no use, because no augmentation records: VASP falls back to its own atoms"
    assert "--potcar" in made.fixed.mend[0]
    levels = {row.name: row.level for row in made.rows}
    assert (levels["occupancies"], levels["atoms"], levels["grid"]) == (BAD, CAUTION, PLAIN)


@pytest.mark.parametrize("icharg", ["", "ICHARG = 1\n", "ICHARG = 11\n", "ICHARG = 2\n"])
@pytest.mark.parametrize(
    ("text", "fixed", "start"),
    [
        ("", True, True),
        ("LHFCALC = T\n", False, True),  # a hybrid's exchange is in no CHGCAR; as a start it is as good as any
        ("METAGGA = R2SCAN\n", False, True),
    ],
)
def test_the_answers_do_not_hang_on_the_icharg_that_is_there(run, icharg, text, fixed, start):
    Path("INCAR").write_text(f"ENCUT = 150\n{icharg}{text}")
    made = verdict()
    assert (made.fixed.yes, made.start.yes) == (fixed, start)
    assert bool(made.fixed.lines) == fixed
    assert made.start.lines


@pytest.mark.parametrize("icharg", ["", "ICHARG = 1\n"])
def test_moving_ions_are_no_hindrance_where_they_can_be_kept(run, icharg):
    Path("INCAR").write_text(f"ENCUT = 150\nNSW = 10\n{icharg}")
    made = verdict()
    assert made.fixed.yes
    assert "NSW = 0" in made.fixed.text
    assert lines(made.fixed)["NSW"] == "0"
    assert "NSW" not in lines(made.start)


@pytest.mark.parametrize("icharg", ["", "ICHARG = 1\n", "ICHARG = 11\n"])
def test_self_consistency_on_a_line_is_no_use(run, icharg):
    Path("INCAR").write_text(f"ENCUT = 150\n{icharg}")
    Path("KPOINTS").write_text("bands\n10\nLine-mode\nreciprocal\n0 0 0\n0.5 0 0.5\n")
    made = verdict()
    assert made.fixed.yes
    assert not made.start.yes
    assert "line of k-points" in made.start.text
    assert "own atoms" not in made.start.text  # VASP does read the file
    assert made.start.lines == ()


def test_a_grid_that_no_run_has_is_mended_by_no_line(run):
    made = verdict(StartOptions(model="none", grid=GridOptions(ngf=(11, 10, 16))))
    assert made.fixed.lines == made.start.lines == ()
    assert "no VASP run has a grid of this size" in made.fixed.mend[0]


def test_the_grid_is_named_where_vasp_may_not_find_it(run):
    """ENMAX of a label is not that of every POTCAR of its name; and without an INCAR an option is known to us alone."""
    Path("INCAR").write_text("ICHARG = 1\n")
    assert "NGXF" not in lines(verdict().start)  # the POTCAR has the ENMAX that VASP takes
    Path("INCAR").unlink()
    given = verdict(StartOptions(model="none", grid=GridOptions(encut=100.0)))
    assert [lines(given.start)[f"NG{axis}F"] for axis in "XYZ"] == [str(n) for n in chgtools.read("CHGCAR").total.shape]


def test_spin_and_charge_are_in_the_table(run):
    Path("INCAR").write_text("ENCUT = 150\nISPIN = 2\nMAGMOM = 2 1 0\nNELECT = 13\n")
    made = verdict()
    rows = {row.name: row.text for row in made.rows}
    assert "13.000000 electrons (the atoms' 14: charge +1)" in rows["file"]
    assert rows["magnetisation"] == "of the atoms, by MAGMOM; 3.00 μ_B in the cell; ICHARG = 11 keeps it so"
    assert made.rows[-1].level == CAUTION
    assert rows["grid"].endswith(", 2 blocks")


def test_json_has_the_verdict_beside_what_it_had(run):
    done = CliRunner().invoke(main, ["predict", "POSCAR", "-o", "CHGCAR", "--model", "none", "--json"])
    facts = json.loads(done.stdout)
    assert facts["ready_for_icharg_11"] is True
    assert facts["verdict"]["icharg_11"] == {
        "yes": True, "because": [], "mend": [], "incar": {"ICHARG": "11", "LCHARG": ".FALSE."},
    }  # fmt: skip
    assert facts["verdict"]["model"].startswith("none")


# On a screen

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A stream that is one."""

    def isatty(self):
        return True


@pytest.fixture(params=[80, 60])
def columns(request, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


@pytest.mark.parametrize("potcar", [True, False])
def test_nothing_breaks_inside_a_word(run, columns, potcar):
    if not potcar:
        Path("POTCAR").unlink()
    Path("INCAR").write_text("ENCUT = 150\nNSW = 10\nLMAXMIX = 2\n")
    made = verdict(StartOptions(model="none", grid=GridOptions(ngf=(12, 10, 16))))
    text = in_words(made, 1.0)
    assert max(map(len, text.splitlines())) <= columns
    words = " ".join(text.split())
    for row in made.rows:
        assert f"{row.name} {row.text}" in words
    assert not re.search(r"=$", text, re.MULTILINE)  # a statement stays in one line
    # what is to be pasted is an INCAR
    for answer in (made.fixed, made.start):
        if answer.lines:
            pasted = text.partition(f"INCAR lines for ICHARG = {answer.icharg} ")[2].partition("\n")[2]
            assert dict(parse_incar(pasted.partition("\n\n")[0])) == lines(answer)


def test_colour_is_for_terminals(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made = verdict()
    plain = in_words(made, 1.0)
    monkeypatch.setattr(screen.sys, "stdout", Terminal())
    seen = in_words(made, 1.0)
    monkeypatch.setenv("NO_COLOR", "1")
    unseen = in_words(made, 1.0)
    monkeypatch.undo()
    assert not COLOURS.search(plain)
    assert COLOURS.search(seen)
    assert COLOURS.sub("", seen) == plain == unseen


def test_notes_are_a_list_on_a_terminal_and_lines_elsewhere(monkeypatch, capsys):
    sentences = ["NELECT = 14: " + "a sentence that is long enough to be broken " * 3, "another"]
    screen.print_notes(sentences)
    assert capsys.readouterr().err == "".join(f"note: {each}\n" for each in sentences)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    screen.print_notes(sentences)
    shown = COLOURS.sub("", capsys.readouterr().err).splitlines()
    assert shown[0] == "notes:"
    assert [line[:4] for line in shown[1:]] == ["  - ", "    ", "    ", "  - "]
    assert max(map(len, shown)) <= 60
