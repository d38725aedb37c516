"""What pymatgen and ASE make of real volumetric files, and whether VASP could read what they write again.

    python benchmarks/files/peers.py [--data ../shared/corpus]

Read: "right" when all blocks, values (to 1e-9 relative) and augmentation records are those of the file; "grid right"
when only records or further blocks are missing or wrong; "WRONG" when values differ without a word; "refused" when it
raises. Written again (CHGCAR with records): VASP reads record headers as A24,2I4 and needs a line of moments before
each further block (VASP wiki on CHGCAR; pymatgen-core issue 131).
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.cell import Structure
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar
from chgtools.volumetric import Augmentation, VolumetricData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS

PYMATGEN_KEYS = {1: ["total"], 2: ["total", "diff"], 4: ["total", "diff_x", "diff_y", "diff_z"]}


def close(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(
        np.allclose(a, b, rtol=1e-9, atol=1e-12 * max(1.0, float(np.abs(b).max(initial=0))))
    )


def pymatgen_read(path: Path, kind: str) -> Any:
    from pymatgen.io.vasp.outputs import Chgcar, Elfcar, Locpot

    return {"LOCPOT": Locpot, "ELFCAR": Elfcar}.get(kind, Chgcar).from_file(str(path))


def pymatgen_verdict(theirs: Any, ours: VolumetricData) -> str:
    scale = ours.structure.volume if ours.is_density else 1.0
    keys = PYMATGEN_KEYS[len(ours.blocks)]
    if ours.kind in ("LOCPOT", "ELFCAR") and len(ours.blocks) == 2:
        keys = ["spin_up", "spin_down"]
    if not close(theirs.data[keys[0]], ours.blocks[0] * scale):
        return "WRONG"
    rest = all(
        key in theirs.data and close(theirs.data[key], block * scale)
        for key, block in zip(keys[1:], ours.blocks[1:], strict=True)
    )
    for key, block in zip(keys, ours.augmentation, strict=False):
        records = (theirs.data_aug or {}).get(key, {})
        if not isinstance(records, dict):
            return "grid right"
        for ion, real in enumerate(block.real, 1):
            record = np.asarray(records.get(ion, records.get(str(ion), [])))
            expected = real if block.imaginary is None else real + 1j * block.imaginary[ion - 1]
            rest = rest and close(record.ravel(), expected)
    return "right" if rest else "grid right"


def ase_read(path: Path, kind: str) -> Any:
    from ase.calculators.vasp import VaspChargeDensity

    read = VaspChargeDensity(str(path))
    if not read.chg:
        raise ValueError("ASE read no density")
    return read


def ase_verdict(theirs: Any, ours: VolumetricData) -> str:
    scale = 1.0 if ours.is_density else ours.structure.volume  # ASE divides everything by the volume
    if not close(np.asarray(theirs.chg[0]) * scale, ours.blocks[0]):
        return "WRONG"
    if len(theirs.chg) > 1 or (len(ours.blocks) > 1 and not theirs.chgdiff):
        return "grid right"
    if len(ours.blocks) > 1 and not close(np.asarray(theirs.chgdiff[0]) * scale, ours.blocks[1]):
        return "grid right"
    return "right" if len(ours.blocks) <= 2 and not ours.augmentation else "grid right"


def rewritten(write: Callable[[Path], None], ours: VolumetricData) -> str:
    """What VASP would find in the file that a library writes after reading."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "CHGCAR"
        try:
            write(path)
        except Exception as error:
            return f"not written ({type(error).__name__})"
        lines = path.read_bytes().replace(b"\r", b"").split(b"\n")
    headers = [line for line in lines if line.startswith(b"augmentation")]
    faults = []
    wanted = sum(len(a.real) + len(a.imaginary or []) for a in ours.augmentation)
    if len(headers) < wanted:
        faults.append(f"{len(headers)} of {wanted} records")
    bad = [
        h
        for h in headers
        if not re.fullmatch(rb"[ \d*]{4}[ \d]{4}", h.rpartition(b"ies" if b"(" not in h else b")")[2])
    ]
    if bad:
        faults.append(f"{len(bad)} record headers shifted")
    grid = [str(n).encode() for n in ours.shape]
    grids = [i for i, line in enumerate(lines) if line.split() == grid]
    if len(grids) < len(ours.blocks):
        faults.append(f"{len(grids)} of {len(ours.blocks)} blocks")
    moments = ours.moments and any(len(lines[i - 1]) % 20 or not lines[i - 1].strip() for i in grids[1:])
    if moments:
        faults.append("no moments")
    return "; ".join(faults) or "as VASP reads it"


