"""What a training on many structures costs: start-up, memory and rate, held in memory and read as they are needed.

    python benchmarks/speed/training_at_scale.py STORE.h5 ... [--entries 700 5000 100000] [--steps 60] [--workers 1]

The entries of the stores are repeated in an index until there are so many: names and draws of waves differ, so that
each is read and made anew, as other structures would be. The first number is also trained with all in memory, and then
streamed. Each line is of a process of its own: seconds until the first step, steps a second behind the tenth, and the
largest resident set of the process and of those that read for it. The network is that of the shipped weights; without
--prior its features are left out, which a training of so many finds in the user's cache folder.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from chgtools.models.encoder_settings import EncoderSettings
from chgtools.stores.index import COUNTS, FIGURES, WORDS, Index, read_index, write_index
from chgtools.stores.join import join
from chgtools.training.config import Loss, TrainSettings, Validation
from chgtools.training.members import Listener, StoppedError
from chgtools.training.run import train_member


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", type=Path, metavar="STORE.h5")
    parser.add_argument("--entries", nargs="+", type=int, default=[700, 5000, 100_000])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--prior", action="store_true")
    arguments = parser.parse_args()
    encoder = EncoderSettings(channels=32, hidden=64, state=64, passes=1, cutoff=6.0)
    if arguments.prior:
        encoder = EncoderSettings(**asdict(encoder) | {"prior": "tight-binding-3"})
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "one.h5"
        join(one, arguments.stores)
        print(f"{'entries':>9} {'':10} {'first step, s':>14} {'steps/s':>9} {'MiB':>7} {'of readers':>11}")
        for number, count in enumerate(arguments.entries):
            path = Path(folder) / f"{count}.h5"
            write_index(path, repeated(read_index(one), count))
            for resident in (10**9, 0) if number == 0 else (0,):
                settings = TrainSettings(
                    data=(str(path),), encoder=encoder, steps=arguments.steps, evaluations=1, batch=16, waves=1500,
                    members=1, threads=1, loss=Loss(rms=1.0), validation=Validation(share=0.0), resident=resident,
                    workers=arguments.workers, occupancies=False,
                )  # fmt: skip
                row = measured(settings, Path(folder) / f"out-{count}-{resident}")
                kind = "in memory" if resident else "streamed"
                figures = f"{row['first']:14.1f} {row['rate']:9.2f} {row['own']:7.0f} {row['readers']:11.0f}"
                print(f"{count:9d} {kind:10} {figures}", flush=True)


def repeated(index: Index, count: int) -> Index:
    """An index with the entries again and again, each time under other names, until there are ``count``."""
    rows = np.arange(count) % len(index.columns["name"])
    columns = {name: index.columns[name][rows] for name in (*WORDS, *COUNTS, *FIGURES)}
    names = [f"{name.decode()}-{k}".encode() for k, name in enumerate(columns["name"].tolist())]
    return Index(index.stores, index.stamps, {**columns, "name": np.array(names)}, {})


def measured(settings: TrainSettings, folder: Path) -> dict[str, float]:
    """What a process that trains with these settings tells."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import training_at_scale as t; t.trained()"
    values = json.dumps(asdict(settings))
    done = subprocess.run([sys.executable, "-c", code], input=values, capture_output=True, text=True,
                          env=os.environ | {"FOLDER": str(folder)})  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def trained() -> None:
    """The work of such a process, settings on stdin."""
    started, times = time.perf_counter(), []
    values = json.load(sys.stdin)
    nested = {"encoder": EncoderSettings, "loss": Loss, "validation": Validation}
    values |= {name: kind(**values[name]) for name, kind in nested.items()}
    values["basis"] = TrainSettings(data=("-",)).basis
    settings = TrainSettings(**{**values, "data": tuple(values["data"]), "kinds": (), "trained": ()})
    listener = Listener(
        steps=lambda *_: times.append(time.perf_counter()), stops=lambda: len(times) == settings.steps - 1
    )
    with suppress(StoppedError):
        train_member(settings, os.environ["FOLDER"], 0, listener=listener)
    own, readers = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    rate = (len(times) - 10) / (times[-1] - times[9])
    print(json.dumps({"first": times[0] - started, "rate": rate, "own": own, "readers": readers}))


if __name__ == "__main__":
    main()
