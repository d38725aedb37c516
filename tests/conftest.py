"""Shared by all tests: where the real files are, and what to do when they are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("chgtools", deadline=None)  # a busy machine is no failure
settings.load_profile("chgtools")
if "PYTEST_XDIST_WORKER" in os.environ:  # two processes share the cores; before NumPy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
SHARED = Path(os.environ.get("CHGTOOLS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared_path(*parts: str) -> Path:
    """Path of a file in the folder of real data beside the checkout; skips the test when it is not there."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the real data {'/'.join(parts)} (folder shared beside the checkout, or CHGTOOLS_SHARED)")
    return path


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """Undamaged CHGCARs by their number of blocks, to be damaged: (text, what VASP knows of it)."""
    from damages import make_originals

    return make_originals(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="module")
def no_cache_of_the_user(tmp_path_factory):
    """What is computed for a training goes to a folder of the test's, not to the cache of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def store_of_molecules(tmp_path_factory):
    from made_molecules import write_store

    return write_store(tmp_path_factory.mktemp("data") / "some.h5")
