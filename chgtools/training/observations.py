"""Observations of weights that are kept beside them, a line for each structure: what is done is not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.files import replacing
from chgtools.training.calibration import Observation, observe
from chgtools.training.members import StoppedError, weights_digest
from chgtools.training.processes import is_first
from chgtools.training.spins import start_directions

if TYPE_CHECKING:
    from chgtools.models.model import DensityModel
    from chgtools.stores.entry import Entry
    from chgtools.training.members import Listener


def observe_kept(model: DensityModel, entries: Sequence[Entry], path: Path, listener: Listener) -> list[Observation]:
    """:func:`chgtools.training.calibration.observe`, with what ``path`` holds of these weights and these structures.

    path : written by the first process; what it holds of other weights is dropped
    Raises StoppedError when the listener stops it.
    """
    if not entries:
        return []
    kept = _Kept(path, weights_digest(model))
    observations = []
    for done, entry in enumerate(entries):
        if listener.stops():
            raise StoppedError(
                f"the calibration was stopped after {done} of {len(entries)} structures; the same command goes on"
            )
        observations.append(kept.of(entry, model))
    return observations


class _Kept:
    """The observations of one set of weights: those in a file, and those that are made."""

    def __init__(self, path: Path, weights: str) -> None:
        self.path, self.weights = path, weights
        self.found = _read(path, weights)
        if is_first():
            with replacing(path) as temporary:
                temporary.write_text("".join(_line(weights, key, each) for key, each in self.found.items()))

    def of(self, entry: Entry, model: DensityModel) -> Observation:
        key = _key(entry)
        if key not in self.found:
            (self.found[key],) = observe(model, [entry])
            if is_first():
                with self.path.open("a") as file:
                    file.write(_line(self.weights, key, self.found[key]))
        return self.found[key]


def _key(entry: Entry) -> str:
    """Of all that an observation of an entry follows from, beside the weights."""
    sha = hashlib.sha256()
    structure = entry.structure
    electrons, moments = float(entry.attributes["nelectrons"]), start_directions(entry)
    for values in (structure.lattice, structure.frac, entry.miller, entry.dcd, entry.shape, entry.dcd_0, electrons):
        sha.update(np.ascontiguousarray(values).tobytes())
    sha.update(repr(structure.elements).encode())
    sha.update(b"" if moments is None else moments.tobytes())
    return sha.hexdigest()


def _line(weights: str, key: str, found: Observation) -> str:
    values = {
        "weights": weights, "structure": key, "spread": found.spread, "norm": found.norm,
        "saed_error": found.saed_error, "factors": found.factors.tolist(), "errors": found.errors.tolist(),
        "unseen_share": found.unseen_share,
    }  # fmt: skip
    return json.dumps(values) + "\n"


def _read(path: Path, weights: str) -> dict[str, Observation]:
    """Those of the weights; a line that a killed process left half-written is none."""
    if not path.exists():
        return {}
    found: dict[str, Observation] = {}
    for line in path.read_text().splitlines():
        try:
            values: dict[str, Any] = json.loads(line)
            if values["weights"] == weights:
                found[values["structure"]] = Observation(
                    values["spread"], values["norm"], values["saed_error"], np.array(values["factors"]),
                    np.array(values["errors"]), values["unseen_share"],
                )  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue
    return found
