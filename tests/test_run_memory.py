"""A grid that cannot fit is refused before anything is computed."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from made_models import cell

from chgtools.cli import main
from chgtools.errors import SettingsError
from chgtools.formats import poscar
from chgtools.run import memory
from chgtools.run.memory import memory_of_the_machine, require_memory

GIB = 2**30


@pytest.fixture
def one_gib(monkeypatch):
    monkeypatch.setattr(memory, "memory_of_the_machine", lambda: GIB)


def test_the_machine_says_what_it_has():
    there = memory_of_the_machine()
    assert there is None or GIB / 4 < there < 1e6 * GIB


def test_the_limit_of_a_job_counts(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("123456789\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", [str(tmp_path / "max"), str(tmp_path / "none")])
    assert memory_of_the_machine() != 123456789
    monkeypatch.setattr(memory, "CGROUP_LIMITS", [str(tmp_path / name) for name in ("max", "none", "limit")])
    assert memory_of_the_machine() == 123456789


@pytest.mark.parametrize(("blocks", "side"), [(1, 415), (2, 360), (4, 301)])
def test_the_bound(blocks, side, one_gib):
    """15 bytes a point and 8 more for each further block: the largest cube of points in one GiB."""
    assert side**3 * (15 + 8 * (blocks - 1)) < GIB < (side + 1) ** 3 * (15 + 8 * (blocks - 1))
    require_memory((side, side, side), blocks)
    with pytest.raises(SettingsError, match=rf"the grid {side + 1} x {side + 1} x {side + 1} needs 1\.0 GiB at least"):
        require_memory((side + 1,) * 3, blocks)


@pytest.mark.timeout(60)
def test_the_command_says_so_at_once(tmp_path):
    poscar.write(cell(), tmp_path / "POSCAR")
    arguments = ["predict", str(tmp_path / "POSCAR"), "-o", str(tmp_path / "CHGCAR"), "--ngf", *["100000"] * 3]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "the grid 100000 x 100000 x 100000 needs 13969838.6 GiB" in " ".join(result.output.split())
    assert not (tmp_path / "CHGCAR").exists()
