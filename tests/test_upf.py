"""UPF reader: real files against independent tables, and invented files of both versions against known transforms."""

from __future__ import annotations

import gzip
import importlib.util
import re
import warnings

import numpy as np
import pytest
from conftest import shared_path
from hypothesis import given, settings
from hypothesis import strategies as st

from chgtools.errors import ChgtoolsError, FormatError, MissingDensityError, SettingsError
from chgtools.formats.upf import read_upf, read_upf_directory
from chgtools.units import BOHR_ANGSTROM

ZETA, ZVAL = 1.7, 5.0


def rows(values):
    words = [f"{value:22.14E}" for value in values]
    return "\n".join("".join(words[i : i + 4]) for i in range(0, len(words), 4)) + "\n"


def mesh(kind):
    """r and dr/di in bohr: logarithmic to 80 bohr as ld1.x makes it, or linear to 16 bohr as ONCVPSP does."""
    if kind == "linear":
        return 0.01 * np.arange(1601), np.full(1601, 0.01)
    r = np.exp(-9 + 0.0125 * np.arange(1072)) / ZVAL * 5
    return r, 0.0125 * r


def upf(kind="log", version=2, element="N", charge=ZVAL, functional="SLA PW PBX PBC"):
    """An atom n(r) = Z ζ³/π exp(-2ζr), whose f(q) is Z/(1 + q²/4ζ²)²; PP_INFO holds what stops XML parsers."""
    r, rab = mesh(kind)
    rho = charge * 4 * r**2 * ZETA**3 * np.exp(-2 * ZETA * r)
    info = "<PP_INFO>\n made by A & B, l <= 2, rho < 1 & more\n</PP_INFO>\n"
    if version == 1:
        header = (
            f"<PP_HEADER>\n   0                   Version Number\n  {element}                   Element\n"
            "   US                  Ultrasoft pseudopotential\n    T                  Nonlinear Core Correction\n"
            f" {functional}   PBE  Exchange-Correlation functional\n    {ZVAL:.11f}      Z valence\n"
            "  -20.00000000000      Total energy\n  0.0000000  0.0000000     Suggested cutoff for wfc and rho\n"
            f"    1                  Max angular momentum component\n  {len(r)}                  Number of points in mesh\n"
            "</PP_HEADER>\n"
        )
        return (
            f"{info}{header}<PP_MESH>\n  <PP_R>\n{rows(r)}  </PP_R>\n  <PP_RAB>\n{rows(rab)}  </PP_RAB>\n</PP_MESH>\n"
            f"<PP_RHOATOM>\n{rows(rho)}</PP_RHOATOM>\n"
        )
    return (
        f'<UPF version="2.0.1">\n{info}<PP_HEADER generated="a > b" comment=""\n element="{element} " pseudo_type="NC"\n'
        f' functional="{functional}" z_valence="   {ZVAL:.2f}" l_max="1" mesh_size="{len(r)}"/>\n'
        f'<PP_MESH>\n<PP_R type="real" size="{len(r)}" columns="4">\n{rows(r)}</PP_R>\n'
        f'<PP_RAB type="real" size="{len(r)}">\n{rows(rab)}</PP_RAB>\n</PP_MESH>\n'
        f'<PP_RHOATOM type="real" size="{len(r)}">\n{rows(rho)}</PP_RHOATOM>\n</UPF>\n'
    )


