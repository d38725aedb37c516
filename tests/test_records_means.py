"""Mean occupancies of labels in reference CHGCARs."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from conftest import shared_path
from synthetic_chgcar import LATTICE
from synthetic_potcar import data_set, write_synthetic_potcar

from chgtools.atoms.density import AtomicDensity
from chgtools.cell import Structure
from chgtools.errors import AssumptionWarning, FormatError, MismatchError, MissingDensityError, SettingsError
from chgtools.formats import chgcar
from chgtools.libraries.library import DensityLibrary
from chgtools.paw.means import labels_in_library, references, with_mean_occupancies
from chgtools.paw.records import (
    occupancies_of_record,
    polarised_record,
    record_length,
    rotate_record,
    spherical_record,
)
from chgtools.start.occupancies import start_occupancies
from chgtools.volumetric import Augmentation, VolumetricData

pytestmark = pytest.mark.filterwarnings("ignore:the .* reference records of .* are .* off their mean")  # invented ones
IRON, OXYGEN = (1, 1, 2, 2, 0, 0), (0, 0, 1, 1)
SETS = [("Fe_pv", 14, IRON), ("O", 6, OXYGEN)]


@pytest.fixture
def library(tmp_path):
    return DensityLibrary.from_potcar(write_synthetic_potcar(tmp_path / "sets" / "POTCAR", SETS))


def write_run(folder, records, species=("Fe", "O"), counts=(1, 2), blocks=1, potcar=None):
    folder.mkdir(parents=True, exist_ok=True)
    frac = np.random.default_rng(3).uniform(0, 1, (sum(counts), 3)).round(6)
    atoms = Structure(LATTICE, species, counts, frac)
    grid = np.ones((2, 3, 4), order="F")
    augmentation = [Augmentation([scale * r for r in records]) for scale in (1, 7)[:blocks]]
    moments = [np.ones(sum(counts))] * (blocks - 1)
    path = folder / "CHGCAR"
    chgcar.write(VolumetricData("CHGCAR", atoms, [grid] * blocks, augmentation if records else [], moments), path)
    if potcar:
        write_synthetic_potcar(folder / "POTCAR", potcar)
    return path


def records(seed, channels=(IRON, OXYGEN, OXYGEN)):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=record_length(each)).round(6) for each in channels]


def test_the_mean_is_that_of_the_spherical_parts(tmp_path, library):
    first, second = records(1), records(2)
    paths = [write_run(tmp_path / "a", first), write_run(tmp_path / "b", second, blocks=2)]
    made, atoms = with_mean_occupancies(library, paths)
    assert atoms == {"Fe_pv": 2, "O": 4}
    oxygen = [*first[1:], *second[1:]]  # of the total density alone
    np.testing.assert_allclose(
        made["O"].mean_occupancies, np.mean([occupancies_of_record(OXYGEN, r) for r in oxygen], axis=0), atol=1e-6
    )
    facts = made["Fe_pv"].provenance
    assert (facts["mean_atoms"], facts["mean_files"]) == (2, 2)
    spherical = [spherical_record(IRON, occupancies_of_record(IRON, r[0])) for r in (first, second)]
    mean = np.mean(spherical, axis=0)
    spread = 100 * np.linalg.norm(spherical[0] - mean) / np.linalg.norm(mean)  # two atoms are equally far apart
    assert facts["mean_spread_percent"] == pytest.approx(spread, rel=1e-4)
    rest = [np.sum((r[0] - s) ** 2) for r, s in zip((first, second), spherical, strict=True)]
    left_out = 100 * np.sqrt(np.mean(rest)) / np.linalg.norm(mean)
    assert facts["mean_lost_percent"] == pytest.approx(left_out, rel=1e-4)
    assert library["O"].mean_occupancies is None  # what was given is as it was


def test_turned_references_have_the_same_mean(tmp_path, library):
    """The mean does not know how a reference's cell lies."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    start = records(4)
    turned = [rotate_record(each, r, turn) for each, r in zip((IRON, OXYGEN, OXYGEN), start, strict=True)]
    means = [
        with_mean_occupancies(library, [write_run(tmp_path / name, rs)])[0]["Fe_pv"].mean_occupancies
        for name, rs in (("a", start), ("b", turned))
    ]
    np.testing.assert_allclose(means[1], means[0], atol=1e-6)


