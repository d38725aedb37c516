"""Structures of what is computed most with VASP, to train on: oxides, halides, intermetallics, layers, slabs, defects.

    from materials import materials
    for name, kind, source, structure, nspin in materials(seed): ...

The prototypes of prototypes.py with elements that suit their sites, those first that training data lack (COUNTS),
relaxed with CHGNet; some of them cut to slabs, with a vacancy or an exchanged atom, some strained and rattled. They are
computed with compute_data.py. Needs chgnet beside what chgtools needs, unless ``relax`` is None.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from prototypes import PROTOTYPES, Prototype
from pymatgen.core import Element, Lattice, Structure

FAMILIES = {
    "perovskite": 10, "halide-perovskite": 4, "layered-perovskite": 3, "antiperovskite": 2.5, "spinel": 11,
    "layered": 13, "corundum": 4, "rutile": 6, "fluorite": 6, "halide": 5, "chalcogenide": 8, "chalcopyrite": 5,
    "kesterite": 5, "skutterudite": 4, "hydroxide": 8, "carbonate": 7, "oxyanion": 6, "nitride": 7, "hydride": 4,
    "zintl": 6, "half-heusler": 3, "heusler": 4, "intermetallic": 10, "max": 5, "silicide": 7, "element": 6, "noble": 3,
}  # fmt: skip
DERIVED = {"": 0.74, "slab": 0.12, "vacancy": 0.07, "substituted": 0.07}  # what is made of a relaxed prototype
# Structures with the element among the 1202 computed before.
COUNTS = {
    "Ar": 0, "Tc": 0, "Re": 0, "Hf": 0, "He": 0, "Po": 0, "Ne": 0, "Xe": 0, "Kr": 0, "Rh": 0, "Os": 0, "Ir": 0,
    "Ta": 0, "Rn": 0, "Hg": 0, "Ru": 0, "W": 1, "Bi": 1, "Tl": 1, "Br": 3, "I": 3, "Fe": 6, "Mn": 6, "Ni": 8, "Co": 8,
    "Cs": 9, "Ba": 10, "Cd": 12, "Cr": 13, "Y": 14, "K": 15, "Ag": 17, "Pt": 17, "Rb": 18, "Pd": 19, "Ti": 19,
    "Mo": 21, "Sb": 22, "Ge": 22, "P": 23, "Sr": 23, "Nb": 24, "Sc": 24, "B": 25, "Se": 26, "Au": 26, "Zr": 27,
    "Zn": 27, "Na": 27, "Sn": 29, "Pb": 30, "Ca": 31, "Li": 31, "In": 32, "V": 34, "Te": 35, "Be": 37, "Al": 40,
    "Cl": 42, "F": 46, "Cu": 48, "As": 55, "Mg": 60, "Ga": 64, "S": 77, "N": 91, "H": 117, "C": 147, "O": 181,
    "Si": 324,
}  # fmt: skip
ELEMENTS = tuple(COUNTS)
MAGNETIC = frozenset("Cr Mn Fe Co Ni".split())
NOBLE = {"He": 12.0, "Ne": 22.0, "Ar": 37.5, "Kr": 45.0, "Xe": 57.5, "Rn": 68.0}  # Å³ an atom of the solid
LIKE = {"O": ("N", "F", "S"), "F": ("O", "Cl"), "N": ("O", "C"), "C": ("N", "B")}  # what may take the place of these
UNKNOWN = {"Po": ("Te", 1.10)}  # to CHGNet: what stands for it, and how much larger the volume is
TARGETED = 0.6  # the share of draws that start from an element instead of a family
SYMMETRIC, MOSTLY_SYMMETRIC = 0.6, 0.75
MOST_ATOMS, FEWER_BEYOND = 16, 14
LARGEST = 260.0  # Å³

Relaxer = Callable[[Structure, int, bool], Structure]


@dataclass(frozen=True)
class Choice:
    prototype: Prototype
    sites: tuple[tuple[tuple[str, ...], float | None], ...]
    weight: float


def relaxed(structure: Structure, steps: int, cell: bool = True) -> Structure:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        optimizer = _optimizer()
        out = optimizer.relax(
            structure, verbose=False, steps=steps, fmax=0.1, relax_cell=cell, assign_magmoms=False
        )["final_structure"]  # fmt: skip
    return Structure(out.lattice.matrix, out.species, out.frac_coords)


@cache
def _optimizer():
    from chgnet.model import StructOptimizer

    return StructOptimizer(use_device="cpu")


def materials(
    seed: int, elements: Sequence[str] = ELEMENTS, relax: Relaxer | None = relaxed
) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever; no formula comes twice in one family."""
    warnings.filterwarnings("ignore")
    rng, seen = np.random.default_rng(seed), set()
    choices = available(elements)
    while True:
        choice, symbols = drawn(rng, choices)
        derived = str(rng.choice(list(DERIVED), p=list(DERIVED.values())))
        own = np.random.default_rng(rng.integers(1 << 62))  # what comes next does not depend on the relaxation
        if derived and choice.prototype.family == "noble":
            derived = "box"
        family = f"noble-{derived}" if derived == "box" else derived or choice.prototype.family
        start = scaled(choice.prototype.decorated(symbols))
        if not cheap(start, own) or (family, start.composition.reduced_formula, choice.prototype.family) in seen:
            continue
        try:
            structure, source = made(choice, symbols, start, derived, own, relax)
        except Exception:  # a cell that CHGNet or pymatgen cannot take is drawn again
            continue
        kind = family
        if own.random() < SYMMETRIC:
            structure.scale_lattice(structure.volume * (own.uniform(0.97, 1.04) if derived != "slab" else 1.0))
        else:
            structure, kind = distorted(structure, own), f"{family}-distorted"
        if len(structure) > MOST_ATOMS or structure.volume > LARGEST or too_near(structure):
            continue
        seen.add((family, start.composition.reduced_formula, choice.prototype.family))
        nspin = 2 if MAGNETIC & {e.symbol for e in structure.composition} else 1
        yield f"{structure.composition.reduced_formula}-{family}", kind, source, structure, nspin


