"""CHGCAR and its family: real files come back byte for byte, computed ones are VASP's layout, damaged ones are told."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest
import zstandard
from conftest import shared_path
from synthetic_chgcar import charge

from chgtools.errors import AssumptionWarning, ChgtoolsError, FormatError
from chgtools.formats import chgcar
from chgtools.volumetric import Augmentation


def corpus() -> list[dict]:
    try:
        index = shared_path("corpus", "index.json")
    except pytest.skip.Exception:
        return []
    return json.loads(index.read_text())


FILES = corpus()


def plain_read(text: str) -> list[np.ndarray]:
    """Twin of the reader: blocks of density x volume of a VASP 5 file without any care for errors."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines[7:], 7) if not line.strip()) + 1
    grid, blocks = lines[first].split(), []
    shape = tuple(int(n) for n in grid)
    for start, line in enumerate(lines):
        if line.split() == grid:
            numbers: list[float] = []
            for row in lines[start + 1 :]:
                numbers += [float(x) for x in row.replace("-", " -").replace("E -", "E-").split()]
                if len(numbers) >= np.prod(shape):
                    break
            blocks.append(np.array(numbers).reshape(shape, order="F"))
    return blocks


@pytest.mark.skipif(not FILES, reason="needs the real files (shared/corpus)")
@pytest.mark.parametrize("record", FILES, ids=[r["path"] for r in FILES])
def test_real_files(record, tmp_path: Path):
    path = shared_path("corpus", record["path"])
    raw = gzip.decompress(path.read_bytes())
    data = chgcar.read(path)
    assert data.shape == tuple(record["ngf"])
    assert len(data.blocks) == record["blocks"]
    assert data.blocks[0].flags.f_contiguous
    if record["electrons_from_grid"] is not None:
        assert data.electrons == pytest.approx(record["electrons_from_grid"], rel=1e-9)
    if record["nelect"] and record["kind"] == "CHGCAR":
        assert data.electrons == pytest.approx(record["nelect"], rel=3e-5)
    listed = record["augmentation_record_lengths"] or []
    first = data.augmentation[0] if data.augmentation else Augmentation([])
    assert first.lengths == [n for n in listed if not isinstance(n, dict)]
    assert [len(r) for r in first.imaginary or []] == [n["imaginary_part"] for n in listed if isinstance(n, dict)]
    if record["written_by"] == "vasp":
        chgcar.write(data, tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == raw


def test_numbers_of_a_real_file_equal_the_twin():
    path = shared_path("corpus", "MatMethods__Si2-2", "CHGCAR.gz")
    data = chgcar.read(path)
    expected = plain_read(gzip.decompress(path.read_bytes()).decode())
    assert len(expected) == 2
    for block, twin in zip(data.blocks, expected, strict=True):
        np.testing.assert_allclose(block * data.structure.volume, twin, rtol=1e-15, atol=0)
    assert data.moments[0].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["CHGCAR", "CHG", "AECCAR2", "PARCHG", "LOCPOT", "ELFCAR"])
@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("shape", [(6, 5, 7), (1, 1, 1), (1, 4, 9), (10, 5, 2)], ids=str)
def test_write_and_read_again(kind, blocks, shape, tmp_path):
    data = charge(kind, shape, blocks)
    path = tmp_path / kind
    chgcar.write(data, path)
    again = chgcar.read(path)
    digits = 1e-4 if kind in ("CHG", "PARCHG", "ELFCAR") else 1e-10
    for block, expected in zip(again.blocks, data.blocks, strict=True):
        np.testing.assert_allclose(block, expected, rtol=digits, atol=0)
    assert [a.lengths for a in again.augmentation] == [a.lengths for a in data.augmentation]
    for ours, theirs in zip(again.augmentation, data.augmentation, strict=True):
        np.testing.assert_allclose(np.concatenate(ours.real), np.concatenate(theirs.real), rtol=1e-6)
        assert (ours.imaginary is None) == (theirs.imaginary is None)
    assert np.array_equal(again.moments, data.moments)
    np.testing.assert_allclose(again.structure.frac, data.structure.frac, atol=1e-6)
    # what was read and not changed comes back byte for byte, in one precision and in the other's digits
    chgcar.write(again, tmp_path / ("again" + kind))
    assert (tmp_path / ("again" + kind)).read_bytes() == path.read_bytes()