def test_folders_of_runs(tmp_path, library):
    for name in "ab":
        write_run(tmp_path / "runs" / name, records(1))
    assert references([tmp_path / "runs"]) == [tmp_path / "runs" / name / "CHGCAR" for name in "ab"]
    assert references([tmp_path / "runs", tmp_path / "runs" / "a" / "CHGCAR"]) == references([tmp_path / "runs"])
    assert with_mean_occupancies(library, [tmp_path / "runs"])[1] == {"Fe_pv": 2, "O": 4}
    with pytest.raises(MissingDensityError, match=r"sets has no CHGCAR; wanted folders of VASP runs"):
        references([tmp_path / "sets"])


def test_labels_come_from_the_potcar_beside(tmp_path):
    """Two labels of one element with equal channels: only the POTCAR tells them apart."""
    both = [("O", 6, OXYGEN), ("O_s", 6, OXYGEN), ("Fe_pv", 14, IRON)]
    library = DensityLibrary.from_potcar(write_synthetic_potcar(tmp_path / "POTCAR", both))
    path = write_run(tmp_path / "run", records(1), potcar=[("Fe_pv", 14, IRON), ("O_s", 6, OXYGEN)])
    assert with_mean_occupancies(library, [path])[1] == {"Fe_pv": 1, "O_s": 2}
    alone = write_run(tmp_path / "alone", records(1))
    with pytest.raises(
        MissingDensityError, match=r"alone/CHGCAR: O, O_s have channels for the 33 numbers .* of O; put"
    ):
        with_mean_occupancies(library, [alone])


def test_the_length_of_the_records_tells_labels_apart(tmp_path):
    sets = [("O", 6, OXYGEN), ("O_h", 6, (0, 0, 1, 1, 2)), ("Fe_pv", 14, IRON)]
    library = DensityLibrary.from_potcar(write_synthetic_potcar(tmp_path / "POTCAR", sets))
    assert with_mean_occupancies(library, [write_run(tmp_path / "a", records(1))])[1] == {"Fe_pv": 1, "O": 2}


def test_a_file_without_species_needs_the_potcar(tmp_path, library):
    path = write_run(tmp_path / "run", records(1), species=("", ""))
    with pytest.raises(MissingDensityError, match=r"names no species \(VASP 4\); put the POTCAR of its run beside it"):
        with_mean_occupancies(library, [path])
    write_synthetic_potcar(tmp_path / "run" / "POTCAR", SETS)
    assert with_mean_occupancies(library, [path])[1] == {"Fe_pv": 1, "O": 2}


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path, library):
    wrong = write_run(tmp_path / "length", records(1, (OXYGEN, OXYGEN, OXYGEN)), potcar=SETS)
    with pytest.raises(
        MismatchError, match=r"ion 1 has 33 numbers, Fe_pv of the library \(POTCAR .*\) wants 138; take"
    ):
        with_mean_occupancies(library, [wrong])
    with pytest.raises(
        FormatError, match=r"none/CHGCAR: has no augmentation occupancies; wanted a CHGCAR of a PAW run"
    ):
        with_mean_occupancies(library, [write_run(tmp_path / "none", [])])
    other = write_run(tmp_path / "other", records(1), potcar=[("Fe", 8, IRON), ("O", 6, OXYGEN)])
    with pytest.raises(MissingDensityError, match=r"POTCAR holds Fe, the library has no such label; build it with"):
        with_mean_occupancies(library, [other])
    with_others = write_run(tmp_path / "occupancies", records(1), potcar=SETS)
    unlike = replace(library["O"], occupancies=2 * library["O"].occupancies)
    with pytest.raises(MismatchError, match=r"holds another O .* occupancies of one do not fit the other"):
        with_mean_occupancies({"Fe_pv": library["Fe_pv"], "O": unlike}, [with_others])
    swapped = write_run(tmp_path / "swapped", records(1), potcar=SETS[::-1])
    with pytest.raises(MismatchError, match=r"holds data sets for O Fe, the CHGCAR beside it has the groups Fe1O2"):
        with_mean_occupancies(library, [swapped])
    write_run(tmp_path / "release", records(1))
    release = data_set("Fe_pv", 14, IRON, width=0.5) + data_set("O", 6, OXYGEN)
    (tmp_path / "release" / "POTCAR").write_text(release)
    with pytest.raises(MismatchError, match=r"holds another Fe_pv .* occupancies of one do not fit the other"):
        with_mean_occupancies(library, [tmp_path / "release" / "CHGCAR"])
    plain = AtomicDensity("O", "O", 6, library["O"].q, library["O"].form, "a table")
    with pytest.raises(MissingDensityError, match=r"no entry of the library for O has channels for the 33 numbers"):
        with_mean_occupancies({"Fe_pv": library["Fe_pv"], "O": plain}, [write_run(tmp_path / "plain", records(1))])


