"""Charges of shells and moments in tight binding: Stoner's parameters, settled moments, how they turn, what they are in known magnets."""

from itertools import pairwise

import numpy as np
import pytest
from made_models import rotation, wigner

from chgtools.cell import Structure
from chgtools.radial_atom.configurations import atomic_number, ground_state
from chgtools.radial_atom.solver import solve_atom
from chgtools.radial_atom.xc import perdew_wang, spin_kernel
from chgtools.tightbinding.charges import interaction
from chgtools.tightbinding.electrons import (
    ENHANCEMENT,
    SPINOR,
    Bands,
    Electrons,
    Stoner,
    _orthogonal,
    filling,
    solve,
)
from chgtools.tightbinding.elements import element_of, exchange_of, hardnesses_of
from chgtools.tightbinding.features import N_SPINS, prior_features
from chgtools.tightbinding.hamiltonian import hamiltonian, own_conjugates
from chgtools.tightbinding.kmesh import k_mesh
from chgtools.tightbinding.pseudo_atom import pseudo_atom
from chgtools.tightbinding.shells import valence_shells
from chgtools.units import HARTREE_EV

LATTICE = np.array([[4.4, 0.1, -0.2], [0.9, 4.1, 0.3], [-0.6, 0.8, 4.7]])
FRAC = np.array([[0.05, 0.7, 0.6], [0.55, 0.2, 0.1], [0.1, 0.2, 0.7], [0.55, 0.7, 0.1]])
UP_DOWN = np.array([[1.0], [-1.0], [0.0], [0.0]])


def oxide(lattice=LATTICE, frac=FRAC):
    return Structure(lattice, ("Mn", "Fe", "O"), (1, 1, 2), frac)


def cubic(element, a, kind):
    vectors = {"bcc": np.ones((3, 3)) - 2 * np.eye(3), "fcc": 1 - np.eye(3)}[kind]
    return Structure(a / 2 * vectors, (element,), (1,), np.zeros((1, 3)))


def moments(made):
    """(n_atoms, n_components) μ_B"""
    return np.array([np.trace(block, axis1=1, axis2=2) for block in made.spin_blocks(filling)])


# --- Stoner's parameters ----------------------------------------------------------------------------------------------


def polarised_gas(n, zeta):
    """e(n, m) of the gas by its spin interpolation (J. P. Perdew and Y. Wang 1992, equation 8)."""

    def fitted(rs, a, a1, b1, b2, b3, b4):
        return -2 * a * (1 + a1 * rs) * np.log(1 + 1 / (2 * a * (b1 * rs**0.5 + b2 * rs + b3 * rs**1.5 + b4 * rs**2)))

    rs = (3 / (4 * np.pi * n)) ** (1 / 3)
    polarised = fitted(rs, 0.01554535, 0.20548, 14.1189, 6.1977, 3.3662, 0.62517)
    stiffness = -fitted(rs, 0.0168869, 0.11125, 10.357, 3.6231, 0.88026, 0.49671)
    unpolarised = perdew_wang(np.array([n]))[0][0]
    f = ((1 + zeta) ** (4 / 3) + (1 - zeta) ** (4 / 3) - 2) / (2 ** (4 / 3) - 2)
    f2 = 8 / (9 * (2 ** (4 / 3) - 2))
    correlation = unpolarised + stiffness * f / f2 * (1 - zeta**4) + (polarised - unpolarised) * f * zeta**4
    exchange = -0.75 * (3 * n / np.pi) ** (1 / 3) * ((1 + zeta) ** (4 / 3) + (1 - zeta) ** (4 / 3)) / 2
    return n * (exchange + correlation)


@pytest.mark.parametrize("n", [1e-3, 0.05, 1.0, 20.0])
def test_the_kernel_is_the_second_derivative_of_the_gas(n):
    step = 3e-3
    numeric = 2 * (polarised_gas(n, step) - polarised_gas(n, 0.0)) / (step * n) ** 2
    assert spin_kernel(np.array([n]))[0] == pytest.approx(numeric, rel=3e-4)


