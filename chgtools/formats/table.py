"""Atomic densities as plain text tables, the way in for any other program.

    # chgtools atomic density
    # label = Fe_pv              POTCAR label
    # element = Fe               optional; else told by the label
    # zval = 14                  electrons
    # columns = r n              r n: radius and density; q f: wave number and form factor
    # units = angstrom           angstrom: Å, electrons/Å³, 1/Å; bohr: bohr, electrons/bohr³, 1/bohr
    # xc = PBE                   optional
    0.000   8.1234E-01
    0.010   8.1229E-01
    ...

The first line is as above; further comments without "=" are passed over. ``r n``: radii rise, from 0 or near it; n is
taken as 0 beyond the last. ``q f``: q rises from 0, f(0) = zval. f(q) = ∫ 4πr² n(r) sin(qr)/(qr) dr in electrons.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.density import AtomicDensity, radial_transform
from chgtools.atoms.labels import element_of
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError, naming
from chgtools.formats.streams import read_bytes
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_LINE = "# chgtools atomic density"
KEYS = ("label", "element", "zval", "columns", "units", "xc")
WRONG_CHARGE = 0.01  # relative error of the electrons above which a table is refused
FIRST_RADIUS = 0.1  # Å; a table that begins farther out lacks the core
LAST_RADIUS = 200.0  # Å
LARGEST = 1e12  # of a density in electrons/Å³ or electrons/bohr³, or a form factor; uranium's core has 1e7
Q_MAX, Q_STEP = 100.0, 0.02  # 1/Å; of the form factor made from a density
R_STEP = 0.02  # Å; widest interval of the quadrature, four Gauss points each
MAX_POINTS = 20_000  # of a form factor brought to a uniform mesh


def read_table(path: str | Path) -> AtomicDensity:
    """The density of a table, plain or compressed.

    It is scaled to hold zval electrons. Raises FormatError for a table that is incomplete or damaged, and where its
    electrons are more than 1 % off zval.
    """
    facts, values = _parsed(path)
    label = _fact(facts, "label", path)
    element = facts.get("element", element_of(label))
    columns, units = " ".join(_fact(facts, "columns", path).split()), _fact(facts, "units", path)
    for key, found, wanted in (("columns", columns, ("r n", "q f")), ("units", units, ("angstrom", "bohr"))):
        if found not in wanted:
            raise FormatError(f"found {key} = {found}; wanted {' or '.join(wanted)}", path)
    if element not in SYMBOLS:
        raise FormatError(f"found the element {element!r}; wanted a chemical symbol, as '# element = Fe'", path)
    try:
        zval = float(_fact(facts, "zval", path))
    except ValueError:
        zval = 0.0
    if not (zval > 0 and np.isfinite(zval)):
        raise FormatError(f"found zval = {facts['zval']}; wanted a positive number of electrons", path)
    bohr = BOHR_ANGSTROM if units == "bohr" else 1.0
    if columns == "r n":
        q, form = _from_density(values[:, 0] * bohr, values[:, 1] / bohr**3, path)
    else:
        q, form = _uniform(values[:, 0] / bohr, values[:, 1], path)
    charge = float(form[0])
    if abs(charge - zval) > WRONG_CHARGE * zval:
        raise FormatError(f"holds {charge:.6g} electrons, zval is {zval:g}; they must agree to 1 %", path)
    form = form * (zval / charge)
    form[0] = zval
    with naming(path):
        return AtomicDensity(
            label=label,
            element=element,
            zval=zval,
            q=q,
            form=form,
            source=f"table {Path(path).name}",
            xc=facts.get("xc", ""),
            provenance={"electrons_in_file": charge},
        )


def _parsed(path: str | Path) -> tuple[dict[str, str], NDArray[np.float64]]:
    """The settings and the (n, 2) numbers of a file."""
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    if not lines or lines[0].split() != FIRST_LINE.split():
        raise FormatError(f"is no table of an atomic density; wanted {FIRST_LINE!r} as the first line", path, 1)
    facts: dict[str, str] = {}
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("#"):
            key, equals, value = (part.strip() for part in text[1:].partition("="))
            if equals and key not in KEYS:
                raise FormatError(f"found {key!r} in the header; wanted one of {', '.join(KEYS)}", path, number)
            if equals:
                facts[key] = value
        elif text:
            words = text.split()
            try:
                first, second = (float(word.upper().replace("D", "E")) for word in words)
            except ValueError:
                raise FormatError(f"found {text[:40]!r}; wanted two numbers", path, number) from None
            if not (np.isfinite(first) and np.isfinite(second)):
                raise FormatError(f"found {text[:40]!r}; wanted finite numbers", path, number)
            if abs(second) > LARGEST:
                raise FormatError(f"found {second:g} in the second column; wanted at most {LARGEST:g}", path, number)
            if (rows and first <= rows[-1][0]) or first < 0:
                raise FormatError(f"found {first:g} in the first column; wanted values that rise from 0", path, number)
            rows.append((first, second))
    if len(rows) < 4:
        raise FormatError(f"found {len(rows)} rows; wanted at least 4", path, len(lines))
    return facts, np.array(rows)


def _fact(facts: dict[str, str], key: str, path: str | Path) -> str:
    if not facts.get(key):
        raise FormatError(f"found no '# {key} = ...' in the header; wanted it", path)
    return facts[key]


def _from_density(
    r: NDArray[np.float64], n: NDArray[np.float64], path: str | Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """q (1/Å) and f of n(r) in electrons/Å³ at radii in Å: Gauss quadrature of the cubic spline through n."""
    from scipy.interpolate import CubicSpline

    if r[0] > FIRST_RADIUS:
        raise FormatError(f"the first radius is {r[0]:g} Å; wanted 0 or at most {FIRST_RADIUS} Å", path)
    if r[-1] > LAST_RADIUS:
        raise FormatError(
            f"the last radius is {r[-1]:g} Å; wanted at most {LAST_RADIUS:g} Å (are the units right?)", path
        )
    edges = r if r[0] == 0 else np.concatenate([[0.0], r])
    parts = [
        np.linspace(low, high, int(np.ceil((high - low) / R_STEP)), endpoint=False) for low, high in pairwise(edges)
    ]
    edges = np.append(np.concatenate(parts), edges[-1])
    nodes, weights = np.polynomial.legendre.leggauss(4)
    half = 0.5 * np.diff(edges)[:, None]
    points = (0.5 * (edges[:-1] + edges[1:])[:, None] + half * nodes).ravel()
    electrons = 4 * np.pi * points**2 * CubicSpline(r, n)(points) * (half * weights).ravel()
    count = round(Q_MAX / Q_STEP) + 1
    return Q_STEP * np.arange(count, dtype=np.float64), radial_transform(points, electrons, Q_STEP, count)


def _uniform(
    q: NDArray[np.float64], form: NDArray[np.float64], path: str | Path
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The form factor on a uniform mesh: as it is, but for rounded q, or else by a cubic spline with f'(0) = 0."""
    from scipy.interpolate import CubicSpline

    if q[0] != 0:
        raise FormatError(f"the first q is {q[0]:g}; wanted 0, where f is the number of electrons", path)
    step = q[-1] / (len(q) - 1)
    uniform = step * np.arange(len(q), dtype=np.float64)
    if np.abs(uniform - q).max() < 1e-4 * step:
        return uniform, form
    count = int(np.ceil(q[-1] / np.diff(q).min())) + 1
    if count > MAX_POINTS:
        raise FormatError(f"q is not uniform and so fine that {count} points are needed; give a uniform q", path)
    uniform = q[-1] / (count - 1) * np.arange(count, dtype=np.float64)
    return uniform, CubicSpline(q, form, bc_type=((1, 0.0), (2, 0.0)))(uniform)
