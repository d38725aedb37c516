"""POTCAR reader on invented data sets in VASP's layout."""

from __future__ import annotations

import gzip
import re
import time
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_potcar import N_Q, PSGMAX, data_set, form_factor, occupancies, write_synthetic_potcar

from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, MissingDensityError, SettingsError
from chgtools.formats.potcar import find_potcar, potcars_in, read_potcar
from chgtools.formats.potcar_text import numbers

SETS = [("Si", 4, (0, 0, 1, 1)), ("O_s", 6, (0, 0, 1, 1)), ("H.25", 0.25, (0, 0, 1)), ("Fe_pv", 14, (1, 1, 2, 2, 0, 0))]


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="POTCAR"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


@pytest.mark.parametrize("name", ["POTCAR", "POTCAR.gz"])
def test_all_data_sets_in_order(tmp_path, name):
    densities = read_potcar(write_synthetic_potcar(tmp_path / name, SETS))
    assert [d.label for d in densities] == ["Si", "O_s", "H.25", "Fe_pv"]
    assert [d.element for d in densities] == ["Si", "O", "H", "Fe"]
    for density, (label, zval, channels) in zip(densities, SETS, strict=True):
        assert density.zval == density.form[0] == zval
        assert density.channels == channels
        assert density.source == f"POTCAR PAW_PBE {label} 01Jan2000"
        assert (density.xc, density.enmax, density.eaug) == ("PBE", 300, 600)
        np.testing.assert_allclose(density.occupancies, occupancies(channels, zval), atol=1e-12)
        np.testing.assert_array_equal(density.q, PSGMAX / N_Q * np.arange(N_Q))
        np.testing.assert_allclose(density.form, form_factor(zval, density.q), rtol=1e-8, atol=1e-12)


def test_pymatgen_reads_the_synthetic_files_alike(tmp_path):
    """The layout of the invented files is one that another reader of POTCARs takes."""
    from pymatgen.io.vasp.inputs import Potcar

    path = write_synthetic_potcar(tmp_path / "POTCAR", SETS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen does not know these potentials
        other = Potcar.from_file(str(path))
    ours = read_potcar(path)
    assert [single.symbol for single in other] == [d.label for d in ours]
    assert [single.element for single in other] == [d.element for d in ours]
    assert [single.zval for single in other] == pytest.approx([d.zval for d in ours])
    assert [single.keywords["ENMAX"] for single in other] == [d.enmax for d in ours]
    assert [single.keywords["EAUG"] for single in other] == [d.eaug for d in ours]


@pytest.mark.parametrize(
    ("functional", "lexch", "xc"),
    [("PAW_PBE", "PE", "PBE"), ("PAW", "CA", "LDA"), ("PAW_GGA", "91", "PW91"), ("PAW_PBE", "XY", "XY")],
)
def test_functional(write, functional, lexch, xc):
    (density,) = read_potcar(write(data_set("Si", 4, functional=functional, lexch=lexch)))
    assert (density.label, density.element, density.xc) == ("Si", "Si", xc)


def test_old_set_without_kinetic_energy_sections(write):
    (density,) = read_potcar(write(data_set("Si", 4, kinetic=False)))
    assert density.channels == (0, 0, 1, 1)


def test_ultrasoft_has_a_density_and_no_occupancies(write):
    (density,) = read_potcar(write(data_set("Si", 4, (0, 1), functional="US", ultrasoft=True)))
    assert density.occupancies is None
    assert density.channels == (0, 1)
    np.testing.assert_allclose(density.form, form_factor(4, density.q), rtol=1e-8, atol=1e-12)


def test_element_comes_from_the_label_and_else_from_vrhfin(write):
    """Old sets have VRHFIN =X: for Xe; TITEL of H_AE is one word."""
    text = data_set("Xe", 8)
    (density,) = read_potcar(write(text.replace("VRHFIN =Xe", "VRHFIN =X")))
    assert density.element == "Xe"
    (density,) = read_potcar(write(data_set("H", 1).replace("PAW_PBE H 01Jan2000", "AEH_AE")))
    assert (density.label, density.element) == ("H_AE", "H")


def test_windows_line_ends_and_no_last_newline(write):
    text = data_set("Si", 4) + data_set("C", 4)
    expected = [d.sha256 for d in read_potcar(write(text))]
    assert [d.sha256 for d in read_potcar(write(text.replace("\n", "\r\n")))] == expected
    assert [d.sha256 for d in read_potcar(write(text.rstrip("\n")))] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0.5E-01-0.12 1.5", [0.05, -0.12, 1.5]),
        (b"-.5D+01-.25E-02", [-5.0, -0.0025]),
        (b"0.123-100 0.5E-01", [1.23e-101, 0.05]),
        (b"0.123E-100-0.5", [1.23e-101, -0.5]),
        (b"", []),
    ],
)
def test_numbers_as_fortran_writes_them(text, expected):
    np.testing.assert_allclose(numbers(text), expected, rtol=1e-14)


