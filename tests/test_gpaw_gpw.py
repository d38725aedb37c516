"""GPAW's .gpw: files of the layout with invented setups against plain sums; GPAW's own where it is at hand."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_archives import archive
from made_gpw import CORE, DR, STATES, A, N, R, gpw, setup_text, waves

import chgtools
from chgtools.atoms.angular import sphere
from chgtools.cli import main
from chgtools.errors import AssumptionWarning, FormatError
from chgtools.formats import densities_in
from chgtools.formats.gpaw_setups import folders, read_setup
from chgtools.kernels.harmonics import harmonics
from chgtools.units import BOHR_ANGSTROM

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "files" / "gpaw_cube.py"
CELL = np.array([[5.2, 0.0, 0.0], [1.1, 4.9, 0.0], [-0.6, 0.8, 5.5]])  # Å
POSITIONS = np.array([[0.3, 0.4, 0.2], [3.1, 2.2, 2.9]])
SHAPE = (24, 24, 26)
SIZE = 5  # s, s, p
PLANE_WAVES = {"mode": {"name": "pw", "ecut": 2000.0}}
pytestmark = pytest.mark.filterwarnings("ignore:GPAW's setups:chgtools.errors.AssumptionWarning")


@pytest.fixture
def setups(tmp_path, monkeypatch):
    """A folder with a setup of silicon, the only one that is found."""
    folder = tmp_path / "setups"
    folder.mkdir()
    (folder / "Si.PBE.gz").write_bytes(gzip.compress(setup_text().encode()))
    monkeypatch.setenv("GPAW_SETUP_PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("chgtools.formats.gpaw_setups.INSTALLED", ())
    monkeypatch.setattr("chgtools.formats.gpaw_setups.find_spec", lambda name: None)
    return folder


def matrices(count: int = 1) -> np.ndarray:
    """(count, 2, n_m, n_m) symmetric matrices of the two atoms."""
    random = np.random.default_rng(7).normal(size=(count, 2, SIZE, SIZE))
    return random + random.swapaxes(2, 3)


def packed(full: np.ndarray) -> np.ndarray:
    """(n_spins, 2 n (n + 1)/2) upper triangles, off the diagonal twice."""
    twice = 2 * full - full * np.eye(SIZE)
    return np.stack([np.concatenate([atom[np.triu_indices(SIZE)] for atom in spin]) for spin in twice])


def moments(matrix: np.ndarray) -> np.ndarray:
    """(9,) ∫ (n - ñ) r^l Y_lm of an atom, by a quadrature over points around it."""
    points, weights = sphere(8)
    angular, density = harmonics(2, points), np.zeros((len(R), len(points)))
    for which, sign in ((0, 1), (1, -1)):
        columns = [
            waves(ell, exponent)[which][:, None, None] * angular[ell**2 : (ell + 1) ** 2]
            for ell, _, _, exponent in STATES
        ]
        at = np.concatenate(columns, axis=1)  # (n_r, n_m, n_points)
        density += sign * (at * np.einsum("ij,rjp->rip", matrix, at)).sum(axis=1)
    shells = density @ (weights * angular).T  # (n_r, 9)
    return np.array([(DR * R ** (2 + int(np.sqrt(lm)))) @ shells[:, lm] for lm in range(9)])


def charges(full: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(nx, ny, nz) the Gaussian compensation charges of both atoms and their images, electrons/Å³."""
    axes = [np.arange(n) / n for n in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1) @ CELL
    total, r_c = np.zeros(shape), 0.6
    double = {0: 1.0, 1: 3.0, 2: 15.0}
    for position, matrix in zip(POSITIONS, full, strict=True):
        q = moments(matrix)
        for image in np.ndindex(3, 3, 3):
            away = (points - position - (np.array(image) - 1) @ CELL) / BOHR_ANGSTROM
            near = np.linalg.norm(away, axis=-1) < 4
            away = away[near]
            r = np.linalg.norm(away, axis=-1)
            angular = harmonics(2, away / np.maximum(r, 1e-12)[:, None])
            for lm in range(9):
                ell = int(np.sqrt(lm))
                # ∫ r^(2l + 2) exp(-r²/c²) dr = (2l + 1)!! √π c^(2l + 3) / 2^(l + 2)
                norm = double[ell] * np.sqrt(np.pi) * r_c ** (2 * ell + 3) / 2 ** (ell + 2)
                total[near] += q[lm] * r**ell * np.exp(-((r / r_c) ** 2)) / norm * angular[lm]
    return total / BOHR_ANGSTROM**3


