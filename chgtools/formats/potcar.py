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
from chgtools.formats.streams import SUFFIXES, read_bytes, stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

NPSPTS = 1000  # points of the q tables in every POTCAR
MAX_ELL, MAX_PROJECTORS = 6, 20  # of a block; more is damage
WARN_CHARGE, REFUSE_CHARGE = 1e-4, 0.01  # share of ZVAL that f(0) may be off: rounding; a damaged table
XC_OF_LEXCH = {"PE": "PBE", "CA": "LDA", "91": "PW91", "PS": "PBEsol", "RP": "RPBE", "AM": "AM05"}

_OLD_TITLE = re.compile(r"([A-Z][a-z]?)\s*:\s")
_TITLE = re.compile(rb"^[ \t]*[A-Za-z][A-Za-z]", re.MULTILINE)
LONGEST_TITLE = 120  # characters; VASP reads 40
_ANYTHING = re.compile(rb"\S")
_SETTING = re.compile(rb"(?:^|;)[ \t]*([A-Z][A-Z0-9]*)[ \t]*=[ \t]*([^;\r\n]*)", re.MULTILINE)
_BARE_EXPONENT = re.compile(rb"(?<=\d)([+-]\d{3})(?![\d.])")
_TOUCHING = re.compile(rb"(?<=\d)([+-]\d*\.)")


def read_potcar(path: str | Path) -> list[AtomicDensity]:
    """One density per data set, in the order of the file; plain or compressed.

    Each table is scaled by ZVAL/f(0), so that it holds ZVAL electrons exactly.
    Raises FormatError for what is no POTCAR, is damaged or cut short, and where f(0) differs from ZVAL by more than
    1 %; warns (AssumptionWarning) from 0.01 % on.
    """
    text = read_bytes(path)
    with naming(path):
        return [_DataSet(text, start, end, path).density() for start, end in _data_sets(text, path)]


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


def _data_sets(text: bytes, path: str | Path) -> list[tuple[int, int]]:
    """Start and end of each data set."""
    sets: list[tuple[int, int]] = []
    start = 0
    while _ANYTHING.search(text, start):
        end = text.find(b"End of Dataset", start)
        if end < 0:
            if text.find(b"END of PSCTR", start) < 0:
                wanted = "wanted a data set behind the last" if sets else "is no POTCAR: wanted a data set"
                raise FormatError(
                    f"{wanted} with 'END of PSCTR-controll parameters', found none", path, line_of(text, start)
                )
            raise FormatError(
                f"data set {len(sets) + 1} is cut short: found no 'End of Dataset' at its end; copy the POTCAR again",
                path,
                line_of(text, len(text) - 1),
            )
        sets.append((start, end))
        newline = text.find(b"\n", end)
        start = len(text) if newline < 0 else newline + 1
    if not sets:
        raise FormatError("is empty; wanted a POTCAR", path)
    return sets


def line_of(text: bytes, position: int) -> int:
    """Number of the line that holds a byte, from 1."""
    return text.count(b"\n", 0, position) + 1


def numbers(text: bytes) -> NDArray[np.float64]:
    """Numbers as Fortran writes them: D exponents, bare three-digit exponents, a minus that touches the last number.

    Raises ValueError for anything else.
    """
    try:
        return np.array(text.split(), dtype="S").astype(float)
    except ValueError:
        apart = _TOUCHING.sub(rb" \1", _BARE_EXPONENT.sub(rb"E\1", text.upper().replace(b"D", b"E")))
        return np.array(apart.split(), dtype="S").astype(float)


