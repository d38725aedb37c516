"""pymatgen's Chgcar, Locpot and Elfcar: as objects, and as JSON that monty writes of them (the Materials Project's).

What pymatgen keeps, checked on its source (pymatgen.io.vasp.outputs.VolumetricData) and on its JSON:

- ``data``: {"total", "diff"} or {"total", "diff_x", "diff_y", "diff_z"} to arrays (nx, ny, nz) of what the file holds:
  density times volume; "diff" of a non-collinear file is made up from the other three and left alone here. A Locpot of
  two spins has "spin_up" and "spin_down" in newer versions.
- ``data_aug``: the same keys to {ion: occupancies}, complex where the file has imaginary parts; in older versions to
  the lines of text behind each block, with the moments that stand before the next.
- no moments in newer versions, and the structure at the precision of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats.chgcar import kind_of
from chgtools.formats.chgcar_layout import IMAGINARY, RECORD, record_numbers
from chgtools.formats.streams import read_bytes, reading
from chgtools.formats.structure_files import HEAD
from chgtools.formats.structures import as_structure
from chgtools.volumetric import DENSITY_KINDS, KINDS, Augmentation, VolumetricData, put_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.io.vasp.outputs import Chgcar, Elfcar, Locpot

    PymatgenField = Chgcar | Locpot | Elfcar

_KIND_OF_CLASS = {"Chgcar": "CHGCAR", "Locpot": "LOCPOT", "Elfcar": "ELFCAR"}
_KEYS = (("total", "diff_x", "diff_y", "diff_z"), ("spin_up", "spin_down"), ("total", "diff"), ("total",))
_CLASS = re.compile(rb'"@class": ?"(?:Chgcar|Locpot|Elfcar)"')


def from_pymatgen(source: PymatgenField, kind: str | None = None) -> VolumetricData:
    """A pymatgen Chgcar, Locpot or Elfcar as VolumetricData.

    kind : "AECCAR0", "CHG", ... where a Chgcar is no CHGCAR
    Raises ChgtoolsError for another object, and for data that contradict each other. Warns AssumptionWarning where
    moments that VASP wants before each further block are not in it: they are then 1 for each atom.
    """
    name = next((cls.__name__ for cls in type(source).__mro__ if cls.__name__ in _KIND_OF_CLASS), "")
    if not name:
        raise ChgtoolsError(f"cannot take a field from a {type(source).__name__}; wanted pymatgen's Chgcar or Locpot")
    comment = getattr(source, "name", None) or ""
    structure = as_structure(getattr(source, "poscar", source.structure)).with_changes(comment=comment)
    made = assemble(name, kind, structure, dict(source.data), source.data_aug or {})
    put_moments(made)
    return made


def holds_one(path: str | Path) -> bool:
    """Whether a JSON file names such an object among its first bytes, as monty writes it."""
    with reading(path) as file:
        return _CLASS.search(file.read(HEAD)) is not None


def read(path: str | Path, kind: str | None = None) -> VolumetricData:
    """The first such object in a JSON file, plain or compressed. Raises FormatError for a file that holds none."""
    try:
        found = _object_in(_parsed(read_bytes(path)))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"is no JSON, or cut short ({error}); copy it again", path) from error
    if found is None:
        raise FormatError("is JSON without a Chgcar, Locpot or Elfcar of pymatgen in it", path)
    try:
        structure = as_structure(_structure_in(found))
        data = {key: _array(value) for key, value in found["data"].items()}
        records = {key: _records(value) for key, value in (found.get("data_aug") or {}).items()}
        comment = str((found.get("poscar") or {}).get("comment") or "")
        made = assemble(
            str(found["@class"]), kind or kind_of(path), structure.with_changes(comment=comment), data, records
        )
    except ChgtoolsError as error:
        raise FormatError(str(error), path) from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise FormatError(f"is no {found['@class']} as pymatgen writes it ({error!r}); make it again", path) from error
    made.source = str(path)
    put_moments(made)
    return made


def _parsed(text: bytes) -> Any:
    """JSON, with NaN too, which Python writes and JSON has not. Raises ValueError, RecursionError."""
    import orjson  # which pymatgen needs: a fifth of the time

    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def _object_in(content: Any) -> dict[str, Any] | None:
    """The object, or that in a document of the Materials Project ({"data": {...}}) or a list."""
    if isinstance(content, list):
        return next((found for item in content if (found := _object_in(item)) is not None), None)
    if not isinstance(content, dict):
        return None
    if str(content.get("@class")) in _KIND_OF_CLASS:
        return content
    return _object_in([content.get("data"), content.get("chgcar")])


def _structure_in(found: Mapping[str, Any]) -> Any:
    from pymatgen.core import Structure
    from pymatgen.io.vasp.inputs import Poscar

    poscar = found.get("poscar") or found
    return (
        Poscar.from_dict(dict(poscar))
        if "true_names" in poscar
        else Structure.from_dict(poscar.get("structure", poscar))
    )


def _array(value: Any) -> NDArray[Any]:
    """An array as monty writes it, complex as [real, imaginary]; or nested lists."""
    if isinstance(value, dict):
        parts = np.asarray(value["data"], dtype=float)
        return parts[0] + 1j * parts[1] if str(value.get("dtype", "")).startswith("complex") else parts
    return np.asarray(value, dtype=float)


def _records(value: Any) -> Any:
    return {int(ion): _array(numbers) for ion, numbers in value.items()} if isinstance(value, dict) else value


def assemble(
    name: str, kind: str | None, structure: Any, data: Mapping[str, Any], data_aug: Mapping[str, Any]
) -> VolumetricData:
    """A field of what pymatgen's objects hold.

    name : "Chgcar", "Locpot" or "Elfcar"; kind : what a CHGCAR is, such as "AECCAR0", or None
    data : "total" with "diff" or "diff_x", "diff_y", "diff_z", each (nx, ny, nz), a density times the volume
    data_aug : the same keys to {ion: record}, or to lines of text; empty where there are none
    Raises ChgtoolsError for data that contradict each other.
    """
    own = _KIND_OF_CLASS[name]
    if kind not in KINDS or (kind in DENSITY_KINDS) != (own in DENSITY_KINDS):
        kind = own
    assert kind is not None
    keys = next((keys for keys in _KEYS if all(key in data for key in keys)), None)
    if keys is None:
        raise ChgtoolsError(f"a {name} with the data {', '.join(data) or 'none'}; wanted total, with or without diff")
    scale = 1 / structure.volume if kind in DENSITY_KINDS else 1.0
    blocks = [np.asfortranarray(np.asarray(data[key], dtype=float) * scale) for key in keys]
    if blocks[0].ndim != 3 or any(block.shape != blocks[0].shape for block in blocks):
        raise ChgtoolsError(f"a {name} whose grids have the shapes {[block.shape for block in blocks]}; wanted one")
    if not all(np.isfinite(block).all() for block in blocks):
        raise ChgtoolsError(f"a {name} with values that are no finite numbers; make it again")
    augmentation, moments = _augmentation([data_aug.get(key) for key in keys], structure.n_atoms)
    return VolumetricData(kind, structure, blocks, augmentation, moments)


def _augmentation(parts: Sequence[Any], n_atoms: int) -> tuple[list[Augmentation], list[NDArray[np.float64]]]:
    """Records of every block, and the moments that older versions keep among them; [] where a block has none."""
    augmentation, moments = [], []
    for part in parts:
        rest: list[float] = []
        if isinstance(part, (list, tuple)) and part:
            part, rest = _of_lines([str(line) for line in part])
        if not part:
            return [], []
        if set(part) - set(range(1, n_atoms + 1)):
            raise ChgtoolsError(f"occupancies of the ions {', '.join(map(str, part))}, the structure has {n_atoms}")
        # pymatgen leaves out ions without numbers
        numbers = [np.asarray(part.get(ion, ())) for ion in range(1, n_atoms + 1)]
        real = [np.array(each.real, dtype=float) for each in numbers]
        imaginary = [np.array(each.imag, dtype=float) for each in numbers]
        if not all(np.isfinite(record).all() for record in [*real, *imaginary, np.array(rest)]):
            raise ChgtoolsError("occupancies that are no finite numbers; make it again")
        augmentation.append(Augmentation(real, imaginary if any(map(np.iscomplexobj, numbers)) else None))
        if len(rest) == n_atoms:
            moments.append(np.array(rest))
    return augmentation, moments if len(moments) == len(parts) - 1 else []


def _of_lines(lines: Sequence[str]) -> tuple[dict[int, NDArray[Any]], list[float]]:
    """({ion: occupancies}, numbers behind the last record) of the lines of text behind a block."""
    records: dict[int, NDArray[Any]] = {}
    rest: list[float] = []
    for title, body in _sections(lines):
        part = IMAGINARY if title.startswith(RECORD + IMAGINARY) else b""
        found, length = record_numbers(title[len(RECORD + part) :])
        ion = found or len(records) + (not part)  # stars where the number has overflowed
        if rest or length is None or len(body) < length or bool(part) != (ion in records):
            raise ChgtoolsError(f"occupancies whose lines are damaged near {title.decode('ascii', 'replace')!r}")
        numbers, rest = np.array(body[:length]), body[length:]
        records[ion] = records[ion] + 1j * numbers if part else numbers
    return records, rest


def _sections(lines: Sequence[str]) -> Iterator[tuple[bytes, list[float]]]:
    """(title of a record, the numbers up to the next)."""
    title, body = b"", list[float]()
    for line in lines:
        text = line.strip().encode()
        if text.startswith(RECORD):
            if title:
                yield title, body
            title, body = text, []
            continue
        try:
            body += [float(word) for word in text.split()]
        except ValueError as error:
            raise ChgtoolsError(f"found {line.strip()[:40]!r} among occupancies; wanted numbers") from error
    if title:
        yield title, body
