"""Densities of Quantum ESPRESSO: what the tests wrote by the definition, and what pw.x and pp.x write."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path
from made_archives import archive
from made_espresso import sphere, write_save
from made_targets import difference

import chgtools
from chgtools.cell import Structure
from chgtools.errors import FormatError
from chgtools.formats import cube, densities_in, quantum_espresso
from chgtools.libraries.choice import Source
from chgtools.stores.build import BuildOptions, build, sources_of
from chgtools.stores.store import Store
from chgtools.units import BOHR_ANGSTROM

SHAPE = (6, 5, 8)
CELL = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])  # no two axes alike: a mix-up shows
ATOMS = Structure(CELL, ("Fe", "O", "Fe"), (1, 2, 1), np.random.default_rng(1).uniform(size=(4, 3)))


def fields(count: int, shape=SHAPE) -> list[np.ndarray]:
    """Random real fields without waves at the edge of an even grid, a sum of cosines at each point."""
    rng, miller = np.random.default_rng(count), sphere(shape)
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)
    phases = 2 * np.pi * points @ miller.T
    return [
        np.cos(phases) @ rng.normal(size=len(miller)) + np.sin(phases) @ rng.normal(size=len(miller))
        for _ in range(count)
    ]


@pytest.mark.parametrize("gamma_only", [False, True])
@pytest.mark.parametrize("kind", ["dat", "hdf5"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_densities_come_back(count, kind, gamma_only, tmp_path):
    blocks = fields(count)
    path = write_save(tmp_path / "x.save", ATOMS, blocks, kind, gamma_only)
    data = chgtools.read(path)
    assert (data.kind, data.shape, len(data.blocks)) == ("CHGCAR", SHAPE, count)
    for ours, theirs in zip(data.blocks, blocks, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
        assert ours.flags.f_contiguous
    np.testing.assert_allclose(data.structure.lattice, CELL, atol=1e-12)
    np.testing.assert_allclose(data.structure.frac, ATOMS.frac, atol=1e-12)
    assert (data.structure.species, data.structure.counts) == (("Fe", "O", "Fe"), (1, 2, 1))


@pytest.mark.parametrize(("label", "element"), [("Fe", "Fe"), ("Fe2", "Fe"), ("FE_up", "Fe"), ("C1", "C"), ("Cx", "C")])
def test_species_name_elements(label, element):
    assert quantum_espresso._element(label) == element


def test_a_compressed_one_and_one_in_an_archive(tmp_path):
    path = write_save(tmp_path / "x.save", ATOMS, fields(1))
    members = [(f"run/x.save/{each.name}", each.read_bytes()) for each in path.parent.iterdir()]
    made = archive(tmp_path / "a.tar.gz", members)
    assert [str(each).partition(":")[2] for each in densities_in(f"{made}:*")] == ["run/x.save/charge-density.dat"]
    first = chgtools.read(f"{made}:run/x.save/charge-density.dat")
    (tmp_path / "x.save/charge-density.dat.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(first.total, chgtools.read(f"{path}.gz").total)


def broken(tmp_path, change, kind="dat"):
    path = write_save(tmp_path / "x.save", ATOMS, fields(2), kind)
    change(path)
    with pytest.raises(FormatError) as caught:
        chgtools.read(path)
    return str(caught.value)


def schema(pattern: str, by: str):
    def change(path: Path) -> None:
        place = path.parent / "data-file-schema.xml"
        place.write_text(re.sub(pattern, by, place.read_text(), count=1))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "ends or breaks off within rhodiff_g"),
        (lambda path: path.write_bytes(path.read_bytes() + b"more"), "goes on behind its 2 spin components"),
        (lambda path: (path.parent / "data-file-schema.xml").unlink(), "has no data-file-schema.xml beside it"),
        (schema("nr1='6'", "nr1='4'"), "do not go with the grid 4 x 5 x 8"),
        (schema("nr1='6'", "nr1='600000'"), "do not go with the grid 600000 x 5 x 8"),
        (schema("<a1>[^ ]*", "<a1>9.0"), "is of another cell than the data-file-schema.xml"),
        (schema("name='Fe1'", "name='Qq'"), "the species 'Qq' names no element"),
        (schema("</output>", ""), "is damaged or of a version that is not known"),
        (schema("<fft_grid[^>]*>", ""), "no basis_set/fft_grid"),
    ],
)
def test_what_is_damaged_is_told(change, words, tmp_path):
    assert words in broken(tmp_path, change)


def test_coefficients_of_no_real_field_are_told(tmp_path):
    def change(path):
        raw = bytearray(path.read_bytes())
        at = 20 + 80 + 8 + 12 * len(sphere(SHAPE)) + 4
        raw[at : at + 16] = np.array([3.0 + 5.0j]).tobytes()
        path.write_bytes(raw)

    assert "of no real density" in broken(tmp_path, change)


def test_a_store_of_hdf5_densities(tmp_path):
    """By its content: an .hdf5 is neither a store nor a target of chgtools."""
    made = difference()
    path = write_save(tmp_path / "x.save", made.structure, [made.dcd + made.saed], "hdf5")
    assert sources_of([path]) == [(path, None)]
    (outcome,) = build(tmp_path / "all.h5", sources_of([path]))
    assert outcome.status in ("added", "failed")
    assert "is no store" not in outcome.error


PW = """&control calculation='scf' prefix='x' outdir='.' pseudo_dir='.' /
&system ibrav=0 nat=2 ntyp=1 ecutwfc=12.0 occupations='smearing' smearing='cold' degauss=0.01 /
&electrons conv_thr=1e-5 /
ATOMIC_SPECIES
Si1 1.0 Si.upf
CELL_PARAMETERS angstrom
0.1 2.7 2.7
2.7 0.0 2.75
2.7 2.6 0.0
ATOMIC_POSITIONS crystal
Si1 0.01 0.02 0.0
Si1 0.25 0.25 0.26
K_POINTS {}
"""
PP = """&inputpp prefix='x' outdir='.' plot_num={0} filplot='rho{0}' /
&plot nfile=1 iflag=3 output_format=6 fileout='rho{0}.cube' /
"""


@pytest.mark.skipif(shutil.which("pw.x") is None or shutil.which("pp.x") is None, reason="needs pw.x and pp.x")
@pytest.mark.parametrize("k_points", ["automatic\n2 1 1 0 0 0", "gamma"])
def test_what_pw_x_wrote_is_what_pp_x_plots(k_points, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    Path("Si.upf").write_bytes(gzip.decompress(shared_path("dft", "upf", "Si.upf.gz").read_bytes()))
    for program, text in (("pw.x", PW.format(k_points)), ("pp.x", PP.format(0)), ("pp.x", PP.format(9))):
        Path("in").write_text(text)
        subprocess.run([program, "-in", "in"], check=True, capture_output=True, timeout=120)
    density = Path("x.save/charge-density.dat")
    if not density.exists():
        density = density.with_suffix(".hdf5")
    ours = chgtools.read(density)
    with pytest.warns(UserWarning, match="no unit is stated"):
        theirs = cube.read("rho0.cube")
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.total, theirs.total, atol=5.1e-6 / BOHR_ANGSTROM**3)  # as E13.5 rounds
    apart = ours.structure.frac - theirs.structure.frac
    np.testing.assert_allclose(apart, np.round(apart), atol=1e-5)
    assert ours.electrons == pytest.approx(8, abs=1e-6)
    # the UPF files that pw.x puts into the folder are its POTCAR
    (outcome,) = build("all.h5", sources_of([density]))
    assert outcome.error == ""
    assert any("UPF files of x.save" in note for note in outcome.notes)
    entry = Store.open("all.h5")[outcome.names[0]]
    assert 1 < entry.attributes["saed_eps_mae_percent"] < 50  # at this cutoff silicon is far from converged
    # and pp.x's own difference from its atoms is the same as ours from the UPF file
    options = BuildOptions(source=Source(upf=Path(".")), difference=True)
    (outcome,) = build("given.h5", [(Path("rho9.cube"), None)], options)
    assert outcome.error == ""
    given = Store.open("given.h5")[outcome.names[0]]
    assert given.attributes["functional"] == entry.attributes["functional"] == "PBE"
    assert given.attributes["saed_eps_mae_percent"] == pytest.approx(entry.attributes["saed_eps_mae_percent"], abs=0.05)
    apart = np.abs(given.on_grid() - entry.on_grid()).mean() * given.structure.volume
    assert apart < 0.002 * 8
    (outcome,) = build("given.h5", [(Path("rho0.cube"), None)], options)
    assert "integrates to 8.0" in outcome.error
    assert "build from a whole density without --difference" in outcome.error
