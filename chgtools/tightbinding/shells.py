"""The shells of an element in the basis: one for each l, those of the valence and one that polarises them."""

from __future__ import annotations

from chgtools.errors import SettingsError
from chgtools.radial_atom.configurations import Shell, atomic_number, ground_state

HEAVIEST = 94  # Pu
# Their empty d shell lies below the p shell, or near it, in the free atom
EMPTY_D = ("Ca", "Sr", "Ba", "Ra")


def valence_shells(element: str) -> tuple[Shell, ...]:
    """s, p (from lithium on), d of the row's transition metals and f of lanthanides and actinides, by l.

    The electrons are those of the neutral atom's ground state, 0 where a shell is empty. d is left out where the p
    shell is occupied (Zn's is core-like from gallium on), f where it is not the valence.
    Raises SettingsError beyond plutonium.
    """
    number = atomic_number(element)
    if number > HEAVIEST:
        raise SettingsError(f"{element} has no tight-binding orbitals; wanted an element from H to Pu")
    electrons = {(shell.n, shell.ell): shell.electrons for shell in ground_state(element)}
    n = max(shell_n for shell_n, _ in electrons)
    if element == "Pd":
        n = 5  # 4d10 5s0
    names = [(n, 0)]
    if number > 2:
        names.append((n, 1))
    if n >= 4 and (n, 1) not in electrons and ((n - 1, 2) in electrons or element in EMPTY_D or _has_f(number)):
        names.append((n - 1, 2))
    if _has_f(number):
        names.append((n - 2, 3))
    return tuple(Shell(shell_n, ell, electrons.get((shell_n, ell), 0.0)) for shell_n, ell in names)


def polarising_shell(element: str) -> Shell | None:
    """An empty d shell beyond an occupied p shell, as in polarised basis sets; None for other elements.

    The first d shell that is not the core's: 3d of boron to argon, 4d of gallium to krypton, and so on.
    Raises SettingsError beyond plutonium.
    """
    valence = valence_shells(element)[-1]
    return Shell(max(valence.n, 3), 2, 0.0) if valence.ell == 1 and valence.electrons > 0 else None


def basis_shells(element: str, polarised: bool = True) -> tuple[Shell, ...]:
    """The valence shells and, where wanted, what polarises them. Raises SettingsError beyond plutonium."""
    more = polarising_shell(element) if polarised else None
    return valence_shells(element) if more is None else (*valence_shells(element), more)


def _has_f(number: int) -> bool:
    return 57 <= number <= 71 or 89 <= number <= HEAVIEST
