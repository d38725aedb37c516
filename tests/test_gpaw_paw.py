"""GPAW's stores as CHGCARs and back (benchmarks/gpaw/gpaw_paw.py), and what its benchmark hands on."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import shared_path

from chgtools.errors import MismatchError
from chgtools.formats import chgcar, poscar
from chgtools.fourier.half_sphere import half_sphere
from chgtools.libraries.ground_state import ground_state_change
from chgtools.libraries.library import DensityLibrary
from chgtools.paw.means import with_mean_occupancies
from chgtools.paw.records import matrix_from_record, record_from_matrix, record_length
from chgtools.start.occupancies import start_occupancies
from chgtools.units import BOHR_ANGSTROM

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "gpaw"))
import gpaw_occupancies
import gpaw_paw

LATTICE = np.array([[3.1, 0.0, 0.0], [0.4, 3.3, 0.0], [-0.2, 0.5, 3.6]])
WAVES = {"Ti": (0, 0, 1, 1, 2, 2), "O": (0, 1, 0, 1, 2)}
SPECIES = ["Ti", "O", "O"]
VALENCE = {"Ti": 12.0, "O": 6.0}


def size(element):
    return sum(2 * ell + 1 for ell in WAVES[element])


def spherical(element, seed):
    """A density matrix without any direction."""
    rng = np.random.default_rng(seed)
    waves = WAVES[element]
    start = np.concatenate([[0], np.cumsum([2 * ell + 1 for ell in waves])])
    matrix = np.zeros((size(element),) * 2)
    for a, l_a in enumerate(waves):
        for b, l_b in enumerate(waves[: a + 1]):
            if l_a == l_b:
                block = rng.uniform() * np.eye(2 * l_a + 1)
                matrix[start[a] : start[a + 1], start[b] : start[b + 1]] = block
                matrix[start[b] : start[b + 1], start[a] : start[a + 1]] = block
    return matrix


@pytest.fixture
def store(tmp_path):
    """A store of the layout in shared/dft/GPAW.md with invented numbers."""
    path, rng, g_max = tmp_path / "gpaw.h5", np.random.default_rng(1), 3.0
    count = len(half_sphere(LATTICE, g_max / BOHR_ANGSTROM))
    with h5py.File(path, "w") as file:
        for element, waves in WAVES.items():
            group = file.create_group(f"setups/{element}")
            q = 0.05 * np.arange(501)
            group["l"], group["atom_form_whole"] = np.array(waves), (VALENCE[element] * np.exp(-(q**2))).astype("f4")
            group.attrs.update({"valence": VALENCE[element], "rc": 0.5, "waves": "invented", "file": f"{element}.PBE"})
        for key in ("first", "second"):
            group = file.create_group(key)
            group["lattice"], group["species"] = LATTICE, np.array(SPECIES, "S2")
            group["fractional"], group["shape"] = rng.uniform(size=(3, 3)), np.array([12, 12, 14])
            for name in ("dcd", "saed"):
                group[name] = rng.normal(size=(count, 2)).astype("f4")
            group.attrs.update(
                {"g_max": g_max, "nelectrons": 24.0, "encut_ev": 700.0, "kind": "invented", "formula": "TiO2"}
            )
            for atom, element in enumerate(SPECIES):
                matrix = rng.normal(size=(size(element),) * 2)
                group[f"D/{atom}"] = (matrix + matrix.T).astype("f4")
                group[f"D_atoms/{atom}"] = spherical(element, len(element)).astype("f4")
    return path


def test_runs_are_read_back(store, tmp_path):
    """Grid to the digits of a CHGCAR, records to their seven; the grid has the electrons and the store's waves."""
    first, second = gpaw_paw.write_runs(store, tmp_path / "runs")
    assert [path.parent.name for path in (first, second)] == ["first", "second"]
    calculation = next(gpaw_paw.calculations(store, ["second"]))
    data = chgcar.read(second)
    assert data.structure.species == ("Ti", "O")
    assert data.electrons == pytest.approx(24, abs=1e-7)
    np.testing.assert_allclose(data.total, calculation.grid(), atol=1e-9)
    assert [len(r) for r in data.augmentation[0].real] == [record_length(WAVES[e]) for e in SPECIES]
    for record, matrix, element in zip(data.augmentation[0].real, calculation.matrices, SPECIES, strict=True):
        np.testing.assert_allclose(record, record_from_matrix(WAVES[element], matrix), rtol=1e-6)
    np.testing.assert_allclose(poscar.read(second.with_name("POSCAR")).frac, calculation.entry.structure.frac)


def test_the_grid_is_the_sum_of_atoms_and_difference(store):
    calculation = next(gpaw_paw.calculations(store))
    entry = calculation.entry
    waves = np.fft.fftn(calculation.grid()) / np.prod(entry.shape) * entry.structure.volume
    np.testing.assert_allclose(waves[tuple(entry.miller.T)], entry.dcd + calculation.start, atol=1e-6)


