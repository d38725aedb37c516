"""`chgtools prepare`: all is done or nothing, and what was there is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic_potcar import write_synthetic_potcar

from chgtools.check import check_file
from chgtools.cli import main
from chgtools.errors import ChgtoolsError, SettingsError
from chgtools.files import move_together
from chgtools.formats import chgcar
from chgtools.formats.incar import read_incar
from chgtools.formats.kpoints import LINE, kind_of_kpoints
from chgtools.start import preparation
from chgtools.start.preparation import NotReadyError, PrepareOptions, prepare

SAED = PrepareOptions(model="none")
POSCAR = "Si\n1.0\n0.0 2.7155 2.7155\n2.7155 0.0 2.7155\n2.7155 2.7155 0.0\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n"
INCAR = "SYSTEM = Si  ! mine\nENCUT = 150 ; ISMEAR = -5 # x\nIBRION = 2\nNSW = 50\n\n! the end"
MESH = "k\n0\nGamma\n4 4 4\n"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "POSCAR").write_text(POSCAR)
    (folder / "INCAR").write_text(INCAR)
    (folder / "KPOINTS").write_text(MESH)
    write_synthetic_potcar(folder / "POTCAR", [("Si", 4, (0, 0, 1, 1))])
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(*arguments):
    return CliRunner().invoke(main, ["prepare", *map(str, arguments), "--model", "none"])


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        ("bands", {"ICHARG": "11", "NSW": "0", "IBRION": "-1", "ISMEAR": "0", "LCHARG": ".FALSE."}),
        ("dos", {"ICHARG": "11", "NSW": "0", "IBRION": "-1", "LCHARG": ".FALSE."}),
        ("static", {"ICHARG": "1", "NSW": "0", "IBRION": "-1"}),
        ("relax", {"ICHARG": "1"}),
    ],
)
def test_what_each_run_gets(run, kind, tags):
    before, there = read_incar(run / "INCAR"), contents(run)
    done = prepare(run, kind, SAED)
    after = read_incar(run / "INCAR")
    assert {change.tag: change.after for change in done.changes} == tags
    assert dict(after) == {**before, **tags}
    assert check_file(run / "CHGCAR").ok  # with the INCAR as it is now
    assert (run / "INCAR.before").read_text() == INCAR
    left = (run / "INCAR").read_text()
    assert left.startswith("SYSTEM = Si  ! mine\nENCUT = 150 ; ISMEAR = ")
    assert "\n\n! the end\n" in left
    if kind == "bands":
        assert kind_of_kpoints(run / "KPOINTS") == LINE
        assert (run / "KPOINTS.before").read_text() == MESH
    else:
        assert (run / "KPOINTS").read_text() == MESH
    # again: nothing is written
    first = contents(run)
    assert set(first) - set(there) == {"CHGCAR", "INCAR.before"} | ({"KPOINTS.before"} if kind == "bands" else set())
    again = prepare(run, kind, SAED)
    assert (again.written, again.changes, again.start) == ((), (), None)
    assert contents(run) == first


def test_a_dry_run_shows_the_same_and_writes_nothing(run):
    there = contents(run)
    dry = command(run, "--for", "bands", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert contents(run) == there
    wet = command(run, "--for", "bands")

    def rows(text):
        return [line for line in text.splitlines() if not line.startswith((str(run), "ready", "nothing"))]

    assert rows(dry.stdout) == rows(wet.stdout)
    assert "nothing was written" in dry.stdout
    assert "was 50" in wet.stdout
    assert ".chgtools-" not in dry.output + wet.output  # files are named as those of the run


def test_bands_take_the_density_that_is_there(run):
    """As of a self-consistent run: never replaced, unless that is asked for."""
    prepare(run, "static", SAED)
    data = chgcar.read(run / "CHGCAR")
    data.blocks[0][0, 0, 0] += 1e-3
    data.blocks[0][0, 0, 1] -= 1e-3
    chgcar.write(data, run / "CHGCAR")
    own = (run / "CHGCAR").read_bytes()
    assert prepare(run, "bands", SAED).start is None
    assert (run / "CHGCAR").read_bytes() == own
    # two INCARs were changed, and both are there
    assert (run / "INCAR.before").read_text() == INCAR
    assert read_incar(run / "INCAR.before.2")["ICHARG"] == "1"
    assert prepare(run, "bands", PrepareOptions(model="none", force=True)).start is not None
    assert (run / "CHGCAR").read_bytes() != own


def test_a_charge_of_other_atoms_is_neither_taken_nor_replaced(run):
    prepare(run, "static", SAED)
    (run / "POSCAR").write_text(POSCAR.replace("2.7155", "2.8"))
    there = contents(run)
    done = command(run, "--for", "bands")
    assert done.exit_code == 3
    assert "is there already" in done.stderr
    assert "--force" in done.stderr
    assert contents(run) == there
    assert command(run, "--for", "bands", "--force").exit_code == 0


def test_an_empty_charge_of_a_run_that_was_stopped_is_none(run):
    (run / "CHGCAR").touch()
    assert "was empty" in prepare(run, "static", SAED).notes[0]
    assert chgcar.read(run / "CHGCAR").electrons == pytest.approx(8)


def without(name):
    def change(run):
        (run / name).unlink()

    return change


def with_text(name, text):
    def change(run):
        (run / name).write_text(text)

    return change


REFUSED = [
    ("bands", with_text("INCAR", INCAR + "\nLHFCALC = T\n"), 1, "LHFCALC.*no CHGCAR has.*weight 0"),
    ("dos", with_text("INCAR", INCAR + "\nLHFCALC = T\n"), 1, "LHFCALC"),
    ("dos", with_text("INCAR", INCAR + "\nMETAGGA = SCAN\n"), 3, "TAUCAR"),
    ("dos", with_text("KPOINTS", "k\n10\nLine\nr\n0 0 0\n0 0 0.5\n"), 1, "wants a regular mesh"),
    ("static", with_text("KPOINTS", "k\n10\nLine\nr\n0 0 0\n0 0 0.5\n"), 1, "wants a regular mesh"),
    ("static", without("POTCAR"), 1, "POTCAR: no such file"),
    ("static", without("POSCAR"), 1, "POSCAR: no such file"),
    ("static", without("INCAR"), 1, "INCAR: no such file"),
    ("static", with_text("POTCAR", "no POTCAR\n"), 1, "POTCAR"),
    ("static", with_text("INCAR", "NSW = x\n"), 1, "NSW"),
    (
        "bands",
        with_text("POSCAR", POSCAR.replace("0.0 2.7155 2.7155", "2.7155 2.7155 5.431")),
        1,
        "standard primitive cell",
    ),
]


@pytest.mark.parametrize(("kind", "change", "code", "said"), REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_touched(run, kind, change, code, said):
    change(run)
    there = contents(run)
    done = command(run, "--for", kind)
    assert done.exit_code == code, done.output
    assert done.stderr.startswith("Error: ")
    assert re.search(said, done.stderr), done.stderr
    assert ".chgtools-" not in done.output
    assert contents(run) == there


def test_compressed_inputs_and_images_of_a_band_are_refused(run, tmp_path):
    import gzip

    (run / "INCAR.gz").write_bytes(gzip.compress((run / "INCAR").read_bytes()))
    (run / "INCAR").unlink()
    with pytest.raises(ChgtoolsError, match="VASP reads no compressed file; unpack it as"):
        prepare(run, "static", SAED)
    image = tmp_path / "01"
    image.mkdir()
    (image / "POSCAR").write_text(POSCAR)
    (tmp_path / "INCAR").write_text("IMAGES = 3\n")
    with pytest.raises(ChgtoolsError, match="is an image of a band"):
        prepare(image, "static", SAED)
    with pytest.raises(ChgtoolsError, match="no such folder"):
        prepare(tmp_path / "nowhere", "static", SAED)
    with pytest.raises(SettingsError, match="found 'phonons'; wanted one of bands, dos, static, relax"):
        prepare(run, "phonons", SAED)


def test_d_electrons_get_their_lmaxmix_where_the_density_is_kept(run):
    write_synthetic_potcar(run / "POTCAR", [("Fe", 8, (0, 0, 1, 1, 2, 2))])
    (run / "POSCAR").write_text(POSCAR.replace("Si\n2", "Fe\n2"))
    assert "LMAXMIX" not in {change.tag for change in prepare(run, "static", SAED).changes}
    changes = {change.tag: change for change in prepare(run, "dos", SAED).changes}
    assert (changes["LMAXMIX"].after, changes["LMAXMIX"].before) == ("4", None)
    assert check_file(run / "CHGCAR").ok


@pytest.mark.parametrize(
    ("kind", "text", "changed"),
    [
        ("static", "IBRION = 2\nNSW = 0\n", {"ICHARG"}),  # does not move as it is
        ("static", "IBRION = 6\n", {"ICHARG", "IBRION"}),  # displacements are made whatever NSW is
        ("static", "ICHARG = 1\nIBRION = -1\n", set()),
        ("dos", "ICHARG = 11\nLCHARG = F\n", set()),
        ("bands", "ICHARG = 11\nLCHARG = F\nISMEAR = -14\n", {"ISMEAR"}),
        ("bands", "ICHARG = 11\nLCHARG = F\nISMEAR = 0\n", set()),
    ],
)
def test_only_what_must_be_is_changed(run, kind, text, changed):
    (run / "INCAR").write_text("ENCUT = 150\n" + text)
    assert {change.tag for change in prepare(run, kind, SAED).changes} == changed


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        ("relax", "", "no ion will move"),
        ("relax", "NSW = 5\n", ""),
        ("dos", "", "ISMEAR = -5"),
        ("dos", "ISMEAR = -5\n", ""),
        ("static", "LCHARG = F\n", "will not write"),
    ],
)
def test_hints(run, kind, text, hint):
    (run / "INCAR").write_text("ENCUT = 150\n" + text)
    hints = prepare(run, kind, SAED).hints
    assert len(hints) == bool(hint)
    assert hint in "".join(hints)


def test_lines_and_lists_of_k_points_are_the_users(run):
    for text in ("k\n10\nLine\nrec\n0 0 0\n0 0 0.5\n", "k\n1\nReciprocal\n0 0 0 1\n"):
        (run / "KPOINTS").write_text(text)
        prepare(run, "bands", SAED)
        assert (run / "KPOINTS").read_text() == text


def test_a_link_is_replaced_and_what_it_leads_to_is_not(run, tmp_path):
    (run / "INCAR").rename(tmp_path / "shared")
    (run / "INCAR").symlink_to(tmp_path / "shared")
    prepare(run, "static", SAED)
    assert (tmp_path / "shared").read_text() == INCAR
    assert read_incar(run / "INCAR")["ICHARG"] == "1"


@pytest.mark.parametrize("fails", ["CHGCAR", "KPOINTS", "INCAR"])
def test_a_move_that_fails_leaves_all_as_it_was(run, fails, monkeypatch):
    there = contents(run)
    real = Path.replace

    def replace(self, target):
        if Path(target).name == fails and ".replaced" not in self.name:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ChgtoolsError, match="No space left on device.*nothing was changed"):
        prepare(run, "bands", SAED)
    assert contents(run) == there


def test_files_that_were_not_there_are_not_there_after_a_move_that_fails(tmp_path):
    stage, folder = tmp_path / "stage", tmp_path / "run"
    stage.mkdir(), folder.mkdir()
    (stage / "a").write_text("new")
    with pytest.raises(ChgtoolsError, match="nothing was changed"):
        move_together(stage, folder, ["a", "b"])
    assert list(folder.iterdir()) == []


def test_a_fault_of_a_density_writes_nothing(run, monkeypatch):
    there = contents(run)
    monkeypatch.setattr(preparation, "write_start", lambda *_, **__: (_ for _ in ()).throw(NotReadyError("no")))
    assert command(run, "--for", "static").exit_code == 3
    assert contents(run) == there


def test_json(run):
    done = command(run, "--for", "bands", "--json")
    facts = json.loads(done.stdout)
    assert (facts["for"], facts["icharg"], facts["charge"], facts["dry_run"]) == ("bands", 11, "predicted", False)
    assert facts["incar"]["NSW"]["before"] == "50"
    assert facts["kept_as"] == {"INCAR": "INCAR.before", "KPOINTS": "KPOINTS.before"}
    assert facts["written"] == ["KPOINTS.before", "INCAR.before", "CHGCAR", "KPOINTS", "INCAR"]
    assert facts["prediction"]["ready_for_icharg_11"] is True
    assert ".chgtools-" not in done.output


@pytest.mark.parametrize("columns", [60, 80])
def test_the_screen_fits(run, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(run.parent)
    done = command("run", "--for", "dos")
    assert max(map(len, done.stdout.splitlines())) <= columns
