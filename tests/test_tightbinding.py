"""Tight binding: pseudo-atoms, their two-centre integrals, and the Hamiltonian of a crystal."""

from __future__ import annotations

import numpy as np
import pytest
from plain_harmonics import reference as harmonics
from scipy.linalg import eigh

from chgtools.cell import Structure
from chgtools.elements import SYMBOLS
from chgtools.errors import SettingsError
from chgtools.kernels import bloch
from chgtools.radial_atom.configurations import atomic_number
from chgtools.tightbinding.charges import interaction
from chgtools.tightbinding.electrons import Bands, fermi_level, filling, solve
from chgtools.tightbinding.elements import (
    ARRAYS,
    END,
    confined_orbital,
    covalent_radius,
    element_of,
    made,
    mesh,
    polarising_orbital,
)
from chgtools.tightbinding.exchange import exchange_potential, overlap_exchange
from chgtools.tightbinding.hamiltonian import _places, _Turned, hamiltonian
from chgtools.tightbinding.kmesh import k_mesh
from chgtools.tightbinding.orbitals import Q_STEP, element_basis
from chgtools.tightbinding.pseudo_atom import bound, pseudo_atom
from chgtools.tightbinding.shells import HEAVIEST, basis_shells, polarising_shell, valence_shells
from chgtools.tightbinding.two_centre import distances, pair_tables
from chgtools.units import BOHR_ANGSTROM, HARTREE_EV

SKEW = np.array([[4.4, 0.1, -0.2], [0.9, 4.1, 0.3], [-0.6, 0.8, 4.7]])


def structure(lattice=SKEW, frac=((0.1, 0.2, 0.3), (0.55, 0.6, 0.75), (0.05, 0.7, 0.6)), species=("Ti", "O", "Na")):
    return Structure(lattice, species, (1,) * len(species), np.array(frac))