def test_matrices_come_back_but_for_what_records_cannot_hold(store, tmp_path):
    (path, _), channels = gpaw_paw.write_runs(store, tmp_path / "runs"), gpaw_paw.channels_of(store)
    assert channels == WAVES
    calculation, output = next(gpaw_paw.calculations(store)), tmp_path / "first.h5"
    back = gpaw_paw.matrices_of(SPECIES, chgcar.read(path).augmentation[0].real, channels)
    gpaw_paw.write_matrices(output, back)
    with h5py.File(output) as file:
        read = [file[str(atom)][()] for atom in range(3)]
    for element, matrix, original in zip(SPECIES, read, calculation.matrices, strict=True):
        held = matrix_from_record(WAVES[element], record_from_matrix(WAVES[element], original))
        np.testing.assert_allclose(matrix, held, atol=1e-6)
        assert np.abs(held - original).max() > 0.1  # invented numbers have much that is lost
    lost = gpaw_paw.losses(store)
    assert {element: len(values) for element, values in lost.items()} == {"Ti": 2, "O": 4}
    held = [matrix_from_record(WAVES[e], record_from_matrix(WAVES[e], m)) for e, m in zip(SPECIES, calculation.matrices, strict=True)]  # fmt: skip
    wanted = 100 * np.linalg.norm(calculation.matrices[0] - held[0]) / np.linalg.norm(calculation.matrices[0])
    assert lost["Ti"][0] == pytest.approx(wanted)


def test_the_library_is_one_of_potcars(store, tmp_path):
    gpaw_paw.atoms_library([store]).write(tmp_path / "lib.h5")
    library = DensityLibrary.open(tmp_path / "lib.h5")
    assert set(library) == {"Ti", "O"}
    titanium = library["Ti"]
    assert (titanium.zval, titanium.channels, titanium.enmax, titanium.xc) == (12, WAVES["Ti"], 700, "PBE")
    np.testing.assert_allclose(titanium.form, 12 * np.exp(-((titanium.q * BOHR_ANGSTROM) ** 2)), atol=1e-5)
    assert ground_state_change(titanium) is None  # the Ti of VASP is in another configuration, GPAW's is not
    calculation = next(gpaw_paw.calculations(store))
    atoms = calculation.entry.structure
    blocks = start_occupancies(atoms, [library["Ti"], library["O"]], wanted="atoms").blocks
    for element, record, atomic in zip(SPECIES, blocks[0].real, calculation.atomic, strict=True):
        np.testing.assert_allclose(matrix_from_record(WAVES[element], record), atomic, atol=1e-6)


def test_means_of_runs_take_their_labels_from_the_library(store, tmp_path):
    library = gpaw_paw.atoms_library([store])
    made, atoms = with_mean_occupancies(library, gpaw_paw.write_runs(store, tmp_path / "runs"))
    assert atoms == {"Ti": 2, "O": 4}
    mean = [c.matrices[0] for c in gpaw_paw.calculations(store)]
    trace = np.mean([np.trace(m[:1, :1]) for m in mean])  # the first s wave
    assert made["Ti"].mean_occupancies[0, 0] == pytest.approx(trace, abs=1e-6)


def test_unknown_elements_are_refused():
    with pytest.raises(MismatchError, match="no setup of GPAW is known for Xe"):
        gpaw_paw.matrices_of(["Xe"], [np.zeros(1)], WAVES)


def test_the_command_writes_what_gpaw_reads(store, tmp_path, monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["gpaw_paw.py", *map(str, arguments)])
        gpaw_paw.main()
        return capsys.readouterr().out

    assert call("library", store, "-o", tmp_path / "lib.h5").endswith("2 atoms: O, Ti\n")
    assert call("runs", store, "-o", tmp_path / "runs", "--keys", "first").endswith("1 runs\n")
    assert not (tmp_path / "runs" / "second").exists()
    call("occupancies", tmp_path / "runs" / "first" / "CHGCAR", tmp_path / "lib.h5", "-o", tmp_path / "d.h5")
    with h5py.File(tmp_path / "d.h5") as file:
        assert [file[str(atom)].shape for atom in range(3)] == [(18, 18), (13, 13), (13, 13)]
    assert "all          6" in call("loss", store)


def test_rows_of_the_benchmark_are_named_and_their_medians_taken():
    def row(name, bands, energy):
        return {"name": name, "band_mae_mev": bands, "band_mae_aligned_mev": bands / 2,
                "energy_error_mev_per_atom": energy, "dropped_percent": 0.0}  # fmt: skip

    rows = gpaw_occupancies.named(
        [row("scf + scf D", 0.1, 0), row("head-grid + its D", 3, -2), row("scf + head D", 1, 1), row("other", 9, 9)],
        ["head"],
    )
    assert {name: r["bands_mev"] for name, r in rows.items()} == {"scf + scf": 0.1, "head + head": 3, "scf + head": 1}
    twice = [{"rows": rows}, {"rows": {"head + head": rows["head + head"] | {"energy_mev_per_atom": 6.0}}}]
    assert gpaw_occupancies.medians(twice)["head + head"]["energy_mev_per_atom"] == 4
    assert gpaw_occupancies.medians(twice)["scf + scf"]["structures"] == 1


def test_real_store_keeps_nearly_all_of_its_matrices():
    """What records cannot hold of GPAW's density matrices: below 0.5 % of each, nothing where symmetry is high."""
    lost = gpaw_paw.losses(shared_path("dft", "gpaw.h5"))
    every = np.concatenate(list(lost.values()))
    assert len(every) == 154
    assert every.max() < 0.5
    assert np.median(every) < 1e-4


def test_a_compact_store_is_nearly_the_same(store, tmp_path):
    assert gpaw_paw.compact(store, tmp_path / "small.h5") == 2
    pairs = zip(gpaw_paw.calculations(store), gpaw_paw.calculations(tmp_path / "small.h5"), strict=True)
    for original, small in pairs:
        size = np.sqrt(np.mean(np.abs(original.entry.dcd) ** 2))
        for change in (small.entry.dcd - original.entry.dcd, small.start - original.start):
            assert 2e-4 * size < np.sqrt(np.mean(np.abs(change) ** 2)) < 1e-3 * size
        np.testing.assert_array_equal(small.matrices[1], original.matrices[1])
    assert gpaw_paw.channels_of(tmp_path / "small.h5") == WAVES
