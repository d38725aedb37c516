"""Difference densities: zero for a SAED, given back whole, refused when the inputs contradict each other."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from made_atoms import atom
from synthetic_chgcar import structure

import chgtools
from chgtools import dcd
from chgtools.dcd.pairs import pair_files
from chgtools.errors import FormatError, MismatchError, SettingsError
from chgtools.formats import chgcar, poscar
from chgtools.formats import difference_density as dcd_file
from chgtools.start.superposition import superpose
from chgtools.volumetric import Augmentation, VolumetricData

ATOMS = [atom("Si", 4), atom("O", 6)]


@pytest.fixture
def run(tmp_path):
    """A folder with the CHGCAR of a SAED with a known wave on it, spin and records, and its POSCAR."""
    atoms = structure().with_changes(frac=structure().frac + 3.3e-7)  # beyond the digits of a CHGCAR's header
    density = superpose(atoms, (12, 10, 16), ATOMS)
    wave = np.sin(2 * np.pi * np.arange(12) / 12)[:, None, None] * 0.01
    magnetisation = np.asfortranarray(density * 0.1)
    data = VolumetricData(
        "CHGCAR",
        atoms,
        [np.asfortranarray(density + wave), magnetisation],
        [Augmentation([np.arange(33.0)] * 3), Augmentation([np.arange(33.0) / 7] * 3)],
        [np.array([1.0, 2.0, 3.0])],
    )
    chgcar.write(data, tmp_path / "CHGCAR")
    poscar.write(atoms, tmp_path / "POSCAR")
    return tmp_path, data, wave


def test_the_difference_is_what_was_added(run):
    folder, data, wave = run
    made = chgtools.difference_density(folder / "CHGCAR", folder / "POSCAR", densities=ATOMS)
    np.testing.assert_allclose(made.dcd, np.broadcast_to(wave, made.dcd.shape), atol=2e-9)
    assert abs(made.dcd.mean()) * made.structure.volume < 1e-8
    np.testing.assert_allclose(made.blocks[1], data.blocks[1], rtol=1e-9)
    assert made.electrons == pytest.approx(14, rel=1e-9)
    assert made.labels == ("Si", "O")
    expected = 100 * np.abs(data.total - made.saed).sum() / np.abs(data.total).sum()
    assert made.eps_mae_of_saed == pytest.approx(expected, rel=1e-6)


ROUNDED = [5e-7, 4e-5]  # Å: what six decimals of a header leave out; the most that a POSCAR may differ by, nearly


@pytest.mark.parametrize("off", ROUNDED)
@pytest.mark.parametrize("blocks", [2, 4])
def test_electrons_and_moments_of_the_file_are_kept_where_its_lattice_is_rounded(run, off, blocks):
    """The file holds density x volume: n_POSCAR V_POSCAR = n_header V_header at every point, of all blocks."""
    _, data, _ = run
    header = data.structure
    poscar_lattice = header.lattice + off * np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]])
    atoms = header.with_changes(lattice=poscar_lattice)
    spins = [np.asfortranarray(data.blocks[1] * (1 + 0.3 * k)) for k in range(blocks - 1)]
    file = VolumetricData("CHGCAR", header, [data.blocks[0], *spins])
    made = chgtools.difference_density(file, atoms, densities=ATOMS)
    by_file, by_poscar = (abs(np.linalg.det(lattice)) for lattice in (header.lattice, poscar_lattice))
    assert abs(by_poscar / by_file - 1) > 1e-7  # or the test says nothing
    saed = superpose(atoms, (12, 10, 16), ATOMS)
    np.testing.assert_allclose(made.dcd, data.blocks[0] * by_file / by_poscar - saed, rtol=0, atol=1e-13)
    assert made.dcd.mean() * by_poscar == pytest.approx(data.blocks[0].mean() * by_file - 14, abs=1e-11)
    assert len(made.blocks) == blocks
    for found, given in zip(made.blocks[1:], spins, strict=True):
        np.testing.assert_allclose(found, given * by_file / by_poscar, rtol=1e-13)
        assert found.mean() * by_poscar == pytest.approx(given.mean() * by_file, rel=1e-13)


def test_electrons_are_kept_through_a_written_file_and_its_poscar(run):
    """make-dcd on a file whose header is rounded: the cell's electrons are those of its numbers, to their 11 digits."""
    folder, data, _ = run
    lattice = data.structure.lattice * (1 + 1e-7 / 3) + 3.3e-7
    atoms = data.structure.with_changes(lattice=lattice)
    density, spin = superpose(atoms, (12, 10, 16), ATOMS), data.blocks[1]
    chgcar.write(VolumetricData("CHGCAR", atoms, [density, spin]), folder / "CHGCAR")
    poscar.write(atoms, folder / "POSCAR")
    header = chgcar.read(folder / "CHGCAR").structure
    assert abs(header.volume / atoms.volume - 1) > 1e-7
    made = chgtools.difference_density(folder / "CHGCAR", folder / "POSCAR", densities=ATOMS)
    np.testing.assert_allclose(made.dcd, 0, atol=2e-10 * density.max())
    np.testing.assert_allclose(made.blocks[1], spin, rtol=0, atol=2e-10 * spin.max())


