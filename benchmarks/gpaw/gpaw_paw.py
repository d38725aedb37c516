"""GPAW as a PAW code with POTCARs of its own: its stores as CHGCARs, and occupancies back to it.

    python benchmarks/gpaw/gpaw_paw.py runs GPAW.h5 -o FOLDER [--keys KEY ...]     FOLDER/KEY/CHGCAR and POSCAR
    python benchmarks/gpaw/gpaw_paw.py library GPAW.h5 [GPAW.h5 ...] -o LIB.h5     its atoms, for --densities
    python benchmarks/gpaw/gpaw_paw.py occupancies CHGCAR LIB.h5 -o FILE.h5        records back to density matrices
    python benchmarks/gpaw/gpaw_paw.py loss GPAW.h5 [GPAW.h5 ...]                  what records cannot hold
    python benchmarks/gpaw/gpaw_paw.py compact GPAW.h5 -o OUT.h5                   the store, rounded and compressed

The grid nt + nhat of a store (shared/dft/GPAW.md has its layout) plays a CHGCAR's grid, its atomic density matrices D
play the augmentation occupancies. Labels are elements; a setup's waves are the channels, in their order; a wave's
m = -l..l has the order of chgtools' harmonics. A record is real Gaunt coefficients times D (chgtools.paw.records), so
the part of D that adds nothing to a density is lost: of two waves of equal l what is antisymmetric in m and m', of p
and d what couples to L = 2, and so on. FILE.h5 holds one matrix per atom, as gpaw_fixed_density.py reads it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.errors import MismatchError
from chgtools.formats import chgcar, poscar
from chgtools.fourier.half_sphere import to_grid
from chgtools.libraries.library import DensityLibrary
from chgtools.paw.records import matrix_from_record, occupancies_of_record, record_from_matrix
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store, opened
from chgtools.units import BOHR_ANGSTROM
from chgtools.volumetric import Augmentation, VolumetricData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import ROUNDING

FORM_STEP_PER_BOHR = 0.05  # mesh of the stores' form factors
Channels = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Calculation:
    """One structure of a store.

    entry : atoms, cell and the grid's difference density
    start : (n,) V·n_G of the starting atoms' grid, electrons; entry.dcd counts from it
    matrices, atomic : (n_m, n_m) density matrices of each atom, of the SCF and of the starting atoms
    """

    entry: Entry
    start: np.ndarray
    matrices: list[np.ndarray]
    atomic: list[np.ndarray]

    def grid(self) -> np.ndarray:
        """(nx, ny, nz) nt + nhat, electrons/Å³, of the waves that the store holds."""
        volume, electrons = self.entry.structure.volume, float(self.entry.attributes["nelectrons"])
        return to_grid(self.entry.miller, (self.entry.dcd + self.start) / volume, electrons / volume, self.entry.shape)


def calculations(path: str | Path, keys: Sequence[str] | None = None) -> Iterator[Calculation]:
    """The structures of a store, in its order or in that of ``keys``."""
    store = Store.open(path)
    for key in keys or list(store):
        entry = store[key]
        with opened(path) as file:
            group, atoms = file[key], range(entry.structure.n_atoms)
            start = group["saed"][()].astype(float) @ [1, 1j]
            scf, atomic = ([group[name][str(a)][()].astype(float) for a in atoms] for name in ("D", "D_atoms"))
        yield Calculation(entry, start, scf, atomic)


def channels_of(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Element to the l of its setup's waves, in order."""
    with opened(path) as file:
        return {element: tuple(int(ell) for ell in group["l"][()]) for element, group in file["setups"].items()}


def records_of(calculation: Calculation, channels: Channels) -> list[np.ndarray]:
    """One record per atom of the SCF density matrices."""
    elements = calculation.entry.structure.elements
    return [record_from_matrix(channels[e], d) for e, d in zip(elements, calculation.matrices, strict=True)]


