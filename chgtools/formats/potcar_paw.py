"""The radial sets of a POTCAR: partial waves, projectors, core and compensation charge of its PAW data sets.

    Description                                  l, E (eV), TYP, RCUT (bohr), ...; a line for each channel, then others
    Non local Part                               l, number of projectors, radius in Å; then D_ij, and for each projector
     Reciprocal Space Part, Real Space Part      100 numbers; p(r) at (i - 1)/100 of that radius, Å^-3/2
    PAW radial sets                              NMAX and a radius, then the format of the numbers
    augmentation charges (non sperical)          (channels)² numbers Q_ij = ∫ (u_i u_j - ũ_i ũ_j) dr
    grid                                         NMAX radii in Å, each some factor times the one before
    core charge-density, ... (pseudized)         NMAX numbers each, proportional to r² ρ
    pseudo wavefunction, ae wavefunction         once for each channel: ũ = r φ̃ and u = r φ at the radii, Å^-1/2

Titles, order and counts are those of scrambled real files (pymatgen) and of public readers (pawpyseed,
VaspBandUnfolding). Waves and units are held against what the set itself says, Q_ij and the RCUT at which waves meet; a
set that does not agree with itself is refused. The core is scaled to Z - ZVAL, projectors are taken as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chgtools.atoms.paw_dataset import PawDataset
from chgtools.elements import SYMBOLS
from chgtools.errors import naming
from chgtools.formats.potcar import element_of_set
from chgtools.formats.potcar_text import DataSet, data_sets, numbers
from chgtools.formats.streams import read_bytes
from chgtools.functions.spline import evaluate, second_derivatives
from chgtools.units import BOHR_ANGSTROM, HARTREE_EV

if TYPE_CHECKING:
    from numpy.typing import NDArray

AGREE = 0.01  # share of the largest Q_ij, or of 0.1 electrons, that waves may be off theirs: quadrature, digits
MEET = (0.3, 1.2)  # times RCUT, between which waves meet
SAME_ENERGY = 0.01  # eV, of a channel and a shell of the atomic configuration
N_PROJECTOR = 100
FARTHEST = 100.0  # Å, of projectors; more is damage


def read_paw_datasets(path: str | Path) -> list[PawDataset | None]:
    """What each data set knows, in the order of the file; None for one without PAW radial sets (US-PP, all-electron).

    Electrons of a channel are the diagonal of "uccopancies in atom", which need not be whole numbers; n is that of the
    shell of the atomic configuration with the channel's energy, 0 where there is none. The core is scaled to Z - ZVAL.
    Raises FormatError for what is no POTCAR or is damaged, and for radial sets that do not agree with themselves.
    """
    text = read_bytes(path)
    with naming(path):
        return [_dataset(data) if data.find("PAW radial sets") else None for data in data_sets(text, path)]


def _dataset(data: DataSet) -> PawDataset:
    place = data.find("PAW radial sets")
    ell = np.array(data.channels(), dtype=int)
    zval = data.setting("ZVAL")
    occupancies = data.occupancies(len(ell))
    if place is None or occupancies is None or not zval:
        raise data.error(f"{data.title}: found no channels, occupancies or ZVAL with its PAW radial sets", data.start)
    count = _first_number(data, place)
    r, dr = _mesh(data, _section(data, "grid", count)[0])
    smooth, waves = (_section(data, f"{kind} wavefunction", count, len(ell)) for kind in ("pseudo", "ae"))
    energy, rcut = _description(data, ell)
    own = PawDataset(
        element=element_of_set(data),
        zval=zval,
        r=r / BOHR_ANGSTROM,
        dr=dr / BOHR_ANGSTROM,
        ell=ell,
        n=_shells(data, ell, energy),
        electrons=np.diag(occupancies).copy(),
        energy=energy / HARTREE_EV,
        rcut=rcut,
        waves=waves / r * BOHR_ANGSTROM**1.5,
        smooth_waves=smooth / r * BOHR_ANGSTROM**1.5,
        projectors=_projectors(data, r) * BOHR_ANGSTROM**1.5,
        smooth_core=_smooth_core(data, r, dr, count, zval) * BOHR_ANGSTROM**3,
        shape="bessel",
        shape_radius=data.setting("RDEPT") or float(rcut.max()),
    )
    _agrees(data, own, _section(data, "augmentation charges (non sperical)", len(ell) ** 2)[0].reshape(len(ell), -1))
    return own


def _agrees(data: DataSet, own: PawDataset, charges: NDArray[np.float64]) -> None:
    """Raises FormatError where waves are not those of the set's Q_ij, or meet elsewhere than at RCUT."""
    same = own.ell[:, None] == own.ell
    with np.errstate(all="ignore"):  # of damaged numbers
        off = np.abs(np.where(same, own.multipoles[0] - charges, 0.0)).max()
        meet, rcut = own.sphere, float(own.rcut.max())
    begin = data.find("PAW radial sets") or data.start
    wanted = "wanted the layout of other sets: these are not used"
    if not off <= AGREE * max(np.abs(charges).max(), 0.1):
        found = f"found waves whose Q_ij are {off:.3g} electrons off the set's 'augmentation charges'"
        raise data.error(f"{data.title}: PAW radial sets: {found}; {wanted}", begin)
    if not (rcut > 0 and MEET[0] * rcut <= meet <= MEET[1] * rcut):
        found = f"found waves that meet at {meet:.2f} bohr, where the largest RCUT is {rcut:.2f}"
        raise data.error(f"{data.title}: PAW radial sets: {found}; {wanted}", begin)


