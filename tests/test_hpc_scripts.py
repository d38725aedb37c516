"""The job scripts of examples/hpc, run under a stand-in VASP that records what it was given."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_potcar import write_synthetic_potcar

from chgtools.formats.incar import parse_incar, read_incar

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "examples" / "hpc"
POSCAR = "Si\n1.0\n0.0 2.7155 2.7155\n2.7155 0.0 2.7155\n2.7155 2.7155 0.0\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n"
INCAR = "SYSTEM = silicon\nENCUT = 150; ICHARG = 2 ; PREC = Normal ! as ever\nLMAXMIX = 2\n"
# What a run hands to VASP, as JSON; the launcher is gone through as on a cluster
VASP = f"""#!{sys.executable}
import hashlib, json, pathlib
charge = pathlib.Path("CHGCAR")
record = {{"incar": pathlib.Path("INCAR").read_text(), "charge": charge.is_file()}}
if charge.is_file():
    record["sha256"] = hashlib.sha256(charge.read_bytes()).hexdigest()
print(json.dumps(record))
"""
KINDS = ("slurm", "pbs")
FELL_BACK, NOTHING_RUN, NO_FOLDER, NOT_READ = 20, 21, 22, 23  # exit codes that examples/README.md tells
SECONDS = 800  # 16 at once on a busy machine


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """TMPDIR of a node, with the kernels that earlier jobs have compiled."""
    return tmp_path_factory.mktemp("node")


@pytest.fixture
def cluster(tmp_path, node):
    """Environment of a job: chgtools of the checkout, a launcher and a VASP, the TMPDIR of a node."""
    programs = tmp_path / "bin"
    programs.mkdir()
    texts = {
        # without weights: it is the scripts that are tested, and this is quicker
        "chgtools": f'#!/bin/sh\ncase $1 in predict|prepare) set -- "$@" --model none;; esac\nexec {sys.executable} -m chgtools "$@"\n',
        "vasp_std": VASP,
        "srun": '#!/bin/sh\nexec "$@"\n',
        "mpirun": '#!/bin/sh\nexec "$@"\n',
    }
    for name, text in texts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(node),
        "CHGTOOLS_HPC": str(SCRIPTS),
    }


def run_folder(folder: Path, channels=(0, 0, 1, 1)) -> Path:
    folder.mkdir(parents=True)
    (folder / "POSCAR").write_text(POSCAR)
    (folder / "INCAR").write_text(INCAR)
    (folder / "KPOINTS").write_text("k\n0\nGamma\n1 1 1\n")
    write_synthetic_potcar(folder / "POTCAR", [("Si", 4, channels)])
    return folder


def submit(kind: str, folder: Path, environment: dict[str, str], task: int | None = None, script: str = "job"):
    """Run a script as the scheduler does: a copy of it, elsewhere, with its variables."""
    spool = folder.parent / f"spool.{kind}.{script}.{task}"
    shutil.copy(SCRIPTS / f"{script}.{kind}", spool)
    names = {"slurm": ("SLURM_SUBMIT_DIR", "SLURM_ARRAY_TASK_ID"), "pbs": ("PBS_O_WORKDIR", "PBS_ARRAY_INDEX")}[kind]
    environment = {**environment, names[0]: str(folder)} | ({} if task is None else {names[1]: str(task)})
    start = folder if kind == "slurm" else folder.parent  # PBS starts in the home folder
    return subprocess.run(
        ["bash", str(spool)], cwd=start, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def given_to_vasp(folder: Path) -> dict:
    return json.loads((folder / "vasp.out").read_text())


def icharg(folder: Path) -> str:
    tags = parse_incar(given_to_vasp(folder)["incar"])
    before = read_incar(folder / "INCAR.before")
    fixed = {"LCHARG": ".FALSE."} if tags["ICHARG"] == "11" else {}
    assert {tag: value for tag, value in tags.items() if tag != "ICHARG"} == {
        tag: value for tag, value in {**before, **fixed}.items() if tag != "ICHARG"
    }
    assert tags.ignored == ()
    return tags["ICHARG"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_path(kind, tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    done = submit(kind, folder, cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    assert icharg(folder) == "1"
    assert given_to_vasp(folder)["sha256"] == hashlib.sha256((folder / "CHGCAR").read_bytes()).hexdigest()
    assert (folder / "INCAR.before").read_text() == INCAR
    assert "prepared for relax (ICHARG = 1)" in done.stdout
    # submitted again, it takes the density that is there and keeps the first copy of the INCAR
    stamp = (folder / "CHGCAR").stat().st_mtime_ns
    assert submit(kind, folder, cluster).returncode == 0
    assert (folder / "CHGCAR").stat().st_mtime_ns == stamp
    assert (folder / "INCAR.before").read_text() == INCAR
    assert icharg(folder) == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_predict_fails(kind, tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    (folder / "POTCAR").write_text("no POTCAR\n")
    done = submit(kind, folder, cluster)
    assert done.returncode == FELL_BACK
    assert "Error:" in done.stderr
    assert icharg(folder) == "2"
    assert not given_to_vasp(folder)["charge"]


@pytest.mark.parametrize("kind", KINDS)
def test_check_finds_something(kind, tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    first = submit(kind, folder, cluster)
    assert first.returncode == 0
    text = (folder / "CHGCAR").read_text()
    (folder / "CHGCAR").write_text(text[: text.index("augmentation")])  # VASP would drop this file
    done = submit(kind, folder, cluster)
    assert done.returncode == FELL_BACK
    assert icharg(folder) == "2"
    assert "ICHARG = 2, VASP's own atoms" in done.stdout


def test_without_chgtools_vasp_still_runs(tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    (tmp_path / "bin" / "chgtools").write_text("#!/bin/sh\nexit 127\n")
    assert submit("slurm", folder, cluster).returncode == FELL_BACK
    assert icharg(folder) == "2"


def test_a_fixed_density(tmp_path, cluster):
    """The script as a user edits it."""
    folder = run_folder(tmp_path / "run")
    script = tmp_path / "mine.slurm"
    script.write_text((SCRIPTS / "job.slurm").read_text().replace("\nkind=relax\n", "\nkind=dos\n"))
    environment = {**cluster, "SLURM_SUBMIT_DIR": str(folder)}
    done = subprocess.run(["bash", str(script)], cwd=folder, env=environment, capture_output=True, check=False)
    assert (done.returncode, icharg(folder)) == (0, "11"), done.stderr


LINE_MODE = "bands\n10\nLine-mode\nreciprocal\n0 0 0 G\n0.5 0 0.5 X\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("incar", "kpoints"),
    [
        (INCAR.replace("ICHARG = 2", "ICHARG = 11"), None),
        (INCAR, LINE_MODE),
        (INCAR, LINE_MODE.replace("Line", "  line")),
    ],
)
def test_bands_keep_a_fixed_density_or_are_not_run(kind, incar, kpoints, tmp_path, cluster):
    """Self-consistency on a line of k-points ends well and means nothing."""
    folder = run_folder(tmp_path / "run")
    (folder / "INCAR").write_text(incar)
    if kpoints:
        (folder / "KPOINTS").write_text(kpoints)
    for _ in range(2):  # also when it is submitted again
        done = submit(kind, folder, cluster)
        assert (done.returncode, icharg(folder)) == (0, "11"), done.stderr
    (folder / "CHGCAR").unlink()
    (folder / "vasp.out").unlink()
    (folder / "POTCAR").write_text("no POTCAR\n")
    done = submit(kind, folder, cluster)
    assert done.returncode == NOTHING_RUN
    assert "ICHARG = 11 needs one: nothing is run" in done.stderr
    assert not (folder / "vasp.out").exists()
    assert read_incar(folder / "INCAR")["ICHARG"] == "11"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", [2, 3, 4])
def test_a_task_without_a_folder_runs_nothing(kind, task, tmp_path, cluster):
    """A blank line, a folder that is not there, a task beyond the list; the folder of submission looks like a run."""
    work = run_folder(tmp_path / "work")
    (work / "folders.txt").write_text("run1\n\nrun3\n")
    done = submit(kind, work, cluster, task)
    assert done.returncode == NO_FOLDER
    assert f"line {task} of folders.txt names no folder" in done.stderr
    assert not (work / "vasp.out").exists()
    assert (work / "INCAR").read_text() == INCAR


@pytest.mark.parametrize(
    ("text", "value"),
    [("ICHARG=11\n", 11), ("ENCUT = 3; icharg = 12 bands\n", 12), ("", 2), ("# ICHARG = 11\nNICHARG = 4\n", 2),
     ("ICHARG = 1 ! ICHARG = 11\n", 1), ("ICHARG = 0\nICHARG = 11\n", 0)],
)  # fmt: skip
def test_the_icharg_that_there_was(text, value, tmp_path):
    def get():
        command = ["sh", str(SCRIPTS / "set_icharg.sh"), "get", str(tmp_path / "INCAR")]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    (tmp_path / "INCAR").write_text(text)
    assert get() == value
    _set(text, tmp_path, 1)  # that which a job has set is not the user's
    assert get() == value


@pytest.mark.timeout(SECONDS + 100)
def test_16_at_once_with_one_empty_cache_of_kernels(tmp_path, cluster):
    """An array that starts all at once on one node: every task gets its density, and all get the same."""
    work, fresh = tmp_path / "work", tmp_path / "fresh"
    fresh.mkdir()
    folders = [run_folder(work / f"run{index}") for index in range(1, 17)]
    (work / "folders.txt").write_text("".join(f"{folder.name}\n" for folder in folders))
    started = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(lambda task: submit("slurm", work, {**cluster, "TMPDIR": str(fresh)}, task), range(1, 17)))
    print(f"16 jobs at once with an empty cache of kernels: {time.perf_counter() - started:.1f} s")
    assert [job.returncode for job in done] == [0] * 16, [job.stderr[-500:] for job in done if job.returncode]
    assert {icharg(folder) for folder in folders} == {"1"}
    assert len({given_to_vasp(folder)["sha256"] for folder in folders}) == 1
    assert list(fresh.rglob("*.nbi"))  # the cache that was filled is this one, not that of the package
    # what they left is a good cache: a job that finds it makes the same file
    alone = run_folder(tmp_path / "alone")
    submit("slurm", alone, {**cluster, "TMPDIR": str(fresh)})
    assert given_to_vasp(alone)["sha256"] == given_to_vasp(folders[0])["sha256"]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_predictions(kind, tmp_path, cluster):
    work = tmp_path / "work"
    names = [f"run{index}" for index in range(9)]
    for name in names:
        run_folder(work / name)
    (work / "folders.txt").write_text("\n".join(names))
    for task in (1, 8):
        done = submit(kind, work, cluster, task, "predict_array")
        assert done.returncode == 0, done.stderr
    made = {name for name in names if (work / name / "CHGCAR").is_file()}
    assert made == {"run0", "run8", "run7"}  # task 1: the first and the ninth; task 8: the eighth
    assert len(list(work.glob("folders.txt.manifest.*-of-8.jsonl"))) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_that_build_a_data_set(kind, tmp_path, cluster):
    """Each task does its part, again only what is not done, and the stores are one data set."""
    from made_targets import target

    from chgtools.stores.join import join
    from chgtools.stores.store import Store

    work = tmp_path / "work"
    work.mkdir()
    names = [f"t{index}.dcd.h5" for index in range(9)]
    for index, name in enumerate(names):
        target(work / name, 0.2 * index)
    (work / "chgcars.txt").write_text("\n".join(names))
    for task in (1, 8):
        done = submit(kind, work, cluster, task, "dataset_array")
        assert done.returncode == 0, done.stderr
    assert "2 structures added from 2 of 2 files" not in done.stdout  # task 8 has one
    stores = sorted(work.glob("dataset.*-of-8.h5"))
    assert [len(Store.open(store)) for store in stores] == [2, 1]
    assert (
        "0 structures added from 0 of 2 files, 2 files there already"
        in submit(kind, work, cluster, 1, "dataset_array").stdout
    )
    assert join(work / "dataset.h5", stores).entries == 3
    assert {name.split("-")[1] for name in Store.open(work / "dataset.h5")} == {"t0", "t8", "t7"}


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.iterdir()))
def test_scripts_are_shell_and_of_no_machine(script):
    text = (SCRIPTS / script).read_text()
    assert subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=False).returncode == 0
    for word in ("/work/", "/home/", "/root/"):
        assert word not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_relaxation_keeps_its_steps_and_a_static_run_has_none(kind, tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    (folder / "INCAR").write_text(INCAR + "NSW = 30\n")
    assert submit(kind, folder, cluster).returncode == 0
    assert parse_incar(given_to_vasp(folder)["incar"])["NSW"] == "30"
    script = tmp_path / f"mine.{kind}"
    script.write_text((SCRIPTS / f"job.{kind}").read_text().replace("\nkind=relax\n", "\nkind=static\n"))
    environment = {**cluster, "SLURM_SUBMIT_DIR": str(folder), "PBS_O_WORKDIR": str(folder)}
    assert subprocess.run(["bash", str(script)], cwd=folder, env=environment, check=False).returncode == 0
    assert parse_incar(given_to_vasp(folder)["incar"])["NSW"] == "0"


@pytest.mark.parametrize("kind", KINDS)
def test_bands(kind, tmp_path, cluster):
    """With a mesh in the KPOINTS, as of the run before; and again; and without what makes a density."""
    folder = run_folder(tmp_path / "run")
    for _ in range(2):
        done = submit(kind, folder, cluster, script="bands")
        assert (done.returncode, icharg(folder)) == (0, "11"), done.stderr
    assert (folder / "KPOINTS").read_text().splitlines()[2] == "Line-mode"
    assert (folder / "KPOINTS.before").read_text() == "k\n0\nGamma\n1 1 1\n"
    (folder / "vasp.out").unlink()
    (folder / "CHGCAR").write_text("no density\n")
    done = submit(kind, folder, cluster, script="bands")
    assert done.returncode == NOTHING_RUN
    assert not (folder / "vasp.out").exists()


@pytest.mark.parametrize("script", ["job", "bands"])
@pytest.mark.parametrize(
    ("vasp", "code"),
    [("echo ' WARNING: dimensions on CHGCAR file are different'", NOT_READ), ("exit 7", 7),
     ("echo ' charge-density read from file: Si'", 0)],
)  # fmt: skip
def test_what_vasp_says_is_the_exit_code(script, vasp, code, tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    (tmp_path / "bin" / "vasp_std").write_text(f"#!/bin/sh\n{vasp}\n")
    assert submit("slurm", folder, cluster, script=script).returncode == code


def test_a_user_may_want_0_of_a_run_from_vasps_own_atoms(tmp_path, cluster):
    folder = run_folder(tmp_path / "run")
    (folder / "POTCAR").write_text("no POTCAR\n")
    script = tmp_path / "mine.slurm"
    script.write_text((SCRIPTS / "job.slurm").read_text().replace("\nfell_back=20\n", "\nfell_back=0\n"))
    environment = {**cluster, "SLURM_SUBMIT_DIR": str(folder)}
    assert subprocess.run(["bash", str(script)], cwd=folder, env=environment, check=False).returncode == 0
    assert icharg(folder) == "2"


def test_the_exit_codes_are_told():
    told = (ROOT / "examples" / "README.md").read_text()
    for code in (FELL_BACK, NOTHING_RUN, NO_FOLDER, NOT_READ):
        assert f"| {code} |" in told
        assert any(str(code) in (SCRIPTS / f"job.{kind}").read_text() for kind in KINDS)


def test_the_two_scripts_for_bands_do_the_same():
    slurm, pbs = ((SCRIPTS / f"bands.{kind}").read_text() for kind in KINDS)
    start = "# Each node keeps"
    assert slurm[slurm.index(start) :] == pbs[pbs.index(start) :].replace("mpirun vasp_std", "srun vasp_std")


def test_the_two_job_scripts_do_the_same():
    slurm, pbs = ((SCRIPTS / f"job.{kind}").read_text() for kind in KINDS)
    start = "# What the run is for"
    pbs = pbs.replace("PBS_O_WORKDIR", "SLURM_SUBMIT_DIR").replace("mpirun vasp_std", "srun vasp_std")
    assert slurm[slurm.index(start) :] == pbs[pbs.index(start) :]


def _set(text: str, folder: Path, value: int = 11) -> str:
    (folder / "INCAR").write_bytes(text.encode())
    (folder / "INCAR.before").unlink(missing_ok=True)
    subprocess.run(["sh", str(SCRIPTS / "set_icharg.sh"), str(value), str(folder / "INCAR")], check=True)
    assert (folder / "INCAR.before").read_bytes() == text.encode()
    return (folder / "INCAR").read_bytes().decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ENCUT = 300\n",
        "ENCUT = 300",
        "ICHARG = 2\n",
        "  icharg=2 ! from the atoms\nENCUT = 300\n",
        "ENCUT = 300 ; ICHARG = 2 ; ISPIN = 2 # all on one line\n",
        "ICHARG = 1; ENCUT = 300\n",
        "SYSTEM = my ICHARG = 2 run\nENCUT = 300\n",
        "# ICHARG = 2\nENCUT = 300\n",
        "ENCUT = 300 ! ICHARG = 2\n",
        "ICHARG = 2\nENCUT = 300\nICHARG = 1\n",
        "MAGMOM = 1 \\\n 2 ; ICHARG = 2\n",
        'SYSTEM = "a # b"; ICHARG = 2\nENCUT = 300\n',
        "ENCUT = 300\r\nICHARG = 2\r\n",
        "LCHARG = .TRUE. ; ICHARG=2;LWAVE=F\n",
    ],
)
def test_set_icharg(text, tmp_path):
    before, after = parse_incar(text), parse_incar(_set(text, tmp_path))
    assert after["ICHARG"] == "11"
    assert {**after, "ICHARG": ""} == {**before, "ICHARG": ""}
    again = parse_incar(_set(_set(text, tmp_path), tmp_path, 2))
    assert {**again} == {**before, "ICHARG": "2"}


STATEMENTS = st.sampled_from(["ICHARG = 2", "icharg=1 ", " ENCUT = 300", "ISPIN=2", "", " LICHARG = 1", "NICHARG=4"])
LINES = st.builds(
    lambda statements, comment: ";".join(statements) + comment,
    st.lists(STATEMENTS, min_size=1, max_size=4),
    st.sampled_from(["", " ! ICHARG = 3; ENCUT = 1", "# x"]),
)


@given(st.lists(LINES, max_size=6))
def test_set_icharg_changes_no_other_tag(lines):
    import tempfile

    text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as folder:
        after = parse_incar(_set(text, Path(folder)))
    assert {**after} == {**parse_incar(text), "ICHARG": "11"}


def test_submitit_builds_a_data_set_and_joins_it(tmp_path):
    """The array of examples/dataset_submitit.py, as processes of this machine; what is there stays."""
    from made_targets import target

    from chgtools.stores.store import Store

    names = [f"t{index}.dcd.h5" for index in range(3)]
    for index, name in enumerate(names):
        target(tmp_path / name, 0.2 * index)
    (tmp_path / "list.txt").write_text("\n".join(names))
    command = [sys.executable, str(ROOT / "examples/dataset_submitit.py"), "list.txt", "all.h5", "--here"]
    command += ["--tasks", "2", "--cpus", "1"]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert first.stdout.count("1 structures added") + first.stdout.count("2 structures added") == 2
    assert len(Store.open(tmp_path / "all.h5")) == 3
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.count("0 structures added") == 2
    assert (
        "all.h5 is there; to join again: chgtools dataset join -o all.h5 all.1-of-2.h5 all.2-of-2.h5 --force"
        in again.stdout
    )
    (tmp_path / "list.txt").write_text("\n".join([*names, "lost.dcd.h5"]))
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "1 of 2 tasks failed" in failed.stderr
    assert len(Store.open(tmp_path / "all.h5")) == 3