def cores(shape: tuple[int, int, int]) -> np.ndarray:
    """(nx, ny, nz) the smooth cores of both atoms, electrons/Å³."""
    points = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), -1) @ CELL
    total = np.zeros(shape)
    for position in POSITIONS:
        for image in np.ndindex(3, 3, 3):
            r = np.linalg.norm(points - position - (np.array(image) - 1) @ CELL, axis=-1) / BOHR_ANGSTROM
            total += 0.3 * np.exp(-(r**2)) / np.sqrt(4 * np.pi)
    return total / BOHR_ANGSTROM**3


def valence(full: np.ndarray, wanted: float, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A smooth pseudo density without cores, that makes ``wanted`` electrons with the charges of ``full``."""
    x = np.arange(shape[0])[:, None, None] / shape[0]
    z = np.arange(shape[2]) / shape[2]
    wave = 0.02 * np.cos(2 * np.pi * x) * np.sin(4 * np.pi * z) * np.ones(shape)
    lacking = wanted - sum(moments(matrix)[0] for matrix in full) * np.sqrt(4 * np.pi)
    return wave + lacking / abs(np.linalg.det(CELL))


def twice(field: np.ndarray) -> np.ndarray:
    """``valence``'s waves on the grid twice as fine, from its own mean."""
    fine = tuple(2 * n for n in field.shape)
    return valence(np.zeros((2, SIZE, SIZE)), 0.0, fine) + field.mean()


@pytest.mark.parametrize("mode", [PLANE_WAVES, {"mode": "fd"}, {}])
def test_the_density_is_that_of_the_formula(tmp_path, setups, mode):
    full = matrices()
    smooth = valence(full[0], 8.0)
    path = gpw(tmp_path / "a.gpw", CELL, ["Si", "Si"], POSITIONS, (smooth + cores(SHAPE))[None], packed(full), **mode)
    with pytest.warns(AssumptionWarning, match=r"setups Si\.PBE\.gz are taken from .*setups"):
        data = chgtools.read(path)
    assert data.shape == (48, 48, 52)
    assert data.total.flags.f_contiguous
    assert data.electrons == pytest.approx(8, abs=2e-5)
    expected = twice(smooth) + charges(full[0], data.shape)
    np.testing.assert_allclose(data.total, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    np.testing.assert_allclose(data.structure.frac @ CELL, POSITIONS, atol=1e-12)
    assert (data.structure.species, data.structure.counts) == (("Si",), (2,))


def test_up_and_down_are_total_and_magnetisation(tmp_path, setups):
    full = matrices(2)
    up, down = valence(full[0], 5.0), valence(full[1], 3.0)
    spins = np.stack([up, down]) + cores(SHAPE) / 2
    path = gpw(tmp_path / "a.gpw", CELL, ["Si", "Si"], POSITIONS, spins, packed(full), xc="PBE", **PLANE_WAVES)
    data = chgtools.read(path)
    shape = data.shape
    for block, sign in zip(data.blocks, (1, -1), strict=True):
        expected = twice(up) + charges(full[0], shape) + sign * (twice(down) + charges(full[1], shape))
        np.testing.assert_allclose(block, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    assert data.integral(1) == pytest.approx(2, abs=2e-5)


def test_a_molecule_on_a_grid_has_its_faces_back(tmp_path, setups):
    """Where a cell is not periodic, GPAW leaves out the points of the face through the origin, which are zero."""
    full, at = matrices(), POSITIONS + 1.5
    cell = np.diag([7.0, 6.5, 7.0])
    x, y, z = (np.arange(n) / n for n in (20, 18, 20))
    inside = np.sin(np.pi * x)[:, None, None] ** 2 * np.sin(np.pi * z) ** 2 * np.ones((20, 18, 20))
    lacking = 8 - sum(moments(matrix)[0] for matrix in full[0]) * np.sqrt(4 * np.pi)
    core = 2 * float((CORE * R**2) @ DR) * np.sqrt(4 * np.pi)  # here spread like the rest: only its sum counts
    field = inside * (lacking + core) / (inside.mean() * np.linalg.det(cell))
    path = gpw(
        tmp_path / "a.gpw", cell, ["Si", "Si"], at, field[None, 1:, :, 1:], packed(full), pbc=[False, True, False]
    )
    data = chgtools.read(path)
    assert data.shape == (40, 36, 40)
    assert data.electrons == pytest.approx(8, abs=1e-4)
    top = np.abs(field).max()
    np.testing.assert_allclose(data.total[0, ::2, ::2], 0, atol=4e-3 * top)
    np.testing.assert_allclose(data.total[::2, ::2, 0], 0, atol=4e-3 * top)
    np.testing.assert_allclose(data.total[-2, ::2, -2], field[-1, :, -1], atol=1e-4 * top)  # far from the atoms


def test_other_bytes_and_archives(tmp_path, setups):
    full = matrices()
    smooth = (valence(full[0], 8.0) + cores(SHAPE))[None]
    given = (CELL, ["Si", "Si"], POSITIONS, smooth, packed(full))
    little = gpw(tmp_path / "run.gpw", *given, **PLANE_WAVES)
    big = gpw(tmp_path / "big.gpw", *given, order=">", **PLANE_WAVES)
    np.testing.assert_array_equal(chgtools.read(little).total, chgtools.read(big).total)
    members = [("a/run.gpw", little.read_bytes()), ("a/log.txt", b"none"), ("b/run.gpw", big.read_bytes())]
    packed_up = archive(tmp_path / "runs.tar.gz", members)
    assert [str(path) for path in densities_in(packed_up)] == [f"{packed_up}:{name}/run.gpw" for name in "ab"]
    np.testing.assert_array_equal(chgtools.read(f"{packed_up}:a/run.gpw").total, chgtools.read(little).total)
    store = tmp_path / "s.h5"
    done = CliRunner().invoke(main, ["dataset", "build", "-o", str(store), str(little), str(packed_up)])
    assert done.exit_code == 0, done.output
    assert "GPAW's setups Si.PBE.gz" in done.stderr


def test_which_setup_an_atom_has(tmp_path, setups):
    """Of the run, an element or an atom; a Hubbard U is no other setup, and functionals without own ones take PBE's."""
    full = matrices()
    given = (CELL, ["Si", "Si"], POSITIONS, (valence(full[0], 8.0) + cores(SHAPE))[None], packed(full))
    path = tmp_path / "a.gpw"
    for parameters in (
        {"xc": "PBE", "setups": {"Si": ":p,4.0"}},
        {"xc": {"name": "PBE0", "omega": 0.2}, "setups": "paw"},
        {"xc": "PBE", "setups": {"default": "paw", "O": "8"}},
    ):
        assert chgtools.read(gpw(path, *given, **parameters, **PLANE_WAVES)).electrons == pytest.approx(8, abs=1e-4)
    for parameters, name in (
        ({"xc": "PBE", "setups": "sg15"}, r"Si\.sg15\.PBE"),
        ({"xc": "PBE", "setups": {"1": "4"}}, r"Si\.4\.PBE"),
    ):
        gpw(path, *given, **parameters, **PLANE_WAVES)
        with pytest.raises(FormatError, match=rf"needs GPAW's setup {name}.*pip install gpaw-data.*GPAW_SETUP_PATH"):
            chgtools.read(path)


def test_setups_that_are_not_the_runs_are_refused(tmp_path, setups):
    full = matrices()
    given = (CELL, ["Si", "Si"], POSITIONS)
    smooth = (valence(full[0], 8.0) + cores(SHAPE))[None]
    path = gpw(tmp_path / "a.gpw", *given, smooth, packed(full)[:, :-1], **PLANE_WAVES)
    with pytest.raises(FormatError, match=r"matrices of 29 numbers, the setups at hand make 30"):
        chgtools.read(path)
    gpw(path, *given, smooth + 0.002 / abs(np.linalg.det(CELL)), packed(full), **PLANE_WAVES)
    with pytest.raises(FormatError, match=r"gives 8\.0020 electrons with the setups at hand, which have 8"):
        chgtools.read(path)
    gpw(path, *given, smooth - 0.5 / abs(np.linalg.det(CELL)), packed(full), charge=0.5, **PLANE_WAVES)
    assert chgtools.read(path).electrons == pytest.approx(7.5, abs=1e-4)
    noncollinear = np.concatenate([smooth] * 4)
    gpw(path, *given, noncollinear, np.concatenate([packed(full)] * 4), **PLANE_WAVES)
    with pytest.raises(FormatError, match="4 spin components"):
        chgtools.read(path)


def test_damage_is_one_sentence(tmp_path, setups):
    full = matrices()
    small = (6, 6, 6)
    smooth = (valence(full[0], 8.0, small) + cores(small))[None]
    whole = gpw(tmp_path / "a.gpw", CELL, ["Si", "Si"], POSITIONS, smooth, packed(full), **PLANE_WAVES).read_bytes()
    for count in (*range(40, len(whole), 97), len(whole) - 1):
        (tmp_path / "cut.gpw").write_bytes(whole[:count])
        with pytest.raises(FormatError, match="damaged or of a version that is not known"):
            chgtools.read(tmp_path / "cut.gpw")
    random = np.random.default_rng(3)
    for _ in range(200):
        body = bytearray(whole)
        for place in random.integers(12, len(whole), 3):
            body[place] = random.integers(256)
        (tmp_path / "odd.gpw").write_bytes(body)
        try:
            chgtools.read(tmp_path / "odd.gpw")
        except FormatError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"charge": "many"}, "could not convert string to float"),
        ({"mode": {"name": "pw", "ecut": -3}}, "plane waves up to 0"),
        ({"mode": {"name": "pw"}, "h": -0.2}, "plane waves up to -15"),
    ],
)
def test_parameters_that_are_none(tmp_path, setups, changes, said):
    full = matrices()
    smooth = (valence(full[0], 8.0) + cores(SHAPE))[None]
    path = gpw(tmp_path / "a.gpw", CELL, ["Si", "Si"], POSITIONS, smooth, packed(full), **changes)
    with pytest.raises(FormatError, match=rf"damaged or of a version that is not known \(.*{said}"):
        chgtools.read(path)


