"""Small valid files of every kind that chgtools reads, each with its public reader, to be damaged by tests/fuzz.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from made_archives import PACK, tar_of, zip_of
from made_atoms import atom
from made_targets import difference
from monty.json import MontyEncoder
from small_entries import BASIS, ENCODER, SALT, entry_of, random_coefficients
from synthetic_chgcar import charge, structure
from synthetic_potcar import data_set
from test_other_densities import write_vaspwave
from test_table import form_table, radial_table
from test_upf import upf

from chgtools import formats
from chgtools.batch import Manifest, Shard, read_list
from chgtools.check import check_file
from chgtools.formats import chgcar, cube, difference_density, poscar, structure_files, xsf
from chgtools.formats.incar import read_incar
from chgtools.formats.potcar import read_potcar
from chgtools.formats.structures import as_structure
from chgtools.formats.table import read_table
from chgtools.formats.upf import read_upf
from chgtools.libraries.library import DensityLibrary
from chgtools.models.label_reading import LabelReading
from chgtools.models.model import DensityModel, Trust
from chgtools.models.network import Network
from chgtools.models.tensor_shapes import shapes
from chgtools.models.weights import load_model, save_model
from chgtools.stores.index import Index, write_index
from chgtools.stores.kinds import kinds_of
from chgtools.stores.splits import split
from chgtools.stores.store import Store, writable, write_entry


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    name : of the file; make : writes valid ones of it, each into a path that it is given
    read : the public reader; what it returns is a list of all numbers that the file holds
    make_up : "text", "hdf5", "json" or "safetensors": how it is damaged beside its bytes
    """

    name: str
    make: tuple[Callable[[Path], Any], ...]
    read: Callable[[Path], list[Any]]
    make_up: str = "text"


def of_fields(data: Any) -> list[Any]:
    numbers = [*data.blocks, *getattr(data, "moments", ()), *of_structure(data.structure)]
    for records in data.augmentation:
        numbers += [*records.real, *(records.imaginary or ())]
    return numbers


def of_structure(given: Any) -> list[Any]:
    made = as_structure(given)
    return [made.lattice, made.frac, np.array(made.counts)]


def of_atom(density: Any) -> list[Any]:
    return [density.q, density.form, density.zval, density.form_factor(np.linspace(0, 20, 9))]


def read_frames(path: Path) -> list[Any]:
    found: list[Any] = []
    for number in range(1, structure_files.count_at_once(path) + 1):
        found += of_structure(f"{path}:{number}")
    return found


def read_tags(path: Path) -> list[Any]:
    """An INCAR with each of its tags taken as it is by the commands: a text, a number, a logical, a list."""
    incar = read_incar(path)
    typed = {
        "ENCUT": incar.number, "ISPIN": incar.integer, "LSORBIT": incar.logical, "MAGMOM": incar.numbers,
        "NELECT": incar.number, "NGXF": incar.integer,
    }  # fmt: skip
    values = [read(tag) for tag, read in typed.items()]
    return [np.array(value, dtype=float) for value in values if value is not None]


def read_target(path: Path) -> list[Any]:
    made = difference_density.read(path)
    return [*of_fields(made), made.electrons, np.array(made.zvals)] + ([] if made.saed is None else [made.saed])


def read_store(path: Path) -> list[Any]:
    store = Store.open(path)
    numbers: list[Any] = []
    numbers += [len(facts["elements"]) for _, facts in store.facts()]
    for entry in store.values():
        numbers += [entry.dcd, entry.dcd_0, *of_structure(entry.structure), entry.on_grid()]
        numbers += entry.magnetisation_on_grid()
        for records in entry.records:
            numbers += [*records.real, *(records.imaginary or ())]
    return numbers


def read_library(path: Path) -> list[Any]:
    return [number for density in DensityLibrary.open(path).values() for number in of_atom(density)]


def read_weights(path: Path) -> list[Any]:
    model = load_model(path)
    return [model.zvals, *(tensor for network in model.members for tensor in network.tensors.values())]


def read_batch(path: Path) -> list[Any]:
    assert read_list(path)
    return []


def read_manifest(path: Path) -> list[Any]:
    assert Manifest(path, Shard(), "structure").known is not None
    return []


def write_incar(path: Path) -> None:
    path.write_text(
        'SYSTEM = "NaCl; a title"\nISTART = 0 ; ICHARG = 1 ! start\n ENCUT = 400.0 eV\n  PREC = Accurate\n\n'
        "# spin\nISPIN = 2\nMAGMOM = 2*1.0 \\\n  -1.0 3*0.5D0\nLSORBIT = .FALSE.\nNELECT = 14.5\n"
        "KERNEL { FILE = x }\nNGXF = 48; NGYF = 48; NGZF = 72\nLDAUU = 4 0\n"
    )


