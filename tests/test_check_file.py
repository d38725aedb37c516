"""Damages of a CHGCAR that `check` must find, and oddities that it must not: tables that test_fortran_reader.py shares."""

from __future__ import annotations

import pytest
from damages import GRID, HARMLESS, MISREAD, RECORD, REJECTED, damaged, edit, grid, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_damage import apply, damage
from synthetic_chgcar import charge

from chgtools.check import check_file, mend_file
from chgtools.check.codes import FIXABLE
from chgtools.errors import ChgtoolsError, FormatError, SettingsError
from chgtools.formats import chgcar


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
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def with_blank_lines(text: bytes) -> bytes:
    """A blank line behind each line of records and moments, as a program prints that kept them as text."""
    lines, kept = [], False
    for line in text.split(b"\n"):
        kept = (kept or line.startswith(RECORD)) and line != GRID
        lines += [line, b""] if kept and line else [line]
    return b"\n".join(lines)


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_blank_lines_before_and_behind_the_moments_are_mended_at_once(blocks, originals, tmp_path):
    text, _ = originals[blocks]
    path = tmp_path / "CHGCAR"
    path.write_bytes(with_blank_lines(text))
    assert "text-between" not in {finding.code for finding in check_file(path).findings}
    mending = mend_file(path, tmp_path / "mended")
    assert mending.report.ok
    assert (tmp_path / "mended").read_bytes() == text


def test_in_order_is_only_what_the_reader_reads(originals, tmp_path):
    """VASP reads lines of a record by count; the reader holds them to their columns, and says so behind --fix."""
    text, _ = originals[1]
    blocks, change, _ = HARMLESS["lines of a record joined"]
    path, _ = damaged(originals, blocks, change, tmp_path)
    assert check_file(path).ok
    path.write_bytes(path.read_bytes() + b"\nsome text\n")
    mending = mend_file(path, tmp_path / "mended")
    assert [finding.code for finding in mending.mended] == ["trailing-text"]
    assert not mending.report.ok
    (left,) = [finding for finding in mending.report.findings if finding.code == "not-read"]
    assert left.place.endswith("mended:24")
    assert "augmentation record of ion 1 goes on: 5 of 33 numbers were read" in left.found
    with pytest.raises(FormatError, match="mended:24: "):
        chgcar.read(tmp_path / "mended", "CHGCAR")


def test_mending_goes_on_until_nothing_is_left(originals, tmp_path):
    """An edit may bring to light what another hid: the file that is left has nothing more that --fix mends."""
    text, _ = originals[2]
    for change in (with_blank_lines, lambda t: with_blank_lines(t).replace(b"\n", b"\r\n")):
        (tmp_path / "CHGCAR").write_bytes(change(text))
        mending = mend_file(tmp_path / "CHGCAR", tmp_path / "CHGCAR")
        assert not [finding for finding in mending.report.findings if finding.fixable]
        assert (tmp_path / "CHGCAR").read_bytes() == text


def test_info_names_fix_where_it_helps(originals, tmp_path):
    from click.testing import CliRunner

    from chgtools.cli import main

    text, _ = originals[2]
    path = tmp_path / "CHGCAR"
    for change, helps in (
        (with_blank_lines, True),
        (lambda t: t[:-200], False),
        (lambda t: t.replace(b"E+0", b"*+0", 1), False),
    ):
        path.write_bytes(change(text))
        result = CliRunner().invoke(main, ["info", str(path)])
        assert result.exit_code == 1
        assert (f"`chgtools check --fix {path} -o FILE` mends it" in result.stderr) == helps
        assert [each.name for each in tmp_path.iterdir()] == ["CHGCAR"]
    path.write_bytes(with_blank_lines(text))
    result = CliRunner().invoke(main, ["check", "--fix", str(path), "--force"])
    assert result.exit_code == 0
    assert CliRunner().invoke(main, ["info", str(path)]).exit_code == 0
