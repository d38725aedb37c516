"""Hirshfeld charges beside those of GPAW, on densities that GPAW made.

GPAW's gpaw.analyse.hirshfeld shares the all-electron density, cores included, by all-electron atoms on its grid. Here
its pseudo density with compensation charges, which is what a CHGCAR holds, is shared by valence atoms:

  its atoms   GPAW's own free atoms, pseudo density and compensation charges: the same partition but for the cores
  built-in    those of the built-in library with as many electrons, as `chgtools charges` does without a POTCAR

usage: python benchmarks/files/charges_reference.py [--python PYTHON_WITH_GPAW] [-o FOLDER]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np
from pymatgen.core import Element

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.charges import hirshfeld
from chgtools.libraries.library import DensityLibrary
from chgtools.volumetric import VolumetricData


def structure_of(entry: dict[str, np.ndarray]) -> tuple[Structure, list[float]]:
    """The atoms in groups, and the valence electrons of each group."""
    symbols = [Element.from_Z(int(z)).symbol for z in entry["numbers"]]
    groups = [(name, len(list(members))) for name, members in groupby(symbols)]
    species, counts = zip(*groups, strict=True)
    firsts = np.cumsum([0, *counts[:-1]])
    return Structure(entry["lattice"], species, counts, entry["fractional"]), entry["valence"][firsts].tolist()


def atom_of(element: str, valence: float) -> AtomicDensity:
    """The atom of the library with as many valence electrons, of the plainest label."""
    library = DensityLibrary.builtin("PBE")
    names = [n for n in library if library[n].element == element and abs(library[n].zval - valence) < 1e-6]
    return library[min(names, key=lambda name: (len(name), name))]


def of_gpaw(element: str, valence: float, table: np.ndarray) -> AtomicDensity:
    q, form = table
    return AtomicDensity(element, element, float(valence), q, form * (valence / form[0]), "GPAW")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python that has GPAW")
    parser.add_argument("-o", "--output", type=Path, help="where GPAW's densities are kept, or were")
    arguments = parser.parse_args()
    folder = arguments.output or Path(tempfile.mkdtemp())
    subprocess.run([arguments.python, str(Path(__file__).with_name("charges_gpaw.py")), str(folder)], check=True)
    print(f"{'':14s}{'atom':>5s}{'GPAW':>9s}{'its atoms':>11s}{'built-in':>10s}   electrons of the file, chgtools' sum")
    apart: list[list[float]] = []
    for file in sorted(folder.glob("*.npz")):
        entry = dict(np.load(file))
        structure, valence = structure_of(entry)
        data = VolumetricData("CHGCAR", structure, [np.asfortranarray(entry["density"])])
        named = list(zip(structure.species, valence, strict=True))
        theirs, own = (
            entry["charges"],
            hirshfeld(data, [of_gpaw(e, z, np.load(folder / "atoms" / f"{e}.npy")) for e, z in named]),
        )
        library = hirshfeld(data, [atom_of(e, z) for e, z in named])
        apart += np.stack([own.charges - theirs, library.charges - theirs], axis=1).tolist()
        rows = {
            (e, round(float(q), 3)): i
            for i, (e, q) in reversed(list(enumerate(zip(structure.elements, theirs, strict=True))))
        }
        for number, ((element, _), i) in enumerate(sorted(rows.items(), key=lambda item: item[1])):
            label, sums = (
                (file.stem, f"   {data.electrons:.6f}, {library.electrons.sum():.6f}") if number == 0 else ("", "")
            )
            print(f"{label:14s}{element:>5s}{theirs[i]:+9.4f}{own.charges[i]:+11.4f}{library.charges[i]:+10.4f}{sums}")
    rows = np.abs(apart)
    print(f"mean difference from GPAW with its atoms {rows[:, 0].mean():.4f} e, largest {rows[:, 0].max():.4f}; "
          f"with the built-in ones {rows[:, 1].mean():.4f}, {rows[:, 1].max():.4f}; {len(rows)} atoms")  # fmt: skip


if __name__ == "__main__":
    main()
