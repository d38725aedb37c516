"""Densities in Parquet files: emmet's volumetric archives and LeMat-Rho."""

from __future__ import annotations

import json
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_atoms import atom
from synthetic_chgcar import LATTICE, charge, structure
from test_other_densities import same

import chgtools
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, FormatError
from chgtools.formats import holds_density, parquet
from chgtools.libraries.library import DensityLibrary
from chgtools.run.folder import RunFolder
from chgtools.start.superposition import superpose
from chgtools.volumetric import VolumetricData

pa = pytest.importorskip("pyarrow", reason="Parquet is read by pyarrow (pip install 'chgtools[parquet]')")
from made_parquet import write_emmet, write_lemat, write_old_emmet  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")


def smooth(shape: tuple[int, int, int] = (4, 5, 6), electrons: float = 14.0) -> VolumetricData:
    """A density that differs along each axis."""
    x, y, z = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in shape), indexing="ij")
    cell = structure()
    values = electrons / cell.volume * (1 + 0.5 * np.cos(x) + 0.3 * np.sin(y) + 0.1 * np.cos(2 * z + 1))
    return VolumetricData("CHGCAR", cell, [np.asfortranarray(values)])


def replaced(path: Path, column: str, values) -> Path:
    """The file with another column of that name; None for one without it."""
    table = pa.parquet.read_table(path)
    table = table.drop_columns([column])
    pa.parquet.write_table(table if values is None else table.append_column(column, values), path)
    return path


# --- emmet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("layout", ["old", "new"])
def test_emmet_is_the_chgcar(layout, blocks, tmp_path):
    """Units, axes, blocks and occupancies with their imaginary parts are those of the CHGCAR that was archived."""
    wanted = charge(shape=(4, 3, 5), blocks=blocks)
    path = tmp_path / "a.parquet"
    write_old_emmet(path, wanted) if layout == "old" else write_emmet(path, [(None, None, wanted)])
    found = chgtools.read(path)
    same(found, wanted)
    assert found.electrons == pytest.approx(wanted.electrons)


