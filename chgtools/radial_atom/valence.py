"""The valence density of the atom behind a POTCAR label, as the atom solver gives it: true, with its nodes and cusp."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from chgtools.errors import ChgtoolsError
from chgtools.radial_atom.configurations import Shell, label_shells
from chgtools.radial_atom.solver import KohnShamAtom, UnboundStateError, solve_atom
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chgtools.atoms.labels import LabelFacts

WEAK = 0.01
"""Hartree. A shell bound by less would spread a few thousandths of an electron over tens of Å: see ``solve_label``."""


@dataclass(frozen=True, eq=False)
class ValenceDensity:
    """Solved atom of a label.

    valence : its valence shells; moved : what was changed in the reference configuration, one sentence, or ""
    """

    label: str
    atom: KohnShamAtom
    valence: tuple[Shell, ...]
    moved: str

    @property
    def radial(self) -> NDArray[np.float64]:
        """(n_r,) valence density on the atom's mesh, electrons/bohr³."""
        return self.atom.density_of(self.valence)

    @property
    def electrons(self) -> float:
        """Number of valence electrons."""
        return sum(shell.electrons for shell in self.valence)

    def __call__(self, r: NDArray[np.float64]) -> NDArray[np.float64]:
        """n(r) in electrons/Å³ at radii in Å (any shape), not smoothed; zero beyond the solver's box (53 Å)."""
        bohr = np.asarray(r, dtype=np.float64) / BOHR_ANGSTROM
        return np.asarray(self.atom.mesh.interpolate(self.radial, bohr) / BOHR_ANGSTROM**3)


def _without(valence: tuple[Shell, ...], weak: Shell) -> tuple[Shell, ...]:
    """The valence with the electrons of one shell put into its outermost s shell that has room for them."""
    room = [s for s in valence if s.ell == 0 and s.electrons + weak.electrons <= 2.0 + 1e-12 and s.name != weak.name]
    if not room:
        raise ChgtoolsError(
            f"the shell {weak} is not bound and no s shell of {' '.join(map(str, valence))} has room for it; "
            "give another reference configuration"
        )
    taker = max(room)
    kept = [shell for shell in valence if shell.name not in (weak.name, taker.name)]
    return tuple(sorted([*kept, replace(taker, electrons=round(taker.electrons + weak.electrons, 9))]))


def solve_label(facts: LabelFacts, functional: str = "PBE") -> ValenceDensity:
    """Scalar-relativistic atom of a label in the reference configuration of its POTCAR's generator.

    A valence shell that the functional does not bind, or by less than WEAK (Rb's 4d with 0.001 electrons), loses its
    electrons to the outermost s shell, and the result says so.
    """
    charge, core, valence = label_shells(facts.element, facts.zval, facts.valence, facts.frozen_4f_electrons or 0)
    moved: list[str] = []
    while True:
        shells = tuple(sorted([*core, *valence]))
        try:
            atom = solve_atom(charge, shells, functional)
            weak = [s for s, e in zip(shells, atom.eigenvalues, strict=True) if e > -WEAK and s in valence]
            reason = f"bound by less than {WEAK:g} hartree"
        except UnboundStateError as error:
            weak, reason = [error.shell], "not bound"
        if not weak:
            return ValenceDensity(facts.label, atom, valence, "; ".join(moved))
        moved.append(f"{weak[0]} is {reason} in {functional}, its electrons went to the outermost s shell")
        valence = _without(valence, weak[0])
