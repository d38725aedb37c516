"""`check` against POSCAR, INCAR and POTCAR: each finding is triggered once, and a set that belongs together has none."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import shared_path
from damages import HARMLESS, MISREAD, REJECTED
from synthetic_potcar import data_set, write_synthetic_potcar

from chgtools.check import check_file, findings
from chgtools.check.codes import DENSITY, FIXABLE, RULES
from chgtools.errors import FormatError
from chgtools.formats import chgcar
from chgtools.paw.records import record_groups
from chgtools.start.prediction import predict

POSCAR = """cell
1.0
 4.0 0.0 0.0
 1.3 3.6 0.0
 -0.7 0.9 5.1
Fe O
2 1
Direct
 0.085649 0.236811 0.801274
 0.5821623 0.0941287 0.4331273
 -0.0000002 0.159739 1.734577
"""
INCAR = {"ENCUT": "150", "ICHARG": "11", "ISPIN": "2", "MAGMOM": "2*2.0 0.5", "LMAXMIX": "4", "PREC": "Normal"}
POTCAR = [("Fe", 8, (2, 2, 0, 0, 1, 1)), ("O", 6, (0, 0, 1, 1))]


def write_incar(folder: Path, **changes: str | None) -> None:
    tags = {**INCAR, **changes}
    (folder / "INCAR").write_text("".join(f"{tag} = {value}\n" for tag, value in tags.items() if value is not None))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A run as `chgtools predict` prepares it: POSCAR, INCAR, POTCAR (invented numbers) and CHGCAR."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "POSCAR").write_text(POSCAR)
    write_incar(folder)
    write_synthetic_potcar(folder / "POTCAR", POTCAR)
    chgcar.write(predict(folder / "POSCAR", model="none").data, folder / "CHGCAR")
    return folder


@pytest.fixture
def folder(run_folder, tmp_path):
    return Path(shutil.copytree(run_folder, tmp_path / "run"))


def found(folder: Path) -> dict[str, str]:
    return {finding.code: finding.severity for finding in check_file(folder / "CHGCAR").findings}


def test_what_predict_writes_has_no_finding(folder):
    report = check_file(folder / "CHGCAR")
    assert report.findings == ()
    assert report.not_checked == ()
    assert [line.partition(":")[0] for line in report.inputs] == ["POSCAR", "INCAR", "POTCAR"]
    assert all("beside the file" in line for line in report.inputs)
    assert report.facts["blocks"] == 2
    assert report.facts["electrons"] == pytest.approx(22, abs=1e-6)
    assert report.facts["moments"] == pytest.approx([4.5], abs=1e-6)


def changed(**changes):
    return lambda folder: write_incar(folder, **changes)


def own_grid(folder):
    """The file's grid, set in the INCAR."""
    n = chgcar.read_header(folder / "CHGCAR")[1]
    with open(folder / "INCAR", "a") as file:
        file.write(f"NGXF = {n[0]}; NGYF = {n[1]}; NGZF = {n[2]}\n")


def poscar(old, new):
    def change(folder):
        text = (folder / "POSCAR").read_text()
        assert old in text
        (folder / "POSCAR").write_text(text.replace(old, new))

    return change


def potcar(sets):
    return lambda folder: write_synthetic_potcar(folder / "POTCAR", sets)


def edited(change):
    """Change the data, and write the file again."""

    def apply(folder):
        data = chgcar.read(folder / "CHGCAR")
        change(data)
        data.layout = None
        chgcar.write(data, folder / "CHGCAR")

    return apply


def only_total(data):
    data.blocks, data.augmentation, data.moments = data.blocks[:1], data.augmentation[:1], []


def four_blocks(data):
    data.blocks += [data.blocks[1]] * 2
    data.moments *= 3
    for block in data.augmentation:
        block.imaginary = [np.zeros_like(record) for record in block.real]
    data.augmentation += [data.augmentation[1]] * 2


