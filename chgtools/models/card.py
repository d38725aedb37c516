"""The card of a file of weights: is each value of the kind that was written?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError

Settings = TypeVar("Settings")

# What a card brings about whose values are of other kinds, or name what is not there
DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
_KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "int | None": (int, type(None)),
}


@contextmanager
def sense(path: Path) -> Iterator[None]:
    """Whatever a damaged card brings about becomes a FormatError."""
    try:
        yield
    except FormatError:
        raise
    except (ChgtoolsError, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"has a card that contradicts itself ({reason}); copy it again", path) from error


def require_kinds(facts: Mapping[str, Any]) -> None:
    """Raises ValueError, or TypeError, for values of other kinds than are written."""
    for key in ("basis", "encoder", "trust", "card"):
        if not isinstance(facts[key], dict):
            raise ValueError(f"{key} is {facts[key]!r:.40}, wanted an object")
    for key in ("elements", "labels", "spins"):
        if not isinstance(facts.get(key, []), list):
            raise ValueError(f"{key} is {facts[key]!r:.40}, wanted a list")
    if not all(isinstance(word, str) for word in (facts["name"], facts["target"], *facts["elements"])):
        raise ValueError("its name, target and elements are no words")
    zvals, properties = (np.array(facts[key], dtype=float) for key in ("zvals", "properties"))
    if zvals.ndim != 1 or not np.isfinite(zvals).all() or not np.isfinite(properties).all():
        raise ValueError("its ZVALs and properties are no lists of finite numbers")
    if int(facts["members"]) < 1:
        raise ValueError(f"it has {facts['members']} members")


def settings_of(kind: type[Settings], values: Mapping[str, Any], what: str, path: Path) -> Settings:
    """The settings of a card as the data class ``kind``.

    Raises FormatError for unknown names, ValueError for values of another kind than the class has.
    """
    kinds = {item.name: str(item.type) for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(kinds)):
        raise FormatError(
            f"has the unknown {what} settings {', '.join(unknown)}: was it made by a newer chgtools?", path
        )
    for name, value in values.items():
        wanted = _KINDS[kinds[name]]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if type(value) not in wanted or (is_number and not isfinite(value)):
            raise ValueError(f"{what}.{name} is {value!r:.40}, wanted {kinds[name]}")
    return kind(**values)
