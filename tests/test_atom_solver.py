"""The Kohn-Sham atom against converged energies of others, and against what any such atom must obey."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path

from chgtools.elements import SYMBOLS
from chgtools.errors import ChgtoolsError
from chgtools.radial_atom import solver as kohn_sham
from chgtools.radial_atom.configurations import Shell, ground_state
from chgtools.radial_atom.mesh import RadialMesh
from chgtools.radial_atom.solver import UnboundStateError, hartree_potential, solve_atom
from chgtools.radial_atom.xc import exchange_correlation

BENCHMARKS = str(Path(__file__).resolve().parents[1] / "benchmarks" / "atoms")

# Total energy and 1s and highest eigenvalue, hartree, non-relativistic LDA (VWN): github certik/dftatom (MIT), which
# agree with NIST's tables (S. Kotochigova et al., PRA 55, 191 (1997)) to the digits of those.
LDA = {
    "H": (-0.4456705183, -0.2334710011, -0.2334710011),
    "He": (-2.8348356241, -0.5704247223, -0.5704247223),
    "Ne": (-128.2334812688, -30.3058546888, -0.4980341288),
}
# the same with Dirac's equation; only s shells, where the scalar-relativistic equation is exact
DIRAC = {"He": (-2.8347852848, -0.5703453602), "Be": (-14.4479969881, -3.8555658476, -0.2057509067)}
LIGHT_SPEED_OF_DIRAC = 137.0359895
# PBE, non-relativistic, closed shells: energies that fully numerical codes agree on
PBE = {"He": -2.892935, "Ne": -128.866427, "Ar": -527.346129}


@pytest.mark.parametrize("element", LDA)
def test_lda_energies(element):
    total, first, last = LDA[element]
    atom = solve_atom(SYMBOLS.index(element) + 1.0, ground_state(element), "VWN", relativistic=False)
    assert atom.energy == pytest.approx(total, abs=1e-8)
    assert atom.eigenvalues[0] == pytest.approx(first, abs=1e-8)
    assert atom.eigenvalues[-1] == pytest.approx(last, abs=1e-8)


@pytest.mark.parametrize("element", ["Li", "Cr", "Fe", "Ag", "Xe", "Gd", "Au", "U"])
def test_lda_energies_of_heavy_atoms(element):
    reference = json.loads(shared_path("atoms_lda.json").read_text())["nonrelativistic"]
    number = SYMBOLS.index(element) + 1
    atom = solve_atom(number, ground_state(element), "VWN", relativistic=False)
    assert atom.energy == pytest.approx(reference[str(number)]["etot"], abs=1e-7)
    np.testing.assert_allclose(atom.eigenvalues, reference[str(number)]["eigenvalues"], atol=1e-7)


@pytest.mark.parametrize("element", DIRAC)
def test_scalar_relativistic_s_shells_are_those_of_dirac(element):
    total, *eigenvalues = DIRAC[element]
    number = SYMBOLS.index(element) + 1.0
    atom = solve_atom(number, ground_state(element), "RVWN", light_speed=LIGHT_SPEED_OF_DIRAC)
    assert atom.energy == pytest.approx(total, abs=1e-8)
    np.testing.assert_allclose(atom.eigenvalues, eigenvalues, atol=1e-8)


@pytest.mark.parametrize("element", PBE)
def test_pbe_energies(element):
    atom = solve_atom(SYMBOLS.index(element) + 1.0, ground_state(element), "PBE", relativistic=False)
    assert atom.energy == pytest.approx(PBE[element], abs=1.5e-6)


@pytest.mark.parametrize("functional", ["LDA", "PBE"])
@pytest.mark.parametrize("element", ["C", "Fe", "Xe"])
def test_virial_theorem(element, functional):
    """2 T + ∫ n v_ext + E_H = ∫ n r·∇v_xc (M. Levy and J. P. Perdew, PRA 32, 2010 (1985))."""
    atom = solve_atom(SYMBOLS.index(element) + 1.0, ground_state(element), functional, relativistic=False)
    mesh = atom.mesh
    _, potential = exchange_correlation(functional, mesh, atom.density)
    inside = mesh.r < 30.0
    pull = np.where(inside, mesh.r * mesh.derivative(potential), 0.0)
    right = mesh.integrate(4.0 * np.pi * mesh.r**2 * atom.density * pull)
    left = 2.0 * atom.parts["kinetic"] + atom.parts["nuclear"] + atom.parts["hartree"]
    assert left == pytest.approx(right, abs=2e-6 * abs(atom.energy))


def test_energies_do_not_depend_on_the_mesh():
    shells = ground_state("Au")
    coarse, fine = (solve_atom(79.0, shells, "PBE", mesh=RadialMesh(step=step)) for step in (1 / 100, 1 / 160))
    assert coarse.energy == pytest.approx(fine.energy, abs=1e-5)
    np.testing.assert_allclose(coarse.eigenvalues, fine.eigenvalues, atol=1e-6)


def test_relativity_contracts_gold():
    shells = ground_state("Au")
    plain, scalar = (solve_atom(79.0, shells, "PBE", relativistic=flag) for flag in (False, True))
    six_s, five_d = Shell(6, 0, 1.0), Shell(5, 2, 1.0)
    radii = [[atom.mesh.integrate(4 * np.pi * atom.mesh.r**3 * atom.density_of([shell])) for atom in (plain, scalar)]
             for shell in (six_s, five_d)]  # fmt: skip
    assert radii[0][1] < 0.9 * radii[0][0]
    assert radii[1][1] > 1.01 * radii[1][0]
    assert scalar.eigenvalues[-1] < plain.eigenvalues[-1] - 0.05


def test_density_counts_the_electrons_and_makes_its_hartree_potential():
    atom = solve_atom(26.0, ground_state("Fe"), "PBE")
    r = atom.mesh.r
    electrons = 4.0 * np.pi * r**2 * atom.density
    assert atom.mesh.integrate(electrons) == pytest.approx(26.0, abs=1e-10)
    hartree = hartree_potential(atom.mesh, electrons)
    assert hartree[-1] * r[-1] == pytest.approx(26.0, abs=1e-8)
    # Gauss: the field is the charge inside
    inside = np.searchsorted(r, 1.0)
    field = -atom.mesh.derivative(hartree)[inside] * r[inside] ** 2
    assert field == pytest.approx(atom.mesh.running_integral(electrons)[inside], abs=1e-8)


def test_fractional_nuclei_and_occupations():
    atom = solve_atom(0.5, [Shell(1, 0, 0.5)], "PBE")
    assert atom.mesh.integrate(4 * np.pi * atom.mesh.r**2 * atom.density) == pytest.approx(0.5, abs=1e-12)
    halves = solve_atom(9.0, [Shell(1, 0, 2), Shell(2, 0, 1.5), Shell(2, 1, 5.5)], "LDA")
    assert halves.energy > solve_atom(9.0, ground_state("F"), "LDA").energy


def test_a_state_that_is_not_bound_is_named():
    with pytest.raises(UnboundStateError, match="shell 2p6 is not bound in LDA") as caught:
        solve_atom(8.0, [Shell(1, 0, 2), Shell(2, 0, 2), Shell(2, 1, 6)], "LDA")
    assert caught.value.shell == Shell(2, 1, 6)


def test_a_scf_that_cannot_converge_says_how_far_it_came(monkeypatch):
    monkeypatch.setattr(kohn_sham, "MAX_ITERATIONS", 5)
    with pytest.raises(ChgtoolsError, match=r"did not converge in 5 steps \(r V still changes by .*, wanted 1\.0e-09"):
        solve_atom(26.0, ground_state("Fe"), "LDA")


@pytest.mark.parametrize("element", ["Si", "Fe", "Pt"])
def test_valence_outside_the_core_is_that_of_a_norm_conserving_table(element, monkeypatch):
    path = shared_path("dft", "upf", f"{element}.upf.gz")
    monkeypatch.syspath_prepend(BENCHMARKS)
    from atom_densities import compare

    _, beyond, area, local = compare(path)
    assert beyond > 1.0
    assert area < 0.15
    assert local < 0.5


@pytest.mark.parametrize(
    ("folder", "labels", "limit"),
    [("MatMethods__Si2-2", {"Si": "Si"}, 0.01), ("GaN-pydefect-tutorial__Ga2N2-4_dos", {"Ga": "Ga_d", "N": "N"}, 0.1)],
)
def test_superposed_atoms_are_those_of_vasp(folder, labels, limit, monkeypatch):
    """AECCAR1: VASP's all-electron atoms; beyond 1 Å of the nuclei."""
    path = shared_path("corpus", folder)
    monkeypatch.syspath_prepend(BENCHMARKS)
    from atom_aeccar1 import compare

    beyond = {row[0]: row for row in compare(path, labels, 400)}
    assert beyond[1.0][1] < limit
    assert beyond[1.5][2] < limit
