"""The reference density of one atom."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class AtomicDensity:
    """A spherical atomic valence density, as a form factor on a uniform q mesh.

    label : POTCAR label such as "Fe_pv"
    element : "Fe"
    zval : electrons (ZVAL)
    q : (n_q,) float64, 1/Å, uniform from 0
    form : (n_q,) float64, electrons; f(q) = ∫ 4πr² n(r) sin(qr)/(qr) dr, form[0] = zval; taken as 0 beyond q[-1]
    source : where it comes from, one line: "POTCAR PAW_PBE Fe_pv 02Aug2007", "built-in PBE", ...
    xc : "PBE", "LDA", ... or ""
    channels : l of each PAW projector in POTCAR order, or None
    occupancies : (n_channels, n_channels) atomic occupancies of the channels ("uccopancies in atom"), or None
    enmax, eaug : eV (the POTCAR's ENMAX and EAUG), or None
    """

    label: str
    element: str
    zval: float
    q: NDArray[np.float64]
    form: NDArray[np.float64]
    source: str
    xc: str = ""
    channels: tuple[int, ...] | None = None
    occupancies: NDArray[np.float64] | None = None
    enmax: float | None = None
    eaug: float | None = None

    @cached_property
    def sha256(self) -> str:
        """Hash of what enters a superposition: zval and the table."""
        digest = hashlib.sha256(np.float64(self.zval).tobytes())
        for array in (self.q, self.form):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()