def zincblende(a: float, species: tuple[str, ...]) -> Structure:
    lattice = a / 2 * (np.ones((3, 3)) - np.eye(3))
    return Structure(lattice, species, (2 // len(species),) * len(species), np.array([[0, 0, 0], [0.25, 0.25, 0.25]]))


def bands(made, k) -> np.ndarray:
    """eV"""
    energy, overlap = made.at(np.array([k], dtype=float))
    return eigh(energy[0], overlap[0], eigvals_only=True) * HARTREE_EV


# --- shells and pseudo-atoms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "shells"),
    [
        ("H", "1s1"), ("He", "1s2"), ("Li", "2s1 2p0"), ("O", "2s2 2p4"), ("Ca", "4s2 4p0 3d0"), ("Fe", "4s2 4p0 3d6"),
        ("Zn", "4s2 4p0 3d10"), ("Ga", "4s2 4p1"), ("Pd", "5s0 5p0 4d10"), ("Ba", "6s2 6p0 5d0"), ("Cs", "6s1 6p0"),
        ("La", "6s2 6p0 5d1 4f0"), ("Gd", "6s2 6p0 5d1 4f7"), ("Lu", "6s2 6p0 5d1 4f14"), ("Hf", "6s2 6p0 5d2"),
        ("Pb", "6s2 6p2"), ("U", "7s2 7p0 6d1 5f3"),
    ],
)  # fmt: skip
def test_shells(element, shells):
    assert " ".join(map(str, valence_shells(element))) == shells


@pytest.mark.parametrize(
    ("element", "shell"),
    [
        ("B", "3d0"), ("O", "3d0"), ("Ar", "3d0"), ("Ga", "4d0"), ("I", "5d0"), ("Pb", "6d0"), ("H", "None"),
        ("He", "None"), ("Na", "None"), ("Ca", "None"), ("Fe", "None"), ("Zn", "None"), ("La", "None"), ("U", "None"),
    ],
)  # fmt: skip
def test_elements_with_p_electrons_have_a_d_shell_that_polarises(element, shell):
    assert str(polarising_shell(element)) == shell
    whole, valence = basis_shells(element), basis_shells(element, polarised=False)
    assert valence == valence_shells(element)
    assert " ".join(map(str, whole[len(valence) :])) == shell.replace("None", "")


def test_what_polarises_is_the_lowest_d_state_of_its_potential_and_reaches_as_far_as_the_valence():
    """Against the same equation on a uniform mesh by finite differences."""
    from scipy.linalg import eigh_tridiagonal

    for symbol in ("O", "Ge"):
        atom, element = pseudo_atom(symbol), element_of(symbol)
        orbital = polarising_orbital(atom, atom.shells[1].potential)
        r = np.linspace(0, 12, 4001)[1:-1]
        wall = np.minimum((r / (covalent_radius(symbol))) ** 2, 60.0)
        potential = np.interp(r, atom.mesh.r, atom.shells[1].potential) + wall + 3 / r**2
        step = r[1] - r[0]
        off = np.full(len(r) - 1, -0.5 / step**2)
        _, states = eigh_tridiagonal(1 / step**2 + potential, off, select="i", select_range=(0, 0))
        wanted = np.abs(states[:, 0]) / np.sqrt(step)
        np.testing.assert_allclose(np.interp(r, atom.mesh.r, orbital) * r, wanted, atol=2e-3)
        np.testing.assert_allclose(np.interp(r, mesh(), element.orbitals[2]) * r, wanted, atol=5e-3)
        radii = [(mesh() ** 3 * each**2).sum() / (mesh() ** 2 * each**2).sum() for each in element.orbitals]
        assert radii[1] < radii[2] * 1.2 < 1.8 * radii[1]


def test_the_basis_without_what_polarises_is_the_same_but_for_it():
    whole, valence = element_of("S"), element_of("S", polarised=False)
    assert [len(each.shells) for each in (whole, valence)] == [3, 2]
    for name in ("orbitals", "projectors", "strengths"):
        assert np.array_equal(getattr(valence, name), getattr(whole, name)[:2])
    for name in ("hardnesses", "exchange"):
        assert np.array_equal(getattr(valence, name), getattr(whole, name)[:2, :2])
    assert np.array_equal(valence.local, whole.local)
    assert not whole.projectors[2].any()
    lattice = np.eye(3) * 4.5
    crystal = Structure(lattice, ("S", "Na"), (1, 1), [[0, 0, 0], [0.5, 0.5, 0.45]])
    both, one = hamiltonian(crystal), hamiltonian(crystal, polarised=False)
    kept = [0, 1, 2, 3, 9, 10, 11, 12]  # s and p of both
    found, wanted = (made.at(np.zeros((1, 3))) for made in (both, one))
    assert wanted[0].shape == (1, 8, 8)
    np.testing.assert_allclose(found[1][0][np.ix_(kept, kept)], wanted[1][0], atol=1e-12)
    # d orbitals' overlaps carry the field of third atoms: valence levels do not change but for that
    np.testing.assert_allclose(found[0][0][np.ix_(kept, kept)], wanted[0][0], atol=0.05)


def test_every_element_to_plutonium_has_shells_and_none_beyond():
    for element in SYMBOLS[:HEAVIEST]:
        electrons = sum(shell.electrons for shell in valence_shells(element))
        assert 0 < electrons <= 2 + 6 + 10 + 14
    with pytest.raises(SettingsError, match="Am has no tight-binding orbitals"):
        valence_shells("Am")


@pytest.mark.parametrize("element", ["H", "O", "Si", "Ti", "Ba", "Ce"])
def test_a_pseudo_atom_has_the_energies_and_the_tails_of_its_atom(element):
    atom = pseudo_atom(element)
    r = atom.mesh.r
    for each in atom.shells:
        assert atom.mesh.integrate(each.orbital**2) == pytest.approx(1, abs=2e-6)
        energy, orbital = bound(atom.mesh, each.potential, 10.0, each.shell.ell + 1, each.shell.ell)
        assert energy == pytest.approx(each.energy, abs=1e-3)  # scalar-relativistic tails, a plain equation
        inside = r < each.core
        assert (each.orbital[inside] > 0).all()  # no node
        overlap = atom.mesh.integrate(np.abs(orbital) * each.orbital)
        assert overlap == pytest.approx(1, abs=1e-4)
        jump = np.diff(each.potential[np.searchsorted(r, each.core) - 3 :][:8])
        assert np.abs(jump).max() < 0.05 * np.abs(each.potential[inside]).max()


def test_the_norm_inside_the_core_is_the_true_orbitals():
    from chgtools.radial_atom.configurations import ground_state
    from chgtools.radial_atom.solver import solve_atom

    true = solve_atom(atomic_number("Si"), ground_state("Si"), "PBE", True)
    atom = pseudo_atom("Si")
    for each in atom.shells:
        place = [(shell.n, shell.ell) for shell in true.shells].index((each.shell.n, each.shell.ell))
        outside = atom.mesh.r > each.core
        norms = [atom.mesh.integrate(np.where(outside, f, 0)) for f in (true.shell_densities[place], each.orbital**2)]
        assert norms[0] == pytest.approx(norms[1], rel=2e-3)  # the true one has small components


@pytest.mark.parametrize("element", ["H", "Mg", "U"])
def test_the_packages_tables_are_those_of_the_atoms(element):
    kept, anew = element_of(element), made(element)
    assert kept.shells == anew.shells
    assert kept.hardness == pytest.approx(anew.hardness, abs=1e-6)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(kept, name), getattr(anew, name), atol=1e-5, rtol=1e-5, err_msg=name)


