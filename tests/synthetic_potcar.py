"""Small invented POTCARs in VASP's layout. No number in them comes from a real potential."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PSGMAX = 40.0
N_Q, N_PROJECTOR, N_RADIAL = 1000, 100, 201
BOHR = 0.529177210903
RADII = 1e-3 * np.exp(0.045 * np.arange(N_RADIAL))  # Å
PROJECTOR_END = 1.6  # Å
CORE_DECAY = 5.0  # 1/Å


def form_factor(zval: float, q: np.ndarray, width: float = 0.6) -> np.ndarray:
    """f(q) in electrons of a Gaussian atom n(r) ~ exp(-r²/(2 width²)), width in Å."""
    return zval * np.exp(-0.5 * (width * q) ** 2)


def occupancies(channels: Sequence[int], zval: float) -> np.ndarray:
    """(n, n) symmetric invented occupancies; rows differ, so that their order shows."""
    n = len(channels)
    base = zval / max(n, 1) * np.eye(n)
    return base + 0.01 * np.add.outer(np.arange(n), np.arange(n))


def rcut(channels: Sequence[int]) -> np.ndarray:
    """(n_j,) bohr, of the n-th channel of an l, as the header says it: 1.0, 1.1, ..."""
    return np.array([1.0 + 0.1 * list(channels[:j]).count(ell) for j, ell in enumerate(channels)])


def energies(channels: Sequence[int]) -> list[float]:
    """eV; the first channel of l = 0 is the 2s of the atomic configuration."""
    return [-10.0 + ell + 3 * list(channels[:j]).count(ell) for j, ell in enumerate(channels)]


def waves(channels: Sequence[int], r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n_j, n_r) pseudo and all-electron u = r φ, Å^-1/2, at radii in Å. They meet at RCUT with three derivatives."""
    smooth, true = [], []
    for j, (ell, end) in enumerate(zip(channels, BOHR * rcut(channels), strict=True)):
        smooth.append(4 * 2**ell * r ** (ell + 1) * np.exp(-(1.2 + 0.1 * j) * r))
        true.append(smooth[-1] * (1 + (6.0 - j) * np.maximum(1 - r / end, 0) ** 4))
    return np.array(smooth), np.array(true)


