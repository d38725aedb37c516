"""What a volumetric file or a difference density holds, as plain facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chgtools.formats.chgcar_layout import block_names

if TYPE_CHECKING:
    from chgtools.volumetric import DifferenceDensity, VolumetricData


def describe(data: VolumetricData) -> dict[str, Any]:
    """Facts for ``info --json``; lengths in Å, densities per Å³, augmentation_lengths of the first block."""
    structure = data.structure
    return {
        "file": data.source,
        "kind": data.kind,
        "grid": list(data.shape),
        "blocks": len(data.blocks),
        "block_names": list(block_names(data.kind, len(data.blocks))),
        "electrons": data.electrons,
        "species": list(structure.species),
        "counts": list(structure.counts),
        "labels": list(structure.labels),
        "augmentation_lengths": data.augmentation[0].lengths if data.augmentation else [],
        "lattice": structure.lattice.tolist(),
        "volume": structure.volume,
        "mean": [float(block.mean(dtype=float)) for block in data.blocks],
        "minimum": [float(block.min()) for block in data.blocks],
        "maximum": [float(block.max()) for block in data.blocks],
    }


def describe_difference(target: DifferenceDensity, file: str | Path) -> dict[str, Any]:
    """The same facts of a difference density; electrons are those of the self-consistent density."""
    from chgtools.volumetric import VolumetricData

    data = VolumetricData(
        "CHGCAR", target.structure, target.blocks, target.augmentation, target.moments, source=str(file)
    )
    names = ["difference", *block_names("CHGCAR", len(target.blocks))[1:]]
    return {**describe(data), "kind": "DCD", "block_names": names, "electrons": target.electrons}
