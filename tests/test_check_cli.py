"""The command `chgtools check`: exit codes, JSON, and what goes to which stream."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from synthetic_chgcar import charge

from chgtools.cli import main
from chgtools.formats import chgcar


def check(*arguments):
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


@pytest.fixture
def good(tmp_path):
    chgcar.write(charge("CHGCAR", (4, 3, 3), 2), tmp_path / "CHGCAR")
    return tmp_path / "CHGCAR"


@pytest.fixture
def bad(good):
    """Two headers too long, one number lost."""
    text = good.read_bytes().replace(b"cies   2", b"cies    2")
    good.write_bytes(text.replace(b" -.45567676643E+03", b" " + b"*" * 17))
    return good


@pytest.fixture
def bad_header(good):
    good.write_bytes(good.read_bytes().replace(b"cies   2", b"cies    2"))
    return good


def test_a_good_file(good):
    done = check(good)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{good}: in order (grid 4 x 3 x 3, blocks 2, ")
    assert len(done.stdout.splitlines()) == 1
    assert "note: not checked: no INCAR beside the file" in done.stderr


def test_findings_are_exit_code_3(bad):
    done = check(bad)
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert lines[0] == f"{bad}:14: refused [damaged-number]"
    assert [line[:9] for line in lines[1:4]] == ["  found: ", "  VASP:  ", "  mend:  "]
    assert lines[-1].startswith(f"{bad}: 3 findings")
    assert "(`chgtools check --fix` does it)" in done.stdout


def test_json(bad):
    done = check(bad, "--json")
    assert done.exit_code == 3
    facts = json.loads(done.stdout)
    assert facts["ok"] is False
    assert facts["grid"] == [4, 3, 3]
    assert facts["electrons"] is None
    first = facts["findings"][0]
    assert first["code"] == "damaged-number"
    assert first["severity"] == "refused"
    assert first["place"] == f"{bad}:14"
    assert first["fixable"] is False
    assert {finding["code"] for finding in facts["findings"]} == {"damaged-number", "record-header"}


def test_json_without_findings(good):
    facts = json.loads(check(good, "--json").stdout)
    assert facts["ok"] is True
    assert facts["findings"] == []
    assert facts["blocks"] == 2
    assert facts["augmentation_lengths"] == [33, 33, 8]


def test_notes_alone_are_exit_code_0(good):
    good.write_bytes(good.read_bytes() + b"the end\n")
    done = check(good)
    assert done.exit_code == 0
    assert "in order, 1 note" in done.stdout


@pytest.mark.parametrize("name", ["CHGCAR", "sub/CHGCAR"])
def test_a_file_that_is_not_there_is_exit_code_1(name, tmp_path):
    done = check(tmp_path / name)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no such file" in done.stderr


def test_fix_into_another_file(bad_header, tmp_path):
    output = tmp_path / "CHGCAR.mended"
    before = bad_header.read_bytes()
    done = check(bad_header, "--fix", "-o", output)
    assert done.exit_code == 0
    assert "mended" in done.stdout
    assert "[record-header]" in done.stdout
    assert f"{output}: in order" in done.stdout
    assert bad_header.read_bytes() == before
    assert output.read_bytes() == before.replace(b"cies    2", b"cies   2")
    done = check(bad_header, "--fix", "-o", output)
    assert done.exit_code == 2
    assert "--force" in done.stderr
    assert check(bad_header, "--fix", "-o", output, "--force").exit_code == 0


def test_fix_in_place(bad_header):
    expected = bad_header.read_bytes().replace(b"cies    2", b"cies   2")
    done = check(bad_header, "--fix")
    assert done.exit_code == 2
    assert "--fix needs -o FILE, or --force" in done.stderr
    assert check(bad_header, "--fix", "--force").exit_code == 0
    assert bad_header.read_bytes() == expected


def test_fix_says_what_it_cannot_mend(bad, tmp_path):
    done = check(bad, "--fix", "-o", tmp_path / "mended", "--json")
    assert done.exit_code == 3
    facts = json.loads(done.stdout)
    assert {finding["code"] for finding in facts["mended"]} == {"record-header"}
    assert {finding["code"] for finding in facts["left"]["findings"]} == {"damaged-number"}
    assert b"*" * 17 in (tmp_path / "mended").read_bytes()


def test_fix_says_what_it_put_in(good, tmp_path):
    lines = good.read_bytes().split(b"\n")
    good.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"  0.100000000000E+01")))
    done = check(good, "--fix", "-o", tmp_path / "mended")
    assert done.exit_code == 0
    assert "note: moments before block 2: 1 for each ion, VASP's default of MAGMOM" in done.stderr


def test_fix_of_a_good_file_writes_nothing(good, tmp_path):
    done = check(good, "--fix", "-o", tmp_path / "mended")
    assert done.exit_code == 0
    assert "nothing that --fix could mend; nothing was written" in done.stdout
    assert not (tmp_path / "mended").exists()


def test_run(tmp_path):
    assert check("--run", tmp_path).exit_code == 0
    (tmp_path / "vasp.out").write_text(" charge-density read from file: Si\n")
    done = check("--run", tmp_path)
    assert done.exit_code == 0
    assert done.stdout.startswith("density read: yes. VASP read the density")
    (tmp_path / "vasp.out").write_text(" ERROR: charge density could not be read from file CHGCAR for ICHARG>10\n")
    done = check("--run", tmp_path, "--json")
    assert done.exit_code == 3
    facts = json.loads(done.stdout)
    assert facts["read"] is False
    assert facts["findings"][0]["code"] == "run-density"
    done = check("--run", tmp_path / "gone")
    assert done.exit_code == 1
    assert "no such folder" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["CHGCAR", "--run", "."], ["--run", ".", "--fix"], ["--run", ".", "--incar", "INCAR"],
        ["CHGCAR", "-o", "x"], ["CHGCAR", "--force"], ["CHGCAR", "--fix"],
    ],
)  # fmt: skip
def test_wrong_usage(arguments):
    assert check(*arguments).exit_code == 2


def test_as_a_program(bad):
    done = subprocess.run(
        [sys.executable, "-m", "chgtools", "check", str(bad)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "[damaged-number]" in done.stdout


def test_looking_at_runs_needs_no_scanner():
    """A batch that asks for many runs should not wait for numba."""
    code = "import sys; from chgtools.check import check_run; check_run('.'); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
