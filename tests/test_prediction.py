"""From a structure to a charge file, and what is said on the way."""

from __future__ import annotations

import numpy as np
import pytest
from made_atoms import atom
from synthetic_chgcar import structure

import chgtools
from chgtools.errors import MissingDensityError, SettingsError
from chgtools.formats import chgcar, poscar
from chgtools.libraries.library import DensityLibrary


@pytest.fixture
def run(tmp_path):
    """A folder with a POSCAR, and a library of Gaussian atoms."""
    poscar.write(structure(), tmp_path / "POSCAR")
    occupancies = np.diag([2.0, 0.0, 2.0, 0.0])
    DensityLibrary([atom("Si", 4, (0, 0, 1, 1), occupancies), atom("O", 6, (0, 0, 1, 1), occupancies)]).write(
        tmp_path / "with.h5"
    )
    DensityLibrary([atom("Si", 4), atom("O_s", 6), atom("Fe_pv", 14), atom("Fe", 8)]).write(tmp_path / "without.h5")
    return tmp_path


def predict(run, library="with.h5", **options):
    """The SAED alone, so that what is tested does not depend on weights."""
    source = chgtools.Source(library=run / library, **options.pop("source", {}))
    options.setdefault("model", "none")
    return chgtools.predict(run / "POSCAR", source=source, grid=chgtools.GridOptions(ngf=(12, 10, 16)), **options)


def test_a_complete_file(run):
    made = predict(run)
    data = made.data
    assert data.electrons == pytest.approx(14, rel=1e-12)
    assert (data.shape, len(data.blocks), data.moments) == ((12, 10, 16), 1, [])
    assert data.augmentation[0].lengths == [33, 33, 33]
    assert made.occupancies == "of the atoms"
    chgcar.write(data, run / "CHGCAR")
    again = chgcar.read(run / "CHGCAR")
    np.testing.assert_allclose(again.total, data.total, rtol=1e-10)
    assert again.electrons == pytest.approx(14, rel=1e-9)


def test_without_occupancies_it_says_what_vasp_will_do(run):
    made = predict(run, "without.h5")
    assert made.occupancies == "none"
    assert made.data.augmentation == []
    assert any("ICHARG = 11" in sentence for sentence in made.assumptions)
    assert any("O = O_s (the only one of the library)" in sentence for sentence in made.assumptions)


def test_spin_blocks_follow_the_incar(run):
    (run / "INCAR").write_text("ISPIN = 2\nMAGMOM = 1 -1 2\n")
    data = predict(run).data
    assert len(data.blocks) == 2
    assert data.integral(1) == pytest.approx(2, rel=1e-12)
    assert data.moments[0].tolist() == [1, -1, 2]
    (run / "other").write_text("LSORBIT = T\nMAGMOM = 0 0 1  0 0 1  1 0 0\n")
    data = predict(run, incar=run / "other").data
    assert [data.integral(i) for i in range(1, 4)] == pytest.approx([1, 0, 2], abs=1e-12)
    assert len(data.moments) == len(data.augmentation) - 1 == 3
    chgcar.write(data, run / "CHGCAR")
    assert len(chgcar.read(run / "CHGCAR").blocks) == 4


@pytest.mark.parametrize("where", ["option", "INCAR"])
def test_a_charged_cell_holds_nelect(run, where):
    if where == "INCAR":
        (run / "INCAR").write_text("NELECT = 13\n")
    made = predict(run, **({"nelect": 13} if where == "option" else {}))
    assert made.data.electrons == pytest.approx(13, rel=1e-12)
    assert made.electrons_of_atoms == 14
    assert any("from the atoms' 14 to NELECT = 13" in sentence for sentence in made.assumptions)
    with pytest.raises(SettingsError, match="NELECT = -1"):
        predict(run, nelect=-1.0)


def test_labels(run):
    with pytest.raises(SettingsError, match="label is given for Fe, which Si2O1 does not hold"):
        predict(run, source={"labels": {"Fe": "Fe_pv"}})
    with pytest.raises(MissingDensityError, match="O_h"):
        predict(run, source={"labels": {"O": "O_h"}})
    made = predict(run, "without.h5", source={"labels": {"O": "O_s"}})
    assert made.settings.choice.labels == ("Si", "O_s")
    iron = structure().with_changes(species=("Fe", "O"), labels=("Fe_pv", "O_s"))
    assert chgtools.predict(
        iron, source=chgtools.Source(library=run / "without.h5"), grid=chgtools.GridOptions(ngf=(8, 8, 8))
    ).electrons_of_atoms == 34  # fmt: skip


def test_one_source_only(run):
    with pytest.raises(SettingsError, match="potcar and upf"):
        chgtools.Source(potcar=run, upf=run)
    with pytest.raises(SettingsError, match="'aflow'"):
        chgtools.Source(convention="aflow")


def test_saed_of_a_path(run):
    source = chgtools.Source(library=run / "with.h5")
    density = chgtools.saed(run / "POSCAR", (12, 10, 16), source=source)
    np.testing.assert_allclose(density, predict(run).data.total, rtol=1e-12)
    by_rule = chgtools.saed(run / "POSCAR", source=source)
    assert by_rule.shape == chgtools.fft_grid(structure().lattice, 300.0)[1]


def test_a_structure_without_species_is_refused(run):
    nameless = structure().with_changes(species=("", ""))
    with pytest.raises(MissingDensityError, match="names no species"):
        chgtools.predict(nameless)


def test_a_potcar_names_the_species_that_a_vasp_4_poscar_lacks(run):
    from synthetic_potcar import write_synthetic_potcar

    write_synthetic_potcar(run / "POTCAR", [("Si", 4, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])
    text = (run / "POSCAR").read_text().split("\n")
    (run / "POSCAR").write_text("\n".join(line for line in text if line.strip() != "Si O"))
    made = chgtools.predict(run / "POSCAR", grid=chgtools.GridOptions(ngf=(12, 10, 16)))
    assert made.data.structure.species == ("Si", "O")
    assert made.data.electrons == pytest.approx(14, rel=1e-12)
    assert made.data.augmentation[0].lengths == [33, 33, 33]
    write_synthetic_potcar(run / "POTCAR", [("Si", 4, (0, 0, 1, 1))])
    with pytest.raises(chgtools.ChgtoolsError, match="data sets for Si, .* they must agree in number and order"):
        chgtools.predict(run / "POSCAR")