@pytest.mark.parametrize(("element", "wanted"), [("Fe", 0.92), ("Co", 0.98), ("Ni", 1.01), ("Pd", 0.68)])
def test_parameters_of_metals_are_those_of_the_literature(element, wanted):
    """Twice J. F. Janak's I, Phys. Rev. B 16, 255 (1977), table I, in eV."""
    shells = [shell.ell for shell in element_of(element).shells]
    d = element_of(element).exchange[shells.index(2), shells.index(2)] * HARTREE_EV
    assert d == pytest.approx(wanted, rel=0.12)


def test_the_table_holds_what_the_atoms_give():
    atom = pseudo_atom("Fe")
    free = solve_atom(atomic_number("Fe"), ground_state("Fe"), "PBE", True)
    assert np.allclose(atom.density, free.density)
    orbitals = [np.interp(atom.mesh.r, np.linspace(0, 20, 401), row) for row in element_of("Fe").orbitals]
    made = exchange_of(atom, orbitals)
    assert np.allclose(made, made.T)
    assert np.allclose(made, element_of("Fe").exchange, rtol=5e-3)


def test_fields_are_those_of_the_own_atom_alone():
    made = hamiltonian(oxide())
    stoner = Stoner(made)
    shells = [shell for basis in made.bases for shell in basis.shells]
    given = np.zeros((len(shells), 1))
    d = [shell.ell for shell in made.bases[0].shells].index(2)
    given[d] = 3.0
    fields = stoner.fields(given)[:, 0]
    width = made.starts[1]
    assert not fields[width:].any()
    exchange = ENHANCEMENT * element_of("Mn").exchange
    ends = np.cumsum([0] + [2 * shell.ell + 1 for shell in made.bases[0].shells])
    for shell, (start, end) in enumerate(pairwise(ends)):
        assert np.allclose(fields[start:end], 1.5 * exchange[shell, d])  # a level moves by half the splitting


# --- charges of shells -----------------------------------------------------------------------------------------------


def test_hardnesses_are_those_of_the_free_atom():
    iron = element_of("Fe")
    s, p, d = ([shell.ell for shell in iron.shells].index(ell) for ell in (0, 1, 2))
    assert np.allclose(iron.hardnesses, iron.hardnesses.T)
    assert iron.hardnesses[s, s] == pytest.approx(iron.hardness)
    # a d electron repels another far more than an s electron does
    assert iron.hardnesses[d, d] * HARTREE_EV == pytest.approx(11.7, abs=0.5)
    assert iron.hardnesses[p, p] < iron.hardnesses[s, p] < iron.hardnesses[s, s] < iron.hardnesses[s, d]
    atom = pseudo_atom("Na")
    orbitals = [np.interp(atom.mesh.r, np.linspace(0, 20, 401), row) for row in element_of("Na").orbitals]
    assert np.allclose(hardnesses_of(atom, orbitals), element_of("Na").hardnesses, rtol=2e-3)


def test_a_shell_that_loses_electrons_keeps_some_of_them():
    """Copper's d shell gives its electrons to s and p where nothing says that it holds them."""
    copper = cubic("Cu", 3.61, "fcc")
    by_shell, by_atom = (
        np.diagonal(solve(copper, by_shell=each).blocks(filling)[0])[4:9].sum() for each in (True, False)
    )
    assert by_atom + 0.15 < by_shell < 10


def test_levels_of_shells_are_shifted_by_their_own_charges():
    made = solve(oxide())
    widths = np.concatenate(shell_widths(made))
    held = np.concatenate([np.diagonal(block) for block in made.blocks(filling)])
    neutral = np.concatenate([np.diagonal(block) for block in made.superposed])
    charges = np.add.reduceat(held - neutral, np.cumsum(widths) - widths)
    assert np.allclose(np.add.reduceat(charges, [0, 3, 6, 8]), made.charges, atol=2e-3)
    gamma = interaction(oxide())
    part = made.bands[0]
    plain, _ = _orthogonal(*made.made.at(k_mesh(LATTICE).points[own_conjugates(k_mesh(LATTICE).points)]))
    shift = np.diagonal(hamiltonians(part) - plain, axis1=1, axis2=2).mean(0)
    counts = [len(each) for each in shell_widths(made)]
    expected = np.repeat(gamma @ made.charges, counts)
    for first, basis in zip(np.cumsum(counts) - counts, made.made.bases, strict=True):
        element, own = element_of(basis.element), slice(first, first + len(basis.shells))
        expected[own] += (element.hardnesses - element.hardness) @ charges[own]
    assert np.abs(expected).max() > 0.02
    assert np.allclose(shift, np.repeat(expected, widths), atol=2e-3)


