"""GPAW's .gpw is refused with what to do, and what to do is done where GPAW is at hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import chgtools
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, FormatError

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "gpaw_cube.py"
MAKE = """
from ase.build import bulk
from gpaw import GPAW, PW
atoms = bulk("Si")
atoms.positions[1] += [0.05, 0.02, -0.03]
atoms.calc = GPAW(mode=PW(200), kpts=(2, 2, 2), xc="PBE", txt=None, symmetry="off", convergence=dict(density=1e-3))
atoms.get_potential_energy()
atoms.calc.write("si.gpw")
"""


def python_with_gpaw():
    for name in ("python", "python3", "/usr/bin/python3"):
        python = shutil.which(name)
        if python and subprocess.run([python, "-c", "import gpaw"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("needs a Python with GPAW")


def test_a_gpw_is_refused_with_what_to_run(tmp_path):
    """The head of a ULM file with GPAW's tag, as ase.io.ulm writes it: magic, tag, version, items, where they are."""
    numbers = np.array([3, 1, 48, 56], "<i8").tobytes()
    (tmp_path / "a.gpw").write_bytes(b"- of Ulm" + b"GPAW".ljust(16) + numbers + bytes(64))
    with pytest.raises(FormatError, match=r"pseudo density without its compensation charges.*examples/gpaw_cube\.py"):
        chgtools.read(tmp_path / "a.gpw")
    (tmp_path / "b.gpw").write_bytes((tmp_path / "a.gpw").read_bytes())
    done = CliRunner().invoke(
        main, ["dataset", "build", "-o", str(tmp_path / "s.h5"), *map(str, tmp_path.glob("*.gpw"))]
    )
    assert done.exit_code == 1
    assert "2 of 2 files failed" in done.stderr
    assert done.stderr.count("is a restart file of GPAW") == 2


def test_the_cube_of_the_example_has_all_valence_electrons(tmp_path):
    python = python_with_gpaw()
    environment = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for command in ([python, "-c", MAKE], [python, str(SCRIPT), "si.gpw"]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    with pytest.raises(FormatError, match="is a restart file of GPAW"):
        chgtools.read(tmp_path / "si.gpw")
    with pytest.warns(AssumptionWarning, match="taken as electrons/bohr"):
        made = chgtools.difference_density(tmp_path / "si.cube")
    assert made.electrons == pytest.approx(8, abs=2e-4)
    assert made.labels == ("Si",)
    assert 12 < made.eps_mae_of_saed < 22  # what the bonds are of a silicon of VASP: 14
