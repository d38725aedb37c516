"""What an INCAR says that is passed over, by VASP or by chgtools, in sentences."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

from chgtools.formats.incar_tags import DECISIONS, LEARNED, NOTED
from chgtools.formats.potcar import XC_OF_LEXCH
from chgtools.fourier.grids import precision_name

if TYPE_CHECKING:
    from chgtools.formats.incar import Incar

_OFF = ("none", "--", "")


def remarks(incar: Incar | None) -> tuple[str, ...]:
    """Statements that VASP passes over, a PREC that is misspelt, and tags that the start density does not follow."""
    if incar is None:
        return ()
    followed = (misspelt_prec(incar), *(_sentence(incar, tag) for tag in incar if _holds(incar, tag, NOTED)))
    return (*map(str, incar.ignored), *filter(None, followed))


def untrained(incar: Incar | None, functional: str) -> tuple[str, ...]:
    """Tags that weights trained with a functional know nothing of, such as LDAU."""
    if incar is None:
        return ()
    tags = [tag for tag in incar if _holds(incar, tag, LEARNED)]
    return tuple(
        f"{incar.place(tag)}: {tag} = {incar[tag]}; the difference density was learned with {functional}"
        for tag in tags
        if not _is_functional(tag, incar[tag], functional)
    )


def misspelt_prec(incar: Incar) -> str:
    """A sentence on a PREC that VASP takes by its first letter alone, such as Acurate; "" for any other."""
    word = (incar.text("PREC") or "").lower().partition(" ")[0]
    name = precision_name(word) if word else ""
    if name.startswith(word):
        return ""
    given = f"{incar.place('PREC')}: PREC = {incar['PREC']}"
    return f"{given} is taken for {name.capitalize()}, as VASP does by its first letter"


def _is_functional(tag: str, value: str, functional: str) -> bool:
    return value.upper() == functional.upper() or (tag == "GGA" and XC_OF_LEXCH.get(value.upper()) == functional)


def _holds(incar: Incar, tag: str, verdict: str) -> bool:
    """Whether a tag has this verdict, and a value that it is said of."""
    decision = DECISIONS.get(tag)
    if decision is None or decision.verdict != verdict:
        return False
    words = incar[tag].split()
    if decision.only:
        return words[:1] != [] and words[0] in decision.only
    first = words[0].lower() if words else ""
    return first not in _OFF and not first.lstrip(".").startswith("f") and not all(map(_is_zero, words))


def _is_zero(word: str) -> bool:
    try:
        return float(word.rpartition("*")[2]) == 0
    except ValueError:
        return False


def _sentence(incar: Incar, tag: str) -> str:
    value = shorten(incar[tag], 40, placeholder=" ...")
    return f"{incar.place(tag)}: {tag} = {value}: {DECISIONS[tag].why}"
