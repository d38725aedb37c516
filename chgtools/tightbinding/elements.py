"""What tight binding needs of each element: confined orbitals, a potential with its projectors, density and hardness.

An orbital is the ground state of its l in the pseudo-atom's potential and a soft wall (r/r0)²; the wall draws the
tails in, as neighbours do. A pseudo-atom is a local potential, that of l = 1, and one projector for each other shell
(L. Kleinman and D. M. Bylander, Phys. Rev. Lett. 48, 1425 (1982)) but that which polarises, whose potential is the
local one and whose wall is narrower, so that it reaches about as far as the shell it polarises:

    V = V_loc + Σ_l |χ_l⟩ E_l ⟨χ_l|,   χ_l = (V_l − V_loc) R_l,   E_l = 1/⟨R_l|V_l − V_loc|R_l⟩.

Electrons of one spin lower each other's levels by Stoner's parameters of pairs of shells (J. F. Janak, Phys. Rev. B 16,
255 (1977)), with the kernel K = d²e/dm² of the homogeneous gas at the atom's density:

    I_ij = −2 ∫ K(n) R_i² R_j² r² dr / 4π.

All of it is in the package, on a uniform mesh: ``python -m chgtools.tightbinding.elements -o FILE.h5`` makes the tables
again from the Kohn-Sham atoms, in three minutes. Hartree atomic units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from chgtools.elements import SYMBOLS
from chgtools.errors import ChgtoolsError
from chgtools.formats.hdf5 import Kind, reading, writing
from chgtools.libraries.library import builtin_path
from chgtools.radial_atom.configurations import Shell, atomic_number, ground_state
from chgtools.radial_atom.solver import KohnShamAtom, solve_atom
from chgtools.radial_atom.xc import TINY, spin_kernel
from chgtools.tightbinding.pseudo_atom import PseudoAtom, bound, pseudo_atom
from chgtools.tightbinding.shells import HEAVIEST, basis_shells, polarising_shell, valence_shells
from chgtools.units import BOHR_ANGSTROM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FILE = "tight_binding.h5"
KIND = Kind("chgtools tight binding", 1, "table of tight-binding elements", "python -m chgtools.tightbinding.elements")

WALL = 2.2  # r0 in covalent radii
# of a shell that polarises: 0.7 and 1.4 serve as well; at 2.2 it overlaps so far that atoms' charges are lost
WALL_POLARISING = 1.0
WALL_MOST = 60.0  # hartree, beyond which the wall is flat: there is nothing of the orbital there
END = 20.0  # bohr, where all orbitals and neutral atoms have ended
STEP = 0.05  # bohr, of the tables
CHARGE_STEP = 0.05  # electrons, for the hardness
LOWERED = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)  # hartree, by which potentials of narrow walls are lowered to find the state


@dataclass(frozen=True, eq=False)
class Element:
    """Radial functions on :func:`mesh` (n_r,), bohr; rows by shell.

    hardness : hartree, see :func:`hardness_of`
    orbitals : (n_shells, n_r) R; local : (n_r,) V_loc, hartree; density : (n_r,) all electrons, electrons/bohr³
    projectors : (n_shells, n_r) χ, 0 for the shell of the local potential; strengths : (n_shells,) E, 0 likewise
    hardnesses : (n_shells, n_shells) hartree, see :func:`hardnesses_of`
    exchange : (n_shells, n_shells) I, hartree: a moment of 1 μ_B of one shell splits the levels of another by it
    """

    element: str
    shells: tuple[Shell, ...]
    hardness: float
    orbitals: Array
    local: Array
    density: Array
    projectors: Array
    strengths: Array
    hardnesses: Array
    exchange: Array


ARRAYS = ("orbitals", "local", "density", "projectors", "strengths")
BY_SHELL = ("orbitals", "projectors", "strengths")  # those with a row for each
MATRICES = ("hardnesses", "exchange")  # attributes of a group: small ones take less place there


def mesh() -> Array:
    """(n_r,) bohr, 0 to END."""
    return np.asarray(STEP * np.arange(round(END / STEP) + 1), dtype=np.float64)


@cache
def element_of(element: str, polarised: bool = True) -> Element:
    """An element of the package's tables. Raises SettingsError beyond plutonium.

    polarised : with the shell that polarises, if it has one; else the valence shells alone
    """
    shells = basis_shells(element, polarised)
    kept = slice(len(shells))
    with reading(table_path(), KIND) as file:
        group = file[element]
        arrays = {name: np.array(group[name], dtype=np.float64) for name in ARRAYS}
        arrays |= {name: arrays[name][kept] for name in BY_SHELL}
        arrays |= {name: np.array(group.attrs[name], dtype=np.float64)[kept, kept] for name in MATRICES}
        return Element(element, shells, hardness=float(group.attrs["hardness"]), **arrays)


def table_path() -> Path:
    """The package's tables."""
    return builtin_path().with_name(FILE)


