"""Tags set in an INCAR that stays the user's: every other byte of it, and every other tag."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chgtools.errors import FormatError
from chgtools.formats.incar import parse_incar
from chgtools.formats.incar_edit import _sets_alone, with_tags


def edited(text, **values):
    return with_tags(text, values, {}, "INCAR")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ICHARG = 2\n", "ICHARG = 11\n"),
        ("  icharg=2 ! from the atoms\nENCUT = 300\n", "  icharg=11 ! from the atoms\nENCUT = 300\n"),
        ("ENCUT = 300 ; ICHARG = 2;ISPIN = 2 # x\n", "ENCUT = 300 ; ICHARG = 11;ISPIN = 2 # x\n"),
        ("ICHARG = 2\nICHARG = 1\n", "ICHARG = 11\nICHARG = 1\n"),  # VASP takes the first
        ("# ICHARG = 2\nICHARG =\t0\r\n", "# ICHARG = 2\nICHARG =\t11\r\n"),
        ("MAGMOM = 1 \\\n 2 ; ICHARG = 2\n", "MAGMOM = 1 \\\n 2 ; ICHARG = 11\n"),
        ("ENCUT = 3 ! ICHARG = 2", "ENCUT = 3 ! ICHARG = 2\nICHARG  = 11\n"),
        ("ENCUT = 3\r\n! x", "ENCUT = 3\r\n! x\r\nICHARG  = 11\r\n"),
        ("", "ICHARG  = 11\n"),
        ("SYSTEM = my ICHARG = 2 run\n", "SYSTEM = my ICHARG = 2 run\nICHARG  = 11\n"),
        ('SYSTEM = "a; ICHARG = 1"; ICHARG = 2\n', 'SYSTEM = "a; ICHARG = 1"; ICHARG = 11\n'),
        ("MAGMOM = 1 2 \\", "ICHARG  = 11\nMAGMOM = 1 2 \\"),
        ('SYSTEM = "a\nICHARG = 4\n"\nICHARG = 2\n', 'SYSTEM = "a\nICHARG = 4\n"\nICHARG = 11\n'),
    ],
)
def test_one_tag(text, wanted):
    assert edited(text, ICHARG="11") == wanted


def test_bytes_of_any_encoding_stay():
    text = b"SYSTEM = \xe9tude\nICHARG = 2\n".decode("latin-1")
    assert edited(text, ICHARG="11").encode("latin-1") == b"SYSTEM = \xe9tude\nICHARG = 11\n"


def test_what_cannot_be_done_without_touching_more_is_refused():
    with pytest.raises(FormatError, match="^INCAR:2: ICHARG cannot be set .* set ICHARG = 11 by hand"):
        edited("ISPIN = 2\nICHARG \\\n = 2\n", ICHARG="11")


@pytest.mark.parametrize(
    ("after", "right"),
    [
        ("ENCUT = 3\nICHARG = 11\n", True),
        ("ENCUT = 4\nICHARG = 11\n", False),
        ("ICHARG = 11\n", False),
        ("ENCUT = 3\nICHARG = 1\n", False),
        ("ENCUT = 3\nICHARG = 11\nENCUT = 4\n", False),
    ],
)
def test_what_is_taken_for_right(after, right):
    assert _sets_alone(parse_incar("ENCUT = 3\n"), parse_incar(after), "ICHARG", "11") is right


STATEMENTS = st.sampled_from(
    ["ICHARG = 2", "icharg=1 ", " ENCUT = 300", "ISPIN=2", "", " LICHARG = 1", "NICHARG=4", "NSW = 3 steps", "NSW=7",
     'SYSTEM = "a; NSW = 1"', "heading"]
)  # fmt: skip
LINES = st.builds(
    lambda statements, comment: ";".join(statements) + comment,
    st.lists(STATEMENTS, min_size=1, max_size=4),
    st.sampled_from(["", " ! ICHARG = 3; NSW = 1", "# x", "\r"]),
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(st.lists(LINES, max_size=6))
def test_no_other_tag_and_no_other_line_changes(lines):
    text = "\n".join(lines)
    made = edited(text, ICHARG="11", NSW="0")
    before, after = parse_incar(text), parse_incar(made)
    assert (after["ICHARG"].split()[0], after["NSW"].split()[0]) == ("11", "0")
    assert {**after, "ICHARG": "", "NSW": ""} == {**before, "ICHARG": "", "NSW": ""}
    assert len(after.ignored) == len(before.ignored)
    changed = [line for line in difflib.ndiff(text.split("\n"), made.split("\n")) if line[0] == "-" and line != "- "]
    assert all("ICHARG" in line.upper() or "NSW" in line.upper() or not text.endswith("\n") for line in changed)
    assert edited(made, ICHARG="11", NSW="0") == made
