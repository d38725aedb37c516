"""The structures in a file, whatever its format: what it is is told by its content, its name is a hint.

POSCAR, CONTCAR, XDATCAR and the heads of CHGCAR and its family are read here, with their own error messages; CIF,
pymatgen's JSON, vasprun.xml and a few more by pymatgen; xyz, extended xyz and what else it knows by ASE. What those two
return is handed on as it is, so that moments and charges which they carry stay with it.
"""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.formats import archives, poscar, xdatcar
from chgtools.formats.streams import read_bytes, reading, stem

HEAD = 1 << 16  # bytes that are looked at
_FRAME = re.compile(r"(.+):(\d+)")
_REAL = rb"[ \t]*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[EeDd][+-]?\d+)?"
# What no other format has: a scale and three lattice vectors behind a title
_NEXT = rb"(?:[ \t,]|(?=[+-]))" + _REAL  # a sign may touch the number before it
_POSCAR = re.compile(rb"[^\n]*\n%s[^\n]*\n(?:%s%s%s[^\n]*\n){3}" % (_REAL, _REAL, _NEXT, _NEXT))
_XYZ = re.compile(rb"\s*\d+\s*\n[^\n]*\n\s*[A-Z][a-z]?\d*%s%s%s" % (_NEXT, _NEXT, _NEXT))  # count, comment, an atom
_CIF = re.compile(rb"^\s*data_", re.MULTILINE | re.IGNORECASE)
_CIF_CELL = re.compile(rb"^\s*_cell[_.]length_a\b", re.MULTILINE | re.IGNORECASE)
_COUNT = re.compile(rb"\s*\d+\s*\n")
# Told by name: formats that pymatgen knows and that have no mark of their own
_PYMATGEN_SUFFIXES = (".cif", ".mcif", ".xml", ".cssr", ".yaml", ".xsf", ".res")


def split_frame(path: str | Path) -> tuple[Path, int | None]:
    """(file, number) of "XDATCAR:12", counted from 1; (path, None) without a number, or where a file has that name.

    "runs.zip:12" is a member, "runs.zip:XDATCAR:12" the twelfth structure in one.
    """
    match = _FRAME.fullmatch(str(path))
    if match is None or Path(path).exists() or archives.kind_of(match[1]) or archives.holds(path):
        return Path(path), None
    return Path(match[1]), int(match[2])


def read_one(path: str | Path) -> Any:
    """The structure of a file, or of FILE:N its Nth: a chgtools Structure, or an object of pymatgen or ASE.

    Raises FormatError for a file that holds none, for several without a choice, and for a number beyond them.
    """
    file, number = split_frame(path)
    found, error = _all(file, _stamp(file))
    if number is None and len(found) > 1:
        raise FormatError(
            f"holds {len(found)} structures; name one of them, {path}:1 to {path}:{len(found)} (`chgtools predict "
            "--batch` takes every one of an XDATCAR or an xyz file)",
            path,
        )
    index = 1 if number is None else number
    if 1 <= index <= len(found):
        return found[index - 1]
    if error is not None:
        raise error
    raise FormatError(f"holds {len(found) or 'no'} structure{'s' * (len(found) > 1)}, number {index} is wanted", file)


def names_in(path: str | Path) -> list[str]:
    """What names each structure of a file: FILE:1, FILE:2, ... of several, else the path as it is.

    A file that is cut short has one more, which :func:`read_one` says that of. Raises FormatError for one that is not
    there or holds none.
    """
    file, number = split_frame(path)
    if number is not None or file.is_dir():
        return [str(path)]
    found, error = _all(file, _stamp(file))
    count = len(found) + (error is not None)
    return [str(path)] if count < 2 else [f"{path}:{number}" for number in range(1, count + 1)]


def count_at_once(path: Path) -> int:
    """How many structures an XDATCAR or an xyz file has; 1 for any other file, which is not read, or that is none."""
    try:
        kind = content_of(path)
        return xdatcar.count(path) if kind == "XDATCAR" else _count_xyz(path) if kind == "xyz" else 1
    except ChgtoolsError:
        return 1


def is_of_vasp(path: str | Path) -> bool:
    """Whether a file is a POSCAR, or an XDATCAR or a file of the CHGCAR family, which begin as one."""
    return content_of(split_frame(path)[0]) in ("POSCAR", "XDATCAR")


def _stamp(path: Path) -> tuple[int, int]:
    try:
        facts = archives.split(path)[0].stat()
    except OSError as error:
        raise archives.absent(path) from error
    return facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=1)  # a batch takes the structures of a trajectory one after the other
def _all(path: Path, stamp: tuple[int, int]) -> tuple[list[Any], FormatError | None]:
    """Every structure of a file as it was at ``stamp``, and why reading ended before the file did."""
    if path.is_dir():
        raise FormatError("is a folder; name the structure in it", path)
    kind, found = content_of(path), []
    readers: dict[str, Callable[[Path], list[Any]]] = {"JSON": _of_json, "CIF": _of_cif, "xyz": _by_ase}
    if kind == "XDATCAR":
        try:
            for structure in xdatcar.frames(path):
                found.append(structure)
        except FormatError as error:
            return found, error
        return found, None
    if kind in readers:
        return readers[kind](path), None
    suffix = Path(stem(path)).suffix.lower()
    if kind != "POSCAR" and suffix in _PYMATGEN_SUFFIXES:
        return _by_pymatgen(path), None
    if kind != "POSCAR" and _known_to_ase(path):
        return _by_ase(path), None
    return [poscar.read(path)], None


