"""`chgtools predict` on every structure of a folder of real VASP runs: a CHGCAR, or one sentence that says why not.

    python benchmarks/files/predict_corpus.py [--data ../shared/corpus] [--most 200]

Each folder's POSCAR with its INCAR and POTCAR, or, where it has none, the structure of its first charge file. A
traceback, an empty message or a file beside a failure counts as a fault, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner

from chgtools.cli import main as chgtools
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar, poscar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS

BESIDE = ("INCAR", "POTCAR")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
    parser.add_argument("--most", type=int, default=200, help="pass over structures of more atoms")
    arguments = parser.parse_args()
    if not (arguments.data / "index.json").is_file():
        sys.exit(f"{arguments.data} has no index.json; --data names a folder of VASP files such as shared/corpus")
    written = refused = faults = 0
    for folder in sorted({arguments.data / r["path"].split("/")[0] for r in json.loads(
        (arguments.data / "index.json").read_text())}):  # fmt: skip
        with tempfile.TemporaryDirectory() as run:
            try:
                atoms = bring(folder, Path(run))
            except ChgtoolsError as error:
                print(f"{folder.name:42s} {error}")
                refused += 1
                continue
            if atoms > arguments.most:
                print(f"{folder.name:42s} passed over, {atoms} atoms")
                continue
            output = Path(run) / "CHGCAR.made"
            result = CliRunner().invoke(chgtools, ["predict", f"{run}/POSCAR", "-o", str(output), "--json"])
            if result.exit_code == 0:
                facts = json.loads(result.stdout)
                electrons = chgcar.read(output).electrons
                good = abs(electrons - facts["electrons"]) < 1e-6 * facts["electrons"]
                faults += not good
                written += good
                expected = facts["expected_eps_mae_percent"]
                trust = "" if expected is None else f"expected {expected:6.2f} %, {100 * facts['damping']:3.0f} % added"
                unseen = f"  not seen: {' '.join(facts['elements_not_seen'])}" if facts["elements_not_seen"] else ""
                fault = "" if good else "  FAULT: electrons"
                numbers = f"minimum {facts['minimum']:8.4f} e/Å³, {facts['seconds']:6.2f} s"
                print(f"{folder.name:42s} {facts['model']:5s} {trust:32s} {numbers}{unseen}{fault}", flush=True)
            else:
                sentence = result.stderr.strip().splitlines()
                good = result.exit_code == 1 and isinstance(result.exception, SystemExit) and bool(sentence)
                good = good and not output.exists()
                faults += not good
                refused += good
                print(f"{folder.name:42s} {'' if good else 'FAULT '}{sentence[-1] if sentence else result.exception}")
    print(f"written: {written}, refused with a sentence: {refused}, faults: {faults}")
    sys.exit(faults > 0)


def bring(folder: Path, run: Path) -> int:
    """Put the input of a run into a folder; the number of its atoms. The structure is read to the end of its head."""
    for name in BESIDE:
        if (folder / name).is_file():
            shutil.copy(folder / name, run)
    if (folder / "POSCAR").is_file():
        shutil.copy(folder / "POSCAR", run)
        return int(poscar.read(run / "POSCAR").n_atoms)
    first = min(path for path in folder.iterdir() if path.name.endswith(".gz") and path.name != "OUTCAR.gz")
    structure = chgcar.read(first).structure
    poscar.write(structure, run / "POSCAR")
    return int(structure.n_atoms)


if __name__ == "__main__":
    main()