def test_the_difference_of_a_saed_is_zero_to_its_digits(run):
    folder, data, _ = run
    data.blocks[0] = superpose(data.structure, (12, 10, 16), ATOMS)
    chgcar.write(data, folder / "CHGCAR")
    made = chgtools.difference_density(folder / "CHGCAR", folder / "POSCAR", densities=ATOMS)
    # 11 digits of the file, 6 decimals of its lattice
    np.testing.assert_allclose(made.dcd, 0, atol=1e-10 * data.total.max())


def test_stored_and_given_back(run):
    folder, _, _ = run
    original = chgcar.read(folder / "CHGCAR")
    made = chgtools.difference_density(original, folder / "POSCAR", densities=ATOMS)
    dcd.write(made, folder / "x.h5")
    again = dcd.read(folder / "x.h5")
    for field in ("labels", "zvals", "electrons", "provenance"):
        assert getattr(again, field) == getattr(made, field), field
    assert all(np.array_equal(a, b) for a, b in zip(again.blocks, made.blocks, strict=True))
    assert again.blocks[0].flags.f_contiguous
    assert again.provenance["source_file"] == "CHGCAR"
    assert len(again.provenance["source_sha256"]) == 64
    assert "test; sha256 " in again.provenance["density_Si"]
    chgcar.write(again.density(), folder / "back")
    back = chgcar.read(folder / "back", kind="CHGCAR")
    for ours, theirs in zip(back.blocks, original.blocks, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-11, atol=0)
    assert [a.lengths for a in back.augmentation] == [[33] * 3] * 2
    np.testing.assert_array_equal(back.augmentation[1].real[2], original.augmentation[1].real[2])
    np.testing.assert_array_equal(back.moments, original.moments)
    with h5py.File(folder / "x.h5") as file:
        assert file["dcd"].shape == file["saed"].shape == (16, 10, 12)
        assert file["magnetisation"].shape == (1, 16, 10, 12)
        assert file["dcd"].attrs["unit"] == "electrons/angstrom^3"
        np.testing.assert_array_equal(file["dcd"][()].T, made.dcd)


def test_without_the_saed(run):
    folder, _, _ = run
    made = chgtools.difference_density(folder / "CHGCAR", folder / "POSCAR", densities=ATOMS, dtype=np.float32)
    dcd.write(made, folder / "x.h5", keep_saed=False)
    again = dcd.read(folder / "x.h5")
    assert again.saed is None
    assert again.dcd.dtype == np.float32
    with pytest.raises(MismatchError, match="SAED was not kept"):
        again.density()


def test_noncollinear_records_come_back(run, tmp_path):
    _, data, _ = run
    records = Augmentation([np.arange(8.0)] * 3, [np.arange(8.0) * 1e-3] * 3)
    data = VolumetricData("CHGCAR", data.structure, [data.blocks[0]] * 4, [records] * 4, [np.zeros(3)] * 3)
    made = chgtools.difference_density(data, data.structure, densities=ATOMS)
    dcd.write(made, tmp_path / "x.h5")
    again = dcd.read(tmp_path / "x.h5")
    assert len(again.blocks) == len(again.augmentation) == 4
    np.testing.assert_array_equal(again.augmentation[2].imaginary[1], records.imaginary[1])


def test_the_poscar_must_be_the_files_own(run):
    folder, data, _ = run
    moved = data.structure.with_changes(frac=data.structure.frac + [[0, 0, 0], [0, 0, 0.01], [0, 0, 0]])
    with pytest.raises(MismatchError, match=r"atom 2 \(Si\) lies 0\.0523 Å apart"):
        chgtools.difference_density(folder / "CHGCAR", moved, densities=ATOMS)


