"""What the weights made of structures before they learned from them, store by store: the honest learning curve.

    python benchmarks/structures/learning_log.py STORE.h5 ...

compute_data.py keeps with each structure the error that the weights of that day had on it (base_eps_mae_percent, their
sum base_weights), the number of iterations of the SCF and what it started from. Errors are ε_mae in percent of the
electrons, means over the structures; iterations are those of SCFs that started from the prediction.
Structures without such a record are counted and left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.stores.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", type=Path, metavar="STORE.h5")
    head = f"{'store':24s}{'weights':>14s}{'number':>8s}{'SAED':>8s}{'base':>8s}{'better':>8s}{'iterations':>12s}"
    print(f"{head}{'from atoms':>12s}")
    for path in parser.parse_args().stores:
        show(path)


def show(path: Path) -> None:
    """A line for each weights that a store was computed with."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for _, facts in Store.open(path).facts():
        groups[str(facts.get("base_weights", ""))].append(facts)
    for weights, entries in groups.items():
        saed = np.array([float(facts["saed_eps_mae_percent"]) for facts in entries])
        line = f"{path.name:24s}{weights or 'no record':>14s}{len(entries):8d}{saed.mean():8.2f}"
        if weights:
            base = np.array([float(facts["base_eps_mae_percent"]) for facts in entries])
            from_base = [int(facts["scf_iterations"]) for facts in entries if facts["scf_start"] != "atoms"]
            steps = f"{np.mean(from_base):12.1f}" if from_base else f"{'-':>12s}"
            line += f"{base.mean():8.2f}{100 * (base < saed).mean():6.0f} %{steps}{len(entries) - len(from_base):12d}"
        print(line)


if __name__ == "__main__":
    main()
