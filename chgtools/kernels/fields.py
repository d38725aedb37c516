"""Bytes, fields and powers of ten that reading and printing numbers share.

The kernels of :mod:`chgtools.kernels.parse` and :mod:`chgtools.kernels.printing` work on uint8 arrays and whole lines,
release the interpreter lock and check nothing about their arguments; :mod:`chgtools.formats` does that once.
"""

from __future__ import annotations

import numpy as np

# Width of VASP's fields, and the digits in them
E_WIDTH, E_DIGITS = 18, 11  # 1X,E17.11: CHGCAR and most others
G_WIDTH, G_DIGITS = 12, 5  # 1X,G11.5: CHG, PARCHG and ELFCAR

NEWLINE, RETURN, BLANK, TAB = 10, 13, 32, 9
PLUS, MINUS, POINT, ZERO, NINE = 43, 45, 46, 48, 57
UPPER_E, LOWER_E, UPPER_D, LOWER_D = 69, 101, 68, 100

# 10**k for k = -400..400: exact up to 22, correctly rounded elsewhere (Python's own conversion), 0 and inf beyond
POWER_OFFSET = 400
POWERS = np.array([float(f"1e{k}") for k in range(-POWER_OFFSET, POWER_OFFSET + 1)])
EXACT = 22  # 10**22 is the largest power of ten that a float64 holds exactly
