"""What stands in a picture in three dimensions: surfaces of a field, atoms, bonds and the cell. Drawn elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from chgtools.errors import SettingsError
from chgtools.pictures.isosurface import (
    MOST_POINTS,
    Surface,
    caps,
    default_level,
    for_drawing,
    isosurface,
    share_above,
)
from chgtools.pictures.solids import joined, rod, sphere

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from chgtools.cell import Structure
    from chgtools.pictures.fields import Field

MORE, LESS, PLAIN = "#c8423b", "#3b6fb6", "#d99a2b"  # above zero, below zero, a field of one sign
NAMELESS = "#999999"  # atoms of a file that names no species
OPACITY = 0.62
BOND = 1.15  # of the sum of covalent radii: atoms as near are joined
BOND_RADIUS_ANGSTROM = 0.07
ON_A_FACE = 1e-3  # an atom as near to a face of the cell, in fractions, is drawn on the opposite one too
MOST_SOLID_TRIANGLES = 120_000


@dataclass(frozen=True, eq=False)
class Body:
    """One thing of one colour. opacity : 0 to 1; text : of each vertex, to be shown where a picture can be asked"""

    surface: Surface
    name: str
    colour: str
    opacity: float = 1.0
    text: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """surfaces, atoms : bodies; lattice : (3, 3) rows, Å; repeats : cells drawn along each; said : on the isovalue"""

    surfaces: tuple[Body, ...]
    atoms: tuple[Body, ...]
    lattice: NDArray[np.float64]
    repeats: tuple[int, int, int]
    said: str

    @property
    def corners(self) -> NDArray[np.float64]:
        """(8, 3) Å, of all cells together."""
        return np.array(list(product((0, 1), repeat=3))) * np.array(self.repeats) @ self.lattice

    def edges(self) -> NDArray[np.float64]:
        """(n, 2, 3) Å, beginnings and ends of the edges of each cell."""
        found = []
        for axis in range(3):
            others = [other for other in range(3) if other != axis]
            for place in np.ndindex(*(self.repeats[other] + 1 for other in others)):
                begin = np.zeros(3)
                begin[others] = place
                for step in range(self.repeats[axis]):
                    begin[axis] = step
                    end = begin.copy()
                    end[axis] += 1
                    found.append([begin.copy(), end])
        return np.array(found) @ self.lattice


def scene_of(
    field: Field, level: float | None = None, repeats: Sequence[int] = (1, 1, 1), most: int = MOST_POINTS
) -> Scene:
    """Surfaces of a field at a level (both signs of a field that has them), with its atoms, bonds and cell.

    level : positive, in the unit of the field; by default the one above which |field| holds half of its integral
    repeats : cells along each lattice vector; most : points of all cells together that surfaces are drawn from, about
    Raises SettingsError for a level that the field does not reach.
    """
    if min(repeats) < 1:
        raise SettingsError(f"found the repeats {' '.join(map(str, repeats))}; wanted three positive numbers of cells")
    if level is not None and (not level > 0):
        raise SettingsError(f"found the isovalue {level:g}; wanted a positive one (a field of both signs gets both)")
    chosen = default_level(field.values) if level is None else level
    values = for_drawing(field, repeats, most)
    signs = [sign for sign in ((1, -1) if field.signed else (1,)) if (sign * values).max() > chosen]
    if not signs:
        raise SettingsError(
            f"found the isovalue {chosen:g}; the {field.name} runs from {values.min():.4g} to {values.max():.4g}"
            f" {field.unit}".rstrip()
        )
    lattice = field.structure.lattice
    bodies = []
    for sign in signs:
        surface = isosurface(sign * values, lattice, chosen).repeated(lattice, repeats)
        colour = PLAIN if not field.signed else MORE if sign > 0 else LESS
        name = f"{'' if not field.signed else '+' if sign > 0 else '−'}{chosen:g} {field.unit}".rstrip()
        bodies.append(
            Body(joined([surface, *_closing(sign * values, lattice, chosen, repeats)]), name, colour, OPACITY)
        )
    both = "±" if field.signed else ""
    within = 100 * share_above(field.values, chosen)
    said = f"isovalue {both}{chosen:g} {field.unit}".rstrip() + f": {within:.0f} % of the {field.name} is inside"
    drawn = (int(repeats[0]), int(repeats[1]), int(repeats[2]))
    return Scene(tuple(bodies), tuple(_atoms(field.structure, drawn)), lattice, drawn, said)


def _closing(
    values: NDArray[np.floating[Any]], lattice: NDArray[np.float64], level: float, repeats: Sequence[int]
) -> list[Surface]:
    """What closes the surface on the outer faces of all cells."""
    found = []
    for (axis, side), cap in caps(values, lattice, level).items():
        along = [1 if other == axis else repeats[other] for other in range(3)]
        outer = Surface(cap.vertices + side * (repeats[axis] - 1) * lattice[axis], cap.triangles)
        found.append(outer.repeated(lattice, along))
    return found


def atoms_shown(structure: Structure, repeats: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(indices, (n, 3) positions in Å) of the atoms in the cells and of their images on the faces."""
    wrapped = structure.frac % 1.0
    wrapped[wrapped > 1 - ON_A_FACE] -= 1.0
    cells = np.array(list(np.ndindex(*(n + 1 for n in repeats))))
    frac = (wrapped[:, None] + cells[None]).reshape(-1, 3)
    indices = np.repeat(np.arange(structure.n_atoms), len(cells))
    inside = np.all((frac > -ON_A_FACE) & (frac < np.array(repeats) + ON_A_FACE), axis=1)
    return indices[inside], frac[inside] @ structure.lattice


