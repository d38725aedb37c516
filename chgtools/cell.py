"""The periodic cell and the atoms in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.display.shown import Shown
from chgtools.elements import ELEMENT_OF
from chgtools.errors import ChgtoolsError, MismatchError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure as PymatgenStructure

POSITION_TOLERANCE_ANGSTROM = 1e-3
LATTICE_TOLERANCE_ANGSTROM = 1e-4
SMALLEST_VOLUME = 1e-12  # Å³
BEYOND_ANGSTROM = 1e12  # a cell as large is damage, and its volume soon no number


def volume(lattice: NDArray[np.float64]) -> float:
    """Volume in Å³ of a cell with lattice vectors as rows (3, 3), Å; positive for left-handed cells too."""
    return float(abs(np.linalg.det(lattice)))


def reciprocal(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reciprocal lattice vectors as rows (3, 3), 1/Å, with b_i · a_j = 2π δ_ij."""
    return np.asarray(2 * np.pi * np.linalg.inv(lattice).T, dtype=np.float64)


def plane_spacings(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) Å between opposite faces of a cell: a_i · b_i / |b_i|."""
    return np.asarray(2 * np.pi / np.linalg.norm(reciprocal(lattice), axis=1))


def cell_parameters(lattice: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths a, b, c in Å and angles α, β, γ in degrees of lattice vectors as rows (3, 3), Å."""
    lengths = np.linalg.norm(lattice, axis=1)
    cosines = [lattice[i] @ lattice[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))