def test_electrons_must_agree_with_the_atoms(run):
    folder, data, _ = run
    iron = data.structure.with_changes(species=("Fe", "O"))
    data = VolumetricData("CHGCAR", iron, [data.blocks[0] * (22 / 14)], source="CHGCAR")
    wrong = [atom("Fe_pv", 14), atom("O", 6)]
    with pytest.raises(
        MismatchError, match=r"holds 22\.00000 electrons, its atoms 34 = 2 x 14 \(Fe_pv\).*--label Fe=Fe "
    ):
        chgtools.difference_density(data, iron, densities=wrong)
    charged = VolumetricData("CHGCAR", iron, [data.blocks[0] * (21.3 / 22)], source="CHGCAR")
    right = [atom("Fe", 8), atom("O", 6)]
    with pytest.raises(MismatchError, match=r"no labels give that count: for a charged cell give --nelect"):
        chgtools.difference_density(charged, iron, densities=right)
    made = chgtools.difference_density(charged, iron, densities=right, nelect=21.3)
    assert made.dcd.mean() * iron.volume == pytest.approx(-0.7, abs=1e-6)
    with pytest.raises(MismatchError, match=r"NELECT = 20 is given"):
        chgtools.difference_density(charged, iron, densities=right, nelect=20)


def charged(folder, electrons: float, incar: str | None):
    """A CHGCAR of so many electrons, with an INCAR beside it."""
    folder.mkdir()
    atoms = structure()
    density = superpose(atoms, (12, 10, 16), ATOMS) * (electrons / 14)
    chgcar.write(VolumetricData("CHGCAR", atoms, [density]), folder / "CHGCAR")
    if incar is not None:
        (folder / "INCAR").write_text(incar)
    return folder / "CHGCAR"


def test_nelect_is_that_of_the_incar_beside_each_file(tmp_path):
    """A defect in several charges: each run has its own number."""
    for electrons in (13, 14, 15.5):
        file = charged(tmp_path / str(electrons), electrons, f"ENCUT = 400\nNELECT = {electrons}\n")
        made = chgtools.difference_density(file, densities=ATOMS)
        assert made.dcd.mean() * made.structure.volume == pytest.approx(electrons - 14, abs=1e-6)
        assert f"NELECT = {electrons:g} ({file.parent / 'INCAR'}:2)" in made.assumptions
    with pytest.raises(MismatchError, match=r"holds 13\.00000 electrons, its atoms 14"):
        chgtools.difference_density(charged(tmp_path / "no", 13, None), densities=ATOMS)
    wrong = charged(tmp_path / "wrong", 13, "NELECT = 12\n")
    with pytest.raises(MismatchError, match=r"holds 13\.00000 electrons, NELECT = 12 stands in .*wrong/INCAR:1"):
        chgtools.difference_density(wrong, densities=ATOMS)
    assert chgtools.difference_density(wrong, densities=ATOMS, nelect=13).electrons == pytest.approx(13, abs=1e-6)


def test_an_incar_that_cannot_be_read_stops_no_neutral_cell(tmp_path):
    file = charged(tmp_path / "run", 14, "NELECT = many\n")
    made = chgtools.difference_density(file, densities=ATOMS)
    assert any("the INCAR beside the file is not used" in sentence for sentence in made.assumptions)


def test_a_poscar_beside_the_file_is_found_and_said(run):
    folder, data, _ = run
    made = chgtools.difference_density(folder / "CHGCAR", densities=ATOMS)
    assert made.assumptions == (f"positions of {folder / 'POSCAR'}",)
    np.testing.assert_allclose(made.structure.frac, data.structure.frac, rtol=0, atol=1e-15)
    poscar.write(data.structure.with_changes(frac=data.structure.frac + 0.1), folder / "POSCAR")
    made = chgtools.difference_density(folder / "CHGCAR", densities=ATOMS)
    assert "header, with 6 decimals" in made.assumptions[0]


def test_pairs_of_files():
    from pathlib import Path

    files = [Path(p) for p in ("a/CHGCAR", "a/POSCAR", "b/CHGCAR.gz", "c/CHGCAR", "c/CONTCAR")]
    assert pair_files(files) == [(files[0], files[1]), (files[2], None), (files[3], files[4])]
    assert pair_files([Path("x"), Path("y")]) == [(Path("x"), Path("y"))]
    with pytest.raises(SettingsError, match="POSCAR"):
        pair_files([Path("POSCAR"), Path("CHGCAR"), Path("CHG")])


