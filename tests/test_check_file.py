"""Damages of a CHGCAR that `check` must find, and oddities that it must not: tables that test_fortran_reader.py shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_chgcar import charge
from test_damaged import apply, damage

from chgtools.check import check_file, mend_file
from chgtools.check.codes import FIXABLE
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.formats import chgcar
from chgtools.volumetric import VolumetricData


def as_vasp_knows(data: VolumetricData) -> tuple:
    """Ions, blocks, grid and record lengths, as POSCAR, INCAR and POTCAR tell them."""
    lengths = data.augmentation[0].lengths if data.augmentation else None
    return data.structure.n_atoms, len(data.blocks), data.shape, lengths


def lines_of(text: bytes) -> list[bytes]:
    return text.split(b"\n")


def index_of(lines: list[bytes], start: bytes, which: int = 0) -> int:
    return [i for i, line in enumerate(lines) if line.startswith(start)][which]


GRID = b"    4    3    3"
RECORD = b"augmentation occupancies"
IMAGINARY = b"augmentation occupancies (imaginary"


def edit(at, change):
    """A damage: ``change(line)`` gives the lines to put in the place of line ``at(lines)``."""

    def damage(text: bytes) -> bytes:
        lines = lines_of(text)
        place = at(lines)
        lines[place : place + 1] = change(lines[place])
        return b"\n".join(lines)

    return damage


def grid(offset, which=0):
    return lambda lines: index_of(lines, GRID, which) + offset


def record(offset, which=0, start=RECORD):
    return lambda lines: index_of(lines, start, which) + offset


def delete(line):
    return []


def cut(share):
    return lambda text: text[: int(len(text) * share)]


def replaced(old, new):
    return lambda line: [line.replace(old, new, 1)]


def whole(line_of_new):
    return lambda line: [line_of_new]


# name: (blocks, damage, code `check` must find). The Fortran reader must reject each of these files.
REJECTED = {
    "stars in the density": (1, edit(grid(2), lambda x: [b" " + b"*" * 17 + x[18:]]), "damaged-number"),
    "NaN in the density": (1, edit(grid(2), lambda x: [b"               NaN" + x[18:]]), "not-finite"),
    "a letter in a number": (1, edit(grid(2), lambda x: [x[:8] + b"x" + x[9:]]), "damaged-number"),
    "touching numbers": (1, edit(grid(2), lambda x: [x[:17] + b"1-" + x[19:]]), "damaged-number"),
    "a sign that touches the number before": (1, edit(grid(1), lambda x: [x[:36] + b"+0" + x[38:]]), "damaged-number"),
    "two points in a number": (1, edit(grid(2), lambda x: [x[:8] + b"." + x[9:]]), "damaged-number"),
    "a line of the density missing": (1, edit(grid(2), delete), "short-block"),
    "one number missing": (1, edit(grid(2), lambda x: [x[:72]]), "short-block"),
    "a line of the density twice": (1, edit(grid(2), lambda x: [x, x]), "surplus-numbers"),
    "cut in the density": (1, cut(0.25), "short-block"),
    "cut in a record": (1, cut(0.9), "record-values"),
    "no grid line": (1, edit(grid(0), delete), "grid-line"),
    "a grid line of two numbers": (1, edit(grid(0), whole(b"    4    3")), "grid-line"),
    "a grid line with a letter": (1, edit(grid(0), whole(b"    4    x    3")), "grid-line"),
    "a position missing": (1, edit(lambda x: 9, delete), "header"),
    "a word in a position": (1, edit(lambda x: 9, whole(b"  0.1 zwei 0.3")), "header"),
    "touching positions": (1, edit(lambda x: 9, lambda x: [b" " + x.replace(b"  0", b"-0")]), "header-number"),
    "a blank lost in the lattice": (1, edit(lambda x: 3, lambda x: [x.replace(b"000    3.6", b"0003.6")]), "header-number"),
    "a lattice vector missing": (1, edit(lambda x: 3, delete), "header"),
    "no header of a record": (1, edit(record(0, 1), delete), "record-missing"),
    "a record missing": (1, lambda text: without_record(text, 2), "record-missing"),
    "the last record missing": (1, lambda text: without_record(text, 3), "record-missing"),
    "records exchanged": (1, lambda text: exchanged(text), "record-order"),
    "a header one blank too long": (1, edit(record(0, 1), replaced(b"cies ", b"cies  ")), "record-header"),
    "a header one blank in": (1, edit(record(0, 1), lambda x: [b" " + x]), "record-header"),
    "the length one blank too far": (1, edit(record(0, 0), lambda x: [x[:28] + b" " + x[28:]]), "record-header"),
    "a header without a length": (1, edit(record(0, 1), lambda x: [x[:28]]), "record-header"),
    "a wrong index": (1, edit(record(0, 1), replaced(b"   2", b"   7")), "record-order"),
    "a wrong length, too long": (1, edit(record(0, 1), replaced(b"  33", b"  34")), "record-values"),
    "a wrong length, too short": (1, edit(record(0, 1), replaced(b"  33", b"  32")), "record-length"),
    "a blank line before the first record": (1, edit(record(0, 0), lambda x: [b"", x]), "blank-line"),
    "a blank line before a later record": (1, edit(record(0, 1), lambda x: [b" ", x]), "blank-line"),
    "two blank lines before a record": (1, edit(record(0, 1), lambda x: [b"", b"", x]), "blank-line"),
    "a line of a record missing": (1, edit(record(2, 0), delete), "record-values"),
    "a line of a record twice": (1, edit(record(2, 0), lambda x: [x, x]), "record-values"),
    "stars in a record": (1, edit(record(2, 0), lambda x: [b"*" * 15 + x[15:]]), "record-values"),
    "NaN in a record": (1, edit(record(2, 0), lambda x: [b"            NaN" + x[15:]]), "record-values"),
    "text between records": (1, edit(record(0, 1), lambda x: [b"# edited", x]), "record-missing"),
    "no moments": (2, edit(grid(-1, 1), delete), "moments-missing"),
    "too few moments": (2, edit(grid(-1, 1), lambda x: [x[:40]]), "moments-count"),
    "moments of three components on lines": (2, edit(grid(-1, 1), lambda x: [x, x, x]), "moments-count"),
    "stars for a moment": (2, edit(grid(-1, 1), lambda x: [x[:40] + b"*" * 20]), "text-between"),
    "text before the moments": (2, edit(grid(-1, 1), lambda x: [b"# edited", x]), "text-between"),
    "another grid in block 2": (2, edit(grid(0, 1), whole(b"    4    3    4")), "grid-between"),
    "no grid line of block 2": (2, edit(grid(0, 1), delete), "grid-between"),
    "cut in block 2": (2, cut(0.7), "short-block"),
    "cut behind the moments": (2, lambda text: text[: text.rindex(GRID)], "block-count"),
    "a short second block": (2, edit(grid(2, 1), delete), "short-block"),
    "a blank line before a record of block 2": (2, edit(record(0, 4), lambda x: [b"", x]), "blank-line"),
    "no imaginary records in block 1": (4, lambda text: without_imaginary(text, 0), "imaginary-missing"),
    "no imaginary records in block 4": (4, lambda text: without_imaginary(text, 3), "imaginary-missing"),
    "an imaginary header one blank too long": (
        4, edit(record(0, 1, IMAGINARY), replaced(b"part)", b"part) ")), "record-header",
    ),
    "an imaginary record missing": (4, lambda text: without_record(text, 2, IMAGINARY), "record-missing"),
    "no moments of block 3": (4, edit(grid(-1, 2), delete), "moments-missing"),
    "three blocks of four": (4, lambda text: text[: text.rindex(b"  0.1000000")], "block-count"),
    "one block of four": (4, lambda text: text[: text.index(b"  0.100000000000E+01")], "block-count"),
}  # fmt: skip

# The Fortran reader takes these too, and so does VASP: `check` must find nothing but notes. name: (blocks, edit, note)
HARMLESS = {
    "three-digit exponents": (1, edit(grid(2), lambda x: [b" 0.12345678901-100" + x[18:]]), None),
    "lines joined": (1, lambda text: joined(text), "layout"),
    "lines of a record joined": (1, lambda text: joined(text, RECORD), "layout"),
    "blank line in the density": (1, edit(grid(2), lambda x: [b"", x]), "stray-blank-line"),
    "blank line in a record": (1, edit(record(2), lambda x: [b"", x]), "stray-blank-line"),
    "a second blank line before the grid": (1, edit(grid(0), lambda x: [b"", x]), "stray-blank-line"),
    "no blank line before the grid": (1, edit(grid(-1), delete), "separator"),
    "text at the end": (1, lambda text: text + b"written by me\n", "trailing-text"),
    "blank lines at the end": (1, lambda text: text + b"\n\n", "trailing-text"),
    "no newline at the end": (1, lambda text: text[:-1], "final-newline"),
    "carriage returns": (2, lambda text: text.replace(b"\n", b"\r\n"), "crlf"),
    "more digits in the records": (1, lambda text: more_digits(text), None),
    "moments as they come": (2, edit(grid(-1, 1), whole(b" 1 -1.0\n 0.5")), "layout"),
    "a blank line before the moments": (2, edit(grid(-1, 1), lambda x: [b"", x]), "stray-blank-line"),
    "a blank line behind the moments": (2, edit(grid(0, 1), lambda x: [b"", x]), "stray-blank-line"),
    "a header one blank short, which falls in the same columns": (1, edit(record(0, 1), replaced(b"cies ", b"cies")), None),
    "a grid line as it comes": (1, edit(grid(0), whole(b" 4 3  3")), None),
}  # fmt: skip

# Both readers take numbers, but other ones than were written, and `check` says so. name: (damage, code)
MISREAD = {
    "a number too many on the last line": (edit(grid(8), lambda x: [x.rstrip() + b" 0.10000000000E+01"]), "surplus-numbers"),
    "a number that lost its exponent": (edit(grid(2), lambda x: [x[:14] + b"    " + x[18:]]), "number-field"),
    "a number that lost a digit": (edit(grid(2), lambda x: [x[:3] + x[4:]]), "number-field"),
    "a surplus number in the middle": (
        edit(grid(2), lambda x: [x.rstrip() + b" 0.10000000000E+01"]), "surplus-numbers",
    ),
}  # fmt: skip


def bounds(lines: list[bytes], ion: int, start: bytes = RECORD) -> tuple[int, int]:
    """First line of an ion's record in the first block, and the line behind it."""
    first = index_of(lines, start, ion - 1)
    last = first + 1
    while last < len(lines) and lines[last].startswith((b"  0.", b" -0.")) and len(lines[last]) != 60:
        last += 1
    return first, last


