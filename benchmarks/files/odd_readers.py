"""The same file through chgtools, pymatgen and ASE, in one form for all: odd_inputs.py compares.

Each program is called as its documentation says for that kind of file, with its defaults. A kind that a program has no
reader for is not in its table. Numbers keep the program's meaning: densities of cube and XSF files are electrons/bohr³
to pymatgen and ASE, which leave their unit to the caller, and what the far faces of an XSF grid are ASE leaves to the
caller too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from odd_made import Atoms, Density

from chgtools.elements import ELEMENT_OF
from chgtools.units import BOHR_ANGSTROM

Reader = Callable[[Path, Any], Any]  # the truth is told for the types of INCAR tags alone


def named(symbols: Any) -> tuple[str, ...]:
    """D and T as H, for VASP knows no other; pymatgen's and ASE's X of an atom that is none as no name."""
    return tuple("" if s.startswith("X") and s != "Xe" else ELEMENT_OF.get(s, s) for s in symbols)


# --- chgtools -------------------------------------------------------------------------------------------------------


def of_ours(structure: Any, moments: Any = None) -> Atoms:
    return Atoms(structure.lattice, named(structure.elements), structure.frac, moments)


def our_density(path: Path, _: Any) -> Density:
    import chgtools

    data = chgtools.read(path)
    return Density(of_ours(data.structure), tuple(data.blocks))


def our_structure(path: Path | str, _: Any) -> Atoms:
    from chgtools.formats.carried import carried_by
    from chgtools.formats.structure_files import read_one
    from chgtools.formats.structures import as_structure

    return of_ours(as_structure(str(path)), carried_by(read_one(str(path))).moments)


def our_trajectory(path: Path, truth: Any) -> list[Atoms]:
    from chgtools.formats.structure_files import count_at_once

    return [our_structure(f"{path}:{number}", truth) for number in range(1, count_at_once(path) + 1)]


def our_tags(path: Path, truth: Mapping[str, Any]) -> dict[str, Any]:
    from chgtools.formats.incar import read_incar

    incar = read_incar(path)
    by_type = {bool: incar.logical, int: incar.number, float: incar.number, str: incar.text, list: incar.numbers}
    return {tag: by_type.get(type(value), incar.text)(tag) for tag, value in truth.items()}


# --- pymatgen -------------------------------------------------------------------------------------------------------


def of_pymatgen(structure: Any) -> Atoms:
    return Atoms(structure.lattice.matrix, named(site.specie.symbol for site in structure), structure.frac_coords)


def blocks_of_pymatgen(chgcar: Any) -> Density:
    atoms = of_pymatgen(chgcar.structure)
    blocks = [chgcar.data[key] for key in ("total", "diff") if key in chgcar.data]
    return Density(atoms, tuple(block / chgcar.structure.volume for block in blocks))


def pymatgen_density(path: Path, _: Any) -> Density:
    from pymatgen.io.vasp.outputs import Chgcar

    return blocks_of_pymatgen(Chgcar.from_file(str(path)))


def pymatgen_json(path: Path, _: Any) -> Density:
    from monty.serialization import loadfn

    return blocks_of_pymatgen(loadfn(path))


def pymatgen_cube(path: Path, _: Any) -> Density:
    from pymatgen.io.common import VolumetricData

    data = VolumetricData.from_cube(str(path))
    return Density(of_pymatgen(data.structure), (data.data["total"] / BOHR_ANGSTROM**3,))


def pymatgen_structure(path: Path, _: Any) -> Atoms:
    """By its POSCAR reader where the file is one, else by that which tells formats by the name."""
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Poscar

    if "POSCAR" in path.name or "CONTCAR" in path.name:
        return of_pymatgen(Poscar.from_file(path).structure)
    return of_pymatgen(Structure.from_file(path))


def pymatgen_trajectory(path: Path, _: Any) -> list[Atoms]:
    from pymatgen.io.vasp.outputs import Xdatcar

    return [of_pymatgen(structure) for structure in Xdatcar(path).structures]


def pymatgen_second(path: Path, _: Any) -> Atoms:
    from pymatgen.io.vasp.outputs import Xdatcar

    return of_pymatgen(Xdatcar(path, ionicstep_start=2, ionicstep_end=3).structures[0])


def pymatgen_tags(path: Path, truth: Mapping[str, Any]) -> dict[str, Any]:
    from pymatgen.io.vasp import Incar

    incar = Incar.from_file(path)
    return {tag: incar.get(tag) for tag in truth}


# --- ASE ------------------------------------------------------------------------------------------------------------


def of_ase(atoms: Any) -> Atoms:
    moments = atoms.get_initial_magnetic_moments() if atoms.has("initial_magmoms") else None
    return Atoms(atoms.cell[:], named(atoms.get_chemical_symbols()), atoms.get_scaled_positions(wrap=False), moments)


def ase_density(path: Path, _: Any) -> Density:
    from ase.calculators.vasp import VaspChargeDensity

    read = VaspChargeDensity(str(path))
    if not read.chg:
        raise ValueError("ASE gives no density, and says nothing")
    return Density(of_ase(read.atoms[-1]), (read.chg[-1], *read.chgdiff[-1:]))


def ase_xsf(path: Path, _: Any) -> Density:
    from ase.io.xsf import read_xsf

    with path.open() as file:
        values, _, _, atoms = read_xsf(file, read_data=True)
    return Density(of_ase(atoms), (values / BOHR_ANGSTROM**3,))


def ase_cube(path: Path, _: Any) -> Density:
    from ase.io.cube import read_cube_data

    values, atoms = read_cube_data(str(path))
    return Density(of_ase(atoms), (values / BOHR_ANGSTROM**3,))


def ase_structure(path: Path, _: Any) -> Atoms:
    from ase.io import read

    return of_ase(read(path))


def ase_trajectory(path: Path, _: Any) -> list[Atoms]:
    from ase.io import read

    return [of_ase(atoms) for atoms in read(path, index=":")]


def ase_second(path: Path, _: Any) -> Atoms:
    from ase.io import read

    return of_ase(read(path, index=1))


def ase_tags(path: Path, truth: Mapping[str, Any]) -> dict[str, Any]:
    from ase.calculators.vasp.create_input import GenerateVaspInput

    made = GenerateVaspInput()
    made.read_incar(str(path))
    names = ("float", "exp", "string", "int", "bool", "list_bool", "list_int", "list_float", "special")
    found: dict[str, Any] = {}
    for name in names:
        values = getattr(made, f"{name}_params")
        found |= {tag.upper(): value for tag, value in values.items() if value is not None}
    return {tag: found.get(tag) for tag in truth}


READERS: dict[str, dict[str, Reader]] = {
    "chgtools": {
        "density": our_density,
        "density json": our_density,
        "xsf": our_density,
        "cube": our_density,
        "structure": our_structure,
        "trajectory": our_trajectory,
        "second frame": lambda path, truth: our_structure(f"{path}:2", truth),
        "incar": our_tags,
    },
    "pymatgen": {
        "density": pymatgen_density,
        "density json": pymatgen_json,
        "cube": pymatgen_cube,
        "structure": pymatgen_structure,
        "trajectory": pymatgen_trajectory,
        "second frame": pymatgen_second,
        "incar": pymatgen_tags,
    },
    "ASE": {
        "density": ase_density,
        "xsf": ase_xsf,
        "cube": ase_cube,
        "structure": ase_structure,
        "trajectory": ase_trajectory,
        "second frame": ase_second,
        "incar": ase_tags,
    },
}


def reader_of(program: str, kind: str, file: str) -> Reader | None:
    """None where a program has no reader for this kind of file: pymatgen for extended xyz."""
    if program == "pymatgen" and ".extxyz" in file:
        return None
    return READERS[program].get(kind)
