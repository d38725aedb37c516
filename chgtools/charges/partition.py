"""Hirshfeld's partition with the atoms of the SAED.

An atom's weight at a point is its share of the superposed free atoms there, w_a(r) = n_a(r) / Σ_b n_b(r), periodic
images included (F. L. Hirshfeld, Theor. Chim. Acta 44, 129 (1977)). With ∫ w_a Σ_b n_b = ∫ n_a = ZVAL_a, all is said
by the difference density ρ - Σ_b n_b, which is smooth where the density itself has peaks that no grid resolves:

    electrons  N_a = ZVAL_a + ∫ w_a (ρ - SAED)
    charge     q_a = ZVAL_a - N_a
    dipole     p_a = -∫ w_a (ρ - SAED) (r - R_a), the free atom has none
    moment     m_a = ∫ w_a m

So superposed free atoms have the charge 0, and Σ N_a is the integral of ρ on its grid, whatever the grid.

Points that no atom reaches (its weight is cut at 1e-8 electrons/Å³, some 5 to 9 Å from it) are shared in proportion
to ZVAL, and have no part in the dipoles; what is there is told as ``remainder``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import plane_spacings
from chgtools.charges.hirshfeld_atoms import AtomicCharges
from chgtools.errors import ChgtoolsError, MismatchError
from chgtools.start.superposition import superpose
from chgtools.volumetric import DifferenceDensity, VolumetricData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.kernels.geometry import Cubics, PointGrid

KINDS = ("CHGCAR", "CHG")
SAME_ELECTRONS = 1e-6  # of ZVAL: two densities of one atom


def hirshfeld(data: VolumetricData | DifferenceDensity, densities: Sequence[AtomicDensity]) -> AtomicCharges:
    """Electrons, net charge, dipole and moment of each atom.

    data : a CHGCAR or CHG, such as ``predict(...).data``, or a difference density
    densities : one per group of the structure, such as ``predict(...).settings.choice.densities``; those that were
        subtracted, for a difference density
    Memory: three grids beyond ``data``. Time: proportional to the atoms, times one more than the blocks.
    Raises MismatchError for other numbers of densities or of electrons, ChgtoolsError for a file that is no density of
    all electrons.
    """
    structure = data.structure
    if len(densities) != len(structure.counts):
        raise MismatchError(
            f"found {len(densities)} densities for {len(structure.counts)} groups of atoms ({structure.formula}); "
            "wanted one for each group"
        )
    difference = _difference(data, densities)
    partition = _Partition(structure, difference.shape, densities)
    shares, lost = partition.of(difference)
    moments, magnetic = [], data.blocks[1:]
    for block in magnetic:
        moments.append(partition.of(block)[0][:, 0])
    zvals = partition.zvals
    return AtomicCharges(
        structure=structure,
        labels=tuple(density.label for density, n in zip(densities, structure.counts, strict=True) for _ in range(n)),
        zvals=zvals,
        electrons=zvals + shares[:, 0],
        dipoles=-shares[:, 1:],
        moments=None if not moments else moments[0] if len(moments) == 1 else np.stack(moments, axis=1),
        remainder=lost,
    )


def _difference(
    data: VolumetricData | DifferenceDensity, densities: Sequence[AtomicDensity]
) -> NDArray[np.floating[Any]]:
    """ρ - SAED, (nx, ny, nz), electrons/Å³."""
    if isinstance(data, DifferenceDensity):
        for label, wanted, density in zip(data.labels, data.zvals, densities, strict=True):
            if abs(density.zval - wanted) > SAME_ELECTRONS * max(wanted, 1.0):
                raise MismatchError(
                    f"{data.structure.source or 'the difference density'} was made with {wanted:g} electrons of "
                    f"{label}, found {density.zval:g} ({density.label}, {density.source}); give the same atoms"
                )
        return data.dcd
    if data.kind not in KINDS:
        raise ChgtoolsError(
            f"{data.source or 'the file'} is a {data.kind}; wanted a CHGCAR, which holds all valence electrons as the "
            "atoms of the SAED do"
        )
    return np.subtract(data.total, superpose(data.structure, data.shape, densities))


class _Partition:
    """The weights of the atoms on a grid: the sum of all is kept, each atom's is made as it is used."""

    def __init__(self, structure: Structure, shape: tuple[int, int, int], densities: Sequence[AtomicDensity]) -> None:
        from chgtools.charges.weights import weight_table
        from chgtools.kernels.geometry import PointGrid
        from chgtools.kernels.superposition import add_atoms

        self.n_atoms = structure.n_atoms
        self.zvals = np.repeat([density.zval for density in densities], structure.counts).astype(float)
        sizes = np.asarray(shape, dtype=float)
        self.vectors = structure.lattice / sizes[:, None]
        self.point_volume = structure.volume / float(np.prod(shape))
        spacings = plane_spacings(structure.lattice) / sizes
        centres = structure.frac % 1.0 * sizes
        self.species: list[tuple[NDArray[np.bool_], PointGrid, NDArray[np.float64], Cubics]] = []
        keys = np.array([density.sha256 for density in densities])[structure.group_of_atom]
        for key in dict.fromkeys(keys):
            mine = keys == key
            cubics = weight_table(next(density for density in densities if density.sha256 == key))
            grid = PointGrid(self.vectors, self.vectors @ self.vectors.T, cubics.end / spacings)
            self.species.append((mine, grid, np.ascontiguousarray(centres[mine]), cubics))
        self.total = np.zeros(shape, order="F")
        for _, grid, places, cubics in self.species:
            add_atoms(self.total.T, grid, places, np.ones(len(places)), cubics)

    def of(self, field: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float64], float]:
        """∫ w_a field · (1, r - R_a) for each atom, (n_atoms, 4), Å, and the integral over points without an atom.

        The first column adds up to the integral of the field.
        """
        from chgtools.kernels.partition import weigh_atoms

        ratio = np.zeros(self.total.shape, order="F")
        np.divide(field, self.total, out=ratio, where=self.total > 0)
        result = np.empty((self.n_atoms, 4))
        for mine, grid, places, cubics in self.species:
            result[mine] = weigh_atoms(ratio.T, grid, places, cubics)
        result *= self.point_volume
        result[:, 1:] = result[:, 1:] @ self.vectors
        whole = float(field.sum(dtype=np.float64)) * self.point_volume
        lost = whole - float(result[:, 0].sum())
        result[:, 0] += lost * self.zvals / self.zvals.sum()
        return result, lost
