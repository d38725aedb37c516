"""The entry of a difference density: its Fourier series, cut where the rest is too small to matter."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.dcd.electrons import ELECTRON_TOLERANCE
from chgtools.errors import ChgtoolsError
from chgtools.fourier.half_sphere import field_of, half_sphere, lengths, take
from chgtools.fourier.resampling import coefficients
from chgtools.stores.entry import Entry, g_max_per_angstrom

if TYPE_CHECKING:
    from chgtools.volumetric import DifferenceDensity

STEP_PER_BOHR = 0.5  # cutoffs are multiples of it, 1/bohr
TRUNCATION_PERCENT = 0.06  # of the electrons


def entry_of(difference: DifferenceDensity, name: str, truncation: float = TRUNCATION_PERCENT) -> Entry:
    """The entry of a difference density, cut at the smallest cutoff that costs at most ``truncation`` percent.

    The cost is 100 Σ|cut − whole| / Σρ over the density's own grid, after rounding to float32; cutoffs are multiples
    of STEP_PER_BOHR. Coefficients are V·n_G in electrons. A neutral cell has dcd_0 = 0: what its CHGCAR's digits
    leave there is dropped.
    """
    structure, shape = difference.structure, difference.blocks[0].shape
    volume, electrons = structure.volume, difference.electrons
    per_percent = 100 * volume / math.prod(shape) / electrons
    values = np.asarray(difference.dcd, dtype=np.float64)
    half = coefficients(values)
    excess = electrons - sum(z * n for z, n in zip(difference.zvals, structure.counts, strict=True))
    noise = ELECTRON_TOLERANCE * electrons * (10 if difference.provenance.get("source_kind") == "CHG" else 1)
    bare = Entry(
        name, structure, shape, 0.0, np.zeros((0, 3), np.int64), np.zeros(0, complex),
        dcd_0=excess if abs(excess) > noise else 0.0,
    )  # fmt: skip
    step = _smallest_step(half, lengths(structure.lattice, shape), shape[0], truncation / per_percent)
    while True:
        g_max = g_max_per_angstrom(step * STEP_PER_BOHR)
        miller = half_sphere(structure.lattice, g_max)
        kept = (volume * take(half, shape, miller)).astype(np.complex64).astype(complex)
        entry = replace(bare, g_max=g_max, miller=miller, dcd=kept)
        lost = per_percent * float(np.abs(entry.on_grid() - values).sum())
        if lost <= truncation or step * STEP_PER_BOHR > _longest(structure.lattice, shape):
            break
        step += 1
    if lost > truncation:
        raise ChgtoolsError(
            f"{name}: the whole Fourier series in single precision is {lost:.2g} % of the electrons off, "
            f"{truncation:g} % is allowed; give a larger --truncation"
        )
    if len(difference.blocks) > 1:
        spins = [coefficients(np.asarray(block, dtype=np.float64)) for block in difference.blocks[1:]]
        entry = replace(
            entry,
            magnetisation=np.array([volume * take(spin, shape, miller) for spin in spins]),
            magnetisation_0=np.array([volume * spin[0, 0, 0].real for spin in spins]),
        )
    moments = {"start_moments": np.array(difference.moments)} if difference.moments else {}
    return replace(
        entry,
        records=difference.augmentation,
        channels=difference.channels,
        attributes={
            "formula": _reduced_formula(structure.elements),
            "counts": np.array(structure.counts),
            "labels": list(difference.labels),
            "density_sources": [difference.provenance.get(f"density_{label}", "") for label in difference.labels],
            "zvals": np.array(difference.zvals),
            "nelectrons": electrons,
            "truncation_percent": lost,
            "saed_eps_mae_percent": per_percent * float(np.abs(values).sum()),
            "functional": difference.provenance.get("functional", ""),
            "chgtools_version": difference.provenance.get("chgtools_version", ""),
        }
        | moments,
    )


def _smallest_step(half: Any, length: Any, nx: int, allowed: float) -> int:
    """Number of steps of the smallest cutoff that leaves out no more than a sum of |n| of ``allowed``, by bisection."""
    low, high = 1, math.ceil(float(length.max()) / g_max_per_angstrom(STEP_PER_BOHR)) + 1
    while low < high:
        middle = (low + high) // 2
        beyond = np.where(length > g_max_per_angstrom(middle * STEP_PER_BOHR), half, 0)
        if float(np.abs(field_of(beyond, nx)).sum()) <= allowed:
            high = middle
        else:
            low = middle + 1
    return low


def _longest(lattice: Any, shape: Any) -> float:
    """Upper bound in 1/bohr of |G| over the box of a grid: beyond it nothing is left to gain."""
    b = 2 * np.pi * np.linalg.inv(lattice).T
    return float((np.linalg.norm(b, axis=1) * (np.asarray(shape) // 2)).sum()) / g_max_per_angstrom(1.0)


def _reduced_formula(elements: Iterable[str]) -> str:
    from pymatgen.core import Composition

    return str(Composition("".join(elements)).reduced_formula)