def test_touching_numbers_in_a_table(write):
    text = data_set("Si", 4)
    touching = re.sub(r"(E-\d\d) +(-\d\.)", r"\1\2", text)
    assert touching != text
    assert read_potcar(write(touching))[0].sha256 == read_potcar(write(text))[0].sha256


def test_reads_ten_data_sets_well_below_a_second(tmp_path):
    path = write_synthetic_potcar(tmp_path / "POTCAR", [("Fe_pv", 14, (1, 1, 2, 2, 0, 0))] * 10)
    started = time.process_time()
    assert len(read_potcar(path)) == 10
    assert time.process_time() - started < 0.5


def test_a_title_without_an_end_is_not_printed_whole(write):
    with pytest.raises(FormatError, match="found the title '7 x y x y ") as caught:
        read_potcar(
            write(re.sub("TITEL  = .*", "TITEL  = 7 " + 900 * "x y ", data_set("Si", 4)).replace("VRHFIN", "V"))
        )
    assert len(str(caught.value)) < 400


def test_charge_a_little_off_is_scaled_with_a_note(write):
    path = write(data_set("Si", 4, charge=4.0005))
    with pytest.warns(AssumptionWarning, match=r"4\.000500 electrons, ZVAL is 4; its table is scaled"):
        (density,) = read_potcar(path)
    np.testing.assert_allclose(density.form, form_factor(4, density.q), rtol=1e-8, atol=1e-12)


def test_charge_within_the_printed_digits_is_scaled_silently(write):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (density,) = read_potcar(write(data_set("Si", 4, charge=4.00005)))
    assert density.form[0] == 4


SECOND = f"{form_factor(4, np.array([PSGMAX / N_Q]))[0]:16.8E}"  # number of the table of Si


