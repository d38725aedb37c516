"""Structures from whatever a user has: a path, a pymatgen Structure, ASE Atoms."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Union

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError, FormatError
from chgtools.formats.structure_files import read_one

if TYPE_CHECKING:
    from pymatgen.core import IStructure
    from pymatgen.io.vasp.inputs import Poscar


class AseAtoms(Protocol):
    """What is asked of ASE's Atoms, which need not be installed."""

    cell: Any

    def get_chemical_symbols(self) -> Any: ...
    def get_scaled_positions(self, wrap: bool = ...) -> Any: ...


StructureLike = Union[str, Path, Structure, AseAtoms, "IStructure", "Poscar"]


def as_structure(source: StructureLike) -> Structure:
    """A :class:`~chgtools.cell.Structure` from a path, a pymatgen Structure (or Poscar), ASE Atoms, or itself.

    Paths: whatever chgtools, pymatgen and ASE read, plain or compressed (see chgtools.formats.structure_files); of a
    file with several structures FILE:12 is the twelfth. Atoms of one species that follow each other make one group, as
    in a POSCAR.
    Raises FormatError for an unreadable file and for several structures without a choice, ChgtoolsError for a
    disordered structure or one without a cell.
    """
    if isinstance(source, Structure):
        return source
    if isinstance(source, (str, Path)):
        found = read_one(source)
        if isinstance(found, Structure):
            return found.with_changes(source=str(source))
        try:
            return _of_object(found).with_changes(source=str(source))
        except ChgtoolsError as error:
            raise FormatError(str(error), source) from error
    return _of_object(source)


def _of_object(source: Any) -> Structure:
    """Of an object of pymatgen or ASE, given as such or read from a file."""
    if hasattr(source, "get_scaled_positions"):
        if abs(np.linalg.det(np.asarray(source.cell[:]))) < 1e-9:
            raise ChgtoolsError("no cell: put the molecule into one before (ASE: atoms.center(vacuum=...))")
        return _grouped(
            np.array(source.cell[:]), list(source.get_chemical_symbols()), source.get_scaled_positions(wrap=False)
        )
    named = getattr(source, "true_names", True)  # pymatgen calls the groups of a VASP 4 file H, He, Li, ...
    source = getattr(source, "structure", source)  # its Poscar and calculations hold one
    if hasattr(source, "frac_coords") and hasattr(source, "lattice"):
        if not source.is_ordered:
            raise ChgtoolsError("partly occupied sites: order the structure before (one element to a site)")
        structure = _grouped(
            np.array(source.lattice.matrix), [site.specie.symbol for site in source], np.array(source.frac_coords)
        )
        return structure if named else structure.with_changes(species=("",) * len(structure.counts))
    raise ChgtoolsError(
        f"cannot take a structure from a {type(source).__name__}; wanted a path, a pymatgen Structure or ASE Atoms"
    )


def _grouped(lattice: np.ndarray, symbols: list[str], frac: np.ndarray) -> Structure:
    groups = [(name, len(list(group))) for name, group in groupby(symbols)]
    species, counts = tuple(name for name, _ in groups), tuple(count for _, count in groups)
    return Structure(lattice, species, counts, frac, comment="".join(f"{name}{count}" for name, count in groups))