def test_tables_hold_all_elements_and_end_at_zero():
    for symbol in SYMBOLS[:HEAVIEST]:
        element = element_of(symbol)
        assert 0.1 < element.hardness < 1.0
        for name in ("orbitals", "local", "projectors"):
            values = np.atleast_2d(getattr(element, name))
            assert values.shape[-1] == len(mesh())
            assert np.abs(values[:, -1]).max() == 0
            assert np.isfinite(values).all()


@pytest.mark.parametrize("element", ["H", "O", "Si", "Fe", "La"])
def test_transforms_hold_the_orbitals(element):
    basis = element_basis(element)
    np.testing.assert_allclose((basis.q**2 * basis.orbitals**2).sum(1) * Q_STEP * 2 / np.pi, 1, atol=1e-5)


# --- two-centre integrals against sums over points --------------------------------------------------------------------


def point_sum(first: str, second: str, vector: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """⟨a|b⟩, ⟨a|V_B|a'⟩ and ⟨a|v(n_a + n_b) − v(n_a) − v(n_b)|b⟩ of two atoms ``vector`` bohr apart, on a fine grid of
    points; V_B is B's potential with what the two densities together add to exchange and correlation."""
    step, half = 0.22, 9.0
    axis = np.arange(-half, half + step, step)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3) + vector / 2 + 0.003

    def functions(element: str, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        d = points - centre
        r = np.linalg.norm(d, axis=1)
        atom = pseudo_atom(element)
        rows = [
            np.interp(r, atom.mesh.r, confined_orbital(atom, i))
            * harmonics(3, d / r[:, None])[shell.shell.ell**2 : (shell.shell.ell + 1) ** 2]
            for i, shell in enumerate(atom.shells)
        ]
        if polarising_shell(element) is not None:
            d_state = polarising_orbital(atom, atom.shells[1].potential)
            rows.append(np.interp(r, atom.mesh.r, d_state) * harmonics(3, d / r[:, None])[4:9])
        return np.concatenate(rows), np.interp(r, atom.mesh.r, atom.density)

    (a, n_a), (b, n_b) = functions(first, np.zeros(3)), functions(second, vector)
    atom = pseudo_atom(second)
    ells = [each.shell.ell for each in atom.shells]
    local = atom.shells[ells.index(1) if 1 in ells else 0].potential
    r = np.linalg.norm(points - vector, axis=1)
    potential = np.where(r < END, np.interp(r, atom.mesh.r, local), 0.0)
    change = plain_exchange(n_a + n_b) - plain_exchange(n_a) - plain_exchange(n_b)
    return (
        a @ b.T * step**3,
        (a * (potential + change)) @ a.T * step**3,
        (a * change) @ b.T * step**3,
    )


def plain_exchange(n: np.ndarray) -> np.ndarray:
    """LDA, hartree, with correlation by J. P. Perdew and A. Zunger, which differs little from the one in use."""
    rs = np.cbrt(3 / (4 * np.pi * np.maximum(n, 1e-24)))
    root, log = np.sqrt(rs), np.log(rs)
    dense = 0.0311 * log - 0.048 - 0.0311 / 3 + 0.0020 * 2 / 3 * rs * log - (2 * 0.0116 + 0.0020) / 3 * rs
    down = 1 + 1.0529 * root + 0.3334 * rs
    thin = -0.1423 * (1 + 7 / 6 * 1.0529 * root + 4 / 3 * 0.3334 * rs) / down**2
    return -((9 * np.pi / 4) ** (1 / 3)) / (np.pi * rs) + np.where(rs < 1, dense, thin)


@pytest.mark.parametrize("pair", [("Si", "Al"), ("Na", "Si"), ("Cl", "Na")], ids="-".join)
def test_two_centre_integrals_are_those_of_a_grid_of_points(pair):
    vector = np.array([2.1, -1.4, 3.2])
    tables, (a, b) = pair_tables(*pair), [element_basis(element) for element in pair]
    distance = np.linalg.norm(vector)
    turned = _Turned(np.array([distance]), (vector / distance)[None])
    rows, columns, size = _places(a), _places(b), max(a.size, b.size)
    here, there = slice(a.size), slice(b.size)
    overlap, field, change = point_sum(*pair, vector)
    np.testing.assert_allclose(turned.blocks(tables.overlap, rows, columns, size)[0, here, there], overlap, atol=3e-4)
    np.testing.assert_allclose(turned.blocks(tables.field, rows, rows, size)[0, here, here], field, atol=2e-3)
    together, _ = overlap_exchange(a, b, distances())
    np.testing.assert_allclose(turned.blocks(together, rows, columns, size)[0, here, there], change, atol=1e-3)
    assert np.abs(overlap).max() > 0.1
    assert np.abs(change).max() > 0.02
    assert max(a.size, b.size) == 9


def test_two_atoms_exchange_less_than_each_alone():
    """v goes as n^⅓, so what two densities have together is above what they have one by one."""
    n = np.array([1e-3, 0.02, 0.3])
    assert (exchange_potential(2 * n) > 2 * exchange_potential(n)).all()
    np.testing.assert_allclose(exchange_potential(n), plain_exchange(n), rtol=2e-3)
    together, field = overlap_exchange(element_basis("C"), element_basis("H"), distances())
    assert together[0, 0, 0][20] > 0
    assert field[0, 0, 0][20] > 0


def test_an_orbital_of_its_own_potential_has_its_own_energy():
    """⟨a|T + V_A|a⟩ at R = 0 is the energy in the wall less the wall."""
    basis, atom = element_basis("Si"), pseudo_atom("Si")
    tables = pair_tables("Si", "Si")
    for i, each in enumerate(atom.shells):
        radial = confined_orbital(atom, i)
        state, ell = radial * atom.mesh.r, each.shell.ell
        kinetic = 0.5 * np.gradient(state, atom.mesh.r) ** 2 + 0.5 * ell * (ell + 1) / atom.mesh.r**2 * state**2
        wanted = atom.mesh.integrate(kinetic + each.potential * state**2)
        both = tables.hopping[i, i, 0][0] / (4 * np.pi)  # an atom with itself: no overlapping exchange
        own = both - tables.field[i, i, 0][0] / (4 * np.pi)
        if i in basis.projectors:
            own += basis.strengths[i] * (tables.projection[i, i, 0][0] / (4 * np.pi)) ** 2
            # one projector is exact for the free atom's orbital, the confined one is another function
            assert own == pytest.approx(wanted, abs=0.02)
        else:
            assert own == pytest.approx(wanted, abs=2e-3)


def test_tables_end_smoothly():
    tables = pair_tables("Ba", "Cs")
    for table in (*tables.overlap.values(), *tables.hopping.values(), *tables.field.values()):
        assert table.shape == distances().shape
        assert abs(table[-1]) < 1e-12
        # from an atom with itself to two of them exchange and correlation jump
        assert np.abs(np.diff(table[1:])).max() < 0.2 * max(np.abs(table).max(), 1e-3)


def test_tables_of_the_exchanged_pair():
    one, other = pair_tables("Ti", "O"), pair_tables("O", "Ti")
    for (i, j, big_l), table in one.overlap.items():
        la, lb = basis_shells("Ti")[i].ell, basis_shells("O")[j].ell
        np.testing.assert_allclose(table, (-1) ** (la + lb) * other.overlap[j, i, big_l], atol=1e-12)
        np.testing.assert_allclose(one.hopping[i, j, big_l], (-1) ** (la + lb) * other.hopping[j, i, big_l], atol=1e-10)


# --- the Hamiltonian of a crystal -------------------------------------------------------------------------------------


def turned(lattice: np.ndarray) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    return lattice @ turn.T


def test_matrices_are_hermitian_and_overlaps_positive():
    made = hamiltonian(structure())
    for points in (np.array([[0.1, 0.3, -0.2], [0, 0, 0]]), np.array([[0.0, 0.5, 0.5], [0, 0, 0]])):
        energy, overlap = made.at(points)
        np.testing.assert_allclose(energy, energy.conj().transpose(0, 2, 1), atol=1e-14)
        assert np.linalg.eigvalsh(overlap)[:, 0].min() > 0


def test_matrices_are_real_where_points_are_their_own_conjugates():
    made, points = hamiltonian(structure()), np.array([[0.0, 0.5, -0.5], [0, 0, 0], [0.25, 0.1, 0.2]])
    real, general = made.at(points[:2]), made.at(points)
    for one, other in zip(real, general, strict=True):
        assert one.dtype == np.float64
        assert other.dtype == np.complex128
        np.testing.assert_allclose(one, other[:2], atol=1e-13)


@pytest.mark.parametrize("what", ["turned", "mirrored", "shifted", "exchanged", "another cell"])
def test_energies_do_not_depend_on_how_the_crystal_is_written(what):
    k = np.array([0.2, -0.1, 0.35])
    before, made = bands(hamiltonian(structure()), k), structure()
    if what == "turned":
        made = made.with_changes(lattice=turned(made.lattice))
    elif what == "mirrored":
        made = made.with_changes(lattice=made.lattice * [1, -1, 1])
    elif what == "shifted":
        made = made.with_changes(frac=made.frac + [0.31, -0.47, 2.2])
    elif what == "exchanged":
        made = Structure(made.lattice, made.species[::-1], made.counts, made.frac[::-1])
    else:
        change = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
        made = made.with_changes(lattice=change @ made.lattice, frac=made.frac @ np.linalg.inv(change))
        k = change @ k
    np.testing.assert_allclose(bands(hamiltonian(made), k), before, atol=1e-6)


def test_bands_of_a_supercell_are_those_of_its_cell_folded():
    made = structure()
    double = made.with_changes(lattice=made.lattice * [[2], [1], [1]], counts=(2, 2, 2), frac=np.concatenate([
        (made.frac[[i]] + [[shift, 0, 0]]) / [2, 1, 1] for i in range(3) for shift in (0, 1)
    ]))  # fmt: skip
    small = hamiltonian(made)
    folded = np.sort(np.concatenate([bands(small, [0.1, 0.2, 0.3]), bands(small, [0.6, 0.2, 0.3])]))
    np.testing.assert_allclose(bands(hamiltonian(double), [0.2, 0.2, 0.3]), folded, atol=1e-6)


def test_a_wave_at_k_turns_as_exp_ikr_from_cell_to_cell():
    """S_ab(k) = Σ_R exp(+2πi k·R) ⟨a in cell 0|b in cell R⟩, and so is its sign; with -k it is the conjugate."""
    made, k = hamiltonian(structure()), np.array([0.13, 0.21, -0.34])
    overlap = made.at(k[None])[1][0]
    row, column = made.starts[0], made.starts[1]  # s of titanium, s of oxygen
    pairs = (made.first == 0) & (made.second == 1)
    wanted = (np.exp(2j * np.pi * made.image[pairs] @ k) * made.overlap[pairs, 0, 0]).sum()
    assert overlap[row, column] == pytest.approx(wanted, abs=1e-12)
    assert abs(wanted.imag) > 1e-3


def test_time_reversal():
    made = hamiltonian(structure())
    np.testing.assert_allclose(bands(made, [0.1, 0.2, -0.3]), bands(made, [-0.1, -0.2, 0.3]), atol=1e-9)


def test_valence_bands_of_silicon():
    """PBE at 5.43 Å: Γ1 -11.96, X4 -2.85, L3 -1.20 eV below the top; d shells mend the p bands and lower the top."""
    for polarised, bottom, within in ((True, 1.3, 0.2), (False, 0.4, 0.9)):
        made = hamiltonian(zincblende(5.43, ("Si",)), polarised)
        gamma, x, ell = (bands(made, k) for k in ([0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]))
        top = gamma[3]
        assert gamma[0] - top == pytest.approx(-11.96, abs=bottom)
        assert gamma[1:3] - top == pytest.approx([0, 0], abs=1e-6)
        assert x[2:4] - top == pytest.approx([-2.85, -2.85], abs=within)
        assert ell[2:4] - top == pytest.approx([-1.2, -1.2], abs=within)
        assert 1.5 < gamma[4] - top < 4.5  # 2.6 in PBE; 7.6 with two-centre integrals of all-electron orbitals


@pytest.mark.parametrize(
    ("lattice", "species", "frac", "grid", "within"),
    [
        (4.05, ("Al",), [[0, 0, 0]], [-19.09, 6.31, 6.31, 6.31], 0.5),
        (5.43, ("Si",), [[0, 0, 0], [0.25] * 3], [-19.88, -7.72, -7.72, -7.72, -4.89], 0.4),
        (4.21, ("Mg", "O"), [[0, 0, 0], [0.5] * 3], [-33.26, -16.11, -16.11, -16.11], 0.5),
    ],
    ids=["Al", "Si", "MgO"],
)
def test_bands_at_gamma_are_those_of_integrals_on_a_grid(lattice, species, frac, grid, within):
    """eV, of the same valence basis and superposed densities, third atoms and all, on 24 to 28 points along each vector (done
    once, apart from the package)."""
    vectors = lattice / 2 * (np.ones((3, 3)) - np.eye(3))
    made = Structure(vectors, species, (len(frac) // len(species),) * len(species), np.array(frac))
    np.testing.assert_allclose(bands(hamiltonian(made, polarised=False), [0, 0, 0])[: len(grid)], grid, atol=within)


def test_gaps_are_in_order():
    """MgO > NaCl > GaAs, as they should be, and no valence band of oxygen or chlorine lies above its metal's."""
    gaps = {}
    for name, lattice, species, frac in (
        ("GaAs", 5.65, ("Ga", "As"), 0.25), ("NaCl", 5.64, ("Na", "Cl"), 0.5), ("MgO", 4.21, ("Mg", "O"), 0.5),
    ):  # fmt: skip
        made = hamiltonian(zincblende(lattice, species).with_changes(frac=np.array([[0, 0, 0], [frac] * 3])))
        energies = bands(made, [0, 0, 0])
        gaps[name] = energies[4] - energies[3]
    assert gaps["MgO"] > gaps["NaCl"] > gaps["GaAs"] > 0.3


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("compiled", [True, False])
def test_blocks_are_added_at_their_places(compiled, kind, monkeypatch):
    if not compiled:
        monkeypatch.setattr(bloch, "add_real_blocks", getattr(bloch.add_real_blocks, "py_func", bloch.add_real_blocks))
    rng = np.random.default_rng(3)
    blocks, phases = rng.normal(size=(3, 2, 3)), np.exp(1j * rng.normal(size=(2, 3)))
    phases = phases if kind is complex else phases.real.copy()
    rows, columns, heights, widths = np.array([[0, 1, 0], [2, 0, 2], [1, 2, 1], [3, 2, 2]])
    before = rng.normal(size=(2, 3, 5)) * phases[0, 0]
    matrices = before.copy()
    bloch.add_blocks(matrices, blocks, rows, columns, heights, widths, phases)
    expected = before.copy()
    for pair in range(3):
        (row, h), (column, w) = (rows[pair], heights[pair]), (columns[pair], widths[pair])
        expected[:, row : row + h, column : column + w] += phases[:, pair, None, None] * blocks[pair, :h, :w]
    np.testing.assert_allclose(matrices, expected, atol=1e-15)


@pytest.mark.parametrize("length", [4.0, 9.0, 16.0])
def test_a_mesh_averages_waves_to_zero_and_folds(length):
    mesh = k_mesh(SKEW, length)
    assert mesh.weights.sum() == pytest.approx(1)
    sizes = np.ceil(length / np.linalg.norm(SKEW, axis=1))
    for image in ([1, 0, 0], [0, 1, -1], [1, 1, 1]):
        average = (mesh.weights * np.cos(2 * np.pi * (mesh.points @ image))).sum()
        whole = all(step % size == 0 for step, size in zip(image, sizes, strict=True))
        assert average == pytest.approx(float(whole), abs=1e-12)
    assert len(mesh.points) <= np.prod(sizes) / 2 + 4


# --- electrons --------------------------------------------------------------------------------------------------------


def change(made) -> list[np.ndarray]:
    """Each atom's block beyond that of superposed atoms."""
    return [block - atoms for block, atoms in zip(made.blocks(filling), made.superposed, strict=True)]


def test_electrons_are_kept():
    made = solve(structure())
    total = sum(np.trace(block) for block in made.blocks(filling))
    assert total == pytest.approx(4 + 6 + 1, abs=1e-6)
    # but for what an atom overlaps with its own images at whole multiples of the mesh's length
    assert sum(np.trace(block) for block in made.superposed) == pytest.approx(11, abs=1e-6)
    assert made.charges.sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("species", "lattice", "gains"),
    [
        (("Na", "Cl"), 5.64, 1),
        (("Mg", "O"), 4.21, 1),
        (("Ti", "N"), 4.24, 1),
        (("Cs", "I"), 7.6, 1),
        (("K", "H"), 5.7, 1),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else None,
)
def test_electrons_go_to_the_anion(species, lattice, gains):
    made = solve(zincblende(lattice, species).with_changes(frac=np.array([[0, 0, 0], [0.5] * 3])))
    assert made.charges[gains] > 0.01  # superposed atoms are charged alike: it is the sign that counts
    assert made.charges[gains] < 2


def test_hydrocarbons_and_water_are_polar_as_they_should_be():
    """Carbon in methane gains little and oxygen in water more; with potentials of atoms added, 1.1 and 1.1 electrons."""
    methane = np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1]]) * 0.63
    water = np.array([[0, 0, 0], [0, 0.76, 0.59], [0, -0.76, 0.59]])
    carbon = solve(Structure(np.eye(3) * 9, ("C", "H"), (1, 4), methane / 9)).charges
    oxygen = solve(Structure(np.eye(3) * 9, ("O", "H"), (1, 2), water / 9)).charges
    assert 0.1 < carbon[0] < 0.6 < 2 * oxygen[0] < 1.6
    np.testing.assert_allclose(carbon[1:], carbon[1], atol=1e-6)


