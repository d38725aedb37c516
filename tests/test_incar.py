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
    assert [each.place for each in incar.ignored] == ["run/INCAR:8", "run/INCAR:9", "run/INCAR:14", "run/INCAR:15"]
    assert str(incar.ignored[0]) == "run/INCAR:8: NSW again; VASP takes the first, in line 3"
    assert [each.found.partition(" and")[0] for each in incar.ignored[2:]] == [
        "VASP knows no tag EMPTY",
        "VASP knows no tag TITLE",
    ]
    assert not any(each.meant for each in incar.ignored)


# statement: the tag that was meant
MEANT = {
    "ENCUTT = 400": "ENCUT",
    "encut 400": "ENCUT",
    "ENCUT 400 eV": "ENCUT",
    "encut\t400": "ENCUT",
    "ENCUT eV = 400": "ENCUT",
    "PREC Accurate": "PREC",
    "LSORBIT .TRUE.": "LSORBIT",
    "MAGMOM 2*1.0 -1": "MAGMOM",
    "ISPN = 2": "ISPIN",
    "MAGMON = 2*1": "MAGMOM",
    "ICHARGE = 11": "ICHARG",
    "NELECTR = 8": "NELECT",
    "LNONCOLINEAR = T": "LNONCOLLINEAR",
    "KERNEL_TRUNCATION { LTRUNCAT = T }": "KERNEL_TRUNCATION/LTRUNCATE",
}


@pytest.mark.parametrize("statement", MEANT)
def test_the_tag_that_was_meant_is_named(statement):
    (ignored,) = parse_incar(f"NSW = 1\n{statement}\n").ignored
    assert (ignored.place, ignored.meant) == ("INCAR:2", MEANT[statement])
    assert ("has no =" in ignored.found) == ("=" not in statement)


@pytest.mark.parametrize(
    "heading",
    ["Electronic minimization", "DOS related values", "Time step", "NSW and friends:", "ICHARG", "# ENCUT 400"],
)
def test_headings_and_comments_say_nothing(heading):
    assert parse_incar(f"{heading}\nIMAGE_2/ENCUT = 300").ignored == ()


def test_a_quote_that_is_never_closed_is_a_character():
    """VASP 5 knows no quotes; one stray quote is no reason to lose the rest."""
    incar = parse_incar('SYSTEM = 3" wafer ; ISPIN = 2\nENCUT = 400 ! eV\nMAGMOM = 1 \\\n 2')
    assert incar["SYSTEM"] == '3" wafer'
    assert (incar.integer("ISPIN"), incar.number("ENCUT"), incar.numbers("MAGMOM")) == (2, 400.0, [1.0, 2.0])
    (ignored,) = incar.ignored
    assert str(ignored).startswith('INCAR:1: a " is never closed, and is taken as VASP 5 takes it')
    again = parse_incar('ALGO = "Fast"\nSYSTEM = 3" wafer\nENCUT = 400')
    assert (again["ALGO"], again.number("ENCUT"), len(again.ignored)) == ("Fast", 400.0, 1)


def test_tags_within_quotes_are_told():
    """Two stray quotes hold what is between them together, as VASP 6 reads them; VASP 5 does not."""
    incar = parse_incar('SYSTEM = 3" wafer\nENCUT = 400\n and 5" more\nISPIN = 2')
    assert incar.number("ENCUT") is None
    assert incar.integer("ISPIN") == 2
    assert [str(each) for each in incar.ignored] == [
        "INCAR:1: ENCUT lies within the quotes of SYSTEM: a text to VASP 6, a tag to VASP 5"
    ]
    assert parse_incar('WANNIER90_WIN = "\nnum_wann = 4\n"\nMAGMOM = "1\n2"').ignored == ()


def test_the_real_runs_have_no_tag_that_vasp_does_not_know():
    said = [str(each) for path in real_incars() for each in read_incar(path).ignored]
    assert [sentence for sentence in said if "knows no tag" in sentence or "has no =" in sentence] == []


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
        ("NSW = 1\n\nGROUP {\nA = 1", "INCAR:3: GROUP { is never closed"),
        ("A = 1\n}", "INCAR:2: found a }"),
    ],
    ids=["brace", "stray"],
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