def test_emmet_against_pymatgen(tmp_path):
    """pymatgen reads the text, its numbers are archived, chgtools reads the text and the archive."""
    wanted = charge(shape=(4, 3, 5), blocks=2)
    chgtools.write(wanted, tmp_path / "CHGCAR")
    from pymatgen.io.vasp.outputs import Chgcar

    theirs = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    plain = chgtools.read(tmp_path / "CHGCAR")
    write_emmet(tmp_path / "a.parquet", [(None, None, plain)])
    found = chgtools.read(tmp_path / "a.parquet")
    np.testing.assert_allclose(found.total * found.structure.volume, theirs.data["total"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.blocks[1] * found.structure.volume, theirs.data["diff"], rtol=1e-9, atol=1e-12)


def test_a_whole_run_in_one_archive(tmp_path):
    """Rows are told by number, by file name, by identifier and by both."""
    runs = [
        ("mp-1", "CHGCAR", charge(shape=(4, 3, 5), blocks=2)),
        ("mp-1", "AECCAR0", charge("AECCAR0", shape=(3, 3, 3))),
        ("mp-2", "CHGCAR", charge(shape=(2, 3, 5))),
        ("mp-3", "LOCPOT", charge("LOCPOT", shape=(2, 2, 3))),
    ]
    path = write_emmet(tmp_path / "a.parquet", runs)
    for row, (identifier, name, wanted) in enumerate(runs, 1):
        for given in (f"{path}:{row}", f"{path}:{identifier}/{name}"):
            found = chgtools.read(given)
            same(found, wanted)
            assert (found.kind, found.source) == (name, given)
    assert chgtools.read(f"{path}:AECCAR0").shape == (3, 3, 3)
    assert chgtools.read(f"{path}:mp-3").kind == "LOCPOT"
    with pytest.raises(FormatError, match=r"a\.parquet:mp-1: is 2 rows by its id \(\S+a\.parquet:1, \S+a\.parquet:2\)"):
        chgtools.read(f"{path}:mp-1")
    with pytest.raises(
        FormatError, match=r"parquet: holds 4 densities; name one, \S+parquet:1 to \S+:4, or by its identif"
    ):
        chgtools.read(path)


def test_records_that_do_not_say_whose_they_are(tmp_path):
    """emmet leaves out a record that is cut, and keeps no numbers of ions."""
    data = charge(shape=(4, 3, 5))
    data.augmentation[0].real.pop(1)
    path = write_emmet(tmp_path / "a.parquet", [(None, None, data)])
    with pytest.warns(
        AssumptionWarning, match="data_aug_total holds 2 records for 3 ions and does not say whose; left out"
    ):
        assert chgtools.read(path).augmentation == []


def test_a_row_without_a_file_name_is_said(tmp_path):
    path = write_emmet(tmp_path / "a.parquet", [(None, None, charge(shape=(4, 3, 5)))])
    with pytest.warns(AssumptionWarning, match="the row does not say what it is of; read as a CHGCAR"):
        chgtools.read(path)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("data_total", lambda: pa.array([[[[[1.0, 2.0], [1.0]]]]]), "data_total has rows of .* points; wanted one grid"),
        ("data_total", lambda: pa.array([[[[1.0, 2.0]]]]), r"data_total has the shape \(1, 1, 2\)|whose grids"),
        ("data_total", lambda: pa.array([[[["a"]]]]), "data_total holds string; wanted numbers"),
        ("data_total", lambda: pa.array([[[[1.0, None]]]]), "data_total holds gaps"),
        ("data_total", lambda: pa.array([3.0]), "data_total is double; wanted lists of numbers"),
        ("data_total", lambda: pa.array([None], pa.list_(pa.float64())), "the row has no data_total"),
        ("structure_lattice", None, "the row has no structure_lattice"),
        ("structure_lattice", lambda: pa.array([[[1.0, 0.0, 0.0]] * 2]), r"structure_lattice has the shape \(2, 3\)"),
        ("structure_direct_coords", lambda: pa.array([[[0.0, 0.0, float("nan")]] * 3]), "structure_direct_coords has"),
        ("structure_atomic_num", lambda: pa.array([[14, 14, 500]]), "what are no atomic numbers"),
    ],
)  # fmt: skip
def test_damaged_columns_of_emmet(column, values, words, tmp_path):
    path = write_emmet(tmp_path / "a.parquet", [(None, None, charge(shape=(4, 3, 5), blocks=2))])
    replaced(path, column, values and values())
    with pytest.raises(FormatError, match=rf"a\.parquet: .*({words})"):
        chgtools.read(path)


def test_a_file_that_is_no_density(tmp_path):
    path = write_emmet(tmp_path / "a.parquet", [("mp-1", "CHGCAR", charge(shape=(4, 3, 5)))])
    replaced(path, "file_name", pa.array(["POT"]))
    with pytest.raises(FormatError, match="the row is a POT; wanted one of CHGCAR"):
        chgtools.read(path)


# --- LeMat-Rho -------------------------------------------------------------------------------------------------------