def test_a_ghost_is_no_element(tmp_path, setups, monkeypatch):
    monkeypatch.setattr("made_gpw.SYMBOLS", ["X", "H"])  # the file gets atomic numbers 1 and 0
    smooth = valence(np.zeros((2, SIZE, SIZE)), 8.0)[None]
    path = gpw(tmp_path / "a.gpw", CELL, ["X", "H"], POSITIONS, smooth, packed(matrices()))
    path.write_bytes(path.read_bytes().replace(np.array([1, 2]).tobytes(), np.array([0, 1]).tobytes(), 1))
    with pytest.raises(FormatError, match="an atom without an element"):
        chgtools.read(path)


@pytest.mark.parametrize("shape", ["gauss", "sinc", "bessel"])
def test_compensation_charges_have_the_multipole_one(tmp_path, shape):
    path = tmp_path / "Si.PBE"
    path.write_text(setup_text(shape=shape, radius=0.9))
    own = read_setup(path)
    r = np.linspace(0, own.end, 20001)
    for ell in range(3):
        g = own.compensation(ell, r)
        assert np.trapezoid(g * r ** (ell + 2), r) == pytest.approx(1, abs=1e-5)
        assert abs(g[-1]) < 1e-6 * np.abs(g).max()
        before = own.compensation(ell, np.array([own.end - 1e-3]))[0]
        assert abs(before) < 2e-4 * np.abs(g).max()  # without a step where it ends