class _DataSet:
    """One data set: text[start:end] of a file."""

    def __init__(self, text: bytes, start: int, end: int, path: str | Path) -> None:
        self.text, self.start, self.end, self.path = text, start, end, path
        self.header_end = text.find(b"END of PSCTR", start, end)
        if self.header_end < 0:
            raise self._error("found no 'END of PSCTR-controll parameters'; wanted a complete POTCAR", start)
        header = text[start : self.header_end]
        self.settings: dict[str, str] = {}
        for key, value in _SETTING.findall(header):
            self.settings.setdefault(key.decode(), value.decode("latin-1").strip())
        first_line = header.lstrip().split(b"\n", 1)[0].decode("latin-1")
        self.title = " ".join(self.settings.get("TITEL", first_line)[:LONGEST_TITLE].split())

    def density(self) -> AtomicDensity:
        label, element = self._names()
        zval, enmax, eaug = self._setting("ZVAL"), self._setting("ENMAX"), self._setting("EAUG")
        if zval is None or zval <= 0:
            raise self._error(f"{self.title}: found no ZVAL = (a positive number); wanted it in the header", self.start)
        lexch = self.settings.get("LEXCH", "").upper()
        psgmax, form = self._table(zval)
        channels = self._channels()
        return AtomicDensity(
            label=label,
            element=element,
            zval=zval,
            q=psgmax / NPSPTS * np.arange(NPSPTS, dtype=np.float64),
            form=form,
            source=f"POTCAR {self.title}",
            xc=XC_OF_LEXCH.get(lexch, lexch),
            channels=channels,
            occupancies=self._occupancies(len(channels)),
            enmax=enmax,
            eaug=eaug,
        )

    def _names(self) -> tuple[str, str]:
        """Label and element, from ``PAW_PBE Fe_pv 02Aug2007``; VRHFIN is wrong in some old sets, so it comes last.

        Old LDA sets have ``La: PAW 5s5p 6s5d4f valence`` for La_s and La alike (pymatgen issue 89): then the name of
        the file or its folder says the label.
        """
        old = _OLD_TITLE.match(self.title)
        if old and old[1] in SYMBOLS:
            return self._label_by_name(old[1]), old[1]
        words = self.title.split()
        label = words[1] if len(words) > 1 else (words or [""])[0].removeprefix("AE")
        element = element_of(label)
        if element not in SYMBOLS:
            element = self.settings.get("VRHFIN", "").lstrip("=").partition(":")[0].strip()
        if element not in SYMBOLS:
            raise self._error(
                f"found the title {self.title!r}; wanted one with a label, as PAW_PBE Fe_pv 02Aug2007", self.start
            )
        return label, element

    def _label_by_name(self, element: str) -> str:
        """The label that ``POTCAR.La_s`` or ``La_s/POTCAR`` names, else the element, which is said."""
        path = Path(self.path)
        name = stem(path)
        for label in (name.removeprefix("POTCAR."), path.absolute().parent.name):
            if element_of(label) == element and (known_facts(label) or name == f"POTCAR.{label}"):
                return label
        found = (
            f"the title {self.title!r} names no label, nor does the name of the file or its folder; taken as {element}"
        )
        warnings.warn(AssumptionWarning(f"{self.path}: {found}"), stacklevel=5)
        return element

    def _setting(self, key: str) -> float | None:
        """The number of a header key (further words are a comment), None where the key is not there."""
        words = self.settings.get(key, "").split()
        if not words:
            return None
        try:
            value = float(words[0])
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            where = self.text.find(key.encode(), self.start)
            raise self._error(f"{self.title}: found {key} = {words[0]!r}; wanted a number", where)
        return value

    def _table(self, zval: float) -> tuple[float, NDArray[np.float64]]:
        """PSGMAX in 1/Å and the table f(q) (1000,), scaled to ZVAL."""
        local = self._find("local part")
        if local is None:
            raise self._error(f"{self.title}: found no 'local part'; wanted a complete POTCAR", self.header_end)
        psgmax = float(self._numbers(local, "local part", (1 + NPSPTS,))[0])
        place = self._find("atomic pseudo charge-density") or self._find("atomic charge-density")
        if place is None:
            raise self._error(
                f"{self.title}: found no 'atomic pseudo charge-density'; wanted a potential that has one",
                self.header_end,
            )
        form = self._numbers(place, "atomic pseudo charge-density", (NPSPTS, NPSPTS + 1))[:NPSPTS]
        if psgmax <= 0:
            raise self._error(f"{self.title}: found PSGMAX = {psgmax:g}; wanted a positive cutoff in 1/Å", local)
        wrong = abs(form[0] / zval - 1)
        if wrong > REFUSE_CHARGE:
            raise self._error(
                f"{self.title}: the atom holds f(0) = {form[0]:.6g} electrons, ZVAL is {zval:.6g}; they must agree "
                f"to {REFUSE_CHARGE:.0%} (a damaged or scrambled POTCAR: take the original)",
                place,
            )
        if wrong > WARN_CHARGE:
            warnings.warn(
                f"{self.path}: {self.title} holds {form[0]:.6f} electrons, ZVAL is {zval:.6g}; "
                "its table is scaled to ZVAL",
                AssumptionWarning,
                stacklevel=4,
            )
        form = form * (zval / form[0])
        form[0] = zval
        return psgmax, form

    def _channels(self) -> tuple[int, ...]:
        """l of each projector, in order."""
        channels: list[int] = []
        place = self._find("Non local Part")
        while place is not None:
            head = self.text[place : self.text.find(b"\n", place)]
            try:
                ell, count = (int(word) for word in head.split()[:2])
            except ValueError:
                ell = count = -1
            if not (0 <= ell <= MAX_ELL and 0 < count <= MAX_PROJECTORS):
                raise self._error(
                    f"{self.title}: found {head.decode('latin-1').strip()!r} below 'Non local Part'; "
                    "wanted l, the number of projectors and a radius",
                    place,
                )
            channels += [ell] * count
            place = self._find("Non local Part", place)
        return tuple(channels)

    def _occupancies(self, count: int) -> NDArray[np.float64] | None:
        """(count, count) numbers of "uccopancies in atom", None in a potential without PAW sets."""
        place = self._find("uccopancies in atom")
        if place is None or not count:
            return None
        return self._numbers(place, "uccopancies in atom", (count * count,)).reshape(count, count)

    def _find(self, title: str, after: int | None = None) -> int | None:
        """Where the line below a section title starts, None where the data set has no such section."""
        name = title.encode()
        position = self.header_end if after is None else after
        while True:
            position = self.text.find(name, position, self.end)
            if position < 0:
                return None
            begin = self.text.rfind(b"\n", 0, position) + 1
            newline = self.text.find(b"\n", position, self.end)
            if newline < 0:
                return None
            if self.text[begin:newline].strip() == name:
                return newline + 1
            position = newline

    def _numbers(self, place: int, title: str, counts: tuple[int, ...]) -> NDArray[np.float64]:
        """The numbers from ``place`` to the next title; their count is one of ``counts``.

        The charge density ends with a line ``42.06 T``: with the logical the larger count is the only one wanted.
        """
        stop = _TITLE.search(self.text, place, self.end)
        words = self.text[place : stop.start() if stop else self.end].rstrip()
        if words.endswith((b"T", b"F")):
            words, counts = words[:-1], counts[-1:]
        try:
            values = numbers(words)
        except ValueError as error:
            raise self._error(f"{self.title}: {title}: {error}; copy the POTCAR again", place) from None
        if len(values) not in counts:
            raise self._error(
                f"{self.title}: {title}: found {len(values)} numbers, wanted {' or '.join(map(str, counts))}; "
                "copy the POTCAR again",
                place,
            )
        if not np.isfinite(values).all():
            raise self._error(f"{self.title}: {title}: found NaN or infinity; wanted finite numbers", place)
        return values

    def _error(self, message: str, position: int) -> FormatError:
        return FormatError(message, self.path, line_of(self.text, position))