# --- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("element", "moment"), [("N", 3), ("O", 2), ("Cr", 6), ("Mn", 5), ("Fe", 4), ("Co", 3)])
def test_free_atoms_keep_hunds_moments(element, moment):
    made = solve(Structure(np.eye(3) * 12, (element,), (1,), [[0.1, 0.2, 0.3]]), np.ones((1, 1)))
    assert moments(made)[0, 0] == pytest.approx(moment, abs=0.25)
    assert moments(made.polarised)[0, 0] == pytest.approx(moment, abs=0.25)


@pytest.mark.parametrize(
    ("structure", "low", "high"),
    [
        (cubic("Fe", 2.87, "bcc"), 1.8, 4.0),  # 2.2 μ_B; too few of its electrons are d electrons here
        (cubic("Co", 3.54, "fcc"), 1.4, 2.1),  # 1.7
        (cubic("Ni", 3.52, "fcc"), 0.4, 1.0),  # 0.6
        (cubic("Cu", 3.61, "fcc"), -0.01, 0.01),
        (cubic("V", 3.03, "bcc"), -0.01, 0.01),
    ],
)
def test_metals_that_are_magnets_are_magnets(structure, low, high):
    assert low < moments(solve(structure, np.ones((1, 1))))[0, 0] < high


def test_without_directions_there_are_no_moments():
    made = solve(oxide())
    assert made.polarised is None
    assert all(part.spin == 0 for part in made.bands)
    again = solve(oxide(), 0 * UP_DOWN)
    assert np.array_equal(made.charges, again.charges)
    assert not prior_features(oxide()).spins.any()
    assert prior_features(oxide()).spins.shape == (4, 1, N_SPINS, 25)


def test_the_start_says_which_way_and_neighbours_are_polarised():
    made = solve(oxide(), UP_DOWN)
    found = moments(made)[:, 0]
    assert found[0] > 2
    assert found[1] < -2
    assert np.abs(found[2:]).max() > 0.01
    turned = solve(oxide(), -UP_DOWN)
    assert np.allclose(moments(turned)[:, 0], -found, atol=1e-8)
    assert np.allclose(turned.charges, made.charges, atol=1e-8)
    parallel = moments(solve(oxide(), np.abs(UP_DOWN)))[:, 0]
    assert (parallel[:2] > 2).all()


def test_an_antiferromagnet_has_no_moment():
    """Two atoms that a translation exchanges: equal and opposite."""
    lattice = np.array([[2.2, 2.2, 4.4], [2.2, 4.4, 2.2], [4.4, 2.2, 2.2]])
    frac = [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]
    made = solve(Structure(lattice, ("Mn", "O"), (2, 2), frac), UP_DOWN)
    found = moments(made)[:, 0]
    assert found[0] == pytest.approx(-found[1], abs=1e-6)
    assert 4 < found[0] < 5.1
    assert np.abs(found[2:]).max() < 1e-6


def test_moments_are_self_consistent():
    made = solve(oxide(), UP_DOWN)
    stoner = Stoner(made.made)
    assert made.polarised is not None
    by_shell = np.concatenate(
        [
            np.add.reduceat(np.diagonal(block[0]), np.cumsum(widths) - widths)
            for block, widths in zip(made.spin_blocks(filling), shell_widths(made), strict=True)
        ]
    )
    start = stoner.fields(by_shell[:, None])
    up, down = (part for part in made.bands if part.spin == 1), (part for part in made.bands if part.spin == -1)
    for one, other in zip(up, down, strict=True):
        splitting = hamiltonians(other) - hamiltonians(one)
        expected = 2 * np.diag(start[:, 0])
        assert np.abs(splitting - expected).max() < 2e-3