@dataclass(frozen=True, repr=False)
class Structure(Shown):
    """Atoms in a periodic cell, in the groups of a POSCAR.

    lattice : (3, 3) float64, Å, lattice vectors as rows
    species : one name per group in file order, such as ("Fe", "O", "Fe"); an element or D or T, never a label;
        all "" when the file names none (VASP 4)
    counts : atoms in each group
    frac : (n_atoms, 3) float64, fractional, any periodic image, in file order
    labels : one POTCAR label per group where the file gives it (VASP 6.4 headers: Mg_pv/f474ac0d), else ""
    comment : title line
    """

    lattice: NDArray[np.float64]
    species: tuple[str, ...]
    counts: tuple[int, ...]
    frac: NDArray[np.float64]
    labels: tuple[str, ...] = ()
    comment: str = ""
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lattice", np.array(self.lattice, dtype=float))
        object.__setattr__(self, "frac", np.array(self.frac, dtype=float).reshape(-1, 3))
        if not self.labels:
            object.__setattr__(self, "labels", ("",) * len(self.species))
        if self.lattice.shape != (3, 3):
            raise ChgtoolsError(f"a lattice has shape (3, 3), found {self.lattice.shape}")
        if not len(self.species) == len(self.counts) == len(self.labels):
            raise ChgtoolsError(
                f"{len(self.species)} species, {len(self.counts)} counts, {len(self.labels)} labels: wanted one each"
            )
        if not ((np.abs(self.lattice) < BEYOND_ANGSTROM).all() and np.isfinite(self.frac).all()):
            raise ChgtoolsError("the lattice or the positions hold numbers that are not finite or beyond all bounds")
        if not volume(self.lattice) > SMALLEST_VOLUME:
            raise ChgtoolsError(
                f"the cell has no volume ({volume(self.lattice):.2g} Å³); wanted three lattice vectors that span one"
            )
        if min(self.counts, default=0) < 0:
            raise ChgtoolsError(f"found the atom counts {self.counts}; wanted positive numbers")
        if sum(self.counts) != len(self.frac):
            raise ChgtoolsError(
                f"the counts {self.counts} add up to {sum(self.counts)}, found {len(self.frac)} positions"
            )

    @property
    def n_atoms(self) -> int:
        return len(self.frac)

    @property
    def volume(self) -> float:
        """Å³, positive."""
        return volume(self.lattice)

    @property
    def group_of_atom(self) -> NDArray[np.int64]:
        """(n_atoms,) index of each atom's group."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def group_elements(self) -> tuple[str, ...]:
        """One element per group; H for D and T."""
        return tuple(ELEMENT_OF.get(name, name) for name in self.species)

    @property
    def elements(self) -> tuple[str, ...]:
        """One element per atom; H for D and T."""
        return tuple(name for name, count in zip(self.group_elements, self.counts, strict=True) for _ in range(count))

    @property
    def formula(self) -> str:
        return "".join(f"{name}{count}" for name, count in zip(self.species, self.counts, strict=True))

    def with_changes(self, **changes: Any) -> Structure:
        return replace(self, **changes)

    def shown(self) -> dict[str, object]:
        """For people: formula, number of atoms, cell."""
        lengths, angles = cell_parameters(self.lattice)
        return {
            "formula": self.formula if any(self.species) else "",
            "atoms": self.n_atoms,
            "cell": " ".join(f"{length:.3f}" for length in lengths) + " Å",
            "angles": " ".join(f"{angle:.2f}" for angle in angles) + "°",
            "volume": f"{self.volume:.3f} Å³",
            "from": self.source,
        }

    def to_pymatgen(self) -> PymatgenStructure:
        """The same atoms as a pymatgen Structure. Raises ChgtoolsError when the species are unknown (VASP 4)."""
        from pymatgen.core import Structure as PymatgenStructure

        if not all(self.species):
            raise ChgtoolsError("the file names no species (VASP 4); give a structure that does")
        return PymatgenStructure(self.lattice, list(self.elements), self.frac)


def other_atoms(structure: Structure, other: Structure) -> str:
    """What makes two structures other atoms, or atoms in another order, as a sentence; "" for the same ones.

    Atom by atom: how a file groups neighbours of one species (Ni Ni O, or Ni O) counts nothing. Where one of the two
    names no species (VASP 4), none of its groups may hold several of the other's; where neither does, groups are all
    there is to compare.
    """
    ours, theirs = structure.source or "the structure", other.source or "the other structure"
    if structure.n_atoms != other.n_atoms:
        return f"{ours} has {structure.n_atoms} atoms, {theirs} has {other.n_atoms}; they must agree"
    named, other_named = all(structure.species), all(other.species)
    if not named and not other_named:
        if structure.counts == other.counts:
            return ""
        return f"{ours} has groups of {structure.counts} atoms, {theirs} of {other.counts}, and neither names species"
    if not named or not other_named:
        names, groups = (structure.elements, other) if named else (other.elements, structure)
        group = _mixed_group(names, groups)
        if group is None:
            return ""
        of = groups.source or "the structure without names"
        return f"group {group + 1} of {of}, which names no species, holds atoms of several species of the other file"
    for number, (ours_is, theirs_is) in enumerate(zip(structure.elements, other.elements, strict=True), 1):
        if ours_is != theirs_is:
            alike = sorted(structure.elements) == sorted(other.elements)
            return (
                f"atom {number} is {ours_is} in {ours} ({structure.formula}) and {theirs_is} in {theirs} "
                f"({other.formula}); "
                + ("the order of the atoms must agree" if alike else "species and their order must agree")
            )
    return ""


def _mixed_group(names: tuple[str, ...], groups: Structure) -> int | None:
    """The first group whose atoms have several of the names (one per atom), None where none has."""
    first = 0
    for group, count in enumerate(groups.counts):
        if len(set(names[first : first + count])) > 1:
            return group
        first += count
    return None


def lattice_difference(structure: Structure, other: Structure) -> float:
    """Å, the largest difference of a component of the lattice vectors."""
    return float(np.abs(structure.lattice - other.lattice).max())


def displacements(structure: Structure, other: Structure) -> NDArray[np.float64]:
    """(n_atoms,) Å by which atoms lie apart in two structures of the same atoms, to the nearest periodic image."""
    shift = structure.frac - other.frac
    return np.asarray(np.linalg.norm((shift - np.round(shift)) @ structure.lattice, axis=1))


def same_atoms(structure: Structure, other: Structure) -> list[str]:
    """Sentences on atoms that moved by more than 1e-3 Å: the fields of two geometries in one cell may be compared.

    Raises MismatchError for another cell (beyond 1e-4 Å) or other atoms.
    """
    found = other_atoms(structure, other)
    if found:
        raise MismatchError(found)
    difference = lattice_difference(structure, other)
    if difference > LATTICE_TOLERANCE_ANGSTROM:
        raise MismatchError(
            f"the lattices of {structure.source} and {other.source} differ by up to {difference:.6f} Å; wanted the "
            f"same cell to {LATTICE_TOLERANCE_ANGSTROM:g} Å"
        )
    distances = displacements(structure, other)
    if distances.max(initial=0.0) > POSITION_TOLERANCE_ANGSTROM:
        return [f"positions differ by up to {distances.max():.4f} Å (atom {int(distances.argmax()) + 1})"]
    return []


def require_same(structure: Structure, other: Structure) -> None:
    """Raise MismatchError unless two structures are the same atoms in the same cell and order.

    ``other`` may be rounded as a CHGCAR's header is (6 decimals).
    """
    found = other_atoms(structure, other)
    if found:
        raise MismatchError(found)
    ours, theirs = structure.source or "the structure", other.source or "the other structure"
    difference = lattice_difference(structure, other)
    if difference > LATTICE_TOLERANCE_ANGSTROM:
        raise MismatchError(
            f"the lattice vectors of {ours} and {theirs} differ by up to {difference:.4f} Å; give the POSCAR (or "
            "CONTCAR) of the run that wrote the file"
        )
    distance = displacements(structure, other)
    worst = int(np.argmax(distance))
    if distance[worst] > POSITION_TOLERANCE_ANGSTROM:
        raise MismatchError(
            f"atom {worst + 1} ({structure.elements[worst]}) lies {distance[worst]:.4f} Å apart in {ours} and "
            f"{theirs}; give the POSCAR (or CONTCAR) of the run that wrote the file"
        )


@dataclass(frozen=True, eq=False)
class Neighbours:
    """All ordered pairs closer than a cutoff, images included.

    centre, other : (n_pairs,) indices of atoms; image : (n_pairs, 3) cell of the other, of atoms wrapped into [0, 1)
    distance : (n_pairs,) Å; direction : (n_pairs, 3) unit vectors from the centre to the other atom
    """

    centre: NDArray[np.int64]
    other: NDArray[np.int64]
    image: NDArray[np.int64]
    distance: NDArray[np.float64]
    direction: NDArray[np.float64]


SHORTEST_ANGSTROM = 0.3


def require_right_handed(structure: Structure) -> None:
    """Raise ChgtoolsError for a cell that VASP does not take: its triple product is negative."""
    product = float(np.linalg.det(structure.lattice))
    if product < 0:
        raise ChgtoolsError(
            f"{structure.source or 'the structure'}: the lattice vectors are left-handed (triple product {product:.6g} "
            "Å³), and VASP stops on them; exchange two of them, and the same two coordinates of each atom"
        )


def require_apart(structure: Structure, mixed: bool = False) -> None:
    """Raise MismatchError where an atom is closer than 0.3 Å to another one or to its own image.

    mixed : whether atoms of different groups may be on one place, as VCA has them
    Takes no longer in a cell that is far too small: the lattice alone is looked at first.
    """
    where = structure.source or "the structure"
    shortest = _shortest_lattice_vector(structure.lattice)
    if shortest < SHORTEST_ANGSTROM:
        raise MismatchError(
            f"{where}: an atom is {shortest:.3g} Å from its own image; check the lattice vectors and their scale (Å)"
        )
    pairs = _pairs(structure, SHORTEST_ANGSTROM)
    distance = pairs.distance
    if mixed:
        group = structure.group_of_atom
        apart = (group[pairs.centre] == group[pairs.other]) | (distance > POSITION_TOLERANCE_ANGSTROM)
        distance = np.where(apart, distance, np.inf)
    if np.isfinite(distance).any():
        nearest = int(np.argmin(distance))
        first, second = sorted((int(pairs.centre[nearest]), int(pairs.other[nearest])))
        unlike = structure.elements[first] != structure.elements[second]
        shared = unlike and distance[nearest] <= POSITION_TOLERANCE_ANGSTROM
        raise MismatchError(
            f"{where}: atoms {first + 1} and {second + 1} are {distance[nearest]:.3f} Å apart; check the positions"
            + (" (species that share a place are weighted by VCA in the INCAR)" if shared else "")
        )


def neighbours(structure: Structure, cutoff: float) -> Neighbours:
    """Pairs within ``cutoff`` (Å). Raises MismatchError as :func:`require_apart`."""
    require_apart(structure)
    return _pairs(structure, cutoff)


def _pairs(structure: Structure, cutoff: float) -> Neighbours:
    """Pairs within ``cutoff`` (Å); of atoms on one place the direction is 0."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    lattice = np.ascontiguousarray(structure.lattice, dtype=float)
    positions = np.ascontiguousarray((structure.frac % 1.0) @ lattice)
    periodic = np.array([1, 1, 1], dtype=np.int64)
    centre, other, images, distance = find_points_in_spheres(positions, positions, float(cutoff), periodic, lattice)
    itself = (centre == other) & (images == 0).all(axis=1)
    keep = ~itself & (distance < cutoff)
    centre, other, images, distance = centre[keep], other[keep], images[keep], distance[keep]
    image = np.round(images).astype(np.int64)
    apart = positions[other] + images @ lattice - positions[centre]
    direction = apart / np.where(distance > 0, distance, 1.0)[:, None]
    return Neighbours(centre, other, image, distance, direction)


def _shortest_lattice_vector(lattice: NDArray[np.float64]) -> float:
    """Length in Å of the shortest one; where all are longer than SHORTEST_ANGSTROM a lower bound of it."""
    if np.linalg.det(lattice) == 0:
        return 0.0
    bound = float(plane_spacings(lattice).min())  # every lattice vector crosses at least one pair of planes
    if bound >= SHORTEST_ANGSTROM:
        return bound
    from pymatgen.core import Lattice

    reduced = Lattice(lattice).get_lll_reduced_lattice().matrix
    steps = np.array([step for step in np.ndindex(5, 5, 5) if step != (2, 2, 2)]) - 2
    return float(np.linalg.norm(steps @ reduced, axis=1).min())