def made(element: str) -> Element:
    """An element from its Kohn-Sham atom. Raises ChgtoolsError where there is no smooth or no confined state."""
    atom = pseudo_atom(element)
    r, ells = atom.mesh.r, [each.shell.ell for each in atom.shells]
    local = atom.shells[ells.index(1) if 1 in ells else 0].potential
    projectors, strengths = [], []
    for each in atom.shells:
        difference = each.potential - local
        projectors.append(difference * each.orbital / r)
        strengths.append(1 / atom.mesh.integrate(difference * each.orbital**2) if difference.any() else 0.0)

    def uniform(function: Array) -> Array:
        return np.asarray(atom.mesh.interpolate(function, mesh()) * (mesh() < END))

    orbitals = [confined_orbital(atom, index) for index in range(len(ells))]
    if polarising_shell(element) is not None:
        orbitals.append(polarising_orbital(atom, local))
        projectors.append(np.zeros_like(local))
        strengths.append(0.0)
    return Element(
        element,
        basis_shells(element),
        hardness=hardness_of(element),
        orbitals=np.array([uniform(orbital) for orbital in orbitals]),
        local=uniform(local),
        density=uniform(atom.density),
        projectors=np.array([uniform(each) for each in projectors]),
        strengths=np.array(strengths),
        hardnesses=hardnesses_of(atom, orbitals),
        exchange=exchange_of(atom, orbitals),
    )


def confined_orbital(atom: PseudoAtom, index: int) -> Array:
    """(n_r,) R(r), bohr^-3/2, positive at its maximum, of a shell of a pseudo-atom in the wall."""
    shell = atom.shells[index]
    potential = shell.potential + _wall(atom, WALL)
    state = bound(atom.mesh, potential, 10.0, shell.shell.ell + 1, shell.shell.ell)
    if state is None:
        raise ChgtoolsError(f"{atom.element} has no confined {shell.shell.name} state")
    return _positive(state[1] / atom.mesh.r)


def polarising_orbital(atom: PseudoAtom, local: Array) -> Array:
    """(n_r,) R(r), bohr^-3/2, positive, of the lowest d state in a potential (n_r,) and a narrow wall."""
    potential = local + _wall(atom, WALL_POLARISING)
    for lowered in LOWERED:
        state = bound(atom.mesh, potential - lowered, 10.0 + lowered, 3, 2)
        if state is not None:
            return _positive(state[1] / atom.mesh.r)
    raise ChgtoolsError(f"{atom.element} has no confined d state")


def _wall(atom: PseudoAtom, width: float) -> Array:
    return np.minimum((atom.mesh.r / (width * covalent_radius(atom.element))) ** 2, WALL_MOST)


def _positive(radial: Array) -> Array:
    return np.asarray(radial * np.sign(radial[np.argmax(np.abs(radial))]))


def hardness_of(element: str) -> float:
    """U in hartree: ∂ε/∂n of the highest occupied s or p shell of the neutral atom, by central differences."""
    shells = valence_shells(element)
    highest = shells[_highest(shells)].name
    levels = []
    for atom in _changed(element, highest):
        place = [shell.name for shell in atom.shells].index(highest)
        levels.append(float(atom.eigenvalues[place]))
    return (levels[1] - levels[0]) / (2 * CHARGE_STEP)


