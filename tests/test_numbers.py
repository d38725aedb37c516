"""Numbers as text: every kernel against a plain twin, and against what Fortran itself prints."""

from __future__ import annotations

import shutil
import struct
import subprocess
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chgtools.kernels import parse as parsing
from chgtools.kernels import printing, words
from chgtools.kernels.fields import POWERS
from chgtools.kernels.parse import BAD, DONE, NEED_MORE

FINITE = st.floats(-1e300, 1e300, allow_subnormal=False)


def plain_e(value: float, width: int, digits: int) -> str:
    """Twin of one field of format_e: Fortran's Ewidth.digits by exact decimal arithmetic."""
    sign = "-" if np.copysign(1.0, value) < 0 else ""
    if value == 0:
        mantissa, exponent = "0" * digits, 0
    else:
        exact = Decimal(abs(value))
        exponent = exact.adjusted() + 1
        whole = int((exact.scaleb(digits - exponent)).to_integral_value(ROUND_HALF_EVEN))
        if whole == 10**digits:
            whole, exponent = whole // 10, exponent + 1
        mantissa = str(whole)
    power = f"E{exponent:+03d}" if abs(exponent) < 100 else f"{exponent:+04d}"
    text = f"{sign}0.{mantissa}{power}"
    return (text if len(text) <= width else text.replace("0.", ".", 1)).rjust(width)


def plain_g(value: float) -> str:
    """Twin of one field of format_g: 1X,G11.5."""
    if value == 0:
        return "  0.0000    "
    field = plain_e(value, 11, 5)
    exponent = int(field[-3:]) if "E" in field else int(field[-4:])
    if not 0 <= exponent <= 5:
        return " " + field
    rounded = Decimal(field[:-4].strip().lstrip("-0").replace(".", "0.", 1)).scaleb(exponent)
    text = f"{rounded:.{5 - exponent}f}" + ("." if exponent == 5 else "")
    if value < 0:
        text = "-" + (text[1:] if text.startswith("0.") else text)
    return " " + text.rjust(7) + "    "


def print_e(values: list[float], lead: int = 1, width: int = 17, digits: int = 11, columns: int = 5) -> str:
    text = np.empty(len(values) * (width + lead + 1) + 16, np.uint8)
    used = printing.format_e(np.array(values), 1.0, lead, width, digits, columns, text, POWERS)
    return text[:used].tobytes().decode()


def print_e17(values: list[float]) -> str:
    text = np.empty(len(values) * 19 + 16, np.uint8)
    return text[: printing.format_e17(np.array(values), 1.0, 5, text, POWERS, printing.EXPONENTS)].tobytes().decode()


def print_g(values: list[float]) -> str:
    text = np.empty(len(values) * 13 + 16, np.uint8)
    return text[: printing.format_g(np.array(values), 1.0, 10, text, POWERS)].tobytes().decode()


def parse(text: str, count: int, width: int | None = None, columns: int = 5, integers: bool = False) -> tuple:
    raw = np.frombuffer(text.encode() + b"\0" * 16, np.uint8)
    out = np.full(count, np.nan)
    if width:
        result = parsing.parse_fixed(raw, len(text), out, 0, width, 11 if width == 18 else 5, columns, 1.0, POWERS)
    else:
        result = parsing.parse_free(raw, len(text), out, 0, 1.0, POWERS, integers)
    return out, result


@given(st.integers(10**11, 10**12 - 1), st.integers(-315, 290))
@settings(max_examples=1500)
@example(407678294510, 35)
@example(123456789012, -318)
def test_numbers_next_to_a_half_of_the_last_digit_are_rounded_exactly(digits, exponent):
    """Twelve digits and a 5, of any size: the float64 nearest to it lies a little above or below, or on it."""
    value = float(f"{digits}5e{exponent}")
    for near in (np.nextafter(value, 0), value, np.nextafter(value, np.inf)):
        assert print_e([near], 0, 20, 12)[:-1] == plain_e(near, 20, 12)