def test_files_that_are_no_dcd(run):
    folder, _, _ = run
    with pytest.raises(FormatError, match="no such file"):
        dcd.read(folder / "none.h5")
    with pytest.raises(FormatError, match="no HDF5 file"):
        dcd.read(folder / "POSCAR")
    with h5py.File(folder / "other.h5", "w"):
        pass
    with pytest.raises(FormatError, match="no difference density"):
        dcd.read(folder / "other.h5")
    with h5py.File(folder / "new.h5", "w") as file:
        file.attrs["format"], file.attrs["format_version"] = dcd_file.KIND.name, 99
    with pytest.raises(FormatError, match="version 99, this chgtools reads up to 1"):
        dcd.read(folder / "new.h5")


def test_the_header_names_the_species_that_a_vasp_4_poscar_lacks(run):
    folder, data, _ = run
    nameless = data.structure.with_changes(species=("", ""), source="POSCAR")
    made = chgtools.difference_density(folder / "CHGCAR", nameless, densities=ATOMS)
    assert made.structure.species == ("Si", "O")


@pytest.mark.parametrize("kind", ["CHGCAR", "CHG"])
def test_electrons_agree_to_the_digits_of_the_file(run, kind):
    """3e-5 of the electrons for a CHGCAR, ten times that for a CHG, which has fewer digits; in a large cell one label
    with another ZVAL is off by little more.
    """
    _, data, _ = run
    limit = 3e-5 if kind == "CHGCAR" else 3e-4

    def made(off):
        file = VolumetricData(kind, data.structure, [data.blocks[0] * (1 + off)])
        return chgtools.difference_density(file, data.structure, densities=ATOMS)

    for sign in (1, -1):
        assert made(0.9 * sign * limit).electrons == pytest.approx(14 * (1 + 0.9 * sign * limit), rel=1e-9)
        with pytest.raises(MismatchError, match="its atoms 14 = "):
            made(1.1 * sign * limit)


def test_the_channels_of_each_group_are_held_against_its_own_records(run):
    """Silicon's records want s s p p (33 numbers), oxygen's s p (5); a group whose records are others has none."""
    from dataclasses import replace

    from chgtools.paw.records import record_length

    _, data, _ = run
    silicon, oxygen = replace(ATOMS[0], channels=(0, 0, 1, 1)), replace(ATOMS[1], channels=(0, 1))
    first, second = record_length(silicon.channels), record_length(oxygen.channels)
    assert data.structure.counts == (2, 1)

    def channels(lengths):
        file = VolumetricData(
            "CHGCAR", data.structure, [data.blocks[0]], [Augmentation([np.zeros(n) for n in lengths])]
        )
        return chgtools.difference_density(file, data.structure, densities=[silicon, oxygen]).channels

    assert channels([first, first, second]) == ((0, 0, 1, 1), (0, 1))
    assert channels([first, first, first]) == ((0, 0, 1, 1), ())
    assert channels([second, second, second]) == ((), (0, 1))


@pytest.mark.parametrize("joined", ["POSCAR", "CHGCAR"])
def test_neighbouring_groups_of_one_species_may_be_joined_in_either_file(joined, tmp_path):
    """Si Si O of the run and Si O as pymatgen and ASE regroup it: the same atoms, in the groups of the run."""
    fine = structure((1, 1, 1), ("Si", "Si", "O"))
    coarse = fine.with_changes(species=("Si", "O"), counts=(2, 1), labels=("", ""))
    density = superpose(fine, (12, 10, 16), [ATOMS[0], *ATOMS])
    header, atoms = (fine, coarse) if joined == "POSCAR" else (coarse, fine)
    chgcar.write(VolumetricData("CHGCAR", header, [density]), tmp_path / "CHGCAR")
    poscar.write(atoms, tmp_path / "POSCAR")
    made = chgtools.difference_density(tmp_path / "CHGCAR", tmp_path / "POSCAR", densities=[ATOMS[0], *ATOMS])
    assert made.structure.counts == (1, 1, 1)
    assert np.abs(made.dcd).max() < 2e-9
    assert made.labels == ("Si", "Si", "O")
