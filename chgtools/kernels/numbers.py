"""Numbers as text: parse and print the fixed fields and lists of Fortran programs, straight on bytes.

All kernels work on uint8 arrays and whole lines, release the interpreter lock and check nothing about their
arguments; :mod:`chgtools.formats` does that once. A kernel that meets something it cannot accept stops before the
line that holds it and says so by a status, so that the caller can name the line.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chgtools.kernels.words import LOW_NIBBLES, TIMES_1, U, digits_of, eight_digits, load8, not_digits, store8

# Status of a parse kernel
DONE = 0  # all numbers wanted are there
NEED_MORE = 1  # the bytes ended before the numbers did
BAD = 2  # the line at the returned position holds something that is no number, or not in its field

# Width of VASP's fields, and the digits in them
E_WIDTH, E_DIGITS = 18, 11  # 1X,E17.11: CHGCAR and most others
G_WIDTH, G_DIGITS = 12, 5  # 1X,G11.5: CHG, PARCHG and ELFCAR

NEWLINE, RETURN, BLANK, TAB, STAR = 10, 13, 32, 9, 42
PLUS, MINUS, POINT, ZERO, NINE = 43, 45, 46, 48, 57
UPPER_E, LOWER_E, UPPER_D, LOWER_D = 69, 101, 68, 100

# 10**k for k = -400..400: exact up to 22, correctly rounded elsewhere (Python's own conversion), 0 and inf beyond
POWER_OFFSET = 400
POWERS = np.array([float(f"1e{k}") for k in range(-POWER_OFFSET, POWER_OFFSET + 1)])
# The four bytes E+dd or +ddd of each exponent as a little-endian word, in its upper half
EXPONENTS = np.array(
    [
        int.from_bytes((f"E{k:+03d}" if abs(k) < 100 else f"{k:+04d}").encode(), "little") << 32
        for k in range(-POWER_OFFSET, POWER_OFFSET + 1)
    ],
    dtype=np.uint64,
)
EXACT = 22  # 10**22 is the largest power of ten that a float64 holds exactly


@njit(cache=True, nogil=True, inline="always")
def _scaled(mantissa, exponent, powers):
    """mantissa · 10**exponent; correctly rounded for |exponent| <= 22 and mantissa < 2**53, within 1 ulp elsewhere."""
    if exponent < 0:
        if exponent >= -EXACT:
            return mantissa / powers[POWER_OFFSET - exponent]
        if exponent >= -290:
            return mantissa * powers[POWER_OFFSET + exponent]
        if exponent < -400:
            return 0.0
        # below about 1e-290 the power itself would lose digits: in two steps
        return mantissa * powers[POWER_OFFSET + exponent + 100] * 1e-100
    if exponent > POWER_OFFSET:
        return np.inf
    return mantissa * powers[POWER_OFFSET + exponent]


@njit(cache=True, nogil=True)
def parse_token(text, start, stop, powers):
    """One real number that begins at text[start] (no blanks before it).

    Accepts Fortran's forms: 1, 1., .5, -.5E+01, 1D-3, and 0.123-100 where a three-digit exponent has pushed the
    letter out. In 0.1E+00-0.2E+00 the number ends before the second sign.
    Returns (value, position after the number, is_integer); position == start when there is no number.
    """
    position = start
    negative = False
    if position < stop and (text[position] == MINUS or text[position] == PLUS):
        negative = text[position] == MINUS
        position += 1
    mantissa = np.int64(0)
    digits = 0
    dropped = 0
    decimals = 0
    seen_point = False
    any_digit = False
    while position < stop:
        byte = text[position]
        if ZERO <= byte <= NINE:
            any_digit = True
            if digits < 18:
                mantissa = mantissa * 10 + (byte - ZERO)
                if mantissa > 0:
                    digits += 1
                if seen_point:
                    decimals += 1
            elif not seen_point:
                dropped += 1
        elif byte == POINT and not seen_point:
            seen_point = True
        else:
            break
        position += 1
    if not any_digit:
        return 0.0, start, False
    exponent = 0
    is_integer = not seen_point
    if position < stop:
        byte = text[position]
        lettered = byte == UPPER_E or byte == LOWER_E or byte == UPPER_D or byte == LOWER_D
        signed = (byte == PLUS or byte == MINUS) and seen_point
        if lettered or signed:
            look = position + 1 if lettered else position
            down = False
            if look < stop and (text[look] == PLUS or text[look] == MINUS):
                down = text[look] == MINUS
                look += 1
            first = look
            power = 0
            while look < stop and ZERO <= text[look] <= NINE and look - first < 5:
                power = power * 10 + (text[look] - ZERO)
                look += 1
            if lettered:
                if look == first:
                    return 0.0, start, False
                accepted = True
            else:
                # a letterless exponent has exactly three digits and no point behind it
                accepted = look - first == 3 and not (look < stop and text[look] == POINT)
            if accepted:
                exponent = -power if down else power
                position = look
                is_integer = False
    value = _scaled(np.float64(mantissa), exponent + dropped - decimals, powers)
    return (-value if negative else value), position, is_integer


@njit(cache=True, nogil=True)
def _field(text, start, stop, width, decimals, powers):
    """The number in text[start:stop], a fixed field or what is left of the last one: (value, found).

    Numbers stand at the right end of their field with their full count of decimals; only G format leaves four blanks
    behind some (which may be missing at the end of a line) and moves the point among its five digits.
    """
    end = stop
    while end > start and text[end - 1] == BLANK:
        end -= 1
    shifted = start + width - end == 4 and width == G_WIDTH
    if end != start + width and not shifted:
        return 0.0, False
    position = start
    while position < end and text[position] == BLANK:
        position += 1
    value, after, _ = parse_token(text, position, end, powers)
    if after != end or after == position or not np.isfinite(value):
        return 0.0, False
    before = 0
    behind = 0
    point = -1
    for k in range(position, end):
        byte = text[k]
        if byte == POINT:
            point = k
        elif ZERO <= byte <= NINE:
            if point < 0:
                before += 1
            else:
                behind += 1
        elif k > position:
            break
    if shifted and before > 0 and not (before == 1 and text[point - 1] == ZERO and behind == decimals):
        return value, point >= 0 and before + behind == decimals
    return value, point >= 0 and before <= 1 and behind == decimals


@njit(cache=True, nogil=True, inline="always")
def _fast_e17(text, p):
    """The 18 bytes `` s.dddddddddddEsdd`` of 1X,E17.11 with s one of "0", "-": (signed digits, exponent, matched).

    Two overlapping words: digits 1-8, and digits 8-11 with the exponent.
    """
    first = load8(text, p + 3)
    second = load8(text, p + 10)
    head = load8(text, p)
    mark = (second >> U(40)) & U(0xFF)
    sign = (head >> U(8)) & U(0xFF)
    # the bytes of "E" and the exponent's sign are made digits for the check, and checked by themselves
    wrong = (
        not_digits(first)
        | not_digits((second & U(0xFFFF0000FFFFFFFF)) | U(0x0000303000000000))
        | ((second & U(0x000000FF00000000)) ^ U(0x0000004500000000))
        | ((head & U(0xFF00FF)) ^ U(0x2E0020))
    )
    # each factor is zero for one of the two bytes allowed; no branch, because a sign may change at every number
    wrong |= (sign ^ U(ZERO)) * (sign ^ U(MINUS)) | (mark ^ U(PLUS)) * (mark ^ U(MINUS))
    if wrong != U(0):
        return 0.0, np.int64(0), False
    # one multiplication makes pairs of the second word: digits 8-9, 10-11, nothing, the exponent
    pairs = ((second & LOW_NIBBLES) * TIMES_1) >> U(8)
    tail = (pairs & U(0xFF)) * U(100) + ((pairs >> U(16)) & U(0xFF))
    power = np.int64((pairs >> U(48)) & U(0xFF))
    mantissa = np.float64(np.int64((eight_digits(first) - (second & U(0xF))) * U(1000) + tail))
    # signs by arithmetic, because branches on them are guessed wrong half of the time in a magnetisation
    mantissa *= 1.0 - 2.0 * np.float64(sign == U(MINUS))
    power *= np.int64(PLUS + 1) - np.int64(mark)
    return mantissa, power - E_DIGITS, True


@njit(cache=True, nogil=True)
def parse_fixed(text, stop, out, done, width, decimals, columns, scale, powers):
    """Fill ``out`` from whole lines of fields of ``width`` bytes, ``columns`` to a line and the rest in a last line.

    text : uint8, holds text[0:stop]; out : (n,) float, filled from index ``done``; every value is multiplied by
    ``scale``; decimals : digits behind the point (significant digits in G format).
    A last line, and blanks at any line's end, may be cut after the last number (an editor or hook did it);
    carriage returns before the line's end are passed over.
    Returns (bytes consumed, values now in ``out``, lines consumed, status).
    """
    wanted = out.size
    position = 0
    lines = 0
    while done < wanted:
        count = min(columns, wanted - done)
        if width == E_WIDTH and count == 5 and position + 91 <= stop and text[position + 90] == NEWLINE:
            m0, e0, ok0 = _fast_e17(text, position)
            m1, e1, ok1 = _fast_e17(text, position + 18)
            m2, e2, ok2 = _fast_e17(text, position + 36)
            m3, e3, ok3 = _fast_e17(text, position + 54)
            m4, e4, ok4 = _fast_e17(text, position + 72)
            if ok0 & ok1 & ok2 & ok3 & ok4:
                out[done] = _scaled(m0, e0, powers) * scale
                out[done + 1] = _scaled(m1, e1, powers) * scale
                out[done + 2] = _scaled(m2, e2, powers) * scale
                out[done + 3] = _scaled(m3, e3, powers) * scale
                out[done + 4] = _scaled(m4, e4, powers) * scale
                done += 5
                position += 91
                lines += 1
                continue
        end = position
        while end < stop and text[end] != NEWLINE:
            end += 1
        if end == stop:
            return position, done, lines, NEED_MORE
        last = end
        while last > position and (text[last - 1] == BLANK or text[last - 1] == RETURN):
            last -= 1
        # the last number must end inside the last field, and not before it
        if last - position > count * width or last - position <= (count - 1) * width:
            return position, done, lines, BAD
        for column in range(count):
            start = position + column * width
            value, found = _field(text, start, min(start + width, last), width, decimals, powers)
            if not found:
                return position, done, lines, BAD
            out[done + column] = value * scale
        done += count
        position = end + 1
        lines += 1
    return position, done, lines, DONE


@njit(cache=True, nogil=True)
def parse_free(text, stop, out, done, scale, powers, allow_integers):
    """Fill ``out`` from whole lines of numbers, any count to a line, blanks or signs between them.

    Stops with BAD before a line that holds anything else, a number that is not finite, more numbers than wanted,
    or (unless ``allow_integers``) a number without a decimal point, which may be the next block's grid line.
    Returns (bytes consumed, values now in ``out``, lines consumed, status).
    """
    wanted = out.size
    position = 0
    lines = 0
    while done < wanted:
        end = position
        while end < stop and text[end] != NEWLINE:
            end += 1
        if end == stop:
            return position, done, lines, NEED_MORE
        filled = done
        at = position
        while True:
            while at < end and (text[at] == BLANK or text[at] == TAB or text[at] == RETURN):
                at += 1
            if at == end:
                break
            value, after, is_integer = parse_token(text, at, end, powers)
            if after == at or filled == wanted or not np.isfinite(value) or (is_integer and not allow_integers):
                return position, done, lines, BAD
            if after < end:
                byte = text[after]
                if not (byte == BLANK or byte == TAB or byte == RETURN or byte == PLUS or byte == MINUS):
                    return position, done, lines, BAD
            out[filled] = value * scale
            filled += 1
            at = after
        done = filled
        position = end + 1
        lines += 1
    return position, done, lines, DONE


@njit(cache=True, nogil=True)
def _digits(magnitude, decimal, digits, powers):
    """``digits`` significant decimal digits of a positive float64, as Fortran rounds (to nearest, exactly).

    decimal : a guess of e in magnitude = 0.ddd · 10**e. Returns (digits as an integer, e).
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
    # The product carries a relative error of 1e-16, so close to a half the true product must decide.
    if abs(rest - 0.5) < 4e-16 * scaled + 1e-9 and 0 <= shift <= EXACT:
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
    return mantissa, decimal