def crafted(folder: Path) -> list[tuple[str, Path, VolumetricData | None]]:
    """(name, file, its data or None where only a refusal is right): what the real files do not hold."""
    rng = np.random.default_rng(0)

    def make(
        name: str, n_atoms: int, blocks: int, edit: Callable[[str], str] | None = None, good: bool = True
    ) -> tuple:
        atoms = Structure(np.eye(3) * 9.0, ("Si",), (n_atoms,), rng.uniform(size=(n_atoms, 3)).round(6))
        values = [np.asfortranarray(rng.normal(size=(6, 5, 4))) for _ in range(blocks)]
        records = [Augmentation([rng.normal(size=33) for _ in range(n_atoms)]) for _ in range(blocks)]
        data = VolumetricData("CHGCAR", atoms, values, records, [np.ones(n_atoms)] * (blocks - 1))
        (folder / name).mkdir()
        path = folder / name / "CHGCAR"
        chgcar.write(data, path)
        if edit:
            path.write_text(edit(path.read_text()))
        return name, path, chgcar.read(path) if good else None

    def field(text: str, number: str) -> str:
        lines = text.split("\n")
        row = next(i for i, line in enumerate(lines) if line.split() == ["6", "5", "4"]) + 1
        lines[row] = lines[row][:18] + number.rjust(18) + lines[row][36:]
        return "\n".join(lines)

    def without_line(text: str) -> str:
        lines = text.split("\n")
        row = next(i for i, line in enumerate(lines) if line.split() == ["6", "5", "4"]) + 4
        return "\n".join(lines[:row] + lines[row + 1 :])

    return [
        make("12 ions", 12, 1),
        make("12 ions, ISPIN = 2", 12, 2),
        make("120 ions", 120, 1),
        make("1000 ions", 1000, 1),
        make("three-digit exponent", 2, 1, lambda t: field(t, "0.12345678901-100")),
        make("touching numbers", 2, 1, lambda t: field(t, "-0.12345678901E+01"), False),
        make("a lost digit", 2, 1, lambda t: re.sub(r"(\n {4}6 {4}5 {4}4\n.{22})\d", r"\1", t, count=1), False),
        make("stars", 2, 1, lambda t: field(t, "*****************"), False),
        make("NaN", 2, 1, lambda t: field(t, "NaN"), False),
        make("a lost line", 2, 1, without_line, False),
        make("a surplus number", 2, 1, lambda t: field(t, "0.5 0.5"), False),
    ]


def read_crafted() -> None:
    """The same questions on made files; for damaged ones only a refusal is right."""
    print(f"\n{'made file':24s} {'chgtools':10s} {'pymatgen':11s} {'ASE':11s} {'pymatgen writes':34s} ASE writes")
    with tempfile.TemporaryDirectory() as name:
        for case, path, ours in crafted(Path(name)):
            try:
                chgcar.read(path)
                cells = ["right" if ours else "WRONG"]
            except ChgtoolsError:
                cells = ["refused"]
            written = []
            for read, verdict, method in (
                (pymatgen_read, pymatgen_verdict, "write_file"),
                (ase_read, ase_verdict, "write"),
            ):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    try:
                        theirs = read(path, "CHGCAR")
                    except Exception:
                        cells.append("refused")
                        written.append("")
                        continue
                    cells.append(verdict(theirs, ours) if ours else "WRONG")
                    job = lambda p, t=theirs, m=method: getattr(t, m)(str(p))  # noqa: E731
                    written.append(rewritten(job, ours) if ours else "")
            print(f"{case:24s} {cells[0]:10s} {cells[1]:11s} {cells[2]:11s} {written[0]:34s} {written[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
    data = parser.parse_args().data
    warnings.simplefilter("ignore")
    counts: Counter[tuple[str, str]] = Counter()
    print(f"{'file':52s} {'chgtools':10s} {'pymatgen':11s} {'ASE':11s} {'pymatgen writes':34s} ASE writes")
    for record in json.loads((data / "index.json").read_text()):
        path = data / record["path"]
        ours = chgcar.read(path)
        row = {"chgtools": "right"}
        if record["kind"] == "CHGCAR" and ours.augmentation:
            own = rewritten(lambda p, d=ours: chgcar.write(d, p), ours)
            counts["chgtools writes", "readable" if own.startswith("as") else "misread"] += 1
        written = {"pymatgen": "", "ASE": ""}
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / path.name.removesuffix(".gz")
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            for name, read, verdict, method in (
                ("pymatgen", pymatgen_read, pymatgen_verdict, "write_file"),
                ("ASE", ase_read, ase_verdict, "write"),
            ):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    try:
                        theirs = read(plain, record["kind"])
                    except Exception:
                        row[name] = "refused"
                        continue
                    row[name] = verdict(theirs, ours)
                    if record["kind"] == "CHGCAR" and ours.augmentation:
                        written[name] = rewritten(lambda p, t=theirs, m=method: getattr(t, m)(str(p)), ours)
                        counts[name + " writes", "readable" if written[name].startswith("as") else "misread"] += 1
        for name, result in row.items():
            counts[name, result] += 1
        print(
            f"{record['path']:52s} {row['chgtools']:10s} {row['pymatgen']:11s} {row['ASE']:11s} "
            f"{written['pymatgen']:34s} {written['ASE']}"
        )
    read_crafted()
    print()
    for (name, result), count in sorted(counts.items()):
        print(f"{name:16s} {result:12s} {count:3d}")


if __name__ == "__main__":
    main()
