"""Hirshfeld charges beside those of GPAW, on densities that GPAW made.

GPAW's gpaw.analyse.hirshfeld shares the all-electron density, cores included, by all-electron atoms on its grid. Here
its pseudo density with compensation charges, which is what a CHGCAR holds, is shared by valence atoms:

  its atoms   GPAW's own free atoms, of orbitals that end at 3 to 4 Å; within 0.7 Å the built-in valence atom
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

CORE_ANGSTROM = 0.7  # GPAW's atoms have their cores, on a grid: nearer than this the weight is the atom's own anyway


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


def of_gpaw(inner: AtomicDensity, profile: np.ndarray) -> AtomicDensity:
    """GPAW's free atom from CORE on; within, the library's valence atom and what makes the electrons whole."""
    r, n = profile
    mesh = 0.01 * np.arange(int(r[-1] / 0.01))
    bins = np.arange(CORE_ANGSTROM - 0.05, r[-1], 0.05)
    place = np.digitize(r, bins)
    means = [(r[place == i].mean(), np.log(np.maximum(n[place == i], 1e-12).mean())) for i in range(1, len(bins))]
    outer = np.exp(np.interp(mesh, *np.transpose(means)))
    shells = 4 * np.pi * mesh**2 * np.where(mesh < CORE_ANGSTROM, inner.density(mesh), outer) * 0.01
    q = 0.03 * np.arange(1000)
    form = np.array([shells @ np.sinc(k * mesh / np.pi) for k in q])
    form += (inner.zval - form[0]) * np.exp(-0.5 * (0.3 * q) ** 2)
    return AtomicDensity(inner.element, inner.element, inner.zval, q, form, "GPAW")


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
        builtin = [atom_of(e, z) for e, z in zip(structure.species, valence, strict=True)]
        gpaw = [of_gpaw(atom, np.load(folder / "atoms" / f"{atom.element}.npy")) for atom in builtin]
        theirs, own, library = entry["charges"], hirshfeld(data, gpaw), hirshfeld(data, builtin)
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
