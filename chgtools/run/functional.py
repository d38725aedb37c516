"""The functional of a run, by the name the field has for it.

By VASP's wiki: METAGGA goes before GGA, GGA before the LEXCH of the POTCAR; LHFCALC adds exact exchange (AEXX, 0.25 by
default; screened by HFSCREEN, 1/Å), LDAU a Hubbard U and LUSE_VDW nonlocal correlation. IVDW changes energies and
forces, not the density at fixed atoms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chgtools.errors import FormatError
from chgtools.formats.potcar import XC_OF_LEXCH

if TYPE_CHECKING:
    from chgtools.formats.incar import Incar

_NONE = ("", "NONE", "--")
_META = {"SCAN": "SCAN", "RSCAN": "rSCAN", "R2SCAN": "r2SCAN"}  # names that are not printed in capitals
_AEXX = 0.25
_HSE06, _HSE03 = (0.2, 0.207, 0.2075), (0.3,)  # HFSCREEN that people set for either


def functional_of(xcs: Iterable[str], incar: Incar | None) -> str:
    """Such as "PBE", "PBE+U", "r2SCAN" or "HSE06"; "" where neither atoms nor INCAR say it.

    xcs : functional of each atomic density, "" where it is not known. A value that is none counts as the default.
    """
    known = sorted(set(filter(None, xcs)))
    name = " and ".join(known)
    if incar is None:
        return name
    if (gga := _word(incar, "GGA")) not in _NONE:
        name = XC_OF_LEXCH.get(gga, gga)
    if (meta := _word(incar, "METAGGA")) not in _NONE:
        name = _META.get(meta, meta)
    if _true(incar, "LHFCALC"):
        name = _hybrid(name, incar)
    if _true(incar, "LUSE_VDW"):
        name += "+vdW"
    return f"{name}+U" if _true(incar, "LDAU") else name


def _word(incar: Incar, tag: str) -> str:
    words = (incar.text(tag) or "").upper().split()
    return words[0] if words else ""


def _true(incar: Incar, tag: str) -> bool:
    return _word(incar, tag).lstrip(".").startswith("T")


def _number(incar: Incar, tag: str) -> float | None:
    try:
        return incar.number(tag)
    except FormatError:
        return None


def _hybrid(of: str, incar: Incar) -> str:
    share, screening = _number(incar, "AEXX"), _number(incar, "HFSCREEN") or 0.0
    share = _AEXX if share is None else share
    if of == "PBE" and share == _AEXX:
        for name, values in (("PBE0", (0.0,)), ("HSE06", _HSE06), ("HSE03", _HSE03)):
            if screening in values:
                return name
    screened = f" screened by {screening:g}/Å" if screening else ""
    return f"{of} with {100 * share:g} % of exact exchange{screened}"
