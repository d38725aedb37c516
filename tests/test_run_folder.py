"""A run's folder: which files are its inputs, whatever their compression, and what its INCAR means."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard
from click.testing import CliRunner
from conftest import shared_path
from synthetic_chgcar import charge, structure
from synthetic_potcar import write_synthetic_potcar

import chgtools
from chgtools.check import check_file
from chgtools.cli import main
from chgtools.errors import FormatError, SettingsError
from chgtools.formats import chgcar, incar, poscar
from chgtools.formats.incar import parse_incar
from chgtools.libraries.choice import Source
from chgtools.run.folder import RunFolder
from chgtools.run.tags import Tags, electrons

PACKED = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: zstandard.ZstdCompressor().compress(content),
    ".lz4": lz4.frame.compress,
}
TEXT = "ENCUT = 420\nPREC = Accurate\nISPIN = 2\nMAGMOM = 0.5 1.5 -1\n"


def pack(path: Path, suffix: str) -> Path:
    """Replace a file by its packed self."""
    packed = path.with_name(path.name + suffix)
    content = path.read_bytes()
    path.unlink()
    packed.write_bytes(PACKED[suffix](content))
    return packed


@pytest.fixture
def run(tmp_path):
    """POSCAR of Si and two O, INCAR with spin, POTCAR of two data sets."""
    poscar.write(structure(), tmp_path / "POSCAR")
    (tmp_path / "INCAR").write_text(TEXT)
    write_synthetic_potcar(tmp_path / "POTCAR", [("Si", 4, (0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))])
    return tmp_path


@pytest.mark.parametrize("suffix", PACKED)
def test_every_input_is_found_whatever_its_compression(run, suffix):
    for name in ("POSCAR", "INCAR", "POTCAR"):
        pack(run / name, suffix)
    folder = RunFolder.around(run / "CHGCAR")
    assert folder.path("INCAR") == run / f"INCAR{suffix}"
    assert folder.incar.number("ENCUT") == 420
    assert [density.label for density in folder.potcar] == ["Si", "O"]
    np.testing.assert_array_equal(folder.structure.frac, structure().frac)
    assert folder.tags.blocks == 2


def test_plain_goes_before_compressed_and_named_before_both(run):
    (run / "INCAR.gz").write_bytes(gzip.compress(b"ENCUT = 100\n"))
    (run / "other").write_text("ENCUT = 200\n")
    assert RunFolder.around(run).incar.number("ENCUT") == 420
    named = RunFolder.around(run, incar=run / "other")
    assert named.incar.number("ENCUT") == 200
    both = f"INCAR: {run / 'INCAR'} (INCAR.gz beside it is not read)"
    assert (named.assumptions, RunFolder.around(run).assumptions) == ((), (both,))
    (run / "INCAR").unlink()
    assert RunFolder.around(run).incar.number("ENCUT") == 100


def test_a_note_names_the_copies_that_are_not_read(run):
    for name in ("INCAR", "POTCAR", "POSCAR"):
        (run / f"{name}.gz").write_bytes(gzip.compress((run / name).read_bytes()))
    (run / "INCAR.xz").write_bytes(lzma.compress(b"ENCUT = 100\n"))
    folder = RunFolder.around(run)
    assert folder.assumptions == (
        f"INCAR: {run / 'INCAR'} (INCAR.gz, INCAR.xz beside it are not read)",
        f"{run / 'POTCAR.gz'} is not read: {run / 'POTCAR'} goes first",
    )
    chgcar.write(charge(), run / "CHGCAR", kind="CHGCAR")
    report = check_file(run / "CHGCAR")
    assert f"POSCAR: {run / 'POSCAR'} (POSCAR.gz beside it is not read) (beside the file)" in report.inputs


def test_the_inputs_of_a_step_go_before_those_of_the_folder(run):
    """custodian's double relaxation leaves POSCAR.relax2.gz, INCAR.relax2.gz, and perhaps an INCAR."""
    (run / "INCAR.relax2.gz").write_bytes(gzip.compress(b"ENCUT = 333\n"))
    (run / "INCAR.relax1").write_text("ENCUT = 222\n")
    for start, encut, name in (
        ("POSCAR.relax2.gz", 333, "INCAR.relax2.gz"),
        ("CHGCAR.relax1.gz", 222, "INCAR.relax1"),
        ("POSCAR", 420, "INCAR"),
        ("POSCAR.orig", 420, "INCAR"),
        ("notes.relax2", 420, "INCAR"),
    ):
        folder = RunFolder.around(run / start)
        assert (folder.incar.number("ENCUT"), folder.path("INCAR")) == (encut, run / name)
    assert RunFolder.around(run / "POSCAR.relax2.gz").path("POTCAR") == run / "POTCAR"
    assert RunFolder.around(run).incar.number("ENCUT") == 420


def test_a_named_input_that_is_not_there_is_no_other(run):
    with pytest.raises(FormatError, match="nowhere: no such file"):
        _ = RunFolder.around(run, incar=run / "nowhere").incar


