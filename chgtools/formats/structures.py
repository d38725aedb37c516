"""Structures from whatever a user has: a path, a pymatgen Structure, ASE Atoms."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats import chgcar, poscar
from chgtools.formats.streams import stem

# Formats that pymatgen reads; anything else is taken for a POSCAR or a volumetric file of VASP
_PYMATGEN_SUFFIXES = (".cif", ".mcif", ".xml", ".json", ".yaml", ".cssr", ".xsf", ".res")


def as_structure(source: Any) -> Structure:
    """A :class:`~chgtools.cell.Structure` from a path, a pymatgen Structure (or Poscar), ASE Atoms, or itself.

    Paths: POSCAR, CONTCAR and the headers of CHGCAR and its family are read here; CIF, vasprun.xml and others by
    pymatgen. Atoms of one species that follow each other make one group, as in a POSCAR.
    Raises FormatError for an unreadable file, ChgtoolsError for a disordered structure or one without a cell.
    """
    if isinstance(source, Structure):
        return source
    if isinstance(source, (str, Path)):
        return _from_path(source)
    if hasattr(source, "get_scaled_positions"):
        if abs(np.linalg.det(np.asarray(source.cell[:]))) < 1e-9:
            raise ChgtoolsError("these ASE Atoms have no cell; set one (atoms.center(vacuum=...)) before")
        return _grouped(
            np.array(source.cell[:]), list(source.get_chemical_symbols()), source.get_scaled_positions(wrap=False)
        )
    source = getattr(source, "structure", source)  # pymatgen's Poscar and calculations hold one
    if hasattr(source, "frac_coords") and hasattr(source, "lattice"):
        if not source.is_ordered:
            raise ChgtoolsError("the structure has partly occupied sites; order it before (one element to a site)")
        return _grouped(
            np.array(source.lattice.matrix), [site.specie.symbol for site in source], np.array(source.frac_coords)
        )
    raise ChgtoolsError(
        f"cannot take a structure from a {type(source).__name__}; wanted a path, a pymatgen Structure or ASE Atoms"
    )


def _from_path(path: str | Path) -> Structure:
    name = stem(path)
    if chgcar.kind_of(path):
        return chgcar.read_header(path)[0]
    if Path(name).suffix.lower() in _PYMATGEN_SUFFIXES:
        if not Path(path).is_file():
            raise FormatError("no such file; check the name and the folder", path)
        from pymatgen.core import Structure as PymatgenStructure

        try:
            return as_structure(PymatgenStructure.from_file(str(path)))
        except ChgtoolsError:
            raise
        except Exception as error:
            raise FormatError(f"pymatgen cannot read it as a structure ({error})", path) from error
    return poscar.read(path)


def _grouped(lattice: np.ndarray, symbols: list[str], frac: np.ndarray) -> Structure:
    groups = [(name, len(list(group))) for name, group in groupby(symbols)]
    species, counts = tuple(name for name, _ in groups), tuple(count for _, count in groups)
    return Structure(lattice, species, counts, frac, comment="".join(f"{name}{count}" for name, count in groups))
