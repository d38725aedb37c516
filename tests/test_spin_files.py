"""Spin-polarised and non-collinear runs of real files: predict ends in a file with the same sections as VASP's own."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from conftest import SHARED, shared_path
from synthetic_potcar import write_synthetic_potcar

from chgtools.formats import chgcar, poscar
from chgtools.libraries.choice import Source
from chgtools.paw.records import record_length
from chgtools.run.grid import GridOptions
from chgtools.start.prediction import predict

D_METAL = (2, 2, 0, 0, 1, 1)
# file, blocks, (label, ZVAL, channels) of the groups: channels that give the records' length in VASP's own file
FILES = [
    ("VASPBERRY__Mo1S2-3/CHGCAR.gz", 4, [("Mo", 6, D_METAL), ("S", 6, (0, 0, 1, 1))]),
    ("aiida-vasp__GaAs-2/CHGCAR.gz", 4, [("Ga", 3, (0, 0, 1, 1, 2)), ("As", 5, (0, 0, 1, 1, 2))]),
    ("bader-rs__Ni1-1/CHGCAR_ncl.gz", 4, [("Ni", 10, D_METAL)]),
    ("bader-rs__Ni1-1/CHGCAR_spin.gz", 2, [("Ni", 10, D_METAL)]),
    ("pyiron__Fe1-1/CHGCAR_spin.gz", 2, [("Fe", 8, D_METAL)]),
    ("mp_workshop__Al1Cr2-3/CHGCAR.gz", 2, [("Al", 3, (0, 0, 1, 1)), ("Cr_pv", 12, D_METAL)]),
    ("atomate2__Si7-7/CHGCAR.gz", 2, [("Si", 4, (0, 0, 1, 1))]),
    ("pymatgen-db__Li2O1-3/CHGCAR.gz", 2, [("Li", 1, (0, 0, 1)), ("O", 6, (0, 0, 1, 1))]),
]


def test_the_channels_are_those_of_the_files():
    if not SHARED.exists():
        pytest.skip("needs the folder of real files")
    for name, blocks, sets in FILES:
        data = chgcar.read(shared_path("corpus", *name.split("/")))
        assert len(data.blocks) == blocks
        assert [data.augmentation[0].lengths[g] for g in np.cumsum([0, *data.structure.counts[:-1]])] == [
            record_length(channels) for _, _, channels in sets
        ]


def headers(lines: list[str]) -> list[str]:
    """What stands between the numbers of a file: the grid lines and the headers of records, in order."""
    grid = next(
        line for line in lines if len(line.split()) == 3 and line.replace(" ", "").isdigit() and len(line) == 15
    )
    return [line for line in lines if line.startswith("augmentation") or line == grid]


@pytest.mark.parametrize(("name", "blocks", "sets"), FILES, ids=[name.split("/")[0] + name[-12:] for name, *_ in FILES])
@pytest.mark.parametrize("model", ["none", "auto"])
def test_the_file_has_the_sections_of_the_real_one(name, blocks, sets, model, tmp_path):
    path = shared_path("corpus", *name.split("/"))
    real = chgcar.read(path)
    poscar.write(real.structure, tmp_path / "POSCAR")
    write_synthetic_potcar(tmp_path / "POTCAR", sets)
    moments = np.array(real.moments)  # (1 or 3, n_atoms)
    tags = "ISPIN = 2" if blocks == 2 else "LSORBIT = .TRUE."
    magmom = " ".join(f"{m:.6f}" for m in (moments[0] if blocks == 2 else moments.T).ravel())
    (tmp_path / "INCAR").write_text(f"{tags}\nMAGMOM = {magmom}\n")
    made = predict(
        tmp_path / "POSCAR", source=Source(potcar=tmp_path / "POTCAR"), grid=GridOptions(like=path), model=model
    )
    chgcar.write(made.data, tmp_path / "CHGCAR")
    back = chgcar.read(tmp_path / "CHGCAR")
    with gzip.open(path, "rt") as file:
        wanted = headers([line.rstrip("\n") for line in file])
    assert headers((tmp_path / "CHGCAR").read_text().splitlines()) == wanted
    assert len(back.blocks) == blocks
    assert [a.lengths for a in back.augmentation] == [a.lengths for a in real.augmentation]
    assert all((a.imaginary is None) == (blocks != 4) for a in back.augmentation)
    assert np.allclose(np.array(back.moments), moments, atol=1e-6)
    net = np.array([back.integral(i) for i in range(1, blocks)])
    learned = any("magnetisation: learned" in sentence for sentence in made.assumptions)
    if not learned:
        assert np.allclose(net, moments.sum(axis=1), atol=1e-5)
    elif np.linalg.norm(net) < 0.02 * np.abs(moments).sum():  # AlCr2 loses its moment, as in VASP's own run
        assert np.abs(net - [real.integral(i) for i in range(1, blocks)]).max() < 0.3
    elif moments.any():  # the size is learned, the direction is MAGMOM's
        assert net @ moments.sum(axis=1) > 0.99 * np.linalg.norm(net) * np.linalg.norm(moments.sum(axis=1))
    assert back.electrons == pytest.approx(sum(z * n for (_, z, _), n in zip(sets, real.structure.counts, strict=True)))
