"""Hirshfeld charges: against a plain sum over images, a quadrature by scipy, and what physics asks of them."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import shared_path
from scipy.integrate import quad

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.charges import charges_of, charges_predicted, hirshfeld
from chgtools.charges.weights import END, TAIL, weight_table
from chgtools.cli import main
from chgtools.dcd.difference import difference_density
from chgtools.errors import ChgtoolsError, MismatchError
from chgtools.formats import chgcar
from chgtools.formats import difference_density as targets
from chgtools.libraries.choice import Source
from chgtools.libraries.library import DensityLibrary
from chgtools.start.superposition import superpose
from chgtools.volumetric import VolumetricData

SKEW = np.array([[4.0, 0.0, 0.0], [1.3, 3.6, 0.0], [-0.7, 0.9, 5.1]])
SHAPE = (8, 7, 10)
SOURCE_OF_NACL = Source(labels={"Na": "Na", "Cl": "Cl"})


def gaussian(label: str, zval: float, sigma: float) -> AtomicDensity:
    """zval electrons as exp(-r²/2σ²)."""
    q = np.arange(0, 12 / sigma, 0.02)
    return AtomicDensity(label, "H", zval, q, zval * np.exp(-0.5 * (q * sigma) ** 2), "made")


def n_of_gaussian(zval: float, sigma: float, r: np.ndarray) -> np.ndarray:
    return zval * np.exp(-0.5 * (r / sigma) ** 2) / (2 * np.pi * sigma**2) ** 1.5


def made(blocks: int = 1, lattice: np.ndarray = SKEW, shape: tuple[int, int, int] = SHAPE):
    """Two sorts of Gaussian atoms in a skew cell, with a density that is theirs and something more."""
    frac = [[0.12, 0.21, 0.33], [0.61, 0.55, 0.87], [0.9, 0.1, 0.6]]
    atoms = Structure(lattice, ("H", "He"), (2, 1), frac)
    densities = (gaussian("A", 1.0, 0.45), gaussian("B", 2.0, 0.6))
    rng = np.random.default_rng(11)
    fields = [np.asfortranarray(0.05 * rng.normal(size=shape)) for _ in range(blocks)]
    fields[0] += superpose(atoms, shape, densities)
    return VolumetricData("CHGCAR", atoms, fields), densities


def points(structure: Structure, shape: tuple[int, int, int]) -> np.ndarray:
    """(nx, ny, nz, 3) Å"""
    mesh = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    return np.stack(mesh, axis=-1) @ structure.lattice


def of_table(cubics, r: np.ndarray) -> np.ndarray:
    t = r / cubics.step
    n = np.minimum(t.astype(int), len(cubics.table) - 1)
    t = t - n
    c = cubics.table[n]
    value = c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))
    return np.where(r <= cubics.end, value, 0.0)


def plain(structure, densities, fields):
    """The twin: every image by itself. Returns the sums ∫ w (1, r - R) field, (n_fields, n_atoms, 4)."""
    shape = fields[0].shape
    r = points(structure, shape)
    tables = [weight_table(densities[group]) for group in structure.group_of_atom]
    images = np.array(list(product(range(-3, 4), repeat=3))) @ structure.lattice
    weights, vectors = [], []
    for table, place in zip(tables, structure.frac @ structure.lattice, strict=True):
        shifts = [r - place - image for image in images]
        vectors.append(shifts)
        weights.append([of_table(table, np.linalg.norm(shift, axis=-1)) for shift in shifts])
    total = np.sum(weights, axis=(0, 1))
    element = structure.volume / np.prod(shape)
    sums = np.zeros((len(fields), structure.n_atoms, 4))
    for f, field in enumerate(fields):
        for atom in range(structure.n_atoms):
            for weight, vector in zip(weights[atom], vectors[atom], strict=True):
                part = weight / total * field * element
                sums[f, atom, 0] += part.sum()
                sums[f, atom, 1:] += (part[..., None] * vector).sum(axis=(0, 1, 2))
    return sums


# The formula


def test_kernel_is_the_plain_sum_over_images():
    data, densities = made(blocks=2)
    result = hirshfeld(data, densities)
    difference = data.total - superpose(data.structure, data.shape, densities)
    charge, moment = plain(data.structure, densities, [difference, data.blocks[1]])
    assert np.abs(charge[:, 0]).max() > 0.01
    np.testing.assert_allclose(result.electrons, [1, 1, 2] + charge[:, 0], atol=1e-11)
    np.testing.assert_allclose(result.dipoles, -charge[:, 1:], atol=1e-11)
    np.testing.assert_allclose(result.moments, moment[:, 0], atol=1e-11)


@pytest.mark.parametrize("place", [-0.4, 0.2, 0.9])
def test_two_gaussians_are_shared_as_the_quadrature_says(place):
    """Gaussians of one width: w_A is a logistic function along their line, so ∫ w_A δ is an integral over x alone."""
    box, sigma, apart, more, width = 9.0, 0.6, 1.2, 0.1, 0.35
    middle = np.full(3, box / 2)
    positions = middle + [[-apart / 2, 0, 0], [apart / 2, 0, 0]]
    atoms = Structure(np.eye(3) * box, ("H", "He"), (1, 1), positions / box)
    densities = (gaussian("A", 1.0, sigma), gaussian("B", 2.0, sigma))
    shape = (90, 90, 90)
    r = points(atoms, shape) - middle
    extra = n_of_gaussian(more, width, np.linalg.norm(r - [place, 0, 0], axis=-1))
    data = VolumetricData("CHGCAR", atoms, [np.asfortranarray(superpose(atoms, shape, densities) + extra)])
    result = hirshfeld(data, densities)

    def share(x):
        line = np.exp(-0.5 * ((x - place) / width) ** 2) / np.sqrt(2 * np.pi) / width
        return line / (1 + 2 * np.exp(x * apart / sigma**2))

    wanted = quad(share, place - 9 * width, place + 9 * width, epsabs=1e-12)[0] * more
    moved = quad(lambda x: share(x) * (x + apart / 2), place - 9 * width, place + 9 * width, epsabs=1e-12)[0] * more
    np.testing.assert_allclose(result.charges, [-wanted, -(more - wanted)], atol=1e-6)
    assert result.dipoles[0] == pytest.approx([-moved, 0, 0], abs=1e-6)


def test_weights_are_the_atoms_and_decay_as_bound_states_do():
    for label in ("H", "O", "Na", "Fe_pv", "Cs_sv"):
        density = DensityLibrary.builtin("PBE")[label]
        table = weight_table(density)
        r = np.arange(0.05, table.end, 0.05)
        weight, n = of_table(table, r), density.density(r)
        seen = r < r[np.flatnonzero(n > 1.5 * TAIL)[-1]]
        np.testing.assert_allclose(weight[seen], n[seen], rtol=1e-4, atol=3e-8)  # tables ring by 1e-8
        assert (weight > 0).all()
        outer = r[~seen][6:]
        slope = np.diff(np.log(of_table(table, outer))) / 0.05
        np.testing.assert_allclose(slope, slope[0], rtol=1e-3)
        assert -8 < slope[0] < -1
        assert of_table(table, np.array([table.end - 1e-9]))[0] == pytest.approx(TAIL * END, rel=1e-3)


# What physics asks


def test_superposed_atoms_have_no_charge():
    data, densities = made()
    alone = VolumetricData("CHGCAR", data.structure, [superpose(data.structure, SHAPE, densities)])
    result = hirshfeld(alone, densities)
    assert (result.charges == 0).all()
    assert (result.dipoles == 0).all()
    assert result.moments is None


def test_electrons_add_up_to_those_of_the_file():
    data, densities = made(blocks=4)
    result = hirshfeld(data, densities)
    assert result.electrons.sum() == pytest.approx(data.electrons, abs=1e-12)
    np.testing.assert_allclose(result.moments.sum(axis=0), [data.integral(b) for b in (1, 2, 3)], atol=1e-12)


def test_electrons_in_vacuum_are_shared_and_told():
    atoms = Structure(np.diag([4.0, 4.0, 40.0]), ("H", "He"), (1, 1), [[0, 0, 0.5], [0.5, 0.5, 0.52]])
    densities = (gaussian("A", 1.0, 0.45), gaussian("B", 2.0, 0.6))
    shape = (8, 8, 80)
    density = superpose(atoms, shape, densities)
    far = np.abs(np.arange(80) - 40) > 30
    density[:, :, far] += 1e-3
    result = hirshfeld(VolumetricData("CHGCAR", atoms, [density]), densities)
    vacuum = far.sum() / 80 * 640 * 1e-3
    assert result.remainder == pytest.approx(vacuum, rel=1e-9)
    np.testing.assert_allclose(result.charges, [-vacuum / 3, -2 * vacuum / 3], rtol=1e-9)
    assert np.abs(result.dipoles).max() < 1e-12


def test_moving_all_by_grid_points_changes_nothing():
    data, densities = made(blocks=2)
    step = np.array([5, -3, 7])
    moved = VolumetricData(
        "CHGCAR",
        data.structure.with_changes(frac=data.structure.frac + step / SHAPE),
        [np.asfortranarray(np.roll(block, step, axis=(0, 1, 2))) for block in data.blocks],
    )
    here, there = hirshfeld(data, densities), hirshfeld(moved, densities)
    for name in ("electrons", "dipoles", "moments"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-10)


def test_a_supercell_repeats_the_charges():
    data, densities = made(blocks=2)
    lattice = data.structure.lattice * [[1], [2], [1]]
    frac = np.concatenate([[f * [1, 0.5, 1], f * [1, 0.5, 1] + [0, 0.5, 0]] for f in data.structure.frac])
    twice = VolumetricData(
        "CHGCAR",
        Structure(lattice, ("H", "He"), (4, 2), frac),
        [np.asfortranarray(np.tile(block, (1, 2, 1))) for block in data.blocks],
    )
    one, two = hirshfeld(data, densities), hirshfeld(twice, densities)
    np.testing.assert_allclose(two.charges, np.repeat(one.charges, 2), atol=1e-7)
    np.testing.assert_allclose(two.dipoles, np.repeat(one.dipoles, 2, axis=0), atol=1e-7)
    np.testing.assert_allclose(two.moments, np.repeat(one.moments, 2), atol=1e-7)


def test_charges_and_dipoles_give_the_dipole_of_a_molecule():
    """Σ q R + p = Σ ZVAL R - ∫ρ r, which a box cuts nowhere."""
    box = np.array([9.0, 8.0, 10.0])
    atoms = Structure(np.diag(box), ("H", "He"), (1, 1), [[0.45, 0.5, 0.47], [0.55, 0.52, 0.55]])
    densities = (gaussian("A", 1.0, 0.5), gaussian("B", 2.0, 0.6))
    shape = (48, 40, 54)
    r = points(atoms, shape)
    density = superpose(atoms, shape, densities)
    for place, electrons in (([4.2, 4.0, 5.0], 0.2), ([5.1, 4.3, 5.2], -0.2)):
        density += n_of_gaussian(electrons, 0.5, np.linalg.norm(r - place, axis=-1))
    result = hirshfeld(VolumetricData("CHGCAR", atoms, [density]), densities)
    positions = atoms.frac @ atoms.lattice
    electronic = (density[..., None] * r).sum(axis=(0, 1, 2)) * atoms.volume / np.prod(shape)
    dipole = result.charges @ positions + result.dipoles.sum(axis=0)
    np.testing.assert_allclose(dipole, result.zvals @ positions - electronic, atol=1e-6)
    assert dipole == pytest.approx([0.2 * 0.9, 0.2 * 0.3, 0.2 * 0.2], abs=1e-6)


def test_groups_of_one_density_are_one():
    data, densities = made()
    split = data.structure.with_changes(species=("H", "H", "He"), counts=(1, 1, 1), labels=())
    once = hirshfeld(data, densities)
    again = hirshfeld(VolumetricData("CHGCAR", split, data.blocks), (densities[0], densities[0], densities[1]))
    assert (again.charges == once.charges).all()
    assert again.labels == ("A", "A", "B")


def test_a_difference_density_is_as_good_as_the_file(tmp_path):
    data, densities = made(blocks=2)
    factor = 4 / data.electrons
    data.blocks[0] *= factor
    whole = hirshfeld(data, densities)
    target = difference_density(data, densities=densities)
    targets.write(target, tmp_path / "x.dcd.h5", keep_saed=False)
    read = hirshfeld(targets.read(tmp_path / "x.dcd.h5"), densities)
    np.testing.assert_allclose(read.charges, whole.charges, atol=1e-12)
    np.testing.assert_allclose(read.moments, whole.moments, atol=1e-12)


# What cannot be used


def test_other_files_and_atoms_are_refused():
    data, densities = made()
    with pytest.raises(ChgtoolsError, match="is a LOCPOT; wanted a CHGCAR"):
        hirshfeld(VolumetricData("LOCPOT", data.structure, data.blocks), densities)
    with pytest.raises(MismatchError, match="found 1 densities for 2 groups"):
        hirshfeld(data, densities[:1])
    data.blocks[0] *= 4 / data.electrons
    target = difference_density(data, densities=densities)
    with pytest.raises(MismatchError, match=r"was made with 2 electrons of B, found 3 \(C, made\)"):
        hirshfeld(target, (densities[0], gaussian("C", 3.0, 0.6)))


# Real files


def test_sodium_gives_to_chlorine():
    result = charges_of(shared_path("corpus", "pymatgen__Na1Cl1-2", "CHGCAR.gz"), source=SOURCE_OF_NACL)
    assert result.charges == pytest.approx([0.179, -0.179], abs=0.005)
    assert np.abs(result.dipoles).max() < 1e-4
    assert result.by_element()["Na"] == (1, result.charges[0])


def test_partners_are_alike_in_antiferromagnetic_nickel_oxide():
    result = charges_of(shared_path("corpus", "matterviz__Ni2O2-4", "CHGCAR.gz"))
    nickel, other, oxygen, last = result.charges
    assert nickel == pytest.approx(other, abs=1e-5)
    assert oxygen == pytest.approx(last, abs=1e-5)
    assert 0.2 < nickel < 0.6
    assert oxygen < -0.2
    assert result.moments.shape == (4, 3)
    np.testing.assert_allclose(result.moments[0], -result.moments[1], atol=1e-3)
    assert 1.2 < abs(result.moments[0]).max() < 1.9
    assert np.abs(result.moments[2:]).max() < 1e-3


def test_a_molecule_of_one_element_has_dipoles_and_no_charge():
    result = charges_of(shared_path("corpus", "pydefect__H2-2", "CHGCAR.gz"))
    assert np.abs(result.charges).max() < 1e-4
    bond = result.structure.frac[1] - result.structure.frac[0]
    axis = (bond - np.round(bond)) @ result.structure.lattice
    axis /= np.linalg.norm(axis)
    # electrons go into the bond, so the atoms' positive ends point away from each other
    assert result.dipoles[0] @ axis < -0.05
    np.testing.assert_allclose(result.dipoles[0], -result.dipoles[1], atol=1e-3)


def test_a_layer_with_vacuum():
    source = Source(labels={"Mo": "Mo", "S": "S"})
    result = charges_of(shared_path("corpus", "VaspBandUnfolding__Mo1S2-3", "CHGCAR.gz"), source=source)
    molybdenum, sulphur, other = result.charges
    assert molybdenum > 0.1
    assert sulphur == pytest.approx(other, abs=1e-4)
    assert abs(result.remainder) < 1e-4
    assert result.dipoles[1, 2] == pytest.approx(-result.dipoles[2, 2], abs=1e-3)


def test_difference_density_of_a_real_file(tmp_path):
    file = shared_path("corpus", "pymatgen__Na1Cl1-2", "CHGCAR.gz")
    target = difference_density(file, source=SOURCE_OF_NACL)
    targets.write(target, tmp_path / "nacl.dcd.h5")
    result = charges_of(tmp_path / "nacl.dcd.h5")
    np.testing.assert_allclose(result.charges, charges_of(file, source=SOURCE_OF_NACL).charges, atol=1e-10)
    with pytest.raises(MismatchError, match="other atoms were subtracted than those found for Na, Cl"):
        charges_of(tmp_path / "nacl.dcd.h5", source=Source(xc="LDA"))


def test_charges_before_any_calculation(tmp_path):
    poscar = tmp_path / "POSCAR"
    poscar.write_text("MgO\n1.0\n0 2.1 2.1\n2.1 0 2.1\n2.1 2.1 0\nMg O\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n")
    nothing = charges_predicted(poscar, model="none")
    assert (nothing.charges == 0).all()
    result = charges_predicted(poscar, model="base")
    assert 0.2 < result.charges[0] < 0.6
    assert result.charges.sum() == pytest.approx(0, abs=1e-6)
    assert "no calculation was made" in result.assumptions[-1]


# The command


def chgcar_of_nacl(folder):
    """A small CHGCAR whose sodium has lost electrons, with a magnetisation."""
    library = DensityLibrary.builtin("PBE")
    densities = (library["Na"], library["Cl"])
    atoms = Structure(np.full((3, 3), 2.8) - 2.8 * np.eye(3), ("Na", "Cl"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.5]])
    saed = superpose(atoms, (24, 24, 24), densities)
    ionic = superpose(atoms, (24, 24, 24), (library["Na"].weighted(0.5), library["Cl"].weighted(7.5 / 7)))
    path = folder / "CHGCAR"
    data = VolumetricData("CHGCAR", atoms, [ionic, 0.1 * (saed - ionic)], moments=[np.ones(2)])
    chgcar.write(data, path, "CHGCAR")
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["charges", *map(str, arguments)])


LABELS = ("--label", "Na=Na", "--label", "Cl=Cl")


def test_table_json_and_picture(tmp_path, monkeypatch):
    chgcar_of_nacl(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = run("CHGCAR", *LABELS, "-o", "charges.png")
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "CHGCAR: Na1Cl1, Hirshfeld charges (e), moments (μ_B), dipoles (e Å)"
    facts = json.loads(run("CHGCAR", *LABELS, "--json").stdout)
    sodium, chlorine = facts["atoms"]
    assert sodium["charge"] > 0.05
    assert chlorine["charge"] == pytest.approx(-sodium["charge"], abs=1e-6)
    assert facts["electrons"] == pytest.approx(8, abs=1e-6)
    assert facts["moment"] == pytest.approx(sodium["moment"] + chlorine["moment"])
    assert f"Na {sodium['charge']:+.3f} (1), Cl {chlorine['charge']:+.3f} (1)" in lines[1]
    assert lines[4].split()[:2] == ["1", "Na"]
    assert lines[4].split()[4] == f"{sodium['charge']:+.4f}"
    assert lines[6].split()[0] == "sum"
    assert (tmp_path / "charges.png").read_bytes().startswith(b"\x89PNG")
    assert run("CHGCAR", *LABELS, "-o", "charges.png").exit_code == 2


def test_bad_input_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chgcar_of_nacl(tmp_path)
    (tmp_path / "POSCAR").write_text("Si\n1.0\n3 0 0\n0 3 0\n0 0 3\nSi\n1\nDirect\n0 0 0\n")
    poscar = run("POSCAR")
    assert poscar.exit_code == 1
    assert "--predict tells the charges of a POSCAR" in poscar.stderr
    wrong = run("CHGCAR", "--label", "Na=Na_pv")
    assert wrong.exit_code == 1
    assert "--label Na=Na --label Cl=Cl" in wrong.stderr
    assert run("CHGCAR", "--model", "si").exit_code == 2
    assert run("CHGCAR", "POSCAR", "--predict").exit_code == 2
    name = run("CHGCAR", *LABELS, "-o", "charges.txt")
    assert name.exit_code == 1
    assert "a picture's name ends in" in name.stderr
    assert not (tmp_path / "charges.txt").exists()