def zero_magnetisation(data):
    data.blocks[1][...] = 0


def longer_record(data):
    for block in data.augmentation:
        block.real[1] = np.zeros(33)


def with_values_beyond_two(data):
    for record in data.augmentation[0].real[:2]:
        record[record_groups((2, 2, 0, 0, 1, 1))[4]] = 0.01


def another_data_set(data):
    """The first s channel of the third ion as a set would have it whose waves are half as large there."""
    data.augmentation[0].real[2][0] *= 4


def times(factor):
    def change(data):
        data.blocks[0] *= factor

    return change


def both(*changes):
    def change(folder):
        for each in changes:
            each(folder)

    return change


def appended(line):
    def change(folder):
        with open(folder / "INCAR", "a") as file:
            file.write(f"{line}\n")

    return change


def kpoints(mode):
    return lambda folder: (folder / "KPOINTS").write_text(f"bands\n 20\n {mode}\nrec\n 0 0 0\n 0 0 0.5\n")


def touch(name):
    return lambda folder: (folder / name).write_text("")


# name: (change of the folder, code, severity); every other finding that comes with it is in ALSO
CASES = {
    "another number of atoms": (poscar("2 1\n", "1 1\n"), "atom-count", "refused"),
    "another species": (both(poscar("Fe O\n", "Fe S\n"), potcar([POTCAR[0], ("S", 6, (0, 0, 1, 1))])), "species", "misread"),
    "other counts": (
        both(poscar("2 1\n", "1 2\n"), potcar([("Fe", 10, (2, 2, 0, 0, 1, 1)), POTCAR[1]])), "species", "misread",
    ),
    "a longer cell": (both(poscar("5.1\n", "5.11\n"), own_grid), "lattice", "misread"),
    "a slightly longer cell": (poscar("5.1\n", "5.10001\n"), "lattice", "note"),
    "a displaced atom": (poscar("0.236811", "0.246811"), "positions", "misread"),
    "a slightly displaced atom": (poscar("0.236811", "0.236815"), "positions", "note"),
    "a larger cutoff": (changed(ENCUT="300"), "grid", "refused"),
    "a larger cutoff, ICHARG = 1": (changed(ENCUT="300", ICHARG="1"), "grid", "dropped"),
    "another PREC": (changed(PREC="Accurate"), "grid", "refused"),
    "a grid in the INCAR": (changed(NGXF="40", NGYF="40", NGZF="40"), "grid", "refused"),
    "potentials exchanged": (potcar(POTCAR[::-1]), "potcar-order", "misread"),
    "a potential too many": (potcar([*POTCAR, POTCAR[1]]), "potcar-order", "misread"),
    "another potential": (potcar([("Fe", 8, (2, 2, 0, 0, 1, 1)), ("O", 6, (0, 0, 1))]), "record-length", "dropped"),
    "a record of another length": (edited(longer_record), "record-length", "dropped"),
    "a charged cell": (changed(NELECT="21"), "electrons", "misread"),
    "another valence": (potcar([("Fe_pv", 14, (2, 2, 0, 0, 1, 1)), POTCAR[1]]), "electrons", "misread"),
    "occupancies of another data set": (edited(another_data_set), "occupancies-foreign", "misread"),
    "a density off by a little": (edited(times(1.0001)), "electrons", "misread"),
    "LMAXMIX left at 2": (changed(LMAXMIX=None), "lmaxmix", "misread"),
    "LMAXMIX left at 2, ICHARG = 1": (changed(LMAXMIX=None, ICHARG="1"), "lmaxmix", "note"),
    "ICHARG left out": (changed(ICHARG=None), "icharg", "dropped"),
    "ICHARG left out, with a WAVECAR": (both(changed(ICHARG=None), touch("WAVECAR")), "icharg", "dropped"),
    "ICHARG = 2": (changed(ICHARG="2"), "icharg", "dropped"),
    "ICHARG = 0": (changed(ICHARG="0"), "icharg", "dropped"),
    "ICHARG = 12": (changed(ICHARG="12"), "icharg", "dropped"),
    "no magnetisation": (edited(only_total), "magnetisation-missing", "misread"),
    "no magnetisation, ICHARG = 1": (both(edited(only_total), changed(ICHARG="1")), "magnetisation-missing", "note"),
    "a magnetisation that is not wanted": (changed(ISPIN="1"), "magnetisation-unused", "note"),
    "a collinear file": (changed(LNONCOLLINEAR="T", ISPIN=None, MAGMOM="9*1"), "magnetisation-collinear", "note"),
    "a non-collinear file": (edited(four_blocks), "magnetisation-blocks", "dropped"),
    "a magnetisation of zero": (edited(zero_magnetisation), "magnetisation-zero", "misread"),
    "a magnetisation of zero and no MAGMOM": (
        both(edited(zero_magnetisation), changed(MAGMOM=None)), "magnetisation-zero", "misread",
    ),
    "METAGGA": (changed(METAGGA="R2SCAN"), "taucar", "misread"),
    "METAGGA, ICHARG = 1": (changed(METAGGA="R2SCAN", ICHARG="1"), "taucar", "note"),
    "too few moments": (changed(MAGMOM="2.0 2.0"), "incar-value", "refused"),
    "a hybrid functional": (changed(LHFCALC=".TRUE."), "hybrid", "misread"),
    "ions that move": (changed(NSW="20"), "fixed-ions", "misread"),
    "a line of k-points, ICHARG = 1": (both(changed(ICHARG="1"), kpoints("Line-mode")), "line-mode", "misread"),
    "a tag that VASP does not know": (changed(FOO="400"), "incar-statement", "note"),
    "a tag misspelt": (changed(NELECTT="400"), "incar-statement", "misread"),
    "a tag without =": (appended("NUPDOWN 2"), "incar-statement", "misread"),
    "a tag again": (appended("LMAXMIX = 2"), "incar-statement", "note"),
    "a PREC misspelt": (changed(PREC="Nromal"), "incar-statement", "note"),
    "a weight too many": (changed(VCA="1.0 0.9 0.1"), "incar-value", "refused"),
    "atoms that are weighted": (changed(VCA="1.0 0.9"), "electrons", "misread"),
}  # fmt: skip
ALSO = {
    "other counts": {"electrons", "record-length", "occupancies-foreign"},
    "potentials exchanged": {"electrons"},
    "another valence": {"occupancies-foreign"},
}


