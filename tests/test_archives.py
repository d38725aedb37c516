"""Members of tar and zip archives where a density is named, and zlib and LZMA streams."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import tempfile
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from made_archives import PACK, archive, tar_of, zip_of
from made_atoms import atom
from synthetic_chgcar import charge, structure
from test_other_densities import as_json, write_vaspwave

import chgtools
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError, SettingsError
from chgtools.formats import archives, chgcar, density_in, poscar, streams
from chgtools.formats.structures import as_structure
from chgtools.libraries.library import DensityLibrary
from chgtools.run.folder import RunFolder
from chgtools.start.superposition import superpose
from chgtools.volumetric import VolumetricData

pytestmark = pytest.mark.filterwarnings("ignore::chgtools.errors.AssumptionWarning")
TARS = ["a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz", "a.tar.zst", "a.tar.lz4", "a.tar.lzma", "a.tar.zz"]
ATOMS = [atom("Si", 4), atom("O", 6)]


def text_of(data: VolumetricData, folder: Path) -> bytes:
    path = folder / "plain" / "CHGCAR"
    path.parent.mkdir(exist_ok=True)
    chgcar.write(data, path)
    return path.read_bytes()


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def same(found: VolumetricData, wanted: VolumetricData) -> None:
    assert (found.kind, found.shape) == (wanted.kind, wanted.shape)
    for ours, theirs in zip(found.blocks, wanted.blocks, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.structure.frac, wanted.structure.frac)


@pytest.fixture
def two(tmp_path: Path) -> tuple[bytes, bytes]:
    """A CHGCAR with occupancies, and another."""
    return text_of(charge(blocks=2), tmp_path), text_of(charge(shape=(4, 4, 4)), tmp_path)


# --- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zz"])
def test_a_real_chgcar_in_an_archive(suffix, name, tmp_path):
    path = shared_path("corpus", "GaN-pydefect-tutorial__Ga2N2-4_scf", "CHGCAR.gz")
    wanted, content = chgtools.read(path), streams.read_bytes(path)
    made = archive(tmp_path / name, [("OUTCAR", b"x" * 100_000), (f"GaN/CHGCAR{suffix}", PACK[suffix](content))])
    found = chgtools.read(f"{made}:GaN/CHGCAR{suffix}")
    same(found, wanted)
    assert found.augmentation[0].lengths == wanted.augmentation[0].lengths


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_member_is_the_file(name, suffix, two, tmp_path):
    (tmp_path / "CHGCAR").write_bytes(two[0])
    wanted = chgtools.read(tmp_path / "CHGCAR")
    made = archive(tmp_path / name, [("x/CHGCAR", two[1]), (f"run1/CHGCAR{suffix}", PACK[suffix](two[0])), ("y", b"")])
    found = chgtools.read(f"{made}:run1/CHGCAR{suffix}")
    same(found, wanted)
    assert len(found.augmentation) == 2
    assert found.source == f"{made}:run1/CHGCAR{suffix}"


@pytest.mark.parametrize("name", TARS)
def test_every_packed_tar(name, two, tmp_path):
    made = archive(tmp_path / name, [("one/CHGCAR", two[1]), ("two/CHGCAR", two[0])])
    assert archives.kind_of(made) == "tar"
    assert chgtools.read(f"{made}:two/CHGCAR").shape == (6, 5, 7)
    assert chgtools.read(f"{made}:one/CHGCAR").shape == (4, 4, 4)


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_every_kind_of_tar(fmt, two, tmp_path):
    name = "./" + "/".join(["a" * 60] * (3 if fmt == tarfile.USTAR_FORMAT else 6)) + "/CHGCAR"
    (tmp_path / "a.tar").write_bytes(tar_of([(name, two[0])], fmt))
    for given in (name, name[2:]):
        assert chgtools.read(f"{tmp_path}/a.tar:{given}").shape == (6, 5, 7)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip(method, two, tmp_path):
    (tmp_path / "a.zip").write_bytes(zip_of([("CHGCAR", two[0])], method))
    assert chgtools.read(tmp_path / "a.zip:CHGCAR").shape == (6, 5, 7)


def test_the_layout_of_the_qm9_nmc_and_ec_deposits(two, tmp_path):
    """DeepDFT's data: tars whose members are 000001.CHGCAR.lz4, in older ones .CHGCAR.zz."""
    members = [
        (f"{number:06d}.CHGCAR{suffix}", PACK[suffix](two[0])) for number, suffix in enumerate([".lz4", ".zz"], 1)
    ]
    made = archive(tmp_path / "000xxx.tar", members)
    for name, _ in members:
        data = chgtools.read(f"{made}:{name}")
        assert (data.kind, data.shape) == ("CHGCAR", (6, 5, 7))


