"""GPAW's .gpw and its setups in the exact layout, of invented atoms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.elements import SYMBOLS

# r = a i/(n - i) as GPAW's own; two channels s and one p
A, N = 0.4, 300
R, DR = (A * np.arange(N) / np.arange(N, 0, -1), A * N / np.arange(N, 0, -1) ** 2)
RADIUS = 1.4  # bohr, where all-electron and pseudo waves part


def waves(ell: int, exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """(n_r,) an all-electron and a pseudo wave, the same beyond RADIUS."""
    smooth = R**ell * np.exp(-exponent * R**2)
    return smooth + np.where(R < RADIUS, R**ell * (1 - (R / RADIUS) ** 2) ** 3 * np.cos(3 * R), 0.0), smooth


STATES = [(0, 3, 2.0, 0.5), (0, 0, 0.0, 0.8), (1, 3, 2.0, 0.4)]  # l, n (0: not bound), electrons, exponent
CORE = 0.3 * np.exp(-(R**2))


def values(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:.15e}" for number in numbers)


def setup_text(element: str = "Si", zval: int = 4, shape: str = "gauss", radius: float = 0.6, mesh: str = "") -> str:
    states, functions = [], []
    for j, (ell, n, electrons, exponent) in enumerate(STATES):
        bound = f'n="{n}" f="{electrons}" ' if n else ""
        states.append(f'<state {bound}l="{ell}" rc="{RADIUS}" e="-0.3" id="s{j}"/>')
        own, smooth = waves(ell, exponent)
        for name, numbers in (
            ("ae_partial_wave", own),
            ("pseudo_partial_wave", smooth),
            ("projector_function", np.where(R < RADIUS, smooth, 0)),
        ):
            functions.append(f'<{name} state="s{j}" grid="g1">{values(numbers)}</{name}>')
    mesh = mesh or f'<radial_grid eq="r=a*i/(n-i)" a="{A}" n="{N}" istart="0" iend="{N - 1}" id="g1"/>'
    number = SYMBOLS.index(element) + 1
    return "\n".join([
        '<?xml version="1.0"?>', '<paw_dataset version="0.7">',
        f'<atom symbol="{element}" Z="{number}" core="{number - zval}" valence="{zval}"/>',
        f'<shape_function type="{shape}" rc="{radius}"/>',
        "<valence_states>", *states, "</valence_states>", mesh,
        f'<pseudo_core_density grid="g1">{values(CORE)}</pseudo_core_density>', *functions, "</paw_dataset>",
    ])  # fmt: skip


def gpw(
    path: Path,
    cell: np.ndarray,
    elements: Sequence[str],
    positions: np.ndarray,
    spins: np.ndarray,
    matrices: np.ndarray,
    *,
    pbc: Sequence[bool] = (True, True, True),
    order: str = "<",
    **parameters: Any,
) -> Path:
    """A file as ase.io.ulm writes it. spins : (nspins, nx, ny, nz), 1/Å³; matrices : (nspins, n) packed"""
    arrays, at = [], 56

    def stored(array: np.ndarray) -> dict[str, Any]:
        nonlocal at
        place = at
        body = array.astype(array.dtype.newbyteorder(order)).tobytes()
        body += bytes(-len(body) % 8)
        arrays.append(body)
        at += len(body)
        return {"ndarray": [list(array.shape), array.dtype.name, place]}

    numbers = np.array([SYMBOLS.index(element) + 1 for element in elements])
    facts: dict[str, Any] = {
        "version": 3,
        "gpaw_version": "22.8.0",
        "atoms.": {
            "pbc": list(pbc),
            "numbers.": stored(numbers),
            "positions.": stored(np.asarray(positions, float)),
            "cell": np.asarray(cell).tolist(),
        },
        "parameters.": parameters,
        "density.": {"density.": stored(spins), "atomic_density_matrices.": stored(matrices)},
    }
    if order == ">":
        facts["_little_endian"] = False
    text = json.dumps(facts).encode()
    head = (
        b"- of Ulm"
        + b"GPAW".ljust(16)
        + np.array(
            [
                3,
                1,
                48,
                at,
            ],
            f"{order}i8",
        ).tobytes()
    )
    path.write_bytes(head + b"".join(arrays) + np.array([len(text)], f"{order}i8").tobytes() + text)
    return path
