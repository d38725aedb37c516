"""Numbers as Fortran's list-directed READ takes them: blanks, tabs or a comma between them, ``3*0.0`` for three."""

from __future__ import annotations

import math
import re

# Letterless exponents too: 0.123-100
REAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+|[+-]\d+)?")
_EXPONENT = re.compile(rb"(?<=[\d.])([+-]\d+)$")
_REPEATED = re.compile(rb"([1-9]\d{0,8})\*([^*]+)")
_SEPARATOR = re.compile(rb"\s*,\s*|\s+")


def real(word: bytes) -> float | None:
    """The number a Fortran word stands for, None where it is none; may be infinite or NaN."""
    if word.lstrip(b"+-").lower() in (b"nan", b"inf", b"infinity"):
        return math.nan
    if not REAL.fullmatch(word):
        return None
    lowered = word.lower().replace(b"d", b"e")
    return float(lowered if b"e" in lowered else _EXPONENT.sub(rb"e\1", lowered))


def words_of(line: bytes, most: int) -> list[bytes]:
    """The words of a line, repeated ones written out, at most ``most`` and one more of them; a word may be no number.

    Nothing between two commas is the word b"": Fortran leaves that variable as it was, which is no number to read.
    """
    text = line.strip().removesuffix(b",").rstrip()
    words: list[bytes] = []
    for word in _SEPARATOR.split(text) if text else []:
        repeated = _REPEATED.fullmatch(word)
        if repeated:
            words += [repeated[2]] * min(int(repeated[1]), most + 1 - len(words))
        else:
            words.append(word)
        if len(words) > most:
            break
    return words


def is_padding(words: list[bytes], wanted: int, columns: int) -> bool:
    """Whether the words behind the ``wanted`` last numbers of a block are zeros that fill its last line.

    columns : numbers to a line. chgsum.pl and chgavg.pl of the VTST tools print so, because they print five numbers
    to every line whatever they have read.
    """
    surplus = words[wanted:]
    return 0 < wanted < len(words) <= columns and all(real(word) == 0 for word in surplus)
