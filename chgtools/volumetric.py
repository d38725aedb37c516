"""Fields on the FFT grid of a cell, as read from a file or as computed."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.cell import Structure
from chgtools.display.shown import Shown, times
from chgtools.errors import AssumptionWarning, ChgtoolsError, MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.io.vasp.inputs import Poscar
    from pymatgen.io.vasp.outputs import Chgcar, Elfcar, Locpot

DENSITY_KINDS = ("CHGCAR", "CHG", "AECCAR0", "AECCAR1", "AECCAR2", "PARCHG")
KINDS = (*DENSITY_KINDS, "LOCPOT", "ELFCAR")


@dataclass(repr=False)
class Augmentation(Shown):
    """PAW augmentation occupancies of one block.

    real : one (length,) float64 record per ion, in ion order, in VASP's LM order
    imaginary : the same for non-collinear files ("imaginary part" records), else None
    """

    real: list[NDArray[np.float64]]
    imaginary: list[NDArray[np.float64]] | None = None

    @property
    def lengths(self) -> list[int]:
        return [len(record) for record in self.real]

    def shown(self) -> dict[str, object]:
        """For people: of how many ions, and how long the records are."""
        longest, shortest = max(self.lengths, default=0), min(self.lengths, default=0)
        numbers = f"{longest}" if longest == shortest else f"{shortest} to {longest}"
        return {"ions": len(self.real), "numbers each": numbers, "parts": "real, imaginary" if self.imaginary else ""}


@dataclass(repr=False)
class VolumetricData(Shown):
    """One volumetric file.

    kind : "CHGCAR", "CHG", "AECCAR0", "AECCAR1", "AECCAR2", "PARCHG" (electrons/Å³), "LOCPOT" (eV), "ELFCAR" (1)
    structure : the atoms of the file's header
    blocks : one (nx, ny, nz) array per block, Fortran order (x fastest); point (i, j, k) lies at fractions
        (i/nx, j/ny, k/nz). Densities: [total], [total, magnetisation] (ISPIN = 2) or
        [total, mx, my, mz] (non-collinear), in electrons/Å³ and μ_B/Å³.
    augmentation : one Augmentation per block, or [] where the file has none
    moments : one (n_atoms,) array of moments per block after the first, or [] (VASP writes MAGMOM there)
    layout : how the text was laid out, so that a file of VASP comes back byte for byte; None for computed data
    """

    kind: str
    structure: Structure
    blocks: list[NDArray[np.floating[Any]]]
    augmentation: list[Augmentation] = field(default_factory=list)
    moments: list[NDArray[np.float64]] = field(default_factory=list)
    layout: Any = None
    source: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nx, ny, nz)"""
        return self.blocks[0].shape

    @property
    def is_density(self) -> bool:
        return self.kind in DENSITY_KINDS

    @property
    def total(self) -> NDArray[np.floating[Any]]:
        """The first block."""
        return self.blocks[0]

    def integral(self, block: int = 0) -> float:
        """Integral of a block over the cell: electrons or μ_B for densities."""
        return float(self.blocks[block].mean(dtype=np.float64)) * self.structure.volume

    @property
    def electrons(self) -> float | None:
        """Number of electrons of the first block; None where the file is no density."""
        return self.integral(0) if self.is_density else None

    def shown(self) -> dict[str, object]:
        """For people: what the file is, its atoms, grid, blocks and electrons."""
        moments = ", ".join(f"{self.integral(block):.4f}" for block in range(1, len(self.blocks)))
        return {
            "kind": self.kind,
            "formula": self.structure.formula if any(self.structure.species) else f"{self.structure.n_atoms} atoms",
            "grid": times(self.shape),
            "electrons": f"{self.electrons:.6f}" if self.is_density else None,
            "moment": f"{moments} μ_B" if moments and self.is_density else "",
            "occupancies": f"of {len(self.augmentation[0].real)} atoms" if self.augmentation else "",
            "from": self.source,
        }

    def to_pymatgen(self) -> Chgcar | Locpot | Elfcar:
        """A pymatgen Chgcar, Locpot or Elfcar with the same numbers (density × volume, as pymatgen keeps them).

        Augmentation records go along. Do not write it with pymatgen for VASP to read: from ion 10 on its record
        headers are one blank too long, and it leaves out the lines of moments (see docs/explanation/peers.md).
        """
        from pymatgen.io.vasp.outputs import Chgcar, Elfcar, Locpot

        keys = {1: ("total",), 2: ("total", "diff"), 4: ("total", "diff_x", "diff_y", "diff_z")}[len(self.blocks)]
        scale = self.structure.volume if self.is_density else 1.0
        data = {key: block * scale for key, block in zip(keys, self.blocks, strict=True)}
        structure = self.structure.to_pymatgen()
        if self.kind == "ELFCAR":
            return Elfcar(_poscar(structure, self.structure.comment), data)
        if self.kind == "LOCPOT":
            if len(self.blocks) == 2:
                data = {"spin_up": data["total"], "spin_down": data["diff"]}
            return Locpot(_poscar(structure, self.structure.comment), data)
        augmentation: Any = {
            key: {
                ion: real if block.imaginary is None else real + 1j * block.imaginary[ion - 1]
                for ion, real in enumerate(block.real, 1)
            }
            for key, block in zip(keys, self.augmentation, strict=False)
        }
        return Chgcar(_poscar(structure, self.structure.comment), data, augmentation or None)


