"""Which way the moments of a training structure pointed at the start: what a learned magnetisation is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import FormatError
from chgtools.models.moments import directions
from chgtools.stores.moments import MAGNETIC

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.stores.entry import Entry


def start_directions(entry: Entry) -> NDArray[np.float64] | None:
    """(n_atoms, 1 or 3) of a spin-polarised entry; None of any other.

    Raises FormatError where its start moments do not fit its atoms.
    """
    if entry.magnetisation is None:
        return None
    count, components = entry.structure.n_atoms, len(entry.magnetisation)
    given = entry.attributes.get("start_moments")
    if given is None:
        up = np.array([float(symbol in MAGNETIC) for symbol in entry.structure.elements])
        return directions(up if components == 1 else np.stack([0 * up, 0 * up, up], 1))
    values = np.asarray(given, dtype=float)
    if values.shape != (components, count):
        raise FormatError(
            f"entry {entry.name}: start moments of shape {values.shape}, wanted {(components, count)}; build it again",
            entry.structure.source,
        )
    return directions(values[0] if components == 1 else values.T)