def matrices_of(elements: Sequence[str], records: Sequence[np.ndarray], channels: Channels) -> list[np.ndarray]:
    """One density matrix per atom of records. Raises MismatchError for an unknown element or another length."""
    unknown = sorted(set(elements) - set(channels))
    if unknown:
        raise MismatchError(f"no setup of GPAW is known for {', '.join(unknown)}; give a store that has them")
    return [matrix_from_record(channels[e], record) for e, record in zip(elements, records, strict=True)]


def as_chgcar(calculation: Calculation, channels: Channels) -> VolumetricData:
    """Grid and records of a structure, as VASP writes those of a run."""
    augmentation = [Augmentation(records_of(calculation, channels))]
    return VolumetricData("CHGCAR", calculation.entry.structure, [calculation.grid()], augmentation)


def write_runs(path: str | Path, folder: Path, keys: Sequence[str] | None = None) -> list[Path]:
    """A folder per structure with CHGCAR (positions of 6 decimals, as VASP's) and POSCAR; the CHGCARs' paths."""
    channels, written = channels_of(path), []
    for calculation in calculations(path, keys):
        run = folder / calculation.entry.name
        run.mkdir(parents=True, exist_ok=True)
        chgcar.write(as_chgcar(calculation, channels), run / "CHGCAR")
        poscar.write(calculation.entry.structure, run / "POSCAR")
        written.append(run / "CHGCAR")
    return written


def write_matrices(path: Path, matrices: Sequence[np.ndarray]) -> None:
    """A file that gpaw_fixed_density.py reads by --occupancies."""
    import h5py

    with h5py.File(path, "w") as file:
        for atom, matrix in enumerate(matrices):
            file[str(atom)] = matrix


def atoms_library(paths: Sequence[str | Path]) -> DensityLibrary:
    """GPAW's free atoms with whole tails: zval, channels, and occupancies of the starting atoms, Σ_m D_am,bm.

    enmax is the smallest cutoff (eV) that a store has used for a structure with the element.
    """
    library = DensityLibrary(source=", ".join(map(str, paths)))
    for path in paths:
        channels, atomic, cutoff = channels_of(path), {}, {}
        for calculation in calculations(path):
            encut = float(calculation.entry.attributes["encut_ev"])
            for element, matrix in zip(calculation.entry.structure.elements, calculation.atomic, strict=True):
                record = record_from_matrix(channels[element], matrix)
                atomic[element] = occupancies_of_record(channels[element], record)
                cutoff[element] = min(cutoff.get(element, np.inf), encut)
        with opened(path) as file:
            for element in sorted(atomic):
                if element not in library:
                    library.add(
                        _atom(file["setups"][element], element, channels[element], atomic[element], cutoff[element])
                    )
    return library


def _atom(
    group: object, element: str, channels: tuple[int, ...], occupancies: np.ndarray, encut: float
) -> AtomicDensity:
    facts, form = dict(group.attrs), group["atom_form_whole"][()].astype(float)  # type: ignore[attr-defined, index]
    zval = float(facts["valence"])
    return AtomicDensity(
        label=element,
        element=element,
        zval=zval,
        q=FORM_STEP_PER_BOHR / BOHR_ANGSTROM * np.arange(len(form)),
        form=form * (zval / form[0]),  # float32 in the file
        source=f"GPAW setup {facts['file'] or element}",
        xc="PBE",
        channels=channels,
        occupancies=occupancies,
        enmax=encut,
        provenance={"waves": str(facts["waves"]), "rc_bohr": float(facts["rc"])},
    )


def losses(path: str | Path) -> dict[str, list[float]]:
    """Element to 100 |D - D of its record| / |D| of each atom, percent."""
    channels = channels_of(path)
    found: dict[str, list[float]] = {}
    for calculation in calculations(path):
        for element, matrix, record in zip(
            calculation.entry.structure.elements, calculation.matrices, records_of(calculation, channels), strict=True
        ):
            lost = matrix - matrix_from_record(channels[element], record)
            found.setdefault(element, []).append(100 * float(np.linalg.norm(lost) / np.linalg.norm(matrix)))
    return found


