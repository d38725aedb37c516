"""An independent reader in Fortran (tests/fortran/read_chgcar.f90) against `check`: they accept and reject the same files.

The Fortran program reads as VASP is documented to: numbers as lists, record headers by columns. It knows of chgtools
nothing, and its runtime decides what a number is.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path
from damages import HARMLESS, MISREAD, REJECTED, as_vasp_knows, damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_damage import apply, damage
from synthetic_chgcar import LATTICE, charge

from chgtools.cell import Structure
from chgtools.check import check_file, mend_file
from chgtools.formats import chgcar
from chgtools.volumetric import Augmentation, VolumetricData

SOURCE = Path(__file__).with_name("fortran") / "read_chgcar.f90"


@dataclass(frozen=True)
class Verdict:
    """accepted : by the Fortran program; reason : why not; means : of each block; occupancies : their sum"""

    accepted: bool
    reason: str
    means: tuple[float, ...] = ()
    occupancies: float = 0.0


@pytest.fixture(scope="session")
def fortran(tmp_path_factory):
    """Call the program: fortran(path, ions, blocks, shape, lengths or None where there are no records)."""
    compiler = shutil.which("gfortran")
    if compiler is None:
        pytest.skip("needs gfortran, to compile the independent reader")
    folder = tmp_path_factory.mktemp("fortran")
    program = folder / "read_chgcar"
    subprocess.run([compiler, "-O1", "-std=f2018", "-J", folder, "-o", program, SOURCE], check=True)

    def read(path, n_atoms, blocks, shape, lengths) -> Verdict:
        known = f"{path}\n{n_atoms} {blocks} {' '.join(map(str, shape))} {int(lengths is not None)}\n"
        known += f"{' '.join(map(str, lengths or ()))}\n"
        done = subprocess.run([program], input=known, capture_output=True, text=True, timeout=120, check=True)
        first, *rest = done.stdout.splitlines()
        if first != "accepted":
            return Verdict(False, first.removeprefix("rejected: "))
        *means, occupancies = (float(word) for line in rest for word in line.split())
        return Verdict(True, "", tuple(means), occupancies)

    return read


def corpus() -> list[dict]:
    try:
        records = json.loads(shared_path("corpus", "index.json").read_text())
    except pytest.skip.Exception:
        return []
    return [record for record in records if record["kind"] == "CHGCAR"]


FILES = corpus()


@pytest.mark.skipif(not FILES, reason="needs the real files (shared/corpus)")
@pytest.mark.parametrize("record", FILES, ids=[r["path"] for r in FILES])
def test_real_files(record, fortran, tmp_path):
    path = tmp_path / "CHGCAR"
    path.write_bytes(gzip.decompress(shared_path("corpus", record["path"]).read_bytes()))
    lengths = [n for n in record["augmentation_record_lengths"] or [] if not isinstance(n, dict)]
    verdict = fortran(path, record["nions"], record["blocks"], record["ngf"], lengths or None)
    report = check_file(path)
    codes = {finding.code for finding in report.findings if finding.severity != "note"}
    # The program was told which files have no records; VASP is not
    assert verdict.accepted == (codes <= {"record-missing"})
    if record["written_by"] == "vasp":
        assert verdict.accepted
        assert report.ok
        assert {f.code for f in report.findings} == ({"crlf"} if record["line_ends"] == "CRLF" else set())
    if verdict.accepted:
        assert report.facts["electrons"] == pytest.approx(verdict.means[0], rel=1e-9, abs=1e-8)
        assert report.facts["moments"] == pytest.approx(verdict.means[1:], rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("counts", [(2, 1), (9, 1), (99, 1), (999, 1)], ids=["3", "10", "100", "1000"])
def test_files_of_our_writer(blocks, counts, fortran, tmp_path):
    data = charge("CHGCAR", (4, 3, 3), blocks, counts=counts)
    chgcar.write(data, tmp_path / "CHGCAR")
    verdict = fortran(tmp_path / "CHGCAR", *as_vasp_knows(data))
    report = check_file(tmp_path / "CHGCAR")
    assert verdict.accepted, verdict.reason
    assert report.findings == ()
    assert verdict.means == pytest.approx([data.integral(i) for i in range(blocks)], rel=1e-9)
    parts = [part for block in data.augmentation for part in (block.real, block.imaginary or [])]
    total = sum(float(record.sum()) for part in parts for record in part)
    assert verdict.occupancies == pytest.approx(total, rel=1e-5)


def test_more_ions_than_four_columns_hold(fortran, tmp_path):
    """VASP's index overflows to stars; the file is in order as far as is known, and `check` says what is not known."""
    rng = np.random.default_rng(1)
    n = 10_001
    atoms = Structure(LATTICE, ("H",), (n,), rng.uniform(0, 1, (n, 3)))
    block = np.asfortranarray(rng.normal(size=(2, 2, 2)))
    data = VolumetricData("CHGCAR", atoms, [block], [Augmentation([rng.normal(size=3)] * n)])
    chgcar.write(data, tmp_path / "CHGCAR")
    assert b"occupancies****   3" in (tmp_path / "CHGCAR").read_bytes()
    assert fortran(tmp_path / "CHGCAR", *as_vasp_knows(data)).accepted
    report = check_file(tmp_path / "CHGCAR")
    assert report.ok
    assert [finding.code for finding in report.findings] == ["ion-index"]


