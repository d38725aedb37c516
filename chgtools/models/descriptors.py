"""Known properties of the elements, which let a rarely seen element borrow from those like it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = (
    "period", "s", "p", "d", "f", "electronegativity", "atomic_radius", "ionization_energy", "electron_affinity",
    "mendeleev_number", "empty_p", "empty_d",
)  # fmt: skip


@cache
def properties(elements: Sequence[str]) -> NDArray[np.float64]:
    """(n_elements, len(NAMES)) properties as pymatgen tabulates them, over their usual spread.

    period, electrons in the outer shells s, p, d, f; Pauling's electronegativity, atomic radius (Å), first ionisation
    energy and electron affinity (eV), Mendeleev number; places left in a p or d shell that is filled in part. What is
    not known (the electronegativity of a noble gas) is the mean. Centre and spread are fixed numbers, so an element's
    row is the same beside whatever others.
    """
    if not elements:
        return np.zeros((0, len(NAMES)))
    with warnings.catch_warnings():  # pymatgen warns of each number that it lacks
        warnings.simplefilter("ignore", UserWarning)
        return _tabulated(elements)


def _tabulated(elements: Sequence[str]) -> NDArray[np.float64]:
    from pymatgen.core import Element

    from chgtools.radial_atom.configurations import ground_state

    rows = []
    for symbol in elements:
        element = Element(symbol)
        outer = [0.0, 0.0, 0.0, 0.0]
        for shell in ground_state(symbol):
            if shell.n >= element.row - (shell.ell == 2) - 2 * (shell.ell == 3):
                outer[shell.ell] += shell.electrons if shell.n + shell.ell >= element.row or shell.ell < 2 else 0
        x = element.X if np.isfinite(element.X) else np.nan
        radius = element.atomic_radius_calculated or element.atomic_radius or np.nan
        rows.append([
            element.row, *outer, x, float(radius), element.ionization_energies[0], element.electron_affinity or np.nan,
            element.mendeleev_no, outer[1] and 6 - outer[1], outer[2] and 10 - outer[2],
        ])  # fmt: skip
    values = np.array([[np.nan if v is None else float(v) for v in row] for row in rows])
    centre = np.array([4.0, 1.6, 1.5, 3.0, 1.0, 1.8, 1.4, 8.0, 1.0, 55.0, 1.5, 2.0])
    spread = np.array([1.3, 0.5, 2.0, 4.0, 4.0, 0.7, 0.5, 2.5, 1.0, 28.0, 2.0, 3.0])
    values = (values - centre) / spread
    return np.where(np.isfinite(values), values, 0.0)