def available(elements: Sequence[str]) -> list[Choice]:
    """Every prototype with every decoration that these elements allow."""
    found = []
    for prototype in PROTOTYPES:
        for decoration in prototype.decorations:
            sites = tuple((tuple(e for e in names if e in elements), charge) for names, charge in decoration)
            if all(names for names, _ in sites):
                found.append((prototype, sites))
    size = {family: sum(p.family == family for p, _ in found) for family in FAMILIES}
    return [Choice(p, sites, FAMILIES[p.family] / size[p.family]) for p, sites in found]


def wanted(element: str) -> float:
    """The weight of an element, large where few structures had it, or it is magnetic; noble gases are held back."""
    weight = (12.0 + COUNTS.get(element, 0)) ** -0.7
    return weight * (1.35 if element in MAGNETIC else 0.5 if element in NOBLE else 1.0)


def drawn(rng: np.random.Generator, choices: list[Choice]) -> tuple[Choice, list[str]]:
    """A prototype and the elements of its roles, all different."""
    while True:
        target = None
        if rng.random() < TARGETED:
            names = sorted({e for c in choices for names, _ in c.sites for e in names})
            target = pick(rng, names, [wanted(e) for e in names])
        fitting = [c for c in choices if target is None or any(target in names for names, _ in c.sites)]
        choice = fitting[pick(rng, range(len(fitting)), [c.weight for c in fitting])]
        roles = [i for i, (names, _) in enumerate(choice.sites) if target in names]
        fixed = int(rng.choice(roles)) if roles else None
        symbols = [
            target if i == fixed else pick(rng, names, [wanted(e) for e in names])
            for i, (names, _) in enumerate(choice.sites)
        ]
        if len(set(symbols)) == len(symbols):
            return choice, symbols


def pick(rng: np.random.Generator, items: Sequence, weights: Sequence[float]):
    return items[int(rng.choice(len(items), p=np.array(weights) / np.sum(weights)))]


def cheap(structure: Structure, rng: np.random.Generator) -> bool:
    """Not too large; of the larger ones only some."""
    if len(structure) > MOST_ATOMS or structure.volume > LARGEST:
        return False
    chance = min(1.0, (700.0 / (len(structure) * structure.volume)) ** 0.5)
    return bool(rng.random() < chance * (0.4 if len(structure) > FEWER_BEYOND else 1.0))


