"""How much of a tight-binding calculation could a GPU take over? Diagonalisations and products of matrices.

    python benchmarks/speed/dense_share.py [--repeats 1 2 3]

Silicon, repeats of the cube of 8 atoms, rattled a little, on one thread. For each: orbitals, k-points, calls and
operations of the diagonalisations (9 n³ of a real matrix with all its eigenvectors, four times as many of a complex
one) and of the products (2 n³, 8 n³), their CPU seconds, and those of the whole calculation with its features. These
two kinds of calls are what ``--device cuda`` brings to a GPU, from chgtools.kernels.dense.SMALLEST rows on.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from chgtools.cell import Structure
from chgtools.kernels.dense import SMALLEST
from chgtools.tightbinding import electrons
from chgtools.tightbinding.features import features_of
from chgtools.tightbinding.kmesh import k_mesh

EIGENVECTORS, PRODUCT = 9, 2  # n³ operations of a real matrix
CUBE = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


class Counted:
    """A function of matrices, which counts its calls, operations and CPU seconds."""

    def __init__(self, function: Callable[..., Any], operations: int) -> None:
        self.function, self.each = function, operations
        self.calls, self.operations, self.seconds = 0, 0.0, 0.0

    def __call__(self, *matrices: Any) -> Any:
        start = time.process_time()
        found = self.function(*matrices)
        self.seconds += time.process_time() - start
        first = matrices[0]
        self.calls += 1
        self.operations += len(first) * first.shape[-1] ** 3 * self.each * (4 if np.iscomplexobj(first) else 1)
        return found


def silicon(repeats: int) -> Structure:
    rng = np.random.default_rng(0)
    cube = np.concatenate([np.array(CUBE), np.array(CUBE) + 0.25])
    shifts = np.stack(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    frac = (cube + shifts).reshape(-1, 3) / repeats
    frac += rng.normal(scale=0.02, size=frac.shape) / (5.43 * repeats)
    return Structure(5.43 * repeats * np.eye(3), ("Si",), (len(frac),), frac)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", nargs="+", type=int, default=[1, 2, 3])
    arguments = parser.parse_args()
    features_of(electrons.solve(silicon(1)))  # compiles, and makes the tables of the element
    eigh, product = electrons.eigh, electrons.product
    print(f"on a GPU from {SMALLEST} rows on")
    print("atoms orbitals k-points   eigh   n³ op.   CPU s   products   op.   CPU s   all CPU s   share %")
    for repeats in arguments.repeats:
        structure = silicon(repeats)
        electrons.eigh, electrons.product = Counted(eigh, EIGENVECTORS), Counted(product, PRODUCT)
        start = time.process_time()
        found = electrons.solve(structure)
        features_of(found)
        whole = time.process_time() - start
        diagonal, products = electrons.eigh, electrons.product
        share = 100 * (diagonal.seconds + products.seconds) / whole
        print(
            f"{structure.n_atoms:5d}{found.made.starts[-1]:9d}{len(k_mesh(structure.lattice).points):9d}"
            f"{diagonal.calls:7d}{diagonal.operations:9.1e}{diagonal.seconds:8.2f}"
            f"{products.calls:11d}{products.operations:9.1e}{products.seconds:8.2f}{whole:12.2f}{share:10.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
