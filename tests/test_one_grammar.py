"""A file cut at any byte: the reader's error and a finding of `check` name the same place, number and words."""

from __future__ import annotations

import ast
import gzip
import re
from pathlib import Path

import pytest
from conftest import shared_path
from synthetic_chgcar import charge

from chgtools.check import check_file
from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar

PACKAGE = Path(chgcar.__file__).parents[1]
# name: (kind, blocks, records, grid, atoms of each species)
CASES = {
    "one block": ("CHGCAR", 1, True, (4, 3, 3), (2, 1)),
    "magnetic": ("CHGCAR", 2, True, (4, 3, 3), (2, 1)),
    "non-collinear": ("CHGCAR", 4, True, (3, 2, 2), (2, 1)),
    "without records": ("CHGCAR", 2, False, (4, 3, 3), (2, 1)),
    "three lines of moments": ("CHGCAR", 2, True, (3, 2, 2), (9, 4)),
    "one number": ("CHGCAR", 2, True, (1, 1, 1), (2, 1)),
    "CHG": ("CHG", 2, False, (5, 4, 3), (2, 1)),
}


def text_of(name: str, folder: Path) -> tuple[str, bytes]:
    """(file name, undamaged text)."""
    kind, blocks, records, shape, counts = CASES[name]
    chgcar.write(charge(kind, shape, blocks, records, counts), folder / kind)
    return kind, (folder / kind).read_bytes()


def as_lists(text: bytes) -> bytes:
    """The numbers behind the header in no fields at all."""
    header, _, body = text.partition(b"\n \n")
    lines = [
        b"   ".join(str(float(word)).encode() for word in line.split()) if b"." in line else line
        for line in body.split(b"\n")
    ]
    return header + b"\n \n" + b"\n".join(lines)


def places_to_cut(text: bytes, stride: int) -> list[int]:
    """Bytes by a stride, and all of them about the ends of sections."""
    ends = [m.start() for m in re.finditer(rb"\n *\d+ +\d+ +\d+\r?\n|\naugm.*\n|\n  0\.1000000", text)]
    near = {at for end in (*ends[:3], *ends[-2:], len(text)) for at in range(end - 12, end + 62)}
    return sorted(at for at in {*range(0, len(text), stride), *near} if 0 <= at < len(text))


def disagreement(path: Path) -> str:
    """What the reader says and no finding does, "" where they agree or the reader takes the file."""
    try:
        chgcar.read(path)
    except ChgtoolsError as error:
        place, _, sentence = str(error).partition(": ")
    else:
        return ""
    findings = check_file(path).findings
    if any(each.place == place and sentence.startswith(each.found.partition("; ")[0]) for each in findings):
        return ""
    return f"{place}: {sentence} | " + " | ".join(f"{each.place}: {each.found}" for each in findings)


