"""Difference densities learned with Quantum ESPRESSO (norm-conserving) on the free atoms of GPAW (PAW).

    python benchmarks/transfer_gpaw.py GPAW.h5 --model base [--store OUT.h5] [--only NAMES.txt]

Percent, 100 Σ|n - n_GPAW| / Σ|n_GPAW|, in the whole cell and farther than 1 Å from every nucleus, of GPAW's atoms with
whole tails alone and with the prediction; per structure, and the median. ``--store`` writes GPAW's own difference
densities as a store for ``chgtools train --from base``; ``--only`` names those to report. The layout of GPAW.h5 is the
one of its tools: Fourier coefficients over half a sphere, form factors of the atoms per element.
"""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
from dcd_corpus import distance_to_nuclei

from chgtools.cell import Structure, reciprocal
from chgtools.half_sphere import half_sphere, to_grid
from chgtools.models.basis import expand
from chgtools.models.choice import choose_model
from chgtools.training.entry import Entry, g_max_per_angstrom
from chgtools.training.store import writable, write_entry
from chgtools.units import BOHR_ANGSTROM


def gpaw_entries(path: Path) -> list[Entry]:
    """GPAW's density less its free atoms, as entries; ``attributes["atoms"]`` has V·n_G of the atoms."""
    from scipy.interpolate import CubicSpline

    entries = []
    with h5py.File(path) as file:
        tables = {}
        for element, group in file["setups"].items():
            form = group["atom_form_whole"][()]
            tables[element] = CubicSpline(0.05 * np.arange(len(form)) / BOHR_ANGSTROM, form)
        for name, group in file.items():
            if name == "setups":
                continue
            symbols = [symbol.decode() for symbol in group["species"][()]]
            runs = [(symbol, len(list(run))) for symbol, run in groupby(symbols)]
            structure = Structure(
                group["lattice"][()], tuple(s for s, _ in runs), tuple(n for _, n in runs), group["fractional"][()]
            )
            g_max = g_max_per_angstrom(group.attrs["g_max"])
            miller = half_sphere(structure.lattice, g_max)
            started, change = (group[key][()][:, 0] + 1j * group[key][()][:, 1] for key in ("saed", "dcd"))
            q = np.linalg.norm(miller @ reciprocal(structure.lattice), axis=1)
            phases = np.exp(-2j * np.pi * (miller @ structure.frac.T))
            atoms = sum(phases[:, a] * tables[symbol](q) for a, symbol in enumerate(symbols))
            shape = tuple(int(n) for n in group["shape"][()])
            electrons = float(group.attrs["nelectrons"])
            dcd = started + change - atoms
            grid = to_grid(miller, dcd / structure.volume, 0.0, shape)
            facts = {
                "kind": "gpaw-" + str(group.attrs["kind"]),
                "formula": structure.to_pymatgen().composition.reduced_formula,
                "nelectrons": electrons,
                "saed_eps_mae_percent": 100 * float(np.abs(grid).mean()) * structure.volume / electrons,
                "atoms": np.stack([atoms.real, atoms.imag], 1),
            }
            entries.append(Entry(name, structure, shape, g_max, miller, dcd, attributes=facts))
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gpaw", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--only", type=Path, help="file with names, one to a line")
    arguments = parser.parse_args()
    entries = gpaw_entries(arguments.gpaw)
    if arguments.store:
        with writable(arguments.store) as file:
            for entry in entries:
                facts = {key: value for key, value in entry.attributes.items() if key != "atoms"}
                write_entry(file, Entry(**{**vars(entry), "attributes": facts}))
    if arguments.only:
        names = set(arguments.only.read_text().split())
        entries = [entry for entry in entries if entry.name in names]
    print(f"{'structure':30s}{'model':>8s}  atoms: cell   > 1 Å  + predicted   > 1 Å  expected")
    rows = []
    for entry in entries:
        choice = choose_model(entry.structure, arguments.model)
        if choice.model is None:
            continue
        estimate = choice.model.predict(entry.structure)
        structure, shape = entry.structure, entry.shape
        pairs = entry.attributes["atoms"]
        electrons = float(entry.attributes["nelectrons"])
        atoms = to_grid(
            entry.miller, (pairs[:, 0] + 1j * pairs[:, 1]) / structure.volume, electrons / structure.volume, shape
        )
        wanted = atoms + entry.on_grid()
        predicted = atoms + expand(structure, estimate.coefficients, choice.model.basis, shape)
        distance = distance_to_nuclei(structure, shape)
        figures = []
        for density in (atoms, predicted):
            for radius in (0.0, 1.0):
                outside = distance >= radius
                figures.append(100 * np.abs(density - wanted)[outside].sum() / np.abs(wanted)[outside].sum())
        rows.append((entry.name, choice.name, str(entry.attributes["kind"]), *figures))
        note = f"  not seen: {', '.join(estimate.unseen)}" if estimate.unseen else ""
        print(f"{entry.name:30s}{choice.name:>8s}{figures[0]:13.2f}{figures[1]:8.2f}{figures[2]:13.2f}{figures[3]:8.2f}"
              f"{estimate.error_percent:10.2f}{note}", flush=True)  # fmt: skip
    for name, chosen in (
        ("silicon", [row for row in rows if row[1] == "si"]),
        ("others", [row for row in rows if row[1] != "si"]),
        ("all", rows),
    ):
        if chosen:
            median = np.median(np.array([row[3:] for row in chosen]), axis=0)
            better = np.mean([row[5] < row[3] for row in chosen])
            print(f"median of {len(chosen)} ({name}): " + " ".join(f"{x:.2f}" for x in median)
                  + f"; better than the atoms on {100 * better:.0f} %")  # fmt: skip


if __name__ == "__main__":
    main()