def write_xdatcar(path: Path) -> None:
    cell = structure()
    poscar.write(cell, path)
    head, positions = path.read_text().split("Direct\n")
    frames = [f"Direct configuration= {number:5d}\n{positions}" for number in (1, 2, 3)]
    path.write_text(head + "".join(frames))


def write_selective(path: Path) -> None:
    poscar.write(structure(), path)
    head, positions = path.read_text().split("Direct\n")
    path.write_text(head + "Selective dynamics\nCartesian\n" + positions.replace("\n", "  T F T\n"))


def write_made_index(path: Path) -> None:
    rows = [
        {"name": f"a{i}", "entry": f"a{i}", "formula": "NaCl", "kind": "made", "source_sha256": f"{i:064x}", "store": i % 2,
         "elements": ["Na", "Cl", "Cl"], "n_waves": 400 + i, "spins": i, "nelectrons": 14.0, "saed_eps_mae_percent": 5.5,
         "labels": "Na_pv Cl", "moments_on": "", "functional": "PBE"}
        for i in range(4)
    ]  # fmt: skip
    write_index(path, Index.of(["a.h5", "b.h5"], [(100, 10**18), (200, 10**18 + 1)], rows))
    split(path)


def read_made_index(path: Path) -> list[Any]:
    store = Store.open(path)
    kinds_of(store)
    facts = [facts for _, facts in store.facts()]
    return [each[key] for each in facts for key in ("n_waves", "spins", "nelectrons") if key in each]


def write_store(path: Path) -> None:
    with writable(path) as file:
        write_entry(file, entry_of(SALT, random_coefficients(1), 6.0, name="plain", shape=(12, 12, 15)))
        spins = random_coefficients(2)[None]
        facts = {"split": "train", "labels": ["Na_pv", "Cl"], "counts": [1, 1], "zvals": [7.0, 7.0]}
        spun = entry_of(SALT, random_coefficients(3), 6.0, name="spin", spins=spins, shape=(12, 12, 15), facts=facts)
        write_entry(file, spun)
        file.attrs["split_by"] = "structure"


def write_library(path: Path) -> None:
    DensityLibrary([atom("Si", 4.0, (0, 1), np.eye(2)), atom("O_s", 6.0), atom("Fe_pv", 14.0)]).write(path)


def write_weights(path: Path) -> None:
    rng = np.random.default_rng(1)
    wanted = shapes(ENCODER, BASIS.n_max, 2, 3)
    tensors = {name: rng.normal(size=shape) for name, shape in wanted.items()}
    reading = LabelReading(
        channels=(0, 1), mean=np.eye(2).ravel(), weights={0: np.ones((3, 2))}, atoms=4, error_percent=1.0
    )
    model = DensityModel(
        "test", ("Na", "Cl"), np.array([7.0, 7.0]), BASIS, "dcd", [Network(ENCODER, tensors)], Trust(0.1, 0.9, 0.5, 1.0),
        occupancies={"Na_pv": reading},
    )  # fmt: skip
    save_model(model, path)


def write_json(blocks: int) -> Callable[[Path], Any]:
    return lambda path: path.write_text(
        json.dumps(charge(shape=(3, 2, 4), blocks=blocks).to_pymatgen(), cls=MontyEncoder)
    )


def write_structure_json(path: Path) -> None:
    path.write_text(json.dumps(structure().to_pymatgen().as_dict()))


def write_batch(path: Path) -> None:
    path.write_text("# a batch\nPOSCAR.1\nrun/POSCAR\nXDATCAR:12\n\n../elsewhere/POSCAR.vasp\n")


