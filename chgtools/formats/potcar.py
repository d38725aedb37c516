"""POTCAR: the atomic densities, projector channels and atomic occupancies of its data sets.

    PAW_PBE Fe_pv 02Aug2007                      title: functional, label, date
    14.0000000000000                             ZVAL
    parameters from PSCTR are:
      VRHFIN =Fe: ... / LEXCH = PE / TITEL = PAW_PBE Fe_pv 02Aug2007 / ZVAL, ENMAX, EAUG, ... (KEY = value; ...)
    END of PSCTR-controll parameters
    local part                                   PSGMAX in 1/Å, then 1000 numbers
    ...
    atomic pseudo charge-density                 1000 numbers (US-PP: atomic charge-density)
      42.06 T                                    largest q of the projector tables
    Non local Part                               l, number of projectors, radius; once for each block
    ...
    PAW radial sets
    ...
    uccopancies in atom                          (channels)² numbers
    ...
    End of Dataset                               then the next data set

The charge density is f(q_i) in electrons at q_i = (i - 1) · PSGMAX/1000. Sections are found by their titles, which
are spelled as above in the files; what lies between is passed over. A data set's numbers are licensed: they go into
the user's own library and nowhere else.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.atoms.labels import element_of, known_facts
from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning, FormatError, MissingDensityError, SettingsError, naming
from chgtools.formats.potcar_text import DataSet, data_sets
from chgtools.formats.streams import SUFFIXES, read_bytes, stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPSPTS = 1000  # points of the q tables in every POTCAR
WARN_CHARGE, REFUSE_CHARGE = 1e-4, 0.01  # share of ZVAL that f(0) may be off: rounding; a damaged table
XC_OF_LEXCH = {"PE": "PBE", "CA": "LDA", "91": "PW91", "PS": "PBEsol", "RP": "RPBE", "AM": "AM05"}

_OLD_TITLE = re.compile(r"([A-Z][a-z]?)\s*:\s")


def read_potcar(path: str | Path) -> list[AtomicDensity]:
    """One density per data set, in the order of the file; plain or compressed.

    Each table is scaled by ZVAL/f(0), so that it holds ZVAL electrons exactly.
    Raises FormatError for what is no POTCAR, is damaged or cut short, and where f(0) differs from ZVAL by more than
    1 %; warns (AssumptionWarning) from 0.01 % on.
    """
    text = read_bytes(path)
    with naming(path):
        return [_density(data) for data in data_sets(text, path)]


def find_potcar(root: str | Path, label: str) -> Path:
    """The POTCAR of a label in a folder of POTCARs.

    Looks for ``<label>/POTCAR`` and ``POTCAR.<label>`` (plain or compressed) in ``root`` and in its subfolders, such as
    potpaw_PBE.54/Fe_pv/POTCAR and POT_GGA_PAW_PBE_54/POTCAR.Fe_pv.gz (PMG_VASP_PSP_DIR).
    Raises MissingDensityError when there is none, SettingsError when several subfolders have one.
    """
    root = Path(root)
    if not root.is_dir():
        raise FormatError("no such folder; wanted a folder of POTCARs by label", root)
    files = list(_in_folder(root, label))
    if not files:
        files = [file for folder in sorted(root.iterdir()) if folder.is_dir() for file in _in_folder(folder, label)]
    if not files:
        raise MissingDensityError(
            f"{root} has no POTCAR of {label}; wanted {label}/POTCAR or POTCAR.{label}.gz there or one folder deeper"
        )
    if len(files) > 1:
        raise SettingsError(f"{root} has {len(files)} POTCARs of {label} ({_names(files)}); name the folder of one set")
    return files[0]


def potcars_in(root: str | Path) -> list[Path]:
    """Every POTCAR in a folder tree, by path; names are POTCAR, POTCAR.<label>, plain or compressed.

    Raises MissingDensityError when there is none.
    """
    suffixes = ("", *SUFFIXES)
    files = [
        file
        for file in sorted(Path(root).rglob("POTCAR*"))
        if (file.name.startswith("POTCAR.") or file.name == "POTCAR")
        and file.suffix not in (".spec", ".orig", ".bak")
        and file.is_file()
        and any(file.name.endswith(suffix) for suffix in suffixes)
    ]
    if not files:
        raise MissingDensityError(f"{root} has no POTCAR; wanted <label>/POTCAR or POTCAR.<label> in it, plain or gz")
    return files


def _in_folder(folder: Path, label: str) -> Iterator[Path]:
    for plain in (folder / label / "POTCAR", folder / f"POTCAR.{label}"):
        for suffix in ("", *SUFFIXES):
            path = plain.with_name(plain.name + suffix)
            if path.is_file():
                yield path
                break


def _names(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:4]) + (", ..." if len(paths) > 4 else "")


def _density(data: DataSet) -> AtomicDensity:
    element = element_of_set(data)
    label = _label(data, element)
    zval, enmax, eaug = data.setting("ZVAL"), data.setting("ENMAX"), data.setting("EAUG")
    if zval is None or zval <= 0:
        raise data.error(f"{data.title}: found no ZVAL = (a positive number); wanted it in the header", data.start)
    lexch = data.settings.get("LEXCH", "").upper()
    psgmax, form = _table(data, zval)
    channels = data.channels()
    return AtomicDensity(
        label=label,
        element=element,
        zval=zval,
        q=psgmax / NPSPTS * np.arange(NPSPTS, dtype=np.float64),
        form=form,
        source=f"POTCAR {data.title}",
        xc=XC_OF_LEXCH.get(lexch, lexch),
        channels=channels,
        occupancies=data.occupancies(len(channels)),
        enmax=enmax,
        eaug=eaug,
    )


def element_of_set(data: DataSet) -> str:
    """From ``PAW_PBE Fe_pv 02Aug2007``, or ``La: PAW 5s5p 6s5d4f valence`` of old LDA sets; VRHFIN is wrong in some old
    sets, so it comes last. Raises FormatError where none says it."""
    old = _OLD_TITLE.match(data.title)
    if old and old[1] in SYMBOLS:
        return old[1]
    found = element_of(_second_word(data)), data.settings.get("VRHFIN", "").lstrip("=").partition(":")[0].strip()
    for element in found:
        if element in SYMBOLS:
            return element
    raise data.error(f"found the title {data.title!r}; wanted one with a label, as PAW_PBE Fe_pv 02Aug2007", data.start)


def _label(data: DataSet, element: str) -> str:
    """From the title; La_s and La share an old one (pymatgen issue 89), and the file's or folder's name says which."""
    return _label_by_name(data, element) if _OLD_TITLE.match(data.title) else _second_word(data)


def _second_word(data: DataSet) -> str:
    """Of the title, where the label stands."""
    words = data.title.split()
    return words[1] if len(words) > 1 else (words or [""])[0].removeprefix("AE")


def _label_by_name(data: DataSet, element: str) -> str:
    """The label that ``POTCAR.La_s`` or ``La_s/POTCAR`` names, else the element, which is said."""
    path = Path(data.path)
    name = stem(path)
    for label in (name.removeprefix("POTCAR."), path.absolute().parent.name):
        if element_of(label) == element and (known_facts(label) or name == f"POTCAR.{label}"):
            return label
    found = f"the title {data.title!r} names no label, nor does the name of the file or its folder; taken as {element}"
    warnings.warn(AssumptionWarning(f"{data.path}: {found}"), stacklevel=5)
    return element


def _table(data: DataSet, zval: float) -> tuple[float, NDArray[np.float64]]:
    """PSGMAX in 1/Å and the table f(q) (1000,), scaled to ZVAL."""
    local = data.find("local part")
    if local is None:
        raise data.error(f"{data.title}: found no 'local part'; wanted a complete POTCAR", data.header_end)
    psgmax = float(data.numbers(local, "local part", (1 + NPSPTS,))[0])
    place = data.find("atomic pseudo charge-density") or data.find("atomic charge-density")
    if place is None:
        raise data.error(
            f"{data.title}: found no 'atomic pseudo charge-density'; wanted a potential that has one",
            data.header_end,
        )
    form = data.numbers(place, "atomic pseudo charge-density", (NPSPTS, NPSPTS + 1))[:NPSPTS]
    if psgmax <= 0:
        raise data.error(f"{data.title}: found PSGMAX = {psgmax:g}; wanted a positive cutoff in 1/Å", local)
    wrong = abs(form[0] / zval - 1)
    if wrong > REFUSE_CHARGE:
        raise data.error(
            f"{data.title}: the atom holds f(0) = {form[0]:.6g} electrons, ZVAL is {zval:.6g}; they must agree "
            f"to {REFUSE_CHARGE:.0%} (a damaged or scrambled POTCAR: take the original)",
            place,
        )
    if wrong > WARN_CHARGE:
        warnings.warn(
            f"{data.path}: {data.title} holds {form[0]:.6f} electrons, ZVAL is {zval:.6g}; its table is scaled to ZVAL",
            AssumptionWarning,
            stacklevel=4,
        )
    form = form * (zval / form[0])
    form[0] = zval
    return psgmax, form
