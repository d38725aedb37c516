"""Small cells whose moments start in opposite directions: what no other set has.

    from antiferromagnets import antiferromagnets
    for name, kind, source, structure, nspin in antiferromagnets(seed): ...

Each order is a prototype with enough cells of it that its moments can be compensated, and which of its magnetic atoms
point down. Companions are those with which such crystals are known (MnO, NiF2, CrSb, MnPt, Mn2Au, FeRh, CoCl2, ...) or
near them. Structures carry +1, -1 and 0 as the site property ``magmom``; of some all moments point up, as in the cells
that the training has already, so that both states of such crystals are there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from materials import Relaxer, at_hand, pick, relaxed, scaled
from pymatgen.core import Lattice, Structure

PARALLEL = 0.15  # share of structures whose moments are alike
FCC = [[0, 0, 0], [0.5, 0.5, 0.5]]  # of a tetragonal cell of √½ the edge


@dataclass(frozen=True)
class Order:
    """cell : magnetic and other elements to a structure, edges in Å of no matter what scale
    down : numbers of the magnetic atoms that point down, among the magnetic ones
    weight : how often it is drawn; magnets, others : elements, "" where there is no other
    """

    name: str
    weight: float
    cell: Callable[[str, str], Structure]
    down: tuple[int, ...]
    magnets: str
    others: str = ""


def _cell(lattice: Lattice, magnetic: list, other: list | None = None) -> Callable[[str, str], Structure]:
    places = [*magnetic, *(other or [])]
    return lambda magnet, anion: Structure(lattice, [magnet] * len(magnetic) + [anion] * len(other or []), places)


_SQUARE, _HEX = Lattice.tetragonal(2.9, 4.1), Lattice.hexagonal(4.0, 5.6)
_RHOMBIC = Lattice.rhombohedral(5.0, 33.557)  # two fcc cells along [111]
_WURTZITE, _LAYERS = Lattice.hexagonal(4.0, 6.5), Lattice.hexagonal(3.6, 12.0)
_B2_TWICE = Lattice.rhombohedral(4.25, 60.0)  # two cells of CsCl along [111]
_BODY = Lattice([[-1.65, 1.65, 4.25], [1.65, -1.65, 4.25], [1.65, 1.65, -4.25]])  # primitive, c/a of MoSi2

ORDERS = (
    Order("rocksalt-I", 2, _cell(_SQUARE, FCC, [[0.5, 0.5, 0], [0, 0, 0.5]]), (1,), "Cr Mn Fe Co Ni", "O S Se N"),
    Order(
        "rocksalt-II", 3, _cell(_RHOMBIC, [[0, 0, 0], [0.5, 0.5, 0.5]], [[0.25] * 3, [0.75] * 3]), (1,),
        "Mn Fe Co Ni Cr", "O S Se N Te",
    ),
    Order(
        "zincblende-I", 1, _cell(_SQUARE, FCC, [[0, 0.5, 0.25], [0.5, 0, 0.75]]), (1,), "Mn Fe Co Cr", "O S Se Te N As"
    ),
    Order(
        "NiAs-A", 3, _cell(_HEX, [[0, 0, 0], [0, 0, 0.5]], [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]), (1,),
        "Cr Mn Fe Co Ni", "S Se Te Sb As P Sn O",
    ),
    Order(
        "wurtzite", 1,
        _cell(_WURTZITE, [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]], [[1 / 3, 2 / 3, 0.375], [2 / 3, 1 / 3, 0.875]]),
        (1,), "Mn Co Fe Ni", "O S Se Te N",
    ),
    Order(
        "rutile", 2,
        _cell(
            Lattice.tetragonal(4.6, 3.1), FCC,
            [[0.305, 0.305, 0], [0.695, 0.695, 0], [0.195, 0.805, 0.5], [0.805, 0.195, 0.5]],
        ),
        (1,), "Mn Fe Co Ni Cr", "F O",
    ),
    Order(
        "CdCl2-A", 1,
        _cell(
            _LAYERS, [[0, 0, 0], [0, 0, 0.5]],
            [[1 / 3, 2 / 3, 0.12], [2 / 3, 1 / 3, 0.88], [1 / 3, 2 / 3, 0.62], [2 / 3, 1 / 3, 0.38]],
        ),
        (1,), "Mn Fe Co Ni", "Cl Br I",
    ),
    Order(
        "L1_0", 2,
        _cell(Lattice.tetragonal(4.0, 3.7), [[0, 0, 0], [0.5, 0.5, 0]], [[0.5, 0, 0.5], [0, 0.5, 0.5]]), (1,),
        "Mn Cr Fe", "Ni Pd Pt Ir Rh Au Ga Al",
    ),
    Order(
        "CsCl-G", 1, _cell(_B2_TWICE, [[0, 0, 0], [0.5] * 3], [[0.25] * 3, [0.75] * 3]), (1,),
        "Fe Mn Cr", "Rh Au Pt Pd Al Sb Ge",
    ),
    Order(
        "MoSi2", 1, _cell(_BODY, [[0.335, 0.335, 0], [0.665, 0.665, 0]], [[0, 0, 0]]), (1,), "Mn Cr Fe", "Au Pd Al Ge"
    ),
    Order("B2", 2, _cell(Lattice.cubic(2.88), FCC), (1,), "Cr Mn Fe"),
    Order("fcc-I", 1.5, _cell(Lattice.tetragonal(2.55, 3.6), FCC), (1,), "Mn Fe Cr Co"),
    Order(
        "hcp", 1, _cell(Lattice.hexagonal(2.5, 4.0), [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]), (1,), "Mn Cr Fe Co"
    ),
)  # fmt: skip


def antiferromagnets(seed: int, relax: Relaxer | None = relaxed) -> Iterator[tuple[str, str, str, Structure, int]]:
    """(name, kind, source, structure, nspin) for ever; the structures have the site property ``magmom``."""
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(seed)
    while True:
        order = ORDERS[pick(rng, range(len(ORDERS)), [each.weight for each in ORDERS])]
        magnet, other = (str(rng.choice(names.split())) if names else "" for names in (order.magnets, order.others))
        own = np.random.default_rng(rng.integers(1 << 62))  # what comes next does not depend on the relaxation
        start = scaled(order.cell(magnet, other))
        if (found := at_hand(start, "antiferromagnet", own, relax)) is None:
            continue
        structure, kind = found
        count = sum(site.specie.symbol == magnet for site in start)
        signs = [-1.0 if i in order.down else 1.0 for i in range(count)]
        if own.random() < PARALLEL:
            signs, kind = [1.0] * count, kind.replace("antiferromagnet", "ferromagnet")
        moments = iter(signs)
        structure.add_site_property("magmom", [next(moments) if s.specie.symbol == magnet else 0.0 for s in structure])
        yield f"{structure.composition.reduced_formula}-{order.name}", kind, order.name, structure, 2