def write_manifest(path: Path) -> None:
    records = [
        {"structure": "POSCAR.1", "status": "done", "finished": "2026-01-01T00:00:00", "seconds": 1.5, "notes": ["a"]},
        {"structure": "run/POSCAR", "status": "failed", "finished": "2026-01-01T00:00:01", "error": "no POTCAR"},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def fields(kind: str, blocks: int, records: bool = True) -> Callable[[Path], Any]:
    return lambda path: chgcar.write(charge(kind, (4, 3, 3), blocks, records), path)


def text(content: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(content)


def potcar(path: Path) -> None:
    path.write_text(data_set("Si", 4, (0, 0, 1, 1)) + data_set("O_s", 6, (0, 1)))


def packed(suffix: str) -> Callable[[Path], Any]:
    def write(path: Path) -> None:
        chgcar.write(charge(shape=(4, 3, 3), blocks=2), path.with_name("plain.CHGCAR"))
        path.write_bytes(PACK[suffix](path.with_name("plain.CHGCAR").read_bytes()))

    return write


def archived(make: Callable[[Any], bytes], suffix: str) -> Callable[[Path], Any]:
    """A run folder of POSCAR and CHGCAR, this packed by ``suffix``."""

    def write(path: Path) -> None:
        packed(suffix)(path)
        density = path.read_bytes()
        poscar.write(structure(), path.with_name("plain.POSCAR"))
        cell = path.with_name("plain.POSCAR").read_bytes()
        path.write_bytes(make([("r/POSCAR", cell), (f"r/CHGCAR{suffix}", density)]))

    return write


def read_members(path: Path) -> list[Any]:
    """The one density of an archive and the structure beside it."""
    data = formats.read(path)
    return [*of_fields(data), *of_structure(f"{path}:r/POSCAR")]


def _read_fields(path: Path) -> list[Any]:
    return of_fields(formats.read(path))


def _read_structure(path: Path) -> list[Any]:
    return of_structure(path)


_CHGCARS = tuple(fields("CHGCAR", blocks) for blocks in (1, 2, 4))
KINDS = {
    "CHGCAR": Kind("CHGCAR", _CHGCARS, _read_fields),
    "check": Kind("CHGCAR", _CHGCARS, lambda path: [len(check_file(path).findings)]),
    "CHG": Kind("CHG", (fields("CHG", 1), fields("CHG", 2)), _read_fields),
    "LOCPOT": Kind("LOCPOT", (fields("LOCPOT", 1), fields("LOCPOT", 2)), _read_fields),
    "POSCAR": Kind("POSCAR", (lambda path: poscar.write(structure(), path), write_selective), _read_structure),
    "XDATCAR": Kind("XDATCAR", (write_xdatcar,), read_frames),
    "POTCAR": Kind("POTCAR", (potcar, text(data_set("H", 1, (0,), ultrasoft=True))),
                   lambda path: [number for density in read_potcar(path) for number in of_atom(density)]),
    "INCAR": Kind("INCAR", (write_incar,), read_tags),
    "UPF": Kind("N.upf", (text(upf("linear", 2)), text(upf("linear", 1))), lambda path: of_atom(read_upf(path))),
    "cube": Kind("a.cube", (lambda path: cube.write(charge(shape=(4, 3, 5)), path),), _read_fields),
    "XSF": Kind("a.xsf", (lambda path: xsf.write(charge(shape=(4, 3, 5)), path),), _read_fields),
    "table": Kind("O.dat", (text(radial_table(0.1 * np.arange(81))), text(form_table(0.5 * np.arange(60)))),
                  lambda path: of_atom(read_table(path))),
    "target": Kind("dcd.h5", (lambda path: difference_density.write(difference(spins=1), path),), read_target, "hdf5"),
    "store": Kind("store.h5", (write_store,), read_store, "hdf5"),
    "index": Kind("index.h5", (write_made_index,), read_made_index, "hdf5"),
    "library": Kind("library.h5", (write_library,), read_library, "hdf5"),
    "vaspwave": Kind("vaspwave.h5", (lambda path: write_vaspwave(path, charge(shape=(4, 3, 5), blocks=2)),),
                     _read_fields, "hdf5"),
    "weights": Kind("w.safetensors", (write_weights,), read_weights, "safetensors"),
    "Chgcar JSON": Kind("density.json", (write_json(1), write_json(2), write_json(4)), _read_fields, "json"),
    "structure JSON": Kind("POSCAR.json", (write_structure_json,), _read_structure, "json"),
    "zlib": Kind("CHGCAR.zz", (packed(".zz"),), _read_fields),
    "lzma": Kind("CHGCAR.lzma", (packed(".lzma"),), _read_fields),
    "tar": Kind("a.tar", (archived(tar_of, ""), archived(tar_of, ".lz4")), read_members),
    "packed tar": Kind("a.tar.gz", (archived(lambda members: PACK[".gz"](tar_of(members)), ""),), read_members),
    "zip": Kind("a.zip", (archived(zip_of, ""), archived(zip_of, ".zz")), read_members),
    "list": Kind("structures.txt", (write_batch,), read_batch),
    "manifest": Kind("batch.manifest.jsonl", (write_manifest,), read_manifest, "json lines"),
}  # fmt: skip

if find_spec("pyarrow"):
    from made_parquet import write_emmet, write_lemat

    _ROWS = tuple((f"mp-{number}", charge(shape=(3, 2, 4), blocks=number)) for number in (1, 2))
    KINDS |= {
        "emmet": Kind("a.parquet", (lambda path: write_emmet(path, [(name, "CHGCAR", data) for name, data in _ROWS]),),
                      lambda path: [*_read_fields(Path(f"{path}:1")), *_read_fields(Path(f"{path}:mp-2"))]),
        "LeMat-Rho": Kind("b.parquet", (lambda path: write_lemat(path, _ROWS),), lambda path: _read_fields(Path(f"{path}:2"))),
    }  # fmt: skip


def made(kind: Kind, folder: Path) -> list[bytes]:
    """The bytes of valid files of a kind."""
    contents = []
    for make in kind.make:
        path = folder / kind.name
        path.unlink(missing_ok=True)
        make(path)
        contents.append(path.read_bytes())
    path.unlink()
    return contents


def hdf5_names(file: h5py.File) -> Iterator[str]:
    """Every group and data set of a file, the root too."""
    names = [""]
    file.visit(names.append)
    yield from names