def line_below(text, title):
    """Number of the line below a title, as the messages give it."""
    return text[: text.index(title)].count("\n") + 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("ZVAL   =    4.000", "ZVAL   =    5.000"), r"f\(0\) = 4 electrons, ZVAL is 5"),
        (lambda t: t.replace("ZVAL   =", "ZVOL   ="), "no ZVAL"),
        (lambda t: t.replace("ZVAL   =    4.000", "ZVAL   =    four"), "ZVAL = 'four'"),
        (lambda t: t.replace("END of PSCTR", "END of"), "END of PSCTR"),
        (lambda t: t.replace(" local part", " lokal part"), "no 'local part'"),
        (lambda t: t.replace("40.00000000000000", "-4.00000000000000"), "PSGMAX = -4"),
        (lambda t: t.replace("atomic pseudo", "atomic"), None),
        (lambda t: t.replace("atomic pseudo charge", "some charge"), "no 'atomic pseudo charge-density'"),
        (lambda t: t.replace("4.00000000E+00", " *************", 1), r"\*\*\*\*"),
        (lambda t: t.replace(SECOND, "             NaN", 1), "NaN or infinity"),
        (lambda t: t.replace("4.00000000E+00", "              ", 1), "found 1000 numbers, wanted 1001"),
        (lambda t: t.replace("           0           2   1.6", "           0         two   1.6"), "'0         two"),
        (lambda t: t.replace(" uccopancies in atom\n", " uccopancies in atom\n 1.0\n"), "found 17 numbers, wanted 16"),
        (lambda t: t.replace("PAW_PBE Si 01Jan2000", "PAW_PBE").replace("VRHFIN =Si", "VRHFIN =?"), "'PAW_PBE'"),
    ],
)
def test_refuses_damaged_data_sets(write, change, message):
    text = data_set("Si", 4)
    changed = change(text)
    assert changed != text
    path = write(data_set("C", 4) + changed)
    if message is None:  # the title of ultrasoft sets is taken in PAW sets too
        assert len(read_potcar(path)) == 2
        return
    with pytest.raises(FormatError, match=message) as caught:
        read_potcar(path)
    assert str(path) in str(caught.value)
    assert caught.value.line > data_set("C", 4).count("\n")


def test_message_names_the_line(write):
    text = data_set("Si", 4, charge=4.5)
    path = write(text)
    line = line_below(text, "atomic pseudo charge-density")
    with pytest.raises(FormatError, match=rf"POTCAR:{line}: PAW_PBE Si 01Jan2000: .*4\.5 electrons, ZVAL is 4"):
        read_potcar(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("Si\n1.0\n", "is no POTCAR"),
        (data_set("Si", 4)[:30000], "data set 1 is cut short"),
        (data_set("Si", 4) + data_set("Si", 4)[:30000], "data set 2 is cut short"),
        (data_set("Si", 4) + "rest\n", "found none"),
        (gzip.compress(data_set("Si", 4).encode())[:2000], "gzip stream is damaged"),
    ],
    ids=["empty", "poscar", "cut", "second cut", "rest", "gzip"],
)
def test_refuses_files(write, content, message):
    with pytest.raises(FormatError, match=message):
        read_potcar(write(content))