def without_record(text: bytes, ion: int, start: bytes = RECORD) -> bytes:
    lines = lines_of(text)
    first, last = bounds(lines, ion, start)
    return b"\n".join(lines[:first] + lines[last:])


def exchanged(text: bytes) -> bytes:
    lines = lines_of(text)
    first, middle = bounds(lines, 1)
    _, last = bounds(lines, 2)
    return b"\n".join(lines[:first] + lines[middle:last] + lines[first:middle] + lines[last:])


def without_imaginary(text: bytes, block: int) -> bytes:
    lines = lines_of(text)
    first = index_of(lines, IMAGINARY, 3 * block)
    _, last = bounds(lines, 3 * block + 3, IMAGINARY)
    return b"\n".join(lines[:first] + lines[last:])


def joined(text: bytes, start: bytes = GRID) -> bytes:
    lines = lines_of(text)
    place = index_of(lines, start) + 2
    return b"\n".join([*lines[:place], lines[place] + lines[place + 1], *lines[place + 2 :]])


def more_digits(text: bytes) -> bytes:
    """Records in pymatgen's fields."""
    lines = lines_of(text)
    for ion in (1, 2, 3):
        first, last = bounds(lines, ion)
        for place in range(first + 1, last):
            lines[place] = b"".join(b" %17s" % f"{float(word):.11E}".encode() for word in lines[place].split())
    return b"\n".join(lines)


