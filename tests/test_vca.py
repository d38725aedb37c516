"""VCA: species are weighted, and those that share a place are counted with their weights, once."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from made_atoms import atom
from made_models import small
from synthetic_chgcar import structure

import chgtools
from chgtools.cli import main
from chgtools.errors import MismatchError, SettingsError
from chgtools.formats import chgcar, poscar
from chgtools.formats import difference_density as targets
from chgtools.libraries.library import DensityLibrary
from chgtools.start.superposition import superpose
from chgtools.stores.build import BuildOptions, build

SHAPE = (12, 10, 16)
OCCUPANCIES = np.diag([2.0, 0.0, 2.0, 0.0])
ATOMS = [atom("Si", 4, (0, 0, 1, 1), OCCUPANCIES), atom("O", 6, (0, 0, 1, 1), OCCUPANCIES)]
WEIGHTS = (1.0, 0.7)


@pytest.fixture
def run(tmp_path):
    poscar.write(structure(), tmp_path / "POSCAR")
    (tmp_path / "INCAR").write_text("VCA = 1.0 0.7\n")
    DensityLibrary(ATOMS).write(tmp_path / "lib.h5")
    return tmp_path


def predict(run, **options):
    source, grid = chgtools.Source(library=run / "lib.h5"), chgtools.GridOptions(ngf=SHAPE)
    return chgtools.predict(run / "POSCAR", source=source, grid=grid, **options)


def species(atoms, group):
    """The atoms of one group alone."""
    return atoms.with_changes(
        species=atoms.species[group : group + 1],
        counts=atoms.counts[group : group + 1],
        labels=(),
        frac=atoms.frac[atoms.group_of_atom == group],
    )


def weighted_sum(atoms, weights):
    return sum(w * superpose(species(atoms, i), SHAPE, [ATOMS[i]]) for i, w in enumerate(weights))


def test_the_density_is_the_weighted_sum_of_the_species(run):
    made = predict(run)
    np.testing.assert_allclose(made.data.total, weighted_sum(structure(), WEIGHTS), atol=1e-12)
    assert made.data.electrons == pytest.approx(2 * 4 + 0.7 * 6, rel=1e-12)
    assert made.electrons_of_atoms == pytest.approx(12.2)
    place = run / "INCAR"
    assert f"{place}:1: VCA weighs the atoms, Si 1 (4 electrons), O 0.7 (4.2 electrons)" in made.assumptions
    bare = chgtools.saed(run / "POSCAR", SHAPE, source=chgtools.Source(library=run / "lib.h5"))
    np.testing.assert_array_equal(bare, made.data.total)


def test_nelect_counts_from_the_weighted_atoms(run):
    made = predict(run, nelect=12.0)
    assert made.data.electrons == pytest.approx(12, rel=1e-12)
    assert any("from the atoms' 12.2 to NELECT = 12" in sentence for sentence in made.assumptions)


def test_no_weights_of_a_model_are_used(run):
    made = predict(run, model=small())
    np.testing.assert_array_equal(made.data.total, predict(run, model="none").data.total)
    assert (made.model, made.model_reason) == ("none", "VCA")
    assert any("no weights of a model have seen such atoms" in sentence for sentence in made.assumptions)
    (run / "INCAR").write_text("VCA = 1 1\n")
    assert predict(run, model=small()).model == "test"


def test_occupancies_are_those_of_whole_atoms_and_moments_are_magmoms(run):
    (run / "INCAR").write_text("VCA = 1.0 0.7\nISPIN = 2\nMAGMOM = 1 1 2\n")
    made = predict(run)
    (run / "INCAR.whole").write_text("ISPIN = 2\nMAGMOM = 1 1 2\n")
    whole = predict(run, incar=run / "INCAR.whole")
    for mine, theirs in zip(made.data.augmentation[0].real, whole.data.augmentation[0].real, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert made.data.integral(1) == pytest.approx(4, rel=1e-9)
    # the moment's share of the open shell's occupancies: m/(w n), since their charge is weighted
    share = made.data.augmentation[1].real[2] / np.where(
        made.data.augmentation[0].real[2], made.data.augmentation[0].real[2], 1
    )
    assert share.max() == pytest.approx(2 / (0.7 * 3))
    for said in ("VCA: the occupancies are those of whole atoms", "VCA: MAGMOM is taken for the whole moment"):
        assert any(said in sentence for sentence in made.assumptions)


@pytest.mark.parametrize("values", ["0.7", "1.0 0.7 0.3"])
def test_another_number_of_weights_is_refused(run, values):
    (run / "INCAR").write_text(f"\nVCA = {values}\n")
    wanted = rf"INCAR:2: VCA has {len(values.split())} values, Si2O1 has 2 species; VASP wants one for each"
    with pytest.raises(SettingsError, match=wanted):
        predict(run)


def test_weights_that_are_not_positive_are_refused(run):
    (run / "INCAR").write_text("VCA = 1 0\n")
    with pytest.raises(SettingsError, match="INCAR:1: found VCA = 0; wanted positive weights"):
        predict(run)


@pytest.fixture
def mixed(run):
    """A species of each kind on each of two places, as the VASP wiki's Ge and Sn."""
    places = np.array([[0.1, 0.2, 0.3], [0.6, 0.55, 0.8]])
    atoms = structure().with_changes(counts=(2, 2), frac=np.concatenate([places, places + [1, 0, -1]]))
    poscar.write(atoms, run / "POSCAR")
    (run / "INCAR").write_text("VCA = 0.6 0.4\n")
    return run


