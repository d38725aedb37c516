"""How well the basis of a learned density can do at best: least squares on stored difference densities.

For each structure and basis: ε_mae in percent of the fitted density, evaluated on the store's grid by
chgtools.fourier.basis.expand and added to the SAED, against stored DCD + SAED. The fit takes the waves between the
store's g_max and the basis' q_max as zero; without that, errors in the fitted sphere are smaller, but the density on a
grid is wrong. Prints the table, coefficients per atom, and the cheapest basis that keeps the median, and all, within
0.1 %. Then the radial functions are contracted: principal components of the fitted coefficients of all atoms, one set
for each l, with the share of structures each is measured on in the head of the table.

usage: python benchmarks/learned/basis_floor.py [--data ../shared/dft] [--quick]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from chgtools.formats.upf import read_upf
from chgtools.fourier.basis import RadialBasis, expand, fit
from chgtools.start.superposition import superpose
from chgtools.stores.store import Entry, Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import SHARED

STRUCTURES = (
    ("si", "Si2-diamond-s1n2"),
    ("si", "Si8-bc8-s1n21"),
    ("compounds", "GaAs-rocksalt-s1n11"),
    ("compounds", "BaO-CsCl-s1n7"),
    ("compounds", "Au-hcp-s1n18"),
    ("compounds", "Be-diamond-s3n48"),
    ("compounds", "YP-zincblende-s1n6"),
    ("compounds", "PbC3-ReO3-s1n50"),
    ("compounds", "VO-rocksalt-s3n13"),
    ("compounds", "MoO2-rutile-s3n22"),
    ("crystals", "C-aflow210-s1n85"),
    ("molecules", "HCl-HCl-s1n51"),
    ("molecules", "COS-OCS-s1n91"),
)
BASES = (
    RadialBasis(),
    RadialBasis(q_max=26.0),
    RadialBasis(q_max=22.0, n_max=10),
    RadialBasis(n_max=10),
    RadialBasis(n_max=8),
    RadialBasis(l_max=3),
    RadialBasis(l_max=2),
    RadialBasis(cutoff=3.2),
    RadialBasis(cutoff=4.2),
    RadialBasis(scale=0.4),
)
LIMIT = 0.1


def load(data: Path) -> list[tuple[Entry, np.ndarray]]:
    """Each entry with the total density on its grid."""
    loaded = []
    for name, key in STRUCTURES:
        entry = Store.open(data / f"{name}.h5")[key]
        atoms = [read_upf(data / "upf" / f"{species}.upf.gz") for species in entry.structure.species]
        loaded.append((entry, entry.on_grid() + superpose(entry.structure, entry.shape, atoms)))
    return loaded


def error(entry: Entry, total: np.ndarray, coefficients: np.ndarray, basis: RadialBasis) -> float:
    """ε_mae in percent."""
    difference = expand(entry.structure, coefficients, basis, entry.shape) - entry.on_grid()
    return float(100 * np.abs(difference).sum() / np.abs(total).sum())


def row(name: str, numbers: int, errors: list[float]) -> None:
    cells = " ".join(f"{value:7.3f}" for value in errors)
    print(f"{name:32s} {numbers:5d} {cells}   median {np.median(errors):6.3f}  worst {max(errors):6.3f}", flush=True)


def contracted(coefficients: list[np.ndarray], basis: RadialBasis, keep: tuple[int, ...]) -> list[np.ndarray]:
    """The coefficients projected on the first ``keep[l]`` principal components of each l, without centring."""
    results = [c.copy() for c in coefficients]
    for ell in range(basis.l_max + 1):
        part = slice(ell**2, (ell + 1) ** 2)
        # each structure counts the same, however many atoms it has
        stack = np.concatenate([c[:, part].reshape(-1, basis.n_max) / np.linalg.norm(c) for c in coefficients])
        vectors = np.linalg.svd(stack, full_matrices=False)[2][: keep[ell]]
        for c in results:
            c[:, part] = c[:, part] @ vectors.T @ vectors
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "dft")
    parser.add_argument("--quick", action="store_true", help="the default basis alone")
    options = parser.parse_args()
    loaded = load(options.data)
    print(f"{'':32s} {'c/atm':>5s} " + " ".join(f"{entry.name.split('-')[0][:7]:>7s}" for entry, _ in loaded))
    row("SAED alone", 0, [100 * np.abs(e.on_grid()).sum() / np.abs(total).sum() for e, total in loaded])
    found = []
    first: list[np.ndarray] = []
    for basis in BASES[:1] if options.quick else BASES:
        fits = [fit(entry, basis) for entry, _ in loaded]
        first = first or fits
        errors = [error(e, total, c, basis) for (e, total), c in zip(loaded, fits, strict=True)]
        name = f"n {basis.n_max} l {basis.l_max} r_c {basis.cutoff:g} a {basis.scale:g} q {basis.q_max:g}"
        row(name, basis.n_lm * basis.n_max, errors)
        found.append((basis.n_lm * basis.n_max, np.median(errors), max(errors), name))
    for kind, column in (("median", 1), ("all", 2)):
        good = sorted(entry for entry in found if entry[column] <= LIMIT)
        print(f"cheapest with {kind} <= {LIMIT} %: {good[0][3] if good else 'none of these'}")
    basis = BASES[0]
    for keep in ((10, 10, 10, 10, 10), (10, 9, 8, 7, 6), (8, 8, 8, 8, 8), (8, 7, 6, 5, 4)):
        projected = contracted(first, basis, keep)
        numbers = sum((2 * ell + 1) * n for ell, n in enumerate(keep))
        errors = [error(e, total, c, basis) for (e, total), c in zip(loaded, projected, strict=True)]
        row(f"components {' '.join(map(str, keep))}", numbers, errors)


if __name__ == "__main__":
    main()
