"""Put shipped weights together: networks of one file, trust and table of another that was trained likewise.

    python benchmarks/training/finish.py LAST.safetensors ALL.safetensors OUT.safetensors [--unseen U]

LAST and ALL go on from the same weights by the same last steps, ALL with the structures as well that LAST kept aside.
So what was measured of LAST is the best there is to say of ALL, and its card says whose figures they are. --unseen is
what benchmarks/learned/unseen_trust.py prints.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from chgtools.models.weights import load_model, save_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("last", "all", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--unseen", type=float, default=1.0)
    arguments = parser.parse_args()
    last, everything = load_model(arguments.last), load_model(arguments.all)
    if last.elements != everything.elements or last.card["started_from"] != everything.card["started_from"]:
        sys.exit(f"{arguments.last} and {arguments.all} do not go on from the same weights")
    aside = last.card["validation_eps_mae_percent"]
    trust = replace(last.trust, unseen=arguments.unseen, structures=int(aside["all"]["structures"]))
    card = dict(everything.card) | {
        "validation_eps_mae_percent": aside,
        "validation_of": "the same weights after the same steps without the structures that were kept aside",
    }
    save_model(replace(everything, trust=trust, card=card), arguments.out, half=True)
    print(f"{arguments.out}: {len(everything.members)} members, {aside['all']['model']:.3f} % kept aside")


if __name__ == "__main__":
    main()
