"""What do occupancies of real CHGCARs add up to? Traces of each channel, beside the electrons of the potential.

    python benchmarks/files/record_traces.py [--data ../shared/corpus]

Of CHGCARs with records whose labels and channels are known: the first ion of each species, its label and ZVAL, for each
channel its l, the trace Σ_m ρ_am,am, and for each pair of channels of one l Σ_m ρ_am,bm, which L = 0 of a record holds.
If the partial waves were orthonormal within the sphere, traces were electrons.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

from chgtools.atoms.labels import UnknownLabelError, label_facts
from chgtools.formats import chgcar
from chgtools.paw.records import matrix_from_record, record_length

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import CORPUS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=CORPUS)
    data = parser.parse_args().data
    print(f"{'file':44s}{'label':8s}{'ZVAL':>6s}  traces by channel | pairs of one l")
    for facts in json.loads((data / "index.json").read_text()):
        if facts["kind"] == "CHGCAR" and facts["has_augmentation"] and facts["labels"]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                show(facts, chgcar.read(data / facts["path"], dtype=np.float32))


def show(facts: dict[str, list[str]], found: chgcar.VolumetricData) -> None:
    """A line for each species whose channels are known."""
    first = 0
    for text, count in zip(facts["labels"], found.structure.counts, strict=True):
        name = text.split()[1] if len(text.split()) > 1 else text
        record = found.augmentation[0].real[first]
        first += count
        try:
            label = label_facts(name)
        except UnknownLabelError:
            continue
        if not label.channels or record_length(label.channels) != len(record):
            continue
        matrix = matrix_from_record(label.channels, record)
        starts = np.concatenate([[0], np.cumsum([2 * ell + 1 for ell in label.channels])])
        traces, pairs = [], []
        for a, one in enumerate(label.channels):
            for b, other in enumerate(label.channels):
                block = matrix[starts[a] : starts[a + 1], starts[b] : starts[b + 1]]
                if a == b:
                    traces.append(f"{'spdf'[one]} {np.trace(block):.2f}")
                elif a < b and one == other:
                    pairs.append(f"{'spdf'[one]} {np.trace(block):.2f}")
        print(f"{facts['path'][:43]:44s}{name:8s}{label.zval:6.1f}  {', '.join(traces)} | {', '.join(pairs)}")


if __name__ == "__main__":
    main()
