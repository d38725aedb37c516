"""The page on a file: what is on it, that it stands by itself, and how Chromium shows it."""

from __future__ import annotations

import re
from pathlib import Path

import browser
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from fields import density, skew_structure, spin_density
from made_targets import target

from chgtools.cell import Structure
from chgtools.charges import AtomicCharges, charges_of
from chgtools.cli import main
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.formats import chgcar, poscar
from chgtools.report import Table, write_report
from chgtools.report import charges as report_charges
from chgtools.report.contents import fullest_plane

pytest.importorskip("skimage", reason="needs scikit-image, of the extra pictures")
pytest.importorskip("plotly", reason="needs plotly, of the extra pictures")


def without_scripts(path):
    return re.sub(r"<script.*?</script>", "", path.read_text(), flags=re.DOTALL)


def pictures_of(text):
    return len(re.findall(r'<img [^>]*src="data:image/png;base64,', text))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """(the page on a file with spin, whose name is as bad as a name can be, and what is not on it)."""
    folder = tmp_path_factory.mktemp("long" * 25)
    poscar.write(skew_structure(), folder / "POSCAR")  # so that its long path is on the page
    chgcar.write(spin_density(), folder / "<img onerror=x>CHGCAR")
    table = Table("Charges", ("atom", "e"), [("O 1", -1.25)])
    notes = write_report(folder / "<img onerror=x>CHGCAR", folder / "page.html", tables=[table])
    return folder / "page.html", notes


def test_a_page_on_a_file_with_spin_has_its_view_facts_judgement_and_planes(page):
    text, notes = without_scripts(page[0]), page[1]
    for wanted in (
        "View",
        "Can VASP start from it?",
        "Facts",
        "Blocks",
        "Planes and averages",
        "6 x 5 x 8",
        "magnetisation",
    ):
        assert wanted in text
    assert "<h2>Charges</h2>" in text
    assert '<td>O 1</td><td class="number">-1.2500</td>' in text
    assert pictures_of(text) == 2 * 6
    # the made-up atoms do not have its electrons: that is said, and the page is there all the same
    assert any(note.startswith("no difference density: ") for note in notes)


def test_a_page_on_a_difference_density(tmp_path, monkeypatch):
    monkeypatch.setattr("chgtools.report.contents._pictures", lambda fields: "")
    target(tmp_path / "t.h5")
    notes = write_report(tmp_path / "t.h5", tmp_path / "a.html")
    assert notes == ("not checked: a difference density is no file that VASP starts from",)
    assert "difference density" in without_scripts(tmp_path / "a.html")


def test_a_real_file_is_shown_with_its_difference_density_first(tmp_path):
    write_report(shared_path("corpus", "aiida-vasp__Si2-2", "CHGCAR.gz"), tmp_path / "si.html")
    text = without_scripts(tmp_path / "si.html")
    assert re.findall(r"<summary>(.*?)</summary>", text) == ["difference density", "density"]
    assert "no difference density" not in text
    assert "the file is compressed" in text


def test_the_page_needs_nothing_beside_it(page):
    assert not re.findall(r'(?:src|href)="(?!data:|#)', without_scripts(page[0]))
    assert "Plotly.newPlot" in page[0].read_text()
    assert not re.findall(r"<script[^>]+src=", page[0].read_text())


def test_what_stands_in_a_file_is_no_code(page):
    assert "<img onerror" not in without_scripts(page[0])
    assert "&lt;img onerror=x&gt;CHGCAR" in without_scripts(page[0])


def test_the_command_and_its_refusals(tmp_path, monkeypatch):
    from chgtools.report import contents

    monkeypatch.setattr(contents, "_pictures", lambda fields: "")  # they take the longest, and are seen elsewhere
    chgcar.write(density(), tmp_path / "CHGCAR")
    done = CliRunner().invoke(main, ["report", str(tmp_path / "CHGCAR"), "-o", str(tmp_path / "a.html")])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'a.html'}\n")
    assert CliRunner().invoke(main, ["report", str(tmp_path / "CHGCAR"), "-o", str(tmp_path / "a.html")]).exit_code == 2
    with pytest.raises(SettingsError, match=r"a\.pdf: a report's name ends in \.html"):
        write_report(tmp_path / "CHGCAR", tmp_path / "a.pdf")
    with pytest.raises(ChgtoolsError):
        write_report(tmp_path / "none", tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()


def test_the_plane_with_the_most_atoms():
    frac = np.array([[0.1, 0, 0.999], [0.5, 0, 0.001], [0.5, 0.5, 0.5]])
    structure = Structure(np.diag([4.0, 4.0, 10.0]), ("Si",), (3,), frac)
    assert [fullest_plane(structure, axis) for axis in range(3)] == [0.5, 0.0, 0.001]


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_a_browser_shows_it_at_two_widths_without_an_error(page, tmp_path):
    for width in (1280, 400):
        look = browser.look(page[0], width, 800, tmp_path)
        assert look.errors == []
        assert look.canvases >= 1
        assert look.width == width
        assert look.scroll_width <= width
        assert look.loads == []
        assert look.picture.stat().st_size > 10_000
        assert look.coloured > 300, "the view is empty"


def test_charges_of_the_atoms_are_on_the_page_of_the_command(tmp_path):
    """Those of chgtools charges; where they cannot be had it is said."""
    silicon = Path(__file__).resolve().parents[1] / "examples" / "si" / "CHGCAR"
    result = CliRunner().invoke(main, ["report", str(silicon), "-o", str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    text = without_scripts(tmp_path / "page.html")
    assert "<h2>Charges of the atoms</h2>" in text
    charges = charges_of(silicon)
    for number, (element, charge) in enumerate(zip(charges.structure.elements, charges.charges, strict=True), 1):
        row = re.search(rf"<tr><td>{element} {number}</td>(.*?)</tr>", text)[1]
        assert re.findall(r"-?[\d.]+", row)[-1] == f"{charge:.4f}"
    chgcar.write(spin_density(), tmp_path / "CHGCAR")
    result = CliRunner().invoke(main, ["report", str(tmp_path / "CHGCAR"), "-o", str(tmp_path / "other.html")])
    assert result.exit_code == 0, result.output
    assert "no charges of atoms" in result.stderr


@pytest.mark.parametrize(("axes", "moments"), [("", [0.7, -0.9]), ("xyz", [[1.1, 1.2, 1.3], [-2.1, -2.2, -2.3]])])
def test_each_figure_of_an_atom_stands_below_its_name(axes, moments, monkeypatch):
    atoms = Structure(np.eye(3) * 4, ("Na", "Cl"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.5]])
    given = AtomicCharges(
        atoms, ("Na_pv", "Cl"), np.array([7.0, 7]), np.array([6.2, 7.8]), np.zeros((2, 3)), np.array(moments), 0.0
    )
    monkeypatch.setattr(report_charges, "charges_of", lambda path, source=None: given)
    (table,), notes = report_charges.charges_table("CHGCAR")
    assert notes == ()
    names = [f"moment {axis} / μ_B" for axis in axes] or ["moment / μ_B"]
    wanted = [
        {"atom": "Na 1", "label": "Na_pv", "electrons": 6.2, "net charge / e": pytest.approx(0.8)},
        {"atom": "Cl 2", "label": "Cl", "electrons": 7.8, "net charge / e": pytest.approx(-0.8)},
    ]
    for row, moment in zip(wanted, moments, strict=True):
        row |= dict(zip(names, np.atleast_1d(moment).tolist(), strict=True))
    assert [dict(zip(table.columns, row, strict=True)) for row in table.rows] == wanted
