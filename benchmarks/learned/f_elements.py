"""What is the learned density worth for lanthanides and actinides, which no training structure holds?

    python benchmarks/learned/f_elements.py FOLDER [--model base] [--crystals LaN CeO2 ...] [--json FILE]
        [--elk elk-lapw] [--species /usr/share/elk-lapw/species] [--stores STORE.h5 ... --entries NAME ...]

Elk (full-potential LAPW, all electrons, PBE; Debian's package elk-lapw) computes what FOLDER lacks, one crystal after
another, minutes each; what it holds is read, so the table of other weights takes seconds. Elk's density less the
superposed all-electron PBE atoms of chgtools.radial_atom in their ground states is the difference density that the
weights are to predict. All f shells are valence in Elk.

The table: ∫|n - n_Elk| of superposed atoms alone ("atoms") and with the predicted difference density ("+ pred"), in
percent of the valence electrons, over the points farther than 0.2, 1.0 and 1.3 Å from every nucleus. Nearer than 0.2 Å
points sample the cusps badly; the rest of the cell holds all of the difference density, and "sum" are the electrons in
it, which ought to be none. Valence electrons are counted as the weights count them: those of their training potentials,
of unseen elements the default label's.
"pred" is the prediction's own ∫|DCD| there, "corr" how it goes with Elk's beyond 1 Å (1: alike everywhere), "damped"
what chgtools multiplied it by, "expected" what it says of the error in the whole cell.

--entries also computes such structures of --stores, whose difference density of Quantum ESPRESSO is known: the column
"+ QE" shows how far the two codes are apart by themselves.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.atoms.labels import default_label, label_facts
from chgtools.cell import Structure
from chgtools.files import replacing
from chgtools.fourier.basis import expand
from chgtools.models.model import DensityModel
from chgtools.models.weights import load_model
from chgtools.radial_atom.configurations import atomic_number, ground_state
from chgtools.radial_atom.solver import solve_atom
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import cells, distance_to_nuclei, write_json

FCC = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
RADII = (0.2, 1.0, 1.3)  # Å, from every nucleus; nearer than the first are cusps, and next to no difference density
SPACING = 0.12  # Å, of the points
FIXED = {"Th": {-3.2122: -2.65, -1.6772: -1.0, -0.7795: -0.2}}  # hartree, 5d, 6s, 6p; Elk's search loses them in ThO2
REACH = 13.0  # Å, of the atoms; La's 6s has 1e-5 electrons beyond


@dataclass(frozen=True)
class Crystal:
    """structure; k-points along each axis; the element whose moments start up, if any; its difference density of
    Quantum ESPRESSO, if known."""

    structure: Structure
    kmesh: tuple[int, int, int]
    magnetic: str = ""
    entry: Entry | None = None


def rock_salt(cation: str, anion: str, a: float, k: int = 6, magnetic: str = "") -> Crystal:
    frac = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    return Crystal(Structure(a * FCC, (cation, anion), (1, 1), frac), (k, k, k), magnetic)


def fluorite(cation: str, anion: str, a: float, k: int = 5) -> Crystal:
    frac = np.array([[0.0, 0, 0], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]])
    return Crystal(Structure(a * FCC, (cation, anion), (1, 2), frac), (k, k, k))


def fcc(element: str, a: float, k: int = 8) -> Crystal:
    return Crystal(Structure(a * FCC, (element,), (1,), np.zeros((1, 3))), (k, k, k))


def cubic(species: tuple[str, str], a: float, frac: list[list[float]], k: int) -> Crystal:
    """A primitive cubic cell, the first species at the corner."""
    return Crystal(Structure(a * np.eye(3), species, (1, len(frac) - 1), np.array(frac)), (k, k, k))


CRYSTALS = {  # lattice constants measured at room temperature, Å
    "MgO": rock_salt("Mg", "O", 4.212, 5),
    "TiN": rock_salt("Ti", "N", 4.240),
    "BaO": rock_salt("Ba", "O", 5.539, 5),
    "HfC": rock_salt("Hf", "C", 4.638),
    "Sr": fcc("Sr", 6.085),
    "ScAl3": cubic(("Sc", "Al"), 4.101, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 7),
    "LaN": rock_salt("La", "N", 5.301),
    "CeO2": fluorite("Ce", "O", 5.411),
    "ThO2": fluorite("Th", "O", 5.597),
    "LuN": rock_salt("Lu", "N", 4.766),
    "YbO": rock_salt("Yb", "O", 4.870),
    "ThC": rock_salt("Th", "C", 5.346),
    "UC": rock_salt("U", "C", 4.961),
    "CeN": rock_salt("Ce", "N", 5.020),
    "GdN": rock_salt("Gd", "N", 4.999, 6, "Gd"),
    "EuO": rock_salt("Eu", "O", 5.141, 5, "Eu"),
    "LaS": rock_salt("La", "S", 5.854),
    "LaH2": fluorite("La", "H", 5.667, 6),
    "YbF2": fluorite("Yb", "F", 5.599, 5),
    "LuAl3": cubic(("Lu", "Al"), 4.187, [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 7),
    "Yb": fcc("Yb", 5.485),
    "Th": fcc("Th", 5.084),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of Elk's densities, NAME.npz")
    parser.add_argument("--model", default="base")
    parser.add_argument("--crystals", nargs="+", choices=CRYSTALS, default=list(CRYSTALS), metavar="NAME")
    parser.add_argument("--elk", default="elk-lapw", help="the program (default: %(default)s)")
    parser.add_argument("--species", type=Path, default=Path("/usr/share/elk-lapw/species"))
    parser.add_argument("--stores", nargs="*", type=Path, default=[], metavar="STORE.h5")
    parser.add_argument("--entries", nargs="*", default=[], metavar="NAME", help="of the stores, computed too")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    rows = []
    for name, crystal in chosen(arguments.crystals, arguments.stores, arguments.entries):
        file = arguments.folder / f"{name}.npz"
        if not file.is_file():
            try:
                compute(crystal, arguments.folder / name, file, arguments.elk, arguments.species)
            except (OSError, RuntimeError) as error:
                print(f"{name}: not computed, {error}", file=sys.stderr)
                continue
        rows.append({"crystal": name} | measure(crystal, np.load(file)["density"], model))
    show(rows, model)
    if arguments.json:
        write_json(arguments.json, rows)


def chosen(names: Sequence[str], stores: Sequence[Path], entries: Sequence[str]) -> Iterator[tuple[str, Crystal]]:
    for name in names:
        yield name, CRYSTALS[name]
    for store in map(Store.open, stores):
        for name in entries:
            if name in store:
                entry = store[name]
                first, second, third = (int(k) for k in entry.attributes["kmesh"])
                yield name, Crystal(entry.structure, (first, second, third), "", entry)


def compute(crystal: Crystal, folder: Path, file: Path, program: str, species: Path) -> None:
    """Elk's self-consistent density of all electrons, electrons/Å³ on shape_of's points, into a file."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = shape_of(crystal.structure)
    (folder / "elk.in").write_text(elk_input(crystal, shape))
    for symbol in crystal.structure.species:
        (folder / f"{symbol}.in").write_text(species_file((species / f"{symbol}.in").read_text(), symbol))
    with (folder / "log").open("w") as log:
        subprocess.run([program], cwd=folder, stdout=log, stderr=log, check=False)
    report = (folder / "INFO.OUT").read_text() if (folder / "INFO.OUT").is_file() else ""
    if "Convergence targets achieved" not in report or not (folder / "RHO3D.OUT").is_file():
        raise RuntimeError(f"Elk did not converge, see {folder}/log and INFO.OUT")
    values = np.loadtxt(folder / "RHO3D.OUT", skiprows=1, usecols=3)
    with replacing(file) as temporary, Path(temporary).open("wb") as stream:
        np.savez_compressed(stream, density=values.reshape(shape, order="F") / BOHR_ANGSTROM**3)


