"""The FFT grids VASP will run with, from INCAR, POTCAR facts and options.

Every default that VASP itself would take, and every guess of ours, is returned as a sentence for the user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chgtools.errors import MismatchError, SettingsError
from chgtools.fourier.grids import fft_grid

if TYPE_CHECKING:
    from chgtools.atoms.density import AtomicDensity
    from chgtools.cell import Structure
    from chgtools.formats.incar import Incar

Shape = tuple[int, int, int]
# ENCUT in units of the largest ENMAX when the INCAR has none (seen in OUTCARs of VASP 5 and 6)
ENCUT_OF_PREC = {"h": 1.25, "l": 0.75}


@dataclass(frozen=True)
class GridOptions:
    """Options that go before the INCAR. Å, eV; ``like`` is a file of the CHGCAR family whose grid is taken."""

    encut: float | None = None
    prec: str | None = None
    enaug: float | None = None
    ngf: Shape | None = None
    like: Path | None = None


@dataclass(frozen=True)
class GridSettings:
    """ng, ngf : NGX.. and NGXF..; ng is None when only the fine grid was given."""

    ng: Shape | None
    ngf: Shape
    encut: float | None
    prec: str | None
    assumptions: tuple[str, ...]


def _enmax(densities: Sequence[AtomicDensity]) -> tuple[float, str]:
    """Largest ENMAX, and the label it belongs to, from the densities or the packaged facts on labels."""
    from chgtools.atoms.labels import known_facts

    best = (0.0, "")
    for density in densities:
        facts = known_facts(density.label)
        enmax = density.enmax if density.enmax is not None or facts is None else facts.enmax
        if enmax is None:
            raise SettingsError(f"no ENMAX is known for {density.label}; give the cutoff by --encut or in an INCAR")
        best = max(best, (enmax, density.label))
    return best


def grid_settings(
    structure: Structure, densities: Sequence[AtomicDensity], incar: Incar | None, options: GridOptions
) -> GridSettings:
    """The FFT grids VASP will use, by its own rules (chgtools.fourier.grids.fft_grid).

    Order: ``options.like`` or ``options.ngf``; NGX.. and NGXF.. of the INCAR; ENCUT, PREC and ENAUG of options, then
    INCAR, then VASP's defaults. Raises SettingsError or MismatchError when they cannot be settled.
    """
    if options.like is not None:
        from chgtools.formats import read_header

        if options.ngf is not None:
            raise SettingsError("the grid is given twice, by --ngf and by --like; give one")
        other, shape = read_header(options.like)
        if abs(other.volume / structure.volume - 1) > 1e-4:
            raise MismatchError(
                f"{options.like} has a cell of {other.volume:.3f} Å³, the structure one of {structure.volume:.3f} Å³; "
                "its grid is no guide"
            )
        return GridSettings(None, shape, None, None, ())
    if options.ngf is not None:
        return GridSettings(None, options.ngf, None, None, ())
    assumptions: list[str] = []
    prec = options.prec or (incar.text("PREC") if incar is not None else None)
    if prec is None:
        prec = "Normal"
        assumptions.append("PREC = Normal (VASP's default)")
    encut = options.encut or (incar.number("ENCUT") if incar is not None else None)
    if encut is None:
        enmax, label = _enmax(densities)
        factor = ENCUT_OF_PREC.get(prec.strip().lower()[:1], 1.0)
        encut = factor * enmax
        times = "" if factor == 1 else f"{factor:g} x "
        assumptions.append(f"ENCUT = {encut:.3f} eV ({times}ENMAX of {label})")
    if encut <= 0:
        raise SettingsError(f"found ENCUT = {encut:g}; wanted a positive cutoff in eV")
    enaug = options.enaug or (incar.number("ENAUG") if incar is not None else None)
    if enaug is None and prec.strip().lower()[:1] in ("h", "l", "m"):
        known = [density.eaug for density in densities]
        if None in known:
            missing = ", ".join(d.label for d in densities if d.eaug is None)
            raise SettingsError(
                f"PREC = {prec} needs ENAUG, and no EAUG is known for {missing}; give --enaug, a POTCAR or another PREC"
            )
        enaug = max(value for value in known if value is not None)
        assumptions.append(f"ENAUG = {enaug:.3f} eV (largest EAUG)")
    tags = [_tag(incar, name) for name in ("NGX", "NGY", "NGZ", "NGXF", "NGYF", "NGZF")]
    ng, ngf = fft_grid(structure.lattice, encut, prec=prec, enaug=enaug, ng=tuple(tags[:3]), ngf=tuple(tags[3:]))
    return GridSettings(ng, ngf, encut, prec, tuple(assumptions))


def _tag(incar: Incar | None, name: str) -> int | None:
    return None if incar is None else incar.integer(name)