def test_equal_atoms_are_neutral_and_bonds_promote_s_to_p():
    made = solve(zincblende(5.43, ("Si",)))
    np.testing.assert_allclose(made.charges, 0, atol=1e-6)
    first, second = change(made)
    np.testing.assert_allclose(np.trace(first), np.trace(second), atol=1e-9)
    assert first[0, 0] < -0.3
    assert np.trace(first[1:4, 1:4]) > 0.1
    assert 0.05 < np.trace(first[4:, 4:]) < 0.4  # d
    np.testing.assert_allclose(first[1:4, 1:4], np.eye(3) * first[1, 1], atol=1e-8)  # tetrahedral
    np.testing.assert_allclose(first[4:, 4:], np.diag(np.diagonal(first[4:, 4:])), atol=1e-8)
    assert first[4, 4] == pytest.approx(first[5, 5], abs=1e-8)
    assert abs(first[4, 4] - first[6, 6]) > 0.01  # xy and z²


def test_blocks_turn_with_the_crystal():
    """s–p blocks are vectors, p–p blocks tensors, of the harmonics' order y, z, x."""
    turn, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    made = structure()
    before, after = (change(solve(s)) for s in (made, made.with_changes(lattice=made.lattice @ turn.T)))
    order = [1, 2, 0]
    turned_p = turn[np.ix_(order, order)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other[1:4, 0], turned_p @ one[1:4, 0], atol=1e-5)
        np.testing.assert_allclose(other[1:4, 1:4], turned_p @ one[1:4, 1:4] @ turned_p.T, atol=1e-5)
    assert max(np.abs(block[1:4, 0]).max() for block in before) > 0.02


