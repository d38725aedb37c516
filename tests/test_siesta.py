"""SIESTA's .RHO with its .XV: files of the layout, which sisl reads the same where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_archives import archive

import chgtools
from chgtools.elements import SYMBOLS
from chgtools.errors import FormatError
from chgtools.formats import densities_in
from chgtools.units import BOHR_ANGSTROM

CELL = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]]) / BOHR_ANGSTROM  # bohr
FRAC = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 0.5], [0.7, 0.6, 0.05]])
SHAPE = (6, 5, 7)


def record(*values: np.ndarray) -> bytes:
    body = b"".join(value.tobytes() for value in values)
    mark = np.array([len(body)], "<i4").tobytes()
    return mark + body + mark


def write(folder: Path, spins: list[np.ndarray]) -> Path:
    """spins : float32 (nx, ny, nz), electrons/bohr³, the total or up and down"""
    rows = [record(spin[:, y, z].astype("<f4")) for spin in spins for z in range(SHAPE[2]) for y in range(SHAPE[1])]
    path = folder / "x.RHO"
    path.write_bytes(record(CELL) + record(np.array([*SHAPE, len(spins)], "<i4")) + b"".join(rows))
    lines = [f"{x:18.9f}{y:18.9f}{z:18.9f}    0.0 0.0 0.0" for x, y, z in CELL] + [f"{len(FRAC):12d}"]
    for symbol, position in zip(("Fe", "O", "O"), FRAC @ CELL, strict=True):
        place = "".join(f"{x:18.9f}" for x in position)
        lines.append(f"{1:3d}{SYMBOLS.index(symbol) + 1:6d}{place}    0.0 0.0 0.0")
    (folder / "x.XV").write_text("\n".join(lines) + "\n")
    return path


def random(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(i).random(SHAPE).astype("f4") for i in range(count)]


def test_total(tmp_path):
    (total,) = random(1)
    data = chgtools.read(write(tmp_path, [total]))
    np.testing.assert_allclose(data.total, total.astype(float) / BOHR_ANGSTROM**3, rtol=1e-12)
    assert data.total.flags.f_contiguous
    np.testing.assert_allclose(data.structure.lattice, CELL * BOHR_ANGSTROM, rtol=1e-14)
    np.testing.assert_allclose(data.structure.frac, FRAC, atol=1e-8)
    assert (data.structure.species, data.structure.counts) == (("Fe", "O"), (1, 2))
    volume = abs(np.linalg.det(CELL))
    assert data.electrons == pytest.approx(total.mean(dtype=float) * volume)


def test_up_and_down_are_total_and_magnetisation(tmp_path):
    up, down = random(2)
    data = chgtools.read(write(tmp_path, [up, down]))
    both = [(up.astype(float) + sign * down) / BOHR_ANGSTROM**3 for sign in (1, -1)]
    np.testing.assert_allclose(data.blocks, both, atol=1e-12)


def test_sisl_reads_the_same(tmp_path):
    sisl = pytest.importorskip("sisl", reason="needs sisl")
    path = write(tmp_path, random(1))
    theirs = sisl.get_sile(path).read_grid()
    np.testing.assert_allclose(chgtools.read(path).total, theirs.grid, rtol=1e-5)  # sisl's bohr
    atoms = sisl.get_sile(path.with_suffix(".XV")).read_geometry()
    np.testing.assert_allclose(chgtools.read(path).structure.frac, atoms.fxyz, atol=1e-8)


def test_in_an_archive(tmp_path):
    path = write(tmp_path, random(1))
    made = archive(
        tmp_path / "a.tar.gz", [(f"r/{each.name}", each.read_bytes()) for each in (path, path.with_suffix(".XV"))]
    )
    assert [str(each).partition(":")[2] for each in densities_in(f"{made}:*")] == ["r/x.RHO"]
    assert np.array_equal(chgtools.read(f"{made}:r/x.RHO").total, chgtools.read(path).total)


def test_a_difference_of_siesta_has_the_same_layout(tmp_path):
    path = write(tmp_path, random(2))
    path.rename(tmp_path / "x.DRHO")
    up, down = random(2)
    data = chgtools.read(tmp_path / "x.DRHO")
    np.testing.assert_allclose(data.total, (up.astype(float) + down) / BOHR_ANGSTROM**3, atol=1e-12)
    assert data.structure.counts == (1, 2)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def longer(path):
    path.with_suffix(".XV").write_text(path.with_suffix(".XV").read_text().replace("7.55", "8.55", 1))


def garbled(path):
    raw = bytearray(path.read_bytes())
    raw[-4:] = b"\1\2\3\4"
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cut, "its mesh 6 x 5 x 7 needs"),
        (garbled, "is damaged within the density"),
        (longer, "is of another cell than the"),
        (lambda path: path.with_suffix(".XV").unlink(), "has no x.XV beside it"),
        (lambda path: path.with_suffix(".XV").write_text("nothing"), "is no .XV of SIESTA"),
    ],
)
def test_what_is_damaged_is_told(change, words, tmp_path):
    path = write(tmp_path, random(1))
    change(path)
    with pytest.raises(FormatError, match=words):
        chgtools.read(path)


def test_four_components_are_refused(tmp_path):
    with pytest.raises(FormatError, match="has 4 spin components"):
        chgtools.read(write(tmp_path, random(4)))