@given(FINITE)
@settings(max_examples=1500)
@example(4.076782945105e47)
def test_e_fields_are_those_of_exact_decimal_arithmetic(value):
    assert print_e([value])[1:-1] == plain_e(value, 17, 11)
    assert print_e17([value]) == print_e([value])
    assert print_e([value], 0, 15, 7)[:-1] == plain_e(value, 15, 7)
    assert print_e([value], 0, 20, 12)[:-1] == plain_e(value, 20, 12)


@given(st.one_of(FINITE, st.floats(-2e5, 2e5)))
@settings(max_examples=1500)
def test_g_fields_are_those_of_exact_decimal_arithmetic(value):
    assert print_g([value])[:-1] == plain_g(value)


@given(st.integers(10**10, 10**11 - 1), st.integers(-11, 33))
@settings(max_examples=500)
def test_printed_numbers_come_back(mantissa, exponent):
    value = float(f"{mantissa}e{exponent - 11}")
    text = print_e17([value, -value, value, value, -value])
    out, result = parse(text, 5, 18)
    assert result == (len(text), 5, 1, DONE)
    assert out.tolist() == [value, -value, value, value, -value]


@given(st.lists(FINITE, min_size=1, max_size=23))
@settings(max_examples=300)
def test_fixed_and_free_parsers_equal_python(values):
    text = print_e17(values)
    expected = [float(number) if "E" in number else float(number[:-4] + "E" + number[-4:]) for number in text.split()]
    for width in (18, None):
        out, (_, done, lines, status) = parse(text, len(values), width)
        assert (done, lines, status) == (len(values), -(-len(values) // 5), DONE)
        np.testing.assert_array_max_ulp(out, np.array(expected), 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.123-100\n", [0.123e-100]),
        ("0.123+100\n", [0.123e100]),
        ("0.1E+00-0.2E+00\n", [0.1, -0.2]),
        ("0.1-0.2\n", [0.1, -0.2]),
        ("-.5 .25+1.5D2\n", [-0.5, 0.25, 150.0]),
        ("1.d0 2.e-3 3.E+4\r\n", [1.0, 2e-3, 3e4]),
        ("123456789012345678901234.0\n", [123456789012345678901234.0]),
        ("0.000000000000000000000000123\n", [1.23e-25]),
    ],
)
def test_fortran_forms(text, expected):
    out, (_, done, _, status) = parse(text, len(expected))
    assert (done, status) == (len(expected), DONE)
    np.testing.assert_array_max_ulp(out, np.array(expected), 2)


@pytest.mark.parametrize(
    "text", ["****\n", "0.1 NaN\n", "1.0E\n", "1.0E+\n", "1.5 x\n", "1.0,2.0\n", "1.0E999\n", "1.0 2.0 3.0\n"]
)
def test_what_is_no_number_stops_the_parser_before_its_line(text):
    _, result = parse("0.5 0.5\n" + text, 4)
    assert result == (8, 2, 1, BAD)


def test_integers_are_data_only_when_allowed():
    assert parse("48 42 42\n", 3)[1][3] == BAD
    assert parse("48 42 42\n", 3, integers=True)[0].tolist() == [48, 42, 42]


def test_bytes_that_end_in_mid_line_are_asked_for_again():
    text = print_e17([1.5] * 10)
    for width in (18, None):
        assert parse(text[:-1], 10, width)[1] == (91, 5, 1, NEED_MORE)


@pytest.mark.parametrize("position", range(90))
def test_a_byte_lost_from_a_fixed_line_is_noticed(position):
    text = print_e17([-1.5, 2.25e-7, 0.0, 4.5e99, -5.125])
    damaged = text[:position] + text[position + 1 :]
    assert parse(damaged, 5, 18)[1][3] == BAD


def test_minus_zero_keeps_its_sign():
    out, _ = parse(print_e17([-0.0, 0.0, -0.0, 1.0, 0.0]), 5, 18)
    assert np.signbit(out).tolist() == [True, False, True, False, False]


def test_word_kernels_equal_their_twins():
    raw = np.frombuffer(b"xx12345678yy", np.uint8).copy()
    assert int(words.load8(raw, 2)) == struct.unpack("<Q", b"12345678")[0]
    assert int(words.eight_digits(np.uint64(words.load8(raw, 2)))) == 12345678
    for value in (0, 7, 90210, 12345678, 99999999):
        word = int(words.digits_of(np.uint64(value)))
        assert word.to_bytes(8, "little") == f"{value:08d}".encode()
        assert int(words.not_digits(np.uint64(word))) == 0
    for position in range(8):
        for byte in b" -+.E/:\x00\xff":
            text = bytearray(b"12345678")
            text[position] = byte
            assert int(words.not_digits(np.uint64(int.from_bytes(text, "little")))) != 0
    words.store8(raw, 1, np.uint64(int.from_bytes(b"abcdefgh", "little")))
    assert raw.tobytes() == b"xabcdefgh8yy"[:12]


def test_fields_are_those_of_gfortran(tmp_path: Path):
    """VASP's own formats, printed by a Fortran compiler."""
    compiler = shutil.which("gfortran")
    if compiler is None:
        pytest.skip("needs gfortran")
    rng = np.random.default_rng(1)
    values = np.concatenate([
        rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000),
        rng.uniform(-2, 2, 2000) * 10.0 ** rng.integers(-3, 7, 2000),
        [0.0, 0.1, 99999.4999, 99999.5, 0.099999499, 0.0999995, 1e5, 1e-120, -1e120, 0.5, 2.5e-7, 1.0, 9.99995, -0.099999501],
    ])  # fmt: skip
    program = """
    program show
      double precision, allocatable :: x(:)
      integer n
      open(10, file='in', form='unformatted', access='stream')
      read(10) n
      allocate(x(n))
      read(10) x
      open(11, file='e'); write(11, '(5(1X,E17.11))') x
      open(12, file='g'); write(12, '(10(1X,G11.5))') x
      open(13, file='a'); write(13, '(5E15.7)') x
      open(14, file='m'); write(14, '(5E20.12)') x
    end program
    """
    (tmp_path / "show.f90").write_text(program)
    subprocess.run([compiler, "show.f90", "-o", "show"], cwd=tmp_path, check=True)
    (tmp_path / "in").write_bytes(np.int32(len(values)).tobytes() + values.tobytes())
    subprocess.run([tmp_path / "show"], cwd=tmp_path, check=True)
    listed = values.tolist()
    assert print_e17(listed) == (tmp_path / "e").read_text()
    assert print_e(listed, 0, 15, 7) == (tmp_path / "a").read_text()
    assert print_e(listed, 0, 20, 12) == (tmp_path / "m").read_text()
    assert [line.rstrip() for line in print_g(listed).splitlines()] == [
        line.rstrip() for line in (tmp_path / "g").read_text().splitlines()
    ]


@pytest.mark.parametrize("position", range(120))
def test_a_byte_lost_from_a_line_of_g_fields_is_noticed(position):
    values = [22.326, -30.866, 0.12593, -0.12593, 0.0, 12345.0, 0.92955e-3, -0.92955e-3, 1.5, 246.71]
    text = print_g(values)
    out, (_, done, _, status) = parse(text, 10, 12, 10)
    assert (done, status) == (10, DONE)
    np.testing.assert_allclose(out, values)
    damaged = text[:position] + text[position + 1 :]
    last_blanks = position >= 116  # blanks at the end of a line carry nothing
    assert parse(damaged, 10, 12, 10)[1][3] == (DONE if last_blanks else BAD)
    for blanks in (1, 2):
        damaged = text[:position] + " " * blanks + text[position + blanks :]
        out, (_, _, _, status) = parse(damaged, 10, 12, 10)
        assert status != DONE or np.allclose(np.abs(out), np.abs(values))  # a lost sign cannot be seen
