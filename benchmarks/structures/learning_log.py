"""What the weights made of structures before they learned from them, store by store: the honest learning curve.

    python benchmarks/structures/learning_log.py STORE.h5 ... [--picture FILE.png]

compute_data.py keeps with each structure the error that the weights of that day had on it (base_eps_mae_percent, their
sum base_weights), the number of iterations of the SCF and what it started from. Errors are ε_mae in percent of the
electrons, means over the structures; iterations are those of SCFs that started from the prediction.
Structures without such a record are counted and left out. The picture has a dot for each structure, by weights and
kind: what was computed changed with the weights, so that dots of one colour are to be compared.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chgtools.pictures.drawing import picture
from chgtools.stores.store import Store

WEIGHTS = {  # sum of the file "base": structures that it learned from, version of its prior
    "a04d8ff21310": "777\nno prior",
    "b7d2fbece8ba": "978\nfirst prior",
    "894fc44a6b95": "1191\nsecond prior",
    "adb07bc713d0": "1319\nsecond prior",
    "7dbaa3bf5f90": "1410\nsecond prior",
    "b55d99f98739": "1493\nthird prior",
    "3775b5d7aaa1": "1612\nthird prior",
}
COLOURS = {"magnets": "#c03028", "molecules": "#d08c3a", "common compounds": "#2a6fb0", "others": "#777777"}
SPREAD = 0.7  # of a column, over which its dots lie
FEWEST = 3  # structures whose median is drawn

Facts = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="+", type=Path, metavar="STORE.h5")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the errors into FILE (.png, .pdf, .svg)")
    arguments = parser.parse_args()
    head = f"{'store':24s}{'weights':>14s}{'number':>8s}{'SAED':>8s}{'base':>8s}{'better':>8s}{'iterations':>12s}"
    print(f"{head}{'from atoms':>12s}")
    found: dict[str, list[Facts]] = defaultdict(list)
    for path in arguments.stores:
        for weights, entries in by_weights(path).items():
            show(path.name, weights, entries)
            found[weights] += entries
    if arguments.picture:
        found.pop("", None)
        known = [weights for weights in WEIGHTS if weights in found]
        draw({weights: found[weights] for weights in dict.fromkeys(known + list(found))}, arguments.picture)


def by_weights(path: Path) -> dict[str, list[Facts]]:
    """Facts of a store's structures by the sum of the weights that saw them first; "" for those without a record."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for _, facts in Store.open(path).facts():
        groups[str(facts.get("base_weights", ""))].append(facts)
    return groups


def show(store: str, weights: str, entries: list[Facts]) -> None:
    """A line for each weights that a store was computed with."""
    saed = errors(entries, "saed")
    line = f"{store:24s}{weights or 'no record':>14s}{len(entries):8d}{saed.mean():8.2f}"
    if weights:
        base = errors(entries, "base")
        from_base = [int(facts["scf_iterations"]) for facts in entries if facts["scf_start"] != "atoms"]
        steps = f"{np.mean(from_base):12.1f}" if from_base else f"{'-':>12s}"
        line += f"{base.mean():8.2f}{100 * (base < saed).mean():6.0f} %{steps}{len(entries) - len(from_base):12d}"
    print(line)


def errors(entries: list[Facts], what: str) -> np.ndarray:
    """(n) ε_mae, percent of the electrons."""
    return np.array([float(facts[f"{what}_eps_mae_percent"]) for facts in entries])


def group(facts: Facts) -> str:
    """Which colour a structure has."""
    kind = str(facts["kind"])
    if facts["spins"]:
        return "magnets"
    if kind.startswith("molecule"):
        return "molecules"
    return "common compounds" if kind.startswith("ordinary") else "others"


def draw(found: Mapping[str, list[Facts]], path: Path) -> None:
    """A column of dots for each weights, a line at the median of each group of ``FEWEST`` or more."""
    random = np.random.default_rng(0)
    labelled: set[str] = set()
    with picture(path, 6.6, 3.4) as figure:
        axes = figure.subplots()
        for place, entries in enumerate(found.values()):
            names = [name for name in COLOURS if any(group(facts) == name for facts in entries)]
            width = SPREAD / len(names)
            for i, name in enumerate(names):
                values = errors([facts for facts in entries if group(facts) == name], "base")
                centre = place - SPREAD / 2 + width * (i + 0.5)
                x = centre + width * random.uniform(-0.4, 0.4, len(values))
                axes.plot(x, values, ".", color=COLOURS[name], alpha=0.45, markersize=4, markeredgewidth=0,
                          label="" if name in labelled else name)  # fmt: skip
                labelled.add(name)
                if len(values) < FEWEST:
                    continue
                median = np.median(values)
                axes.plot([centre - 0.45 * width, centre + 0.45 * width], [median, median], color=COLOURS[name])
                axes.annotate(f"{median:.2f}", (centre, median), (0, 3), textcoords="offset points", ha="center",
                              fontsize=7, color=COLOURS[name],
                              bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85})  # fmt: skip
        axes.set_yscale("log")
        axes.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axes.minorticks_off()
        axes.set_xticks(range(len(found)), [WEIGHTS.get(weights, weights) for weights in found])
        axes.set_xlabel("structures that the weights had learned from")
        axes.set_ylabel("ε_mae, percent of the electrons")
        axes.set_title("Predicted before it was learned: a dot a structure, medians as lines")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper right")
        figure.tight_layout()


if __name__ == "__main__":
    main()
