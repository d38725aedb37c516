"""PAW augmentation occupancies in VASP's LM representation.

A record holds, for channels a and b >= a (POTCAR order), for L = \\|l_a - l_b\\|, ..., l_a + l_b in steps of 2 and
M = -L..L, the number R(a, b, L, M) = w_ab Σ_mm' G(l_a m, l_b m', L M) ρ_am,bm' with w_aa = 1, w_ab = 2 and G the
integral of three real spherical harmonics. Order and weights were verified on real CHGCARs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chgtools.volumetric import Augmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity

Y00 = 0.5 / np.sqrt(np.pi)


def record_entries(channels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(a, b, L) of each group of 2L + 1 numbers of a record, in order."""
    for a, l_a in enumerate(channels):
        for b in range(a, len(channels)):
            for big_l in range(abs(l_a - channels[b]), l_a + channels[b] + 1, 2):
                yield a, b, big_l


def record_length(channels: Sequence[int]) -> int:
    """Numbers in a record: 33 for s, s, p, p; 138 for 2s 2p 2d."""
    return sum(2 * big_l + 1 for _, _, big_l in record_entries(channels))


def spherical_record(channels: Sequence[int], occupancies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Record (length,) of a spherical atom: only L = 0 entries, R = w_ab · Y00 · occupancy.

    channels : l of each projector, POTCAR order
    occupancies : (n, n) electrons in each pair of channels, summed over m (POTCAR, "uccopancies in atom")
    """
    record = np.zeros(record_length(channels))
    position = 0
    for a, b, big_l in record_entries(channels):
        if big_l == 0:
            record[position] = (1 if a == b else 2) * Y00 * occupancies[a, b]
        position += 2 * big_l + 1
    return record


def atomic_augmentation(
    densities: Sequence[AtomicDensity], counts: Sequence[int], moments: NDArray[np.float64] | None = None
) -> list[Augmentation] | None:
    """Atomic occupancies of all ions, one Augmentation per block; None when a density has no occupancies.

    densities, counts : one per group of the structure
    moments : None (one block), (n_atoms,) (two blocks) or (n_atoms, 3) (four blocks) μ_B; the occupancies of a
        magnetisation block are the atom's, scaled by moment/ZVAL as its density is
    """
    if any(density.channels is None or density.occupancies is None for density in densities):
        return None
    records, zvals = [], []
    for density, count in zip(densities, counts, strict=True):
        assert density.channels is not None
        assert density.occupancies is not None
        records += [spherical_record(density.channels, density.occupancies)] * count
        zvals += [density.zval] * count
    noncollinear = moments is not None and moments.ndim == 2
    zeros = [np.zeros_like(record) for record in records] if noncollinear else None
    blocks = [Augmentation(records, zeros)]
    if moments is not None:
        for component in np.atleast_2d(moments.T):
            scaled = [m / z * record for m, z, record in zip(component, zvals, records, strict=True)]
            blocks.append(Augmentation(scaled, zeros))
    return blocks
