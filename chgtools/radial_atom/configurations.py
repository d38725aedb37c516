"""Electron configurations: of the neutral atoms, and of the atom that stands behind a POTCAR label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chgtools.elements import SYMBOLS
from chgtools.errors import ChgtoolsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

LETTERS = "spdf"

# Madelung's order of filling; the atoms that deviate (ground states of NIST's table, SRD 141) follow it.
FILLING = "1s 2s 2p 3s 3p 4s 3d 4p 5s 4d 5p 6s 4f 5d 6p 7s 5f 6d".split()
EXCEPTIONS = {
    "Cr": "3d5 4s1",
    "Cu": "3d10 4s1",
    "Nb": "4d4 5s1",
    "Mo": "4d5 5s1",
    "Ru": "4d7 5s1",
    "Rh": "4d8 5s1",
    "Pd": "4d10 5s0",
    "Ag": "4d10 5s1",
    "La": "4f0 5d1",
    "Ce": "4f1 5d1",
    "Gd": "4f7 5d1",
    "Pt": "5d9 6s1",
    "Au": "5d10 6s1",
    "Ac": "5f0 6d1",
    "Th": "5f0 6d2",
    "Pa": "5f2 6d1",
    "U": "5f3 6d1",
    "Np": "5f4 6d1",
    "Cm": "5f7 6d1",
}


# Order in which a core is filled up when the valence shells are taken out of it.
CORE_ORDER = "1s 2s 2p 3s 3p 3d 4s 4p 4d 5s 5p 4f 5d 6s".split()


@dataclass(frozen=True, order=True)
class Shell:
    """n, l and the number of electrons in it, at most 2(2l + 1)."""

    n: int
    ell: int
    electrons: float

    def __str__(self) -> str:
        return f"{self.n}{LETTERS[self.ell]}{self.electrons:g}"

    @property
    def name(self) -> str:
        """Without the electrons: "3d"."""
        return f"{self.n}{LETTERS[self.ell]}"


def atomic_number(element: str) -> int:
    """Atomic number of a symbol; raises SettingsError for any other word."""
    if element not in SYMBOLS:
        raise SettingsError(f"{element!r} is no chemical element; write a symbol such as Fe")
    return SYMBOLS.index(element) + 1


def parse_shell(text: str) -> Shell:
    """Shell of a word such as "3d5" or "5s1.999"."""
    try:
        return Shell(int(text[0]), LETTERS.index(text[1]), float(text[2:]))
    except (ValueError, IndexError):
        raise SettingsError(f"{text!r} is not a shell; write n, letter and electrons, for example 3d5") from None


def ground_state(element: str) -> tuple[Shell, ...]:
    """Configuration of the neutral atom's ground state, ordered by n, then l; empty shells are left out.

    Source: NIST SRD 141 (the configurations of the LDA atoms of S. Kotochigova et al., PRA 55, 191 (1997)).
    """
    left = float(atomic_number(element))
    occupied: dict[tuple[int, int], float] = {}
    for name in FILLING:
        shell = parse_shell(f"{name}0")
        electrons = min(left, 2.0 * (2 * shell.ell + 1))
        occupied[shell.n, shell.ell] = electrons
        left -= electrons
    for word in EXCEPTIONS.get(element, "").split():
        shell = parse_shell(word)
        occupied[shell.n, shell.ell] = shell.electrons
    shells = sorted(Shell(n, ell, electrons) for (n, ell), electrons in occupied.items() if electrons > 0.0)
    if abs(sum(shell.electrons for shell in shells) - atomic_number(element)) > 1e-9:
        raise ChgtoolsError(f"the table of configurations is wrong for {element}: it does not add up to its electrons")
    return tuple(shells)


def label_shells(
    element: str, zval: float, valence: Sequence[tuple[int, int, float]], frozen_4f: float = 0
) -> tuple[float, tuple[Shell, ...], tuple[Shell, ...]]:
    """Nuclear charge (e), core shells and valence shells of the atom behind a POTCAR label.

    valence : (n, l, electrons) of the generator's reference configuration, adding up to zval
    frozen_4f : 4f electrons kept in the core (the _2 and _3 labels of the lanthanides)
    A hydrogen with fractional zval has that fraction as nuclear charge. Else the core is the nuclear charge less
    zval, as full shells in CORE_ORDER without those in the valence. Raises ChgtoolsError when that does not add up.
    """
    shells = tuple(Shell(int(n), int(ell), float(electrons)) for n, ell, electrons in valence)
    if element == "H":
        return float(zval), (), shells
    charge = float(atomic_number(element))
    left = charge - zval
    taken = {shell.name for shell in shells}
    core = []
    for name in CORE_ORDER:
        if left <= 0.0 or name in taken:
            continue
        full = parse_shell(f"{name}0")
        electrons = float(frozen_4f) if name == "4f" and frozen_4f else 2.0 * (2 * full.ell + 1)
        core.append(Shell(full.n, full.ell, electrons))
        left -= electrons
    if abs(left) > 1e-9:
        raise ChgtoolsError(
            f"{element} with {zval:g} valence electrons ({' '.join(map(str, shells))}): no closed core has "
            f"{charge - zval:g} electrons; give frozen_4f, or correct the valence"
        )
    return charge, tuple(sorted(core)), shells