def assert_agreement(path: Path, text: bytes, places: list[int]) -> None:
    refused = 0
    for at in places:
        path.write_bytes(text[:at])
        assert disagreement(path) == "", f"cut at byte {at}, behind {text[max(0, at - 20) : at]!r}"
    for at in places[:: len(places) // 10]:
        path.write_bytes(text[:at])
        refused += any(each.severity != "note" for each in check_file(path).findings)
    assert refused >= 5  # most cuts are damage: otherwise this has compared nothing


@pytest.mark.parametrize("name", CASES)
def test_a_cut_is_told_in_the_same_words(name, tmp_path):
    kind, text = text_of(name, tmp_path)
    assert_agreement(tmp_path / kind, text, places_to_cut(text, 17))


@pytest.mark.parametrize("change", [as_lists, lambda text: text.replace(b"\n", b"\r\n")], ids=["lists", "CRLF"])
@pytest.mark.parametrize("name", ["magnetic", "CHG"])
def test_a_cut_of_other_layouts_too(name, change, tmp_path):
    kind, text = text_of(name, tmp_path)
    assert_agreement(tmp_path / kind, change(text), places_to_cut(change(text), 29))


def test_a_cut_of_a_compressed_file(tmp_path):
    kind, text = text_of("magnetic", tmp_path)
    for at in places_to_cut(text, 101):
        (tmp_path / f"{kind}.gz").write_bytes(gzip.compress(text[:at]))
        assert disagreement(tmp_path / f"{kind}.gz") == "", at


REAL_FILES = [
    "GaN-pydefect-tutorial__Ga2N2-4_scf/CHGCAR.gz",
    "bader-rs__Ni1-1/CHGCAR_ncl.gz",
    "bader-rs__Ni1-1/CHG_spin.gz",
    "aiida-vasp__GaAs-2/CHGCAR.gz",
    "mp_workshop__Cr1-1/CHGCAR.gz",
    "baderkit__Ag4-4/CHGCAR.gz",
    "nomad-aflow__A2-1/CHGCAR.gz",
    "pymatgen-diffusion__Na48P16S64-128/CHGCAR.gz",
]


@pytest.mark.parametrize("name", REAL_FILES)
def test_real_files_that_are_cut(name, tmp_path):
    packed = shared_path("corpus", *name.split("/"))
    text = gzip.decompress(packed.read_bytes())
    path = tmp_path / ("CHG" if "CHG_" in name else "CHGCAR")
    ends = [m.start() for m in re.finditer(rb"\n *\d+ +\d+ +\d+\r?\n|\naugm.*   1 |\n  0\.\d{12}E", text)]
    about = [end + offset for end in (*ends[:6], *ends[-3:]) for offset in (3, 12, 30, 41, 100, 137)]
    assert_agreement(
        path, text, sorted({at for at in (*about, *range(99, len(text), len(text) // 25)) if at < len(text)})
    )


@pytest.mark.parametrize(("name", "width"), [("one block", 18), ("CHG", 12)])
def test_the_numbers_that_are_counted_fill_their_fields(name, width, tmp_path):
    """A cut number is a number to Fortran as well, but not the one that was written."""
    kind, text = text_of(name, tmp_path)
    first = text.index(b"\n", text.index(b"\n \n") + 3) + 1
    lines_before = text[:first].count(b"\n")
    counts = []
    for at in range(first, first + 400):
        whole = [len(line) // width for line in text[first:at].split(b"\n")]
        (tmp_path / kind).write_bytes(text[:at])
        with pytest.raises(ChgtoolsError, match=rf"has {sum(whole)} numbers, its .* needs") as raised:
            chgcar.read(tmp_path / kind)
        finding = next(each for each in check_file(tmp_path / kind).findings if each.code == "short-block")
        assert f"has {sum(whole)} numbers" in finding.found
        assert int(re.search(r":(\d+): ", str(raised.value)).group(1)) - lines_before in (len(whole), len(whole) + 1)
        counts.append(sum(whole))
    assert len(set(counts)) > 400 // (width + 1)


@pytest.mark.parametrize(
    ("numbers", "count"),
    [(b"0.5 0.25", 1), (b"0.5 0.25 ", 2), (b"0.5 0.25\n", 2), (b"0.5 0.25 0.1E", 2), (b"0.5 0.25 0.125 0.06", None)],
)
def test_a_list_counts_numbers_that_something_follows(numbers, count, tmp_path):
    """The last number wanted may end the file: many programs leave out the newline."""
    header = b"title\n 1.0\n 5 0 0\n 0 5 0\n 0 0 5\n H\n 1\nDirect\n 0 0 0\n\n 1 1 4\n"
    path = tmp_path / "CHGCAR"
    path.write_bytes(header + numbers)
    codes = {each.code: each.found for each in check_file(path).findings}
    if count is None:
        assert chgcar.read(path).total.size == 4
        assert "short-block" not in codes
        return
    with pytest.raises(ChgtoolsError, match=rf"has {count} numbers, its 1 x 1 x 4 grid \(line 11\) needs 4"):
        chgcar.read(path)
    assert codes["short-block"] == f"block 1 has {count} numbers, its 1 x 1 x 4 grid (line 11) needs 4"


def test_a_damaged_grid_line_is_told_in_the_same_words(tmp_path):
    """The file goes on behind the numbers, so it was not cut: the place is the grid line."""
    kind, text = text_of("one block", tmp_path)
    grids = (b"99999 9999 9999", b"    4    3", b"    4    x    3", b"    4    0    3", b"")
    for grid in grids:
        (tmp_path / kind).write_bytes(text.replace(b"    4    3    3", grid))
        assert disagreement(tmp_path / kind) == "", grid
        assert ":13" in " ".join(each.place for each in check_file(tmp_path / kind).findings)


def test_no_private_name_is_imported_from_another_module():
    files = [*PACKAGE.glob("formats/chgcar*.py"), PACKAGE / "formats/grid_block.py", *PACKAGE.glob("check/*.py")]
    private = [
        f"{path.name}: {node.module}.{alias.name}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.startswith("_") and node.module != "__future__"
    ]
    assert len(files) > 10
    assert private == []
