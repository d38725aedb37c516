"""SIESTA's Rho.grid.nc and DeltaRho.grid.nc: files of the layout, in both kinds of netCDF, which sisl reads the same."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from made_archives import archive
from made_targets import difference, write_run
from scipy.io import netcdf_file

import chgtools
from chgtools.cli import main
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError
from chgtools.formats import densities_in, holds_density, siesta_grid
from chgtools.stores.store import Store
from chgtools.units import BOHR_ANGSTROM

CELL = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]]) / BOHR_ANGSTROM  # bohr
FRAC = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 0.5], [0.7, 0.6, 0.05]])
SHAPE = (6, 5, 7)


def write_xv(path, cell=CELL, frac=FRAC, symbols=("Fe", "O", "O")):
    lines = [f"{x:18.9f}{y:18.9f}{z:18.9f}    0.0 0.0 0.0" for x, y, z in cell] + [f"{len(frac):12d}"]
    for symbol, position in zip(symbols, frac @ cell, strict=True):
        place = "".join(f"{x:18.9f}" for x in position)
        lines.append(f"{1:3d}{SYMBOLS.index(symbol) + 1:6d}{place}    0.0 0.0 0.0")
    path.write_text("\n".join(lines) + "\n")


def write_classic(path, spins, cell=CELL, description=None):
    """As iogrid_netcdf does by nf90_create. spins : (nx, ny, nz), electrons/bohr³"""
    with netcdf_file(path, "w") as file:
        sizes = {"xyz": 3, "abc": 3, "spin": len(spins)} | dict(zip(("n1", "n2", "n3"), spins[0].shape, strict=True))
        for name, size in sizes.items():
            file.createDimension(name, size)
        file.createVariable("cell", "f", ("abc", "xyz"))[:] = cell
        file.variables["cell"].Description = "Cell vectors in Bohr: xyz, abc"
        grid = file.createVariable("gridfunc", "f", ("spin", "n3", "n2", "n1"))
        grid[:] = np.array([spin.T for spin in spins])
        grid.Description = f"Grid function -- {description or Path(path).name.removesuffix('.grid.nc')}"


def write_hdf5(path, spins, cell=CELL, description=None):
    """The same as netCDF-4 has it: HDF5 with the variables at the root."""
    with h5py.File(path, "w") as file:
        file["cell"] = np.asarray(cell, "f4")
        file["gridfunc"] = np.array([spin.T for spin in spins], "f4")
        said = f"Grid function -- {description or Path(path).name.removesuffix('.grid.nc')}"
        file["gridfunc"].attrs["Description"] = np.bytes_(said)


KINDS = pytest.mark.parametrize("write", [write_classic, write_hdf5])


def random(count):
    return [np.random.default_rng(i).random(SHAPE).astype("f4") for i in range(count)]


@KINDS
def test_total(tmp_path, write):
    (total,) = random(1)
    write(tmp_path / "Rho.grid.nc", [total])
    write_xv(tmp_path / "any.XV")
    data = chgtools.read(tmp_path / "Rho.grid.nc")
    np.testing.assert_allclose(data.total, total.astype(float) / BOHR_ANGSTROM**3, rtol=1e-12)
    assert data.total.flags.f_contiguous
    np.testing.assert_allclose(data.structure.lattice, CELL * BOHR_ANGSTROM, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(data.structure.frac, FRAC, atol=1e-8)
    assert (data.structure.species, data.structure.counts) == (("Fe", "O"), (1, 2))
    assert holds_density(tmp_path / "Rho.grid.nc")


@KINDS
def test_up_and_down_are_total_and_magnetisation(tmp_path, write):
    up, down = random(2)
    write(tmp_path / "DeltaRho.grid.nc", [up, down])
    write_xv(tmp_path / "x.XV")
    both = [(up.astype(float) + sign * down) / BOHR_ANGSTROM**3 for sign in (1, -1)]
    np.testing.assert_allclose(chgtools.read(tmp_path / "DeltaRho.grid.nc").blocks, both, atol=1e-12)


def test_sisl_reads_the_same(tmp_path):
    sisl = pytest.importorskip("sisl", reason="needs sisl")
    pytest.importorskip("netCDF4", reason="needs netCDF4")
    write_classic(tmp_path / "Rho.grid.nc", random(1))
    write_xv(tmp_path / "x.XV")
    theirs = sisl.get_sile(tmp_path / "Rho.grid.nc").read_grid()
    ours = chgtools.read(tmp_path / "Rho.grid.nc")
    np.testing.assert_allclose(ours.total, theirs.grid, rtol=1e-5)  # sisl's bohr
    np.testing.assert_allclose(ours.structure.lattice, theirs.lattice.cell, atol=1e-5)


@KINDS
def test_a_difference_goes_into_a_store(tmp_path, monkeypatch, write):
    """As the cube of the same difference density would, by --difference."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("run"))
    made = difference()
    (tmp_path / "siesta").mkdir()
    cell = made.structure.lattice / BOHR_ANGSTROM
    write("siesta/DeltaRho.grid.nc", [made.dcd * BOHR_ANGSTROM**3], cell)
    write_xv(tmp_path / "siesta" / "SiO.XV", cell, made.structure.frac, made.structure.elements)
    atoms = ["--densities", "run/lib.h5", "--label", "Si=Si", "--label", "O=O", "--truncation", "0.001"]
    for output, *sources in (("given.h5", "siesta/DeltaRho.grid.nc", "--difference"), ("own.h5", "run/CHGCAR")):
        done = CliRunner().invoke(main, ["dataset", "build", "-o", output, *atoms, *sources])
        assert done.exit_code == 0, done.output
    (given,), (own,) = Store.open("given.h5").values(), Store.open("own.h5").values()
    assert "-siesta-" in given.name
    np.testing.assert_allclose(given.on_grid(), own.on_grid(), atol=2e-5 * np.abs(own.on_grid()).max() + 1e-6)
    assert np.abs(own.on_grid()).max() > 0.01
    whole = CliRunner().invoke(main, ["dataset", "build", "-o", "x.h5", *atoms, "siesta/DeltaRho.grid.nc"])
    assert whole.exit_code == 1
    assert "siesta/DeltaRho.grid.nc holds 0.00000 electrons, its atoms 14" in whole.stderr


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_in_an_archive(tmp_path, kind):
    """Of two runs, each with its own .XV; a difference is no density that an archive stands for."""
    members = []
    for name, symbols in (("a", ("Fe", "O", "O")), ("b", ("Ti", "O", "O"))):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("Rho", "DeltaRho"):
            write_classic(folder / f"{file}.grid.nc", random(1))
        write_xv(folder / f"run-{name}.XV", symbols=symbols)
        members += [(f"r/{name}/{each.name}", each.read_bytes()) for each in sorted(folder.iterdir())]
    made = archive(tmp_path / f"all.{kind}", members)
    found = densities_in(made)
    assert [str(each).partition(":")[2] for each in found] == ["r/a/Rho.grid.nc", "r/b/Rho.grid.nc"]
    assert [chgtools.read(each).structure.species[0] for each in found] == ["Fe", "Ti"]
    deltas = densities_in(f"{made}:*/DeltaRho.grid.nc")
    assert [str(each).partition(":")[2] for each in deltas] == ["r/a/DeltaRho.grid.nc", "r/b/DeltaRho.grid.nc"]


