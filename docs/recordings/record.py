"""Record the commonest uses as a terminal of 80 columns shows them: python docs/recordings/record.py

Writes docs/recordings/README.md again. The commands run with the chgtools that this Python imports, in a folder of
their own that holds a copy of examples/, one after the other. Colours are left out; times differ from call to call.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).with_name("README.md")
COLUMNS, ROWS = 80, 50
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-_])")

HEAD = """# Ten uses, as they look in a terminal

What each command prints at 80 columns, results and notes together, in a folder with a copy of `examples/`. Without a
POTCAR, as here, a file has no PAW occupancies; with yours beside the POSCAR these notes and findings go away.
`python docs/recordings/record.py` makes this page again.
"""


@dataclass(frozen=True)
class Use:
    """title : of the section; about : a sentence or two; commands : lines of a shell, shown and run

    before : lines that are run first and not shown
    """

    title: str
    about: str
    commands: tuple[str, ...]
    before: str = ""


USES = (
    Use(
        "Which FFT grid will VASP use?",
        "From POSCAR and INCAR, by VASP's rules. The second line is the grid of the CHGCAR.",
        ("chgtools grid run/POSCAR",),
        before="mkdir run && cp examples/si/POSCAR examples/si/INCAR run",
    ),
    Use(
        "An initial charge density",
        "The file, where its atoms come from, which weights and why, how large an error they expect, and whether VASP "
        "will take it.",
        ("chgtools predict run/POSCAR -o run/CHGCAR",),
    ),
    Use(
        "Is this CHGCAR in order for this run?",
        "Each finding says where, what VASP will do, and how to mend it. Exit code 3: something was found.",
        ("chgtools check run/CHGCAR",),
    ),
    Use("What is in a file?", "Any volumetric file that chgtools reads.", ("chgtools info run/CHGCAR",)),
    Use(
        "Who has the electrons?",
        "Hirshfeld charges, of a finished run or, with --predict, before any: here of SrTiO3.",
        ("chgtools charges examples/perovskite/POSCAR --predict | head -n 8",),
    ),
    Use(
        "Many structures at once",
        "A batch that was stopped goes on when it is called again; here it is called twice.",
        (
            "chgtools predict --batch list.txt -o densities",
            "chgtools predict --batch list.txt -o densities",
        ),
        before="printf 'examples/si\\nexamples/perovskite\\n' > list.txt",
    ),
    Use(
        "How far are two densities apart?",
        "The predicted density of silicon against a self-consistent one.",
        ("chgtools compare run/CHGCAR examples/si/CHGCAR",),
    ),
    Use(
        "The difference from superposed atoms",
        "A target to train on, or to look at: what bonds do to the atoms.",
        (
            "chgtools make-dcd examples/si/CHGCAR examples/si/POSCAR -o si.h5",
            "chgtools plot si.h5 --isosurface -o bonds.png",
        ),
    ),
    Use("Another format", "Gaussian cube, XSF, or packed.", ("chgtools convert run/CHGCAR run/si.cube",)),
    Use(
        "Did the job read the density?",
        "VASP goes on without a word when it could not use the file; its output shows it.",
        ("chgtools check --run job",),
        before="mkdir job && printf ' WARNING: dimensions on CHGCAR file are different\\n"
        " charge density of overlapping atoms calculated\\n entering main loop\\n' > job/vasp.out",
    ),
)


def recorded(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What a command prints on a terminal of 80 columns, its lines broken where the terminal breaks them."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    printed = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError as error:  # Linux says so when the last program on the terminal has ended
            if error.errno != errno.EIO:
                raise
            break
        if not piece:
            break
        printed += piece
    os.close(ours)
    code = process.wait()
    return shown(printed.decode()) + (f"[exit code {code}]\n" if code else "")


def shown(text: str) -> str:
    """Text as the terminal leaves it: no colours, lines overwritten by carriage returns, broken at 80 columns."""
    lines = []
    for raw in _ESCAPE.sub("", text).removesuffix("\n").split("\n"):
        line = raw.rstrip("\r").rpartition("\r")[2].rstrip()
        lines += [line[at : at + COLUMNS] for at in range(0, max(len(line), 1), COLUMNS)]
    return "".join(f"{line}\n" for line in lines)


def page(uses: tuple[Use, ...] = USES) -> str:
    """The page with every use, run now. Raises CalledProcessError when a preparation fails."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(ROOT / "examples", folder / "examples")
        environment = _environment(folder)
        for use in uses:
            if use.before:
                subprocess.run(["bash", "-euc", use.before], cwd=folder, env=environment, check=True)
            text = "".join(f"$ {command}\n{recorded(command, folder, environment)}" for command in use.commands)
            parts.append(f"## {use.title}\n\n{use.about}\n\n```text\n{text}```\n")
    return "\n".join(parts)


def _environment(folder: Path) -> dict[str, str]:
    """The caller's, with this Python's chgtools as a command and a terminal of 80 columns."""
    commands = folder / ".bin"
    commands.mkdir()
    (commands / "chgtools").write_text(f'#!/bin/sh\nexec {sys.executable} -m chgtools "$@"\n')
    (commands / "chgtools").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": str(COLUMNS),
        "LINES": str(ROWS),
        "TERM": "xterm",
        "NO_COLOR": "1",
    }


if __name__ == "__main__":
    PAGE.write_text(page())
