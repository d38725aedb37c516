"""Crystal prototypes with lists of what may sit on their sites, for materials.py.

A line of ionic.txt or covalent.txt that does not start with spaces is a prototype: family, name, number of the space
group (first origin), lattice (a, b, c, and the angle that is not 90°: gamma of a hexagonal cell, beta of a monoclinic
one), sites ``role x y z``; ``A*2>B`` at their end gives the first two sites of role A to role B. The lines below it are
its decorations, one token a role in the order in which the roles come first: a pool of POOLS or elements with commas
between them, with the charge where the compound is ionic. What is written twice is drawn twice as often.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

from pymatgen.core import Element, Lattice, Structure
from pymatgen.symmetry.groups import SpaceGroup

# What sits on large, octahedral and tetrahedral sites at which charge; anions; metals.
POOLS = {
    "large+1": "Na K Rb Cs Ag Tl", "large+2": "Ca Sr Ba Pb Cd Sn Hg", "large+3": "Y Bi In Sc Tl",
    "alkali+1": "Li Na K Rb Cs", "oct+2": "Mg Mn Fe Co Ni Cu Zn Cd Ca V Cr Hg Ge Sn Pb Pd Pt",
    "oct+3": "Al Ga In Sc Y Ti V Cr Mn Fe Co Ni Rh Ir Ru Bi Sb Tl Os Mo Au",
    "oct+4": "Ti Zr Hf V Nb Ta Mo W Tc Re Ru Os Rh Ir Pt Mn Sn Pb Ge Te Po Pd Cr",
    "oct+5": "Nb Ta Sb V Re Os Bi W Mo Tc Ru Ir", "oct+6": "W Re Mo Te Os Tc",
    "tet+2": "Be Mg Zn Cd Hg Mn Fe Co Cu", "tet+4": "Si Ge Ti Sn Zr", "tet+6": "Mo W Re Cr S Se Os",
    "chalc-2": "S Se Te", "anion-2": "O S Se Te Po",
    "early": "Sc Y Ti Zr Hf V Nb Ta Cr Mo W", "late": "Fe Co Ni Ru Rh Pd Os Ir Pt Cu Au Ag",
    "poor": "Al Ga In Tl Si Ge Sn Pb Sb Bi Zn Cd Hg",
    "metal": "Li Be Mg Al Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Sr Ba Na K Rb Cs",
    "noble": "He Ne Ar Kr Xe Rn",
}  # fmt: skip


@dataclass(frozen=True)
class Prototype:
    family: str
    name: str
    group: int
    lattice: Lattice
    sites: tuple[tuple[str, tuple[float, float, float]], ...]
    decorations: tuple[tuple[tuple[tuple[str, ...], float | None], ...], ...]  # of (elements, charge), one a role
    split: tuple[str, int, str] | None = None

    @property
    def roles(self) -> list[str]:
        return list(dict.fromkeys(role for role, _ in self.sites))

    @cache  # noqa: B019 - as many as there are prototypes, for ever
    def cell(self) -> Structure:
        """The primitive cell, with the role of each atom among its properties."""
        labels = dict(zip(self.roles, "H He Li Be B C N O".split(), strict=False))  # stand-ins, told apart by pymatgen
        orbits = [
            (labels[role], orbit) for role, place in self.sites for orbit in _space_group(self.group).get_orbit(place)
        ]
        cell = Structure(self.lattice, [label for label, _ in orbits], [place for _, place in orbits])
        cell = cell.get_primitive_structure(0.01)  # Å, less than a tilt moves the atoms
        back = {label: role for role, label in labels.items()}
        roles = [back[site.specie.symbol] for site in cell]
        if self.split:
            old, count, new = self.split
            for index in [i for i, role in enumerate(roles) if role == old][:count]:
                roles[index] = new
        cell.add_site_property("role", roles)
        return cell

    def decorated(self, elements: list[str]) -> Structure:
        """With these elements on its roles, at the volume of the prototype."""
        of = dict(zip(self.roles, elements, strict=True))
        cell = self.cell()
        return Structure(cell.lattice, [of[role] for role in cell.site_properties["role"]], cell.frac_coords)

    def counts(self) -> dict[str, int]:
        roles = self.cell().site_properties["role"]
        return {role: roles.count(role) for role in self.roles}


@cache
def _space_group(number: int) -> SpaceGroup:
    return SpaceGroup.from_int_number(number)


def pool(token: str) -> tuple[tuple[str, ...], float | None]:
    """The elements and the charge that a token of a decoration stands for."""
    if token in POOLS:
        names, charge = POOLS[token].split(), re.search(r"[+-][\d.]+$", token)
        return tuple(names), float(charge[0]) if charge else None
    match = re.fullmatch(r"([A-Za-z,]+)([+-][\d.]+)?", token)
    names = match[1].split(",") if match else []
    if not match or not all(Element.is_valid_symbol(name) for name in names):
        raise ValueError(f"found the token {token}; wanted a pool of POOLS or elements, as Mg,Zn+2")
    return tuple(names), float(match[2]) if match[2] else None


def _lattice(group: int, numbers: list[float]) -> Lattice:
    a, b, c, *angle = numbers
    if not angle:
        return Lattice.orthorhombic(a, b, c)
    return Lattice.from_parameters(a, b, c, 90, *((90, 120) if group >= 143 else (angle[0], 90)))


def parsed(table: str) -> list[Prototype]:
    found: list[tuple[str, list[str]]] = []
    for line in table.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith(" "):
            found[-1][1].extend(line.split("|"))
        else:
            found.append((line, []))
    return [_prototype(head, choices) for head, choices in found]


def _prototype(head: str, choices: list[str]) -> Prototype:
    (family, name, group, *numbers), places = head.split(":")[0].split(), head.split(":")[1].split(",")
    split = None
    if ">" in places[-1]:
        old, count, new = re.fullmatch(r"\s*(\w+)\*(\d+)>(\w+)", places.pop()).groups()
        split = (old, int(count), new)
    sites = tuple((words[0], tuple(float(Fraction(x)) for x in words[1:])) for words in map(str.split, places))
    decorations = tuple(tuple(pool(token) for token in choice.split()) for choice in choices)
    return Prototype(
        family, name, int(group), _lattice(int(group), [float(x) for x in numbers]), sites, decorations, split
    )


FOLDER = Path(__file__).parent
PROTOTYPES = [p for name in ("ionic.txt", "covalent.txt") for p in parsed((FOLDER / name).read_text())]