def shape_of(structure: Structure) -> tuple[int, int, int]:
    """Points along each axis, a multiple of four."""
    first, second, third = (
        4 * int(np.ceil(length / SPACING / 4)) for length in np.linalg.norm(structure.lattice, axis=1)
    )
    return first, second, third


def species_file(text: str, element: str) -> str:
    """An element's file of Elk, with FIXED energies for searched ones, and a local orbital of l = 3.

    The files of La and Th have none, though their f bands are near.
    """
    for searched, fixed in FIXED.get(element, {}).items():
        text = text.replace(f"{searched:.4f}   0  T", f"{fixed:.4f}   0  F")
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.split()[-1:] == ["nlorb"])
    have = any(line.split()[0] == "3" for line in lines[place + 1 :] if len(line.split()) == 2 or "lorbl" in line)
    if have or atomic_number(element) < atomic_number("La"):
        return text
    lines[place] = f"{int(lines[place].split()[0]) + 1} : nlorb"
    return "\n".join([*lines, "3 2", "0.15 0 F", "0.15 1 F"]) + "\n"


def elk_input(crystal: Crystal, shape: tuple[int, int, int]) -> str:
    """A field at the magnetic atoms, smaller with every step, starts their moments."""
    structure = crystal.structure
    blocks: dict[str, str] = {
        "tasks": "0\n33",
        "xctype": "20 0 0",
        "sppath": "'./'",
        "avec": _numbers(structure.lattice / BOHR_ANGSTROM),
        "ngridk": " ".join(map(str, crystal.kmesh)),
        "vkloff": "0.0 0.0 0.0",
        "rgkmax": "8.0",
        "swidth": "0.005",
        "maxscl": "100",
        "epspot": "1e-5",
        "plot3d": f"{_numbers(np.vstack([np.zeros(3), np.eye(3)]))}\n{' '.join(map(str, shape))}",
    }
    if crystal.magnetic:
        blocks |= {"spinpol": ".true.", "reducebf": "0.7"}
    atoms = [str(len(structure.species))]
    for group, symbol in enumerate(structure.species):
        field = "0.0 0.0 -1.0" if symbol == crystal.magnetic else "0.0 0.0 0.0"
        places = structure.frac[structure.group_of_atom == group]
        atoms += [f"'{symbol}.in'", str(len(places)), *(f"{_numbers(place[None])} {field}" for place in places)]
    blocks["atoms"] = "\n".join(atoms)
    return "\n\n".join(f"{name}\n{text}" for name, text in blocks.items()) + "\n"