class Originals(dict):
    """blocks to (text, what VASP knows) of undamaged files; short to print when a test fails."""

    def __repr__(self) -> str:
        return "Originals()"


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    made = Originals()
    for blocks in (1, 2, 4):
        data = charge("CHGCAR", (4, 3, 3), blocks)
        chgcar.write(data, folder / f"CHGCAR{blocks}")
        made[blocks] = ((folder / f"CHGCAR{blocks}").read_bytes(), as_vasp_knows(data))
    return made


def damaged(originals, blocks, damage, folder: Path) -> tuple[Path, tuple]:
    text, known = originals[blocks]
    changed = damage(text)
    assert changed != text, "this damage does nothing"
    (folder / "CHGCAR").write_bytes(changed)
    return folder / "CHGCAR", known


@pytest.mark.parametrize("name", REJECTED)
def test_damage_is_found(name, originals, tmp_path):
    blocks, change, code = REJECTED[name]
    path, _ = damaged(originals, blocks, change, tmp_path)
    report = check_file(path)
    by_code = {finding.code: finding for finding in report.findings if finding.severity != "note"}
    assert code in by_code
    assert not report.ok
    line = int(by_code[code].place.rpartition(":")[2])
    assert 1 <= line <= path.read_bytes().count(b"\n") + 2