def test_kinds_go_by_the_name_of_the_member(tmp_path):
    (tmp_path / "AECCAR0").write_bytes(b"")
    chgcar.write(charge("LOCPOT"), tmp_path / "LOCPOT")
    made = archive(tmp_path / "CHGCARs.tar", [("LOCPOT", (tmp_path / "LOCPOT").read_bytes())])
    assert chgtools.read(f"{made}:LOCPOT").kind == "LOCPOT"
    assert streams.stem(f"{made}:LOCPOT") == "LOCPOT"


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_cube_json_and_hdf5_members(name, tmp_path):
    data = charge(shape=(4, 3, 5), blocks=2)
    chgtools.write(data, tmp_path / "m.cube")
    write_vaspwave(tmp_path / "vaspwave.h5", data)
    members = [("r/d.json", as_json(data).encode())]
    members += [(each, (tmp_path / each).read_bytes()) for each in ("m.cube", "vaspwave.h5")]
    made = archive(tmp_path / name, members)
    for each in ("r/d.json", "vaspwave.h5"):
        found = chgtools.read(f"{made}:{each}")
        np.testing.assert_allclose(found.blocks, data.blocks, rtol=1e-12)
    np.testing.assert_allclose(chgtools.read(f"{made}:m.cube").total, data.total, rtol=1e-9, atol=1e-14)


def test_the_last_of_members_with_one_name_counts(two, tmp_path):
    """As `tar -x` leaves it after `tar -r`."""
    (tmp_path / "a.tar").write_bytes(tar_of([("CHGCAR", two[1]), ("./CHGCAR", two[0])]))
    assert chgtools.read(tmp_path / "a.tar:CHGCAR").shape == (6, 5, 7)


def test_a_file_whose_name_has_a_colon_is_that_file(two, tmp_path):
    archive(tmp_path / "a.tar", [("CHGCAR", two[1])])
    (tmp_path / "a.tar:CHGCAR").write_bytes(two[0])
    assert chgtools.read(tmp_path / "a.tar:CHGCAR").shape == (6, 5, 7)


def test_an_archive_that_was_written_anew_is_read_anew(two, tmp_path):
    made = archive(tmp_path / "a.tar", [("CHGCAR", two[1])])
    assert chgtools.read(f"{made}:CHGCAR").shape == (4, 4, 4)
    archive(tmp_path / "a.tar", [("x", b"1"), ("CHGCAR", two[0])])
    os.utime(made, ns=(1, 1))
    assert chgtools.read(f"{made}:CHGCAR").shape == (6, 5, 7)


def test_structures_and_trajectories_in_an_archive(tmp_path):
    poscar.write(structure(), tmp_path / "POSCAR")
    text = (tmp_path / "POSCAR").read_text()
    head, positions = text.split("Direct\n")
    frames = "".join(f"Direct configuration= {number:5d}\n{positions}" for number in (1, 2))
    made = archive(
        tmp_path / "a.zip", [("POSCAR", text.encode()), ("XDATCAR", (head + frames).encode()), ("12", text.encode())]
    )
    for path in (f"{made}:POSCAR", f"{made}:XDATCAR:2", f"{made}:12"):
        np.testing.assert_allclose(as_structure(path).frac, structure().frac, atol=1e-12)


# --- the run around a member -----------------------------------------------------------------------------------------


def atoms_and_density(folder: Path, extra: float = 0.0) -> tuple[bytes, bytes]:
    """POSCAR with more digits than a CHGCAR has, and the CHGCAR of its SAED with ``extra`` electrons."""
    cell = structure()
    cell = cell.with_changes(frac=cell.frac + 3e-7)
    poscar.write(cell, folder / "POSCAR")
    saed = superpose(cell, (24, 24, 24), ATOMS)
    data = VolumetricData("CHGCAR", cell, [np.asfortranarray(saed + extra / cell.volume)])
    chgcar.write(data, folder / "CHGCAR")
    return (folder / "POSCAR").read_bytes(), (folder / "CHGCAR").read_bytes()