def scaled(structure: Structure) -> Structure:
    """At the volume that the bonds of its elements want."""
    from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor

    out = structure.copy()
    if any(e.symbol in NOBLE for e in out.composition):
        out.scale_lattice(sum(solid_volume(site.specie) for site in out))
        return out
    for _ in range(2):  # the first estimate depends on the volume a little
        out.scale_lattice(DLSVolumePredictor().predict(out))
    return out


def solid_volume(element: Element) -> float:
    """Å³ an atom: of the solid noble gas or of touching spheres."""
    if element.symbol in NOBLE:
        return NOBLE[element.symbol]
    return 4 * 2**0.5 * float(element.atomic_radius or 1.4) ** 3


def made(
    choice: Choice, symbols: list[str], start: Structure, derived: str, rng: np.random.Generator, relax: Relaxer | None
) -> tuple[Structure, str]:
    """The structure, relaxed and cut or changed as asked, and where it comes from."""
    source = f"{choice.prototype.family} {choice.prototype.name}"
    if derived == "box":
        return boxed(symbols[0], rng), "atom and molecule in a box"
    cell = settled(start, 40, True, relax)
    if derived == "slab":
        cell = (monolayer(cell, rng) if rng.random() < 0.8 else None) or slab(cell, rng)
    elif derived:
        cell = repeated(cell)
        sites = list(range(len(cell)))
        if derived == "vacancy":
            cell.remove_sites([pick(rng, sites, [1] * len(sites))])
        else:
            likely = {old: LIKE.get(old, names) for old, (names, _) in zip(symbols, choice.sites, strict=True)}
            others = {old: [e for e in names if e not in symbols] for old, names in likely.items()}
            site = pick(rng, sites, [bool(others[s.specie.symbol]) for s in cell])
            names = others[cell[site].specie.symbol]
            cell.replace(site, pick(rng, names, [wanted(e) for e in names]))
    if derived and rng.random() < 0.6:
        cell = settled(cell, 12, False, relax)
    return cell, f"{derived} of {source}" if derived else source


def settled(structure: Structure, steps: int, cell: bool, relax: Relaxer | None) -> Structure:
    """Relaxed, unless a noble gas is in it, of which CHGNet knows little."""
    symbols = {e.symbol for e in structure.composition}
    if relax is None or symbols & set(NOBLE):
        return structure.copy()
    known = structure.copy()
    known.replace_species({old: new for old, (new, _) in UNKNOWN.items() if old in symbols})
    out = relax(known, steps, cell)
    if not 0.6 < out.volume / structure.volume < 1.9:
        raise ValueError("not bound")
    out = Structure(out.lattice, structure.species, out.frac_coords)
    if cell:
        factors = [UNKNOWN.get(site.specie.symbol, ("", 1.0))[1] for site in structure]
        out.scale_lattice(out.volume * float(np.mean(factors)))
    return out


def repeated(cell: Structure) -> Structure:
    """A supercell of six atoms at least, longest side shortest."""
    out = cell.copy()
    while len(out) < 6:
        shortest = int(np.argmin(out.lattice.abc))
        out.make_supercell([2 if i == shortest else 1 for i in range(3)])
    return out


def slab(cell: Structure, rng: np.random.Generator) -> Structure:
    """A few layers and some vacuum."""
    from pymatgen.core.surface import SlabGenerator

    miller = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0, 1)][int(rng.integers(4))]
    size, vacuum = float(rng.uniform(2.5, 5.0)), float(rng.uniform(4.0, 6.0))
    slabs = SlabGenerator(cell, miller, size, vacuum, primitive=True, center_slab=True).get_slabs()
    small = [s for s in slabs if 1 < len(s) <= FEWER_BEYOND and s.volume < LARGEST]
    chosen = small[int(rng.integers(len(small)))]
    return Structure(chosen.lattice.matrix, chosen.species, chosen.frac_coords)