def test_atoms_of_a_supercell_are_those_of_its_cell():
    made = zincblende(4.21, ("Mg", "O")).with_changes(frac=np.array([[0, 0, 0], [0.5] * 3]))
    double = Structure(
        made.lattice * [[2], [1], [1]], ("Mg", "O"), (2, 2),
        np.array([[0, 0, 0], [0.5, 0, 0], [0.25, 0.5, 0.5], [0.75, 0.5, 0.5]]),
    )  # fmt: skip
    small, large = change(solve(made)), change(solve(double))
    np.testing.assert_allclose(large[0], small[0], atol=3e-3)  # other k-points where 12 Å is no multiple of the cell
    np.testing.assert_allclose(large[0], large[1], atol=1e-6)
    np.testing.assert_allclose(large[2], small[1], atol=3e-3)


def test_far_apart_atoms_are_as_they_were():
    made = Structure(np.eye(3) * 11, ("Ne", "Ar"), (1, 1), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    for block in change(solve(made)):
        np.testing.assert_allclose(block, 0, atol=2e-3)


def test_the_fermi_level_holds_the_electrons():
    energies, weights = np.random.default_rng(5).normal(size=(7, 6)), np.full(7, 1 / 7)
    level = fermi_level([Bands(weights[:3], energies[:3], None), Bands(weights[3:], energies[3:], None)], 5.0)
    assert 2 * (weights[:, None] * filling(energies - level)).sum() == pytest.approx(5, abs=1e-9)
    assert filling(np.array([0.0])) == pytest.approx(0.5)


# --- Coulomb's law ----------------------------------------------------------------------------------------------------


def test_hardness_is_the_second_derivative_of_the_energy():
    """U = E(n + d) + E(n - d) - 2 E(n) over d² (J. F. Janak, Phys. Rev. B 18, 7165 (1978): ε = ∂E/∂n)."""
    from dataclasses import replace

    from chgtools.radial_atom.configurations import ground_state
    from chgtools.radial_atom.solver import solve_atom

    def energy(change: float) -> float:
        shells = [replace(s, electrons=s.electrons + change * (s.name == "3p")) for s in ground_state("Si")]
        return solve_atom(14, shells, "PBE", True).energy

    assert element_of("Si").hardness == pytest.approx((energy(0.1) + energy(-0.1) - 2 * energy(0)) / 0.01, rel=0.02)


def test_charges_far_apart_interact_as_points():
    """Rock salt of alternating charges has Madelung's energy -1.74756/d per pair, less what the Gaussians share."""
    made = zincblende(40.0, ("Na", "Cl")).with_changes(frac=np.array([[0, 0, 0], [0.5] * 3]))
    gamma, charges = interaction(made), np.array([1.0, -1.0])
    energy = 0.5 * charges @ gamma @ charges
    own = 0.5 * (element_of("Na").hardness + element_of("Cl").hardness)
    assert energy - own == pytest.approx(-1.747565 / (20.0 / BOHR_ANGSTROM), rel=1e-4)


def test_interaction_does_not_depend_on_the_cell():
    made = structure()
    change_of_cell = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])
    other = made.with_changes(lattice=change_of_cell @ made.lattice, frac=made.frac @ np.linalg.inv(change_of_cell))
    np.testing.assert_allclose(interaction(other), interaction(made), atol=1e-9)