@pytest.mark.parametrize("name", CASES)
def test_each_mismatch_is_found_alone(name, folder):
    change, code, severity = CASES[name]
    change(folder)
    codes = found(folder)
    assert codes.pop(code, None) == severity
    assert codes.keys() <= ALSO.get(name, set())
    assert check_file(folder / "CHGCAR").ok == (severity == "note" and not codes)


QUIET = {
    "images of atoms": poscar("0.085649 0.236811", "1.085649 -0.763189"),
    "more decimals": poscar("0.236811", "0.2368114"),
    "the electrons of the file": changed(NELECT="22"),
    "a zero MAGMOM": both(edited(zero_magnetisation), changed(MAGMOM="3*0")),
    "METAGGA with its TAUCAR": both(changed(METAGGA="R2SCAN"), touch("TAUCAR")),
    "METAGGA none": changed(METAGGA="NONE"),
    "ICHARG = 1": changed(ICHARG="1"),
    "ICHARG = 1 with a WAVECAR": both(changed(ICHARG="1"), touch("WAVECAR")),
    "LCHARG": changed(LCHARG=".FALSE."),
    "the grid of the file": both(changed(ENCUT="500"), own_grid),
    "a hybrid functional, ICHARG = 1": changed(LHFCALC=".TRUE.", ICHARG="1"),
    "no hybrid functional": changed(LHFCALC=".FALSE."),
    "ions that move, ICHARG = 1": changed(NSW="20", ICHARG="1"),
    "a line of k-points, ICHARG = 11": kpoints("line-mode"),
    "a mesh of k-points, ICHARG = 1": both(changed(ICHARG="1"), kpoints("Gamma")),
    "NUPDOWN = 0 and no moment": both(edited(zero_magnetisation), changed(MAGMOM=None, NUPDOWN="0")),
    "weights of 1": changed(VCA="1.0 1.0"),
    "ZVAL of the POTCAR": changed(ZVAL="8.0 6.0"),
    "non-collinear": both(changed(LSORBIT="T", ISPIN=None, MAGMOM="9*1"), edited(four_blocks)),
    "a negative minimum": edited(lambda data: data.blocks[0].__setitem__((0, 0, 0), -5.0)),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_goes_together_has_no_finding(name, folder):
    QUIET[name](folder)
    if name == "a negative minimum":
        data = chgcar.read(folder / "CHGCAR")
        data.blocks[0] *= 22 / data.electrons
        chgcar.write(data, folder / "CHGCAR")
        assert data.blocks[0].min() < -1
    assert found(folder) == {}


# what is in the INCAR: what the finding says
VALUES = {
    "ICHARG = eleven": "found ICHARG = 'eleven'; wanted a whole number",
    "ISPIN = 3": "found ISPIN = 3; wanted 1 or 2",
    "PREC = Xact": "found PREC = 'Xact'; wanted Normal",
    "ENCUT = high": "found ENCUT = 'high'; wanted a number",
}


@pytest.mark.parametrize("line", VALUES)
@pytest.mark.parametrize("named", [True, False])
def test_a_value_that_vasp_cannot_use_is_found(folder, line, named):
    (folder / "INCAR").write_text(f"NSW = 0\n{line}\n")
    report = check_file(folder / "CHGCAR", incar=folder / "INCAR" if named else None)
    (only,) = report.findings
    assert (only.code, only.severity, only.place) == ("incar-value", "refused", f"{folder / 'INCAR'}:2")
    assert VALUES[line] in only.found
    assert any("because a value of the INCAR is wrong" in sentence for sentence in report.not_checked)


def test_a_tag_set_elsewhere_is_no_loss(folder):
    """xISPIN is how a tag is put aside."""
    write_incar(folder, xISPIN="1")
    assert found(folder) == {"incar-statement": "note"}


def test_a_weighted_file_with_its_vca_is_in_order(folder):
    edited(times((2 * 8 + 0.9 * 6) / 22))(folder)
    assert found(folder) == {"electrons": "misread"}
    write_incar(folder, VCA="1.0 0.9")
    assert found(folder) == {}


def test_the_sentences_name_both_sides(folder):
    write_incar(folder, NELECT="21", ENCUT="300")
    by_code = {finding.code: finding for finding in check_file(folder / "CHGCAR").findings}
    assert "holds 22.000000 electrons" in by_code["electrons"].found
    assert "21" in by_code["electrons"].found
    shape = chgcar.read_header(folder / "CHGCAR")[1]
    assert f"the grid is {' x '.join(map(str, shape))}, VASP will use" in by_code["grid"].found
    assert "ENCUT = 300" in by_code["grid"].found
    assert f"NGXF = {shape[0]}; NGYF = {shape[1]}; NGZF = {shape[2]}" in by_code["grid"].mend


def test_occupancies_beyond_lmaxmix(folder):
    """A SAED's are spherical, so zero beyond L = 0; a file of a run with LMAXMIX = 2 has numbers to L = 2 only."""
    data = chgcar.read(folder / "CHGCAR")
    for big_l, places in record_groups((2, 2, 0, 0, 1, 1)).items():  # those of L = 0 are the atom's electrons
        data.augmentation[0].real[0][places] += 0.01 * (places + 1) * (0 < big_l <= 2)
    chgcar.write(data, folder / "CHGCAR")
    assert found(folder) == {"lmaxmix-of-file": "note"}
    with_values_beyond_two(data)
    chgcar.write(data, folder / "CHGCAR")
    assert found(folder) == {}
    write_incar(folder, LMAXMIX="2")
    finding = next(f for f in check_file(folder / "CHGCAR").findings if f.code == "lmaxmix")
    assert finding.severity == "misread"
    assert "are not zero in the file" in finding.found
    assert "LMAXMIX = 4" in finding.mend


def test_tails_of_neighbours_belong_to_an_atom_s_electrons(folder):
    """An atom has its own electrons and 0.62 of its neighbours near the nucleus: 1.1 more are not too many then."""
    data = chgcar.read(folder / "CHGCAR")
    data.augmentation[0].real[2][record_groups((0, 0, 1, 1))[0]] *= (2.15 + 1.1) / 2.15
    chgcar.write(data, folder / "CHGCAR")
    assert found(folder) == {}
    data.augmentation[0].real[2][record_groups((0, 0, 1, 1))[0]] *= (2.15 + 1.8) / (2.15 + 1.1)
    chgcar.write(data, folder / "CHGCAR")
    assert found(folder) == {"occupancies-foreign": "misread"}


def test_weighted_atoms_are_not_held_to_their_electrons(folder):
    write_incar(folder, VCA="1.0 0.9")
    edited(another_data_set)(folder)
    report = check_file(folder / "CHGCAR")
    assert all(finding.code != "occupancies-foreign" for finding in report.findings)
    assert "because VCA weighs the atoms" in " ".join(report.not_checked)


def test_radial_sets_that_disagree_are_not_used(folder):
    text = (folder / "POTCAR").read_text()
    (folder / "POTCAR").write_text(text.replace("     23     1.100", "     23     4.000"))
    edited(another_data_set)(folder)
    report = check_file(folder / "CHGCAR")
    assert report.findings == ()
    assert "waves that meet at 0.94 bohr, where the largest RCUT is 4.00" in " ".join(report.not_checked)


def test_potentials_without_paw_sets_want_no_records(folder):
    edited(lambda data: data.augmentation.clear())(folder)
    assert found(folder) == {"record-missing": "dropped"}
    sets = [data_set(label, zval, channels, ultrasoft=True) for label, zval, channels in POTCAR]
    (folder / "POTCAR").write_text("".join(sets))
    assert found(folder) == {}


def test_a_grid_no_run_can_have(folder):
    data = chgcar.read(folder / "CHGCAR")
    from chgtools.fourier.resampling import resample

    data.blocks = [np.asfortranarray(resample(block, (22, 24, 30))) for block in data.blocks]
    data.layout = None
    chgcar.write(data, folder / "CHGCAR")
    finding = next(f for f in check_file(folder / "CHGCAR").findings if f.code == "grid")
    assert "no VASP run has a grid of this size" in finding.mend


def test_without_inputs_it_is_said_what_was_not_checked(folder):
    for name in ("POSCAR", "INCAR", "POTCAR"):
        (folder / name).unlink()
    report = check_file(folder / "CHGCAR")
    assert report.findings == ()
    assert report.inputs == ()
    said = " ".join(report.not_checked)
    for what in ("no POSCAR", "no INCAR", "record lengths were compared within a species only", "number of electrons"):
        assert what in said


def test_labels_stand_in_for_a_potcar(folder):
    """Facts on labels differ from set to set, so what they contradict is a note."""
    (folder / "POTCAR").unlink()
    poscar("Fe O\n", "Fe O_s\n")(folder)
    assert any("record lengths of group 1" in sentence for sentence in check_file(folder / "CHGCAR").not_checked)
    poscar("Fe O_s\n", "Fe_pv O_s\n")(folder)
    assert found(folder) == {"electrons": "note"}  # Fe_pv has 14
    poscar("Fe_pv O_s\n", "Fe_pv H/abc\n")(folder)
    assert found(folder)["record-length"] == "note"
    write_incar(folder, ENCUT=None)
    assert found(folder)["grid"] == "note"


def test_inputs_elsewhere(folder, tmp_path):
    apart = tmp_path / "apart"
    apart.mkdir()
    shutil.move(folder / "CHGCAR", apart / "CHGCAR")
    write_incar(folder, ICHARG="2")
    named = {name: folder / name.upper() for name in ("poscar", "incar", "potcar")}
    report = check_file(apart / "CHGCAR", **named)
    assert [finding.code for finding in report.findings] == ["icharg"]
    assert not any("beside the file" in line for line in report.inputs)
    (folder / "POSCAR").write_text("no POSCAR\n")
    with pytest.raises(FormatError, match="POSCAR:2"):
        check_file(apart / "CHGCAR", **named)


def test_a_broken_input_beside_the_file_does_not_stop_the_check(folder):
    (folder / "POTCAR").write_text("no POTCAR\n")
    (folder / "INCAR").write_text("}\n")
    report = check_file(folder / "CHGCAR")
    assert report.findings == ()
    assert sum("beside the file:" in sentence for sentence in report.not_checked) == 2


def test_precisions_that_need_more_than_is_known(folder):
    (folder / "POTCAR").unlink()
    write_incar(folder, PREC="High")
    assert any("PREC = High needs ENAUG" in sentence for sentence in check_file(folder / "CHGCAR").not_checked)
    write_incar(folder, ENCUT=None)
    assert any("no ENCUT in the INCAR" in sentence for sentence in check_file(folder / "CHGCAR").not_checked)


def test_a_run_of_the_corpus_with_its_own_inputs(tmp_path):
    """CONTCAR is the POSCAR of the CHGCAR; a file of VASP goes with the INCAR and POSCAR of its run."""
    for name in ("VASPBERRY__Mo1S2-3", "pyiron__Fe2-2", "dft-book__Pd1-1"):
        run = shared_path("corpus", name)
        report = check_file(run / "CHGCAR.gz", poscar=run / "CONTCAR", incar=run / "INCAR")
        assert {finding.code for finding in report.findings} <= {"compressed", "icharg"}, name


def test_every_code_has_a_test_and_a_sentence():
    tested = {case[2] for case in (*REJECTED.values(), *HARMLESS.values())} | {code for _, code in MISREAD.values()}
    tested |= {code for _, code, _ in CASES.values()} | {"lmaxmix-of-file"}
    # test_check_file.py, test_fortran_reader.py, test_cell_bounds.py
    tested |= {"compressed", "ion-index", "left-handed", "long-cell", "not-read"}
    tested |= {"run-density", "run-occupancies", "run-magnetisation"}  # test_check_run.py
    assert RULES.keys() == tested - {None}
    assert RULES.keys() >= FIXABLE
    for code, rule in RULES.items():
        assert rule.severity in (findings.REFUSED, findings.DROPPED, findings.MISREAD, findings.NOTE, DENSITY)
        assert rule.effect or code == "icharg"
        assert rule.mend or code in ("grid", "lmaxmix")


def test_the_reference_lists_every_code_with_its_severity():
    page = (Path(__file__).parents[1] / "docs" / "reference" / "commands" / "check.md").read_text()
    rows = {line.split("`")[1]: line.split("|")[2] for line in page.splitlines() if line.startswith("| `")}
    assert rows.keys() == RULES.keys()
    for code, rule in RULES.items():
        assert ("refused" if rule.severity == DENSITY else rule.severity) in rows[code], code
        fixable = next(line for line in page.splitlines() if line.startswith(f"| `{code}`")).rstrip("| ").split("|")
        assert (len(fixable) > 4 and bool(fixable[4].strip())) == (code in FIXABLE), code