def compact(path: Path, output: Path) -> int:
    """The store with Fourier coefficients rounded; the number of its structures.

    To one step in a structure, whose rounding errors have 5e-4 of the root mean square of the difference density, as
    in the other files of benchmarks/data (compute_data.py).
    """
    import h5py

    with opened(path) as file, h5py.File(output, "w", libver=("earliest", "v110")) as target:
        for name, group in file.items():
            file.copy(group, target, name)
            if name == "setups":
                continue
            step = ROUNDING * np.sqrt(12 * np.mean(group["dcd"][()].astype(float) ** 2))
            for label in ("dcd", "saed"):
                del target[name][label]
                values = (np.round(group[label][()] / step) * step).astype("f4")
                target[name].create_dataset(label, data=values, compression="gzip", compression_opts=9, shuffle=True)
        return len(file) - 1


def show_losses(paths: Sequence[Path]) -> None:
    total: dict[str, list[float]] = {}
    for path in paths:
        for element, values in losses(path).items():
            total.setdefault(element, []).extend(values)
    print(f"{'element':8s}{'atoms':>6s}{'median %':>10s}{'largest %':>11s}   lost of D by its record")
    for element, values in sorted(total.items(), key=lambda item: -float(np.median(item[1]))):
        print(f"{element:8s}{len(values):6d}{np.median(values):10.4f}{max(values):11.4f}")
    every = np.concatenate(list(total.values()))
    print(f"{'all':8s}{len(every):6d}{np.median(every):10.4f}{every.max():11.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("runs")
    runs.add_argument("stores", nargs="+", type=Path, metavar="GPAW.h5")
    runs.add_argument("--keys", nargs="+", metavar="KEY")
    library = commands.add_parser("library")
    library.add_argument("stores", nargs="+", type=Path, metavar="GPAW.h5")
    occupancies = commands.add_parser("occupancies")
    occupancies.add_argument("chgcar", type=Path, metavar="CHGCAR")
    occupancies.add_argument("library", type=Path, metavar="LIB.h5")
    for command in (runs, library, occupancies):
        command.add_argument("-o", "--output", type=Path, required=True)
    loss = commands.add_parser("loss")
    loss.add_argument("stores", nargs="+", type=Path, metavar="GPAW.h5")
    smaller = commands.add_parser("compact")
    smaller.add_argument("stores", nargs=1, type=Path, metavar="GPAW.h5")
    smaller.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    for path in getattr(arguments, "stores", []):
        if not path.is_file():
            sys.exit(f"{path} is not there; wanted a store of GPAW densities, such as shared/dft/gpaw.h5")
    if arguments.command == "loss":
        show_losses(arguments.stores)
    elif arguments.command == "compact":
        print(f"{arguments.output}: {compact(arguments.stores[0], arguments.output)} structures")
    elif arguments.command == "library":
        made = atoms_library(arguments.stores)
        made.write(arguments.output)
        print(f"{arguments.output}: {len(made)} atoms: {', '.join(sorted(made))}")
    elif arguments.command == "runs":
        written = [run for path in arguments.stores for run in write_runs(path, arguments.output, arguments.keys)]
        print(f"{arguments.output}: {len(written)} runs")
    else:
        data, known = chgcar.read(arguments.chgcar, kind="CHGCAR"), DensityLibrary.open(arguments.library)
        if not data.augmentation:
            sys.exit(f"{arguments.chgcar} has no augmentation occupancies")
        elements = data.structure.elements
        channels = {element: known[element].channels or () for element in set(elements)}
        write_matrices(arguments.output, matrices_of(elements, data.augmentation[0].real, channels))
        print(f"{arguments.output}: {len(elements)} density matrices")


if __name__ == "__main__":
    main()