def test_missing_file(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        read_potcar(tmp_path / "POTCAR")


WHOLE = (data_set("Si", 4) + data_set("O", 6)).encode()


@settings(max_examples=60)
@given(cut=st.integers(0, len(WHOLE) - 2))
def test_no_cut_goes_unnoticed(tmp_path_factory, cut):
    """A POTCAR cut anywhere is refused, or is exactly its first data set."""
    path = tmp_path_factory.mktemp("cut") / "POTCAR"
    path.write_bytes(WHOLE[:cut])
    try:
        densities = read_potcar(path)
    except FormatError:
        return
    first = len(data_set("Si", 4))
    assert first - 2 <= cut <= first + 2 or cut >= len(WHOLE) - 2
    assert len(densities) == (1 if cut <= first + 2 else 2)


@settings(max_examples=100)
@given(place=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_no_damage_makes_a_traceback(tmp_path_factory, place, byte):
    path = tmp_path_factory.mktemp("damage") / "POTCAR"
    path.write_bytes(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        try:
            densities = read_potcar(path)
        except ChgtoolsError:
            return
    assert all(np.isfinite(d.form).all() and d.zval > 0 for d in densities)


@pytest.mark.parametrize(
    "place",
    [
        "Fe_pv/POTCAR",
        "Fe_pv/POTCAR.gz",
        "POTCAR.Fe_pv.gz",
        "POT_GGA_PAW_PBE_54/POTCAR.Fe_pv.gz",
        "potpaw_PBE.54/Fe_pv/POTCAR",
    ],
)
def test_finds_the_layouts_of_folders(tmp_path, place):
    write_synthetic_potcar(tmp_path / place, [SETS[3]])
    write_synthetic_potcar((tmp_path / place).parents[1] / "Fe" / "POTCAR", [("Fe", 8, (0, 0))])
    assert find_potcar(tmp_path, "Fe_pv") == tmp_path / place
    assert read_potcar(find_potcar(tmp_path, "Fe_pv"))[0].label == "Fe_pv"


def test_no_guess_between_releases(tmp_path):
    for release in ("potpaw_PBE.54", "potpaw_PBE.64"):
        write_synthetic_potcar(tmp_path / release / "Si" / "POTCAR", [SETS[0]])
    with pytest.raises(SettingsError, match=r"has 2 POTCARs of Si \(.*potpaw_PBE.54.*name the folder of one set"):
        find_potcar(tmp_path, "Si")
    assert find_potcar(tmp_path / "potpaw_PBE.64", "Si").parent.parent.name == "potpaw_PBE.64"


def test_missing_potcar_names_what_was_wanted(tmp_path):
    with pytest.raises(MissingDensityError, match=r"no POTCAR of Fe_pv; wanted Fe_pv/POTCAR or POTCAR\.Fe_pv\.gz"):
        find_potcar(tmp_path, "Fe_pv")
    with pytest.raises(FormatError, match="no such folder"):
        find_potcar(tmp_path / "nowhere", "Fe_pv")


def test_potcars_in_a_tree(tmp_path):
    wanted = [tmp_path / "a" / "O_s" / "POTCAR", tmp_path / "b" / "POTCAR.Si.gz"]
    for path, one in zip(wanted, (SETS[1], SETS[0]), strict=True):
        write_synthetic_potcar(path, [one])
    (tmp_path / "b" / "POTCAR.spec").write_text("Si\n")
    (tmp_path / "b" / "POTCARS.txt").write_text("notes\n")
    assert potcars_in(tmp_path) == wanted
    with pytest.raises(MissingDensityError, match="has no POTCAR"):
        potcars_in(tmp_path / "a" / "nowhere")


def old_title(element: str, zval: float, width: float) -> str:
    """A set of the kind of POTCAR.La_s of LDA: no word of the file is its label."""
    text = data_set(element, zval, width=width)
    return text.replace(f"PAW_PBE {element} 01Jan2000", f"{element}: PAW 5s5p 6s5d4f valence")


@pytest.mark.parametrize("layout", ["{0}/POTCAR", "POTCAR.{0}", "{0}/POTCAR.gz"])
def test_old_titles_take_their_labels_from_the_name(layout, tmp_path):
    """'La: PAW ...' once gave all the label PAW, so that a library of two such sets was refused."""
    import gzip

    from chgtools.libraries.library import DensityLibrary

    for label, zval, width in (("La", 11, 0.6), ("La_s", 9, 0.7), ("Ce", 12, 0.5)):
        path = tmp_path / layout.format(label)
        path.parent.mkdir(exist_ok=True)
        text = old_title(label.partition("_")[0], zval, width).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    library = DensityLibrary.from_potcar(tmp_path)
    assert {label: (density.element, density.zval) for label, density in library.items()} == {
        "La": ("La", 11), "La_s": ("La", 9), "Ce": ("Ce", 12)
    }  # fmt: skip
    assert read_potcar(find_potcar(tmp_path, "La_s"))[0].label == "La_s"


def test_old_titles_in_a_run_are_taken_by_their_elements(tmp_path):
    (tmp_path / "POTCAR").write_text(old_title("La", 11, 0.6) + data_set("O", 6) + old_title("Ce", 12, 0.5))
    with pytest.warns(AssumptionWarning) as noted:
        densities = read_potcar(tmp_path / "POTCAR")
    assert [(density.label, density.element) for density in densities] == [("La", "La"), ("O", "O"), ("Ce", "Ce")]
    assert [str(w.message).rpartition("; ")[2] for w in noted] == ["taken as La", "taken as Ce"]