def test_species_on_one_place_are_one_mixed_atom(mixed):
    made = predict(mixed)
    both = species(made.data.structure, 0)
    wanted = 0.6 * superpose(both, SHAPE, [ATOMS[0]]) + 0.4 * superpose(both, SHAPE, [ATOMS[1]])
    np.testing.assert_allclose(made.data.total, wanted, atol=1e-12)
    assert made.data.electrons == pytest.approx(2 * (0.6 * 4 + 0.4 * 6), rel=1e-12)


def test_species_on_one_place_are_refused_without_vca(mixed):
    (mixed / "INCAR").write_text("")
    with pytest.raises(MismatchError, match=r"atoms 1 and 3 are 0\.000 Å apart; .*weighted by VCA"):
        predict(mixed)


def test_atoms_of_one_species_on_one_place_are_refused_with_vca(mixed):
    frac = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]])
    poscar.write(structure().with_changes(counts=(2, 2), frac=frac), mixed / "POSCAR")
    with pytest.raises(MismatchError, match=r"atoms 1 and 2 are 0\.000 Å apart; check the positions$"):
        predict(mixed)


def test_the_difference_density_counts_from_weighted_atoms(mixed):
    made = predict(mixed)
    wave = np.asfortranarray(np.broadcast_to(0.01 * np.sin(2 * np.pi * np.arange(12) / 12)[:, None, None], SHAPE))
    made.data.blocks[0] += wave
    chgcar.write(made.data, mixed / "CHGCAR")
    target = chgtools.difference_density(mixed / "CHGCAR", source=chgtools.Source(library=mixed / "lib.h5"))
    np.testing.assert_allclose(target.dcd, wave, atol=2e-9)
    assert target.zvals == pytest.approx((2.4, 2.4))
    assert target.electrons == pytest.approx(9.6, rel=1e-9)
    assert target.provenance["vca"] == "0.6 0.4"
    assert any("INCAR:1: VCA weighs the atoms" in sentence for sentence in target.assumptions)
    # a store holds whole atoms, from a target or from the CHGCAR
    targets.write(target, mixed / "x.h5")
    for file in ("x.h5", "CHGCAR"):
        options = BuildOptions(source=chgtools.Source(library=mixed / "lib.h5"))
        (outcome,) = build(mixed / "store.h5", [(mixed / file, None)], options)
        assert outcome.status == "failed"
        assert "its atoms are weighted (VCA = 0.6 0.4); a store is of whole atoms" in outcome.error


def test_an_incar_that_cannot_be_read_is_left_out_of_a_target(run):
    (run / "INCAR").write_text("")
    chgcar.write(predict(run).data, run / "CHGCAR")
    (run / "INCAR").write_text("NSW = many\n")
    target = chgtools.difference_density(run / "CHGCAR", source=chgtools.Source(library=run / "lib.h5"))
    assert any("INCAR beside the file is not used: " in sentence for sentence in target.assumptions)
    assert target.zvals == (4, 6)


def test_labels_are_named_by_weighted_electrons(run):
    """Electrons of Si2O with 0.7 of O; the labels of other valences are weighted alike."""
    (run / "INCAR").write_text("VCA = 0.5 0.7\n")
    chgcar.write(predict(run).data, run / "CHGCAR")
    wrong = [atom("Si", 12), ATOMS[1]]
    DensityLibrary(wrong).write(run / "wrong.h5")
    with pytest.raises(MismatchError, match="--label Si=Si --label O=O"):
        chgtools.difference_density(run / "CHGCAR", source=chgtools.Source(library=run / "wrong.h5"))


# the wiki's own cell and NaCl with nine tenths of Cl, with VASP's valences: Na 1, Cl 7, Ge_d 14, Sn_d 14
REAL = {"vca-nacl": (4 * 1 + 4 * 0.9 * 7, ["--label", "Na=Na"]), "vca-one-site": (2 * (0.9 * 14 + 0.1 * 14), [])}


@pytest.mark.parametrize("command", ["predict", "saed"])
@pytest.mark.parametrize("name", REAL)
def test_the_inputs_of_the_collection(name, command, tmp_path):
    electrons, labels = REAL[name]
    arguments = [command, str(shared_path("inputs", name) / "POSCAR"), "-o", str(tmp_path / "CHGCAR"), *labels]
    done = CliRunner().invoke(main, [*arguments, "--encut", "100"])
    assert done.exit_code == 0, done.output
    assert f"{electrons:.6f} electrons" in done.stdout
    assert "VCA weighs the atoms" in done.stderr
    assert chgcar.read(tmp_path / "CHGCAR").electrons == pytest.approx(electrons, rel=1e-8)