def test_a_structure_in_memory_has_no_folder():
    folder = RunFolder.around(structure())
    assert (folder.folder, folder.incar, folder.potcar) == (None, None, None)
    assert folder.assumptions == ("no INCAR: VASP's defaults, no spin polarisation",)
    assert folder.of(structure()).structure.formula == structure().formula


def test_files_are_read_once(run, monkeypatch):
    calls = []
    real = incar.read_incar
    monkeypatch.setattr(incar, "read_incar", lambda path: calls.append(path) or real(path))
    folder = RunFolder.around(run)
    assert folder.incar is folder.incar
    assert folder.tags.ispin == 2
    assert folder.of(structure()).with_named({"POSCAR": run / "POSCAR"}).incar is folder.incar
    assert calls == [run / "INCAR"]


def test_the_potcar_of_the_run_is_taken_where_the_source_names_no_origin(run):
    folder = RunFolder.around(run)
    assert folder.source().potcar == run / "POTCAR"
    assert folder.source(Source(labels={"O": "O_s"})).potcar == run / "POTCAR"
    assert folder.source(Source(labels={"O": "O_s"})).labels == {"O": "O_s"}
    assert folder.source(Source(library=run / "lib.h5")).potcar is None
    assert folder.source(Source(potcar=run / "own")).potcar == run / "own"


# --- what a compressed run folder is to the commands ------------------------------------------------------------------


def facts(*arguments: str) -> dict:
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_predict_and_saed_see_the_same_run_plain_and_compressed(run, suffix):
    plain = facts("predict", run / "POSCAR", "-o", run / "CHGCAR", "--model", "none")
    bare = facts("saed", run / "POSCAR", "-o", run / "saed")
    for name in ("POSCAR", "INCAR", "POTCAR"):
        pack(run / name, suffix)
    packed = facts("predict", run / f"POSCAR{suffix}", "-o", run / "CHGCAR.2", "--model", "none")
    assert (run / "CHGCAR.2").read_bytes() == (run / "CHGCAR").read_bytes()
    assert packed["grid"] == plain["grid"]
    assert packed["blocks"] == 2
    said = "\n".join(plain["assumptions"])
    for name in ("INCAR", "POTCAR"):
        said = said.replace(str(run / name), f"{run / name}{suffix}")
    assert "\n".join(packed["assumptions"]) == said
    assert facts("saed", run / f"POSCAR{suffix}", "-o", run / "saed.2")["grid"] == bare["grid"]


def test_make_dcd_takes_the_positions_of_a_compressed_poscar(run):
    """The header has 6 decimals; the POSCAR here has more, which must come through."""
    exact = structure().with_changes(frac=structure().frac + 3.3e-8)
    poscar.write(exact, run / "POSCAR")
    chgcar.write(charge(), run / "CHGCAR", kind="CHGCAR")
    for name in ("POSCAR", "CHGCAR"):
        pack(run / name, ".gz")
    wanted = RunFolder.around(run).structure.frac
    dcd = chgtools.difference_density(run / "CHGCAR.gz", source=Source(), nelect=charge().electrons)
    np.testing.assert_array_equal(dcd.structure.frac, wanted)
    assert np.abs(dcd.structure.frac - structure().frac).max() > 1e-8
    assert any(f"positions of {run / 'POSCAR.gz'}" in sentence for sentence in dcd.assumptions)


def test_check_holds_a_file_against_compressed_inputs(run):
    chgcar.write(charge(), run / "CHGCAR", kind="CHGCAR")
    for name in ("POSCAR", "INCAR", "POTCAR"):
        pack(run / name, ".gz")
    report = check_file(run / "CHGCAR")
    assert report.inputs == tuple(
        f"{name}: {run / name}.gz (beside the file)" for name in ("POSCAR", "INCAR", "POTCAR")
    )
    assert "magnetisation-missing" in [finding.code for finding in report.findings]


def test_a_batch_finds_a_compressed_poscar_in_a_run_folder(run, tmp_path):
    pack(run / "POSCAR", ".gz")
    (tmp_path / "list").write_text(f"{run}\n")
    done = CliRunner().invoke(main, ["predict", "--batch", str(tmp_path / "list"), "--model", "none"])
    assert done.exit_code == 0, done.output
    assert len(chgcar.read(run / "CHGCAR").blocks) == 2


# --- what an INCAR means ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "blocks", "reads", "fixed", "lmaxmix"),
    [
        ("", 1, False, False, 2),
        ("ISPIN = 1; ICHARG = 1", 1, True, False, 2),
        ("ISPIN = 2; ICHARG = 11; LMAXMIX = 4", 2, True, True, 4),
        ("ISPIN = 2; LSORBIT = T; ICHARG = 12", 4, False, True, 2),
        ("LNONCOLLINEAR = .TRUE.; ICHARG = 2", 4, False, False, 2),
        ("LNONCOLLINEAR = F; ISPIN = 2", 2, False, False, 2),
    ],
)
def test_tags(text, blocks, reads, fixed, lmaxmix):
    tags = Tags.of(parse_incar(text))
    assert (tags.blocks, tags.reads_chgcar, tags.fixed_density, tags.lmaxmix) == (blocks, reads, fixed, lmaxmix)


