"""Complete CHGCARs with learned occupancies for the GPAW structures that the training of weights kept aside.

    python benchmarks/gpaw/gpaw_learned.py WEIGHTS STORE RUNS LIB.h5 -o FOLDER

STORE was built from RUNS/KEY/CHGCAR (gpaw_paw.py runs, chgtools dataset build), WEIGHTS trained on it. Writes
FOLDER/KEY/CHGCAR for gpaw_occupancies.py --learned, and prints the keys with the errors of grid and records.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from chgtools.comparison import compare
from chgtools.formats import chgcar
from chgtools.libraries.choice import Source
from chgtools.models.weights import load_model
from chgtools.run.grid import GridOptions
from chgtools.start.prediction import predict
from chgtools.stores.store import Store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    model, store = load_model(arguments.weights), Store.open(arguments.store)
    keys = [Path(str(f["source"])).parent.name for name, f in store.facts() if not seen(model.card, store[name])]
    arguments.output.mkdir(parents=True, exist_ok=True)
    incar = arguments.output / "INCAR"
    incar.write_text("LMAXMIX = 4\n")  # GPAW's matrices have all L; VASP's default would leave out those above 2
    for key in keys:
        run = arguments.runs / key
        real = chgcar.read(run / "CHGCAR")
        made = predict(
            run / "POSCAR",
            source=Source(library=arguments.library),
            incar=incar,
            grid=GridOptions(like=run / "CHGCAR"),
            model=model,
            occupancies="learned",
        )
        (arguments.output / key).mkdir(exist_ok=True)
        chgcar.write(made.data, arguments.output / key / "CHGCAR")
        wanted, found = (np.concatenate(d.augmentation[0].real) for d in (real, made.data))
        off = 100 * np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
        error = compare(made.data, real).eps_mae_percent
        print(f"{key:36s} grid {error:6.2f} %  records {off:6.2f} %", flush=True)
    print(",".join(keys))


if __name__ == "__main__":
    main()