def test_lemat_rho_raw_column(tmp_path):
    """Density x volume in single precision, the last axis fastest; Cartesian positions."""
    one, two = smooth(), smooth((3, 4, 2), 28.0)
    path = write_lemat(tmp_path / "a.parquet", [("agm1", one), ("agm2", None), ("oqmd-3", two)])
    for given, wanted in ((":1", one), (":agm1", one), (":3", two), (":oqmd-3", two)):
        with pytest.warns(AssumptionWarning, match="LeMat-Rho keeps the total density alone"):
            found = chgtools.read(f"{path}{given}")
        np.testing.assert_allclose(found.total, wanted.total, rtol=1e-6)
        np.testing.assert_allclose(found.structure.frac, wanted.structure.frac, atol=1e-12)
        np.testing.assert_allclose(found.structure.lattice, LATTICE)
        assert found.electrons == pytest.approx(wanted.electrons, rel=1e-6)
        assert found.total.flags.f_contiguous
        assert list(found.structure.elements) == ["Si", "Si", "O"]
    with pytest.raises(FormatError, match=r"a\.parquet:agm2: the row has no charge_density \(the data set has none"):
        chgtools.read(f"{path}:agm2")
    with pytest.raises(FormatError, match=r"holds 3 densities; name one, .*, or by its immutable_id"):
        chgtools.read(path)
    for row in ("4", "0", "mp-9", "9" * 5000):
        with pytest.raises(
            FormatError, match=rf"parquet:{row}: no such row: the file has 3, counted from 1, or named by"
        ):
            chgtools.read(f"{path}:{row}")


def test_the_smoothed_column_is_refused(tmp_path):
    path = write_lemat(tmp_path / "a.parquet", [("agm1", smooth())], raw=False)
    with pytest.raises(FormatError, match="holds compressed_charge_density, which is smoothed and no density of VASP"):
        chgtools.read(path)


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("charge_density_grid_shape", lambda: pa.array([[4, 5, 7]]), "charge_density holds 120 numbers, .* is 4 x 5 x 7"),
        ("charge_density_grid_shape", lambda: pa.array([[-4, -5, 6]]), "charge_density holds 120 numbers"),
        ("charge_density_grid_shape", None, "the row has no charge_density_grid_shape"),
        ("charge_density", lambda: pa.array([[float("nan")] * 120]), "charge_density has the shape .*wanted finite"),
        ("species_at_sites", lambda: pa.array([["Si", "Si"]]), r"cartesian_site_positions has the shape \(3, 3\)"),
        ("species_at_sites", lambda: pa.array([["Si", "Si", "Xx"]]), "species_at_sites holds what are no elements"),
        ("lattice_vectors", lambda: pa.array([[[1.0, 0, 0], [2.0, 0, 0], [0, 0, 1.0]]]), "lie in one plane"),
    ],
)  # fmt: skip
def test_damaged_columns_of_lemat_rho(column, values, words, tmp_path):
    path = replaced(write_lemat(tmp_path / "a.parquet", [("agm1", smooth())]), column, values and values())
    with pytest.raises(FormatError, match=rf"a\.parquet: .*{words}"):
        chgtools.read(path)


def test_rows_in_several_groups_and_batches(tmp_path):
    """The row that is read is the one that is named, wherever its group of rows begins."""
    rows = [(f"m{number}", smooth((2, 3, 4), 1.0 + number)) for number in range(17)]
    path = write_lemat(tmp_path / "a.parquet", rows, row_group_size=6)
    assert pa.parquet.ParquetFile(path).num_row_groups == 3
    for number in (0, 3, 4, 5, 6, 11, 12, 16):
        for name in (number + 1, f"m{number}"):
            assert chgtools.read(f"{path}:{name}").electrons == pytest.approx(1.0 + number, rel=1e-6)


def test_a_row_does_not_take_the_memory_of_the_file(tmp_path):
    rows = [(f"m{number}", smooth((40, 40, 40), 1.0 + number)) for number in range(24)]
    path = write_lemat(tmp_path / "a.parquet", rows)
    chgtools.read(f"{path}:24")
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    chgtools.read(f"{path}:24")
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 6e6  # the 24 rows are 6 MB in single precision, and 24 MB of JSON
    assert pa.total_allocated_bytes() - before < 1e6


# --- any Parquet -----------------------------------------------------------------------------------------------------


