"""The packaged facts on POTCAR labels."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import pytest
from conftest import shared_path

from chgtools.atoms.labels import all_labels, default_label, element_of, label_facts, labels_of
from chgtools.elements import SYMBOLS
from chgtools.errors import AssumptionWarning, MissingDensityError, SettingsError
from chgtools.paw.records import record_length


def test_all_labels_are_there_and_consistent():
    assert len(all_labels()) == 419
    for label in all_labels():
        facts = label_facts(label)
        assert facts.element in SYMBOLS
        assert element_of(label) == facts.element
        assert sum(electrons for _, _, electrons in facts.valence) == pytest.approx(facts.zval)
        assert 50 < facts.enmax < 2200
        if facts.core_electrons is not None:
            assert facts.core_electrons + facts.zval == SYMBOLS.index(facts.element) + 1
        if facts.channels is not None:
            assert len(facts.channels) == sum(facts.projectors)
            assert record_length(facts.channels) == facts.aug_record_length


def test_facts_of_one_label():
    facts = label_facts("Fe_pv")
    assert (facts.element, facts.zval, facts.enmax) == ("Fe", 14, 293.238)
    assert facts.valence == ((3, 1, 6), (3, 2, 7), (4, 0, 1))
    assert (facts.channels, facts.aug_record_length) == ((1, 1, 2, 2, 0, 0), 138)
    assert facts.is_mp_default
    assert not facts.is_vasp_recommended
    assert label_facts("Ti_sv_GW").enmax_by_set == {"52": 285.998, "2010": 312.571}
    assert label_facts("Er_3").frozen_4f_electrons == 11


def test_packaged_copy_is_the_reference():
    reference = json.loads(shared_path("potcar_labels.json").read_text())
    assert list(reference) == list(all_labels())
    assert all(label_facts(label).zval == entry["zval"] for label, entry in reference.items())


def test_labels_of_an_element():
    assert set(labels_of("Ga")) == {"Ga", "Ga_s", "Ga_d", "Ga_h", "Ga_GW", "Ga_d_GW", "Ga_pv_GW", "Ga_sv_GW"}
    assert labels_of("Qq") == ()


def test_mp_default_is_that_of_pymatgen():
    from pymatgen.io.vasp.sets import MPRelaxSet

    chosen = MPRelaxSet.CONFIG["POTCAR"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        differing = {e: (default_label(e), label) for e, label in chosen.items() if default_label(e) != label}
    assert len(chosen) > 80
    assert differing == {}


def test_vasp_default_is_the_recommended_one():
    assert default_label("Fe", "vasp") == "Fe"
    assert default_label("Fe") == "Fe_pv"
    assert default_label("Ga", "vasp") == "Ga_d"


def test_an_element_the_mp_set_lacks_falls_back_and_says_so():
    with pytest.warns(AssumptionWarning, match="no label for Po; VASP's recommended Po_d is taken"):
        assert default_label("Po") == "Po_d"
    with pytest.warns(AssumptionWarning, match="VASP recommends no label for Cf; the first known Cf is taken"):
        assert default_label("Cf", "vasp") == "Cf"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("Fe_sv2", "'Fe_sv2' is known; of Fe there are Fe, Fe_GW, Fe_pv,"),
        ("fe_PV", "of Fe there are"),
        ("Po_pv", "of Po there are"),
        ("nonsense", "there are "),
    ],
)
def test_unknown_label_names_near_ones(label, message):
    with pytest.raises(MissingDensityError, match=message):
        label_facts(label)
    with pytest.raises(KeyError):
        label_facts(label)


def test_unknown_element_and_convention():
    with pytest.raises(MissingDensityError, match="no POTCAR label of the element 'Og'"):
        default_label("Og")
    with pytest.raises(SettingsError, match="'oqmd'; wanted mp or vasp"):
        default_label("Fe", "oqmd")


def test_reading_the_facts_is_quick():
    """In a fresh process, so that nothing is cached: the file is read and one label looked up."""
    code = (
        "import time; from chgtools.atoms import labels; t = time.process_time(); labels.label_facts('Fe_pv');"
        "print(time.process_time() - t)"
    )
    seconds = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert seconds < 0.1