@pytest.mark.parametrize("name", HARMLESS)
def test_oddities_are_notes_at_most(name, originals, tmp_path):
    blocks, change, note = HARMLESS[name]
    path, _ = damaged(originals, blocks, change, tmp_path)
    report = check_file(path)
    assert report.ok
    assert {finding.code for finding in report.findings} == ({note} if note else set())


@pytest.mark.parametrize("name", MISREAD)
def test_shifted_numbers_are_found(name, originals, tmp_path):
    change, code = MISREAD[name]
    path, _ = damaged(originals, 1, change, tmp_path)
    assert (code, "misread") in {(finding.code, finding.severity) for finding in check_file(path).findings}


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst", ".lz4"])
def test_a_good_file_has_no_finding(blocks, suffix, tmp_path):
    data = charge("CHGCAR", (4, 3, 3), blocks)
    chgcar.write(data, tmp_path / f"CHGCAR{suffix}")
    report = check_file(tmp_path / f"CHGCAR{suffix}")
    assert report.ok
    assert [finding.code for finding in report.findings] == (["compressed"] if suffix else [])
    assert report.facts["electrons"] == pytest.approx(data.electrons, abs=1e-7)
    assert report.facts["moments"] == pytest.approx([data.integral(i) for i in range(1, blocks)], abs=1e-7)
    assert report.facts["augmentation_lengths"] == [33, 33, 8]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_all_damages_of_a_file_are_found_with_their_lines(suffix, originals, tmp_path):
    """The ordinary reader stops at the first; `check` goes on, in a compressed file too."""
    text, _ = originals[2]
    lines = text.split(b"\n")
    first, second = (i for i, line in enumerate(lines) if line == GRID)
    headers = [i for i, line in enumerate(lines) if line.startswith(RECORD)]
    lines[first + 2] = b" " + b"*" * 17 + lines[first + 2][18:]
    lines[first + 5] = lines[first + 5][:20] + b"x" + lines[first + 5][21:]
    lines[headers[1]] = lines[headers[1]].replace(b"cies ", b"cies  ")
    lines[second + 3] = b"               NaN" + lines[second + 3][18:]
    lines[headers[5] + 1] = b" " * 12 + b"NaN" + lines[headers[5] + 1][15:]
    content = b"\n".join(lines)
    path = tmp_path / f"CHGCAR{suffix}"
    import gzip

    path.write_bytes(gzip.compress(content) if suffix else content)
    places = [(f.code, int(f.place.rpartition(":")[2])) for f in check_file(path).findings if f.severity != "note"]
    assert places == [
        ("damaged-number", first + 3),
        ("record-header", headers[1] + 1),
        ("not-finite", second + 4),
        ("record-values", headers[5] + 2),
    ]
    damaged_number = next(f for f in check_file(path).findings if f.code == "damaged-number")
    assert f"1 more of the kind in line {first + 6}" in damaged_number.found