@pytest.mark.parametrize("name", REJECTED)
def test_damage_is_rejected_by_both(name, originals, fortran, tmp_path):
    blocks, change, code = REJECTED[name]
    path, known = damaged(originals, blocks, change, tmp_path)
    assert not fortran(path, *known).accepted
    report = check_file(path)
    assert not report.ok
    assert code in {finding.code for finding in report.findings if finding.severity != "note"}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_fortran_passes_over_is_no_finding(name, originals, fortran, tmp_path):
    blocks, change, note = HARMLESS[name]
    path, known = damaged(originals, blocks, change, tmp_path)
    assert fortran(path, *known).accepted
    report = check_file(path)
    assert report.ok, [str(finding) for finding in report.findings]
    assert {finding.code for finding in report.findings} == ({note} if note else set())


@pytest.mark.parametrize("name", MISREAD)
def test_other_numbers_than_were_written(name, originals, fortran, tmp_path):
    change, code = MISREAD[name]
    path, known = damaged(originals, 1, change, tmp_path)
    text, _ = originals[1]
    (tmp_path / "original").write_bytes(text)
    verdict, report = fortran(path, *known), check_file(path)
    same = verdict.accepted and verdict.means == fortran(tmp_path / "original", *known).means
    surplus_only = name == "a number too many on the last line"
    assert same == surplus_only
    assert (code, "misread") in {(finding.code, finding.severity) for finding in report.findings}


@pytest.mark.parametrize("blocks", [1, 2, 4])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_judged_alike(blocks, originals, fortran, tmp_path, data):
    """What Fortran rejects `check` finds; what both take has the same numbers in both."""
    text, known = originals[blocks]
    first = text.index(b"\n \n") + 3
    change = data.draw(damage(len(text) - first))
    (tmp_path / "CHGCAR").write_bytes(apply(text, change, first))
    verdict, report = fortran(tmp_path / "CHGCAR", *known), check_file(tmp_path / "CHGCAR")
    if not verdict.accepted:
        complete = report.facts["blocks"] == blocks  # a file cut between blocks is in order, and shorter
        assert not report.ok or not complete, (change, verdict.reason)
    elif report.ok and report.facts["blocks"] == blocks:
        means = [report.facts["electrons"], *report.facts["moments"]]
        assert means == pytest.approx(verdict.means, rel=1e-9, abs=1e-8), change


def by_pymatgen(data: VolumetricData, path: Path) -> Path:
    pytest.importorskip("pymatgen.io.vasp.outputs")
    data.to_pymatgen().write_file(str(path))
    return path


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("counts", [(2, 1), (9, 3), (99, 2), (999, 3)], ids=["3", "12", "101", "1002"])
def test_files_of_pymatgens_writer_are_mended(blocks, counts, fortran, tmp_path):
    data = charge("CHGCAR", (4, 3, 3), blocks, counts=counts)
    path = by_pymatgen(data, tmp_path / "CHGCAR")
    known = as_vasp_knows(data)
    verdict, report = fortran(path, *known), check_file(path)
    codes = {finding.code for finding in report.findings if finding.severity != "note"}
    assert verdict.accepted == report.ok
    if sum(counts) >= 10:
        assert "record-header" in codes
        assert blocks == 4 or verdict.reason == "ion 10 data corrupt"
    if blocks > 1:
        assert "moments-missing" in codes
    if blocks == 4:
        assert "record-order" in codes  # pymatgen writes ordinary and imaginary records ion by ion
    mending = mend_file(path, tmp_path / "CHGCAR.mended")
    if codes:
        assert {finding.code for finding in mending.mended} >= codes
        path = tmp_path / "CHGCAR.mended"
    assert check_file(path).findings == ()
    mended = fortran(path, *known)
    assert mended.accepted, mended.reason
    assert mended.means == pytest.approx([data.integral(i) for i in range(blocks)], rel=1e-6)
