"""Every volumetric file of a folder of real files: read, count its electrons, write it again, compare the bytes.

    python benchmarks/files/corpus_files.py [--data ../shared/corpus]

The folder holds index.json with one record per file (path, kind, written_by, nelect, sha256_decompressed, ...).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from pathlib import Path

from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
    data = parser.parse_args().data
    records = json.loads((data / "index.json").read_text())
    read = same = vasp = counted = 0
    worst = 0.0
    different: list[str] = []
    for record in records:
        path = data / record["path"]
        try:
            found = chgcar.read(path)
        except ChgtoolsError as error:
            print(f"NOT READ {record['path']}: {error}")
            continue
        read += 1
        if record["kind"] == "CHGCAR" and record["nelect"] and not record["run_warning"]:
            counted += 1
            assert found.electrons is not None
            worst = max(worst, abs(found.electrons / record["nelect"] - 1))
        with tempfile.TemporaryDirectory() as folder:
            chgcar.write(found, Path(folder) / "again")
            again = (Path(folder) / "again").read_bytes()
        equal = again == gzip.decompress(path.read_bytes())
        if record["written_by"] == "vasp":
            vasp += 1
            same += equal
            if not equal:
                different.append(record["path"])
        elif not equal:
            print(f"by {record['written_by']}, now in VASP's layout and so not the same bytes: {record['path']}")
    print(f"read: {read} of {len(records)}")
    print(f"written by VASP: {vasp}, of which {same} come back byte for byte; others: {', '.join(different) or 'none'}")
    print(f"CHGCARs with a known NELECT: {counted}, largest relative error of the electron count {worst:.1e}")


if __name__ == "__main__":
    main()