def write(path, text):
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture(scope="module")
def reference_atoms():
    """The table maker of the shared tools, plain NumPy on the same files."""
    path = shared_path("dft", "tools", "density.py")
    spec = importlib.util.spec_from_file_location("shared_density", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Atoms()


@pytest.mark.parametrize("element", ["H", "O", "Fe", "Cs", "Ba", "Pb"])
def test_real_files_against_the_independent_reader(reference_atoms, element):
    """At arbitrary q the spline is within 1e-8 electrons of the integral, and 2e-6 of the reference's coarser table."""
    density = read_upf(shared_path("dft", "upf", f"{element}.upf.gz"))
    zval, r, rho, spline = reference_atoms.table(element)
    q = np.random.default_rng(1).uniform(0, 60, 200)
    integral = np.trapezoid(rho * np.sinc(q[:, None] * r / np.pi), r, axis=1)
    assert density.zval == density.form[0] == zval
    np.testing.assert_allclose(density.form_factor(q / BOHR_ANGSTROM), integral, atol=2e-8)
    np.testing.assert_allclose(density.form_factor(q / BOHR_ANGSTROM), spline(q), atol=3e-6)


def test_real_density_comes_back_in_real_space(reference_atoms):
    density = read_upf(shared_path("dft", "upf", "Si.upf.gz"))
    _, r, rho, _ = reference_atoms.table("Si")
    some = r[50:600:25]
    expected = rho[50:600:25] / (4 * np.pi * some**2) / BOHR_ANGSTROM**3
    np.testing.assert_allclose(density.density(some * BOHR_ANGSTROM), expected, atol=2e-6)


def test_directory_of_real_files():
    densities = read_upf_directory(shared_path("dft", "upf"))
    assert len(densities) == 70
    assert all(label == d.label == d.element and d.xc == "PBE" for label, d in densities.items())
    assert densities["Fe"].zval == 16


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", ["log", "linear"])
@pytest.mark.parametrize("suffix", ["upf", "UPF.gz"])
def test_known_transform(tmp_path, version, kind, suffix):
    """Wide logarithmic meshes do not resolve sin(qr) by themselves; the reader refines them."""
    density = read_upf(write(tmp_path / f"N.{suffix}", upf(kind, version)))
    assert (density.label, density.element, density.zval, density.xc) == ("N", "N", 5, "PBE")
    q = np.linspace(0, 59.9, 500)
    expected = ZVAL / (1 + (q / 2 / ZETA) ** 2) ** 2
    np.testing.assert_allclose(density.form_factor(q / BOHR_ANGSTROM), expected, atol=3e-8)


def test_missing_tail_is_made_up_for(tmp_path):
    density = read_upf(write(tmp_path / "N.upf", upf(charge=0.995 * ZVAL)))
    assert density.form[0] == ZVAL
    assert density.provenance["electrons_in_file"] == pytest.approx(0.995 * ZVAL, abs=1e-6)


@pytest.mark.parametrize(
    ("functional", "xc"),
    [
        ("PBE", "PBE"),
        ("SLA  PW   PBE  PBE", "PBE"),
        ("SLA PZ NOGX NOGC", "LDA"),
        ("PZ", "LDA"),
        ("SLA PW PSX PSC", "PBEsol"),
        ("BLYP", "BLYP"),
    ],
)
def test_functional(tmp_path, functional, xc):
    assert read_upf(write(tmp_path / "N.upf", upf(functional=functional))).xc == xc


def test_label_is_given_by_the_caller_or_the_name(tmp_path):
    write(tmp_path / "N_h.upf", upf())
    write(tmp_path / "fe_pbe_v1.5.uspp.F.UPF", upf(element="Fe"))
    write(tmp_path / "Fe_pv.o.upf", upf(element="O"))
    write(tmp_path / "notes.txt", "not a UPF file")
    assert read_upf(tmp_path / "N_h.upf").label == "N"
    assert read_upf(tmp_path / "N_h.upf", "N_s").label == "N_s"
    assert set(read_upf_directory(tmp_path)) == {"N_h", "Fe", "O"}


def test_two_files_of_one_label(tmp_path):
    write(tmp_path / "N.upf", upf())
    write(tmp_path / "N.pbe.upf.gz", upf())
    with pytest.raises(SettingsError, match=r"two UPF files for N, N\.pbe\.upf\.gz and N\.upf"):
        read_upf_directory(tmp_path)


def test_no_files(tmp_path):
    with pytest.raises(MissingDensityError, match="has no UPF file"):
        read_upf_directory(tmp_path)
    with pytest.raises(FormatError, match="no such folder"):
        read_upf_directory(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('z_valence="   5.00"', 'z_valence="   7.00"'), "holds 5 electrons, z_valence is 7"),
        (lambda t: t.replace('z_valence="   5.00"', ""), "found z_valence 'none'"),
        (lambda t: t.replace('element="N "', 'element="Qq"'), r":5: PP_HEADER: found the element 'Qq'"),
        (lambda t: t.replace("<PP_HEADER", "<PP_HEAD"), "is no UPF file"),
        (lambda t: t.replace("</PP_RHOATOM>", ""), "no complete <PP_RHOATOM>"),
        (lambda t: t.replace("<PP_RAB", "<PP_RAT"), "no complete <PP_RAB>"),
        (lambda t: re.sub(r"(<PP_RHOATOM[^>]*>\n) *\S+", r"\1", t), "hold 1072, 1072 and 1071 numbers"),
        (lambda t: re.sub(r"(<PP_RHOATOM[^>]*>\n) *\S+", r"\1 ****", t), r"PP_RHOATOM: .*\*\*\*\*"),
        (lambda t: re.sub(r"(<PP_RHOATOM[^>]*>\n) *\S+", r"\1 nan", t), "NaN or infinity"),
        (lambda t: re.sub(r"(<PP_R [^>]*>\n) *\S+", r"\1 1.0", t), "PP_R does not rise"),
        (lambda t: t.replace(rows(mesh("log")[1]), rows(2 * mesh("log")[1])), "PP_RAB is not dr/di"),
    ],
)
def test_refuses(tmp_path, change, message):
    text = upf()
    changed = change(text)
    assert changed != text
    with pytest.raises(FormatError, match=message) as caught:
        read_upf(write(tmp_path / "N.upf", changed))
    assert "N.upf:" in str(caught.value)


WHOLE = upf("linear").encode()


@settings(max_examples=60)
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_no_damage_makes_a_traceback(tmp_path_factory, place, byte, cut):
    path = tmp_path_factory.mktemp("damage") / "N.upf"
    path.write_bytes(WHOLE[:place] if cut else WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow in numbers such as 1E+299
        try:
            density = read_upf(path)
        except ChgtoolsError:
            return
    assert np.isfinite(density.form).all()
    assert not cut or b"</PP_RHOATOM>" in WHOLE[:place]
