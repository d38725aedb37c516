"""Difference densities of Gaussian atoms, their files, and stores of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_atoms import atom
from synthetic_chgcar import structure

from chgtools import dcd
from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar, poscar
from chgtools.libraries.library import DensityLibrary
from chgtools.start.superposition import superpose
from chgtools.stores.build import BuildOptions, Outcome, build
from chgtools.volumetric import DifferenceDensity, VolumetricData

SHAPE = (20, 18, 24)


def atoms(shift: float = 0.0, species: tuple[str, ...] = ("Si", "O")) -> Structure:
    frac = structure().frac + 0.01 * shift
    return structure().with_changes(frac=frac, species=species)


def difference(shift: float = 0.0, charge: float = 0.0, spins: int = 0, **structure_options) -> DifferenceDensity:
    """Gaussian charges moved from atoms to bonds; ``charge`` electrons more than the atoms have."""
    cell = atoms(shift, **structure_options)
    densities = [atom("Si", 4), atom("O", 6)]
    moved = cell.with_changes(frac=cell.frac + [0.02, -0.03, 0.01])
    reference = superpose(cell, SHAPE, densities)
    change = 0.3 * (superpose(moved, SHAPE, densities) - reference) + charge / cell.volume
    blocks = [change] + [reference * 0.1 * (i + 1) for i in range(spins)]
    blocks = [np.asfortranarray(block) for block in blocks]
    return DifferenceDensity(cell, blocks, reference, ("Si_x", "O"), (4.0, 6.0), 14.0 + charge)


def target(path, shift: float = 0.0, **options):
    dcd.write(difference(shift, **options), path)
    return path


def write_run(folder, shift=0.0):
    """A folder with a CHGCAR, its POSCAR, and a library of its atoms."""
    folder.mkdir()
    made = difference(shift)
    chgcar.write(VolumetricData("CHGCAR", made.structure, [made.dcd + made.saed]), folder / "CHGCAR")
    poscar.write(made.structure, folder / "POSCAR")
    DensityLibrary([atom("Si", 4), atom("O", 6)]).write(folder / "lib.h5")
    return folder / "CHGCAR"


def add_target(store: str | Path, target: str | Path, options: BuildOptions | None = None) -> Outcome:
    """Add one make-dcd target, CHGCAR or store to a store. Raises ChgtoolsError where it fails."""
    (outcome,) = build(store, [(Path(target), None)], options)
    if outcome.error:
        raise ChgtoolsError(outcome.error)
    return outcome