def cut(folder):
    path = folder / "Rho.grid.nc"
    path.write_bytes(path.read_bytes()[:-400])


def renamed(folder):
    write_classic(folder / "Rho.grid.nc", random(1), description="TotalPotential")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut, "is damaged"),
        (renamed, "holds TotalPotential of SIESTA; wanted Rho or DeltaRho"),
        (lambda folder: write_classic(folder / "Rho.grid.nc", random(4)), "has 4 spin components"),
        (lambda folder: write_classic(folder / "Rho.grid.nc", [np.full(SHAPE, np.nan, "f4")]), "that are damaged"),
        (lambda folder: write_classic(folder / "Rho.grid.nc", random(1), CELL * 1.01), "is of another cell than the"),
        (lambda folder: (folder / "x.XV").unlink(), "has no SystemLabel.XV beside it"),
        (lambda folder: write_xv(folder / "y.XV"), r"has several \.XV beside it \(x\.XV, y\.XV\)"),
        (lambda folder: (folder / "x.XV").write_text("nothing"), "is no .XV of SIESTA"),
    ],
)
def test_what_cannot_be_used_is_told(change, words, tmp_path):
    write_classic(tmp_path / "Rho.grid.nc", random(1))
    write_xv(tmp_path / "x.XV")
    change(tmp_path)
    with pytest.raises(FormatError, match=words):
        chgtools.read(tmp_path / "Rho.grid.nc")


def test_netcdf_of_something_else_is_no_grid(tmp_path):
    with netcdf_file(tmp_path / "x.nc", "w") as file:
        file.createDimension("n", 3)
        file.createVariable("cell", "f", ("n",))[:] = 1
    assert not siesta_grid.holds_one(tmp_path / "x.nc")
    with pytest.raises(FormatError, match="holds zero bytes and is no text"):
        chgtools.read(tmp_path / "x.nc")