def test_meshes_of_other_generators(tmp_path):
    """r = a i/(1 - b i) with a = A/N, b = 1/N is the same mesh; r = a (exp(d i) - 1) is ABINIT's."""
    path = tmp_path / "Si.PBE"
    path.write_text(setup_text())
    own = read_setup(path)
    np.testing.assert_allclose(own.r, R, rtol=1e-14)
    np.testing.assert_allclose(own.dr, DR, rtol=1e-14)
    other = tmp_path / "Si.LDA"
    line = f'<radial_grid eq="r=a*i/(1-b*i)" a="{A / N!r}" b="{1 / N!r}" n="{N}" istart="0" iend="{N - 1}"/>'
    other.write_text(setup_text(mesh=line))
    np.testing.assert_allclose(read_setup(other).dr, DR, rtol=1e-12)
    third = tmp_path / "Si.PW"
    line = f'<radial_grid eq="r=a*(exp(d*i)-1)" a="0.001" d="0.03" istart="0" iend="{N - 1}"/>'
    third.write_text(setup_text(mesh=line))
    found = read_setup(third)
    assert float((found.dr * np.exp(-found.r)).sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<atom ", "<atoms ", "no atom"),
        ('type="gauss"', 'type="exp"', "shape function 'exp'"),
        ("r=a*i/(n-i)", "r=d*i", "the mesh 'r=d\\*i'"),
        ("paw_dataset", "upf", "its root is 'upf'"),
        ('<ae_partial_wave state="s1"', '<ae_partial_wave state="s9"', "s1"),
        ("</paw_dataset>", "", "no element found"),
        ('valence="4"', 'valence="0"', "0 valence electrons"),
        ('type="gauss" rc="0.6"', 'type="gauss" rc="1e9"', r"rc = 1e\+09 bohr"),
        ('l="1"', 'l="7"', "channels of l ="),
    ],
)
def test_a_setup_that_is_none(tmp_path, old, new, said):
    path = tmp_path / "Si.PBE"
    path.write_text(setup_text().replace(old, new))
    with pytest.raises(FormatError, match=rf"Si\.PBE.*damaged, or no PAW data set of GPAW \(.*{said}"):
        read_setup(path)