@dataclass(frozen=True, repr=False)
class DifferenceDensity(Shown):
    """A training target.

    structure : atoms and cell (the POSCAR's full precision where one was given)
    blocks : [DCD], or with spin [DCD, magnetisation] or [DCD, mx, my, mz]; (nx, ny, nz) Fortran order,
        electrons/Å³ and μ_B/Å³
    saed : the SAED that was subtracted, or None where it was not kept
    labels, zvals : of each group of the structure
    electrons : of the self-consistent density
    augmentation, moments : as in the CHGCAR
    channels : of each group, l of the projectors its records belong to; () where they are not known
    provenance : source file and hashes, tables and versions
    assumptions : sentences on what the input left open
    """

    structure: Structure
    blocks: list[NDArray[np.floating[Any]]]
    saed: NDArray[np.floating[Any]] | None
    labels: tuple[str, ...]
    zvals: tuple[float, ...]
    electrons: float
    augmentation: list[Augmentation] = field(default_factory=list)
    moments: list[NDArray[np.float64]] = field(default_factory=list)
    channels: tuple[tuple[int, ...], ...] = ()
    provenance: dict[str, str] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def dcd(self) -> NDArray[np.floating[Any]]:
        """The difference density, (nx, ny, nz), electrons/Å³."""
        return self.blocks[0]

    @property
    def eps_mae_of_saed(self) -> float:
        """ε_mae of the SAED as a prediction, percent: what there is to learn."""
        if self.saed is None:
            raise MismatchError("the SAED was not kept with this DCD; make it again without --no-saed")
        # by planes, so that no second full grid is needed
        reference = sum(
            float(np.abs(self.dcd[:, :, k] + self.saed[:, :, k]).sum(dtype=float)) for k in range(self.dcd.shape[2])
        )
        return 100 * float(np.abs(self.dcd).sum(dtype=float)) / reference

    def shown(self) -> dict[str, object]:
        """For people: its atoms, grid, electrons, and what is kept with it."""
        magnetic = {1: "", 2: ", magnetisation", 4: ", mx, my, mz"}[len(self.blocks)]
        return {
            "formula": self.structure.formula if any(self.structure.species) else f"{self.structure.n_atoms} atoms",
            "labels": ", ".join(dict.fromkeys(self.labels)),
            "grid": times(self.dcd.shape),
            "holds": f"dcd{magnetic}{'' if self.saed is None else ', saed'}",
            "electrons": f"{self.electrons:.6f}",
        }

    def to_pymatgen(self) -> Chgcar:
        """The difference density and its magnetisation as a pymatgen Chgcar (times volume, as pymatgen keeps them).

        It integrates to the charge of the cell, not to its electrons, and is nothing for VASP to start from.
        """
        made: Any = VolumetricData("CHGCAR", self.structure, self.blocks).to_pymatgen()
        return made

    def density(self) -> VolumetricData:
        """The self-consistent density again: SAED + DCD, with records and moments, as a CHGCAR."""
        if self.saed is None:
            raise MismatchError("the SAED was not kept with this DCD; make it again without --no-saed")
        blocks = [self.saed + self.dcd, *self.blocks[1:]]
        return VolumetricData("CHGCAR", self.structure, blocks, self.augmentation, self.moments)


def _poscar(structure: Any, comment: str) -> Poscar:
    from pymatgen.io.vasp.inputs import Poscar

    return Poscar(structure, comment=comment or None)


def require_density(data: VolumetricData) -> None:
    """Raise ChgtoolsError when a file is no charge density."""
    if not data.is_density:
        raise ChgtoolsError(f"{data.source or 'the file'} is a {data.kind}, no charge density; wanted a CHGCAR or CHG")


def put_moments(data: VolumetricData) -> None:
    """Give a CHGCAR of several blocks the moments that it lacks, 1 for each atom, and say so (AssumptionWarning).

    VASP wants the numbers before each further block and does not use them; without them it reads no magnetisation.
    """
    if data.kind == "CHGCAR" and len(data.blocks) > 1 and not data.moments:
        data.moments = [np.ones(data.structure.n_atoms) for _ in data.blocks[1:]]
        sentence = "no moments of the atoms are in it: 1 for each goes before the magnetisation, where VASP wants them"
        warnings.warn(AssumptionWarning(f"{data.source or 'the data'}: {sentence}"), stacklevel=3)