def shell_widths(made: Electrons):
    return [np.array([2 * shell.ell + 1 for shell in basis.shells]) for basis in made.made.bases]


def hamiltonians(part: Bands):
    return (part.states * part.energies[:, None]) @ part.states.conj().transpose(0, 2, 1)


# --- how they turn ----------------------------------------------------------------------------------------------------


def test_an_axis_in_space_is_the_same_as_a_sign():
    axis = rotation(5)[0]
    made = solve(oxide(), UP_DOWN * axis)
    assert made.axis is not None
    assert np.allclose(moments(made), moments(solve(oxide(), UP_DOWN)) * axis, atol=1e-8)


def test_spinors_near_an_axis_are_as_two_sets_of_bands():
    tilted = UP_DOWN * [[0, 0, 1]] + [[1e-5, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    made = solve(oxide(), tilted)
    assert made.axis is None
    assert all(part.spin == SPINOR for part in made.bands)
    collinear = solve(oxide(), UP_DOWN)
    assert np.abs(moments(made)[:, 2] - moments(collinear)[:, 0]).max() < 1e-3
    assert np.abs(moments(made)[:, :2]).max() < 1e-3
    assert np.abs(made.charges - collinear.charges).max() < 1e-3
    for function in (filling, np.abs):
        for one, other in zip(made.blocks(function), collinear.blocks(function), strict=True):
            assert np.abs(one - other).max() < 2e-3


def test_spinors_turn_with_their_moments():
    directions = np.array([[1.0, 0, 0], [0, 0.6, 0.8], [0, 0, 0], [0, 0, 0]])
    turn = rotation(3)
    before, after = solve(oxide(), directions), solve(oxide(), directions @ turn.T)
    assert np.abs(moments(before)).max() > 2
    assert np.abs(moments(before)[0] - np.linalg.norm(moments(before)[0]) * directions[0]).max() < 0.5
    assert np.allclose(moments(after), moments(before) @ turn.T, atol=1e-6)
    assert np.allclose(after.charges, before.charges, atol=1e-6)


@pytest.mark.parametrize("mirror", [False, True])
def test_features_turn_with_the_crystal(mirror):
    turn = rotation() * (-1 if mirror else 1)
    before, after = prior_features(oxide(), UP_DOWN), prior_features(oxide(LATTICE @ turn.T), UP_DOWN)
    assert np.abs(before.spins).max() > 0.5
    assert np.abs(before.spins[..., 1:]).max() > 0.03
    wanted = np.einsum("ij,akcj->akci", wigner(turn), before.spins)
    assert np.abs(after.spins - wanted).max() < 1e-5
    assert np.abs(after.invariants - before.invariants).max() < 1e-5


def test_features_of_a_supercell():
    double = np.concatenate([FRAC, FRAC + [1, 0, 0]])[[0, 4, 1, 5, 2, 3, 6, 7]] / [2, 1, 1]
    large = Structure(LATTICE * [[2], [1], [1]], ("Mn", "Fe", "O"), (2, 2, 4), double)
    before = prior_features(oxide(), UP_DOWN)
    after = prior_features(large, UP_DOWN[[0, 0, 1, 1, 2, 3, 2, 3]])
    # the k-mesh of the smaller cell is not a multiple of the larger one's
    assert np.abs(after.spins - before.spins[[0, 0, 1, 1, 2, 3, 2, 3]]).max() < 0.02


def test_spherical_parts_are_the_shells_moments():
    made, features = solve(oxide(), UP_DOWN), prior_features(oxide(), UP_DOWN)
    for electrons, first in ((made, 0), (made.polarised, N_SPINS // 2)):
        for atom, block in enumerate(electrons.spin_blocks(filling)):
            own = np.add.reduceat(np.diagonal(block[0]), np.cumsum(shell_widths(made)[atom]) - shell_widths(made)[atom])
            valence = len(valence_shells(made.made.bases[atom].element))  # what polarises is left out
            found = features.spins[atom, 0, first : first + valence, 0] * np.sqrt(4 * np.pi)
            assert np.allclose(found, own[: len(found)], atol=1e-9)
