"""The expected error is told where it was calibrated, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_models import cell, small
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.cell import Structure, neighbours
from chgtools.elements import COVALENT_RADII_ANGSTROM, SYMBOLS
from chgtools.formats import poscar
from chgtools.start.expected_error import NEAREST

GRID = chgtools.GridOptions(ngf=(24, 24, 30))


def said(run, incar="", **options):
    """(expected error, the sentence on why there is none) of a prediction beside an INCAR."""
    poscar.write(cell(), run / "POSCAR")
    (run / "INCAR").write_text(incar)
    made = chgtools.predict(run / "POSCAR", grid=GRID, model=options.pop("model", small()), **options)
    why = [text for text in made.assumptions if text.startswith("how large the error")]
    assert len(why) <= 1
    return made.error_percent, "".join(why)


@pytest.mark.parametrize("incar", ["", "GGA = PE", "LDAU = .FALSE.", "METAGGA = --", "LHFCALC = F", "IVDW = 12"])
def test_plain_pbe_has_one(incar, tmp_path):
    error, why = said(tmp_path, incar)
    assert error > 0
    assert why == ""


@pytest.mark.parametrize(
    "incar", ["LDAU = .TRUE.", "LHFCALC = T", "METAGGA = R2SCAN", "GGA = PS", "LUSE_VDW = .TRUE.", "GGA = RP ! RPBE"]
)
def test_other_functionals_have_none(incar, tmp_path):
    error, why = said(tmp_path, incar)
    assert error is None
    assert why == "how large the error of the weights 'test' is cannot be said: it was found with plain PBE"


def test_atoms_of_another_functional_have_none(tmp_path):
    error, why = said(tmp_path, source=chgtools.Source(xc="LDA"))
    assert error is None
    assert "it was found with plain PBE" in why


def test_charged_cells_have_none(tmp_path):
    neutral = chgtools.predict(cell(), grid=GRID, model=small()).electrons_of_atoms
    assert said(tmp_path, f"NELECT = {neutral:g}")[0] > 0
    for incar, options in ((f"NELECT = {neutral - 1:g}", {}), ("", {"nelect": neutral + 1})):
        error, why = said(tmp_path, incar, **options)
        assert error is None
        assert "neutral cells" in why


def test_weights_without_structures_aside_have_none(tmp_path):
    model = small()
    model.trust = replace(model.trust, structures=0)
    error, why = said(tmp_path, model=model)
    assert error is None
    assert "too few structures were kept aside" in why


def test_atoms_nearer_than_in_the_training_have_none():
    """The bound is on the distance over the two radii."""
    model = small()
    name = model.elements[0]
    radius = COVALENT_RADII_ANGSTROM[SYMBOLS.index(name)]
    for factor, told in ((1.01, True), (0.99, False)):
        side = factor * NEAREST * 2 * radius
        cubic = Structure(side * np.eye(3), (name,), (1,), np.zeros((1, 3)))
        assert neighbours(cubic, 1.1 * side).distance.min() == pytest.approx(side)
        made = chgtools.predict(cubic, model=model, grid=chgtools.GridOptions(ngf=(12, 12, 12)))
        assert (made.error_percent is not None) == told
        assert told or f"{name} and {name} are {side:.2f} Å apart" in made.assumptions[-2] + made.assumptions[-1]


def test_potentials_that_nobody_knows_have_none(tmp_path):
    """But those that the weights were trained on."""
    poscar.write(cell(), tmp_path / "POSCAR")
    species = cell().species
    labels = [f"{species[0]}_mine", *species[1:]]
    write_synthetic_potcar(tmp_path / "POTCAR", [(label, 4, (0, 0, 1, 1)) for label in labels])
    made = chgtools.predict(tmp_path / "POSCAR", grid=GRID, model=small())
    assert made.error_percent is None
    assert any(f"{labels[0]} is a potential that is not known here" in text for text in made.assumptions)
    model = small()
    model.labels = (labels[0],)
    assert chgtools.predict(tmp_path / "POSCAR", grid=GRID, model=model).error_percent is not None


def test_with_the_built_in_atoms_the_cores_are_said_to_be_left_out(tmp_path):
    """It is not a figure of the whole file: the cores of VASP are those of the POTCAR."""
    made = chgtools.predict(cell(), grid=GRID, model=small())
    assert any("in the whole cell 30 CHGCARs of VASP were 0.6 to 15 % off" in text for text in made.assumptions)
    assert not any("whole cell" in text for text in chgtools.predict(cell(), grid=GRID, model="none").assumptions)
    poscar.write(cell(), tmp_path / "POSCAR")
    write_synthetic_potcar(tmp_path / "POTCAR", [(name, 4, (0, 0, 1, 1)) for name in cell().species])
    made = chgtools.predict(tmp_path / "POSCAR", grid=GRID, model=small())
    assert made.error_percent is not None
    assert not any("whole cell" in text for text in made.assumptions)


def test_radii():
    """Cordero's; francium's is the largest."""
    radius = dict(zip(SYMBOLS, COVALENT_RADII_ANGSTROM, strict=False))
    assert len(COVALENT_RADII_ANGSTROM) == SYMBOLS.index("Cm") + 1
    assert max(radius, key=radius.get) == "Fr"
    assert (radius["H"], radius["O"], radius["Cs"], radius["Fr"], radius["Pu"]) == (0.31, 0.66, 2.44, 2.60, 1.87)