def bonds(structure: Structure, indices: NDArray[np.int64], positions: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of drawn atoms that are no further apart than 1.15 times the sum of their covalent radii."""
    from scipy.spatial import cKDTree

    radius = np.array([covalent_radius(element) for element in structure.elements])[indices]
    if len(positions) < 2:
        return []
    pairs = cKDTree(positions).query_pairs(2 * BOND * float(radius.max()), output_type="ndarray")
    apart = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    near = apart <= BOND * (radius[pairs[:, 0]] + radius[pairs[:, 1]])
    return [(int(i), int(j)) for i, j in pairs[near]]


def _atoms(structure: Structure, repeats: tuple[int, int, int]) -> list[Body]:
    """One body for each element: its atoms, and the halves of bonds that are theirs."""
    indices, positions = atoms_shown(structure, repeats)
    elements = np.array(structure.elements)
    ball = sphere(next((n for n in (3, 2) if len(indices) * 20 * 4**n <= MOST_SOLID_TRIANGLES), 1))
    rods: dict[str, list[Surface]] = {}
    for i, j in bonds(structure, indices, positions):
        middle = (positions[i] + positions[j]) / 2
        for atom in (i, j):
            half = rod(positions[atom], middle, BOND_RADIUS_ANGSTROM)
            rods.setdefault(elements[indices[atom]], []).append(half)
    bodies = []
    for element in dict.fromkeys(structure.elements):
        mine = np.flatnonzero(elements[indices] == element)
        radius = 0.14 + 0.17 * covalent_radius(element)
        balls = [Surface(radius * ball.vertices + positions[atom], ball.triangles) for atom in mine]
        surface = joined([*balls, *rods.get(element, [])])
        names = [f"{element} {indices[atom] + 1}".strip() for atom in mine for _ in range(len(ball.vertices))]
        names += [element] * (len(surface.vertices) - len(names))
        bodies.append(Body(surface, element or "atoms", element_colour(element), text=tuple(names)))
    return bodies


def covalent_radius(element: str) -> float:
    """Å (B. Cordero et al., Dalton Trans. 2008, 2832, as pymatgen has them); 1 Å where there is none."""
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    return float(CovalentRadius.radius.get(element, 1.0))


def element_colour(element: str) -> str:
    """As Jmol has it, of pymatgen's table."""
    rgb = _colours().get(element)
    return NAMELESS if rgb is None else "#" + "".join(f"{int(part):02x}" for part in rgb)


@cache
def _colours() -> dict[str, Any]:
    from importlib.resources import files

    import yaml

    table: dict[str, Any] = yaml.safe_load((files("pymatgen.vis") / "ElementColorSchemes.yaml").read_text())["Jmol"]
    return table