def _numbers(rows: np.ndarray) -> str:
    return "\n".join(" ".join(f"{value:.10f}" for value in row) for row in rows)


def measure(crystal: Crystal, total: np.ndarray, model: DensityModel) -> dict[str, Any]:
    """Figures of RADII; total : of all electrons, electrons/Å³."""
    structure, shape = crystal.structure, (total.shape[0], total.shape[1], total.shape[2])
    wanted = total - superposed(structure, shape)
    pointing = None
    if crystal.magnetic:
        pointing = np.array([[float(symbol == crystal.magnetic)] for symbol in structure.elements])
    estimate = model.predict(structure, 0.0, pointing)
    predicted = expand(structure, estimate.coefficients, model.basis, shape)
    electrons = valence_electrons(structure, model)
    distance = distance_to_nuclei(structure, shape)

    def sizes(density: np.ndarray) -> list[float | None]:
        weight = 100 * structure.volume / density.size / electrons
        return [float(weight * np.abs(density[distance >= radius]).sum()) for radius in RADII]

    far, outside = distance >= 1.0, distance >= RADII[0]
    return {
        "electrons": electrons,
        "unseen": list(estimate.unseen),
        "sum": float(wanted[outside].sum() * structure.volume / wanted.size),
        "atoms": sizes(wanted),
        "predicted": sizes(wanted - predicted),
        "size": sizes(predicted),
        "correlation": float(np.corrcoef(wanted[far], predicted[far])[0, 1]),
        "damping": estimate.damping,
        "expected": estimate.error_percent,
        "qe": None if crystal.entry is None else sizes(wanted - crystal.entry.on_grid(shape)),
    }


def superposed(structure: Structure, shape: tuple[int, int, int]) -> np.ndarray:
    """All-electron atoms in their ground states, electrons/Å³; right farther than 0.1 Å from the nuclei."""
    values = np.zeros(shape)
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    points, centre = fractions @ structure.lattice, structure.lattice.sum(axis=0) / 2
    radius = np.linalg.norm(points - centre, axis=-1).max()
    widths = 1 / np.linalg.norm(np.linalg.inv(structure.lattice), axis=0)
    counts = [int(np.ceil((REACH + radius) / width)) + 1 for width in widths]
    images = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    for symbol, frac in zip(structure.elements, structure.frac, strict=True):
        mesh, table = radial(symbol)
        for place in (images + frac) @ structure.lattice:
            if np.linalg.norm(place - centre) < REACH + radius:
                values += np.interp(np.linalg.norm(points - place, axis=-1), mesh, table, right=0.0)
    return values


@cache
def radial(element: str) -> tuple[np.ndarray, np.ndarray]:
    """Radii in Å and the all-electron PBE atom's density there, electrons/Å³."""
    atom = solve_atom(atomic_number(element), ground_state(element))
    mesh = np.arange(1e-3, REACH, 1e-3)
    return mesh, atom.mesh.interpolate(atom.density, mesh / BOHR_ANGSTROM) / BOHR_ANGSTROM**3


def valence_electrons(structure: Structure, model: DensityModel) -> float:
    """As the error that the model expects is counted."""
    known = dict(zip(model.elements, model.zvals, strict=True))
    own = [float(known[s]) if s in known else label_facts(default_label(s)).zval for s in structure.elements]
    return sum(own)


def show(rows: Sequence[dict[str, Any]], model: DensityModel) -> None:
    print(f"{model.name}; percent of the valence electrons, farther than {', '.join(map(str, RADII))} Å from nuclei")
    heads = "".join(f"{head:>24s}" for head in ("atoms", "+ pred", "pred"))
    columns = f"{'valence':>8s}{'sum':>8s}{heads}{'corr':>7s}{'damped':>7s}{'expected':>9s}{'+ QE':>24s}"
    print(f"{'crystal':22s}{columns}  unseen")
    for row in rows:
        figures = cells(row["atoms"]) + cells(row["predicted"]) + cells(row["size"])
        qe = cells(row["qe"]) if row["qe"] else " " * 24
        print(f"{row['crystal']:22s}{row['electrons']:8g}{row['sum']:8.3f}{figures}{row['correlation']:7.2f}"
              f"{row['damping']:7.2f}{row['expected']:9.2f}{qe}  {' '.join(row['unseen'])}".rstrip())  # fmt: skip


if __name__ == "__main__":
    main()
