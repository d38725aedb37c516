"""Atomic densities as weights of a partition: positive everywhere, and smooth far out where tables hold noise.

A density from a form factor that ends at some q rings: beyond some Å around 1e-8 to 1e-7 electrons/Å³ of either sign
are left. From the radius on where it has fallen to 1e-5 electrons/Å³ it is therefore continued by the exponential that
it followed over the two powers of ten before, as a bound state decays, until it may be left out.
"""

from __future__ import annotations

import numpy as np

from chgtools.atoms.density import AtomicDensity
from chgtools.kernels.geometry import Cubics
from chgtools.start.superposition import cubics, radial_density

TAIL = 1e-5  # electrons/Å³, for each electron of atoms with less than one: where the exponential begins
FITTED = 100.0  # times TAIL: where the decay is measured from
END = 1e-3  # times TAIL: where the weight is left out; 1e-5 changes charges by 1e-7 e, at twice the time
SLOWEST = 0.5  # 1/Å; atoms decay faster, and the sphere stays finite


def weight_table(density: AtomicDensity) -> Cubics:
    """The weight of an atom, electrons/Å³ at radii in Å: its density up to 1e-5, exponential to 1e-8, then 0."""
    n, step = radial_density(density)
    r = step * np.arange(len(n))
    tail = TAIL * min(1.0, density.zval)
    outer = int(np.argmax(r**2 * n))  # semicore shells and the dips between lie further in
    below = np.flatnonzero(n[outer:] < tail)
    last = outer + int(below[0]) - 1 if below.size else len(n) - 1
    inner = int(np.flatnonzero(n[: last + 1] >= FITTED * n[last])[-1])
    decay = max(float(np.log(n[inner] / n[last])) / (r[last] - r[inner]), SLOWEST)
    end = float(r[last] + np.log(n[last] / (END * tail)) / decay)
    mesh = step * np.arange(int(end / step) + 3)
    values = np.empty(len(mesh))
    values[: last + 1] = np.maximum(n[: last + 1], END * tail)
    values[last + 1 :] = n[last] * np.exp(-decay * (mesh[last + 1 :] - r[last]))
    return Cubics(cubics(values, step), step, end)
