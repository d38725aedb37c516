"""Dense matrices through torch: the features, the densities and the errors of NumPy, and when which of the two is taken.

There is no GPU here: torch computes on the processor, by the same calls as on a GPU.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from chgtools.cell import Structure
from chgtools.cli import main
from chgtools.cli import options as cli_options
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.kernels import dense
from chgtools.kernels.dense import computing_on, eigh, on, product
from chgtools.start.prediction import predict
from chgtools.tightbinding.electrons import solve
from chgtools.tightbinding.features import _remembered, features_of

CPU = torch.device("cpu")
SALT = Structure(3.0 * (np.ones((3, 3)) - np.eye(3)) - 0.2, ("Na", "Cl"), (1, 1), [[0, 0, 0], [0.47, 0.5, 0.52]])
IRON = Structure(2.87 * np.eye(3), ("Fe",), (2,), [[0, 0, 0], [0.5, 0.5, 0.5]])


def hermitian(n, count=2, real=False, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, n, n)) + (0 if real else 1j * rng.normal(size=(count, n, n)))
    return values + values.conj().transpose(0, 2, 1)


@pytest.fixture
def small(monkeypatch):
    """Matrices of any size are worth a GPU; the calls of torch's eigh, counted."""
    monkeypatch.setattr(dense, "SMALLEST", 1)
    calls, whole = [], torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrices: calls.append(matrices.shape) or whole(matrices))
    return calls


@pytest.mark.parametrize("real", [False, True])
def test_eigenvalues_and_products_are_those_of_numpy(small, real):
    matrices = hermitian(12, real=real)
    values, vectors = np.linalg.eigh(matrices)
    with on(CPU):
        found, own = eigh(matrices)
        assert product(own, own.conj().transpose(0, 2, 1)) == pytest.approx(np.stack([np.eye(12)] * 2), abs=1e-12)
        first, second = hermitian(12, seed=1), hermitian(12, seed=2)
        np.testing.assert_allclose(product(first, second), first @ second, atol=1e-12)
    np.testing.assert_allclose(found, values, atol=1e-12)
    np.testing.assert_allclose(np.abs(own), np.abs(vectors), atol=1e-9)
    assert own.dtype == matrices.dtype
    assert len(small) == 1


@pytest.mark.parametrize(
    ("structure", "directions"),
    [(SALT, None), (IRON, np.ones((2, 1))), (IRON, np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))],
    ids=["salt", "one axis", "spinors"],
)
def test_features_are_those_of_numpy(small, structure, directions):
    wanted = features_of(solve(structure, directions))
    assert not small
    with on(CPU):
        found = features_of(solve(structure, directions))
    assert len(small) > 3
    for name, values in vars(wanted).items():
        np.testing.assert_allclose(getattr(found, name), values, atol=1e-8, err_msg=name)


def test_a_prediction_is_that_of_numpy(small, monkeypatch):
    wanted = predict(SALT, encut=200)
    assert not small
    monkeypatch.setattr("chgtools.start.prediction.computing_on", lambda name: on({"cpu": None, "cuda": CPU}[name]))
    _remembered.cache_clear()
    found = predict(SALT, encut=200, device="cuda")
    assert small
    np.testing.assert_allclose(found.data.total, wanted.data.total, atol=1e-8)


def test_small_matrices_and_code_outside_the_block_stay_with_numpy(monkeypatch):
    def refuses(*_):
        raise AssertionError("torch was called")

    monkeypatch.setattr(torch.linalg, "eigh", refuses)
    few, many = hermitian(dense.SMALLEST - 1, 1, real=True), hermitian(dense.SMALLEST, 1, real=True)
    with on(CPU):
        eigh(few)
        with pytest.raises(AssertionError, match="torch was called"):
            eigh(many)
        with on(None):
            eigh(many)
    eigh(many)


def test_errors_of_torch_are_those_of_numpy_or_a_sentence(small, monkeypatch):
    with on(CPU), pytest.raises(np.linalg.LinAlgError):
        eigh(np.full((1, 4, 4), np.nan))

    def too_large(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.linalg, "eigh", too_large)
    with on(CPU), pytest.raises(ChgtoolsError, match=r"too small for 2 matrices of 12 rows; compute with --device cpu"):
        eigh(hermitian(12))


def test_names_of_devices(monkeypatch):
    assert cli_options.DEVICES == dense.DEVICES
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cpu", "auto"):
        with computing_on(name):
            assert dense._DEVICE.get() is None
    with pytest.raises(SettingsError, match="sees no GPU here; wanted cpu or auto"), computing_on("cuda"):
        pass
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("cuda", "auto"):
        with computing_on(name):
            assert dense._DEVICE.get() == torch.device("cuda")
        assert dense._DEVICE.get() is None


@pytest.mark.parametrize("command", ["predict", "batch", "evaluate", "features"])
def test_a_gpu_that_is_not_there_ends_in_one_sentence(command, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    from made_entries import made_store

    store = made_store(tmp_path / "s.h5")
    (tmp_path / "POSCAR").write_text("Si\n1\n0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0\nSi\n2\nDirect\n0 0 0\n.25 .25 .25\n")
    (tmp_path / "list").write_text(f"{tmp_path}/POSCAR\n")
    before = sorted(tmp_path.iterdir())
    words = {
        "predict": ["predict", str(tmp_path / "POSCAR"), "-o", str(tmp_path / "CHGCAR")],
        "batch": ["predict", "--batch", str(tmp_path / "list")],
        "evaluate": ["evaluate", "si", str(store)],
        "features": ["dataset", "features", str(store)],
    }[command]
    result = CliRunner().invoke(main, [*words, "--device", "cuda"])
    assert result.exit_code == 1
    assert "sees no GPU here" in result.stderr
    assert result.stderr.count("Error") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_prediction_on_the_processor_imports_no_torch(tmp_path):
    code = """
import sys, chgtools
from chgtools.cell import Structure
chgtools.predict(Structure([[0, 2.7, 2.7], [2.7, 0, 2.7], [2.7, 2.7, 0]], ("Si",), (2,), [[0, 0, 0], [.25] * 3]))
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
