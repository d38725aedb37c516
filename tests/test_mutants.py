"""The wrong edits of tests/mutants stand where they say and can be compiled; ``tests/mutants/run.py`` tries them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("number", range(1, len(MUTANTS) + 1))
def test_a_mutant_can_be_made(number):
    mutant = MUTANTS[number - 1]
    text = (ROOT / "chgtools" / mutant.file).read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} was changed: find a new place for this wrong edit"
    assert mutant.new not in (mutant.old, "old")
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
    for name in mutant.tests.split():
        assert (ROOT / "tests" / f"test_{name}.py").is_file()


def test_they_are_many_and_unlike():
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS) >= 70
    rooms = {m.file.partition("/")[0] for m in MUTANTS}
    assert rooms >= {"dcd", "fourier", "paw", "models", "training", "stores", "check", "start", "atoms", "run"}
