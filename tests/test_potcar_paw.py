"""PAW radial sets of POTCARs, on invented data sets in VASP's layout, and what occupancies are near a nucleus by them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from synthetic_potcar import (
    BOHR,
    charges,
    data_set,
    gauss,
    occupancies,
    projectors,
    rcut,
    waves,
    write_synthetic_potcar,
)

from chgtools.cell import Structure
from chgtools.check.against_spheres import neighbours_tails, plausible
from chgtools.errors import FormatError
from chgtools.formats.potcar import read_potcar
from chgtools.formats.potcar_paw import read_paw_datasets

CHANNELS = (0, 0, 1, 1)
SETS = [("Si", 4, CHANNELS), ("Fe_pv", 14, (1, 1, 2, 2, 0, 0)), ("H", 1, (0, 0, 1))]


@pytest.fixture(scope="module")
def potcar(tmp_path_factory):
    return write_synthetic_potcar(tmp_path_factory.mktemp("sets") / "POTCAR.gz", SETS)


@pytest.fixture(scope="module")
def known(potcar):
    return read_paw_datasets(potcar)


@pytest.fixture
def changed(tmp_path):
    """Reads one data set whose text has been changed."""

    def read(pattern, new, **settings):
        text, count = re.subn(pattern, new, data_set("Si", 4, CHANNELS, **settings), flags=re.DOTALL)
        assert count
        (tmp_path / "POTCAR").write_text(text)
        return read_paw_datasets(tmp_path / "POTCAR")

    return read


def section(title):
    return rf"(?<= {re.escape(title)}\n)[-+ .E\d\n]+?(?= [A-Za-z])"


def test_facts_of_each_set_in_order(known):
    assert [own.element for own in known] == ["Si", "Fe", "H"]
    assert [own.zval for own in known] == [4, 14, 1]
    for own, (_, zval, channels) in zip(known, SETS, strict=True):
        assert own.ell.tolist() == list(channels)
        assert np.allclose(own.rcut, rcut(channels))
        assert np.allclose(own.electrons, np.diag(occupancies(channels, zval)), atol=1e-9)
        assert (own.shape, own.shape_radius) == ("bessel", 1.4)


def test_a_channel_with_the_energy_of_a_shell_is_bound(known):
    """The atomic configuration has 2s at -10 eV; the second s channel lies 3 eV higher."""
    assert known[0].n.tolist() == [2, 0, 0, 0]
    assert known[0].energy[:2] * 27.211386245988 == pytest.approx([-10, -7])


def test_waves_are_in_bohr(known):
    """u = r φ has the dimension of 1/√length: ∫ u² dr is the same number in any unit."""
    for own, (_, _, channels) in zip(known, SETS, strict=True):
        smooth, true = waves(channels, BOHR * own.r)
        assert np.allclose(own.r * own.waves, true * np.sqrt(BOHR), rtol=1e-9, atol=1e-12)
        assert np.allclose(own.r * own.smooth_waves, smooth * np.sqrt(BOHR), rtol=1e-9, atol=1e-12)


def test_charges_of_the_augmentation(known):
    for own, (_, _, channels) in zip(known, SETS, strict=True):
        same = np.equal.outer(channels, channels)
        assert np.abs(np.where(same, own.multipoles[0] - charges(channels), 0)).max() < 2e-6


def test_quadrature_is_that_of_smooth_functions(known):
    for own in known:
        assert (own.r**2 * own.dr).sum() == pytest.approx((own.r[-1] ** 3 - own.r[0] ** 3) / 3, rel=1e-5)
        assert (np.exp(-own.r) * own.r**2 * own.dr).sum() == pytest.approx(2, rel=2e-4)  # ends at 15 bohr
        assert (np.exp(-((own.r / 2) ** 2)) * own.dr).sum() == pytest.approx(
            np.sqrt(np.pi), rel=2e-3
        )  # begins at 0.002


def test_projectors_are_dual_to_the_smooth_waves(known):
    for own, (_, _, channels) in zip(known, SETS, strict=True):
        same = np.equal.outer(channels, channels)
        dual = np.where(same, (own.projectors * own.r**2 * own.dr) @ own.smooth_waves.T, 0)
        assert np.abs(dual - np.eye(len(channels))).max() < 0.03  # tables of 100 points, a cusp at their end
        inside = own.r * BOHR < 1.2
        wanted = projectors(channels, BOHR * own.r) * BOHR**1.5
        assert np.allclose(own.projectors[:, inside], wanted[:, inside], atol=2e-3 * np.abs(wanted).max())


def test_the_core_has_the_electrons_that_zval_leaves(known):
    """Its tables are r² times a density in any unit. exp(-(κ + 1) r)/4 in place of exp(-κ r): (κ / (κ + 1))³ of them."""
    for own, core in zip(known, (10, 12, 0), strict=True):
        electrons = np.sqrt(4 * np.pi) * (own.smooth_core * own.r**2 * own.dr).sum()
        assert electrons == pytest.approx(0.25 * core * (5 / 6) ** 3, rel=1e-3)


def test_potentials_without_radial_sets(tmp_path):
    (tmp_path / "POTCAR").write_text(data_set("Si", 4, ultrasoft=True) + data_set("Si", 4))
    first, second = read_paw_datasets(tmp_path / "POTCAR")
    assert first is None
    assert second is not None


def test_an_even_number_of_radii(changed):
    """Simpson's rule has a step left over there, at the near end where functions are smallest."""

    def without_first(match):
        words = match[0].split()
        return "\n".join(words[1:]) + "\n"

    text = data_set("Si", 4, CHANNELS).replace("          201   1.6", "          200   1.6")
    core = ("core charge-density", "core charge-density (pseudized)")
    for title in ("grid", *core, "pseudo wavefunction", "ae wavefunction"):
        text = re.sub(section(title), without_first, text)
    (own,) = changed(r".*", lambda match: text if match[0] else "")
    assert len(own.r) == 200
    assert np.abs(own.multipoles[0][:2, :2] - charges(CHANNELS)[:2, :2]).max() < 2e-6


@pytest.mark.parametrize(
    ("pattern", "new", "sentence"),
    [
        (section("ae wavefunction"), lambda m: "\n".join(str(2 * float(x)) for x in m[0].split()) + "\n", "Q_ij"),
        (r"(?<=non sperical\)\n)", " 1.0", "found 17 numbers, wanted 16"),
        (section("grid"), lambda m: "\n".join(str(float(x) + 1) for x in m[0].split()) + "\n", "by one factor"),
        (r"(?<=     23     )1\.[01]00", "4.000", "waves that meet at"),
        (r"(?<=     23     )1\.[01]00", "0.500", "waves that meet at"),
        (r"ae wavefunction", "wavefunction", "found 0 sections 'ae wavefunction', wanted 4"),
        (r"   Description.*?(?=  Error)", "", "found lines of l = none; wanted one for each channel, l = 0, 0, 1, 1"),
        (r"          201   1\.6", " NMAX 1.6", "found 'NMAX 1.60000000000000'; wanted NMAX"),
        (r" uccopancies in atom", " occupations", "found no channels, occupancies or ZVAL"),
    ],
)
def test_sets_that_do_not_agree_with_themselves(changed, pattern, new, sentence):
    with pytest.raises(FormatError, match=re.escape(sentence)):
        changed(pattern, new)


WHOLE = data_set("Si", 4, (0, 0, 1))
# where what this reader alone reads stands: the header's tables, and all behind the density
PARTS = [(WHOLE.index("Atomic conf"), WHOLE.index("  Error")), (WHOLE.index(" Non local"), len(WHOLE) - 1)]


@settings(max_examples=200)
@given(part=st.integers(0, 1), place=st.floats(0, 1), new=st.sampled_from(list("\n -.0159AEDT*") + ["", "1e300", "\0"]))
def test_no_damage_makes_a_traceback(tmp_path_factory, part, place, new):
    at = round(PARTS[part][0] + place * (PARTS[part][1] - PARTS[part][0]))
    path = tmp_path_factory.mktemp("damage") / "POTCAR"
    path.write_text(WHOLE[:at] + new + WHOLE[at + 1 :])
    try:
        (own,) = read_paw_datasets(path)
    except FormatError as error:
        assert "POTCAR" in str(error)
        return
    assert own is None or np.isfinite(own.electrons_within(np.eye(len(own.ell))))