@njit(cache=True, nogil=True, inline="always")
def _put_digits(text, position, mantissa, digits):
    for k in range(digits - 1, -1, -1):
        tenth = mantissa // 10
        text[position + k] = ZERO + (mantissa - tenth * 10)
        mantissa = tenth


@njit(cache=True, nogil=True, inline="always")
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


@njit(cache=True, nogil=True)
def format_e(values, scale, lead, width, digits, columns, text, powers):
    """Print ``values · scale`` as Fortran's leadX,Ewidth.digits, ``columns`` to a line, each ended by a newline.

    The leading zero is dropped where the field has no room for it (a negative number in E17.11).
    text : uint8, room for lead + width bytes a value and one a line. Returns the bytes written, or -1 - i when value
    i is not finite.
    """
    position = 0
    decimal = 0
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i
        negative = value < 0 or (value == 0 and np.copysign(1.0, value) < 0)
        if value == 0:
            mantissa = np.int64(0)
            shown = 0
        else:
            mantissa, decimal = _digits(abs(value), decimal, digits, powers)
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
    return position


@njit(cache=True, nogil=True)
def format_e17(values, scale, columns, text, powers, exponents):
    """:func:`format_e` for 1X,E17.11, the field of a CHGCAR, by whole words; the same bytes, twice as fast.

    text : uint8, room for 18 bytes a value, one a line, and 8 more; exponents : EXPONENTS.
    """
    position = 0
    decimal = 0
    column = 0
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i
        shown = 0
        mantissa = np.int64(0)
        if value != 0:
            mantissa, decimal = _digits(abs(value), decimal, 11, powers)
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
    return position


@njit(cache=True, nogil=True)
def format_g(values, scale, columns, text, powers):
    """Print ``values · scale`` as Fortran's 1X,G11.5, ``columns`` to a line, each line ended by a newline.

    0.1 <= |value| < 1e5 (after rounding) and zero are printed in F format with four blanks behind, all else as
    E11.5. Returns the bytes written, or -1 - i when value i is not finite.
    """
    position = 0
    decimal = 0
    for i in range(values.size):
        value = np.float64(values[i]) * scale
        if not np.isfinite(value):
            return -1 - i
        negative = value < 0
        if value == 0:
            mantissa, whole = np.int64(0), 1  # zero counts as one digit before the point: 0.0000
        else:
            mantissa, decimal = _digits(abs(value), decimal, 5, powers)
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
    return position