def gauss(end: float, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of Gauss and Legendre from 0 to ``end``."""
    x, w = np.polynomial.legendre.leggauss(n)
    return end * (x + 1) / 2, end * w / 2


def charges(channels: Sequence[int]) -> np.ndarray:
    """(n_j, n_j) Q_ij = ∫ (u_i u_j - ũ_i ũ_j) dr, piece by piece between the RCUT."""
    total, begin = np.zeros((len(channels),) * 2), 0.0
    for end in sorted(set(BOHR * rcut(channels))):
        x, w = gauss(end - begin)
        smooth, true = waves(channels, begin + x)
        total, begin = total + (true * w) @ true.T - (smooth * w) @ smooth.T, end
    return np.where(np.equal.outer(channels, channels), total, 0.0)


def projectors(channels: Sequence[int], r: np.ndarray) -> np.ndarray:
    """(n_j, n_r) Å^-3/2, dual to the pseudo waves: ∫ p_i φ̃_j r² dr = 1 for i = j, 0 for others of one l."""

    def plain(r: np.ndarray) -> np.ndarray:
        bump = np.maximum(1 - (r / PROJECTOR_END) ** 2, 0) ** 3
        return np.array([r**ell * bump * r ** (2 * list(channels[:j]).count(ell)) for j, ell in enumerate(channels)])

    x, w = gauss(PROJECTOR_END)
    overlap = (plain(x) * x * w) @ waves(channels, x)[0].T
    overlap = np.where(np.equal.outer(channels, channels), overlap, 0.0)
    return np.asarray(np.linalg.solve(overlap, plain(r)))


def _rows(values: Sequence[float] | np.ndarray, per_line: int = 5) -> str:
    words = [f"{value:16.8E}" for value in np.ravel(values)]
    return "\n".join("".join(words[i : i + per_line]) for i in range(0, len(words), per_line)) + "\n"


def _radial(title: str, values: np.ndarray) -> str:
    words = [f"{value:20.12E}" for value in values]
    return f" {title}\n" + "\n".join("".join(words[i : i + 5]) for i in range(0, len(words), 5)) + "\n"


def data_set(
    label: str,
    zval: float,
    channels: Sequence[int] = (0, 0, 1, 1),
    *,
    lexch: str = "PE",
    functional: str = "PAW_PBE",
    width: float = 0.6,
    charge: float | None = None,
    enmax: float = 300.0,
    ultrasoft: bool = False,
    kinetic: bool = True,
) -> str:
    """Text of one data set.

    channels : l of each projector; equal neighbours share a non-local block
    charge : electrons of the density table where they are to differ from zval
    ultrasoft : US-PP: other title of the density, no PAW sections
    """
    element = label.split("_")[0].split(".")[0].rstrip("0123456789")
    title = f"{functional} {label} 01Jan2000"
    q = PSGMAX / N_Q * np.arange(N_Q)
    form = form_factor(zval if charge is None else charge, q, width)
    blocks: list[tuple[int, int]] = []
    for ell in channels:
        if blocks and blocks[-1][0] == ell:
            blocks[-1] = (ell, blocks[-1][1] + 1)
        else:
            blocks.append((ell, 1))
    description = "".join(
        f"     {ell}     {energy:.7f}     23     {end:.3f}\n"
        for ell, end, energy in zip(channels, rcut(channels), energies(channels), strict=True)
    )
    text = f"""  {title}
   {zval:.14f}
 parameters from PSCTR are:
   SHA256 =  0000000000000000000000000000000000000000000000000000000000000000 {element}/POTCAR
   COPYR  = (c) invented numbers of the tests of chgtools
   VRHFIN ={element}: invented
   LEXCH  = {lexch}
   EATOM  =   100.0000 eV,    7.3499 Ry

   TITEL  = {title}
   LULTRA =        {"T" if ultrasoft else "F"}    use ultrasoft PP ?
   IUNSCR =        1    unscreen: 0-lin 1-nonlin 2-no
   RPACOR =    1.200    partial core radius
   POMASS =   10.000; ZVAL   = {zval:8.3f}    mass and valenz
   RCORE  =    1.500    outmost cutoff radius
   RWIGS  =    1.600; RWIGS  =    0.847    wigner-seitz radius (au A)
   ENMAX  = {enmax:8.3f}; ENMIN  = {0.75 * enmax:8.3f} eV
   ICORE  =        2    local potential
   LCOR   =        T    correct aug charges
   LPAW   =        {"F" if ultrasoft else "T"}    paw PP
   EAUG   = {2 * enmax:8.3f}
   DEXC   =    0.000
   RMAX   =    1.600    core radius for proj-oper
   RAUG   =    1.300    factor for augmentation sphere
   RDEP   =    1.550    radius for radial grids
   RDEPT  =    1.400    core radius for aug-charge

   Atomic configuration
    2 entries
     n  l   j            E        occ.
     1  0  0.50      -100.0000   2.0000
     2  0  0.50       -10.0000   {zval:.4f}
   Description
     l       E           TYP  RCUT    TYP  RCUT
{description}     2       0.0000000      7  1.500
  Error from kinetic energy argument (eV)
   NDATA  =      100
   STEP   =   20.000   1.050
{_rows(np.linspace(10, 0, 100), 8)}END of PSCTR-controll parameters
 local part
   {PSGMAX:.14f}
{_rows(-np.exp(-(q**2)))} gradient corrections used for XC
            5
 core charge-density (partial)
{_rows(0.1 * np.exp(-0.2 * q**2))}"""
    if kinetic and not ultrasoft:
        text += f" kinetic energy density (partial)\n{_rows(0.2 * np.exp(-0.2 * q**2))}"
        text += f" Kinetic energy density valence\n{_rows(0.3 * np.exp(-0.2 * q**2))}"
    text += f" atomic {'' if ultrasoft else 'pseudo '}charge-density\n{_rows(form)}   10.0000000000000      T\n"
    projector = np.exp(-np.linspace(0, 4, N_PROJECTOR))
    real_space = iter(projectors(channels, PROJECTOR_END / N_PROJECTOR * np.arange(N_PROJECTOR)))
    for ell, count in blocks:
        text += f" Non local Part\n           {ell}           {count}   1.60000000000000\n"
        text += _rows(np.eye(count), count)
        for _ in range(count):
            text += f" Reciprocal Space Part\n{_rows(projector)} Real Space Part\n{_rows(next(real_space))}"
    if ultrasoft:
        for _ in range(3):
            text += f" augmentation charge\n{_rows(projector)}"
        return text + " End of Dataset\n"
    text += f" PAW radial sets\n          {N_RADIAL}   1.60000000000000\n (5E20.12)\n"
    text += _radial("augmentation charges (non sperical)", charges(channels).ravel())
    text += _radial("uccopancies in atom", occupancies(channels, zval).ravel())
    text += _radial("grid", RADII) + _radial("aepotential", -zval / RADII)
    core = RADII**2 * np.exp(-CORE_DECAY * RADII)  # its electrons are Z - ZVAL in other units
    text += _radial("core charge-density", core) + _radial("kinetic energy-density", core)
    text += _radial("mkinetic energy-density pseudized", core)
    for name in ("local pseudopotential core", "pspotential valence only"):
        text += _radial(name, -zval / (1 + RADII))
    text += _radial("core charge-density (pseudized)", 0.25 * core * np.exp(-RADII))
    for smooth, true in zip(*waves(channels, RADII), strict=True):
        text += _radial("pseudo wavefunction", smooth) + _radial("ae wavefunction", true)
    return text + " End of Dataset\n"


def write_synthetic_potcar(path: Path, sets: Sequence[tuple[str, float, Sequence[int]]]) -> Path:
    """A POTCAR with (label, zval, channels) data sets, such as [("Si", 4, (0, 0, 1, 1)), ("O_s", 6, (0, 0, 1, 1))].

    Compressed when the name ends in .gz. Tables are :func:`form_factor` of zval at q = 40/1000 · (0, 1, ...) 1/Å.
    """
    content = "".join(data_set(label, zval, channels) for label, zval, channels in sets).encode()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
