"""POTCAR.spec: the labels of a POTCAR without its content, which the Materials Project and others may not hand on.

One label to a line, in the order of the POTCAR (pymatgen's input sets with potcar_spec; atomate2's test data), or as
JSON a list of records with ``symbol`` or ``titel`` ("PAW_PBE Fe_pv 02Aug2007"; pymatgen's Potcar.write_potcar_spec).
"""

from __future__ import annotations

import json
from pathlib import Path

from chgtools.errors import FormatError
from chgtools.formats.streams import read_bytes

NAMES = ("POTCAR.spec", "POTCAR.spec.json")


def read_potcar_spec(path: str | Path) -> tuple[str, ...]:
    """The labels, one for each data set of the POTCAR. Raises FormatError for a file that names none."""
    try:
        text = read_bytes(path).decode()
        labels = _of_records(json.loads(text)) if text.lstrip().startswith("[") else text.split("\n")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("is no POTCAR.spec; wanted a label to a line, or pymatgen's JSON of them", path) from error
    named = tuple(label.strip() for label in labels if label.strip())
    if not named or any(len(label.split()) > 1 for label in named):
        raise FormatError("is no POTCAR.spec; wanted a label to a line, or pymatgen's JSON of them", path)
    return named


def _of_records(records: list[dict[str, str]]) -> list[str]:
    return [record["symbol"] if "symbol" in record else record["titel"].split()[1] for record in records]