@pytest.mark.parametrize("blocks", [1, 2, 4])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_the_ordinary_reader_refuses_is_reported(blocks, originals, tmp_path, data):
    text, _ = originals[blocks]
    changed = apply(text, data.draw(damage(len(text))), 0)
    (tmp_path / "CHGCAR").write_bytes(changed)
    try:
        chgcar.read(tmp_path / "CHGCAR")
        refused = False
    except ChgtoolsError:
        refused = True
    try:
        report = check_file(tmp_path / "CHGCAR")
    except ChgtoolsError as error:
        assert str(error).startswith(f"{tmp_path / 'CHGCAR'}: ")
        return
    assert report.findings or not refused


@pytest.mark.parametrize("icharg", [None, 1, 11])
def test_severity_follows_icharg(icharg, originals, tmp_path):
    path, _ = damaged(originals, 1, *REJECTED["stars in the density"][1:2], tmp_path)
    (tmp_path / "INCAR").write_text("" if icharg is None else f"ICHARG = {icharg}\nNGXF = 4; NGYF = 3; NGZF = 3\n")
    severities = {finding.code: finding.severity for finding in check_file(path).findings}
    assert severities["damaged-number"] == ("dropped" if icharg == 1 else "refused")


def test_damage_of_a_magnetisation_leaves_the_density(originals, tmp_path):
    path, _ = damaged(originals, 2, *REJECTED["a short second block"][1:2], tmp_path)
    finding = next(finding for finding in check_file(path).findings if finding.code == "short-block")
    assert finding.severity == "dropped"
    assert "MAGMOM" in finding.effect


def test_files_that_cannot_be_checked(originals, tmp_path):
    with pytest.raises(FormatError, match=r"CHGCAR: no such file"):
        check_file(tmp_path / "CHGCAR")
    with pytest.raises(SettingsError, match="is a LOCPOT by its name"):
        check_file(tmp_path / "LOCPOT")
    text, _ = originals[1]
    (tmp_path / "CHG").write_bytes(text)
    assert any("a CHG by its name" in sentence for sentence in check_file(tmp_path / "CHG").not_checked)
    import gzip

    (tmp_path / "CHGCAR.gz").write_bytes(gzip.compress(text)[:300])
    with pytest.raises(FormatError, match="gzip stream is damaged or cut short"):
        check_file(tmp_path / "CHGCAR.gz")
    (tmp_path / "CHGCAR").write_bytes(b"")
    assert [finding.code for finding in check_file(tmp_path / "CHGCAR").findings] == ["header"]


def test_an_absurd_grid_line_is_found_without_the_memory(originals, tmp_path):
    path, _ = damaged(originals, 1, edit(grid(0), whole(b"99999999999999")), tmp_path)
    assert "grid-line" in {finding.code for finding in check_file(path).findings}
    path, _ = damaged(originals, 1, edit(grid(0), whole(b" 99999 99999 99999")), tmp_path)
    assert {finding.code for finding in check_file(path).findings} >= {"short-block"}


def test_moments_that_are_shifted_are_a_note(originals, tmp_path):
    """Fortran reads them; the ordinary reader, which wants VASP's fields, does not."""
    text, _ = originals[2]
    place = text.rindex(b"\n", 0, text.index(GRID, text.index(GRID) + 1) - 1)
    (tmp_path / "CHGCAR").write_bytes(text[: place + 1] + text[place + 2 :])
    report = check_file(tmp_path / "CHGCAR")
    assert report.ok
    assert [finding.code for finding in report.findings] == ["layout"]


def test_a_fifth_block_is_text_to_vasp(originals, tmp_path):
    text, _ = originals[4]
    lines = text.split(b"\n")
    first = lines.index(GRID)
    path = tmp_path / "CHGCAR"
    path.write_bytes(text + b"\n".join([b"  0.1" * 3, *lines[first:]]))
    report = check_file(path)
    assert report.facts["blocks"] == 4
    assert [finding.code for finding in report.findings] == ["trailing-text"]
    assert any("fifth block" in sentence for sentence in report.not_checked)


