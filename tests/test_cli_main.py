"""The frame of the command line: lazy commands, exit codes, one sentence for each failure."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from fields import density
from synthetic_potcar import write_synthetic_potcar

from chgtools.cli import COMMANDS, main
from chgtools.cli.options import density_options, grid_options
from chgtools.errors import AssumptionWarning, MismatchError
from chgtools.formats import chgcar

HEAVY = {"numba", "h5py", "scipy", "pymatgen", "matplotlib", "torch", "ase"}


@pytest.fixture
def raising(monkeypatch):
    """Make ``chgtools info`` do something else."""

    def replace(action):
        command = click.Command("info", callback=action)
        monkeypatch.setattr(main, "get_command", lambda ctx, name: command)
        return CliRunner().invoke(main, ["info"], prog_name="chgtools")

    return replace


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_every_command_with_the_beginning_of_its_own_help(name):
    beginning = COMMANDS[name][1]
    assert f"  {name} " in CliRunner().invoke(main, ["--help"]).stdout
    command = main.get_command(click.Context(main), name)
    assert " ".join(command.help.split()).startswith(beginning)


@pytest.mark.parametrize("arguments", [["--help"], ["info", "--help"], ["plot", "--help"], ["predict", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from chgtools.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert HEAVY & set(eval(done.stderr)) == set()


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_a_prediction_with_kept_kernels_needs_no_scipy_and_none_of_numbas_compiler(tmp_path):
    """What a second prediction need not load; with a POTCAR, as people have one."""
    example = Path(__file__).resolve().parents[1] / "examples" / "si" / "POSCAR"
    (tmp_path / "POSCAR").write_bytes(example.read_bytes())
    write_synthetic_potcar(tmp_path / "POTCAR", [("Si", 4.0, (0, 0, 1, 1))])
    code = (
        "import sys; from chgtools.cli import main\n"
        "try: main(['predict', 'POSCAR', '-o', 'CHGCAR', '--force'])\n"
        "except SystemExit as end: print(sorted(sys.modules), end.code, sep='|', file=sys.stderr)"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    names, exit_code = done.stderr.splitlines()[-1].split("|")
    assert exit_code == "0"
    scipy = {f"scipy.{name}" for name in ("interpolate", "linalg", "optimize", "sparse", "special")}
    unwanted = {"ase", "cffi", "matplotlib", "numba.np.arraymath", "pymatgen.core", "torch", *scipy}
    assert unwanted & set(eval(names)) == set()


def test_bad_input_is_one_sentence_and_exit_code_1(raising):
    def action():
        raise MismatchError("a has 3 atoms, b has 4; they must agree")

    done = raising(action)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: a has 3 atoms, b has 4; they must agree\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "POSCAR"), "Error: POSCAR: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: No space left on device\n"),
        (OSError("unable to lock file"), "Error: unable to lock file\n"),
    ],
)
def test_failures_of_the_system_are_one_sentence(raising, error, sentence):
    def action():
        raise error

    done = raising(action)
    assert (done.exit_code, done.stderr) == (1, sentence)


def test_lack_of_memory_is_one_sentence(raising):
    def action():
        raise MemoryError

    done = raising(action)
    assert done.exit_code == 1
    assert "not enough memory" in done.stderr
    assert "Traceback" not in done.output


def test_bugs_are_not_hidden(raising):
    def action():
        raise ZeroDivisionError

    assert isinstance(raising(action).exception, ZeroDivisionError)


def test_interruption_gives_130(raising):
    def action():
        raise KeyboardInterrupt

    done = raising(action)
    assert (done.exit_code, done.stderr) == (130, "Stopped.\n")


def test_a_signal_gives_130():
    code = (
        "import click, os, signal; from chgtools.cli import main\n"
        # a job in the background of a shell inherits an ignored SIGINT, and Python leaves it so
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"action = lambda: os.kill(os.getpid(), {int(signal.SIGINT)})\n"
        "main.get_command = lambda ctx, name: click.Command('info', callback=action)\n"
        "main(['info'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "Stopped.\n")


def test_a_closed_pipe_is_quiet(tmp_path):
    chgcar.write(density(), tmp_path / "CHGCAR")
    read, write = os.pipe()
    os.close(read)
    code = f"from chgtools.cli import main; main(['info', '--json', {str(tmp_path / 'CHGCAR')!r}])"
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def test_assumptions_are_notes_and_other_warnings_stay(raising):
    def action():
        warnings.warn(AssumptionWarning("PREC = Normal"), stacklevel=1)
        warnings.warn(AssumptionWarning("PREC = Normal, again"), stacklevel=1)
        with pytest.warns(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
        print("result")

    done = raising(action)
    assert done.stdout == "result\n"
    assert done.stderr == "note: PREC = Normal\nnote: PREC = Normal, again\n"


@pytest.mark.parametrize("arguments", [["predicct"], ["--nonsense"], ["info"], ["info", "--nonsense"]])
def test_wrong_usage_is_exit_code_2(arguments):
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "Usage:" in done.stderr


def test_version():
    from importlib.metadata import PackageNotFoundError, version

    try:
        wanted = version("chgtools")
    except PackageNotFoundError:
        pytest.skip("chgtools is not installed here, only its folder is used")
    assert CliRunner().invoke(main, ["--version"]).stdout == f"chgtools, version {wanted}\n"


@click.command()
@density_options
@grid_options
def show(**options):
    click.echo(repr(options))


def _shown(*arguments):
    return CliRunner().invoke(show, arguments)


def test_labels_become_a_mapping():
    options = eval(_shown("--label", "Fe=Fe_pv", "--label", "O=O_s", "--xc", "lda", "--ngf", "24", "30", "36").stdout)
    assert options["labels"] == {"Fe": "Fe_pv", "O": "O_s"}
    assert options["xc"] == "LDA"
    assert options["ngf"] == (24, 30, 36)
    assert options["convention"] == "mp"
    assert [name for name, value in options.items() if value is None] == [
        "potcar", "library", "upf", "encut", "prec", "enaug", "like",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--label", "Fe_pv"), "found 'Fe_pv'; wanted ELEMENT=LABEL"),
        (("--label", "Fe="), "found 'Fe='"),
        (("--label", "Fe=Fe", "--label", "Fe=Fe_pv"), "found two labels for Fe: Fe and Fe_pv"),
        (("--encut", "-5"), "-5"),
        (("--ngf", "24", "0", "24"), "0"),
        (("--labels", "aflow"), "'aflow' is not one of 'mp', 'vasp'"),
    ],
)
def test_wrong_options(arguments, message):
    done = _shown(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr
