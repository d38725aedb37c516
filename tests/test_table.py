"""Plain text tables of atomic densities."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from chgtools.errors import FormatError
from chgtools.formats.table import read_table
from chgtools.units import BOHR_ANGSTROM

ZETA, ZVAL = 3.1, 8.0  # 1/Å
HEADER = """# chgtools atomic density
# label = O_s
# zval = 8
# columns = {columns}
# units = {units}
# by hand, for the tests
"""


def exact(q):
    """f(q) of n(r) = Z ζ³/π exp(-2ζr)."""
    return ZVAL / (1 + (q / 2 / ZETA) ** 2) ** 2


def radial_table(r, units="angstrom", factor=1.0):
    scale = BOHR_ANGSTROM if units == "bohr" else 1.0
    n = factor * ZVAL * ZETA**3 / np.pi * np.exp(-2 * ZETA * r)
    rows = "".join(f"{a:.12e} {b:.12e}\n" for a, b in zip(r / scale, n * scale**3, strict=True))
    return HEADER.format(columns="r n", units=units) + rows


def form_table(q, units="angstrom", digits=12):
    scale = BOHR_ANGSTROM if units == "bohr" else 1.0
    rows = "".join(f"{a * scale:.{digits}f} {b:.12e}\n" for a, b in zip(q, exact(q), strict=True))
    return HEADER.format(columns="q  f", units=units) + rows


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("units", ["angstrom", "bohr"])
@pytest.mark.parametrize(
    "r",
    [0.01 * np.arange(801), 0.003 + 0.01 * np.arange(800), np.geomspace(1e-5, 10, 1200)],
    ids=["from 0", "from near 0", "logarithmic"],
)
def test_density_table_has_the_analytic_form_factor(tmp_path, r, units):
    density = read_table(write(tmp_path / "O.dat", radial_table(r, units)))
    assert (density.label, density.element, density.zval, density.xc) == ("O_s", "O", 8, "")
    q = np.linspace(0, 99, 400)
    np.testing.assert_allclose(density.form_factor(q), exact(q), atol=3e-6)
    assert density.form[0] == 8


@pytest.mark.parametrize("units", ["angstrom", "bohr"])
@pytest.mark.parametrize(
    ("q", "digits"),
    [(0.04 * np.arange(1001), 12), (40 / 997 * np.arange(998), 7), (np.linspace(0, np.sqrt(40), 900) ** 2, 12)],
    ids=["uniform", "rounded", "not uniform"],
)
def test_form_factor_table(tmp_path, q, digits, units):
    if len(q) == 900:
        q = q + 0.05 * np.arange(900)  # spacing from 0.05 on, so that a uniform mesh can hold it
    density = read_table(write(tmp_path / "O.dat.gz", form_table(q, units, digits)))
    between = np.linspace(0, q[-1] * 0.999, 777)
    np.testing.assert_allclose(density.form_factor(between), exact(between), atol=2e-6)


def test_header_of_ones_own(tmp_path):
    text = form_table(0.05 * np.arange(900)).replace("label = O_s", "label = mine\n# element = O\n# xc = PBE")
    density = read_table(write(tmp_path / "O.dat", text))
    assert (density.label, density.element, density.xc) == ("mine", "O", "PBE")
    assert density.source == "table O.dat"


def test_electrons_a_little_off_are_scaled(tmp_path):
    density = read_table(write(tmp_path / "O.dat", radial_table(0.01 * np.arange(801), factor=1.004)))
    assert density.form[0] == 8
    assert density.provenance["electrons_in_file"] == pytest.approx(8 * 1.004, abs=1e-4)


GOOD = form_table(0.05 * np.arange(900))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("zval = 8", "zval = 6"), "holds 8 electrons, zval is 6"),
        (lambda t: t.replace("zval = 8", "zval = eight"), "zval = eight; wanted a positive number"),
        (lambda t: t.replace("# zval = 8\n", ""), "no '# zval = ...'"),
        (lambda t: t.replace("# units = angstrom\n", ""), "no '# units = ...'"),
        (lambda t: t.replace("angstrom", "nm"), "units = nm; wanted angstrom or bohr"),
        (lambda t: t.replace("q  f", "f q"), "columns = f q; wanted r n or q f"),
        (lambda t: t.replace("label = O_s", "label = 7"), "element ''"),
        (lambda t: t.replace("# label", "# lable"), r"dat:2: found 'lable' in the header; wanted one of label,"),
        (lambda t: t.replace("# chgtools", "# my"), r"dat:1: is no table"),
        (lambda t: t.replace("0.100000000000 ", "0.1 0.2 "), r"dat:9: found '0.1 0.2 .*; wanted two numbers"),
        (lambda t: t.replace("0.100000000000 ", "0.04 "), r"dat:9: found 0.04 in the first column"),
        (lambda t: t.replace("0.100000000000 ", "nan "), r"dat:9: .*wanted finite numbers"),
        (lambda t: t.replace("0.100000000000 ", "0.1 1e308\n0.101 "), r"dat:9: found 1e\+308 in the second"),
        (lambda t: t.replace("0.000000000000 ", "0.001 "), "first q is 0.001; wanted 0"),
        (lambda t: t.replace("0.050000000000 ", "0.000001 "), "so fine that"),
        (lambda t: "\n".join(t.splitlines()[:9]), "found 3 rows; wanted at least 4"),
        (lambda t: t.replace("q  f", "r n").replace("0.000000000000 8.0", "0.03 8.0"), "holds .* electrons, zval is 8"),
    ],
)
def test_refuses(tmp_path, change, message):
    changed = change(GOOD)
    assert changed != GOOD
    with pytest.raises(FormatError, match=message):
        read_table(write(tmp_path / "O.dat", changed))


@pytest.mark.parametrize(("r", "message"), [(0.2 + 0.01 * np.arange(90), "first radius is 0.2 Å"),
                                            (np.linspace(0, 500, 9000), "last radius is 500 Å")])  # fmt: skip
def test_refuses_radii(tmp_path, r, message):
    with pytest.raises(FormatError, match=message):
        read_table(write(tmp_path / "O.dat", radial_table(r)))


def test_the_example_of_the_module_says_how():
    """The header in the module's docstring is complete: only the numbers are missing."""
    from chgtools.formats import table

    for key in table.KEYS:
        assert f"# {key} = " in table.__doc__
    assert table.FIRST_LINE in table.__doc__