def content_of(path: str | Path) -> str:
    """POSCAR (and what begins as one), XDATCAR, JSON, CIF or xyz by a file's content; "" where it does not tell."""
    with reading(path) as file:
        head = file.read(HEAD)
    named_xyz = Path(stem(path)).suffix.lower() in (".xyz", ".extxyz")
    # an xyz file with atomic numbers in place of symbols has numbers where a POSCAR has its lattice
    if _POSCAR.match(head) and not (named_xyz and _COUNT.match(head)):
        return "XDATCAR" if any(xdatcar.MARK in line for line in head.split(b"\n")[5:9]) else "POSCAR"
    if head.lstrip()[:1] in (b"{", b"["):
        return "JSON"
    if _CIF.search(head) and _CIF_CELL.search(head):
        return "CIF"
    return "xyz" if named_xyz or _XYZ.match(head) else ""


def _count_xyz(path: Path) -> int:
    """Frames of an xyz file, by their numbers of atoms; a last one may be cut."""
    count = 0
    with reading(path) as file:
        while (line := file.readline()).strip().isdigit():
            count += 1
            for _ in range(int(line) + 1):
                file.readline()
    return max(count, 1)


def _of_cif(path: Path) -> list[Any]:
    """One structure for each data block that has one, in the cell and with the atoms that the file says."""
    from pymatgen.io.cif import CifParser

    text = read_bytes(path).decode("utf-8", "replace")
    with _worded(path, "pymatgen", "a CIF"):
        return list(CifParser.from_str(text).parse_structures(primitive=False))


def _of_json(path: Path) -> list[Any]:
    try:
        content = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON ({error}); copy it again", path) from error
    with _worded(path, "pymatgen", "one of its objects"):
        found = list(_of_dict(content))
    if not found and isinstance(content, dict) and "ids" in content:  # ASE's database as a file
        return _by_ase(path)
    if not found:
        raise FormatError("is JSON without a structure in it; wanted pymatgen's as_dict of one, a list, or ASE's", path)
    return found


def _of_dict(content: Any) -> Iterator[Any]:
    """Structures of pymatgen in decoded JSON; other objects are not made, because JSON may name any class."""
    if isinstance(content, list):
        for item in content:
            yield from _of_dict(item)
    elif isinstance(content, dict) and "sites" in content:
        from pymatgen.core import Structure

        if "lattice" not in content:
            raise ChgtoolsError("no cell: put the molecule into one before (pymatgen: get_boxed_structure)")
        yield Structure.from_dict(content)
    elif isinstance(content, dict) and content.get("true_names") is False:
        from pymatgen.io.vasp.inputs import Poscar

        yield Poscar.from_dict(content)
    elif isinstance(content, dict):
        # entries and calculations, Poscar and Chgcar, and documents of databases hold one
        name = next((name for name in ("structure", "poscar") if name in content), "")
        yield from _of_dict(content.get(name))


def _by_pymatgen(path: Path) -> list[Any]:
    """By the name, as pymatgen tells formats: the last structure, and of a vasprun.xml every ionic step."""
    from pymatgen.core import Structure

    with _unpacked(path) as plain, _worded(path, "pymatgen", "a structure"):
        if plain.suffix.lower() == ".xml" and b"<modeling" in read_bytes(plain)[:HEAD]:
            from pymatgen.io.vasp.outputs import Vasprun

            run = Vasprun(str(plain), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
            return list(run.structures)
        return [Structure.from_file(str(plain))]


def _known_to_ase(path: Path) -> bool:
    """Whether ASE is there and has a format for a file by its name or content, other than those that are read here."""
    try:
        from ase.io.formats import UnknownFileTypeError, filetype, ioformats
    except ImportError:
        return False
    with _unpacked(path) as plain:
        try:
            name = filetype(str(plain))
        except (UnknownFileTypeError, OSError, ValueError):
            return False
    return name in ioformats and name not in ("vasp", "vasp-xdatcar")


def _by_ase(path: Path) -> list[Any]:
    try:
        import ase.io
    except ImportError as error:
        raise FormatError(
            "this format is read by ASE, which is not there: pip install 'chgtools[ase]'", path
        ) from error
    is_xyz = content_of(path) == "xyz"
    with _unpacked(path) as plain, _worded(path, "ASE", "xyz" if is_xyz else "a structure"):
        found = ase.io.read(str(plain), index=":", format="extxyz" if is_xyz else None)
    return list(found)


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file, or a plain copy of a compressed one under its name without the suffix, for as long as it is used."""
    if stem(path) == path.name and not archives.is_member(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / stem(path)
        plain.write_bytes(read_bytes(path))
        yield plain


@contextmanager
def _worded(path: Path, reader: str, what: str) -> Iterator[None]:
    """What another library says on a file, as ours: its failures as a FormatError, its warnings as notes."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except ChgtoolsError as error:
        raise FormatError(str(error), path) from error
    except Exception as error:  # these readers raise whatever a damaged file brings about
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = f"it lacks or does not know {reason}" if isinstance(error, KeyError) else reason
        raise FormatError(f"{reader} cannot read it as {what} ({reason[:200]})", path) from error
    of_the_file = [each for each in caught if not issubclass(each.category, (DeprecationWarning, FutureWarning))]
    said = dict.fromkeys(" ".join(str(warning.message).split()) for warning in of_the_file)
    for sentence in said:
        if not any(sentence != other and sentence in other for other in said):  # pymatgen's CIF reader sums them up
            warnings.warn(f"{path}: {reader} says: {sentence}", AssumptionWarning, stacklevel=3)