def test_other_tables(tmp_path):
    pa.parquet.write_table(pa.table({"energy": [1.0]}), tmp_path / "a.parquet")
    with pytest.raises(FormatError, match="is Parquet without densities; wanted the columns of emmet or of LeMat-Rho"):
        chgtools.read(tmp_path / "a.parquet")
    pa.parquet.write_table(pa.table({"energy": pa.array([], pa.float64())}), tmp_path / "b.parquet")
    with pytest.raises(FormatError, match=r"b\.parquet: holds no densities$"):
        chgtools.read(tmp_path / "b.parquet")


@pytest.mark.parametrize("cut", [4, 100, -1, -50])
def test_a_cut_file(cut, tmp_path):
    path = write_lemat(tmp_path / "a.parquet", [("agm1", smooth())])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError, match=r"a\.parquet(:1)?: is damaged Parquet"):
        chgtools.read(f"{path}:1")


def test_without_pyarrow(tmp_path, monkeypatch):
    path = write_lemat(tmp_path / "a.parquet", [("agm1", smooth())])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(FormatError, match=r"Parquet is read by pyarrow, .*pip install 'chgtools\[parquet\]'"):
        chgtools.read(path)


def test_the_name_does_not_matter_and_nothing_lies_beside_a_row(tmp_path):
    path = write_lemat(tmp_path / "shard-00000", [("agm1", smooth())])
    (tmp_path / "INCAR").write_text("NELECT = 3\n")
    assert holds_density(f"{path}:1")
    assert chgtools.read(f"{path}:agm1").shape == (4, 5, 6)
    assert RunFolder.around(f"{path}:1").incar is None
    assert parquet.digest(f"{path}:1") == parquet.digest(path)


# --- commands --------------------------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_commands_take_rows(tmp_path):
    atoms = [atom("Si", 4), atom("O", 6)]
    cell = structure()
    data = VolumetricData("CHGCAR", cell, [np.asfortranarray(superpose(cell, (24, 24, 24), atoms))])
    path = write_lemat(tmp_path / "a.parquet", [("agm1", data), ("agm2", data), ("agm3", smooth((24, 24, 24)))])
    DensityLibrary(atoms).write(tmp_path / "lib.h5")
    assert json.loads(run("info", f"{path}:agm2", "--json")[1])["grid"] == [24, 24, 24]
    code, out, _ = run("compare", f"{path}:1", f"{path}:agm2", "--json")
    assert (code, json.loads(out)["eps_mae_percent"]) == (0, 0)
    assert run("convert", f"{path}:1", tmp_path / "CHGCAR")[0] == 0
    assert chgtools.read(tmp_path / "CHGCAR").electrons == pytest.approx(14, abs=1e-4)
    assert run("plot", f"{path}:1", "-o", tmp_path / "a.png")[0] == 0
    code, _, err = run("make-dcd", f"{path}:1", f"{path}:agm2", "--densities", tmp_path / "lib.h5")
    assert code == 0, err
    assert {each.name for each in tmp_path.glob("*.dcd.h5")} == {"a.parquet.1.dcd.h5", "agm2.dcd.h5"}
    build = ["dataset", "build", *(f"{path}:{row}" for row in (1, "agm2", 3)), "-o", tmp_path / "s.h5"]
    build += ["--densities", tmp_path / "lib.h5", "--truncation", "5"]
    code, out, err = run(*build)
    assert code == 0, err
    assert "2 structures added from 2 of 3 files, 1 files there already" in out
    assert "0 structures added from 0 of 3 files, 3 files there already" in run(*build)[1]


def test_check_wants_text(tmp_path):
    path = write_lemat(tmp_path / "a.parquet", [("agm1", smooth())])
    code, _, err = run("check", path)
    assert code == 1
    assert "is Parquet, no text" in err


def test_nothing_is_said_of_files_that_are_none(tmp_path):
    chgtools.write(charge(), tmp_path / "CHGCAR")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not parquet.is_one(tmp_path / "CHGCAR")
        assert not parquet.is_one(tmp_path / "none.parquet:3")
