"""Inputs that are easily read wrong (benchmarks/files/odd_inputs.py): what was made is what is said of it."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "files"))
import odd_inputs
import odd_made
import odd_readers

CASES = {case.name: case for case in odd_made.cases()}
REFUSED = {  # which pymatgen and ASE take; two of them `check --fix` mends
    "CHG, the same without blanks between",
    "blank lines around the moments",
    "blank lines behind records and moments",
    "lines of a record joined",
}


def numbers_behind(name, marker, count):
    """``count`` numbers of a made file that follow the line ``marker``, as they stand there."""
    text = CASES[name].content
    return [float(word) for word in text[text.index(marker) + len(marker) :].split()[:count]]


@pytest.mark.parametrize(
    ("name", "electrons", "within"),
    [
        ("CHGCAR of VASP", 12, 1e-9),
        ("last line filled up with zeros", 12, 1e-9),
        ("CHG of VASP", 432, 20),  # one of the 36 numbers, of 432 on the mean, was made 10.000
        ("CHGCAR of VASP, ISPIN = 2", 12, 1e-9),
        ("XSF, none repeated, vectors of the cell", 8, 1e-7),
    ],
)
def test_electrons(name, electrons, within):
    assert CASES[name].truth.electrons == pytest.approx(electrons, abs=within)


def test_the_numbers_of_a_grid_are_those_of_the_file():
    """Density x volume with x fastest in the VASP family, electrons/bohr³ with z fastest in a cube."""
    grid = "\n    6    3    2\n"
    for name in ("CHGCAR of VASP", "last line filled up with zeros", "CHG, 10.0000 one column wider"):
        values = CASES[name].truth.blocks[0] * 4.0 * 3.6 * 5.1
        np.testing.assert_allclose(values.ravel(order="F"), numbers_behind(name, grid, 36), rtol=1e-14)
    assert CASES["last line filled up with zeros"].content.split()[-4:] == ["0.00000000000E+00"] * 4
    last_atom = CASES["cube"].content.splitlines()[8] + "\n"
    np.testing.assert_allclose(
        CASES["cube"].truth.blocks[0].ravel() * BOHR_ANGSTROM**3, numbers_behind("cube", last_atom, 60), rtol=1e-14
    )


@pytest.mark.parametrize(
    ("value", "printed"),
    [(12.345678901, " 0.12345678901E+02"), (-0.5, " -.50000000000E+00"), (0.0, " 0.00000000000E+00")],
)
def test_numbers_are_printed_as_fortran_prints_them(value, printed):
    assert odd_made.e17(value) == printed
    assert odd_made.g11(12.345) == "  12.345    "


def test_a_negative_scale_is_the_volume():
    lines, truth = CASES["negative scale, Cartesian"].content.splitlines(), CASES["negative scale, Cartesian"].truth
    assert float(lines[1]) == pytest.approx(-np.linalg.det(truth.lattice))
    places = np.array([line.split() for line in lines[8:11]], dtype=float)
    np.testing.assert_allclose(2 * places, truth.frac @ truth.lattice, atol=1e-9)  # vectors are half as long there


def test_what_chgtools_makes_of_all(tmp_path):
    """Right, or refused: never anything else."""
    found = {}
    for number, case in enumerate(CASES.values()):
        path = tmp_path / str(number) / case.file
        path.parent.mkdir()
        path.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
        reader = odd_readers.reader_of("chgtools", case.kind, case.file)
        found[case.name] = odd_inputs.judged(reader, path, case.truth)
    assert {name: verdict for name, verdict in found.items() if verdict.word == "refused"}.keys() == REFUSED
    assert [name for name, verdict in found.items() if verdict.word != "right"] == sorted(
        REFUSED, key=list(found).index
    )


def test_other_numbers_are_found():
    salt = odd_made.SALT
    turned = replace(salt, symbols=salt.symbols[::-1], frac=salt.frac[::-1] + 3)
    assert odd_inputs.difference(turned, salt) == ""
    assert odd_inputs.difference(replace(salt, symbols=salt.symbols[::-1]), salt) == "Cl for Na"
    assert odd_inputs.difference(replace(salt, frac=-salt.frac), salt) == "positions"
    assert odd_inputs.difference(replace(salt, lattice=salt.lattice.T), salt) == "cell"
    assert odd_inputs.difference([salt, salt], [salt]) == "2 frames"
    with_moments = replace(salt, moments=(1.0, 2.0, 3.0))
    assert odd_inputs.difference(salt, with_moments) == "moments"
    assert odd_inputs.difference(replace(turned, moments=(3.0, 2.0, 1.0)), with_moments) == ""
    density = CASES["CHGCAR of VASP, ISPIN = 2"].truth
    for blocks, wrong in (
        (density.blocks, ""),
        (density.blocks[:1], "1 blocks"),
        ((density.blocks[0], -density.blocks[1]), "values of block 2"),
        ((density.blocks[0][::-1], density.blocks[1]), "values of block 1"),
        ((density.blocks[0][:, :2], density.blocks[1]), "grid 6x2x2"),
    ):
        assert odd_inputs.difference(replace(density, blocks=blocks), density) == wrong


def test_other_tags_are_found():
    truth = {"ENCUT": 400, "LWAVE": False, "MAGMOM": [1, 1, -0.5], "NSW": None}
    right = {"ENCUT": 400.0, "LWAVE": ".FALSE.", "MAGMOM": "2*1. -.5", "NSW": None}
    assert odd_inputs.difference(right, truth) == ""
    for tag, value, wrong in (
        ("ENCUT", 300.0, "ENCUT = 300"),
        ("LWAVE", True, "LWAVE = True"),
        ("MAGMOM", [1, 1], "MAGMOM = [1, 1]"),
        ("NSW", 5, "NSW = 5"),
        ("ENCUT", None, "no ENCUT"),
    ):
        assert odd_inputs.difference({**right, tag: value}, truth) == wrong


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a process that is forked beside threads
@pytest.mark.parametrize(
    ("reader", "word"),
    [
        (lambda path, truth: odd_made.SALT, "right"),
        (lambda path, truth: time.sleep(60), "hang"),
        (lambda path, truth: os._exit(1), "refused"),
        (lambda path, truth: 1 / 0, "refused"),
    ],
)
def test_a_reader_may_hang_or_die(reader, word):
    timeout = 0.2 if word == "hang" else 30
    assert odd_inputs.in_process(reader, Path("POSCAR"), odd_made.SALT, timeout).word == word