def monolayer(cell: Structure, rng: np.random.Generator) -> Structure | None:
    """One layer of a layered crystal and some vacuum; None where the layers are near each other or not all alike."""
    gap, axis = max((gaps(cell, axis)[1].max(), axis) for axis in range(3))
    order, widths = gaps(cell, axis)
    if gap < 2.4:
        return None
    after = int(np.argmax(widths)) + 1
    places = cell.frac_coords % 1
    places[order[:after], axis] += 1  # so that the atoms above the gap come first and no layer is cut
    order, widths = np.roll(order, -after), np.roll(widths, -after)
    kept = order[: int(np.flatnonzero(widths > 0.85 * gap)[0]) + 1]
    if {cell[int(i)].specie for i in kept} != set(cell.species) or len(kept) < 2:
        return None
    sides = [cell.lattice.matrix[i] for i in range(3) if i != axis]
    normal = np.cross(*sides) / np.linalg.norm(np.cross(*sides))
    places = places[kept] @ cell.lattice.matrix
    thickness = float(np.ptp(places @ normal))
    lattice = Lattice([*sides, normal * (thickness + rng.uniform(5.5, 7.0))])
    return Structure(lattice, [cell[int(i)].specie for i in kept], places, coords_are_cartesian=True)


def gaps(cell: Structure, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The atoms in their order along a vector of the cell, and how many Å further the next is."""
    z = cell.frac_coords[:, axis] % 1
    order = np.argsort(z, kind="stable")
    height = cell.volume / np.linalg.norm(np.cross(*(cell.lattice.matrix[i] for i in range(3) if i != axis)))
    return order, np.diff(np.append(z[order], z[order[0]] + 1)) * height


def boxed(noble: str, rng: np.random.Generator) -> Structure:
    """A noble gas atom and a small molecule or another such atom at about the sum of their radii, in a box."""
    partners = ["N N 1.10", "C O 1.13", "H F 0.92", "H Cl 1.27", "F F 1.41", "Cl Cl 1.99", "Li H 1.60", "Be O 1.33"]
    words = str(rng.choice(partners + [f"{e} X 0" for e in NOBLE])).split()
    symbols, bond = [e for e in words[:2] if e != "X"], float(words[2])
    contact = sum(float(Element(e).van_der_waals_radius or 2.0) for e in (noble, symbols[0])) * rng.uniform(0.85, 1.05)
    along = rng.normal(size=3) + np.array([1.5, 0.0, 0.0])  # the molecule points away from the atom, more or less
    places = np.array(
        [[0.0, 0.0, 0.0], [contact, 0, 0], np.array([contact, 0, 0]) + bond * along / np.linalg.norm(along)]
    )
    places = places[: 1 + len(symbols)]
    box = np.ptp(places, axis=0) + rng.uniform(4.2, 5.0, size=3)
    return Structure(Lattice.orthorhombic(*box), [noble, *symbols], places + 2.2, coords_are_cartesian=True)


def at_hand(
    start: Structure, kind: str, rng: np.random.Generator, relax: Relaxer | None
) -> tuple[Structure, str] | None:
    """Relaxed, then strained alike in all directions or, one in four, distorted; and its kind. None where CHGNet or
    pymatgen cannot take the cell, or atoms come too near."""
    try:
        structure = settled(start, 40, True, relax)
    except Exception:
        return None
    if rng.random() < MOSTLY_SYMMETRIC:
        structure.scale_lattice(structure.volume * rng.uniform(0.97, 1.04))
    else:
        structure, kind = distorted(structure, rng), f"{kind}-distorted"
    return None if too_near(structure) else (structure, kind)


def distorted(structure: Structure, rng: np.random.Generator) -> Structure:
    """Strained by up to 2 % and rattled by 0.03 to 0.1 Å an atom, half of that where there is hydrogen."""
    strain = np.clip(rng.normal(scale=rng.uniform(0.004, 0.012), size=(3, 3)), -0.02, 0.02)
    matrix = structure.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2)
    amplitude = rng.uniform(0.03, 0.1) / 3**0.5 * (0.5 if "H" in structure.symbol_set else 1.0)
    out = Structure(matrix, structure.species, structure.frac_coords)
    shift = rng.normal(scale=amplitude, size=(len(out), 3))
    return Structure(matrix, out.species, out.cart_coords + shift, coords_are_cartesian=True)


def too_near(structure: Structure) -> bool:
    """Whether two atoms are nearer than 0.62 of the sum of their radii, or 0.7 Å; noble gases count as small."""
    for i, near in enumerate(structure.get_all_neighbors(2.8)):
        for other in near:
            radii = [float(e.atomic_radius or 0.9) for e in (structure[i].specie, other.specie)]
            if other.nn_distance < max(0.7, 0.62 * sum(radii)):
                return True
    return False