def test_tags_know_their_lines():
    tags = Tags.of(parse_incar("SYSTEM = x\nNELECT = 12", "run/INCAR"))
    assert (tags.place("NELECT"), tags.place("LMAXMIX")) == ("run/INCAR:2", "run/INCAR")


def test_electrons_given_go_before_those_of_the_incar():
    tags = Tags.of(parse_incar("NELECT = 12"))
    assert [electrons(tags, None), electrons(tags, 10.0), electrons(Tags(), None)] == [12, 10, None]
    with pytest.raises(SettingsError, match="NELECT = -1"):
        electrons(Tags.of(parse_incar("NELECT = -1")), None)


@pytest.fixture
def band(run):
    """A nudged elastic band: POSCARs in 00 to 02, all else one folder up."""
    (run / "INCAR").write_text(TEXT + "IMAGES = 1\n")
    for image in ("00", "01", "02"):
        (run / image).mkdir()
        poscar.write(structure(), run / image / "POSCAR")
    (run / "POSCAR").unlink()
    return run


def test_images_take_the_inputs_of_their_band(band, monkeypatch):
    """VASP reads INCAR, POTCAR and KPOINTS one folder above the images."""
    alone = chgtools.predict(band / "01" / "POSCAR", model="none")
    assert alone.data.augmentation
    assert len(alone.data.blocks) == 2
    assert alone.settings.grid.encut == 420
    assert f"INCAR: {band / 'INCAR'} (the folder is an image of the run one folder up)" in alone.assumptions
    assert RunFolder.around(band / "01").path("POSCAR") == band / "01" / "POSCAR"
    monkeypatch.chdir(band / "01")
    for start in ("POSCAR", "."):
        assert RunFolder.around(start).incar.number("ENCUT") == 420
        assert RunFolder.around(start).potcar[0].label == "Si"


def test_what_is_no_image_takes_nothing_from_above(band):
    other = band / "relax"
    (band / "02").rename(other)
    assert RunFolder.around(other).path("INCAR") is None
    (band / "INCAR").write_text(TEXT)  # no IMAGES: 00 is a folder like others
    assert RunFolder.around(band / "00").path("INCAR") is None
    (band / "INCAR").write_text(TEXT + "IMAGES = 1\n")
    assert RunFolder.around(band / "00").path("POSCAR") == band / "00" / "POSCAR"
    (band / "00" / "POSCAR").unlink()
    poscar.write(structure(), band / "POSCAR")
    assert RunFolder.around(band / "00").path("POSCAR") is None
    (band / "01" / "INCAR").write_text("ENCUT = 300\n")  # its own goes first
    assert RunFolder.around(band / "01").path("INCAR") == band / "01" / "INCAR"
    assert RunFolder.around(band / "01").path("POTCAR") is None


def test_a_batch_over_a_band_is_ready(band):
    (band / "list").write_text("".join(f"{band / image}\n" for image in ("00", "01", "02")))
    result = CliRunner().invoke(main, ["predict", "--batch", str(band / "list"), "--model", "none"])
    assert result.exit_code == 0, result.output
    assert "3 done, 0 there already, 0 failed;" in result.output


def test_a_folder_of_which_every_file_is_gzipped(tmp_path):
    """shared/inputs/gz-folder: grid, spin and electrons are the INCAR's, positions the POSCAR's; nothing is unpacked."""
    folder = tmp_path / "run"
    shutil.copytree(shared_path("inputs", "gz-folder"), folder)
    folder.chmod(0o755)
    predicted = facts("predict", folder / "POSCAR.gz", "-o", folder / "CHGCAR.gz", "--model", "none")
    assert (predicted["grid"], predicted["blocks"], predicted["electrons"]) == ([56, 56, 56], 2, 8.0)
    assert f"INCAR: {folder / 'INCAR.gz'}" in predicted["assumptions"]
    made = facts("make-dcd", folder / "CHGCAR.gz")
    assert f"positions of {folder / 'POSCAR.gz'}" in made["assumptions"]
    assert f"NELECT = 8 ({folder / 'INCAR.gz'}:5)" in made["assumptions"]
    assert abs(made["dcd_electrons"]) < 1e-6
    report = check_file(folder / "CHGCAR.gz")
    assert [each.code for each in report.findings] == ["compressed", "record-missing"]
    assert {path.name for path in folder.iterdir()} >= {"POSCAR.gz", "INCAR.gz", "CONTCAR.gz"}


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_taucar_is_found_whatever_its_compression(run, suffix):
    (run / "INCAR").write_text("ENCUT = 420\nICHARG = 11\nMETAGGA = R2SCAN\n")
    chgcar.write(charge(), run / "CHGCAR", kind="CHGCAR")
    assert "taucar" in [each.code for each in check_file(run / "CHGCAR").findings]
    pack(write(run / "TAUCAR"), suffix)
    assert "taucar" not in [each.code for each in check_file(run / "CHGCAR").findings]


def write(path: Path) -> Path:
    path.write_text("kinetic energy density\n")
    return path
