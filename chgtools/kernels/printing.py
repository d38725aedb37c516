"""Print numbers as Fortran does: Ew.d and Gw.d, digit for digit, straight into bytes."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from chgtools.kernels import kernel
from chgtools.kernels.fields import (
    BLANK,
    EXACT,
    MINUS,
    NEWLINE,
    PLUS,
    POINT,
    POWER_OFFSET,
    UPPER_E,
    ZERO,
)
from chgtools.kernels.words import U, digits_of, store8

# The four bytes E+dd or +ddd of each exponent as a little-endian word, in its upper half
EXPONENTS = np.array(
    [
        int.from_bytes((f"E{k:+03d}" if abs(k) < 100 else f"{k:+04d}").encode(), "little") << 32
        for k in range(-POWER_OFFSET, POWER_OFFSET + 1)
    ],
    dtype=np.uint64,
)


@kernel
def _digits(magnitude, decimal, digits, powers):
    """``digits`` significant decimal digits of a positive float64, as Fortran rounds (to nearest, exactly).

    decimal : a guess of e in magnitude = 0.ddd · 10**e. Returns (digits as an integer, e, whether they are sure): a
    number so close to a half of its last digit that only longer arithmetic can tell is left to the caller.
    """
    while magnitude >= powers[POWER_OFFSET + decimal]:
        decimal += 1
    while magnitude < powers[POWER_OFFSET + decimal - 1]:
        decimal -= 1
    shift = digits - decimal
    if shift > 300:
        scaled = magnitude * 1e100 * powers[POWER_OFFSET + shift - 100]
    elif shift >= 0:
        scaled = magnitude * powers[POWER_OFFSET + shift]
    else:
        scaled = magnitude / powers[POWER_OFFSET - shift]
    whole = np.floor(scaled)
    rest = scaled - whole
    # The product carries a relative error of some 1e-16, so close to a half the true product must decide.
    near = abs(rest - 0.5) < 8e-16 * scaled + 1e-9
    exact = 0 <= shift <= EXACT
    if near and exact:
        power = powers[POWER_OFFSET + shift]
        split = 134217729.0  # 2**27 + 1, Dekker's product
        a = split * magnitude
        a_high = a - (a - magnitude)
        a_low = magnitude - a_high
        b = split * power
        b_high = b - (b - power)
        b_low = power - b_high
        error = ((a_high * b_high - scaled) + a_high * b_low + a_low * b_high) + a_low * b_low
        rest += error
    mantissa = np.int64(whole)
    if rest > 0.5 or (rest == 0.5 and mantissa % 2 == 1):
        mantissa += 1
    limit = np.int64(powers[POWER_OFFSET + digits])
    if mantissa >= limit:
        mantissa //= 10
        decimal += 1
    return mantissa, decimal, exact or not near


@njit(nogil=True, forceinline=True)
def _put_digits(text, position, mantissa, digits):
    for k in range(digits - 1, -1, -1):
        tenth = mantissa // 10
        text[position + k] = ZERO + (mantissa - tenth * 10)
        mantissa = tenth


@njit(nogil=True, forceinline=True)
def _put_exponent(text, position, decimal):
    """Four bytes: E+dd, or +ddd where the exponent has three digits."""
    size = abs(decimal)
    sign = MINUS if decimal < 0 else PLUS
    if size < 100:
        text[position] = UPPER_E
        text[position + 1] = sign
        text[position + 2] = ZERO + size // 10
    else:
        text[position] = sign
        text[position + 1] = ZERO + size // 100
        text[position + 2] = ZERO + size // 10 % 10
    text[position + 3] = ZERO + size % 10


def field_e(value: float, lead: int, width: int, digits: int) -> str:
    """One number as Fortran's leadX,Ewidth.digits, by Python's own conversion: exact, and a microsecond a number."""
    mantissa, power = f"{abs(value):.{digits - 1}e}".split("e")
    decimal = int(power) + 1 if value else 0
    exponent = f"E{decimal:+03d}" if abs(decimal) < 100 else f"{decimal:+04d}"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    text = f"{sign}0.{mantissa.replace('.', '')}{exponent}"
    return (text if len(text) <= width else text.replace("0.", ".", 1)).rjust(lead + width)


def _print_again(values, scale, lead, width, digits, columns, text, unsure):
    """Put the exact digits of the values of indices ``unsure`` into ``text``, where all fields have one width."""
    whole = lead + width
    for i in unsure:
        field = field_e(float(np.float64(values[i]) * scale), lead, width, digits)
        at = i // columns * (columns * whole + 1) + i % columns * whole
        text[at : at + whole] = np.frombuffer(field.encode(), np.uint8)


def format_e(values, scale, lead, width, digits, columns, text, powers):
    """Print ``values · scale`` as Fortran's leadX,Ewidth.digits, ``columns`` to a line, each ended by a newline.

    The leading zero is dropped where the field has no room for it (a negative number in E17.11).
    text : uint8, room for lead + width bytes a value and one a line. Returns the bytes written, or -1 - i when value
    i is not finite.
    """
    unsure = np.empty(values.size, np.int64)
    used, count = _format_e(values, scale, lead, width, digits, columns, text, powers, unsure)
    _print_again(values, scale, lead, width, digits, columns, text, unsure[:count])
    return used


@kernel
def _format_e(values, scale, lead, width, digits, columns, text, powers, unsure):
    """Returns what :func:`format_e` does and how many indices of values stand in ``unsure``, those left to others."""
    position = 0
    count = 0
    decimal = np.int64(0)  # a plain 0 is a type of its own, for which _digits would be compiled once more
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i, 0
        negative = value < 0 or (value == 0 and np.copysign(1.0, value) < 0)
        if value == 0:
            mantissa = np.int64(0)
            shown = 0
        else:
            mantissa, decimal, sure = _digits(abs(value), decimal, digits, powers)
            if not sure:
                unsure[count] = i
                count += 1
            shown = decimal
        point = position + lead + width - digits - 5
        for k in range(position, point):
            text[k] = BLANK
        first = position + lead
        room = point - first
        if room >= 2 or (room == 1 and not negative):
            text[point - 1] = ZERO
            if negative:
                text[point - 2] = MINUS
        elif negative:
            text[point - 1] = MINUS
        text[point] = POINT
        _put_digits(text, point + 1, mantissa, digits)
        _put_exponent(text, point + digits + 1, shown)
        position += lead + width
        if (i + 1) % columns == 0:
            text[position] = NEWLINE
            position += 1
    if values.size % columns:
        text[position] = NEWLINE
        position += 1
    return position, count


def format_e17(values, scale, columns, text, powers, exponents):
    """:func:`format_e` for 1X,E17.11, the field of a CHGCAR, by whole words; the same bytes, twice as fast.

    text : uint8, room for 18 bytes a value, one a line, and 8 more; exponents : EXPONENTS.
    """
    unsure = np.empty(values.size, np.int64)
    used, count = _format_e17(values, scale, columns, text, powers, exponents, unsure)
    _print_again(values, scale, 1, 17, 11, columns, text, unsure[:count])
    return used


@kernel
def _format_e17(values, scale, columns, text, powers, exponents, unsure):
    """:func:`format_e17`, but for the values whose indices it puts into ``unsure``; as :func:`_format_e` does."""
    position = 0
    count = 0
    decimal = np.int64(0)  # a plain 0 is a type of its own, for which _digits would be compiled once more
    column = 0
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i, 0
        shown = 0
        mantissa = np.int64(0)
        if value != 0:
            mantissa, decimal, sure = _digits(abs(value), decimal, 11, powers)
            if not sure:
                unsure[count] = i
                count += 1
            shown = decimal
        # "0" or "-" (48 or 45) by arithmetic: a branch on the sign is guessed wrong in a magnetisation
        sign = U(ZERO) - U(ZERO - MINUS) * U(np.copysign(1.0, value) < 0)
        high = U(mantissa) // U(100000000)
        low = digits_of(U(mantissa) - high * U(100000000))
        # blank, sign, point, three digits and two bytes that the next word covers; eight digits; four of them again
        # with the exponent
        store8(text, position, U(0x2E0020) | (sign << U(8)) | ((digits_of(high) >> U(40)) << U(24)))
        store8(text, position + 6, low)
        store8(text, position + 10, (low >> U(32)) | exponents[POWER_OFFSET + shown])
        position += 18
        column += 1
        if column == columns:
            text[position] = NEWLINE
            position += 1
            column = 0
    if column:
        text[position] = NEWLINE
        position += 1
    return position, count


def format_g(values, scale, columns, text, powers):
    """Print ``values · scale`` as Fortran's 1X,G11.5, ``columns`` to a line, each line ended by a newline.

    0.1 <= |value| < 1e5 (after rounding) and zero are printed in F format with four blanks behind, all else as
    E11.5. Returns the bytes written, or -1 - i when value i is not finite.
    """
    unsure = np.empty(values.size, np.int64)
    used, count = _format_g(values, scale, columns, text, powers, unsure)
    # F format takes five exact digits, so that they are all in E format
    _print_again(values, scale, 1, 11, 5, columns, text, unsure[:count])
    return used


# deep: the cases of Fortran's G edit descriptor, digit by digit
@kernel
def _format_g(values, scale, columns, text, powers, unsure):
    """:func:`format_g`, but for the values whose indices it puts into ``unsure``; as :func:`_format_e` does."""
    position = 0
    count = 0
    decimal = np.int64(0)  # a plain 0 is a type of its own, for which _digits would be compiled once more
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i, 0
        negative = value < 0
        if value == 0:
            mantissa, whole = np.int64(0), 1  # zero counts as one digit before the point: 0.0000
        else:
            mantissa, decimal, sure = _digits(abs(value), decimal, 5, powers)
            if not sure:
                unsure[count] = i
                count += 1
            whole = decimal
        for k in range(position, position + 12):
            text[k] = BLANK
        if 0 <= whole <= 5:
            # F7.(5-whole): digits d d d . d d, right-aligned in bytes 1..7 of the field
            at = position + 7
            for k in range(6):
                if k == 5 - whole:
                    text[at - k] = POINT
                else:
                    text[at - k] = ZERO + mantissa % 10
                    mantissa //= 10
            if whole == 0:
                text[position + 1] = MINUS if negative else ZERO
            elif negative:
                text[position + 1] = MINUS
        else:
            text[position + 1] = MINUS if negative else ZERO
            text[position + 2] = POINT
            _put_digits(text, position + 3, mantissa, 5)
            _put_exponent(text, position + 8, whole)
        position += 12
        if (i + 1) % columns == 0:
            text[position] = NEWLINE
            position += 1
    if values.size % columns:
        text[position] = NEWLINE
        position += 1
    return position, count