def test_the_layout_is_vasps(tmp_path):
    data = charge("CHGCAR", (3, 2, 2), 2)
    chgcar.write(data, tmp_path / "CHGCAR")
    lines = (tmp_path / "CHGCAR").read_text().split("\n")
    assert lines[0] == "synthetic".ljust(40)
    assert lines[1] == "   1.00000000000000     "
    assert lines[2] == "     4.000000    0.000000    0.000000"
    assert lines[4] == "    -0.700000    0.900000    5.100000"
    assert lines[5] == "   Si   O "
    assert lines[6] == "     2     1"
    assert lines[7] == "Direct"
    assert len(lines[8]) == 30
    assert lines[11] == " "
    assert lines[12] == "    3    2    2"
    assert [len(line) for line in lines[13:16]] == [90, 90, 38]  # 12 numbers; a last line that is not full: two blanks
    assert lines[16] == "augmentation occupancies   1  33"
    assert [len(line) for line in lines[17:24]] == [75] * 6 + [45]
    moments = next(i for i, line in enumerate(lines) if line.startswith("  0.100000000000E+01"))
    assert lines[moments] == "  0.100000000000E+01" * 3
    assert lines[moments + 1] == lines[12]


@pytest.mark.parametrize("n_atoms", [9, 10, 99, 100, 999, 1000])
def test_record_headers_keep_their_columns(n_atoms, tmp_path):
    """VASP reads the header as A24,2I4; a writer that puts blanks before every index breaks from ion 10 on."""
    data = charge("CHGCAR", (4, 4, 4), 1, counts=(n_atoms, 1))
    chgcar.write(data, tmp_path / "CHGCAR")
    headers = [x for x in (tmp_path / "CHGCAR").read_text().split("\n") if x.startswith("augmentation")]
    assert len(headers) == n_atoms + 1
    for ion, header in enumerate(headers, 1):
        assert len(header) == 32
        assert int(header[24:28]) == ion
        assert int(header[28:32]) == (33 if ion <= n_atoms else 8)
    assert chgcar.read(tmp_path / "CHGCAR").augmentation[0].lengths == [33] * n_atoms + [8]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst", ".lz4"])