def test_mean_occupancies_follow_the_moments(tmp_path, library):
    path = write_run(tmp_path / "a", records(1))
    atoms = chgcar.read(path).structure
    made, _ = with_mean_occupancies(library, [path])

    def blocks(moments=None, densities=(made["Fe_pv"], made["O"])):
        return start_occupancies(atoms, densities, wanted="mean", moments=moments).blocks

    one = blocks()
    assert [len(r) for r in one[0].real] == [138, 33, 33]
    np.testing.assert_allclose(occupancies_of_record(IRON, one[0].real[0]), made["Fe_pv"].mean_occupancies)
    two = blocks(np.array([3.0, 0.0, -1.0]))
    iron, oxygen = (library[label].occupancies for label in ("Fe_pv", "O"))
    np.testing.assert_allclose(two[1].real[0], 3 * polarised_record(IRON, two[0].real[0], iron, 14))
    np.testing.assert_allclose(two[1].real[2], -polarised_record(OXYGEN, two[0].real[2], oxygen, 6))
    assert [block.imaginary is not None for block in blocks(np.eye(3))] == [True] * 4
    with pytest.raises(SettingsError, match=r"\(mean of reference CHGCARs\) are known for O"):
        blocks(densities=(made["Fe_pv"], library["O"]))


def test_silicon_of_the_corpus():
    """Runs under one TITEL have records of two kinds (1.5 and 5.8 for the first s); a mean of both is warned of."""
    q = np.linspace(0, 10, 101)
    atom = AtomicDensity("Si", "Si", 4, q, 4 * np.exp(-(q**2)), "test", channels=(0, 0, 1, 1))
    kinds = [
        [shared_path("corpus", name, "CHGCAR.gz") for name in names]
        for names in (
            ("MatMethods__Si2-2", "mp_workshop__Si8-8"),
            ("aiida-vasp__Si2-2", "atomate2__Si7-7", "MacroDensity__Si2-2"),
        )
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (with_mean_occupancies({"Si": atom}, paths)[0]["Si"] for paths in kinds)
    assert first.provenance["mean_atoms"] == 10
    assert first.provenance["mean_spread_percent"] < 1
    assert first.mean_occupancies is not None
    assert second.mean_occupancies is not None
    assert np.linalg.eigvalsh(first.mean_occupancies)[0] > 0
    assert first.mean_occupancies[0, 0] == pytest.approx(1.496, abs=0.002)
    assert second.mean_occupancies[0, 0] > 5
    with pytest.warns(
        AssumptionWarning, match="the 21 reference records of Si are 45 % off their mean: are all of the"
    ):
        made, atoms = with_mean_occupancies({"Si": atom}, [*kinds[0], *kinds[1]])
    assert atoms == {"Si": 21}


def test_labels_of_a_header(tmp_path, library):
    """VASP 6.4 writes labels into the header; they go before what the lengths would say."""
    atoms = Structure(LATTICE, ("Fe", "O"), (1, 2), np.zeros((3, 3)), ("Fe_pv", "O"))
    assert labels_in_library(atoms, [138, 33], library, tmp_path / "CHGCAR") == ["Fe_pv", "O"]
    other = atoms.with_changes(labels=("Fe", "O"))
    with pytest.raises(
        MissingDensityError, match=r"CHGCAR: its header names Fe, the library has no such label; build it"
    ):
        labels_in_library(other, [138, 33], library, tmp_path / "CHGCAR")
