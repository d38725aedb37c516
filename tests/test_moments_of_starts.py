"""Which way moments start in what benchmarks/structures computes: inputs of pw.x, and the orders of antiferromagnets."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "structures"))
from antiferromagnets import ORDERS
from predicted_start import signs_of, with_signs

TEXT = """&system nat=3 ntyp=2 ecutwfc=90 nspin=2 starting_magnetization(1)=0.5 starting_magnetization(2)=0.0  /
ATOMIC_SPECIES
Ni 1.0 Ni.upf
O 1.0 O.upf
CELL_PARAMETERS angstrom
1 0 0
ATOMIC_POSITIONS crystal
Ni 0.0 0.0 0.0
Ni 0.5 0.5 0.5
O 0.25 0.25 0.25
K_POINTS automatic
"""


def test_atoms_that_point_down_are_a_species_of_their_own():
    lines = with_signs(TEXT, np.array([1.0, -1.0, 0.0])).splitlines()
    assert "ntyp=3 " in lines[0]
    assert "starting_magnetization(3)=-0.5" in lines[0]
    assert lines[2:5] == ["Ni 1.0 Ni.upf", "O 1.0 O.upf", "Ni2 1.0 Ni.upf"]
    first = lines.index("ATOMIC_POSITIONS crystal") + 1
    assert [line.split()[0] for line in lines[first : first + 3]] == ["Ni", "Ni2", "O"]
    assert lines[first + 1].split()[1:] == ["0.5", "0.5", "0.5"]


@pytest.mark.parametrize("signs", [None, np.array([1.0, 1.0, 0.0])])
def test_without_any_the_input_stays(signs):
    assert with_signs(TEXT, signs) == TEXT


def test_signs_are_those_of_the_site_property():
    cell = Structure(Lattice.cubic(3), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3])
    assert signs_of(cell) is None
    cell.add_site_property("magmom", [-2.0, 3.0])
    assert signs_of(cell).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)
def test_moments_of_an_order_cancel(order):
    magnet, other = order.magnets.split()[0], (order.others or "O").split()[0]
    count = sum(site.specie.symbol == magnet for site in order.cell(magnet, other))
    assert len(order.down) * 2 == count
    assert max(order.down) < count
