"""Blocks that other programs and old compilers print otherwise than VASP: the numbers that a list-directed READ takes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path

from chgtools.check import check_file
from chgtools.errors import FormatError
from chgtools.formats import chgcar, poscar
from chgtools.formats.incar import read_incar

HEADER = "title\n   1.0\n 3 0 0\n 0 4 0\n 0 0 5\n   Si\n     1\nDirect\n  0.000000  0.000000  0.000000\n \n"
VOLUME = 60.0


def numbers(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.1, 30, count).round(3)


def rows(words: list[str], columns: int) -> str:
    return "".join("".join(words[i : i + columns]) + "\n" for i in range(0, len(words), columns))


def g_field(value: float, digits: int = 5) -> str:
    """1X,G11.5 of a number from 1 to 99999, or as wide as an old compiler makes it."""
    before = len(str(int(value)))
    return f" {value:7.{digits - before}f}    "


def file_of(path: Path, grid: str, *blocks: str) -> Path:
    path.write_text(HEADER + "".join(f"{grid}\n{block}" for block in blocks))
    return path


@pytest.mark.parametrize(
    ("columns", "number"), [(5, " {:.11E}"), (5, " {:18.11E}"), (5, "{:20.10e} "), (10, "{:14.6f}")]
)
@pytest.mark.parametrize("rest", [1, 2, 4])
def test_zeros_that_fill_the_last_line_are_left_out(columns, number, rest, tmp_path):
    """chgsum.pl prints five numbers to each line whatever there are, chgavg.pl with %20.10e."""
    shape = (columns + rest, 1, 1)
    values = numbers(shape[0])
    words = [number.format(x) for x in [*values, *[0.0] * (columns - rest)]]
    path = file_of(tmp_path / "CHGCAR_sum", f"   {shape[0]} 1 1", rows(words, columns))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = chgcar.read(path)
    np.testing.assert_allclose(data.total[:, 0, 0] * VOLUME, values, rtol=1e-12)
    assert len(caught) == 1
    assert f"filled up with {columns - rest} zeros" in str(caught[0].message) or columns - rest == 1
    found = [finding for finding in check_file(path).findings if finding.code not in ("record-missing", "layout")]
    assert [(finding.code, finding.severity) for finding in found] == [("padding", "note")]


@pytest.mark.parametrize("last", [" 1.5E+00 0.0E+00 1.0E-30", " 1.5E+00 0.0E+00 0.0E+00 0.0E+00 0.0E+00 0.0E+00"])
def test_what_is_no_padding_is_refused(last, tmp_path):
    words = rows([f" {x:.11E}" for x in numbers(5)], 5)
    path = file_of(tmp_path / "CHGCAR", " 3 2 1", words + last + "\n")
    with pytest.raises(FormatError, match=r"CHGCAR:13: block 1 goes on behind the 6 numbers"):
        chgcar.read(path)
    assert "surplus-numbers" in [finding.code for finding in check_file(path).findings]


@pytest.mark.parametrize("power", [1.0, 10.0, 100.0, 1000.0, 10000.0])
@pytest.mark.parametrize("place", [20, 24, 29, 35])
def test_a_power_of_ten_may_be_one_digit_wider(power, place, tmp_path):
    """gfortran once printed 10.0000 for 9.999996 in G11.5: in its field, or one column wider."""
    values = numbers(36)
    values[place] = power
    for shift in ("", " "):
        words = [g_field(x) for x in values]
        words[place] = shift + g_field(power, digits=6)
        path = file_of(tmp_path / "CHG", "    6    3    2", *[rows(words, 10)] * 4)
        data = chgcar.read(path)
        assert len(data.blocks) == 4
        for block in data.blocks:
            np.testing.assert_allclose(block.reshape(-1, order="F") * VOLUME, values, rtol=1e-4)
            assert block.reshape(-1, order="F")[place] * VOLUME == pytest.approx(power, rel=1e-12)
        codes = {finding.code for finding in check_file(path).findings}
        assert codes == {"layout", "record-missing", "moments-missing"}


def test_lines_that_are_shifted_or_joined_are_read(tmp_path):
    values = numbers(36)
    lines = rows([g_field(x) for x in values], 10).splitlines(keepends=True)
    for changed in ([*lines[:2], "  " + lines[2], lines[3]], [lines[0], lines[1], lines[2].rstrip("\n") + lines[3]]):
        data = chgcar.read(file_of(tmp_path / "CHG", "    6    3    2", "".join(changed)))
        np.testing.assert_allclose(data.total.reshape(-1, order="F") * VOLUME, values, rtol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  12.345    ", "  12.35    "),  # a digit lost
        ("  12.345    ", "  12.3456   "),  # a digit more that is none of a rounding
        (" -12.345    ", " 12.345    "),  # a sign lost: all behind it came too early
        (" 0.12345E-02", " 0.12345"),  # an exponent lost
        ("  12.345    ", ""),  # a number lost
    ],
)
def test_a_number_that_lost_something_is_still_refused(old, new, tmp_path):
    lines = rows([g_field(x) for x in numbers(36)], 10).splitlines(keepends=True)
    lines[2] = lines[2][:36] + old + lines[2][48:]
    assert chgcar.read(file_of(tmp_path / "CHG", "    6    3    2", "".join(lines))).shape == (6, 3, 2)
    lines[2] = lines[2].replace(old, new)
    with pytest.raises(FormatError, match=r"CHG:14: found .*1X,G11.5"):
        chgcar.read(file_of(tmp_path / "CHG", "    6    3    2", "".join(lines)))


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("1.5, 2.5,3*0.25,\n", [1.5, 2.5, 0.25, 0.25, 0.25]),
        ("2*1.0D-3 2*-.5 1.E+01\n", [1e-3, 1e-3, -0.5, -0.5, 10.0]),
        ("1.5,, 2.5 0.1 0.1\n", None),
        ("4*0.25\n", None),
        ("6*0.25\n", None),
        ("5*\n", None),
        ("999999999*0.25\n", None),
    ],
)
def test_commas_and_repeated_numbers(line, good, tmp_path):
    """What a Fortran WRITE(*,*) of another compiler prints, and what none reads."""
    path = file_of(tmp_path / "CHGCAR", " 3 5 1", "0.1 0.2 0.3 0.4 0.5\n0.6 0.7 0.8 0.9 1.0\n" + line)
    if good is None:
        with pytest.raises(FormatError):
            chgcar.read(path)
        return
    flat = chgcar.read(path).total.reshape(-1, order="F") * VOLUME
    np.testing.assert_allclose(flat, [0.1 * (i + 1) for i in range(10)] + good, rtol=1e-14)


@pytest.mark.parametrize(("name", "electrons", "blocks"), [("CHG", 10.16326, 1), ("CHG_ncl", 10.005379, 4)])
def test_files_of_the_kind(name, electrons, blocks):
    data = chgcar.read(shared_path("inputs", "chg-shifted", name))
    assert (len(data.blocks), data.shape) == (blocks, (6, 8, 10))
    assert data.electrons == pytest.approx(electrons, abs=1e-6)


RECORD = "augmentation occupancies   1   3\n"


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("  0.1500000E+01 -0.2500000E+00  0.5000000E-01\n", True),
        ("0.1500000E+01\t-0.2500000E+00   0.5000000E-01 \n", False),  # the first came too early: a sign may be lost
        ("    0.1500000E+01     -0.2500000E+00  0.5000000E-01\n", True),
        ("   0.15000000E+01  -0.250000000E+00   0.5000000E-01\n", True),
        ("  0.1500000E+01  -0.250000E+00   0.5000000E-01 \n", False),  # a digit lost
        ("  0.1500000E+01  -0.2500000E+00   0.5000000\n", False),  # an exponent lost
        ("  0.1500000E+01  -0.2500000E+00\n   0.5000000E-01\n", False),  # broken in two
        ("  0.150000000000E+01  0.100000000000E+01  0.500000000000E-01\n", False),  # moments behind a line that is lost
    ],
)
def test_records_out_of_their_columns(line, good, tmp_path):
    """VASP reads records as lists; what may have lost something is refused all the same."""
    whole = "  0.1500000E+01 -0.2500000E+00  0.5000000E-01\n"
    grid = rows([f" {x:.11E}" for x in numbers(36)], 5)
    path = tmp_path / "CHGCAR"
    header = HEADER.replace("     1\nDirect", "     2\nDirect").replace("\n \n", "\n  0.5 0.5 0.5\n \n")
    path.write_text(header + "    6    3    2\n" + grid + RECORD + whole + RECORD.replace("1   3", "2   3") + line)
    if good:
        for record in chgcar.read(path).augmentation[0].real:
            np.testing.assert_array_equal(record, [1.5, -0.25, 0.05])
    else:
        with pytest.raises(FormatError, match="where the augmentation record of ion 2 goes on"):
            chgcar.read(path)


@pytest.mark.parametrize("read", [chgcar.read, poscar.read, read_incar, check_file], ids=lambda read: read.__module__)
def test_carriage_returns_alone(read, tmp_path):
    """Files of programs before Mac OS X: one line to Fortran. A last line that lost its newline alone is another thing."""
    path = tmp_path / "CHGCAR"
    path.write_bytes(HEADER.replace("\n", "\r").encode())
    with pytest.raises(FormatError, match="CHGCAR: its lines end in carriage returns alone"):
        read(path)
    path.write_bytes(b"ENCUT = 400\r")
    assert read_incar(path).tags["ENCUT"] == "400"
