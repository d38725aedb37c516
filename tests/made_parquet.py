"""Small Parquet files in the layouts of emmet (of 2024 and later) and of LeMat-Rho, of densities that are given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chgtools.elements import SYMBOLS
from chgtools.volumetric import DENSITY_KINDS, VolumetricData

LABELS = ("total", "diff", "diff_x", "diff_y", "diff_z")


def grids_of(data: VolumetricData) -> dict[str, list[Any]]:
    """As pymatgen holds them: density x volume, [x][y][z]."""
    names = {1: LABELS[:1], 2: LABELS[:2], 4: (LABELS[0], *LABELS[2:])}[len(data.blocks)]
    factor = data.structure.volume if data.kind in DENSITY_KINDS else 1.0
    return {name: (block * factor).tolist() for name, block in zip(names, data.blocks, strict=True)}


def records_of(data: VolumetricData) -> dict[str, list[dict[str, Any]]]:
    """Records without the numbers of their ions, those of the imaginary part behind the others."""
    found = {}
    for name, block in zip(grids_of(data), data.augmentation, strict=False):
        records = [*block.real, *(block.imaginary or ())]
        found[name] = [{"label": "augmentation occupancies", "data": list(map(float, record))} for record in records]
    return found


def write_emmet(path: Path, runs: Sequence[tuple[str | None, str | None, VolumetricData]]) -> Path:
    """An archive of (identifier, file name, density); file name None: without these two columns."""
    tables = []
    for identifier, file_name, data in runs:
        grids, records, cell = grids_of(data), records_of(data), data.structure
        columns = {f"data_{name}": pa.array([[grids.get(name)]]) for name in LABELS}
        columns |= {f"data_aug_{name}": pa.array([records.get(name, [None])]) for name in LABELS}
        columns |= {
            "structure_atomic_num": pa.array([[SYMBOLS.index(symbol) + 1 for symbol in cell.elements]]),
            "structure_direct_coords": pa.array([cell.frac.tolist()]),
            "structure_lattice": pa.array([cell.lattice.tolist()]),
            "structure_pbc": pa.array([[True, True, True]]),
            "structure_oxi_states": pa.array([None]),
        }
        if file_name is not None:
            columns |= {"file_name": pa.array([file_name]), "identifier": pa.array([identifier])}
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables, promote_options="permissive"), path)
    return path


def write_old_emmet(path: Path, data: VolumetricData) -> Path:
    """One density; no further list around the grid, and the structure as pymatgen's JSON."""
    columns = {f"data_{name}": pa.array([grid]) for name, grid in grids_of(data).items()}
    columns |= {f"data_aug_{name}": pa.array([records]) for name, records in records_of(data).items()}
    structure = data.structure.to_pymatgen()
    columns["structure"] = pa.array([json.dumps(structure.as_dict())])
    pq.write_table(pa.table(columns), path)
    return path


def write_lemat(
    path: Path, rows: Sequence[tuple[str, VolumetricData | None]], raw: bool = True, **options: Any
) -> Path:
    """Rows of (immutable_id, density or None for a material without); ``raw``: with the column charge_density."""
    cells = [data.structure if data is not None else rows[0][1].structure for _, data in rows]
    grids = [None if data is None else data.total * data.structure.volume for _, data in rows]
    flat = [None if grid is None else np.ascontiguousarray(grid, np.float32).ravel() for grid in grids]
    columns = {
        "elements": pa.array([sorted(set(cell.elements)) for cell in cells]),
        "nsites": pa.array([cell.n_atoms for cell in cells], pa.int32()),
        "lattice_vectors": pa.array([cell.lattice.tolist() for cell in cells], pa.list_(pa.list_(pa.float64()))),
        "immutable_id": pa.array([name for name, _ in rows]),
        "cartesian_site_positions": pa.array([(cell.frac @ cell.lattice).tolist() for cell in cells]),
        "species_at_sites": pa.array([list(cell.elements) for cell in cells]),
        "functional": pa.array(["r2SCAN"] * len(rows)),
        "compressed_charge_density": pa.array([None if g is None else json.dumps(g.tolist()) for g in grids], pa.string()),
        "charge_density_grid_shape": pa.array([None if g is None else list(g.shape) for g in grids], pa.list_(pa.int32())),
    }  # fmt: skip
    if raw:
        columns["charge_density"] = pa.array(flat, pa.list_(pa.float32()))
    pq.write_table(pa.table(columns), path, **options)
    return path