def _first_number(data: DataSet, place: int) -> int:
    """NMAX, from the line below the title."""
    line = data.text[place : data.text.find(b"\n", place)].split()
    if not line or not line[0].isdigit() or not 2 < int(line[0]) < 100_000:
        found = b" ".join(line).decode("latin-1")
        raise data.error(f"{data.title}: PAW radial sets: found {found!r}; wanted NMAX, the number of radii", place)
    return int(line[0])


def _section(data: DataSet, title: str, count: int, times: int = 1) -> NDArray[np.float64]:
    """(times, count) numbers below the first ``times`` titles."""
    rows: list[NDArray[np.float64]] = []
    place = data.find("PAW radial sets")
    for _ in range(times):
        place = data.find(title, place)
        if place is None:
            raise data.error(
                f"{data.title}: found {len(rows)} sections {title!r}, wanted {times}; copy the POTCAR again", data.end
            )
        rows.append(data.numbers(place, title, (count,)))
    return np.array(rows)


def _mesh(data: DataSet, r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radii and weights, Å: Simpson's rule in ln r from the far end, as functions are smallest at the near one."""
    steps = np.diff(np.log(np.maximum(r, 1e-300)))
    if not (r[0] > 0 and steps[0] > 0 and np.allclose(steps, steps.mean(), rtol=1e-3)):
        found = f"found radii from {r[0]:g} to {r[-1]:g} Å"
        raise data.error(
            f"{data.title}: grid: {found}, wanted such that grow by one factor", data.find("grid") or data.start
        )
    weights = np.full(len(r), 2 / 3)
    weights[-2::-2] = 4 / 3
    weights[-1] = weights[0] = 1 / 3
    if len(r) % 2 == 0:  # one step is left over
        weights[:2] = 0.5, 1 / 3 + 0.5
    return r, weights * steps.mean() * r


def _description(data: DataSet, ell: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies (eV) and RCUT (bohr) of the channels, from the table of the header."""
    rows = _table_below(data, b"Description", 2)[: len(ell)]
    if [row[0] for row in rows] != ell.tolist():
        found = ", ".join(f"{row[0]:g}" for row in rows) or "none"
        raise data.error(
            f"{data.title}: Description: found lines of l = {found}; wanted one for each channel, l = "
            f"{', '.join(map(str, ell))}",
            data.start,
        )
    return np.array([row[1] for row in rows]), np.array([max(row[3::2]) for row in rows])


def _shells(data: DataSet, ell: NDArray[np.int64], energy: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n_j,) n of the shell of a channel's l and energy in "Atomic configuration", 0 where there is none."""
    known = _table_below(data, b"Atomic configuration", 3)
    found = [
        next((row[0] for row in known if row[1] == own and abs(row[3] - e) < SAME_ENERGY), 0)
        for own, e in zip(ell, energy, strict=True)
    ]
    return np.array(found, dtype=int)


def _table_below(data: DataSet, title: bytes, skipped: int) -> list[list[float]]:
    """Lines of numbers in the header, from so many lines below a title up to the first that holds anything else."""
    at = data.text.find(title, data.start, data.header_end)
    rows: list[list[float]] = []
    for line in data.text[at : data.header_end].splitlines()[skipped:] if at >= 0 else ():
        try:
            rows.append([float(word) for word in line.split()])
        except ValueError:
            break
    return [row for row in rows if len(row) >= 4]


def _smooth_core(
    data: DataSet, r: NDArray[np.float64], dr: NDArray[np.float64], count: int, zval: float
) -> NDArray[np.float64]:
    """(n_r,) of PawDataset.smooth_core, 1/Å³: what the true core is scaled by is its electrons."""
    core, smooth = (_section(data, f"core charge-density{end}", count)[0] for end in ("", " (pseudized)"))
    electrons, total = SYMBOLS.index(element_of_set(data)) + 1 - zval, float(core @ dr)
    if electrons < 0.5 or total <= 0:  # hydrogen, or nothing in the core
        return np.zeros(count)
    return np.asarray(smooth * electrons / total / (np.sqrt(4 * np.pi) * r**2))


def _projectors(data: DataSet, r: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_j, n_r) at the radii, Å^-3/2; nothing beyond the radius of their tables."""
    rows: list[NDArray[np.float64]] = []
    place = data.find("Non local Part")
    while place is not None:
        head = data.text[place : data.text.find(b"\n", place)]
        try:
            count, radius = int(head.split()[1]), float(numbers(head)[2])
        except (IndexError, ValueError):
            count, radius = 0, 0.0
        if not 0 < radius < FARTHEST:
            raise data.error(
                f"{data.title}: found {head.decode('latin-1').strip()!r} below 'Non local Part'; "
                "wanted l, the number of projectors and a radius in Å",
                place,
            )
        step = radius / N_PROJECTOR
        at = place
        for _ in range(count):
            at = data.find("Real Space Part", at) or data.end
            values = np.append(data.numbers(at, "Real Space Part", (N_PROJECTOR,)), 0.0)
            rows.append(evaluate(values, second_derivatives(values, step, "not-a-knot"), step, r))
        place = data.find("Non local Part", at)
    return np.array(rows)