def test_compressed_files(suffix, tmp_path):
    data = charge(blocks=2)
    chgcar.write(data, tmp_path / "CHGCAR")
    chgcar.write(data, tmp_path / f"B_CHGCAR{suffix}")
    again = chgcar.read(tmp_path / f"B_CHGCAR{suffix}")
    assert np.array_equal(again.blocks[1], chgcar.read(tmp_path / "CHGCAR").blocks[1])
    packed = (tmp_path / f"B_CHGCAR{suffix}").read_bytes()
    unpack = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}.get(suffix)
    if unpack:
        assert unpack(packed) == (tmp_path / "CHGCAR").read_bytes()
    if suffix == ".zst":
        assert zstandard.ZstdDecompressor().stream_reader(packed).read() == (tmp_path / "CHGCAR").read_bytes()
    if suffix:
        (tmp_path / "cut_CHGCAR").write_bytes(packed[: len(packed) // 2])
        with pytest.raises(FormatError, match=r"cut_CHGCAR.*(damaged or cut|needs \d+|the file ends)"):
            chgcar.read(tmp_path / "cut_CHGCAR")


def test_two_threads_read_what_one_reads(tmp_path, monkeypatch):
    from chgtools.formats import grid_block

    rng = np.random.default_rng(0)
    data = charge("CHGCAR", (6, 5, 7), 1)
    data.blocks[0] = np.asfortranarray(rng.normal(size=(60, 31, 53)))
    chgcar.write(data, tmp_path / "CHGCAR")
    sequential = chgcar.read(tmp_path / "CHGCAR")
    monkeypatch.setattr(grid_block, "PARALLEL_FROM", 1000)
    monkeypatch.setattr(grid_block, "CHUNK_LINES", 700)
    parallel = chgcar.read(tmp_path / "CHGCAR")
    assert np.array_equal(parallel.total, sequential.total)
    for ours, theirs in zip(parallel.augmentation[0].real, sequential.augmentation[0].real, strict=True):
        assert np.array_equal(ours, theirs)
    chgcar.write(parallel, tmp_path / "again_CHGCAR")
    assert (tmp_path / "again_CHGCAR").read_bytes() == (tmp_path / "CHGCAR").read_bytes()
    text = bytearray((tmp_path / "CHGCAR").read_bytes())
    at = text.index(b"E", 40_000)
    text[at] = ord("x")
    (tmp_path / "CHGCAR").write_bytes(bytes(text))
    line = text[:at].count(b"\n") + 1
    with pytest.raises(FormatError, match=rf"CHGCAR:{line}: .*1X,E17.11"):
        chgcar.read(tmp_path / "CHGCAR")


def test_float32_is_half_the_memory(tmp_path):
    data = charge(blocks=2)
    chgcar.write(data, tmp_path / "CHGCAR")
    half = chgcar.read(tmp_path / "CHGCAR", dtype=np.float32)
    assert half.total.dtype == np.float32
    np.testing.assert_allclose(half.total, chgcar.read(tmp_path / "CHGCAR").total, rtol=2e-7)


def test_locpot_and_elf_are_not_scaled_by_the_volume(tmp_path):
    for kind in ("LOCPOT", "ELFCAR", "CHGCAR"):
        data = charge(kind, (4, 4, 4), 1, records=False)
        data.blocks[0][...] = 0.25
        chgcar.write(data, tmp_path / kind)
        text = (tmp_path / kind).read_text()
        expected = f"{0.25 * data.structure.volume / 100:.11f}E+02"[0:] if kind == "CHGCAR" else "0.25"
        assert f" {expected}" in text
    assert chgcar.read(tmp_path / "CHGCAR").electrons == pytest.approx(0.25 * data.structure.volume)


def test_the_kind_comes_from_the_name():
    names = {"CHGCAR": "CHGCAR", "run/CHGCAR.gz": "CHGCAR", "CHG": "CHG", "AECCAR0.bz2": "AECCAR0", "PARCHG.0031.ALLK": "PARCHG",
             "locpot.vasp": "LOCPOT", "si_ELFCAR": "ELFCAR", "density.dat": None, "CHGCAR_sum.xz": "CHGCAR"}  # fmt: skip
    assert {name: chgcar.kind_of(name) for name in names} == names


def test_a_name_that_tells_nothing_is_said(tmp_path):
    chgcar.write(charge(), tmp_path / "density")
    with pytest.warns(AssumptionWarning, match="read as a CHGCAR"):
        chgcar.read(tmp_path / "density")
    with pytest.raises(ChgtoolsError, match="'WAVECAR'"):
        chgcar.read(tmp_path / "density", kind="WAVECAR")


@pytest.mark.parametrize(
    ("name", "counts", "species", "labels"),
    [
        ("   1   2", (1, 2), ("", ""), ("", "")),  # VASP 4: no species line
        ("  Mg_pv/f474ac0d  Si/79d9987ad87\n               1               2", (1, 2), ("Mg", "Si"), ("Mg_pv", "Si")),
        ("   Fe   O \n10002000", (1000, 2000), ("Fe", "O"), ("", "")),  # I4 counts that touch
    ],
    ids=["VASP 4", "VASP 6.4 hashes", "touching counts"],
)
def test_header_variants(name, counts, species, labels, tmp_path):
    rows = "\n".join("  0.000000  0.500000 -0.250000" for _ in range(sum(counts)))
    text = f"title\n   1.0\n 5 0 0\n 0 5 0\n 0 0 5\n{name}\nDirect\n{rows}\n \n    1    1    2\n 0.1 0.2\n"
    (tmp_path / "CHGCAR").write_text(text)
    data = chgcar.read(tmp_path / "CHGCAR")
    assert (data.structure.counts, data.structure.species, data.structure.labels) == (counts, species, labels)


GARBLED = [
    ("stars", lambda t: t.replace(".53", "***", 1), r"CHGCAR:\d+: .*printed as stars"),
    ("not a number", lambda t: _field(t, "               NaN"), r"CHGCAR:15: .*no finite number"),
    ("infinite", lambda t: _field(t, "          Infinity"), r"CHGCAR:15: .*no finite number"),
    ("letters", lambda t: _field(t, " 0.12345x78901E+01"), r"CHGCAR:15: found .*1X,E17.11"),
    ("cut", lambda t: t[: t.index("augmentation") - 300], r"CHGCAR:\d+: .*has \d+ numbers, its 6 x 5 x 7 grid \(line 13\) needs 210"),
    ("grid too large", lambda t: t.replace("    6    5    7", "    6    5    8"), r"has 210 numbers, its 6 x 5 x 8 grid .* needs 240"),
    ("grid too small", lambda t: t.replace("    6    5    7", "    6    5    6"), r"CHGCAR:50: numbers go on behind the 180"),
    ("huge grid", lambda t: t.replace("    6    5    7", "99999 9999 9999"), r"CHGCAR:13: .*needs 9997900119999"),
    ("no grid", lambda t: t.replace("    6    5    7", "    6    5"), r"CHGCAR:13: found '6    5' where the grid line"),
    ("record short", lambda t: _drop_line(t, "augmentation occupancies   1", 2), r"augmentation record of ion 1 goes on: 25 of 33"),
    ("record lost", lambda t: t.replace("augmentation occupancies   2", "augmentation occupancies   3"), r"wanted 'augmentation occupancies', ion 2"),
    ("header only", lambda t: t[: t.index("    6    5    7")], r"ends before its grid line"),
    ("empty", lambda t: "", r"CHGCAR:1: the file ends where a title is wanted"),
]  # fmt: skip


def _field(text: str, field: str) -> str:
    """Replace the second number of the second line of data."""
    lines = text.split("\n")
    lines[14] = lines[14][:18] + field + lines[14][36:]
    return "\n".join(lines)


def _drop_line(text: str, header: str, behind: int) -> str:
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith(header))
    del lines[at + behind]
    return "\n".join(lines)


@pytest.mark.parametrize(("damage", "message"), [g[1:] for g in GARBLED], ids=[g[0] for g in GARBLED])
def test_garbled_files_say_where_and_what(damage, message, tmp_path):
    chgcar.write(charge(), tmp_path / "CHGCAR")
    text = (tmp_path / "CHGCAR").read_text()
    damaged = damage(text)
    assert damaged != text
    (tmp_path / "CHGCAR").write_text(damaged)
    with pytest.raises(FormatError, match=message):
        chgcar.read(tmp_path / "CHGCAR")


def test_what_cannot_be_read_at_all(tmp_path):
    with pytest.raises(FormatError, match="nowhere/CHGCAR: no such file"):
        chgcar.read("nowhere/CHGCAR")
    (tmp_path / "CHG").mkdir()
    with pytest.raises(FormatError, match="cannot be read"):
        chgcar.read(tmp_path / "CHG")


def test_values_that_are_not_finite_are_not_written(tmp_path):
    data = charge()
    data.blocks[0][3, 1, 2] = np.nan
    with pytest.raises(ChgtoolsError, match=r"total block is not finite at grid point \(3, 1, 2\)"):
        chgcar.write(data, tmp_path / "CHGCAR")
    assert list(tmp_path.iterdir()) == []


def test_records_must_fit_the_atoms(tmp_path):
    data = charge()
    data.augmentation[0].real.pop()
    with pytest.raises(ChgtoolsError, match="2 augmentation records for 3 atoms"):
        chgcar.write(data, tmp_path / "CHGCAR")


def test_a_changed_structure_gets_a_new_header(tmp_path):
    chgcar.write(charge(), tmp_path / "CHGCAR")
    data = chgcar.read(tmp_path / "CHGCAR")
    data.structure = data.structure.with_changes(comment="another")
    chgcar.write(data, tmp_path / "CHGCAR")
    assert (tmp_path / "CHGCAR").read_text().startswith("another ")


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_to_pymatgen(blocks):
    data = charge(blocks=blocks)
    theirs = data.to_pymatgen()
    np.testing.assert_allclose(theirs.data["total"], data.total * data.structure.volume)
    assert theirs.structure.formula == "Si2 O1"
    assert (theirs.is_spin_polarized, theirs.is_soc) == (blocks > 1, blocks == 4)


def test_a_binary_file_is_no_chgcar(tmp_path):
    (tmp_path / "CHGCAR").write_bytes(b"\x89HDF\r\n\x1a\n\0\0\0\0")
    with pytest.raises(FormatError, match="CHGCAR: holds zero bytes and is no text"):
        chgcar.read(tmp_path / "CHGCAR")


def test_a_chg_of_molecular_dynamics_is_told(tmp_path):
    chgcar.write(charge("CHG", records=False), tmp_path / "CHG")
    (tmp_path / "CHG").write_text((tmp_path / "CHG").read_text() * 2)
    with pytest.raises(FormatError, match=r"CHG:35: found 'synthetic' behind block 1.*holds many densities"):
        chgcar.read(tmp_path / "CHG")
