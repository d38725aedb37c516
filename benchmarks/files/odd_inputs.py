"""Inputs that people have and that are easily read wrong: what chgtools, pymatgen and ASE make of small ones.

    python benchmarks/files/odd_inputs.py [--only WORD] [--keep FOLDER] [--json FILE]

The inputs and what is in them are made by odd_made.py (docs/explanation/inputs.md says what VASP does with each). Read:

  right    elements atom by atom, positions and cell (up to a rotation), for grids also the shape, every value and so
           the electrons, for an INCAR the values of its tags and that no other of those asked for is set; to 1e-6, in
           whatever types and units the program has. Atoms may come in another order. Where VASP takes the elements from
           the POTCAR (VASP 4), no name is right.
  wrong    something else is returned without a word; what differs first is said
  warned   the same, with a Python warning of any text that is shown by default
  refused  an exception
  hang     nothing after --timeout seconds
  -        the program has no reader for this kind of file

Each file is read in a process of its own. Augmentation occupancies are not compared here but in peers.py.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from odd_made import Atoms, Case, Density, cases
from odd_readers import READERS, Reader, reader_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import write_json

TOLERANCE = 1e-6
WIDTH = 20  # of a column
WORDS = ("right", "wrong", "warned", "refused", "hang", "-")
HEAVY = ("ase.calculators.vasp", "ase.io", "chgtools.formats.chgcar", "monty.serialization", "pymatgen.io.vasp")
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # Python shows none of these


@dataclass(frozen=True)
class Verdict:
    """word : one of WORDS; detail : what differs, or the exception's text; said : the warnings' texts"""

    word: str
    detail: str = ""
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.word}: {self.detail}" if self.word in ("wrong", "warned") else self.word
        return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


# --- comparison: the first difference in words, "" for none ---------------------------------------------------------


def other_atoms(found: Atoms, truth: Atoms) -> str:
    if len(found.symbols) != len(truth.symbols):
        return f"{len(found.symbols)} atoms"
    if not np.allclose(found.lattice @ found.lattice.T, truth.lattice @ truth.lattice.T, rtol=0, atol=1e-4):
        return "cell"
    order = same_places(found, truth)
    if order is None:
        return "positions"
    for place, other in enumerate(order):
        if found.symbols[other] != truth.symbols[place] and not (truth.vasp4 and not found.symbols[other]):
            return f"{found.symbols[other] or 'none'} for {truth.symbols[place] or 'none'}"
    if truth.moments is not None:
        moments = found.moments
        if moments is None or not np.allclose(np.asarray(moments)[order], truth.moments, atol=TOLERANCE):
            return "moments"
    return ""


def same_places(found: Atoms, truth: Atoms) -> list[int] | None:
    """For each atom the number of that which is found at its place, modulo the cell; None where there is none."""
    order: list[int] = []
    for place in truth.frac:
        shift = found.frac - place
        near = np.flatnonzero(np.abs(shift - np.round(shift)).max(axis=1) < 10 * TOLERANCE)
        left = [int(i) for i in near if i not in order]
        if not left:
            return None
        order.append(left[0])
    return order


def other_density(found: Density, truth: Density) -> str:
    wrong = other_atoms(found.atoms, truth.atoms)
    if wrong:
        return wrong
    if len(found.blocks) != len(truth.blocks):
        return f"{len(found.blocks)} blocks"
    for number, (block, wanted) in enumerate(zip(found.blocks, truth.blocks, strict=True), 1):
        repeated = tuple(n + 1 for n in wanted.shape)  # ASE gives an XSF's far faces as they stand
        expected = np.pad(wanted, ((0, 1),) * 3, mode="wrap") if block.shape == repeated else wanted
        if block.shape != expected.shape:
            return "grid " + "x".join(map(str, block.shape))
        if not np.allclose(block, expected, rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(wanted).max())):
            return f"values of block {number}"
    return ""


def other_tags(found: Mapping[str, Any], truth: Mapping[str, Any]) -> str:
    for tag, wanted in truth.items():
        if not same_value(found[tag], wanted):
            name, value = tag.rpartition("/")[2], found[tag]
            text = f"{value:g}" if isinstance(value, float) else str(value)
            return f"no {name}" if value is None else f"{name} = {text}"
    return ""


def same_value(found: Any, wanted: Any) -> bool:
    if wanted is None or found is None:
        return found is wanted
    if isinstance(wanted, bool):
        return bool(found == wanted) or str(found).strip(".").upper()[:1] == "FT"[wanted]
    if isinstance(wanted, str):
        return " ".join(str(found).split()).lower() == " ".join(wanted.split()).lower()
    try:
        numbers = np.asarray(of_text(found) if isinstance(found, str) else found, dtype=float).ravel()
    except (TypeError, ValueError):
        return False
    wanted = np.ravel(wanted)
    return numbers.shape == wanted.shape and bool(np.allclose(numbers, wanted, rtol=1e-12))


def of_text(text: str) -> list[float]:
    """Numbers of a value that a program leaves as it stands in the file, such as ".5 2*-.5"."""
    words = [word.rpartition("*") for word in text.split()]
    return [float(value) for count, _, value in words for _ in range(int(count or 1))]


def difference(found: Any, truth: Any) -> str:
    if isinstance(truth, Density):
        return other_density(found, truth)
    if isinstance(truth, Atoms):
        return other_atoms(found, truth)
    if isinstance(truth, Mapping):
        return other_tags(found, truth)
    if len(found) != len(truth):
        return f"{len(found)} frames"
    wrong = [other_atoms(one, other) for one, other in zip(found, truth, strict=True)]
    return next((f"{word} of frame {number}" for number, word in enumerate(wrong, 1) if word), "")


# --- reading --------------------------------------------------------------------------------------------------------


def judged(reader: Reader, path: Path, truth: Any) -> Verdict:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            wrong = difference(reader(path, truth), truth)
        except Exception as error:
            return Verdict("refused", f"{type(error).__name__}: {error}")
    said = tuple(str(w.message) for w in caught if not issubclass(w.category, HIDDEN))
    return Verdict("right" if not wrong else "warned" if said else "wrong", wrong, said)


def in_process(reader: Reader, path: Path, truth: Any, timeout: float) -> Verdict:
    """Of a process that may hang or die."""
    context = multiprocessing.get_context("fork")  # imports are made once
    receive, send = context.Pipe(duplex=False)

    def child(connection: Connection) -> None:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            connection.send(judged(reader, path, truth))

    process = context.Process(target=child, args=(send,))
    process.start()
    send.close()
    try:
        return receive.recv() if receive.poll(timeout) else Verdict("hang", f"nothing after {timeout:g} s")
    except EOFError:
        return Verdict("refused", "the process died")
    finally:
        process.kill()
        process.join()
        receive.close()


def verdicts(case: Case, folder: Path, timeout: float) -> dict[str, Verdict]:
    folder.mkdir(parents=True)
    path = folder / case.file
    content = case.content if isinstance(case.content, bytes) else case.content.encode()
    path.write_bytes(content)
    found = {}
    for program in READERS:
        reader = reader_of(program, case.kind, case.file)
        found[program] = Verdict("-") if reader is None else in_process(reader, path, case.truth, timeout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help="rows alone that have this in their first column")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the made files in a new folder")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for one file (default: %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="verdicts with what was said")
    arguments = parser.parse_args()
    for module in HEAVY:  # which every child would import again
        import_module(module)
    versions = {name: version(name) for name in ("chgtools", "pymatgen", "ase")}
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    counts: dict[str, Counter[str]] = {program: Counter() for program in READERS}
    rows: list[dict[str, Any]] = []
    group = ""
    with tempfile.TemporaryDirectory() as temporary:
        for number, case in enumerate(case for case in cases() if arguments.only in case.name):
            if case.group != group:
                group = case.group
                print(f"\n{group:43s} {'chgtools':10s} {'pymatgen':{WIDTH}s} ASE")
            folder = (arguments.keep or Path(temporary)) / f"{number:03d}"
            found = verdicts(case, folder, arguments.timeout)
            ours, pymatgen, ase = map(str, found.values())
            print(f"{case.name:43s} {ours:10s} {pymatgen:{WIDTH}s} {ase}", flush=True)
            for program, verdict in found.items():
                counts[program][verdict.word] += 1
            rows.append({"group": case.group, "name": case.name, "file": case.file,
                         **{program: asdict(verdict) for program, verdict in found.items()}})  # fmt: skip
    print(f"\n{len(rows)} inputs   " + "".join(f"{word:>9s}" for word in WORDS))
    for program, count in counts.items():
        print(f"{program:12s}" + "".join(f"{count[word]:9d}" for word in WORDS))
    if arguments.json:
        write_json(arguments.json, {"versions": versions, "rows": rows})


if __name__ == "__main__":
    main()
