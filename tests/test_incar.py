"""INCAR: VASP's grammar, and every INCAR of the real runs against pymatgen."""

from __future__ import annotations

import pytest
from conftest import shared_path

from chgtools.errors import FormatError
from chgtools.formats.incar import parse_incar, read_incar

EXAMPLE = """\
Title line of no meaning
System = "oxide; # inside
 quotes"   ; nsw = 3 ! a comment ; NSW = 9
MAGMOM = 2*1.0 \\
   -1d0 0.5  three atoms # a comment with a backslash \\
encut = 300.00 eV   defaults from POTCAR
\tISPIN\t=\t2 ; EDIFF=1E-6;LREAL = Auto
NSW = 4
two words = 3
KERNEL_TRUNCATION { LTRUNCATE = .T. ; IDIMENSIONALITY = 2
  FACTOR = 1.5 }
LWAVE = .FALSE
LCHARG = true
EMPTY =
TITLE = slab Al{111}
"""


@pytest.fixture
def incar():
    return parse_incar(EXAMPLE, "run/INCAR")


def test_grammar(incar):
    assert incar["SYSTEM"] == "oxide; # inside\n quotes"
    assert incar.integer("NSW") == 3
    assert incar.numbers("magmom") == [1.0, 1.0, -1.0, 0.5]
    assert incar.number("ENCUT") == 300.0
    assert incar.integer("ISPIN") == 2
    assert incar.number("EDIFF") == 1e-6
    assert incar.text("LREAL") == "Auto"
    assert incar.logical("KERNEL_TRUNCATION/LTRUNCATE") is True
    assert incar.integer("KERNEL_TRUNCATION/IDIMENSIONALITY") == 2
    assert incar.number("KERNEL_TRUNCATION/FACTOR") == 1.5
    assert incar.logical("LWAVE") is False
    assert incar.logical("LCHARG") is True
    assert incar.text("TITLE") == "slab Al{111}"
    assert len(incar) == 14


def test_lines_are_those_of_the_file(incar):
    assert [incar.lines[tag] for tag in ("SYSTEM", "NSW", "MAGMOM", "ENCUT", "LCHARG")] == [2, 3, 4, 6, 13]


def test_what_vasp_passes_over_is_told(incar):
    assert [sentence.split()[0] for sentence in incar.ignored] == ["run/INCAR:8:", "run/INCAR:9:"]
    assert "NSW again" in incar.ignored[0]
    assert "line 3" in incar.ignored[0]


@pytest.mark.parametrize("tag", ["NELECT", "EMPTY"])
def test_a_tag_that_is_not_set_is_none(incar, tag):
    for value in (incar.text(tag), incar.number(tag), incar.integer(tag), incar.logical(tag), incar.numbers(tag)):
        assert value is None


@pytest.mark.parametrize(
    ("word", "value"), [("1D-5", 1e-5), (".5", 0.5), ("400.", 400.0), ("-1.5d+2", -150.0), ("+7", 7.0)]
)
def test_fortran_numbers(word, value):
    assert parse_incar(f"X = {word}").number("X") == value


@pytest.mark.parametrize(
    ("word", "value"), [(".T.", True), ("t", True), (".true.", True), ("F", False), (".f.", False)]
)
def test_fortran_logicals(word, value):
    assert parse_incar(f"LSORBIT = {word}").logical("lsorbit") is value


def test_enmax_is_the_old_name_of_encut():
    assert parse_incar("ENMAX = 512.2").number("ENCUT") == 512.2
    assert parse_incar("ENMAX = 512.2; ENCUT = 300").number("ENCUT") == 300.0
    with pytest.raises(FormatError, match="INCAR:1: found ENMAX = 'high'"):
        parse_incar("ENMAX = high").number("ENCUT")


def test_windows_line_ends_and_no_last_newline():
    assert dict(parse_incar("ENCUT = 300\r\nMAGMOM = 1 \\\r\n 2")) == {"ENCUT": "300", "MAGMOM": "1  2"}
    assert parse_incar("MAGMOM = 1 2 \\").numbers("MAGMOM") == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("\nENCUT = high", "number", r"INCAR:2: found ENCUT = 'high'; wanted a number"),
        ("ENCUT = nan", "number", "'nan'"),
        ("ENCUT = 3_0", "number", "3_0"),
        ("ENCUT = 1.5.2", "integer", "whole number"),
        ("ENCUT = 2.5", "integer", "'2.5'"),
        ("ENCUT = yes", "logical", "TRUE"),
        ("ENCUT = a 1 2", "numbers", "INCAR:1: found ENCUT = 'a'"),
        ("ENCUT = 1.0 3*x", "numbers", r"3\*x"),
        ("ENCUT = 99999999999*1", "numbers", "99999999999"),
    ],
    ids=str,
)
def test_values_of_the_wrong_kind_are_refused(text, read, message):
    with pytest.raises(FormatError, match=message):
        getattr(parse_incar(text), read)("ENCUT")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('NSW = 1\nSYSTEM = "abc\ndef', r'INCAR:2: a " is never closed'),
        ("NSW = 1\n\nGROUP {\nA = 1", "INCAR:3: GROUP { is never closed"),
        ("A = 1\n}", "INCAR:2: found a }"),
    ],
    ids=["quote", "brace", "stray"],
)
def test_what_is_not_closed_is_refused(text, message):
    with pytest.raises(FormatError, match=message):
        parse_incar(text)


def test_files_that_are_no_incar(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_incar(tmp_path / "INCAR")
    with pytest.raises(FormatError, match="cannot be read"):
        read_incar(tmp_path)
    (tmp_path / "WAVECAR").write_bytes(b"\0\1\2 = 3")
    with pytest.raises(FormatError, match="zero bytes"):
        read_incar(tmp_path / "WAVECAR")


def real_incars():
    return sorted(path for path in shared_path("corpus").glob("*/*") if "INCAR" in path.name)


def same(ours, tag, theirs):
    if isinstance(theirs, bool):
        return ours.logical(tag) == theirs
    if isinstance(theirs, (int, float)):
        return ours.number(tag) == theirs
    if isinstance(theirs, list):
        flat = [x for item in theirs for x in (item if isinstance(item, list) else [item])]  # non-collinear: triples
        return ours.numbers(tag) == flat
    return (ours.text(tag) or "").lower() == str(theirs).lower()


def test_real_files_as_pymatgen_reads_them():
    from pymatgen.io.vasp import Incar as PymatgenIncar

    paths = real_incars()
    assert len(paths) >= 20
    for path in paths:
        ours, theirs = read_incar(path), PymatgenIncar.from_file(path)
        assert set(ours) == set(theirs), path
        assert [tag for tag in ours if not same(ours, tag, theirs[tag])] == [], path