def test_where_setups_are_looked_for(tmp_path, monkeypatch):
    for name in ("beside", "named", "rc"):
        (tmp_path / name).mkdir()
    (tmp_path / ".gpaw").mkdir()
    (tmp_path / ".gpaw" / "rc.py").write_text(
        f"from gpaw import setup_paths\nsetup_paths.insert(0, '{tmp_path / 'rc'}')\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GPAW_SETUP_PATH", f"{tmp_path / 'named'}:{tmp_path / 'absent'}")
    assert folders(tmp_path / "beside")[:3] == [tmp_path / name for name in ("beside", "named", "rc")]


MAKE = """
from ase.build import bulk
from gpaw import GPAW, PW
for name, atoms in (("si", bulk("Si")), ("fe", bulk("Fe"))):
    atoms.set_initial_magnetic_moments([2.2 if name == "fe" else 0] * len(atoms))
    if name == "si":
        atoms.positions[1] += [0.05, 0.02, -0.03]
    atoms.calc = GPAW(mode=PW(200), kpts=(2, 2, 2), xc="PBE", txt=None, symmetry="off", convergence=dict(density=1e-2))
    atoms.get_potential_energy()
    atoms.calc.write(f"{name}.gpw")
"""


def python_with_gpaw():
    for name in ("python", "python3", "/usr/bin/python3"):
        python = shutil.which(name)
        if python and subprocess.run([python, "-c", "import gpaw"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("needs a Python with GPAW")


def test_a_gpw_of_gpaw_is_what_gpaw_makes_of_it(tmp_path):
    """gpaw_cube.py lets GPAW itself add its compensation charges."""
    python = python_with_gpaw()
    environment = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    for command in ([python, "-c", MAKE], *([python, str(SCRIPT), f"{name}.gpw"] for name in ("si", "fe"))):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for name, valence_electrons in (("si", 8), ("fe", 8)):
        data = chgtools.read(tmp_path / f"{name}.gpw")
        with pytest.warns(AssumptionWarning, match="taken as electrons/bohr"):
            cube = chgtools.read(tmp_path / f"{name}.cube")
        assert data.electrons == pytest.approx(valence_electrons, abs=1e-4)
        off = np.abs(data.total - cube.total).mean() * data.structure.volume
        assert off < 1e-4 * valence_electrons
    assert data.integral(1) > 1  # iron's moment
    made = chgtools.difference_density(tmp_path / "si.gpw")
    assert made.labels == ("Si",)
    assert 12 < made.eps_mae_of_saed < 22  # what the bonds are of a silicon of VASP: 14
    assert "no POSCAR: positions are those that came with the density" in made.assumptions
