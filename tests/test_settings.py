"""Cutoffs, grids and spin: options before INCAR before VASP's defaults, each default said."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_chgcar import charge, structure

from chgtools.atoms.density import AtomicDensity
from chgtools.errors import ChgtoolsError, MismatchError, SettingsError
from chgtools.formats import chgcar
from chgtools.formats.incar import parse_incar
from chgtools.fourier.grids import fft_grid
from chgtools.run.grid import GridOptions, grid_settings
from chgtools.run.tags import Tags, require_zval, start_moments


def atom(label: str, zval: float, enmax: float | None = None, eaug: float | None = None) -> AtomicDensity:
    q = np.linspace(0, 20, 401)
    return AtomicDensity(label, label[:2], zval, q, zval * np.exp(-(q**2) / 8), "test", enmax=enmax, eaug=eaug)


ATOMS = [atom("Si", 4, 245.345, 322.1), atom("O", 6, 400.0, 605.4)]


def test_defaults_are_vasps_and_said():
    found = grid_settings(structure(), ATOMS, None, GridOptions())
    assert (found.ng, found.ngf) == fft_grid(structure().lattice, 400.0, prec="Normal")
    assert found.assumptions == ("PREC = Normal (VASP's default)", "ENCUT = 400.000 eV (ENMAX of O)")


def test_enmax_of_a_label_whose_table_has_none():
    found = grid_settings(structure(), [atom("Si", 4), atom("O", 6)], None, GridOptions())
    assert found.encut == 400.0
    with pytest.raises(SettingsError, match="no ENMAX is known for Xx; give the cutoff by --encut"):
        grid_settings(structure(), [atom("Xx", 4), ATOMS[1]], None, GridOptions())


def test_options_before_incar_before_defaults():
    incar = parse_incar("ENCUT = 520\nPREC = Accurate\n")
    lattice = structure().lattice
    assert grid_settings(structure(), ATOMS, incar, GridOptions()).ngf == fft_grid(lattice, 520, prec="Accurate")[1]
    assert grid_settings(structure(), ATOMS, incar, GridOptions()).assumptions == ()
    found = grid_settings(structure(), ATOMS, incar, GridOptions(encut=300, prec="Single"))
    assert (found.ng, found.ngf) == fft_grid(lattice, 300, prec="Single")


@pytest.mark.parametrize(("prec", "encut", "said"), [("High", 500.0, "1.25 x ENMAX"), ("Low", 300.0, "0.75 x ENMAX")])
def test_high_and_low_change_the_default_cutoff(prec, encut, said):
    found = grid_settings(structure(), ATOMS, parse_incar(f"PREC = {prec}"), GridOptions())
    assert found.encut == pytest.approx(encut)
    assert said in found.assumptions[0]
    assert found.assumptions[1] == "ENAUG = 605.400 eV (largest EAUG)"
    assert (found.ng, found.ngf) == fft_grid(structure().lattice, encut, prec=prec, enaug=605.4)
    with pytest.raises(SettingsError, match="no EAUG is known for O"):
        grid_settings(structure(), [ATOMS[0], atom("O", 6, 400)], parse_incar(f"PREC = {prec}"), GridOptions())


def test_explicit_grids_win(tmp_path):
    incar = parse_incar("NGXF = 40\nNGYF = 42; NGZF = 48\nNGX = 20\nENCUT = 400\nPREC = N")
    found = grid_settings(structure(), ATOMS, incar, GridOptions())
    assert found.ngf == (40, 42, 48)
    assert found.ng is not None
    assert found.ng[0] == 20
    assert grid_settings(structure(), ATOMS, incar, GridOptions(ngf=(11, 12, 13))).ngf == (11, 12, 13)
    chgcar.write(charge(), tmp_path / "CHGCAR")
    assert grid_settings(structure(), ATOMS, incar, GridOptions(like=tmp_path / "CHGCAR")).ngf == (6, 5, 7)
    with pytest.raises(SettingsError, match="twice"):
        grid_settings(structure(), ATOMS, None, GridOptions(ngf=(1, 2, 3), like=tmp_path / "CHGCAR"))
    larger = structure().with_changes(lattice=structure().lattice * 1.1)
    with pytest.raises(MismatchError, match=r"73\.440 Å³.*97\.749 Å³"):
        grid_settings(larger, ATOMS, None, GridOptions(like=tmp_path / "CHGCAR"))


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("", None),
        ("ISPIN = 1\nMAGMOM = 3*5", None),
        ("ISPIN = 2", [1, 1, 1]),
        ("ISPIN = 2\nMAGMOM = 2*0.6 -5", [0.6, 0.6, -5]),
        ("ISPIN = 2\nMAGMOM = 2*0.6 -5 7", [0.6, 0.6, -5]),
        ("LSORBIT = T\nMAGMOM = 0 0 1 6*0", [[0, 0, 1], [0, 0, 0], [0, 0, 0]]),
        ("LNONCOLLINEAR = .TRUE.", [[1, 1, 1]] * 3),
        ("ISPIN = 2\nNUPDOWN = 0", [0, 0, 0]),
        ("ISPIN = 2\nNUPDOWN = 2", [2 / 3, 2 / 3, 2 / 3]),
        ("ISPIN = 2\nNUPDOWN = -1", [1, 1, 1]),
        ("ISPIN = 1\nNUPDOWN = 2", None),
        ("LSORBIT = T\nNUPDOWN = 2", [[1, 1, 1]] * 3),
    ],
)
def test_moments(text, moments):
    found = start_moments(structure(), Tags.of(parse_incar(text)))
    if moments is None:
        assert found.values is None
    else:
        np.testing.assert_array_equal(found.values, moments)
    assert bool(found.assumptions) == (moments is not None and ("MAGMOM" not in text or " 7" in text))


def test_moments_of_nupdown_are_said_as_they_are():
    def said(text):
        return start_moments(structure(), Tags.of(parse_incar(f"ISPIN = 2\n{text}"))).assumptions

    assert said("NUPDOWN = 0") == ("MAGMOM = 0 for every atom (VASP's default, NUPDOWN/NIONS)",)
    assert said("NUPDOWN = 3") == ("MAGMOM = 1 for every atom (VASP's default, NUPDOWN/NIONS)",)
    assert said("MAGMOM = 1 2 -1\nNUPDOWN = 2") == said("MAGMOM = 3*0.333\nNUPDOWN = 1") == ()
    (sentence,) = said("MAGMOM = 1 2 1\nNUPDOWN = 2")
    assert sentence.startswith("NUPDOWN = 2, MAGMOM adds up to 4: the moments are MAGMOM's")
    noncollinear = start_moments(structure(), Tags.of(parse_incar("LSORBIT = T\nNUPDOWN = 2"))).assumptions
    assert noncollinear[0].endswith("what VASP makes of NUPDOWN in a non-collinear run is not known")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ISPIN = 3", "INCAR:1: found ISPIN = 3; wanted 1 or 2"),
        ("NSW = 0\nPREC = Xact", "INCAR:2: found PREC = 'Xact'; wanted Normal"),
        ("ICHARG = eleven", "INCAR:1: found ICHARG = 'eleven'; wanted a whole number"),
        ("NSW = many", "INCAR:1: found NSW = 'many'"),
        ("LHFCALC = 1", "INCAR:1: found LHFCALC = '1'; wanted .TRUE. or .FALSE."),
        ("NGXF = big", "INCAR:1: found NGXF = 'big'"),
        ("VCA = half", "INCAR:1: found VCA = 'half'"),
    ],
    ids=str,
)
def test_values_that_vasp_does_not_know_are_refused(text, message):
    with pytest.raises(ChgtoolsError, match=message):
        Tags.of(parse_incar(text))


def test_a_zval_that_is_not_the_potentials():
    tags = Tags.of(parse_incar("ZVAL = 4 6"))
    require_zval(ATOMS, tags)
    with pytest.raises(MismatchError, match="INCAR:1: found ZVAL = 4 6, the atomic densities have 4 7"):
        require_zval([atom("Si", 4), atom("F", 7)], tags)


def test_too_few_moments_are_refused():
    with pytest.raises(SettingsError, match="MAGMOM has 2 values, 3 atoms need 3"):
        start_moments(structure(), Tags.of(parse_incar("ISPIN = 2\nMAGMOM = 1 2")))
    with pytest.raises(SettingsError, match="3 atoms need 9"):
        start_moments(structure(), Tags.of(parse_incar("LSORBIT = T\nMAGMOM = 3*1")))
    assert start_moments(structure(), Tags.of(None)).values is None
