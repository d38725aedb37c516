"""`dataset build --difference`: files that hold difference densities themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_targets import difference, write_run

from chgtools.cli import main
from chgtools.dcd.given import given_difference
from chgtools.dcd.pairs import pair_files
from chgtools.errors import MismatchError
from chgtools.formats import cube, xsf
from chgtools.libraries.choice import Source
from chgtools.stores.store import Store
from chgtools.volumetric import VolumetricData


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The same structure as a CHGCAR in run and as a cube file of its difference density."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("run"))
    made = difference()
    cube.write(VolumetricData("CHGCAR", made.structure, [made.dcd]), "d.cube")
    return made


def call(*arguments):
    atoms = ["--densities", "run/lib.h5", "--label", "Si=Si", "--label", "O=O"]
    return CliRunner().invoke(main, ["dataset", "build", "--truncation", "0.001", *atoms, *map(str, arguments)])


def test_it_is_the_difference_of_the_density(here):
    for output, *sources in (("given.h5", "d.cube", "--difference"), ("own.h5", "run/CHGCAR")):
        done = call("-o", output, *sources)
        assert done.exit_code == 0, done.output
    (given,), (own,) = Store.open("given.h5").values(), Store.open("own.h5").values()
    np.testing.assert_allclose(given.on_grid(), own.on_grid(), atol=2e-5 * np.abs(own.on_grid()).max() + 1e-6)
    assert np.abs(own.on_grid()).max() > 0.01
    assert given.attributes["zvals"].tolist() == own.attributes["zvals"].tolist()
    for figure in ("nelectrons", "saed_eps_mae_percent"):
        assert given.attributes[figure] == pytest.approx(own.attributes[figure], rel=1e-3)


def test_files_of_other_programs_are_no_poscars_of_each_other(here):
    """Two cubes, and an XSF, one behind the other: three densities."""
    moved = here.structure.with_changes(frac=here.structure.frac[::-1])
    cube.write(VolumetricData("CHGCAR", moved, [here.dcd]), "e.cube")
    xsf.write(VolumetricData("CHGCAR", here.structure, [0.5 * here.dcd]), "f.xsf")
    done = call("-o", "all.h5", "d.cube", "e.cube", "f.xsf", "--difference")
    assert done.exit_code == 0, done.output
    assert len(Store.open("all.h5")) == 3
    assert pair_files([Path("d.cube"), Path("e.cube")]) == [(Path("d.cube"), None), (Path("e.cube"), None)]
    (path := Path("atoms.xsf")).write_text(Path("f.xsf").read_text().partition("BEGIN_BLOCK")[0])
    assert pair_files([Path("d.cube"), path]) == [(Path("d.cube"), path)]  # atoms alone


def test_a_whole_density_is_none(here):
    done = call("-o", "all.h5", "run/CHGCAR", "--difference")
    assert done.exit_code == 1
    assert "run/CHGCAR: integrates to 14.0000 electrons, wanted 0 of a difference density" in done.stderr
    assert not Path("all.h5").exists()


def test_a_charged_cell(here):
    source = Source(library=Path("run/lib.h5"), labels={"Si": "Si", "O": "O"})
    charged = difference(charge=1.0)
    cube.write(VolumetricData("CHGCAR", charged.structure, [charged.dcd]), "c.cube")
    assert given_difference("c.cube", source, nelect=15.0).electrons == 15.0
    with pytest.raises(MismatchError, match=r"integrates to 1\.0000 electrons, wanted 0"):
        given_difference("c.cube", source)
    with pytest.raises(MismatchError, match=r"integrates to -?0\.0000 electrons, wanted 1"):
        given_difference("d.cube", source, nelect=15.0)