@pytest.mark.parametrize("head", ["0  2", "0  2  1.6x", "0  2  -1.0", "0  2  1e5"])
def test_projectors_want_a_radius(changed, head):
    with pytest.raises(FormatError, match="wanted l, the number of projectors and a radius in Å"):
        changed(r"(?<=Non local Part\n) +0 +2 +1\.6\d+", head)


def test_old_titles_name_the_element(changed):
    (own,) = changed(r"PAW_PBE Si 01Jan2000", "Si: PAW 3s3p valence")
    assert own.element == "Si"


def test_radii_in_bohr_would_be_noticed(changed):
    """Q_ij do not know the unit of length; that waves meet near RCUT does."""

    def by(factor):
        return lambda m: "\n".join(str(float(x) * factor) for x in m[0].split()) + "\n"

    text = data_set("Si", 4, CHANNELS)
    for title, power in (("grid", 1.0), ("pseudo wavefunction", -0.5), ("ae wavefunction", -0.5)):
        text = re.sub(section(title), by(BOHR**-power), text, flags=re.DOTALL)
    with pytest.raises(FormatError, match=r"waves that meet at 1\.[67]\d bohr, where the largest RCUT is 1\.10"):
        changed(r".*", lambda match: text if match[0] else "")


def test_electrons_within_the_sphere_against_a_quadrature(known):
    own, rng = known[1], np.random.default_rng(1)
    numbers = rng.normal(size=(6, 6))
    numbers += numbers.T
    channels = SETS[1][2]
    assert 0.8 < own.sphere / 1.1 < 1.0  # the far one of the two RCUT
    total = 0.0
    for a, b in np.ndindex(6, 6):
        if channels[a] == channels[b]:
            product = quad(
                lambda r, a=a, b=b: np.prod(waves(channels, np.array([r]))[1][[a, b], 0]), 0, BOHR * own.sphere
            )
            total += numbers[a, b] * product[0]
    assert own.electrons_within(numbers) == pytest.approx(total, rel=1e-3)


def test_tails_of_neighbours_are_those_of_a_sum_over_points(potcar, known):
    """n of the neighbour and of all images, summed over points of the sphere."""
    lattice = np.array([[3.1, 0, 0], [0.4, 3.4, 0], [-0.3, 0.2, 3.9]])
    structure = Structure(
        lattice, ("Si", "Fe", "H"), (1, 1, 1), np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 0.5], [0.9, 0.8, 0.7]])
    )
    densities = [replace(each, label="") for each in read_potcar(potcar)]
    found = neighbours_tails(structure, known, densities)
    x, w = gauss(BOHR * known[0].sphere, 12)
    cosine, weight = np.polynomial.legendre.leggauss(12)
    azimuth = 2 * np.pi * np.arange(24) / 24
    around = np.array(
        [[np.sqrt(1 - c * c) * np.cos(p), np.sqrt(1 - c * c) * np.sin(p), c] for c in cosine for p in azimuth]
    )
    points = structure.frac[0] @ lattice + x[:, None, None] * around
    total, radii = np.zeros(points.shape[:2]), np.linspace(0, 20, 4001)
    tables = [each.density(radii) for each in densities]
    for atom, image in np.ndindex(3, 125):
        cell = np.array(np.unravel_index(image, (5, 5, 5))) - 2
        if atom or cell.any():
            apart = points - (structure.frac[atom] + cell) @ lattice
            total += np.interp(np.linalg.norm(apart, axis=-1), radii, tables[atom])
    angular = np.repeat(weight, 24) * 2 * np.pi / 24
    assert found[0] == pytest.approx((w * x**2) @ total @ angular, rel=2e-3)


def test_electrons_in_a_sphere_apart_from_the_nucleus(potcar):
    density = read_potcar(potcar)[0]
    far = density.electrons_within(1e-2, [0.3, 1.0])
    assert far == pytest.approx(4 / 3 * np.pi * 1e-6 * density.density([0.3, 1.0]), rel=1e-3)


def test_what_is_plausible():
    assert plausible(14.3, 14.9)
    assert plausible(0.2, 0.5)
    assert not plausible(1.0, 2.0)
    assert not plausible(5.0, 3.5)
