"""Difference densities learned with Quantum ESPRESSO on real VASP files.

    python benchmarks/learned/transfer_vasp.py [--data ../shared/corpus] [--model auto] [--qe STORE.h5] [--json FILE]

1. AECCAR1 (VASP's own overlapping atoms) alone and with the predicted difference density, against AECCAR2 (VASP's
   self-consistent valence density, both all-electron).
2. SAED of the built-in atoms alone and with the predicted difference density, against the CHGCARs that VASP wrote; in
   the cores a CHGCAR holds pseudo-densities with compensation charges, which no other code's density shares. Of a CHG
   where its folder has no CHGCAR.
Percent, 100 Σ|n - n_VASP| / Σ|n_VASP|, in the whole cell and farther than 0.6 Å and 1 Å from every nucleus.

``--tools DFT/tools`` also computes Quantum ESPRESSO's own difference density of the structures of part 1, with pw.x,
into the store of ``--qe``, and the column "+ QE" shows it: so much of the error is the codes', not the model's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar
from chgtools.libraries.choice import Choice, Source, choose
from chgtools.models.choice import choose_model
from chgtools.models.moments import directions
from chgtools.start.learned import learned_difference
from chgtools.start.superposition import superpose
from chgtools.stores.entry import Entry
from chgtools.stores.store import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS, Regions, cells, labels_by_electrons, write_json

KPOINT_SPACING = 0.20  # 1/Å with 2π, as the silicon of the stores has


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--qe", type=Path, metavar="STORE.h5", help="entries are named by the folders of the files")
    parser.add_argument("--tools", type=Path, help="folder of run_qe.py, to fill the store of --qe")
    parser.add_argument("--limit", type=float, default=600, help="seconds for pw.x (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not (arguments.data / "index.json").is_file():
        sys.exit(f"{arguments.data} has no index.json; --data names a folder of VASP files such as shared/corpus")
    records = json.loads((arguments.data / "index.json").read_text())
    pairs = sorted({r["path"].split("/")[0] for r in records if r["kind"] == "AECCAR1"})
    if arguments.tools:
        fill(arguments.qe, arguments.tools, [(name, aeccar(arguments.data, name, 1).structure) for name in pairs],
             arguments.limit)  # fmt: skip
    store = Store.open(arguments.qe) if arguments.qe else None
    print(f"{'file':42s}{'model':>7s}  {'atoms: cell  > 0.6  > 1.0 Å':>28s}{'+ predicted':>24s}  expected{'+ QE':>24s}")
    rows = []
    for folder in pairs:
        first, second = (aeccar(arguments.data, folder, i) for i in (1, 2))
        row = measure(second.structure, first.total, second.total, arguments.model, stored(store, folder))
        rows.append({"file": f"{folder}/AECCAR2", "atoms_from": "AECCAR1"} | row)
        show(rows[-1])
    for path, data, atoms, chosen in charges(arguments.data, records):
        qe = stored(store, path.split("/")[0])
        row = measure(data.structure, atoms, data.total, arguments.model, qe, chosen.densities, data.moments)
        rows.append({"file": path, "atoms_from": f"built-in {' '.join(chosen.labels)}"} | row)
        show(rows[-1])
    if arguments.json:
        write_json(arguments.json, rows)


def aeccar(folder: Path, name: str, number: int) -> Any:
    return chgcar.read(folder / name / f"AECCAR{number}.gz")


def stored(store: Store | None, name: str) -> Entry | None:
    return store[name] if store is not None and name in store else None


def charges(folder: Path, records: list[dict[str, Any]]) -> Iterator[tuple[str, Any, np.ndarray, Choice]]:
    """(path, file, SAED on its grid, its atoms) of the densities that VASP wrote; others are named and passed over."""
    with_chgcar = {r["path"].split("/")[0] for r in records if r["kind"] == "CHGCAR"}
    for record in records:
        path = record["path"]
        wanted = record["kind"] == "CHGCAR" or (record["kind"] == "CHG" and path.split("/")[0] not in with_chgcar)
        if not wanted or record["written_by"] != "vasp" or "stripped" in path:
            continue
        data = chgcar.read(folder / path)
        if not all(data.structure.species):
            print(f"{path:42s} names no species (VASP 4)")
            continue
        labels = None
        if record["labels"]:
            labels = dict(zip(data.structure.species, [title.split()[1] for title in record["labels"]], strict=True))
        labels = labels or labels_by_electrons(data.structure, data.electrons)
        if labels is None:
            print(f"{path:42s} no labels give {data.electrons:.3f} electrons")
            continue
        try:
            choice = choose(data.structure, Source(labels=labels))
        except ChgtoolsError as error:
            print(f"{path:42s} {error}")
            continue
        yield path, data, superpose(data.structure, data.shape, choice.densities), choice


def measure(
    structure: Structure,
    atoms: np.ndarray,
    wanted: np.ndarray,
    name: str,
    qe: Entry | None,
    densities: Sequence[AtomicDensity] = (),
    moments: Sequence[np.ndarray] = (),
) -> dict[str, Any]:
    """Errors in the three regions; without "predicted" where no weights know an element.

    densities : of ``atoms``, one for each group; none for VASP's own, taken to be in the ground state
    moments : MAGMOM, (n_atoms,) of each component, which VASP writes before each further block
    """
    pointing = directions(np.stack(moments, 1)) if len(moments) else None
    regions, choice = Regions(structure, wanted.shape), choose_model(structure, name, directions=pointing)
    row: dict[str, Any] = {"model": choice.name, "atoms": regions.errors(atoms, wanted), "note": ""}
    if qe is not None:
        row["qe"] = regions.errors(atoms + qe.on_grid(wanted.shape), wanted)
    if choice.model is None:
        return row | {"note": choice.reason}
    estimate = choice.model.predict(structure, directions=pointing)
    predicted = learned_difference(structure, wanted.shape, densities, choice.model, estimate)
    row["predicted"] = regions.errors(atoms + predicted, wanted)
    row["expected"] = None if np.isnan(estimate.error_percent) else estimate.error_percent
    if estimate.unseen:
        row["note"] = f"not seen: {', '.join(estimate.unseen)}"
    return row


def show(row: dict[str, Any]) -> None:
    expected = "" if row.get("expected") is None else f"{row['expected']:.2f}"
    predicted = cells(row["predicted"]) if "predicted" in row else ""
    qe = cells(row["qe"]) if "qe" in row else ""
    print(f"{row['file'][:41]:42s}{row['model'][:6]:>7s}      {cells(row['atoms'])}{predicted:24s}{expected:>10s}"
          f"{qe:24s}  {row['note']}".rstrip(), flush=True)  # fmt: skip


def fill(path: Path | None, tools: Path, structures: list[tuple[str, Structure]], limit: float) -> None:
    """Compute what the store lacks with pw.x, ``limit`` seconds each, as the shared stores were made."""
    import tempfile

    import h5py

    if path is None or not (tools / "run_qe.py").is_file():
        sys.exit("--tools needs --qe STORE.h5, and must hold run_qe.py, such as shared/dft/tools")
    sys.path.insert(0, str(tools))
    from density import Atoms
    from run_qe import compute, pack

    atoms = Atoms()
    for name, structure in structures:
        with h5py.File(path, "a") as file:
            if name in file:
                continue
        crystal = structure.to_pymatgen()
        with tempfile.TemporaryDirectory(prefix="qe") as folder:
            try:
                result = compute(crystal, 1, limit, KPOINT_SPACING, Path(folder), atoms)
            except RuntimeError as error:
                print(f"{name}: not computed, {error}", file=sys.stderr)
                continue
        data, facts = pack(crystal, result, atoms)
        with h5py.File(path, "a") as file:
            group = file.create_group(name)
            for label, value in data.items():
                group[label] = value
            group.attrs.update(formula=crystal.composition.reduced_formula, kind="corpus", source=name, **facts)


if __name__ == "__main__":
    main()
