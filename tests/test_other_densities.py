"""Densities that are no text of VASP: pymatgen's Chgcar, as an object and as JSON, and vaspwave.h5."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from made_atoms import atom
from monty.json import MontyEncoder
from pymatgen.io.vasp.outputs import Chgcar, Locpot, Vaspwave
from synthetic_chgcar import charge, structure

import chgtools
from chgtools.check import check_file
from chgtools.cli import main
from chgtools.dcd.pairs import pair_files
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.formats import chgcar
from chgtools.formats import difference_density as targets
from chgtools.start.superposition import superpose
from chgtools.volumetric import VolumetricData

pytestmark = pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
ATOMS = [atom("Si", 4), atom("O", 6)]


def same(found: VolumetricData, wanted: VolumetricData) -> None:
    assert (found.kind, found.structure.formula, found.shape) == (wanted.kind, wanted.structure.formula, wanted.shape)
    np.testing.assert_allclose(found.structure.lattice, wanted.structure.lattice, atol=1e-12)
    np.testing.assert_allclose(found.structure.frac, wanted.structure.frac, atol=1e-12)
    assert len(found.blocks) == len(wanted.blocks)
    for ours, theirs in zip(found.blocks, wanted.blocks, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)
        assert ours.flags.f_contiguous
    assert len(found.augmentation) == len(wanted.augmentation)
    for ours, theirs in zip(found.augmentation, wanted.augmentation, strict=True):
        for part in ("real", "imaginary"):
            left, right = getattr(ours, part), getattr(theirs, part)
            assert (left is None) == (right is None)
            for a, b in zip(left or [], right or [], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-13)


def as_json(data: VolumetricData) -> str:
    return json.dumps(data.to_pymatgen(), cls=MontyEncoder)


# --- pymatgen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("name", ["density.json", "density.json.gz", "mp-1.CHGCAR.json", "x"])
def test_json_of_a_chgcar_is_the_chgcar(name, blocks, tmp_path):
    wanted = charge(blocks=blocks)
    text = as_json(wanted).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    found = chgtools.read(tmp_path / name)
    same(found, wanted)
    assert found.source == str(tmp_path / name)
    assert found.electrons == pytest.approx(wanted.electrons, rel=1e-12)
    assert chgtools.as_structure(tmp_path / name).formula == wanted.structure.formula


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_an_object_of_pymatgen_is_what_the_file_is(blocks, tmp_path):
    """pymatgen's own reading of a file of ours, and ours."""
    chgcar.write(charge(blocks=blocks), tmp_path / "CHGCAR")
    theirs = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    same(chgtools.from_pymatgen(theirs), chgcar.read(tmp_path / "CHGCAR"))
    assert chgtools.from_pymatgen(theirs, kind="AECCAR0").kind == "AECCAR0"


def test_a_document_with_the_object_in_it(tmp_path):
    (tmp_path / "AECCAR2.json").write_text(json.dumps({"fs_id": "1", "data": json.loads(as_json(charge()))}))
    found = chgtools.read(tmp_path / "AECCAR2.json")
    assert (found.kind, found.structure.formula) == ("AECCAR2", "Si2O1")


