"""A thousand damaged files: one clear error each, or the very numbers of the undamaged file; never anything else.

What no reader can see is left out: a digit that became another digit, a sign that became the other sign, a grid line
with its numbers exchanged, and whole sections missing from the end (then the file reads as a complete smaller one).
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from random_damage import apply, damage
from synthetic_chgcar import charge

from chgtools.errors import ChgtoolsError
from chgtools.formats import chgcar
from chgtools.volumetric import VolumetricData

CASES = [
    ("CHGCAR", 1, True),
    ("CHGCAR", 2, True),
    ("CHGCAR", 4, True),
    ("CHGCAR", 2, False),
    ("CHG", 2, False),
    ("LOCPOT", 2, False),
    ("ELFCAR", 2, False),
]


class Originals(list):
    """(kind, text, data as read) of each undamaged file; short to print when a test fails."""

    def __repr__(self) -> str:
        return "Originals()"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    made = Originals()
    for kind, blocks, records in CASES:
        data = charge(kind, (5, 4, 3), blocks, records)
        chgcar.write(data, folder / kind)
        made.append((kind, (folder / kind).read_bytes(), chgcar.read(folder / kind)))
    return made


def harmless(damaged: VolumetricData, original: VolumetricData) -> bool:
    """The same numbers, or those of a complete file with fewer sections."""
    if damaged.shape != original.shape or len(damaged.blocks) > len(original.blocks):
        return False
    same = all(np.array_equal(a, b) for a, b in zip(damaged.blocks, original.blocks, strict=False))
    for a, b in zip(damaged.augmentation, original.augmentation, strict=False):
        same &= len(a.real) == len(b.real) and all(np.array_equal(x, y) for x, y in zip(a.real, b.real, strict=True))
        if a.imaginary is not None and b.imaginary is not None:
            same &= all(np.array_equal(x, y) for x, y in zip(a.imaginary, b.imaginary, strict=True))
    same &= all(np.array_equal(a, b) for a, b in zip(damaged.moments, original.moments, strict=False))
    return bool(same and np.allclose(damaged.structure.frac, original.structure.frac, atol=0, rtol=0))


def undetectable(text: bytes, damaged: bytes) -> bool:
    """Edits that leave another well-formed file: only digits or signs changed, or the lines of moments."""
    if len(text) == len(damaged):
        old, new = np.frombuffer(text, np.uint8), np.frombuffer(damaged, np.uint8)
        places = np.flatnonzero(old != new)
        return len(places) < 6 and all(re.fullmatch(rb"[0-9+ -]", bytes([b])) for i in places for b in (old[i], new[i]))
    return False


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{k}-{b}{'-records' * r}" for k, b, r in CASES])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_noticed_or_harmless(case, originals, tmp_path, data):
    kind, text, original = originals[case]
    first = text.index(b"\n \n") + 3
    edit = data.draw(damage(len(text) - first))
    damaged = apply(text, edit, first)
    path = tmp_path / kind
    path.write_bytes(damaged)
    try:
        read = chgcar.read(path)
    except ChgtoolsError as error:
        message = str(error)
        assert re.match(rf".*{kind}:\d+: \S.+", message), message
        assert "\n" not in message
        line = int(re.search(r":(\d+): ", message).group(1))
        assert 1 <= line <= len(damaged.split(b"\n")) + 1  # the line behind the last where something is missing
        return
    assert harmless(read, original) or undetectable(text, damaged), edit


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), garbage=st.binary(min_size=1, max_size=6))
@example(at=0, garbage=b"\x00")
def test_damaged_headers_never_end_in_a_traceback(originals, tmp_path, at, garbage):
    kind, text, _ = originals[0]
    first = text.index(b"\n \n") + 3
    at %= first
    path = tmp_path / kind
    path.write_bytes(text[:at] + garbage + text[at + len(garbage) :])
    try:
        chgcar.read(path)
    except ChgtoolsError as error:
        assert re.match(rf".*{kind}(:\d+)?: \S.+", str(error))


@pytest.mark.parametrize("case", range(len(CASES)), ids=[f"{k}-{b}{'-records' * r}" for k, b, r in CASES])
@pytest.mark.parametrize("how", ["delete line", "double line", "join lines"])
def test_each_line_that_is_lost_doubled_or_joined(case, how, originals, tmp_path):
    """One after the other: the one line that passes for another (moments for the end of a record) is a line of forty."""
    kind, text, original = originals[case]
    first = text.index(b"\n \n") + 3
    at = 0
    for line in text[first:].splitlines(keepends=True):
        damaged = apply(text, (how, at, 1, b""), first)
        at += len(line)
        (tmp_path / kind).write_bytes(damaged)
        try:
            found = chgcar.read(tmp_path / kind)
        except ChgtoolsError:
            continue
        assert harmless(found, original) or undetectable(text, damaged), line
