"""Read numbers from text: the fixed fields and lists of Fortran programs, straight on bytes.

A kernel that meets something it cannot accept stops before the line that holds it and says so by a status, so that
the caller can name the line.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from chgtools.kernels import kernel
from chgtools.kernels.fields import (
    BLANK,
    E_DIGITS,
    E_WIDTH,
    EXACT,
    G_WIDTH,
    LOWER_D,
    LOWER_E,
    MINUS,
    NEWLINE,
    NINE,
    PLUS,
    POINT,
    POWER_OFFSET,
    RETURN,
    TAB,
    UPPER_D,
    UPPER_E,
    ZERO,
)
from chgtools.kernels.words import LOW_NIBBLES, TIMES_1, U, eight_digits, load8, not_digits

DONE = 0  # all numbers wanted are there
NEED_MORE = 1  # the bytes ended before the numbers did
BAD = 2  # the line at the returned position holds something that is no number, or not in its field


@njit(nogil=True, forceinline=True)
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


# long: one pass over the characters of a number, each of which may end it; deep: digits by eights within it
@kernel
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
                power = power * 10 + (np.int64(text[look]) - ZERO)
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


@kernel
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


@njit(nogil=True, forceinline=True)
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


def parse_fixed(text, stop, out, done, width, decimals, columns, scale, powers):
    """Fill ``out`` from whole lines of fields of ``width`` bytes, ``columns`` to a line and the rest in a last line.

    text : uint8, holds text[0:stop]; out : (n,) float, filled from index ``done``; every value is multiplied by
    ``scale``; decimals : digits behind the point (significant digits in G format).
    A last line, and blanks at any line's end, may be cut after the last number (an editor or hook did it);
    carriage returns before the line's end are passed over.
    Returns (bytes consumed, values now in ``out``, lines consumed, status).
    """
    used = lines = 0
    if width == E_WIDTH and columns == 5:
        # Most files need nothing else, so that a first run does not wait for the kernel of all forms to be compiled
        used, done, lines = parse_e17(text, stop, out, done, scale, powers)
        if done == out.size:
            return used, done, lines, DONE
        if not (text[used:stop] == NEWLINE).any():
            return used, done, lines, NEED_MORE
    rest = text[used:]
    further, done, more, status = parse_columns(rest, stop - used, out, done, width, decimals, columns, scale, powers)
    return used + further, done, lines + more, status


@kernel
def parse_e17(text, stop, out, done, scale, powers):
    """:func:`parse_fixed` for five fields of 1X,E17.11 a line, up to the first line that is anything else.

    Returns (bytes consumed, values now in ``out``, lines consumed).
    """
    wanted = out.size
    position = 0
    lines = 0
    while done < wanted:
        count = min(5, wanted - done)
        end = position + E_WIDTH * count
        while end < stop and text[end] == BLANK:  # VASP's last line has two
            end += 1
        if end >= stop or text[end] != NEWLINE:
            break
        good = True
        for column in range(count):
            mantissa, exponent, matched = _fast_e17(text, position + E_WIDTH * column)
            out[done + column] = _scaled(mantissa, exponent, powers) * scale
            good &= matched
        if not good:
            break
        done += count
        position = end + 1
        lines += 1
    return position, done, lines


@kernel
def parse_columns(text, stop, out, done, width, decimals, columns, scale, powers):
    """:func:`parse_fixed` for fields of any width, with whatever may have happened to a line's end."""
    wanted = out.size
    position = 0
    lines = 0
    while done < wanted:
        count = min(columns, wanted - done)
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
            # a number that fills its field touches the one before it, and a list-directed read fails on both
            if not found or (column > 0 and text[start] != BLANK):
                return position, done, lines, BAD
            out[done + column] = value * scale
        done += count
        position = end + 1
        lines += 1
    return position, done, lines, DONE


# deep: numbers, their lines, and what may stand between them, in one pass over the text
@kernel
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