@pytest.mark.parametrize("name", ["a.tar", "a.tar.xz", "a.zip"])
@pytest.mark.parametrize("folder", ["", "./mp-1/"])
def test_inputs_of_the_run_are_those_beside_the_member(folder, name, tmp_path):
    cell, density = atoms_and_density(tmp_path, extra=1.0)
    (tmp_path / "INCAR").write_text("NELECT = 3\n")  # beside the archive, so of another run
    members = [(f"{folder}CHGCAR.gz", PACK[".gz"](density)), (f"{folder}POSCAR.zz", PACK[".zz"](cell))]
    made = archive(tmp_path / name, [*members, (f"{folder}INCAR", b"NELECT = 15\n"), ("other/INCAR", b"NELECT = 3\n")])
    around = RunFolder.around(f"{made}:{folder}CHGCAR.gz")
    assert around.tags.nelect == 15
    assert around.structure.frac == pytest.approx(structure().frac + 3e-7, abs=1e-12)
    difference = chgtools.difference_density(f"{made}:{folder}CHGCAR.gz", densities=ATOMS)
    assert difference.dcd.mean() * difference.structure.volume == pytest.approx(1, abs=1e-4)
    assert any("positions of" in each and "POSCAR.zz" in each for each in difference.assumptions)
    assert difference.provenance["source_sha256"] == streams.digest(f"{made}:{folder}CHGCAR.gz")


def test_the_digest_of_a_member_is_that_of_the_file(two, tmp_path):
    (tmp_path / "CHGCAR.gz").write_bytes(PACK[".gz"](two[0]))
    made = archive(tmp_path / "a.tar.bz2", [("CHGCAR.gz", (tmp_path / "CHGCAR.gz").read_bytes())])
    assert streams.digest(f"{made}:CHGCAR.gz") == streams.digest(tmp_path / "CHGCAR.gz")


# --- an archive without a member -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_the_one_density_of_a_run_folder_is_read(name, two, tmp_path):
    made = archive(tmp_path / name, [("r/POSCAR", b"x"), ("r/CHGCAR.gz", PACK[".gz"](two[0])), ("r/OUTCAR", b"y")])
    with pytest.warns(AssumptionWarning, match=rf"{name}: read .*{name}:r/CHGCAR.gz, its only density by name"):
        assert chgtools.read(made).shape == (6, 5, 7)


def test_the_only_member_is_read_whatever_its_name(two, tmp_path):
    made = archive(tmp_path / "a.zip", [("x", two[0])])
    assert chgtools.read(made).shape == (6, 5, 7)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ["1/CHGCAR", "2/CHGCAR", "OUTCAR"],
            r"archive of 3 members, such as \S+a.tar:1/CHGCAR, 2 of which are densities",
        ),
        (["a", "b"], r"archive of 2 members, such as \S+a.tar:a, none of which is densities by name; name one of them"),
    ],
)
def test_how_many_members_and_an_example(names, words, two, tmp_path):
    made = archive(tmp_path / "a.tar", [(name, two[0]) for name in names])
    with pytest.raises(FormatError, match=words):
        chgtools.read(made)


def test_a_tar_without_members(tmp_path):
    made = archive(tmp_path / "a.zip", [])
    with pytest.raises(FormatError, match=r"a\.zip: is a zip archive of no members$"):
        chgtools.read(made)


def test_an_archive_where_a_structure_is_wanted(two, tmp_path):
    for name in ("a.tar", "a.zip"):
        made = archive(tmp_path / name, [("1/POSCAR", two[0]), ("2/POSCAR", two[0])])
        with pytest.raises(FormatError, match=rf"{name}: is a (tar|zip) archive of 2 members, such as .*1/POSCAR"):
            as_structure(made)


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_a_member_that_is_not_there(name, two, tmp_path):
    made = archive(tmp_path / name, [("x", b""), ("r/CHGCAR.gz", two[0])])
    with pytest.raises(FormatError, match=rf"{name}:CHGCAR: no such member; the archive has 2, such as r/CHGCAR.gz"):
        chgtools.read(f"{made}:CHGCAR")