def hardnesses_of(atom: PseudoAtom, orbitals: list[Array]) -> Array:
    """(n_shells, n_shells) how the levels of orbitals R(r) (n_r,) of a pseudo-atom follow the electrons of its shells.

    To first order, ∫ R_i² ∂V/∂n_j r² dr with the relaxed potential of the neutral atom; where both shells are empty,
    U_iz U_jz / U_zz with z the highest occupied s or p shell. All are moved alike, to :func:`hardness_of` at zz.
    """
    shells, r = basis_shells(atom.element)[: len(orbitals)], atom.mesh.r
    found = np.full((len(shells), len(shells)), np.nan)
    for j, shell in enumerate(shells):
        if shell.electrons > 0:
            less, more = (np.interp(r, each.mesh.r, each.potential) for each in _changed(atom.element, shell.name))
            slope = (more - less) / (2 * CHARGE_STEP)
            found[:, j] = [atom.mesh.integrate(slope * (orbital * r) ** 2) for orbital in orbitals]
    occupied = np.array([shell.electrons > 0 for shell in shells])
    found[:, ~occupied] = np.where(occupied[:, None], found.T[:, ~occupied], np.nan)
    z = _highest(shells)
    found = np.where(np.isnan(found), np.outer(found[:, z], found[:, z]) / found[z, z], found)
    return np.asarray(0.5 * (found + found.T) - found[z, z] + hardness_of(atom.element))


def _highest(shells: tuple[Shell, ...]) -> int:
    """The highest occupied s or p shell; the last where none is."""
    return max((i for i, shell in enumerate(shells) if shell.electrons > 0 and shell.ell < 2), default=len(shells) - 1)


def _changed(element: str, name: str) -> tuple[KohnShamAtom, KohnShamAtom]:
    """The neutral atom with CHARGE_STEP electrons less and more in a shell."""
    less, more = (
        [
            replace(shell, electrons=shell.electrons + change) if shell.name == name else shell
            for shell in ground_state(element)
        ]
        for change in (-CHARGE_STEP, CHARGE_STEP)
    )
    number = atomic_number(element)
    return solve_atom(number, less, "PBE", True), solve_atom(number, more, "PBE", True)


def exchange_of(atom: PseudoAtom, orbitals: list[Array]) -> Array:
    """(n_shells, n_shells) I in hartree of orbitals R(r) (n_r,) of a pseudo-atom."""
    seen = atom.density > TINY
    kernel = np.where(seen, spin_kernel(np.where(seen, atom.density, TINY)), 0.0)
    volume = -2 * kernel * atom.mesh.r**2 / (4 * np.pi)
    return np.array([[atom.mesh.integrate(volume * (one * other) ** 2) for other in orbitals] for one in orbitals])


def covalent_radius(element: str) -> float:
    """bohr (B. Cordero et al., Dalton Trans. 2008, 2832); by choice 0.7 Å for hydrogen, more than its bonds have."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return (0.7 if element == "H" else float(CovalentRadius.radius[element])) / BOHR_ANGSTROM


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="HDF5 file.")
def main(output: Path) -> None:
    """Make the tables of all elements from H to Pu."""
    with writing(output, KIND, compact=True) as file:
        file.attrs["wall"], file.attrs["step"] = WALL, STEP
        for symbol in SYMBOLS[:HEAVIEST]:
            element = made(symbol)
            group = file.create_group(symbol)
            group.attrs["hardness"] = element.hardness
            for name in ARRAYS:
                values = getattr(element, name)
                # functions to seven digits: what is behind them is noise of the atoms' convergence
                single = values.astype(np.float32) if values.size > len(element.shells) else values
                packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if single is not values else {}
                group.create_dataset(name, data=single, **packed)
            for name in MATRICES:
                group.attrs[name] = getattr(element, name)
    click.echo(f"{output}: {HEAVIEST} elements, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
