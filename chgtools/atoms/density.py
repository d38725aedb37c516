"""The reference density of one atom."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from chgtools.display.shown import Shown
from chgtools.errors import ChgtoolsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNIFORM = 1e-9  # largest deviation of the q mesh from a uniform one, relative to its end
CHARGE = 1e-6  # largest deviation of form[0] from zval, relative to zval (or to 1 electron below that)
FINEST_STEP, WIDEST_STEP = 1e-6, 1e3  # 1/Å; no atom needs others, and splines overflow beyond
LARGEST_FORM = 1e3  # of ZVAL; ∫|n| is that of a density that is positive nearly everywhere
_BLOCK = 1 << 21  # elements of the largest temporary array in transforms


@dataclass(frozen=True, eq=False, repr=False)
class AtomicDensity(Shown):
    """A spherical atomic valence density, as a form factor on a uniform q mesh.

    label : POTCAR label such as "Fe_pv"
    element : "Fe"
    zval : electrons (ZVAL)
    q : (n_q,) float64, 1/Å, uniform from 0; kept as q[1] · (0, 1, 2, ...)
    form : (n_q,) float64, electrons; f(q) = ∫ 4πr² n(r) sin(qr)/(qr) dr, form[0] = zval; taken as 0 beyond q[-1]
    source : where it comes from, one line: "POTCAR PAW_PBE Fe_pv 02Aug2007", "built-in PBE", ...
    xc : "PBE", "LDA", ... or ""
    channels : l of each PAW projector in POTCAR order, or None
    occupancies : (n_channels, n_channels) atomic occupancies of the channels ("uccopancies in atom"), or None
    mean_occupancies : (n_channels, n_channels) the same as a mean of reference CHGCARs (chgtools.paw.means), or None
    enmax, eaug : eV (the POTCAR's ENMAX and EAUG), or None
    provenance : what else is known of how it was made, such as {"configuration": "3d7 4s1"}
    Raises ChgtoolsError for a mesh that is not uniform from 0, numbers that are not finite, form[0] that is not zval.
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
    provenance: Mapping[str, str | float] = field(default_factory=dict)
    mean_occupancies: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        q, form = np.asarray(self.q, dtype=float), np.ascontiguousarray(self.form, dtype=float)
        name = f"density of {self.label or self.element}"
        if q.ndim != 1 or q.shape != form.shape or q.size < 4:
            raise ChgtoolsError(f"{name}: q has shape {q.shape}, form {form.shape}; wanted the same (n,), n >= 4")
        if not (np.isfinite(q).all() and np.isfinite(form).all()):
            raise ChgtoolsError(f"{name}: the table holds NaN or infinity; wanted finite numbers")
        if not FINEST_STEP <= abs(q[1]) <= WIDEST_STEP:
            raise ChgtoolsError(f"{name}: the step of q is {q[1]:g} 1/Å; wanted {FINEST_STEP:g} to {WIDEST_STEP:g}")
        uniform = q[1] * np.arange(q.size)
        if q[1] <= 0 or np.abs(q - uniform).max() > UNIFORM * q[-1]:
            raise ChgtoolsError(f"{name}: q is not uniform from 0 ({q[0]:g}, {q[1]:g}, ... {q[-1]:g} 1/Å)")
        if not self.zval > 0 or abs(form[0] - self.zval) > CHARGE * max(self.zval, 1.0):
            raise ChgtoolsError(f"{name}: f(0) = {form[0]:.8g} electrons, ZVAL = {self.zval:.8g}; they must be equal")
        if np.abs(form).max() > LARGEST_FORM * self.zval:
            raise ChgtoolsError(
                f"{name}: the table holds {np.abs(form).max():g} electrons, {self.zval:g} are the atom's"
            )
        for field_name in ("occupancies", "mean_occupancies"):
            values = getattr(self, field_name)
            if values is None:
                continue
            wanted = (len(self.channels or ()),) * 2
            if np.shape(values) != wanted:
                words = field_name.replace("_", " ")
                raise ChgtoolsError(f"{name}: {words} of shape {np.shape(values)}, channels want {wanted}")
            object.__setattr__(self, field_name, np.ascontiguousarray(values, dtype=float))
        if self.channels is not None:
            object.__setattr__(self, "channels", tuple(int(ell) for ell in self.channels))
        object.__setattr__(self, "zval", float(self.zval))
        object.__setattr__(self, "q", uniform)
        object.__setattr__(self, "form", form)

    def shown(self) -> dict[str, object]:
        """For people: the label, ZVAL, what is known beside the density, and where it comes from."""
        known = [name for name in ("occupancies", "mean_occupancies") if getattr(self, name) is not None]
        return {
            "label": self.label or self.element,
            "ZVAL": f"{self.zval:g}",
            "functional": self.xc,
            "ENMAX": "" if self.enmax is None else f"{self.enmax:g} eV",
            "holds": ", ".join(name.replace("_", " ") for name in known),
            "from": self.source,
        }

    @cached_property
    def sha256(self) -> str:
        """Hash of what enters a superposition: zval and the table."""
        digest = hashlib.sha256(np.float64(self.zval).tobytes())
        for array in (self.q, self.form):
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def weighted(self, weight: float) -> AtomicDensity:
        """This many of the atom, as VCA has it: density, ZVAL and electrons; occupancies stay those of a whole one."""
        source = f"{self.source}, weighted by {weight:g} (VCA)"
        return replace(self, zval=weight * self.zval, form=weight * self.form, source=source)

    @cached_property
    def second_derivatives(self) -> NDArray[np.float64]:
        """(n_q,) f''(q) in electrons Å² of the cubic spline through the table; f'(0) = 0."""
        from chgtools.functions.spline import second_derivatives

        return second_derivatives(self.form, float(self.q[1]))

    def form_factor(self, q: ArrayLike) -> NDArray[np.float64]:
        """f(q) in electrons at any q in 1/Å (any shape): cubic spline, even in q, 0 beyond the table."""
        from chgtools.functions.spline import evaluate

        return evaluate(self.form, self.second_derivatives, float(self.q[1]), q)

    def density(self, r: ArrayLike) -> NDArray[np.float64]:
        """n(r) in electrons/Å³ at radii in Å (any shape), n(r) = 1/(2π²) ∫ q² f(q) sin(qr)/(qr) dq.

        The trapezoid rule on the table is exact up to its own truncation for r < π/q[1]; beyond that n is taken as 0.
        """
        radii = np.abs(np.asarray(r, dtype=float))
        flat, values = radii.ravel(), np.zeros(radii.size)
        weights = self.q**2 * self.form * (self.q[1] / (2 * np.pi**2))
        weights[-1] *= 0.5
        inside = np.flatnonzero(flat < np.pi / self.q[1])
        for part in np.array_split(inside, inside.size * self.q.size // _BLOCK + 1):
            values[part] = np.sinc(flat[part, None] * (self.q / np.pi)) @ weights
        return values.reshape(radii.shape)

    def electrons_within(self, r: ArrayLike, distance: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Electrons inside spheres of radii r in Å (any shape), whose centres are so far (Å) from the nucleus.

        2r/π ∫ f(q) [sin(qr)/(qr) - cos(qr)] sin(qd)/(qd) dq, for r + d < π/q[1]: f times the sphere's transform.
        """
        radii, apart = np.broadcast_arrays(np.asarray(r, dtype=float), np.asarray(distance, dtype=float))
        flat, away, values = radii.ravel(), apart.ravel(), np.full(radii.size, self.zval)
        weights = self.form * (2 * self.q[1] / np.pi)
        weights[[0, -1]] *= 0.5
        inside = np.flatnonzero(flat < np.pi / self.q[1])
        for part in np.array_split(inside, inside.size * self.q.size // _BLOCK + 1):
            x = flat[part, None] * self.q
            sphere = (np.sinc(x / np.pi) - np.cos(x)) * np.sinc(away[part, None] * (self.q / np.pi))
            values[part] = flat[part] * (sphere @ weights)
        return values.reshape(radii.shape)

    def radius_of(self, share: float) -> float:
        """Smallest multiple of 0.01 Å within which at least ``share`` (below 1) of the electrons are."""
        end = np.pi / self.q[1]
        for start in np.arange(0.0, end, 2.0):
            r = start + 0.01 * np.arange(200)
            enough = np.flatnonzero(self.electrons_within(r) >= share * self.zval)
            if enough.size:
                return round(float(r[enough[0]]), 2)
        return float(end)


def radial_transform(
    r: NDArray[np.float64], weights: NDArray[np.float64], step: float, count: int
) -> NDArray[np.float64]:
    """f(q) = Σ_i weights[i] sin(q r_i)/(q r_i) at q = 0, step, ..., (count - 1) step; returns (count,).

    r : (n_r,) radii, any mesh, in the inverse unit of step; weights : (n_r,), 4πr² n(r) times the quadrature's weight
    With q = (64a + b) step, sin(qr) = Im[exp(i 64a step r) exp(i b step r)]: the sum over r is one matrix product.
    """
    inner = 64
    at_zero = float(weights[r == 0].sum())
    positive = r > 0
    r, weights = r[positive], weights[positive]
    outer = -(-count // inner)
    sums = np.zeros((outer, inner))
    for start in range(0, r.size, 4096):
        part, weight = r[start : start + 4096], weights[start : start + 4096]
        coarse = np.exp(1j * step * inner * np.arange(outer)[:, None] * part) * (weight / part)
        sums += (coarse @ np.exp(1j * step * np.arange(inner) * part[:, None])).imag
    form = np.empty(count)
    form[0] = weights.sum()
    form[1:] = sums.ravel()[1:count] / (step * np.arange(1, count))
    return form + at_zero