def test_a_potential_is_not_divided_by_the_volume(tmp_path):
    wanted = charge("LOCPOT", blocks=2)
    assert isinstance(wanted.to_pymatgen(), Locpot)
    (tmp_path / "x.json").write_text(as_json(wanted))
    same(chgtools.read(tmp_path / "x.json"), wanted)


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_occupancies_as_lines_of_text_as_older_versions_keep_them(blocks, tmp_path):
    """There the moments before the next block stand among them."""
    made = charge(blocks=blocks)
    made.moments = [np.array([0.5, -1.25, 2.0]) + k for k in range(blocks - 1)]
    chgcar.write(made, tmp_path / "CHGCAR")
    wanted = chgcar.read(tmp_path / "CHGCAR")
    lines = (tmp_path / "CHGCAR").read_text().splitlines(keepends=True)
    grid = [number for number, line in enumerate(lines) if line.split() == ["6", "5", "7"]]
    behind = [number + 1 + 6 * 5 * 7 // 5 for number in grid]
    keys = {1: ["total"], 2: ["total", "diff"], 4: ["total", "diff_x", "diff_y", "diff_z"]}[blocks]
    theirs = wanted.to_pymatgen()
    theirs.data_aug = {key: lines[a:b] for key, a, b in zip(keys, behind, [*grid[1:], len(lines)], strict=True)}
    found = chgtools.from_pymatgen(theirs)
    same(found, wanted)
    np.testing.assert_array_equal(found.moments, made.moments)
    theirs.data_aug["total"] = theirs.data_aug["total"][:7]
    with pytest.raises(ChgtoolsError, match="lines are damaged near 'augmentation occupancies   1  33'"):
        chgtools.from_pymatgen(theirs)


def test_moments_that_are_not_there_are_said_and_vasp_takes_the_file(tmp_path):
    with pytest.warns(AssumptionWarning, match="1 for each goes before the magnetisation"):
        found = chgtools.from_pymatgen(charge(blocks=2).to_pymatgen())
    chgcar.write(found, tmp_path / "CHGCAR")
    assert not [each for each in check_file(tmp_path / "CHGCAR").findings if "moments" in each.code]


def test_difference_density_takes_a_chgcar_of_pymatgen():
    density = superpose(structure(), (12, 10, 16), ATOMS)
    wave = np.sin(2 * np.pi * np.arange(12) / 12)[:, None, None] * 0.01
    theirs = VolumetricData("CHGCAR", structure(), [density + wave]).to_pymatgen()
    made = chgtools.difference_density(theirs, densities=ATOMS)
    np.testing.assert_allclose(made.dcd, np.broadcast_to(wave, made.dcd.shape), atol=1e-12)


def test_json_that_is_no_density_is_one_sentence(tmp_path):
    whole = json.loads(as_json(charge()))
    bad = {
        "cut": (json.dumps(whole)[:-99], "is no JSON, or cut short"),
        "without data": (json.dumps({**whole, "data": {}}), "wanted total, with or without diff"),
        "without atoms": (json.dumps({**whole, "poscar": {}}), "is no Chgcar as pymatgen writes it"),
        "flat": (json.dumps({**whole, "data": {"total": [1.0, 2.0]}}), "grids have the shapes"),
        "another ion": (json.dumps({**whole, "data_aug": {"total": {"9": [1.0]}}}), "occupancies of the ions 9"),
        "not finite": (json.dumps({**whole, "data": {"total": [[[float("nan")]]]}}), "no finite numbers"),
    }
    for name, (text, sentence) in bad.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FormatError) as caught:
            chgtools.read(tmp_path / name)
        assert sentence in str(caught.value), name
        assert str(caught.value).startswith(f"{tmp_path / name}: "), name
    with pytest.raises(ChgtoolsError, match="cannot take a field from a dict"):
        chgtools.from_pymatgen({})


def test_the_false_names_of_a_vasp_4_file_are_no_species(tmp_path):
    """pymatgen calls its groups H and He."""
    nameless = charge()
    nameless.structure = nameless.structure.with_changes(species=("", ""))
    chgcar.write(nameless, tmp_path / "CHGCAR")
    theirs = Chgcar.from_file(str(tmp_path / "CHGCAR"))
    assert theirs.structure[0].specie.symbol == "H"
    (tmp_path / "x.json").write_text(json.dumps(theirs, cls=MontyEncoder))
    for found in (chgtools.from_pymatgen(theirs), chgtools.read(tmp_path / "x.json")):
        assert (found.structure.species, found.structure.counts) == (("", ""), (2, 1))
    for source in (theirs.poscar, tmp_path / "x.json"):
        assert chgtools.as_structure(source).species == ("", "")


# --- vaspwave.h5 ----------------------------------------------------------------------------------------------------


def write_vaspwave(path: Path, data: VolumetricData, group: str = "structure/positions") -> Path:
    """As pymatgen's reader of such files wants it, which is held against CHGCARs of VASP."""
    with h5py.File(path, "w") as file:
        file["version/major"], file["version/minor"], file["version/patch"] = 6, 5, 1
        atoms = file.create_group(group)
        atoms["ion_types"] = [name.encode() for name in data.structure.species]
        atoms["number_ion_types"] = list(data.structure.counts)
        atoms["scale"], atoms["direct_coordinates"] = 2.0, 1
        atoms["lattice_vectors"] = data.structure.lattice / 2
        atoms["position_ions"] = data.structure.frac
        file["charge/grid"] = np.array(data.shape)
        file["charge/charge"] = np.array([block.T * data.structure.volume for block in data.blocks])
        for block, records in enumerate(data.augmentation, 1):
            rows = np.full((data.structure.n_atoms, max(records.lengths)), 9e9)
            for row, record in zip(rows, records.real, strict=True):
                row[: len(record)] = record
            file[f"charge/aug_occupancies_ions_s{block:02d}"] = np.array(records.lengths, dtype=np.int32)
            file[f"charge/aug_occupancies_s{block:02d}"] = rows
    return path


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("group", ["structure/positions", "locpot/position"])
def test_a_vaspwave_is_the_chgcar_of_its_run(blocks, group, tmp_path):
    wanted = charge(blocks=blocks)
    found = chgtools.read(write_vaspwave(tmp_path / "vaspwave.h5", wanted, group))
    same(found, wanted)
    (tmp_path / "vaspwave.h5.gz").write_bytes(gzip.compress((tmp_path / "vaspwave.h5").read_bytes()))
    same(chgtools.read(tmp_path / "vaspwave.h5.gz"), wanted)
    # pymatgen, which is held against files of VASP, sees the same numbers in this file
    theirs = Vaspwave(str(tmp_path / "vaspwave.h5")).get_chgcar()
    np.testing.assert_allclose(theirs.data["total"] / wanted.structure.volume, found.total, rtol=1e-13)
    np.testing.assert_allclose(theirs.data_aug["total"][3], found.augmentation[0].real[2], rtol=1e-13)