MENDED = {
    name: case for name, case in {**REJECTED, **HARMLESS}.items()
    if case[2] in FIXABLE - {"record-order"} and name not in ("a header without a length",)
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", MENDED)
def test_mending_gives_back_the_file(name, suffix, originals, tmp_path):
    """Numbers come back byte for byte; --fix adds nothing that was not there."""
    blocks, change, code = MENDED[name]
    path, _ = damaged(originals, blocks, change, tmp_path)
    mending = mend_file(path, tmp_path / f"CHGCAR.mended{suffix}")
    assert code in {finding.code for finding in mending.mended}
    assert mending.report.ok
    import gzip

    new = (tmp_path / f"CHGCAR.mended{suffix}").read_bytes()
    new = gzip.decompress(new) if suffix else new
    old, _ = originals[blocks]
    assert new == old


@pytest.mark.parametrize("name", [name for name, case in REJECTED.items() if case[2] not in FIXABLE])
def test_what_is_lost_is_not_put_back(name, originals, tmp_path):
    blocks, change, code = REJECTED[name]
    path, _ = damaged(originals, blocks, change, tmp_path)
    mending = mend_file(path, tmp_path / "mended")
    assert code in {finding.code for finding in mending.report.findings}
    assert not mending.report.ok


def test_a_file_in_order_is_not_written_again(originals, tmp_path):
    text, _ = originals[2]
    (tmp_path / "CHGCAR").write_bytes(text)
    mending = mend_file(tmp_path / "CHGCAR", tmp_path / "mended")
    assert mending.output is None
    assert not (tmp_path / "mended").exists()


@pytest.mark.parametrize(
    ("blocks", "magmom", "expected", "note"),
    [
        (2, "MAGMOM = 2*0.5 -1", [[0.5, 0.5, -1.0]], "MAGMOM ("),
        (2, "ISPIN = 2", [[1.0, 1.0, 1.0]], "VASP's default"),
        (2, "MAGMOM = 1 2", [[1.0, 1.0, 1.0]], "has 2 values, 3 ions need 3"),
        (4, "MAGMOM = 1 2 3 4 5 6 7 8 9", [[1, 4, 7], [2, 5, 8], [3, 6, 9]], "MAGMOM ("),
    ],
)  # fmt: skip
def test_moments_that_are_put_in(blocks, magmom, expected, note, originals, tmp_path):
    text, _ = originals[blocks]
    lines = [line for line in text.split(b"\n") if not line.startswith(b"  0.100000000000E+01")]
    (tmp_path / "CHGCAR").write_bytes(b"\n".join(lines))
    (tmp_path / "INCAR").write_text(magmom + "\n")
    mending = mend_file(tmp_path / "CHGCAR", tmp_path / "mended_CHGCAR")
    assert [list(moments) for moments in chgcar.read(tmp_path / "mended_CHGCAR").moments] == expected
    assert len(mending.notes) == blocks - 1
    assert note in mending.notes[0]


def test_data_behind_foreign_text_is_never_deleted(originals, tmp_path):
    """Blank lines and a remark before a block without its grid line look like the end of the file."""
    text, _ = originals[2]
    lines = text.split(b"\n")
    second = [i for i, line in enumerate(lines) if line == GRID][1]
    for insert in ([b""] * 3 + [b"# edited"], [b""] * 200, [b"# edited"]):
        (tmp_path / "CHGCAR").write_bytes(b"\n".join([*lines[: second - 1], *insert, *lines[second + 1 :]]))
        report = check_file(tmp_path / "CHGCAR")
        assert not report.ok
        assert "trailing-text" not in {finding.code for finding in report.findings}


def test_a_file_is_mended_in_place(originals, tmp_path):
    text, _ = originals[1]
    (tmp_path / "CHGCAR").write_bytes(text.replace(b"\n", b"\r\n"))
    mend_file(tmp_path / "CHGCAR", tmp_path / "CHGCAR")
    assert (tmp_path / "CHGCAR").read_bytes() == text
    assert [path.name for path in tmp_path.iterdir()] == ["CHGCAR"]