def encrypted(content: bytes) -> bytes:
    """The zip with the flag of encryption set, in its local and central headers."""
    changed = bytearray(content)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.index(mark) + at] |= 1
    return bytes(changed)


def test_an_encrypted_member(two, tmp_path):
    (tmp_path / "a.zip").write_bytes(encrypted(zip_of([("CHGCAR", two[0])])))
    with pytest.raises(FormatError, match=r"a\.zip:CHGCAR: is encrypted; unpack it with its password"):
        chgtools.read(tmp_path / "a.zip:CHGCAR")


def test_a_method_of_zip_that_is_not_known(two, tmp_path):
    changed = bytearray(zip_of([("CHGCAR", two[0])]))
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", changed, changed.index(mark) + at, 9)  # Deflate64, of Windows for large files
    (tmp_path / "a.zip").write_bytes(changed)
    with pytest.raises(FormatError, match=r"a\.zip:CHGCAR: is packed by a method that is not known here"):
        chgtools.read(tmp_path / "a.zip:CHGCAR")


def test_links_and_holes(two, tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        info = tarfile.TarInfo("CHGCAR")
        info.size = len(two[0])
        made.addfile(info, io.BytesIO(two[0]))
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "CHGCAR"
            made.addfile(link)
        pipe = tarfile.TarInfo("pipe")
        pipe.type = tarfile.FIFOTYPE
        made.addfile(pipe)
        holes = tarfile.TarInfo("holes")
        holes.pax_headers = {
            "GNU.sparse.major": "0",
            "GNU.sparse.minor": "1",
            "GNU.sparse.map": "0,0",
            "GNU.sparse.size": "9" * 12,
        }
        made.addfile(holes)
    for name, words in (
        ("soft", "is a link to CHGCAR"),
        ("hard", "is a link to CHGCAR"),
        ("pipe", "is no file"),
        ("holes", "is stored with holes"),
    ):
        with pytest.raises(FormatError, match=rf"a\.tar:{name}: {words}"):
            chgtools.read(tmp_path / f"a.tar:{name}")


@pytest.mark.parametrize("name", [*TARS, "a.zip"])
def test_a_cut_archive_is_refused_whichever_member_is_wanted(name, two, tmp_path):
    rng = np.random.default_rng(1)
    made = archive(tmp_path / name, [("CHGCAR", two[0]), ("noise", rng.bytes(30_000))])
    content = made.read_bytes()
    made.write_bytes(content[:-15_000])
    with pytest.raises(FormatError, match=rf"{name}(:CHGCAR)?: .*(damaged or cut short|zero bytes)"):
        chgtools.read(f"{made}:CHGCAR")


@pytest.mark.parametrize("name", ["CHGCAR", "x.tar", "x.zip"])
def test_a_member_of_what_is_no_archive(name, two, tmp_path):
    (tmp_path / name).write_bytes(two[0])
    with pytest.raises(FormatError, match=rf"/{name}: is no tar or zip archive, so that there is no r/CHGCAR in it"):
        chgtools.read(tmp_path / f"{name}:r/CHGCAR")
    with pytest.raises(FormatError, match=r"/none\.tar:CHGCAR: no such file"):
        chgtools.read(tmp_path / "none.tar:CHGCAR")


def test_a_damaged_header_does_not_end_the_archive_silently(two, tmp_path):
    """Python's tarfile takes a header whose sum is wrong for the end, so that a member would be said not to be there."""
    content = bytearray(tar_of([("CHGCAR", two[0]), ("b/CHGCAR", two[1])]))
    content[bytes(content).index(b"b/CHGCAR")] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    for member in ("CHGCAR", "b/CHGCAR"):
        with pytest.raises(FormatError, match=r"a\.tar: the tar archive is damaged .*no header behind member 1"):
            chgtools.read(tmp_path / f"a.tar:{member}")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.zip", "a.tar.zz"])
def test_a_flipped_byte_within_a_member(name, tmp_path):
    made = archive(tmp_path / name, [("CHGCAR", np.random.default_rng(1).bytes(5000)), ("b", b"1" * 5000)])
    content = bytearray(made.read_bytes())
    content[2500] ^= 16
    made.write_bytes(content)
    with pytest.raises(FormatError, match=rf"{name}(:CHGCAR)?: the \w+ (archive|stream) is damaged or cut short"):
        streams.read_bytes(f"{made}:CHGCAR")


@pytest.mark.parametrize("suffix", [suffix for suffix in PACK if suffix])
def test_a_member_whose_own_stream_is_cut(suffix, two, tmp_path):
    made = archive(tmp_path / "a.tar", [(f"CHGCAR{suffix}", PACK[suffix](two[0])[:-40])])
    with pytest.raises(
        FormatError, match=rf"a\.tar:CHGCAR{suffix}: the \w+ stream is damaged|a\.tar:CHGCAR{suffix}:\d+: "
    ):
        chgtools.read(f"{made}:CHGCAR{suffix}")


# --- memory and disk -------------------------------------------------------------------------------------------------


def peak(call, *arguments) -> float:
    """Megabytes that a call takes beyond what is there, whatever it raises."""
    tracemalloc.start()
    try:
        call(*arguments)
    except ChgtoolsError:
        pass
    finally:
        found = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    return found


def test_a_header_that_would_fill_the_memory(two, tmp_path):
    """A pax header of 300 MB, 300 kB when packed: tarfile would take it into memory."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 300 << 20
    pack = zlib.compressobj(9, wbits=31)
    with open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(pack.compress(info.tobuf()))
        for _ in range(300):
            file.write(pack.compress(bytes(1 << 20)))
        file.write(pack.compress(tar_of([("CHGCAR", two[0])])) + pack.flush())
    with pytest.raises(FormatError, match=r"a\.tar\.gz: the tar archive is damaged or cut short \(a header of 3145"):
        chgtools.read(tmp_path / "a.tar.gz:CHGCAR")
    assert peak(chgtools.read, tmp_path / "a.tar.gz:CHGCAR") < 40


def test_members_beside_take_no_memory(two, tmp_path):
    """A member behind one of 300 MB, 300 kB when packed."""
    info = tarfile.TarInfo("WAVECAR")
    info.size = 300 << 20
    pack = zlib.compressobj(9, wbits=31)
    with open(tmp_path / "a.tgz", "wb") as file:
        file.write(pack.compress(info.tobuf()))
        for _ in range(300):
            file.write(pack.compress(bytes(1 << 20)))
        file.write(pack.compress(tar_of([("CHGCAR", two[0])])) + pack.flush())
    assert peak(chgtools.read, tmp_path / "a.tgz:CHGCAR") < 40
    assert chgtools.read(tmp_path / "a.tgz:CHGCAR").shape == (6, 5, 7)


@pytest.mark.parametrize("pack", [".gz", ".zz", ""])
def test_a_grid_that_the_member_has_no_room_for_is_refused_before_it_is_taken(pack, two, tmp_path):
    huge = two[0].replace(b"    6    5    7", b"20000 2000 2000", 1)
    assert huge != two[0]
    for name in ("a.tar", "a.zip", "a.tar.xz"):
        made = archive(tmp_path / name, [(f"CHGCAR{pack}", PACK[pack](huge))])
        with pytest.raises(FormatError, match=r"CHGCAR\S*:\d+: .*(room|needs)"):
            chgtools.read(f"{made}:CHGCAR{pack}")
        assert peak(chgtools.read, f"{made}:CHGCAR{pack}") < 60


def test_a_zip_that_lies_about_a_size(two, tmp_path):
    content = bytearray(zip_of([("CHGCAR", two[0])]))
    at = bytes(content).index(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 0xFFFFFFF0)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.zip:CHGCAR: "):
        chgtools.read(tmp_path / "a.zip:CHGCAR")
    assert archives.open_member(tmp_path / "a.zip:CHGCAR")[1] < 1100 * len(content)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_nothing_is_unpacked_to_disk(name, two, tmp_path, monkeypatch):
    made = archive(tmp_path / name, [("CHGCAR.xz", PACK[".xz"](two[0]))])

    def refuse(*_, **__):
        raise AssertionError("wrote to disk")

    for each in ("mkstemp", "mkdtemp", "TemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(tempfile, each, refuse)
    assert chgtools.read(f"{made}:CHGCAR.xz").shape == (6, 5, 7)


# --- zlib and LZMA by themselves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CHGCAR.zz", "CHGCAR.zlib", "CHGCAR.lzma"])
def test_written_and_read_by_suffix(name, tmp_path):
    wanted = charge(blocks=2)
    chgcar.write(wanted, tmp_path / "CHGCAR")
    chgtools.write(wanted, tmp_path / name)
    unpacked = {"lzma": __import__("lzma").decompress}.get(name[7:], zlib.decompress)((tmp_path / name).read_bytes())
    assert unpacked == (tmp_path / "CHGCAR").read_bytes()
    same(chgtools.read(tmp_path / name), chgtools.read(tmp_path / "CHGCAR"))


@pytest.mark.parametrize("suffix", PACK)
def test_told_by_content_whatever_the_name(suffix, two, tmp_path):
    (tmp_path / "CHGCAR").write_bytes(PACK[suffix](two[0]))
    assert chgtools.read(tmp_path / "CHGCAR").shape == (6, 5, 7)


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_zlib(level, two, tmp_path):
    (tmp_path / "CHGCAR").write_bytes(zlib.compress(two[0], level))
    assert chgtools.read(tmp_path / "CHGCAR").shape == (6, 5, 7)


def test_a_title_that_begins_as_zlib_does(two, tmp_path):
    """ "x^" are the first two bytes of zlib's levels 2 to 5."""
    text = b"x^2 - y^2 strain of a cell" + two[0][two[0].index(b"\n") :]
    for name in ("CHGCAR", "CHGCAR.zz"):
        (tmp_path / name).write_bytes(text)
        assert chgtools.read(tmp_path / name).structure.comment.startswith("x^2")


@pytest.mark.parametrize("damage", ["cut", "goes on"])
@pytest.mark.parametrize("suffix", [".zz", ".lzma"])
def test_damaged_zlib_and_lzma(suffix, damage, two, tmp_path):
    content = PACK[suffix](two[0])
    (tmp_path / f"CHGCAR{suffix}").write_bytes(content[:-20] if damage == "cut" else content + b"more")
    with pytest.raises(FormatError, match=rf"CHGCAR{suffix}: the \w+ stream is damaged or cut short"):
        chgtools.read(tmp_path / f"CHGCAR{suffix}")


def test_several_frames_of_zstd(two, tmp_path):
    half = len(two[0]) // 2
    (tmp_path / "CHGCAR.zst").write_bytes(PACK[".zst"](two[0][:half]) + PACK[".zst"](two[0][half:]))
    assert chgtools.read(tmp_path / "CHGCAR.zst").shape == (6, 5, 7)


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A tar.gz of two runs, with a library of their atoms beside it."""
    cell, density = atoms_and_density(tmp_path)
    DensityLibrary(ATOMS).write(tmp_path / "lib.h5")
    for name in ("POSCAR", "CHGCAR"):
        (tmp_path / name).unlink()
    members = [(f"{run}/{name}", text) for run in "ab" for name, text in (("POSCAR", cell), ("CHGCAR", density))]
    return archive(tmp_path / "runs.tar.gz", members)


def test_info_compare_plot_and_check(runs, tmp_path):
    code, out, err = run("info", f"{runs}:a/CHGCAR", "--json")
    assert code == 0, err
    assert json.loads(out)["grid"] == [24, 24, 24]
    code, out, err = run("compare", f"{runs}:a/CHGCAR", f"{runs}:b/CHGCAR", "--json")
    assert (code, json.loads(out)["eps_mae_percent"]) == (0, 0)
    assert run("plot", f"{runs}:a/CHGCAR", "-o", tmp_path / "a.png")[0] == 0
    code, out, err = run("check", f"{runs}:a/CHGCAR")
    assert code == 3
    assert "record-missing" in out
    assert "held against POSCAR" in err or "POSCAR" in err


def test_convert_a_member_and_never_into_an_archive(runs, tmp_path):
    assert run("convert", f"{runs}:a/CHGCAR", tmp_path / "a.cube")[0] == 0
    before = runs.read_bytes()
    code, _, err = run("convert", tmp_path / "a.cube", f"{runs}:c/CHGCAR")
    assert code == 1
    assert "is within an archive, and those are only read" in err
    with pytest.raises(SettingsError, match="only read"):
        chgtools.write(charge(), f"{runs}:CHGCAR")
    assert runs.read_bytes() == before
    assert not list(tmp_path.glob("runs.tar.gz:*"))


def test_make_dcd_of_members_keeps_their_names_apart(runs, tmp_path):
    code, out, err = run("make-dcd", f"{runs}:a/CHGCAR", f"{runs}:b/CHGCAR", "--densities", tmp_path / "lib.h5")
    assert code == 0, err
    assert {path.name for path in tmp_path.glob("*.dcd.h5")} == {"a.CHGCAR.dcd.h5", "b.CHGCAR.dcd.h5"}
    with h5py.File(tmp_path / "a.CHGCAR.dcd.h5") as file:
        assert abs(file["dcd"][()]).max() < 1e-6
        assert file.attrs["source_sha256"] == streams.digest(f"{runs}:a/CHGCAR")
    (tmp_path / "out").mkdir()
    assert run("make-dcd", f"{runs}:a/CHGCAR", "-o", tmp_path / "out", "--densities", tmp_path / "lib.h5")[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.CHGCAR.dcd.h5"]


def test_make_dcd_of_an_archive_with_several_says_so(runs, tmp_path):
    code, _, err = run("make-dcd", runs, "--densities", tmp_path / "lib.h5")
    assert code == 1
    assert "is a tar archive of 4 members, such as" in err
    assert "2 of which are densities by name" in err


def test_dataset_build_of_members_and_again(runs, tmp_path):
    """Two members of equal content are one source; the second call computes nothing."""
    arguments = [
        "dataset",
        "build",
        f"{runs}:a/CHGCAR",
        f"{runs}:b/CHGCAR",
        "-o",
        tmp_path / "s.h5",
        "--densities",
        tmp_path / "lib.h5",
    ]
    code, out, err = run(*arguments, "--truncation", "5")
    assert code == 0, err
    assert "1 structures added from 1 of 2 files, 1 files there already" in out
    assert "0 structures added from 0 of 2 files, 2 files there already" in run(*arguments, "--truncation", "5")[1]


def test_like_takes_the_grid_of_whatever_is_read(runs, tmp_path):
    data = chgtools.read(f"{runs}:a/CHGCAR")
    poscar.write(data.structure, tmp_path / "POSCAR")
    (tmp_path / "d.json").write_text(as_json(data))
    write_vaspwave(tmp_path / "vaspwave.h5", data)
    chgtools.write(data, tmp_path / "d.cube")
    for like in (f"{runs}:a/CHGCAR", tmp_path / "d.json", tmp_path / "vaspwave.h5", tmp_path / "d.cube"):
        code, out, err = run(
            "saed",
            tmp_path / "POSCAR",
            "-o",
            tmp_path / "S",
            "--force",
            "--like",
            like,
            "--densities",
            tmp_path / "lib.h5",
        )
        assert code == 0, err
        assert chgtools.read(tmp_path / "S").shape == (24, 24, 24)


def test_occupancies_come_from_whatever_is_read(tmp_path):
    from chgtools.paw.means import with_mean_occupancies

    wanted = charge(blocks=2, counts=(2, 1))
    records = [np.array([1.0, 2.0, 3.0]) * ion for ion in (1, 2, 3)]
    wanted.augmentation = [type(wanted.augmentation[0])(records) for _ in range(2)]
    library = {name: atom(name, zval, (0, 0), np.eye(2)) for name, zval in (("Si", 4.0), ("O", 6.0))}
    chgcar.write(wanted, tmp_path / "CHGCAR")
    (tmp_path / "d.json").write_text(as_json(wanted))
    write_vaspwave(tmp_path / "vaspwave.h5", wanted)
    made = archive(tmp_path / "a.tar.zst", [("CHGCAR", (tmp_path / "CHGCAR").read_bytes())])
    plain = with_mean_occupancies(library, [tmp_path / "CHGCAR"])[0]
    for path in (tmp_path / "d.json", tmp_path / "vaspwave.h5", f"{made}:CHGCAR", made):
        found, atoms = with_mean_occupancies(library, [path])
        assert atoms == {"Si": 2, "O": 1}
        for label in library:
            np.testing.assert_allclose(found[label].mean_occupancies, plain[label].mean_occupancies, rtol=1e-6)
    assert not np.allclose(plain["Si"].mean_occupancies, 0)


def test_density_in_leaves_other_paths_alone(tmp_path, two):
    (tmp_path / "CHGCAR").write_bytes(two[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert density_in(tmp_path / "CHGCAR") == tmp_path / "CHGCAR"
        assert density_in(tmp_path / "none.tar") == tmp_path / "none.tar"