def test_a_non_collinear_vaspwave_has_no_imaginary_parts(tmp_path):
    path = write_vaspwave(tmp_path / "vaspwave.h5", charge(blocks=4))
    with pytest.warns(AssumptionWarning, match="no imaginary parts of the occupancies"):
        found = chgtools.read(path)
    assert (len(found.blocks), found.augmentation) == (4, [])
    np.testing.assert_allclose(found.blocks[3], charge(blocks=4).blocks[3], rtol=1e-13)


def test_convert_makes_the_chgcar_that_vasp_can_read(tmp_path):
    """Records and moments are in it."""
    wanted = charge(blocks=2)
    write_vaspwave(tmp_path / "vaspwave.h5", wanted)
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "vaspwave.h5"), str(tmp_path / "CHGCAR")])
    assert done.exit_code == 0, done.output
    assert "1 for each goes before the magnetisation" in done.stderr
    found = chgcar.read(tmp_path / "CHGCAR")
    np.testing.assert_allclose(found.total, wanted.total, rtol=1e-9)
    np.testing.assert_allclose(found.blocks[1], wanted.blocks[1], rtol=1e-9)
    np.testing.assert_allclose(found.augmentation[1].real[0], wanted.augmentation[1].real[0], rtol=1e-6)
    np.testing.assert_array_equal(found.moments, [np.ones(3)])
    assert check_file(tmp_path / "CHGCAR").ok


def test_make_dcd_and_a_store_take_a_vaspwave(tmp_path):
    from chgtools.stores.build import is_store, sources_of

    density = superpose(structure(), (12, 10, 16), ATOMS)
    path = write_vaspwave(tmp_path / "vaspwave.h5", VolumetricData("CHGCAR", structure(), [density]))
    made = chgtools.difference_density(path, densities=ATOMS)
    assert np.abs(made.dcd).max() < 1e-12
    targets.write(made, tmp_path / "dcd.h5")
    with pytest.raises(FormatError, match=r"dcd\.h5: is a chgtools difference charge density, no volumetric"):
        chgtools.read(tmp_path / "dcd.h5")
    assert (sources_of([path]), is_store(path)) == ([(path, None)], False)
    assert pair_files([path, path]) == [(path, None), (path, None)]
    facts = CliRunner().invoke(main, ["info", str(path), "--json"])
    assert json.loads(facts.stdout)["electrons"] == pytest.approx(14, abs=1e-9)


def put(name: str, value):
    """Replaces a dataset."""

    def spoil(file):
        del file[name]
        file[name] = value

    return spoil


POSITIONS = "structure/positions"
SPOILT = {
    "a vaspout.h5": (lambda file: file.move("charge", "results"), "holds no charge density; wanted the vaspwave.h5"),
    "no atoms": (lambda file: file.pop("structure"), "a density and no atoms"),
    "Cartesian": (put(f"{POSITIONS}/direct_coordinates", 0), "positions are Cartesian"),
    "no scale": (lambda file: file.pop(f"{POSITIONS}/scale"), "without all that describes them"),
    "negative scale": (put(f"{POSITIONS}/scale", -100.0), "has the scale -100"),
    "another grid": (put("charge/grid", np.array([7, 5, 6])), "charge/charge has the shape (1, 7, 5, 6)"),
    "three blocks": (put("charge/charge", np.ones((3, 7, 5, 6))), "wanted 1, 2 or 4 blocks"),
    "no numbers": (put("charge/charge", np.full((1, 7, 5, 6), np.nan)), "no finite numbers"),
    "two records": (put("charge/aug_occupancies_ions_s01", np.array([33, 33])), "wanted records of 3 ions"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_what_a_vaspwave_lacks_is_one_sentence(name, tmp_path):
    spoil, sentence = SPOILT[name]
    path = write_vaspwave(tmp_path / "vaspwave.h5", charge())
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(FormatError) as caught:
        chgtools.read(path)
    assert sentence in str(caught.value)


def test_a_cut_vaspwave(tmp_path):
    whole = write_vaspwave(tmp_path / "vaspwave.h5", charge()).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="damaged HDF5 file"):
        chgtools.read(tmp_path / "cut.h5")


def test_json_of_a_structure_is_the_poscar_of_a_chgcar_and_no_density(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(structure().to_pymatgen().as_dict()))
    chgcar.write(charge(), tmp_path / "CHGCAR")
    assert pair_files([tmp_path / "CHGCAR", tmp_path / "x.json"]) == [(tmp_path / "CHGCAR", tmp_path / "x.json")]
    with pytest.raises(FormatError, match=r"x\.json: is JSON without a Chgcar"):
        chgtools.read(tmp_path / "x.json")
