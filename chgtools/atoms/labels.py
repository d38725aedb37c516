"""Facts on the POTCAR labels of VASP's potential sets: valence, cutoffs, projector channels, default choices.

They are packaged in potcar_labels.json (419 labels of the PBE sets 2010, 52, 54 and 64), collected from the VASP
wiki's tables of potentials, pymatgen's input sets and OUTCARs; each label's ``source`` says which. No POTCAR is needed.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from chgtools.errors import AssumptionWarning, MissingDensityError, SettingsError

CONVENTIONS = ("mp", "vasp")


class UnknownLabelError(MissingDensityError, KeyError):
    """No such label; a KeyError as well, as mappings want it."""

    __str__ = Exception.__str__  # KeyError would print the sentence in quotation marks


@dataclass(frozen=True)
class LabelFacts:
    """What is known of one label.

    label, element : "Fe_pv", "Fe"
    zval : electrons (ZVAL)
    valence : (n, l, electrons) of each valence shell in the reference configuration of the potential's generator
    enmax : eV (ENMAX of potpaw_PBE.54; of 64, else 52, else 2010 for labels that 54 lacks)
    enmax_by_set : eV where a set has another ENMAX: keys "64", "52", "2010"
    sets : potential sets that have the label, such as "PBE.54"
    kind : "standard" or "GW"
    projectors : number of projectors of each l block of the non-local part, in POTCAR order
    channels : l of each projector in POTCAR order, where an OUTCAR of the set has shown it, else None
    aug_record_length : numbers in an augmentation record of a CHGCAR, where known
    is_vasp_recommended : recommended by the VASP wiki among the labels of its kind
    is_mp_default : chosen by pymatgen's MPRelaxSet
    core_electrons : electrons in the closed core, None where 4f electrons are frozen
    frozen_4f_electrons : 4f electrons kept in the core (labels such as Er_3), or None
    titel : TITEL of the 54 set, else 64, else ""
    source, notes : where the facts come from, and what is particular
    """

    label: str
    element: str
    zval: float
    valence: tuple[tuple[int, int, float], ...]
    enmax: float
    enmax_by_set: Mapping[str, float]
    sets: tuple[str, ...]
    kind: str
    projectors: tuple[int, ...]
    channels: tuple[int, ...] | None
    aug_record_length: int | None
    is_vasp_recommended: bool
    is_mp_default: bool
    core_electrons: int | None
    frozen_4f_electrons: int | None
    titel: str
    source: str
    notes: str


@cache
def _entries() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("potcar_labels.json").read_bytes())
    return entries


def all_labels() -> tuple[str, ...]:
    """Every label, in order of the atomic number."""
    return tuple(_entries())


@cache
def known_facts(label: str) -> LabelFacts | None:
    """Facts on a label; None for one that no POTCAR set has, such as a library's own."""
    return label_facts(label) if label in _entries() else None


def label_facts(label: str) -> LabelFacts:
    """Facts on a label. Raises UnknownLabelError (a MissingDensityError and KeyError) that names near ones."""
    entry = _entries().get(label)
    if entry is None:
        raise UnknownLabelError(f"no POTCAR label {label!r} is known; {nearby(label, _entries())}")
    channels = entry.get("channels")
    return LabelFacts(
        label=label,
        element=entry["element"],
        zval=float(entry["zval"]),
        valence=tuple((int(n), int(ell), float(electrons)) for n, ell, electrons in entry["valence"]),
        enmax=float(entry["enmax"]),
        enmax_by_set={name: float(entry[f"enmax_{name}"]) for name in ("64", "52", "2010") if f"enmax_{name}" in entry},
        sets=tuple(entry["sets"]),
        kind=entry["kind"],
        projectors=tuple(entry["nproj_blocks"]),
        channels=None if channels is None else tuple(channels),
        aug_record_length=entry.get("aug_record_length"),
        is_vasp_recommended=entry["is_vasp_recommended"],
        is_mp_default=entry["is_mp_default"],
        core_electrons=entry.get("core_electrons"),
        frozen_4f_electrons=entry.get("frozen_4f_electrons"),
        titel=entry.get("titel_54") or entry.get("titel_64") or "",
        source=entry["source"],
        notes=entry.get("notes", ""),
    )


@cache
def labels_of(element: str) -> tuple[str, ...]:
    """Labels of an element, () when there is none."""
    return tuple(label for label, entry in _entries().items() if entry["element"] == element)


def default_label(element: str, convention: str = "mp") -> str:
    """The label of an element when nothing names one.

    convention : "mp", the Materials Project's (pymatgen's MPRelaxSet), or "vasp", the VASP wiki's recommended one
    Where the convention has none, VASP's recommended or the only label is taken, with an AssumptionWarning.
    Raises UnknownLabelError for an element without labels, SettingsError for an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise SettingsError(f"unknown label convention {convention!r}; wanted mp or vasp")
    candidates = [label_facts(label) for label in labels_of(element)]
    if not candidates:
        raise UnknownLabelError(f"no POTCAR label of the element {element!r} is known; {nearby(element, _entries())}")
    standard = [facts for facts in candidates if facts.kind == "standard"] or candidates
    by_mp = [facts.label for facts in candidates if facts.is_mp_default]
    by_vasp = [facts.label for facts in standard if facts.is_vasp_recommended]
    wanted = by_mp if convention == "mp" else by_vasp
    if wanted:
        return wanted[0]
    taken = (by_vasp or [standard[0].label])[0]
    lacking = "the Materials Project's set has no" if convention == "mp" else "VASP recommends no"
    choice = "VASP's recommended" if by_vasp else "the first known"
    warnings.warn(f"{lacking} label for {element}; {choice} {taken} is taken", AssumptionWarning, stacklevel=2)
    return taken


def element_of(label: str) -> str:
    """Element of a label by its spelling: the text before "_", "." or a digit (Fe_pv, H.25, H1.25)."""
    name = label.replace(".", "_").partition("_")[0]
    return name.rstrip("0123456789")


def nearby(label: str, known: Mapping[str, Any]) -> str:
    """A sentence part that names the labels of the same element, or else the likely spellings, among ``known``."""
    element = element_of(label).capitalize()
    same = [name for name in known if element_of(name) == element]
    if same:
        return f"of {element} there {'is' if len(same) == 1 else 'are'} {', '.join(same)}"
    close = get_close_matches(label, list(known), n=4, cutoff=0.5) or list(known)[:12]
    return f"there are {', '.join(close)}{', ...' if len(known) > len(close) else ''}" if close else "there are none"
